"""Recordings that were decoded once, kept on disk for the next run.

An item holds the int16 samples of all recordings one after the other, and which files were used, how long they are, which were
skipped and why. Nothing that is whole is ever deleted here; the folder may be emptied at any time.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import numpy as np

from gan_audio.data.source import Shorts, open_samples
from gancore.data.cache import CacheItem
from gancore.data.report import Skipped
from gancore.errors import DataError
from gancore.storage import cache_folder, tell_no_cache

VERSION = 4


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of decoding all files: for each usable one its number, its length in samples and its own rate in Hz, whether its
    beginning and end were trimmed, what its samples' full scale stands for and its highest value, whether one channel was
    taken alone, and what else is to be said of it; and what was skipped."""

    used: tuple[int, ...]
    lengths: tuple[int, ...]
    rates: tuple[int, ...]
    cut: tuple[tuple[bool, bool], ...]
    scales: tuple[float, ...]
    peaks: tuple[float, ...]
    alone: tuple[bool, ...]
    remarks: tuple[str, ...]
    skipped: tuple[Skipped, ...]


class Recorder:
    """Takes samples as they are decoded: into a new file of the cache, or into memory where that cannot be.

    Raises DataError when more than `limit` bytes would have to stay in memory; `source` is what its message calls the data.
    """

    def __init__(self, item: CacheItem | None, limit: int, source: str) -> None:
        self.item, self.limit, self.source = item, limit, source
        self.count = 0
        self._parts: list[Shorts] = []
        self._file: IO[bytes] | None = None
        self._name = ""
        if item is not None and (begun := item.begin()):
            self._file, self._name = begun

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            _remove(self._name)
            self._file = None

    def add(self, samples: Shorts) -> None:
        """Append `samples` `[n]`."""
        if self._file is not None:
            try:
                _write_all(self._file, np.ascontiguousarray(samples, dtype="<i2").tobytes())
            except OSError as error:  # full, or no longer there: what it holds so far is taken back
                tell_no_cache(error, cache_folder("sounds"))
                self._to_memory()
        if self._file is None:
            self._parts.append(samples)
        self.count += len(samples)
        self._check()

    def keep(self, reading: Reading, *, lasting: bool) -> tuple[Shorts, Path | None]:
        """All samples `[count]`, and the file that they are mapped from, if they are: only what is `lasting` stays on disk."""
        if self._file is not None and self.item is not None and lasting and self.item.adopt(self._name, reading):
            self._file.close()
            self._file = None
            mapped = self.item.mapped(open_samples, (self.count,))
            if mapped is not None:
                return mapped, self.item.data
            raise DataError(f"{self.source}: the cache file '{self.item.data}' changed while it was written")
        if self._file is not None:
            self._to_memory()
            self._check()
        return np.concatenate(self._parts), None

    def _to_memory(self) -> None:
        """Read back what the file holds, and let go of it."""
        file, self._file = self._file, None
        if file is not None:
            with file:
                self._check()
                file.seek(0)
                self._parts = [np.fromfile(file, dtype="<i2", count=self.count)]
            _remove(self._name)

    def _check(self) -> None:
        if self._file is None and 2 * self.count > self.limit:
            folder = cache_folder("sounds")
            where = f"'{folder}'" if folder else "a cache"
            raise DataError(
                f"{self.source}: the decoded sound takes more than {self.limit / 2**20:,.0f} MiB and could not be kept in "
                f"{where}; let the cache be written there (cache=true, $GAN_CACHE_DIR), raise memory_limit_mb, "
                "or take fewer files with include"
            )


def _write_all(file: IO[bytes], data: bytes) -> None:
    """`file` has no buffer, so what does not fit is told at once; it may take less than it is given."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _remove(name: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(name)
