"""The lock of a run's folder: one process at a time trains in it, and the system frees it when that process ends, however it ends.

What counts is the lock that the system holds on the open file. What the file says is for people alone, so that one which was
copied along with a folder, or stayed behind, keeps nobody out.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gancore.disk import write_error
from gancore.errors import RunFolderError

FILE = "run.lock"
TRIES = 6
"""How often a lock is tried for before another process is taken to train there."""
_held: set[int] = set()
"""Open files of the locks that this process holds."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the lock of the run in `folder`, which exists, for a while.

    Where the file system has no locks, a warning says so and the run goes on.

    Raises:
        RunFolderError: another process holds it; the message says which. WriteError where there can be no such file.
    """
    path = folder / FILE
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
    except OSError as error:
        raise write_error(error, f"'{path}'") or RunFolderError(f"'{path}' cannot be opened ({error})") from error
    _held.add(handle)
    try:
        if not _lock_at_last(handle):
            raise RunFolderError(
                f"'{folder}' is being trained by {_holder(path)}; wait for that to finish, or stop it, before you continue"
            )
        _sign(handle)
        yield
    finally:
        _held.discard(handle)
        os.close(handle)


def _lock_at_last(handle: int) -> bool:
    """As `_lock`, with some patience: who only looks whether a run is training holds its lock for an instant."""
    for _ in range(TRIES):
        if _lock(handle):
            return True
        time.sleep(0.05)
    return _lock(handle)


def _lock(handle: int) -> bool:
    """Whether the lock could be taken; True with a warning where there are none."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(handle, 1 << 30, os.SEEK_SET)  # far behind what others are to read
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return False
        warnings.warn(
            f"files cannot be locked on this file system ({error.strerror}): make sure that no other process trains this run",
            stacklevel=5,
        )
    return True


def _sign(handle: int) -> None:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}) + "\n"
    with contextlib.suppress(OSError):  # a full disk; the lock holds without
        os.truncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, text.encode())


def _holder(path: Path) -> str:
    """Who holds the lock, in words, as far as its file says."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return f"process {said['pid']} on {said['host']} since {said['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _let_go() -> None:
    """Leave the locks to the parent: a child that outlives it must not keep them."""
    for handle in _held:
        with contextlib.suppress(OSError):
            os.close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
