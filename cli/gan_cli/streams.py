"""Standard streams that outlast whoever reads them: what is said to nobody ends no training."""

from __future__ import annotations

import errno
import os
import sys
from typing import IO, Any

_GONE = (errno.EPIPE, errno.EIO)
"""The reader of a pipe has ended, or the terminal was closed."""


class Lasting:
    """A text stream that falls silent, rather than raise, once it cannot be written. `lost` is what has kept words from somebody who
    is still there, such as a full disk under a file."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.lost: OSError | None = None

    def write(self, text: str) -> int:
        """Write `text`, or drop it."""
        try:
            self._stream.write(text)
        except OSError as error:
            self._fall_silent(error)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write all of them."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hand on what was written."""
        try:
            self._stream.flush()
        except OSError as error:
            self._fall_silent(error)

    def _fall_silent(self, error: OSError) -> None:
        if error.errno not in _GONE:
            self.lost = self.lost or error
        # All that still goes there, from libraries in C and at exit too, goes nowhere.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def open_all() -> None:
    """Give the process standard streams that it may have been started without; a file that is opened must not become one of them."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            handle = os.open(os.devnull, os.O_RDWR)
            if handle != number:
                os.dup2(handle, number)
                os.close(handle)
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))


def make_last() -> None:
    """Have both output streams fall silent rather than raise."""
    sys.stdout = Lasting(sys.stdout)
    sys.stderr = Lasting(sys.stderr)


def close(code: int) -> int:
    """Hand on what is left to be said; the exit code, which is 1 where a result could not be written."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    lost = getattr(sys.stdout, "lost", None)
    if lost is None:
        return code
    print(f"error: the result could not be written to standard output ({lost.strerror})", file=sys.stderr, flush=True)
    return code or 1
