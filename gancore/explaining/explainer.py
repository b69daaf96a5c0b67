"""All that can be said of why a sample of a run is as it is, and the pictures of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancore.components import ProgressReport
from gancore.configuration.configure import choose_metrics
from gancore.data.report import silent
from gancore.devices import pick_device
from gancore.disk import cause
from gancore.drawing import captioned
from gancore.errors import DataError
from gancore.evaluation.attributes import Attributes, attributes_of
from gancore.evaluation.evaluator import training_data
from gancore.evaluation.measuring import build_features
from gancore.evaluation.neighbours import nearest
from gancore.evaluation.records import Samples
from gancore.evaluation.reference import reference_of_run
from gancore.explaining.carriers import carriers
from gancore.explaining.saliency import as_sample, found_false, heatmap, plane
from gancore.games.calling import mixes_batch
from gancore.latent.address import Address
from gancore.latent.recipe import GivenFile
from gancore.latent.resolving import codes_of
from gancore.latent.saving import labels_of
from gancore.latent.steering import Steering, seeds
from gancore.plugins import Registry
from gancore.powers import Judges, SamplesItself
from gancore.run import RunFolder
from gancore.sampling.generator import Generator
from gancore.sampling.loading import open_run
from gancore.sampling.writing import captioning, of_role, write_captioned
from gancore.storage import fill

NEIGHBOURS = 7
LOOKED_THROUGH = 2000
"""Training samples among which neighbours are looked for, at most: `gan evaluate` looks through more, and takes its time."""
ABLATED = 256
"""Samples of which layers are looked at."""
MOST_VALUES = 4096
"""Of a map, in explain.json."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """What `explain` found.

    `logit` is what the discriminator says of the sample, and `false` the map of what it minds, `[rows, columns]`; None without a
    discriminator. `distances` are those of the nearest training samples by the features `by`. `attributes` have the sample's `value`,
    the mean and standard deviation over other samples, and what `gancore.explaining.carriers.Carriers` has, by number of `layers`.
    """

    sample: Mapping[str, Any]
    logit: float | None = None
    false: Tensor | None = None
    by: str = ""
    distances: tuple[float, ...] = ()
    attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    layers: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()

    def dump(self) -> dict[str, Any]:
        """Plain values, for JSON; the map only where it is small."""
        small = self.false is not None and self.false.numel() <= MOST_VALUES
        return asdict(self) | {"false": self.false.tolist() if self.false is not None and small else None}


def explain(
    steering: Steering,
    address: Address,
    folder: Path,
    *,
    samples: int = ABLATED,
    given: GivenFile | None = None,
    registry: Registry | None = None,
    progress: ProgressReport = silent,
) -> Explanation:
    """Explain the sample at `address` of a generator that was loaded from a run, and write `explain.json` and pictures into `folder`.

    `given` is the file of what `steering` makes samples for.

    Raises:
        UsageError: the generator cannot make it.
    """
    registry, own = registry or Registry(), steering.generator
    folder.mkdir(parents=True, exist_ok=True)
    hard, [recipe] = steering.sample([address]), steering.recipes([address], given)
    labels = _class_of(steering, address)
    if of_role(own.settings, "each"):
        # Not by the name of what is given, which may be that of another file here.
        unnamed = None if steering.given is None else replace(steering.given, names=())
        own.save(hard, folder, labels, given=unnamed, overwrite=True, texts=[recipe.text()])
    notes: list[str] = []
    logit, values = _judged(own, hard, labels, folder, registry, notes)
    by, distances = _neighbours(own, Samples(hard, labels), folder, registry, progress, notes)
    attributes, layers = _layers(steering, hard, samples, registry, progress, notes)
    found = Explanation(
        sample=json.loads(recipe.text()),
        logit=logit,
        false=values,
        by=by,
        distances=distances,
        attributes=attributes,
        layers=layers,
        notes=tuple(notes),
    )
    text = json.dumps(found.dump(), indent=1, ensure_ascii=False) + "\n"
    fill(folder / "explain.json", lambda file: file.write(text.encode()))
    return found


def _class_of(steering: Steering, address: Address) -> Tensor | None:
    """The class `[1]` of a sample; None without classes, or where it is between several."""
    labels = labels_of(steering.spec, [address])
    if labels is None and steering.spec.classes:
        weights = codes_of(steering.space, [address], steering.directions).classes
        if weights is not None and float(weights.max()) == 1.0:
            labels = weights.argmax(dim=1).cpu()
    return labels


def _judged(
    own: Generator, hard: Tensor, labels: Tensor | None, folder: Path, registry: Registry, notes: list[str]
) -> tuple[float | None, Tensor | None]:
    """What the discriminator says of a sample, with a picture."""
    assert own.run is not None
    saved = open_run(own.run, registry=registry, step=own.step)
    name = saved.game.judge if isinstance(saved.game, Judges) else "discriminator"
    if name is None or name not in saved.game.networks:
        notes.append("left out: what is false, for this game has no discriminator")
        return None, None
    if labels is None and own.spec.classes:
        notes.append(
            "left out: what is false, for the discriminator judges samples of one class, and this is of several"
        )
        return None, None
    judge = saved.restored(name, name).eval().requires_grad_(False)
    if mixes_batch(judge):
        notes.append("the discriminator compares samples of a batch with each other, and has seen this one alone")
    logit, values = found_false(judge, own.spec, hard, labels)
    flat = plane(values, tuple(hard.shape[1:]))
    title = (
        f"Where the discriminator would change its mind (logit {logit:.3g}): darkest where it would most, by {flat.max():.2g} for a "
        "standard deviation"
    )
    shown = as_sample(flat, own.spec)
    if shown is None:
        _save(captioned([heatmap(flat)], [""], 1, title), folder / "false.png")
    else:
        words = title.replace("darkest", "brightest")
        _sheet(own, torch.cat([hard, shown]), folder, "false", ["sample", "what it minds"], 2, words, notes)
    return logit, flat


def _neighbours(
    own: Generator, sample: Samples, folder: Path, registry: Registry, progress: ProgressReport, notes: list[str]
) -> tuple[str, tuple[float, ...]]:
    """The nearest training samples, on a sheet: by the first features of the plugin, or without any by the numbers themselves."""
    assert own.run is not None
    settings = own.settings
    try:
        source = training_data(settings, own.spec, RunFolder.open(own.run), progress)
    except DataError as error:
        notes.append(f"left out: the nearest training samples ({error})")
        return "", ()
    reference = reference_of_run(
        source, settings.run.held_out, usual=1, count=1, shown=LOOKED_THROUGH, seed=0, progress=progress
    )
    train = reference.train
    _, chosen = choose_metrics(registry, settings.run.plugin, settings.data)
    device = pick_device("cpu")
    built, failures = build_features(
        dict([*chosen.items()][:1]), own.spec, train=train, keep=[], device=device, seed=0, progress=progress
    )
    notes += [f"features {name} could not be used: {failure.cause}" for name, failure in failures.items()]
    if built:
        [(by, features)] = built.items()
        closest = float(features.nearest(sample, 1)[0])
        found = features.neighbours(sample, 0, NEIGHBOURS, closest)
    else:
        by = "the numbers themselves"
        one, others = (own.spec.relax(x).flatten(1) for x in (sample.x, train.x))
        found = nearest(one, others, min(NEIGHBOURS, len(train)))
    distances = tuple(float(distance) for distance in found.distances[0])
    captions = ["generated", *(f"{distance:.3g} away" for distance in distances)]
    among = f"{len(train):,}" if len(train) == reference.train_size else f"{len(train):,} of {reference.train_size:,}"
    title = f"The sample, and the {len(distances)} of {among} training samples that are nearest to it by {by}"
    _sheet(
        own, torch.cat([sample.x, train.x[found.places[0]]]), folder, "nearest", captions, len(captions), title, notes
    )
    return by, distances


def _layers(
    steering: Steering, hard: Tensor, samples: int, registry: Registry, progress: ProgressReport, notes: list[str]
) -> tuple[dict[str, dict[str, Any]], tuple[dict[str, Any], ...]]:
    """Attributes of the sample, and which layers of the generator carry them."""
    own = steering.generator
    known: Attributes = attributes_of(registry, own.settings, own.spec)
    notes += [f"left out: {name} ({why})" for name, why in known.left_out.items()]
    if not known.measures:
        notes.append("left out: layers, for no attribute of these samples is known")
        return {}, ()
    # Each as it is made, for a choice among candidates would be another one without a layer.
    plain = Steering(Generator(own.module, own.spec, own.settings, own.step), given=steering.given)
    addresses = seeds(samples)
    progress(f"generating {samples:,} samples", 0, 0)
    usual = known.measure(plain.sample(addresses))
    mine = known.measure(hard)
    attributes: dict[str, dict[str, Any]] = {}
    for name, record in known.records.items():
        values = usual[name][usual[name].isfinite()]
        attributes[name] = {
            "value": _number(mine[name][0]),
            "mean": _number(values.mean()) if len(values) else None,
            "std": _number(values.std(unbiased=False)) if len(values) else None,
            "unit": record.unit,
            "less": record.less,
            "more": record.more,
        }
    if isinstance(own.module, SamplesItself):
        notes.append("left out: layers, for this generator makes a sample part by part and not in one pass")
        return attributes, ()
    progress("looking for layers and units", 0, 0)
    found, carried = carriers(own.module, lambda: plain.sample(addresses), known.measure)
    for name, one in carried.items():
        attributes[name] |= {
            "units": one.units,
            "correlations": one.correlations,
            "layer": one.stage,
            "effect": one.effect if math.isfinite(one.effect) else None,
        }
    return attributes, tuple({"name": stage.name, "parameters": stage.parameters} for stage in found)


def _number(value: Tensor) -> float | None:
    return float(value) if bool(value.isfinite()) else None


def _sheet(
    own: Generator,
    samples: Tensor,
    folder: Path,
    stem: str,
    captions: list[str],
    columns: int,
    title: str,
    notes: list[str],
) -> None:
    """By the run's writers of sheets; they are other people's code, and one that fails is noted."""
    for chosen in captioning(of_role(own.settings, "sheet")):
        try:
            write_captioned(chosen, own.spec, samples, folder, stem, captions, columns, title)
        except (Exception, SystemExit) as error:
            notes.append(f"writer '{chosen.found.qualified}' could not show {stem}: {cause(error, folder)}")


def _save(picture: Any, path: Path) -> None:
    file = BytesIO()
    picture.save(file, "PNG")
    fill(path, lambda target: target.write(file.getvalue()))
