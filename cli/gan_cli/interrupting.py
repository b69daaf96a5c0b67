"""Ctrl-C while programs are still being loaded: there is nothing to save, and no library is ready to be interrupted."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

EXIT_INTERRUPTED = 130


def _end(number: int, frame: object) -> None:
    del number, frame
    with suppress(OSError):
        os.write(2, b"interrupted\n")
    os._exit(EXIT_INTERRUPTED)


def ended() -> None:
    """From now on Ctrl-C does nothing: all is done, and it would only be told as an error of what Python takes down."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Let Ctrl-C end the process without a word from what it interrupts: some libraries, torch among them, abort in a C++ exception."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        yield
        return
    before = signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
