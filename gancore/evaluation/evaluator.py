"""`gan evaluate` as a function: a run's generator held against real samples, and the outcome kept in the run's folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from gancore.checkpoint import all_steps_of
from gancore.components import DataSource, ProgressReport
from gancore.configuration.configure import configure
from gancore.configuration.layers import nest
from gancore.configuration.settings import Settings
from gancore.data.fingerprint import fingerprint
from gancore.data.report import silent
from gancore.data.spec import SampleSpec
from gancore.errors import DataError, GanError, UsageError
from gancore.evaluation.comparison import Comparison, choose, made_by
from gancore.evaluation.keeping import keep
from gancore.evaluation.records import Evaluation
from gancore.evaluation.reference import reference_of_run
from gancore.evaluation.sets import compare
from gancore.evaluation.unseen import inside
from gancore.options import check_whole
from gancore.plugins import Registry
from gancore.run import RunFolder
from gancore.sampling.generator import MOST, Generator
from gancore.sampling.loading import DRAWING, Step, load
from gancore.text import check_path


def evaluate(
    run: str | Path,
    *,
    data: str | Path | None = None,
    samples: int | None = None,
    seed: int = 0,
    metrics: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    device: str = "auto",
    step: Step = None,
    progress: ProgressReport = silent,
    registry: Registry | None = None,
) -> Evaluation:
    """Compare samples of the run in folder `run` with real ones; the result is also written into the run's `evaluations/`.

    Real samples come from `data`, else from what the run held out, else from its training set. Where there are labels,
    samples are generated of the classes that the real ones have. Where no figure can be computed nothing is written, and the
    result's `failures` say why.

    Args:
        run: The run's folder.
        data: A file or folder that the run has not seen, read with its own options of the data set.
        samples: How many to generate; there are at most as many real ones. Without, as many as there are real ones, but 100 at
            least and 1,000, or what the plugin says, at most.
        seed: Decides latents and which real samples are drawn.
        metrics: These and no others, `plugin:name` for another plugin's; all of the run's plugin without.
        options: Options of metrics, `{"metrics.nearest.below": 0.1}`, and of how samples are drawn.
        device: Where to generate: `cpu`, `cuda`, `mps` or `auto`.
        step: The checkpoint of this step; `best` for that of the best evaluation while training, the newest without.
        progress: Called while data are read and samples generated, and before each metric.
        registry: Plugins to choose from; those installed without.

    Raises:
        UsageError: there is nothing to compute, or something cannot be understood.
        RunFolderError: it is no run.
        CheckpointError: nothing usable was saved.
        DataError: the training data are gone, or `data` hold other samples than the run's.
    """
    [found] = evaluate_steps(
        run,
        [step],
        data=data,
        samples=samples,
        seed=seed,
        metrics=metrics,
        options=options,
        device=device,
        progress=progress,
        registry=registry,
    )
    return found


def evaluate_steps(
    run: str | Path,
    steps: Sequence[Step] | None = None,
    *,
    data: str | Path | None = None,
    samples: int | None = None,
    seed: int = 0,
    metrics: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    device: str = "auto",
    progress: ProgressReport = silent,
    registry: Registry | None = None,
) -> Iterator[Evaluation]:
    """`evaluate` for the checkpoints of `steps`, all that the run keeps without; what they are held against is read once."""
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
    choice = choose(
        registry,
        settings.run.plugin,
        settings.data,
        metrics=metrics,
        options=layers,
        training_features=settings.training_features,
    )
    other = None if data is None else _settings_of(registry, data, layer, settings)
    comparison: Comparison | None = None
    chosen: Sequence[Step] = all_steps_of(folder.checkpoints) if steps is None else steps
    for step in chosen or [None]:  # without any, loading says what is wrong
        generator = load(run, device=device, registry=registry, step=step, options=sampling)
        spec = generator.spec
        if comparison is None:
            comparison = Comparison(choice, spec, seed=seed, device=device, progress=progress)
            source = training_data(settings, spec, folder, progress)
            notes = _since_training(generator, source, settings)
            reference = reference_of_run(
                source,
                settings.run.held_out,
                usual=registry.load(choice.plugin).info.evaluated,
                count=samples,
                other=None if other is None else partial(_opened, other, spec, str(data), notes, progress),
                lies="" if other is None else inside(other.data_path, settings.data_path, "the training data"),
                seed=seed,
                progress=progress,
            )
        made = made_by(generator, reference, run=str(run), seed=seed, progress=progress)
        found = comparison.compare(replace(made, notes=(*notes, *made.notes)), reference, show=True)
        yield keep(found, folder.evaluations, settings, spec)


def _opened(settings: Settings, spec: SampleSpec, name: str, notes: list[str], progress: ProgressReport) -> DataSource:
    """Other data than the run's, whose samples are those of `spec`; what is to be known of them is added to `notes`."""
    source = settings.open_data(progress, like=spec)
    notes += compare(spec, source.spec, name)
    return source


def training_data(settings: Settings, spec: SampleSpec, folder: RunFolder, progress: ProgressReport) -> DataSource:
    """The data that the run was trained on, whole."""
    try:
        source = settings.open_data(progress)
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
