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


class Counting:
    """Says now and then how many of files are done, from `begin` to `end`; the pauses grow."""

    def __init__(self, words: str, number: int | None = None) -> None:
        self.words = words
        self._number, self._total = number, 0
        self._first: tuple[float, int] | None = None
        """When something was made first, and of how many."""
        self._spoken = time.monotonic()
        self._pause = SECONDS_OF_SILENCE / 2

    def reading(self, words: str, done: int, total: int) -> None:
        """That a reader has done something with so many files, of `total`, 0 where that is not known."""
        self._total = total
        if self._first is None:
            self._say(f"{words}: {done:,}" + (f" of {total:,}" if total else ""))

    def made(self, count: int) -> None:
        """That something was made of so many."""
        total, now = self._number or self._total, time.monotonic()
        began, before = self._first = self._first or (now, count)
        left = ""
        if total > count > before:
            left = f", {duration((now - began) / (count - before) * (total - count))} left"
        self._say(f"{self.words}: {count:,}" + (f" of {total:,}{left}" if total else ""))

    def _say(self, words: str) -> None:
        now = time.monotonic()
        if now - self._spoken >= self._pause:
            say(words)
            self._spoken, self._pause = now, min(2 * self._pause, 6 * SECONDS_OF_SILENCE)


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
