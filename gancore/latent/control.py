"""The metric `control`: what a run's directions do to samples, what its codes tell of them, and how evenly these change between."""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor

from gancore.data.spec import SampleSpec
from gancore.errors import UsageError
from gancore.evaluation.attributes import attributes_of
from gancore.evaluation.class_attributes import PREFIX, class_attributes
from gancore.evaluation.records import FeatureSets, Material, Measured, Samples
from gancore.games.calling import draw_latent
from gancore.latent import directions
from gancore.latent.dci import dci, turned
from gancore.latent.directions import Kept
from gancore.latent.probing import Probe, centred, codes_at, labels_of
from gancore.latent.resolving import arc, line
from gancore.latent.search import Scale, Search, judge
from gancore.latent.space import Space, moved
from gancore.options import Options as BaseOptions
from gancore.plugins import Registry
from gancore.random import Draws, derive
from gancore.sampling.drawing import CHUNK, parts_of
from gancore.sampling.generator import Generator

PARTLY = 0.1
"""DCI is without attributes that a smaller share of samples has."""


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
    codes: int = Field(
        2000,
        ge=400,
        le=1_000_000,
        description="Samples of whose codes DCI is, and of which standard deviations are taken.",
    )
    factors: tuple[str, ...] = Field(
        (), description="Attributes that DCI is of, at least two, such as `hue,fill`; when not given, all that vary."
    )


class Control:
    """What edits do, in standard deviations of attributes among samples of one class, path length, and what codes tell.

    For each direction `d` of the run's folder, by samples that it was not found by, with edits from -2 to 2 in steps of a half:

    - `d/change`: mean over samples of the slope of the line of least squares of its attribute on the edit.
    - `d/spearman`: mean over samples of Spearman's rank correlation of edit and attribute.
    - `d/others`: mean over the other attributes and samples of the absolute slope.
    - `d/random`: root mean square of the `change` of random directions as long.

    Where something is given, samples are made around what real samples give, in turn. By how these differ no code is told, and it
    counts in the standard deviations of attributes.

    And for features `f`:

    - `path-z-f`: perceptual path length (Karras et al. 2019), the mean of |f(G(z(t))) - f(G(z(t + s)))|^2 / s^2 for random t in
      [0, 1 - s], where z leads along an arc from one random latent to another (a line, if they are uniform), and s is `step`.
    - `path-w-f`: the same along the line between two codes, of generators that map latents to codes.

    DCI (Eastwood & Williams 2018) of latents, and `dci-w` of what they are mapped to, with attributes as factors and the effect of the
    class taken out of both; see `gancore.latent.dci` for the regressions, whose coefficients are the importances R:

    - `dci-z/disentanglement`: mean over the numbers of a code, weighted by their share of all importance, of 1 less the entropy of
      their importances for factors, to the base of how many factors there are.
    - `dci-z/completeness`: mean over factors of 1 less the entropy of the importances of numbers for them, to the base of how many
      numbers a code has.
    - `dci-z/random-disentanglement`, `dci-z/random-completeness`: those of the same codes turned at random, which tell as much.
    - `dci-z/error`: informativeness, the mean over factors of the root mean squared error on samples that were not learnt from, in
      standard deviations of the factor; `dci-z/error/a`: of attribute `a` alone.
    """

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        self.options, self.spec = options, spec

    def __call__(self, material: Material) -> Measured:
        """The figures by their names."""
        generator = material.generator
        if generator is None or generator.run is None:
            raise UsageError("control is a metric of a run's generator, and these samples are without one")
        registry, kept = Registry(), directions.load(generator.run)
        space = Space(generator.module, self.spec)
        attributes = attributes_of(registry, generator.settings, self.spec)
        if kept.found is not None and kept.found.classes:
            names, by = kept.found.classes, kept.found.features
            attributes = attributes.joined(
                class_attributes(registry, generator.settings, self.spec, names, features=by, device=space.device)
            )
        parts = None if self.spec.given_shape is None else parts_of(self.spec, in_turns(material.real, self.spec))
        probe = Probe(space, attributes, parts=parts, sampling=generator.sampling)
        begin = 0 if kept.found is None else kept.found.seed
        count, most = self.options.samples, self.options.codes
        search = Search(probe, samples=most, seed=derive(begin, "control"), judged_by=count)
        scale, standard = search.scale(probe.measure(search.codes))
        figures, notes = self._directions(search, scale, kept, generator)
        told, more = self._dci(search, scale, standard)
        figures, notes = figures | told, [*notes, *more]
        for kind, features in material.features.items():
            figures[f"path-z-{kind}"] = self._path(probe, features, mapped=False)
            if probe.space.maps:
                figures[f"path-w-{kind}"] = self._path(probe, features, mapped=True)
        if not figures:
            raise UsageError("; ".join(notes))
        return Measured(figures, notes=tuple(f"control: {note}" for note in notes))

    def _directions(
        self, search: Search, scale: Scale, kept: Kept, generator: Generator
    ) -> tuple[dict[str, float], list[str]]:
        """Figures of the directions `kept` in the run's folder, and what to know of these."""
        run, probe = generator.run, search.probe
        if kept.found is None or run is None:
            return {}, [f"there are no directions to judge; find some with `gan directions {run}`"]
        names = [list(probe.attributes.measures)[column] for column in scale.columns]
        left_out = probe.attributes.left_out
        notes = [f"without directions towards classes: {left_out['classes']}"] if "classes" in left_out else []
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
        return figures, [*notes, warning] if warning else notes

    def _dci(self, search: Search, scale: Scale, standard: Tensor) -> tuple[dict[str, float], list[str]]:
        """Scores of the codes of `search`, whose attributes, of `scale`, are `standard`; and why of fewer attributes than asked for."""
        own = zip(search.names, search.probe.attributes.measures, strict=True)
        usual = [name for name, qualified in own if not qualified.startswith(PREFIX)]
        asked = dict.fromkeys(self.options.factors or usual)
        if unknown := [name for name in asked if name not in search.names]:
            raise UsageError(f"control.factors: there is no attribute '{unknown[0]}' among {', '.join(search.names)}")
        shares = dict(zip(scale.names, (~standard.isnan()).double().mean(dim=0).tolist(), strict=True))
        why = {name: search.left_out[name] for name in asked if name in search.left_out}
        why |= {n: f"only {shares[n]:.1%} of samples have it" for n in asked if shares.get(n, 1.0) < PARTLY}
        alike: dict[str, list[str]] = {}
        for name, reason in why.items():
            alike.setdefault(reason, []).append(name)
        notes = [f"DCI is without {', '.join(few)}: {reason}" for reason, few in alike.items()]
        names = [name for name in asked if name not in why]
        if len(names) < 2:
            return {}, [*notes, "there is no DCI of fewer than two attributes that vary"]
        factors = standard[:, [scale.names.index(name) for name in names]]
        figures: dict[str, float] = {}
        for kind, codes in self._codes(search).items():
            found, other = dci(codes, factors), dci(turned(codes, derive(search.seed, "turned")), factors)
            scores = {
                "disentanglement": found.disentanglement,
                "random-disentanglement": other.disentanglement,
                "completeness": found.completeness,
                "random-completeness": other.completeness,
                "error": float(found.errors.mean()),
                **{f"error/{name}": error for name, error in zip(names, found.errors.tolist(), strict=True)},
            }
            if lacks := [name for name, score in scores.items() if math.isnan(score)]:
                why_not = "no attribute follows from it by a line, or it is a single number"
                notes.append(f"DCI of {kind} is without {', '.join(lacks)}: {why_not}")
            figures |= {f"dci-{kind}/{name}": score for name, score in scores.items() if not math.isnan(score)}
        return figures, notes

    def _codes(self, search: Search) -> dict[str, Tensor]:
        """Those of `search` by kind, `z` and where there are such `w`: float64 `[n, k]` of numbers that vary, class taken out."""
        probe, w = search.probe, search.codes.w
        same = bool((w == w[:, :1]).all())  # one code for all layers is one code
        found = {"w" if probe.space.maps else "z": w[:, :1] if same else w}
        if probe.space.maps:
            found = {"z": probe.latents(len(w), search.codes_seed), **found}
        labels, varied = labels_of(search.codes), {}
        for kind, codes in found.items():
            if codes.is_floating_point():
                rows = centred(codes.flatten(1).double().cpu(), labels)
                deviation = rows.square().mean(dim=0).sqrt()
                varied[kind] = rows[:, deviation > 1e-6 * deviation.max()]
        return varied

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
            x = torch.cat([probe.samples(codes_at(codes, row), row.start) for row in rows])
            sets.append(features.of(Samples(x, labels_of(codes))))
        return float((sets[1] - sets[0]).double().square().sum(dim=1).mean()) / step**2


def in_turns(real: Samples, spec: SampleSpec) -> Tensor:
    """Samples of `real` `[m, ...]` whose classes take turns, as those of codes do; all as they are where a class is missing."""
    if real.condition is None or not spec.classes:
        return real.x
    rows = [(real.condition == number).nonzero()[:, 0] for number in range(spec.class_count)]
    fewest = min(map(len, rows))
    return real.x[torch.stack([own[:fewest] for own in rows], dim=1).flatten()] if fewest else real.x
