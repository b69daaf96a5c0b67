"""Ends that nobody asked for: what is told of them, and what there is to go on from."""

from __future__ import annotations

import warnings
from pathlib import Path

from gancore.configuration.settings import Settings
from gancore.disk import cause, write_error
from gancore.errors import (
    CheckpointError,
    DataError,
    GanError,
    LostProcessError,
    PluginError,
    RunFolderError,
    WriteError,
)
from gancore.report import write_report
from gancore.run import RunFolder

_PLAIN = (CheckpointError, DataError, LostProcessError, PluginError, RunFolderError)
"""Errors whose message can be told with more behind it."""


def in_words(error: BaseException, folder: RunFolder) -> GanError | None:
    """`error` of a training in `folder` as a sentence; None for what was not foreseen."""
    if isinstance(error, GanError):
        return error
    if isinstance(error, RuntimeError) and "DataLoader worker" in str(error):
        return DataError(
            f"a worker process that reads data ended unexpectedly ({str(error).splitlines()[0]}); if memory is short, use fewer, "
            "or none (workers=0)"
        )
    if not isinstance(error, Exception):
        return None
    return write_error(error, f"a file of the run '{folder.path}'", folder.path)


def with_the_rest(error: GanError, folder: RunFolder) -> GanError:
    """`error` with what is saved in `folder`, and how to go on from there."""
    if not folder.path.is_dir():
        rest = f"the run's folder '{folder.path}' is gone (deleted, moved or no longer mounted), so nothing more could be saved"
        return WriteError(f"{_problem(error)}; {rest}")
    saved = folder.last_saved
    if saved is not None:
        rest, how = f"step {saved:,} is saved", f"then go on with: gan resume {folder.path}"
    elif folder.has_worth:
        rest, how = "no checkpoint had been saved yet", f"then begin anew with: gan resume {folder.path}"
    else:
        rest, how = "nothing had been saved yet", "then begin anew"
    if isinstance(error, WriteError):
        return WriteError(f"{error.problem}. {rest[0].upper()}{rest[1:]}", f"{error.advice or 'mend that'}, {how}")
    if isinstance(error, _PLAIN) and folder.has_worth:
        return type(error)(f"{error}. {rest[0].upper()}{rest[1:]}; mend that, {how}")
    return error


def _problem(error: GanError) -> str:
    return error.problem if isinstance(error, WriteError) else str(error)


def report_of(folder: RunFolder, settings: Settings, reason: str) -> list[Path]:
    """The report of the run that ends; none, and a warning, where it cannot be written: nothing that was trained depends on it."""
    try:
        return [write_report(folder, settings.dump(), reason)]
    except Exception as error:
        warnings.warn(f"the report could not be written: {cause(error, folder.path)}", stacklevel=2)
        return []
