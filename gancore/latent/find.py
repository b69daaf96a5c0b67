"""`gan directions` as a function: the directions of a run, found and kept in its folder."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from gancore.components import ProgressReport
from gancore.configuration.layers import FEATURES, nest
from gancore.configuration.settings import Settings
from gancore.data.report import silent
from gancore.disk import cause
from gancore.evaluation.attributes import attributes_of
from gancore.evaluation.class_attributes import class_attributes
from gancore.latent import directions
from gancore.latent.curves import Direction, step_along
from gancore.latent.directions import Found
from gancore.latent.probing import Probe
from gancore.latent.search import SAMPLES, Search
from gancore.latent.space import moved
from gancore.latent.steering import Steering
from gancore.plugins import Registry
from gancore.random import derive
from gancore.run import RunFolder, check_place
from gancore.sampling.drawing import parts_of, settled
from gancore.sampling.loading import DRAWING, Step, load
from gancore.sampling.writing import captioning, of_role, write_captioned

SHOWN = tuple(range(-3, 4))
"""Edits that a sheet shows, a column each ..."""
ROWS = 4
"""... of so many samples."""


def find_directions(
    run: str | Path,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    step: Step = None,
    device: str = "auto",
    given: Path | None = None,
    classes: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    progress: ProgressReport = silent,
    registry: Registry | None = None,
) -> tuple[Path, Found]:
    """Find the directions of the run in folder `run`, keep them there in place of others, and draw a sheet of each.

    `options` are those of attributes, `{"attributes": "brightness,fill"}`, and of how samples are drawn; `given` is the conditioning
    input, where the data have one. With `classes` of the training data, `("all",)` for each, there are also directions towards these;
    what classifies samples may be among `options`, `{"features": "pixels"}`: see `class_attributes`.

    Raises:
        RunFolderError: it is no run.
        ConfigError: a mistake in `options`.
        CheckpointError: nothing usable was saved.
        UsageError: the generator has no codes that can be moved, or there is no such class.
    """
    registry = registry or Registry()
    layers = nest(options or {})
    drawing = {key: layers.pop(key) for key in DRAWING if key in layers}
    place = RunFolder.open(Path(run)).path
    check_place(place / directions.FOLDER, "take a copy of the run in a place that you can write to")
    generator = load(run, device=device, registry=registry, step=step, options=drawing)
    features = layers.pop(FEATURES, None) if classes else None
    attributes = attributes_of(registry, generator.settings, generator.spec, [layers])
    known = None if given is None else generator.read_given(given)
    space = Steering(generator, given=known).space
    parts = None if known is None else parts_of(space.spec, settled(space.spec, known.x))
    if classes:
        attributes = attributes.joined(
            class_attributes(
                registry,
                generator.settings,
                generator.spec,
                classes,
                features=features,
                device=space.device,
                progress=progress,
            )
        )
    probe = Probe(space, attributes, parts=parts, sampling=generator.sampling, progress=progress)
    search = Search(probe, samples=samples, seed=seed, progress=progress)
    outcome = search.run()
    found = Found(
        step=generator.step,
        weights=generator.weights,
        seed=seed,
        samples=samples,
        judged=len(search.judged_by),
        classes=tuple(classes),
        features=features,
        directions=outcome.directions,
        left_out={**attributes.left_out, **outcome.left_out},
    )

    def draw(folder: Path) -> None:
        for number, (name, its) in enumerate(outcome.steps.items(), 1):
            progress("drawing sheets", number, len(outcome.steps))
            one = found.directions[name]
            words = f"{name}: {one.less} ... {one.more}" if one.attribute else name
            if not _sheet(probe, generator.settings, its, folder, name, words, seed):
                break

    return directions.save(place, found, outcome.steps, draw), found


def _sheet(
    probe: Probe, settings: Settings, direction: Direction, folder: Path, name: str, title: str, seed: int
) -> bool:
    """Write what a few samples become along `direction`, by the run's writers of sheets; False where one failed, which is told."""
    codes = probe.codes(ROWS, derive(seed, "directions", "shown"))
    mean = probe.space.mean(codes.classes)
    amounts = [torch.full((ROWS,), float(amount), device=codes.w.device) for amount in SHOWN]
    moves = [moved(codes, codes.w + step_along(direction, codes, mean, amount)) for amount in amounts]
    samples = torch.stack([probe.samples(one) for one in moves], dim=1).flatten(0, 1)
    captions = [f"{amount:+d}" if amount else "0" for amount in SHOWN] * ROWS
    stem = re.sub(r"[^\w-]", "-", name)
    for chosen in captioning(of_role(settings, "sheet")):
        try:
            write_captioned(chosen, probe.space.spec, samples, folder, stem, captions, len(SHOWN), title)
        except (Exception, SystemExit) as error:
            warnings.warn(
                f"writer '{chosen.found.qualified}' could not show directions: {cause(error, folder)}", stacklevel=2
            )
            return False
    return True
