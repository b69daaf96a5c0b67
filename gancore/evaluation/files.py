"""`gan evaluate --samples` as a function: samples in files, whoever made them, held against real ones in files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from gancore.components import DataSource, ProgressReport
from gancore.configuration.configure import configure
from gancore.configuration.layers import nest
from gancore.data.report import silent
from gancore.errors import UsageError
from gancore.evaluation.comparison import Comparison, Made, choose
from gancore.evaluation.keeping import keep
from gancore.evaluation.records import Evaluation, Samples
from gancore.evaluation.reference import Reference, adopted
from gancore.evaluation.sets import affordable, compare, draw
from gancore.evaluation.unseen import inside, why_seen
from gancore.options import check_whole
from gancore.plugins import Registry
from gancore.random import derive
from gancore.sampling.generator import MOST
from gancore.text import check_path


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
    out: str | Path | None = None,
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
        out: A folder, made where it is missing, to write the result and samples to look at into. Nothing is overwritten.
        progress: Called while data are read and before each metric.
        registry: Plugins to choose from; those installed without.

    Raises:
        UsageError: there is nothing to compute, or something cannot be understood.
        DataError: nothing can be read, or both hold samples that cannot be compared.
    """
    registry = registry or Registry()
    if out is not None:
        check_path(out, "the folder to write to")
        if Path(out).exists() and not Path(out).is_dir():
            raise UsageError(f"'{out}' is no folder; name one, or one to be made, for figures and pictures")
    check_whole(seed, "the seed", 0)
    if count is not None:
        check_whole(count, "the number of samples", 1, MOST)
    layers = nest(options or {})
    reading = {"data": layers.pop("data")} if "data" in layers else {}
    settings = configure(registry, plugin=plugin, data=data, layers=[reading])
    if Path(samples).resolve() == Path(data).resolve():
        raise UsageError(f"'{samples}' is given both as samples and as real data; name two different places")
    choice = choose(registry, plugin, settings.data, metrics=metrics, options=layers)
    real_source: DataSource = settings.data.build(progress)
    spec = real_source.spec
    their_settings = configure(registry, plugin=plugin, data=samples, layers=[reading])
    source: DataSource = their_settings.data.with_unset(spec.reading).build(progress)
    notes = compare(spec, source.spec, str(samples), whose="the real ones'")
    most = count or registry.load(plugin).info.evaluated
    generated = draw(
        source,
        torch.arange(len(source)),
        min(len(source), most),
        derive(seed, "evaluate"),
        progress,
        "reading samples",
    )
    generated = adopted(generated, source.spec, spec)
    reference = _among(real_source, most, seed, progress, labelled=generated.condition is not None)
    lies = inside(their_settings.data_path, settings.data_path, f"'{data}'")
    if lies and why_seen(generated, source, reference.train, real_source, len(real_source), lies):
        notes.append(
            f"generated: {lies}, so that samples are held against themselves, and look perfect; keep both in folders apart"
        )
    for report in (source.report, real_source.report):
        if skipped := len(report.skipped):
            notes.append(f"{report.source}: {skipped:,} of {report.found:,} could not be read and count as not there")
    comparison = Comparison(choice, spec, seed=seed, device=device, progress=progress)
    made = Made(generated=generated, run=str(samples), notes=tuple(notes))
    found = comparison.compare(made, reference, keep=True, show=True)
    return found if out is None else keep(found, Path(out), settings, spec)


def _among(source: DataSource, most: int, seed: int, progress: ProgressReport, *, labelled: bool) -> Reference:
    """All samples of `source` as those that were trained on, as far as there is memory, and `most` of them as the real ones."""
    shown = min(len(source), affordable(source))
    rows = torch.arange(len(source))
    train = draw(source, rows, shown, derive(seed, "evaluate", "train"), progress, "reading real samples")
    labels = train.condition
    train = train if labelled else Samples(train.x)
    return Reference(
        labels=labels,
        real=train.part(slice(most)),
        train=train,
        count=most,
        part="other data",
        source=source.report.source,
        size=len(source),
        train_source=source.report.source,
        train_size=len(source),
        unseen=False,
        place=source.report.source,
    )
