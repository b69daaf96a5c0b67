"""`gan evaluate --samples` as a function: samples in files, whoever made them, held against real ones in files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from gancore.components import DataSource, ProgressReport
from gancore.configuration.configure import choose_metrics, configure
from gancore.configuration.layers import METRICS, nest
from gancore.data.report import silent
from gancore.errors import UsageError
from gancore.evaluation.measuring import build_features, build_metrics, measure
from gancore.evaluation.records import Evaluation, EvaluationProtocol, Material, Samples
from gancore.evaluation.sets import affordable, compare, draw, renamed
from gancore.evaluation.summary import summary
from gancore.options import check_whole
from gancore.plugins import Registry
from gancore.random import derive
from gancore.run import versions
from gancore.sampling.generator import MOST


def evaluate_files(
    samples: str | Path,
    data: str | Path,
    *,
    plugin: str,
    count: int | None = None,
    seed: int = 0,
    metrics: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    device: str = "auto",
    progress: ProgressReport = silent,
    registry: Registry | None = None,
) -> Evaluation:
    """Compare the samples in the file or folder `samples` with the real ones in `data`, both as `plugin` reads them.

    Copies are looked for among all of the real samples, for it is not known which of them a generator has seen. Classes are
    those that the data set finds, such as sub-folders, where both have the same.

    Args:
        samples: What was generated, by whatever program.
        data: Real samples.
        plugin: The plugin whose data sets read both, and whose metrics and features compare them.
        count: How many of each to look at, at most; all without, up to the plugin's own number.
        seed: Decides which ones are drawn.
        metrics: These and no others; all of the plugin without.
        options: Options of metrics and features, and of the data set that reads both: `{"data.size": 128}`.
        device: Where features are computed: `cpu`, `cuda`, `mps` or `auto`.
        progress: Called while data are read and before each metric.
        registry: Plugins to choose from; those installed without.

    Raises:
        UsageError: there is nothing to compute, or something cannot be understood.
        DataError: nothing can be read, or both hold samples that cannot be compared.
    """
    registry = registry or Registry()
    check_whole(seed, "the seed", 0)
    if count is not None:
        check_whole(count, "the number of samples", 1, MOST)
    layers = nest(options or {})
    reading = {"data": layers.pop("data")} if "data" in layers else {}
    real_settings = configure(registry, plugin=plugin, data=data, layers=[reading])
    if Path(samples).resolve() == Path(data).resolve():
        raise UsageError(f"'{samples}' is given both as samples and as real data; name two different places")
    asked: list[Mapping[str, Any]] = [layers] if metrics is None else [{METRICS: list(metrics)}, layers]
    chosen, features = choose_metrics(registry, plugin, real_settings.data, asked)
    if not chosen:
        raise UsageError(f"plugin '{plugin}' has no metrics, so there is nothing to compute")
    real_source: DataSource = real_settings.data.build(progress)
    spec = real_source.spec
    their_settings = configure(registry, plugin=plugin, data=samples, layers=[reading])
    source: DataSource = their_settings.data.with_unset(spec.reading).build(progress)
    notes = compare(spec, source.spec, str(samples), whose="the real ones'")
    most = count or registry.load(plugin).info.evaluated
    ours, theirs = min(len(source), most), len(real_source)
    rows = torch.arange(theirs)
    shown = min(theirs, affordable(real_source))
    train = draw(real_source, rows, shown, derive(seed, "evaluate", "train"), progress, "reading real samples")
    generated = draw(source, torch.arange(len(source)), ours, derive(seed, "evaluate"), progress, "reading samples")
    same = set(source.spec.classes) <= set(spec.classes)
    labels = renamed(generated.condition, source.spec, spec) if same else None
    generated = Samples(spec.adopt(generated.x, source.spec), labels)
    if labels is None:
        train = Samples(train.x)
    real = train.part(slice(min(shown, most)))
    built, failures = build_metrics(chosen, spec, plugin, seed)
    vectors, more = build_features(
        features, spec, train=train, keep=[generated], device=device, seed=seed, progress=progress
    )
    measured = measure(built, Material(generated=generated, real=real, train=train, features=vectors), seed, progress)
    failures |= more
    failures |= measured.failures
    for report in (source.report, real_source.report):
        if skipped := len(report.skipped):
            notes.append(f"{report.source}: {skipped:,} of {report.found:,} could not be read and count as not there")
    return Evaluation(
        run=str(samples),
        step=None,
        plugin=plugin,
        figures=measured.figures,
        failures={name: failures[name] for name in (*features, *chosen) if name in failures},
        notes=(*notes, *measured.notes),
        summary=tuple(summary(measured.figures)),
        protocol=EvaluationProtocol(
            generated=len(generated),
            real=len(real),
            reference="other data",
            reference_source=real_source.report.source,
            reference_size=theirs,
            train=shown,
            train_source=real_source.report.source,
            train_size=theirs,
            held_out=0.0,
            seed=seed,
            ema_half_life=0.0,
            sampling=None,
            candidates={},
            device=device,
            metrics={name: metric.dump() for name, metric in chosen.items()},
            features={
                n: {**features[n].dump(), "fingerprint": one.extractor.fingerprint} for n, one in vectors.items()
            },
            versions=dict(versions()),
        ),
    )
