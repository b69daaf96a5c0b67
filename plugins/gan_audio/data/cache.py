"""Recordings that were decoded once, kept on disk for the next run.

An item is `<key>.i16`, the int16 samples of all recordings one after the other, and `<key>.json`: which files were used, how
long they are, which were skipped and why. The JSON file is written last, so what it describes is complete. Items are never
changed: other data or options have another key. Nothing is ever deleted here; the folder may be emptied at any time.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import numpy as np

from gan_audio.data.source import Shorts, open_samples
from gancore.data.report import Skipped
from gancore.errors import DataError
from gancore.storage import cache_folder, fill, new_file

VERSION = 1


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of decoding all files: for each usable one its number, its length in samples, its own rate in Hz, whether its
    beginning and end were trimmed, and whether it goes on after what was read; and what was skipped."""

    used: tuple[int, ...]
    lengths: tuple[int, ...]
    rates: tuple[int, ...]
    cut: tuple[tuple[bool, bool], ...]
    longer: tuple[bool, ...]
    skipped: tuple[Skipped, ...]


class CacheItem:
    """One item of the cache. Every method tells failure by None or False: a cache that does not work is no error."""

    def __init__(self, key: str) -> None:
        self.notes = cache_folder("sounds") / f"{key}.json"
        self.samples = cache_folder("sounds") / f"{key}.i16"

    def reading(self, files: int) -> Reading | None:
        """What was found out about these `files` files before."""
        try:
            content = json.loads(self.notes.read_text(encoding="utf-8"))
            found = Reading(
                used=tuple(content["used"]),
                lengths=tuple(content["lengths"]),
                rates=tuple(content["rates"]),
                cut=tuple((bool(bits & 1), bool(bits & 2)) for bits in content["cut"]),
                longer=tuple(map(bool, content["longer"])),
                skipped=tuple(Skipped(*pair) for pair in content["skipped"]),
            )
            columns = (found.lengths, found.rates, found.cut, found.longer)
            sane = all(len(column) == len(found.used) for column in columns) and min(found.lengths, default=0) > 0
            return found if sane and all(0 <= number < files for number in found.used) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def open(self, count: int) -> Shorts | None:
        """The samples, mapped, if there are `count` of them."""
        try:
            mapped = open_samples(self.samples)
        except (OSError, ValueError):
            return None
        return mapped if len(mapped) == count else None

    def save_notes(self, reading: Reading) -> bool:
        """Store what describes the samples; False where the folder cannot be written or is full."""
        content = {
            "used": reading.used,
            "lengths": reading.lengths,
            "rates": reading.rates,
            "cut": [first + 2 * last for first, last in reading.cut],
            "longer": [int(longer) for longer in reading.longer],
            "skipped": [(skipped.path, skipped.reason) for skipped in reading.skipped],
        }
        try:
            fill(self.notes, lambda file: file.write(json.dumps(content).encode()))
        except OSError:
            return False
        return True


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
        if item is not None:
            with contextlib.suppress(OSError):
                self._file, self._name = new_file(item.samples, buffering=0)

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
            except OSError:  # full, or no longer there: what it holds so far is taken back
                self._to_memory()
        if self._file is None:
            self._parts.append(samples)
        self.count += len(samples)
        self._check()

    def keep(self, reading: Reading, *, lasting: bool) -> tuple[Shorts, Path | None]:
        """All samples `[count]`, and the file that they are mapped from, if they are: only what is `lasting` stays on disk."""
        if self._file is not None and self.item is not None and lasting:
            try:
                os.replace(self._name, self.item.samples)
            except OSError:
                pass
            else:
                self._file.close()
                self._file = None
                self.item.save_notes(reading)
                mapped = self.item.open(self.count)
                if mapped is not None:
                    return mapped, self.item.samples
                raise DataError(f"{self.source}: the cache file '{self.item.samples}' changed while it was written")
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
            raise DataError(
                f"{self.source}: the decoded sound takes more than {self.limit / 2**20:,.0f} MiB and could not be kept in "
                f"'{cache_folder('sounds')}'; let the cache be written there (cache=true, $GAN_CACHE_DIR), raise memory_limit_mb, "
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
