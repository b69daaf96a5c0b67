"""Hard samples to files, by the writers of a run: a file for each, a sheet of many, or one file out of all sheets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from gancore.blame import describe
from gancore.configuration.settings import Chosen, Settings
from gancore.data.spec import SampleSpec
from gancore.disk import trouble, write_error
from gancore.errors import GanError, PluginError
from gancore.powers import CarriesText, WritesCaptions
from gancore.run import RunFolder
from gancore.targets import resolve
from gancore.text_chunks import MOST


def write(
    settings: Settings,
    spec: SampleSpec,
    samples: Tensor,
    labels: Tensor | None,
    folder: Path,
    stem: str,
    role: str,
    texts: Sequence[str] | None = None,
) -> list[Path]:
    """Write hard `samples` with every writer of `role`; the files written.

    `texts`, in JSON, are what the files of samples are to carry, of writers that can.

    Raises:
        WriteError: the disk is full, or the folder cannot be written.
        PluginError: a writer failed for another reason.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for chosen in of_role(settings, role):
        with blamed(chosen, folder):
            written += write_with(chosen, spec, samples, labels, folder, stem, texts)
    return written


@contextmanager
def blamed(chosen: Chosen, folder: Path) -> Iterator[None]:
    """What fails inside becomes a WriteError, where the disk is at fault, or the PluginError of this writer."""
    try:
        yield
    except GanError:
        raise
    except (Exception, SystemExit) as error:
        told = write_error(trouble(folder) or error, f"'{folder}'", folder)
        raise told or PluginError(f"writer '{chosen.found.qualified}' failed with {describe(error)}") from error


def of_role(settings: Settings, role: str) -> list[Chosen]:
    """The writers of `role`."""
    return [chosen for chosen in settings.writers.values() if chosen.found.record.role == role]


def write_with(
    chosen: Chosen,
    spec: SampleSpec,
    samples: Tensor,
    labels: Tensor | None,
    folder: Path,
    stem: str,
    texts: Sequence[str] | None = None,
) -> list[Path]:
    """Write hard `samples` with one writer, each with its text, or all in one file with a JSON list of theirs."""
    writer = chosen.build(spec)
    files: list[Path] = writer.write(samples, folder, stem, None if labels is None else labels.tolist())
    _attach(writer, files, texts)
    return files


def _attach(writer: object, files: Sequence[Path], texts: Sequence[str] | None) -> None:
    if texts is not None and isinstance(writer, CarriesText):
        carried = texts if len(files) == len(texts) else [_listed(texts)] if len(files) == 1 else []
        for file, text in zip(files, carried, strict=False):
            if len(text.encode()) <= MOST:
                writer.attach(file, text)


def _listed(texts: Sequence[str]) -> str:
    """A JSON list of `texts`; of more than a file takes, the first."""
    parts, size = [], 0
    for text in texts:
        parts.append(text)
        size += len(text)
        if size > MOST:
            break
    return f"[{','.join(parts)}]"


def captioning(writers: Sequence[Chosen]) -> list[Chosen]:
    """Those of `writers` that can write captions; all of them where none can."""
    able = [chosen for chosen in writers if hasattr(resolve(chosen.found.record.target), "captioned")]
    return able or list(writers)


def write_captioned(
    chosen: Chosen,
    spec: SampleSpec,
    samples: Tensor,
    folder: Path,
    stem: str,
    captions: Sequence[str],
    columns: int,
    title: str,
    texts: Sequence[str] | None = None,
) -> list[Path]:
    """Write hard `samples` with one writer of sheets, in their order, with words where it can write them, and a list of `texts`."""
    writer = chosen.build(spec)
    files: list[Path]
    if isinstance(writer, WritesCaptions):
        files = writer.captioned(samples, folder, stem, captions, columns, title)
    else:
        files = writer.write(samples, folder, stem)
    _attach(writer, files, texts)
    return files


def animations(settings: Settings) -> list[Chosen]:
    """The writers that make one file out of all sheets of a run."""
    return of_role(settings, "progress")


def sheets_of(folder: RunFolder) -> list[Path]:
    """The sheets of a run so far, in order: those of the kind of file of which there are most."""
    by_suffix: dict[str, list[Path]] = {}
    for path in sorted(folder.samples.glob("step-*")):
        by_suffix.setdefault(path.suffix, []).append(path)
    return max(by_suffix.values(), key=len, default=[])


def write_animation(chosen: Chosen, spec: SampleSpec, sheets: list[Path], folder: RunFolder) -> list[Path]:
    """One file out of `sheets`, from one writer."""
    files: list[Path] = chosen.build(spec).write(sheets, folder.samples, "progress")
    return files
