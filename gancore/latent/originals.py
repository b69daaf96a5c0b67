"""Pictures, sounds, phrases and texts of one's own, read from files as the samples of a run."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from gancore.components import Dataset, DataSource, ProgressReport
from gancore.configuration.configure import configure
from gancore.configuration.settings import Chosen, Settings
from gancore.data.files import scan
from gancore.data.report import silent
from gancore.data.spec import SampleSpec
from gancore.errors import DataError, UsageError
from gancore.plugins import Registry
from gancore.random import Draws

MOST = 1000
"""Samples that are read, at most."""


@dataclass(frozen=True, slots=True)
class Originals:
    """Hard samples `x` `[n, ...]`, where each is from, and their classes `labels` `[n]` int64, -1 where they are not known."""

    x: Tensor
    names: tuple[str, ...]
    labels: Tensor
    skipped: tuple[str, ...] = ()
    """What of folders could not be read, and why."""

    def __len__(self) -> int:
        return len(self.x)


def read(
    paths: Sequence[Path],
    settings: Settings,
    spec: SampleSpec,
    *,
    progress: ProgressReport = silent,
    registry: Registry | None = None,
) -> Originals:
    """The samples in files and folders, each read by itself, by the run's data set or another of its plugin.

    A sample is of the class that the data set finds, such as the key of a tune, else of that by which the file's folder is called.

    Raises:
        UsageError: there is no such file, or nothing of the plugin reads it, or it holds too many samples.
        DataError: it holds no sample, or none as the run's.
    """
    registry = registry or Registry()
    parts: list[tuple[Tensor, Tensor, list[str]]] = []
    skipped: list[str] = []
    files = [(file, path.is_dir()) for path in paths for file in _files(path)]
    for number, (file, found) in enumerate(files):
        progress("reading files", number, len(files))
        try:
            parts.append(_read(file, settings, spec, registry))
        except (DataError, UsageError) as error:
            if not found:
                raise
            skipped.append(str(error))  # a folder may hold other files as well
        if sum(len(part[0]) for part in parts) > MOST:
            raise UsageError(f"these files hold more than {MOST:,} samples; name fewer of them, or take them in turn")
    if not parts:
        raise DataError(skipped[0] if skipped else f"'{paths[0]}' is an empty folder")
    x, labels, names = zip(*parts, strict=True)
    return Originals(torch.cat(x), tuple(name for some in names for name in some), torch.cat(labels), tuple(skipped))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return [path / entry.name for entry in scan(path).entries]


def _read(path: Path, settings: Settings, spec: SampleSpec, registry: Registry) -> tuple[Tensor, Tensor, list[str]]:
    """Samples, classes and names."""
    if not path.is_file():
        raise UsageError(f"'{path}' does not exist; name a file that the data set of the run could hold")
    with TemporaryDirectory(prefix="gan-project-") as spare:
        source = _source(path, Path(spare), settings, spec, registry)
        if not spec.adopts(source.spec):
            raise DataError(
                f"'{path}' holds samples of the form {source.spec.shape}, and those of the run are {spec.shape}; give one like those"
            )
        rows = torch.arange(len(source))
        if len(rows) > MOST:
            raise UsageError(f"'{path}' holds {len(rows):,} samples, at most {MOST:,} can be taken at once")
        x, found = source.fetch(rows, Draws(0, rows))
        x = spec.adopt(x, source.spec)
    folder = path.absolute().parent.name
    words = [folder] * len(x) if found is None else [source.spec.classes[label] for label in found.tolist()]
    labels = [spec.classes.index(word) if word in spec.classes else -1 for word in words]
    names = [str(path)] if len(x) == 1 else [f"{path}#{number}" for number in range(len(x))]
    return x, torch.tensor(labels), names


def _source(path: Path, spare: Path, settings: Settings, spec: SampleSpec, registry: Registry) -> DataSource:
    """A data set of one file: in a folder of its own, where data sets are folders, or as it is."""
    takes = [found.record for found in registry.known(Dataset, settings.run.plugin).values()]
    direct = any(path.suffix.lower() in record.suffixes for record in takes)
    if path.suffix.lower() == ".zip" or not any(record.directories for record in takes):
        return _opened(path, settings, spec, registry)
    shutil.copyfile(path, spare / path.name)
    try:
        return _opened(spare, settings, spec, registry)
    except DataError as error:
        if direct:  # a table, say, that is not looked for in folders
            return _opened(path, settings, spec, registry)
        raise DataError(str(error).replace(str(spare), str(path.parent))) from error


def _opened(place: Path, settings: Settings, spec: SampleSpec, registry: Registry) -> DataSource:
    asked = configure(registry, data=place, layers=[settings.dump()])
    source: DataSource = read_as(asked.data, spec, own=asked.data.name == settings.data.name).build(silent)
    return source


def read_as(data: Chosen, spec: SampleSpec, *, own: bool) -> Chosen:
    """`data` with options by which samples become such as those of `spec`, where it has such options.

    Of a run's `own` data set only those that are not set, or set to `auto`, are changed.
    """
    if data.options is None:
        return data
    known = {name: getattr(data.options, name) for name in type(data.options).model_fields}
    update = {
        name: value
        for name, value in spec.reading.items()
        if name in known and (not own or known[name] in (None, "auto"))
    }
    # One file has one folder, which tells no classes from others.
    if known.get("labels") is True:
        update["labels"] = "auto"
    return replace(data, options=data.options.model_copy(update=update))
