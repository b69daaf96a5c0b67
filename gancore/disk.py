"""Why something could not be written, in words: a full disk, a limit on files, a folder that is gone."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from pathlib import Path

from gancore.blame import describe
from gancore.errors import GanError, WriteError

_REASONS = {
    "ENOSPC": ("no space is left on the disk", "free some space"),
    "EDQUOT": ("the disk quota is used up", "free some space"),
    "EFBIG": ("the file would exceed the maximum file size", "raise the limit (ulimit -f) or choose another disk"),
    "EROFS": ("the file system is read-only", "make it writable"),
    "EIO": ("the disk reports an error", "check the disk"),
    "EACCES": ("permission is denied", "check that you have permission to write there"),
    "EPERM": ("permission is denied", "check that you have permission to write there"),
    "EMFILE": ("too many files are open", "raise the limit (ulimit -n)"),
    "ENOENT": ("the folder is gone: deleted, moved or no longer mounted", "put it back"),
    "ENOTDIR": ("the folder is gone: deleted, moved or no longer mounted", "put it back"),
    "ESTALE": ("the folder is gone: deleted, moved or no longer mounted", "put it back"),
}
_OF_DISKS = ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EIO")
"""Errors that only writing meets, wherever they turn up."""
_IN_WORDS = re.compile(r"\(os error (\d+)\)")
"""How libraries in Rust tell the error of the system."""
_PROBE = 64 * 1024


def write_error(error: BaseException, what: str, inside: Path | None = None) -> WriteError | None:
    """The failure of the system behind `error` as a sentence on `what` could not be written; None where there is none.

    With `inside`, errors that need not have to do with writing, such as a missing file, count for files in there only.
    """
    if isinstance(error, WriteError):
        return error
    found = _os_error(error)
    name = errno.errorcode.get(found.errno or 0, "") if found is not None else ""
    if found is None or name not in _REASONS:
        return None
    if inside is not None and name not in _OF_DISKS and not _lies_in(found.filename, inside):
        return None
    reason, advice = _REASONS[name]
    return WriteError(f"{what} could not be written: {reason} ({found.strerror})", advice)


def cause(error: BaseException, folder: Path) -> str:
    """Why something could not be written in `folder`, for a sentence: what is wrong with the disk, else what was raised."""
    found = trouble(folder) if write_error(error, "it", folder) is None else None
    told = write_error(found or error, "it", folder)
    if told is None:
        return str(error) if isinstance(error, GanError) else describe(error)
    return str(told).removeprefix("it could not be written: ")


def trouble(folder: Path) -> OSError | None:
    """What keeps a small file from being written in `folder`, tried out: not every library says why it failed."""
    probe = folder / f".probe-{os.getpid()}"
    try:
        probe.write_bytes(bytes(_PROBE))
    except OSError as error:
        return error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
    return None


def in_one_line(error: Exception) -> str:
    """What an exception says, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _os_error(error: BaseException) -> OSError | None:
    """The error of the system that `error` is or came of."""
    current: BaseException | None = error
    for _ in range(10):
        if current is None:
            return None
        # What was merely being handled meanwhile, such as a file that is missing, need not be why.
        direct = current is error or current is error.__cause__
        number = current.errno if isinstance(current, OSError) else None
        if isinstance(current, OSError) and number and (direct or errno.errorcode.get(number) in _OF_DISKS):
            return current
        if told := _IN_WORDS.search(str(current)):
            return OSError(int(told[1]), os.strerror(int(told[1])))
        current = current.__cause__ or current.__context__
    return None


def _lies_in(path: object, folder: Path) -> bool:
    if not isinstance(path, str | bytes | os.PathLike):
        return False
    return Path(os.fsdecode(path)).absolute().is_relative_to(folder.absolute())
