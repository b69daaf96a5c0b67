"""`gan evaluate` as a function: which samples are compared, every metric called, and the outcome kept in the run's folder."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancore.components import DataSource, ProgressReport
from gancore.configuration.configure import choose_metrics, configure
from gancore.configuration.layers import METRICS, nest
from gancore.configuration.settings import Chosen, Settings, check_samples
from gancore.data.fingerprint import fingerprint
from gancore.data.held_out import split
from gancore.data.report import silent
from gancore.data.sampler import Sampler
from gancore.data.spec import SampleSpec
from gancore.errors import DataError, GanError, UsageError
from gancore.evaluation import (
    Evaluation,
    EvaluationProtocol,
    LogLikelihood,
    Material,
    Part,
    Samples,
)
from gancore.measuring import build_metrics, measure
from gancore.options import check_whole
from gancore.plugins import Registry
from gancore.powers import TellsLikelihood
from gancore.random import Draws, derive
from gancore.run import RunFolder, versions
from gancore.sampling.generator import MOST, Generator
from gancore.sampling.loading import DRAWING, load
from gancore.text import check_path

SAMPLES = 1000
"""How many samples are generated, unless said otherwise."""
MOST_TRAINED_ON = 20_000
"""Training samples that metrics are shown, at most."""
MOST_BYTES = 1 << 30
"""Memory that those may take; where samples are large, there are fewer of them."""
CHUNK = 256
"""Samples read at once."""


def evaluate(
    run: str | Path,
    *,
    data: str | Path | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
    metrics: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    device: str = "auto",
    step: int | None = None,
    progress: ProgressReport = silent,
    registry: Registry | None = None,
) -> Evaluation:
    """Compare samples of the run in folder `run` with real ones; the result is also written into the run's `evaluations/`.

    Real samples come from `data`, else from what the run held out, else from its training set. Where there are labels,
    samples are generated of the classes that the real ones have.

    Args:
        run: The run's folder.
        data: A file or folder that the run has not seen, read with its own options of the data set.
        samples: How many to generate; there are at most as many real ones.
        seed: Decides latents and which real samples are drawn.
        metrics: These and no others, `plugin:name` for another plugin's; all of the run's plugin without.
        options: Options of metrics, `{"metrics.copying.below": 0.1}`, and of how samples are drawn.
        device: Where to generate: `cpu`, `cuda`, `mps` or `auto`.
        step: The checkpoint of this step; the newest without.
        progress: Called while data are read and samples generated, and before each metric.
        registry: Plugins to choose from; those installed without.

    Raises:
        UsageError: there is nothing to compute, or something cannot be understood.
        RunFolderError: it is no run.
        CheckpointError: nothing usable was saved.
        DataError: the training data are gone, or `data` hold other samples than the run's.
    """
    registry = registry or Registry()
    check_path(run, "the run's folder")
    folder = RunFolder.open(Path(run))
    check_whole(samples, "the number of samples", 1, MOST)
    check_whole(seed, "the seed", 0)
    if data is not None:
        check_path(data, "data")
    layer = folder.read_config()
    settings = configure(registry, layers=[layer]).updated(device=device)
    layers = nest(options or {})
    sampling = {k: layers.pop(k) for k in DRAWING if k in layers}
    chosen = _metrics(registry, settings.run.plugin, folder, metrics, layers)
    check_samples(settings.data, {f"{METRICS}.{name}": metric for name, metric in chosen.items()})
    other = None if data is None else _settings_of(registry, data, layer, settings)
    generator = load(run, device=device, registry=registry, step=step, options=sampling)
    built, failures = build_metrics(chosen, generator.spec, settings.run.plugin, seed)
    train_source = _training_data(settings, generator.spec, folder, progress)
    parts = split(train_source, settings.run.held_out)
    shown = min(len(parts.train), _affordable(train_source))
    train = _draw(
        train_source, parts.train, shown, derive(seed, "evaluate", "train"), progress, "reading training data"
    )
    notes = _since_training(generator, train_source, settings)
    if other is not None:
        reference: Part = "other data"
        source: DataSource = other.data.with_unset(generator.spec.reading).build(progress)
        notes += _compare(generator.spec, source.spec, str(data))
        rows = torch.arange(len(source))
    elif len(parts.held_out):
        reference, source, rows = "held-out part", train_source, parts.held_out
    else:
        reference, source, rows = "training set", train_source, parts.train
        notes.append(
            "real: the training set, because nothing was held out; a generator that copies it looks perfect. Train with "
            "held_out=0.1, or give other data"
        )
    if reference == "training set":
        real = train.part(slice(samples))
    else:
        count = min(samples, len(rows))
        real = _draw(source, rows, count, derive(seed, "evaluate", "real"), progress, "reading real samples")
        x = generator.spec.adopt(real.x, source.spec)
        real = Samples(x, _renamed(real.condition, source.spec, generator.spec))
    candidates = generator.settings.run.candidates
    if candidates.count > 1:
        notes.append(
            f"generated: each was chosen among {candidates.count} samples by the discriminator; no other column is"
        )
    progress("generating samples", 0, samples)
    generated = _generate(generator, real, train, samples, seed)
    others = {}
    for name, rival in generator.others.items():
        progress(f"generating samples of {name}", 0, samples)
        others[name] = _generate(rival, real, train, samples, seed)
    material = Material(
        generated=generated,
        real=real,
        train=train,
        held_out=reference != "training set",
        log_likelihood=_log_likelihood(generator),
        others=others,
        others_log_likelihood={n: own for n, g in generator.others.items() if (own := _log_likelihood(g)) is not None},
    )
    figures, pictures, more = measure(built, material, seed, progress)
    failures = {name: (failures | more)[name] for name in chosen if name in failures | more}
    if metrics is None:  # whoever asks for one by name is told that there is none
        for name in [n for n, failure in failures.items() if failure.missing_package]:
            notes.append(f"left out: {failures.pop(name).cause}")
    found = Evaluation(
        run=str(run),
        step=generator.step,
        plugin=settings.run.plugin,
        figures=figures,
        failures=failures,
        notes=tuple(notes),
        protocol=EvaluationProtocol(
            generated=samples,
            real=len(real),
            reference=reference,
            reference_source=source.report.source,
            reference_size=len(rows),
            train=len(train),
            train_source=train_source.report.source,
            train_size=len(parts.train),
            held_out=settings.run.held_out,
            seed=seed,
            ema_half_life=settings.run.ema.half_life,
            sampling=None if generator.sampling is None else generator.sampling.model_dump(mode="json"),
            candidates=candidates.model_dump(mode="json"),
            device=str(next(generator.module.parameters()).device),
            metrics={name: metric.dump() for name, metric in chosen.items()},
            versions=_versions(registry, settings, chosen),
        ),
    )
    return _write(replace(found, others=tuple(others)), pictures, folder)


def _metrics(
    registry: Registry,
    plugin: str,
    folder: RunFolder,
    names: Sequence[str] | None,
    options: Mapping[str, Any] | None,
) -> dict[str, Chosen]:
    if names is not None and isinstance(other := (options or {}).get(METRICS), str | list | tuple):
        asked = " ".join(f"--metric {name}" for name in names)
        raise UsageError(f"{asked} and {METRICS}={other} contradict each other; leave one of them out")
    layers: list[Mapping[str, Any]] = [] if names is None else [{METRICS: list(names)}]
    chosen = choose_metrics(registry, plugin, [*layers, nest(options or {})])
    if not chosen:
        why = "no metric was left" if names is not None or options else f"plugin '{plugin}' has no metrics"
        raise UsageError(
            f"{why}, so there is nothing to compute; name one of another plugin with --metric PLUGIN:NAME, or look at the "
            f"sheets in {folder.samples}"
        )
    return chosen


def _training_data(settings: Settings, spec: SampleSpec, folder: RunFolder, progress: ProgressReport) -> DataSource:
    """The data that the run was trained on, whole."""
    try:
        source: DataSource = settings.data.build(progress)
    except GanError as error:
        raise DataError(
            f"the training data of '{folder.path}', which metrics compare with, cannot be opened: {error}. Put them back, or "
            f"say in the section [data] of {folder.config} where they are now"
        ) from error
    before, now = spec.model_dump(mode="json"), source.spec.model_dump(mode="json")
    changed = [name for name in before | now if before.get(name) != now.get(name)]
    if changed:
        raise DataError(
            f"{source.report.source}: the training data have changed since the run was saved, in {', '.join(changed)}; "
            "put back those that it was trained on"
        )
    return source


def _since_training(generator: Generator, source: DataSource, settings: Settings) -> list[str]:
    """What to know of training data that are no longer those that the generator was trained on."""
    then = generator.data
    if then is None:
        return []
    changes = then.fingerprint.differences(fingerprint(source))
    if then.held_out != settings.run.held_out:
        changes.append(f"held_out was {then.held_out:g}, now is {settings.run.held_out:g}")
    return [
        f"the data have changed since the run was trained ({change}): samples counted as held out may have been used for training"
        for change in changes
    ]


def _settings_of(registry: Registry, data: str | Path, layer: Mapping[str, Any], settings: Settings) -> Settings:
    """The run's settings with other data, which it has not seen."""
    asked = configure(registry, data=data, layers=[layer])
    theirs, own = asked.data_path, settings.data_path
    if theirs is not None and own is not None and theirs.resolve() == own.resolve():
        raise UsageError(
            f"'{theirs}' is what the run was trained on; name other data, or none, for the part that was held out"
        )
    return asked


def _compare(spec: SampleSpec, other: SampleSpec, name: str) -> list[str]:
    """What to know of data whose spec is not quite the run's. DataError where they cannot be compared."""
    fields = ("shape", "dtype", "value_range")
    if not spec.adopts(other):
        unlike = [
            f"{k} is {getattr(other, k)}, the run's {getattr(spec, k)}"
            for k in fields
            if getattr(other, k) != getattr(spec, k)
        ]
        raise DataError(f"data '{name}' hold other samples than those that the run makes: {'; '.join(unlike)}")
    strange = sorted({*other.classes} - {*spec.classes}) if spec.classes else []
    if strange:
        raise DataError(
            f"data '{name}' have classes that the run does not know ({', '.join(strange)}); it knows {', '.join(spec.classes)}"
        )
    before, now = spec.model_dump(mode="json"), other.model_dump(mode="json")
    known = {*fields, "classes", *spec.measured}
    rest = [k for k in before | now if k not in known and before.get(k) != now.get(k)]
    return [f"real: {name} differs from the training data in {', '.join(rest)}"] if rest else []


def _renamed(labels: Tensor | None, theirs: SampleSpec, own: SampleSpec) -> Tensor | None:
    """Class indices of other data as those of the run, by the names of the classes."""
    if labels is None or not own.classes:
        return None
    return torch.tensor([own.classes.index(name) for name in theirs.classes])[labels]


def _affordable(source: DataSource) -> int:
    """How many of its samples metrics are shown, at most."""
    first, _ = source.fetch(torch.zeros(1, dtype=torch.int64), Draws(0, torch.zeros(1, dtype=torch.int64)))
    return min(MOST_TRAINED_ON, max(1, MOST_BYTES // (first.element_size() * first.numel())))


def _draw(source: DataSource, rows: Tensor, count: int, seed: int, progress: ProgressReport, words: str) -> Samples:
    """`count` samples out of those at `rows`, drawn without replacement."""
    positions = torch.arange(count)
    drawn = rows[Sampler(len(rows), seed).indices(positions)]
    x, labels = [], []
    for part in positions.split(CHUNK):
        some, classes = source.fetch(drawn[part], Draws(seed, part))
        x.append(some)
        labels += [] if classes is None else [classes]
        progress(words, int(part[-1]) + 1, count)
    return Samples(torch.cat(x), torch.cat(labels) if labels else None)


def _generate(generator: Generator, real: Samples, train: Samples, count: int, seed: int) -> Samples:
    """`count` samples of the classes of the real ones, and around what they give: those of the first again where more are made."""
    like = real if real.condition is not None else train
    labels = None if like.condition is None else like.condition[torch.arange(count) % len(like)]
    given = None if generator.spec.given_shape is None else real.x
    return Samples(generator.sample(count, seed=seed, condition=labels, given=given), labels)


def _log_likelihood(generator: Generator) -> LogLikelihood | None:
    """The generator's own, where it can tell."""
    if not isinstance(generator.module, TellsLikelihood):
        return None
    return lambda samples: generator.log_likelihood(samples.x, samples.condition)


def _versions(registry: Registry, settings: Settings, chosen: Mapping[str, Chosen]) -> dict[str, str | None]:
    used = {settings.run.plugin, *(metric.found.plugin for metric in chosen.values())}
    return versions() | {p.distribution: p.version for p in registry.installed() if p.name in used and p.distribution}


def _write(found: Evaluation, pictures: Mapping[str, bytes], folder: RunFolder) -> Evaluation:
    """Write it as `evaluations/step-00002000.json`, or `...-2.json` and so on where that is taken; a warning where it cannot be.

    Pictures are beside it, `step-00002000-NAME.png`.
    """
    stem = f"step-{found.step:08d}"
    names = (stem if number == 1 else f"{stem}-{number}" for number in itertools.count(1))
    try:
        folder.evaluations.mkdir(exist_ok=True)
        path = next(path for name in names if not (path := folder.evaluations / f"{name}.json").exists())
        drawn = {path.with_name(f"{path.stem}-{name}.png"): picture for name, picture in pictures.items()}
        found = replace(found, pictures=tuple(drawn))
        with path.open("x", encoding="utf-8") as file:
            file.write(found.to_json())
        for place, picture in drawn.items():
            place.write_bytes(picture)
    except OSError as error:
        warnings.warn(
            f"the evaluation is not kept: '{folder.evaluations}' cannot be written to ({error.strerror})", stacklevel=3
        )
        return found
    return replace(found, path=path)
