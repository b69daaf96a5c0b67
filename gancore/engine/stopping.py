"""Ends that are asked for from outside: Ctrl-C, SIGTERM, and SIGHUP from a terminal that was closed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

NAMES = {"SIGINT": "Ctrl-C", "SIGTERM": "SIGTERM", "SIGHUP": "SIGHUP"}
"""Signals that end a training, as far as the system has them, and what people know them by."""


def tell_on_stderr(words: str) -> None:
    """A line on standard error, past all buffers and their locks, which whatever a signal interrupted may hold."""
    with suppress(OSError):  # a terminal that is gone
        os.write(2, f"{words}\n".encode())


class StopSignals:
    """Turns signals into a wish that the loop reads between steps; a second Ctrl-C ends at once.

    `tell` is called at once with what will happen, for a step may take a minute. It runs inside a signal's handler, between any two
    lines of the program.
    """

    def __init__(self, tell: Callable[[str], None] = tell_on_stderr) -> None:
        self.received = ""
        self._tell = tell

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle signals for a while, where this thread may. A SIGHUP that is ignored stays so, as `nohup` wants it."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
        old = {
            number: signal.signal(number, self._handle)
            for number in numbers
            if number in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(number) != signal.SIG_IGN
        }
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.received and number == signal.SIGINT:
            raise KeyboardInterrupt
        first, self.received = not self.received, NAMES[signal.Signals(number).name]
        if first:
            self._tell(f"{self.received}: finishing this step, then saving; press Ctrl-C again to stop at once")
