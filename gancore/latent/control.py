"""The metric `control`: what the directions of a run do to its samples, and how evenly samples change between codes."""

from __future__ import annotations

from pathlib import Path

import torch
from pydantic import Field

from gancore.data.spec import SampleSpec
from gancore.errors import UsageError
from gancore.evaluation.attributes import attributes_of
from gancore.evaluation.records import FeatureSets, Material, Measured, Samples
from gancore.games.calling import draw_latent
from gancore.latent import directions
from gancore.latent.probing import Probe, codes_at, labels_of
from gancore.latent.resolving import arc, line
from gancore.latent.search import Search, judge
from gancore.latent.space import Space, moved
from gancore.options import Options as BaseOptions
from gancore.plugins import Registry
from gancore.random import Draws, derive
from gancore.sampling.drawing import CHUNK
from gancore.sampling.generator import Generator

SCALED_BY = 500
"""Samples of which standard deviations are taken, at least."""


class Options(BaseOptions):
    """Options of the metric `control`."""

    samples: int = Field(
        200, ge=20, le=100_000, description="Samples by which each direction is judged, and pairs of the path length."
    )
    step: float = Field(
        0.05,
        ge=1e-4,
        le=0.5,
        description="Part of the way between two codes over which the path length is measured; the paper's 1e-4 is too little for "
        "samples whose values are rounded.",
    )


class Control:
    """What edits do, in standard deviations of attributes among samples of one class, and the perceptual path length.

    For each direction `d` of the run's folder, by samples that it was not found by, with edits from -2 to 2 in steps of a half:

    - `d/change`: mean over samples of the slope of the line of least squares of its attribute on the edit.
    - `d/spearman`: mean over samples of Spearman's rank correlation of edit and attribute.
    - `d/others`: mean over the other attributes and samples of the absolute slope.
    - `d/random`: root mean square of the `change` of random directions as long.

    And for features `f`:

    - `path-z-f`: perceptual path length (Karras et al. 2019), the mean of |f(G(z(t))) - f(G(z(t + s)))|^2 / s^2 for random t in
      [0, 1 - s], where z leads along an arc from one random latent to another (a line, if they are uniform), and s is `step`.
    - `path-w-f`: the same along the line between two codes, of generators that map latents to codes.
    """

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        self.options, self.spec = options, spec

    def __call__(self, material: Material) -> Measured:
        """The figures by their names."""
        generator = material.generator
        if generator is None or generator.run is None:
            raise UsageError("control is a metric of a run's generator, and these samples are without one")
        if self.spec.given_shape is not None:
            raise UsageError("control does not know what to give to a generator with a conditioning input")
        attributes = attributes_of(Registry(), generator.settings, self.spec)
        probe = Probe(Space(generator.module, self.spec), attributes, sampling=generator.sampling)
        figures, notes = self._directions(probe, generator, generator.run)
        for kind, features in material.features.items():
            figures[f"path-z-{kind}"] = self._path(probe, features, mapped=False)
            if probe.space.maps:
                figures[f"path-w-{kind}"] = self._path(probe, features, mapped=True)
        if not figures:
            raise UsageError(f"there are no directions to judge; find some with `gan directions {generator.run}`")
        return Measured(figures, notes=notes)

    def _directions(self, probe: Probe, generator: Generator, run: Path) -> tuple[dict[str, float], tuple[str, ...]]:
        """Figures of the directions in the run's folder, and what to know of these."""
        kept = directions.load(run)
        if kept.found is None:
            return {}, (f"control: there are no directions yet; find them with `gan directions {run}`",)
        count = self.options.samples
        seed = derive(kept.found.seed, "control")
        search = Search(probe, samples=max(count, SCALED_BY), seed=seed, judged_by=count)
        scale, _ = search.scale(probe.measure(search.codes))
        names = [list(probe.attributes.measures)[column] for column in scale.columns]
        figures: dict[str, float] = {}
        for name, direction in kept.found.directions.items():
            if direction.attribute not in names:
                continue
            own, seed = names.index(direction.attribute), derive(search.seed, name)
            found = judge(probe, search.judged_by, search.whitened, scale, kept.steps[name], own, seed).effects
            figures[f"{name}/change"] = found.change
            figures[f"{name}/spearman"] = found.spearman
            figures[f"{name}/others"] = found.others
            figures[f"{name}/random"] = found.random_change
        warning = kept.warning(generator.step, generator.weights, run)
        return figures, (f"control: {warning}",) if warning else ()

    def _path(self, probe: Probe, features: FeatureSets, *, mapped: bool) -> float:
        """The path length between latents, or between what they are `mapped` to."""
        count, step, space = self.options.samples, self.options.step, probe.space
        places = torch.arange(count, device=space.device)
        begin = Draws(derive(0, "path length", "at"), places).uniform("at").double() * (1.0 - step)
        ends = [draw_latent(space.generator, Draws(derive(0, "path length", end), places)) for end in ("one", "other")]
        classes = probe.codes(count, 0).classes
        sets = []
        for at in (begin, begin + step):
            if mapped or not space.maps:
                one, other = (space.start(z, classes) for z in ends)
                codes = moved(one, (line if space.straight else arc)(one.w, other.w, at))
            else:
                way = line if space.prior.kind == "uniform" else arc
                z = way(ends[0].flatten(1), ends[1].flatten(1), at).view_as(ends[0])
                codes = space.start(z, classes)
            rows = [slice(start, start + CHUNK) for start in range(0, count, CHUNK)]
            x = torch.cat([probe.samples(codes_at(codes, row)) for row in rows])
            sets.append(features.of(Samples(x, labels_of(codes))))
        return float((sets[1] - sets[0]).double().square().sum(dim=1).mean()) / step**2
