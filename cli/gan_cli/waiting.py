"""Lines on standard error while something takes long that has no figures of its own."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gan_cli.errors import redraw, say
from gan_cli.interrupting import ending_at_once

SECONDS_OF_SILENCE = 10.0
"""After which the first line comes; the next when twice as much time has passed, and so on."""


def duration(seconds: float) -> str:
    """`95` as `1m35s`."""
    if not math.isfinite(seconds):
        return "?"
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{whole % 60:02d}s" if minutes else f"{whole}s"


class Waiting:
    """Says that something is still being done, now and then, from `begin` to `end`."""

    def __init__(self, words: str) -> None:
        self.words = words
        self.over = threading.Event()

    def begin(self) -> None:
        threading.Thread(target=self._run, name="waiting", daemon=True).start()

    def end(self) -> None:
        self.over.set()

    def _run(self) -> None:
        began, pause = time.monotonic(), SECONDS_OF_SILENCE
        while not self.over.wait(pause):
            passed = time.monotonic() - began
            say(f"{self.words}: {duration(passed)} so far")
            pause = passed


@contextmanager
def waiting(words: str) -> Iterator[None]:
    """Say in `words` what is being done, where it takes long."""
    line = Waiting(words)
    line.begin()
    try:
        yield
    finally:
        line.end()


@contextmanager
def loading(quiet: bool = False) -> Iterator[None]:
    """Within, programs are loaded, torch among them, which takes seconds: a terminal says so, and Ctrl-C ends at once."""
    live = sys.stderr.isatty() and not quiet
    if live:
        redraw("loading PyTorch ...")
    try:
        with ending_at_once():
            yield
    finally:
        if live:
            redraw("")
