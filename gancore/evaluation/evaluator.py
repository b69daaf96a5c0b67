"""`gan evaluate` as a function: which samples are compared, every metric called, and the outcome kept in the run's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gancore.components import DataSource, ProgressReport
from gancore.configuration.configure import choose_metrics, configure
from gancore.configuration.layers import METRICS, nest
from gancore.configuration.settings import Chosen, Settings
from gancore.data.fingerprint import fingerprint
from gancore.data.held_out import split
from gancore.data.report import silent
from gancore.data.spec import SampleSpec
from gancore.errors import DataError, GanError, UsageError
from gancore.evaluation.keeping import keep
from gancore.evaluation.measuring import build_features, build_metrics, measure
from gancore.evaluation.records import Evaluation, EvaluationProtocol, Material, Part, Samples
from gancore.evaluation.sets import affordable, compare, draw, generate, log_likelihood, renamed
from gancore.evaluation.summary import summary
from gancore.options import check_whole
from gancore.plugins import Registry
from gancore.random import derive
from gancore.run import RunFolder, versions
from gancore.sampling.generator import MOST, Generator
from gancore.sampling.loading import DRAWING, load
from gancore.text import check_path

SAMPLES = 1000
"""How many samples are generated, unless said otherwise, where there are not more real ones."""


def evaluate(
    run: str | Path,
    *,
    data: str | Path | None = None,
    samples: int | None = None,
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
        samples: How many to generate; there are at most as many real ones. Without, 1,000, or where the plugin says so and there
            are as many real ones, more.
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
    if samples is not None:
        check_whole(samples, "the number of samples", 1, MOST)
    check_whole(seed, "the seed", 0)
    if data is not None:
        check_path(data, "data")
    layer = folder.read_config()
    settings = configure(registry, layers=[layer]).updated(device=device)
    layers = nest(options or {})
    sampling = {k: layers.pop(k) for k in DRAWING if k in layers}
    chosen, features = _metrics(registry, settings, folder, metrics, layers)
    other = None if data is None else _settings_of(registry, data, layer, settings)
    generator = load(run, device=device, registry=registry, step=step, options=sampling)
    built, failures = build_metrics(chosen, generator.spec, settings.run.plugin, seed)
    train_source = _training_data(settings, generator.spec, folder, progress)
    parts = split(train_source, settings.run.held_out)
    shown = min(len(parts.train), affordable(train_source))
    train = draw(train_source, parts.train, shown, derive(seed, "evaluate", "train"), progress, "reading training data")
    notes = _since_training(generator, train_source, settings)
    if other is not None:
        reference: Part = "other data"
        source: DataSource = other.data.with_unset(generator.spec.reading).build(progress)
        notes += compare(generator.spec, source.spec, str(data))
        rows = torch.arange(len(source))
    elif len(parts.held_out):
        reference, source, rows = "held-out part", train_source, parts.held_out
    else:
        reference, source, rows = "training set", train_source, parts.train
        notes.append(
            "real: the training set, because nothing was held out; a generator that copies it looks perfect. Train with "
            "held_out=0.1, or give other data"
        )
    if samples is None:
        usual = registry.load(settings.run.plugin).info.evaluated
        samples = min(usual, max(SAMPLES, len(rows)))
    if reference == "training set":
        real = train.part(slice(samples))
    else:
        count = min(samples, len(rows))
        real = draw(source, rows, count, derive(seed, "evaluate", "real"), progress, "reading real samples")
        x = generator.spec.adopt(real.x, source.spec)
        real = Samples(x, renamed(real.condition, source.spec, generator.spec))
    candidates = generator.settings.run.candidates
    if candidates.count > 1:
        notes.append(
            f"generated: each was chosen among {candidates.count} samples by the discriminator; no other column is"
        )
    progress("generating samples", 0, samples)
    generated = generate(generator, real, train, samples, seed)
    others = {}
    for name, rival in generator.others.items():
        progress(f"generating samples of {name}", 0, samples)
        others[name] = generate(rival, real, train, samples, seed)
    vectors, more = build_features(
        features, generator.spec, train=train, keep=[real], device=device, seed=seed, progress=progress
    )
    failures |= more
    material = Material(
        generated=generated,
        real=real,
        train=train,
        held_out=reference != "training set",
        log_likelihood=log_likelihood(generator),
        others=others,
        others_log_likelihood={n: own for n, g in generator.others.items() if (own := log_likelihood(g)) is not None},
        features=vectors,
    )
    measured = measure(built, material, seed, progress)
    notes += measured.notes
    failures |= measured.failures
    failures = {name: failures[name] for name in (*features, *chosen) if name in failures}
    if metrics is None:  # whoever asks for one by name is told that there is none
        for name in [n for n, failure in failures.items() if failure.missing_package]:
            notes.append(f"left out: {failures.pop(name).cause}")
    found = Evaluation(
        run=str(run),
        step=generator.step,
        plugin=settings.run.plugin,
        figures=measured.figures,
        failures=failures,
        notes=tuple(notes),
        summary=tuple(summary(measured.figures)),
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
            features={
                n: {**features[n].dump(), "fingerprint": one.extractor.fingerprint} for n, one in vectors.items()
            },
            versions=_versions(registry, settings, chosen),
        ),
    )
    return keep(replace(found, others=tuple(others)), measured.pictures, folder)


def _metrics(
    registry: Registry,
    settings: Settings,
    folder: RunFolder,
    names: Sequence[str] | None,
    options: Mapping[str, Any] | None,
) -> tuple[dict[str, Chosen], dict[str, Chosen]]:
    """Metrics and features, by name."""
    if names is not None and isinstance(other := (options or {}).get(METRICS), str | list | tuple):
        asked = " ".join(f"--metric {name}" for name in names)
        raise UsageError(f"{asked} and {METRICS}={other} contradict each other; leave one of them out")
    layers: list[Mapping[str, Any]] = [] if names is None else [{METRICS: list(names)}]
    plugin = settings.run.plugin
    chosen, features = choose_metrics(registry, plugin, settings.data, [*layers, nest(options or {})])
    if not chosen:
        why = "no metric was left" if names is not None or options else f"plugin '{plugin}' has no metrics"
        raise UsageError(
            f"{why}, so there is nothing to compute; name one of another plugin with --metric PLUGIN:NAME, or look at the "
            f"sheets in {folder.samples}"
        )
    return chosen, features


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


def _versions(registry: Registry, settings: Settings, chosen: Mapping[str, Chosen]) -> dict[str, str | None]:
    used = {settings.run.plugin, *(metric.found.plugin for metric in chosen.values())}
    return versions() | {p.distribution: p.version for p in registry.installed() if p.name in used and p.distribution}
