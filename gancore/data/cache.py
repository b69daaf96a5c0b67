"""What was worked out once, kept on disk for the next run, and used only while it is what was written."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import time
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from gancore.storage import cache_folder, fill, new_file, tell_no_cache

T = TypeVar("T")
A = TypeVar("A", bound=np.ndarray)

CHUNK = 8 * 2**20
"""Bytes that have a checksum together."""
LOOKED_AT = 8 * 2**30
"""Of a larger file so many bytes are compared with their checksums when it is opened, others each time."""
LEFT_BEHIND = 24 * 3600
"""Unfinished files that nobody has written to for so many seconds are those of processes that were killed."""


class CacheItem:
    """`<key>.json`, plain values, and beside it `<key><suffix>`, the bytes that they describe.

    The JSON file holds checksums of both and is written last, so what it describes is complete, whoever writes at the same time
    and wherever a process is killed. Items are never changed: other data or options have another key. A cache that does not
    work is no error: every method tells failure by None or False, and the first of a process is told in a warning.
    """

    def __init__(self, kind: str, key: str, suffix: str) -> None:
        folder = cache_folder(kind)
        self.notes: Path | None = folder and folder / f"{key}.json"
        self.data: Path | None = folder and folder / f"{key}{suffix}"
        self._sums: Sequence[int] = ()
        self._size = -1
        self._just_written = False

    def read(self) -> dict[str, Any] | None:
        """The values, where they are as they were written."""
        if self.notes is None:
            return None
        try:
            kept = json.loads(self.notes.read_text(encoding="utf-8"))
            good = kept["digest"] == _digest(kept["values"], kept["size"], kept["sums"])
        except (OSError, ValueError, KeyError, TypeError):
            good = False
        if not good:
            if self.notes.exists():
                self._damaged(self.notes)
            return None
        self._size, self._sums = kept["size"], kept["sums"]
        values: dict[str, Any] = kept["values"]
        return values

    def load(self, kind: type[T]) -> T | None:
        """The values as the dataclass that they were saved as; None where they are not there, or something else is."""
        values = self.read()
        try:
            return None if values is None else TypeAdapter(kind).validate_python(values)
        except ValidationError:
            return None

    def mapped(self, opened: Callable[[Path], A], shape: tuple[int, ...]) -> A | None:
        """The bytes as an array, which `opened` maps, where they are as they were written and of this shape."""
        if self.data is None or not self.intact():
            return None
        try:
            array = opened(self.data)
        except (OSError, ValueError, EOFError):
            return None
        return array if array.shape == shape else None

    def intact(self) -> bool:
        """Whether the bytes are those that were written with the values that `read` has found: of up to `LOOKED_AT` of them."""
        if self.data is None or self._size < 0 or self._just_written:
            return self._just_written
        count = len(self._sums)
        looked_at = range(count)
        if self._size > LOOKED_AT:
            every = -(-self._size // LOOKED_AT)
            looked_at = range(random.randrange(every), count, every)  # others each time
        try:
            good = self.data.stat().st_size == self._size
            good = good and _sums(self.data, looked_at) == [self._sums[number] for number in looked_at]
        except FileNotFoundError:
            return False
        except OSError:
            good = False
        if not good:
            self._damaged(self.data)
        return good

    def begin(self, *, buffering: int = 0) -> tuple[IO[bytes], str] | None:
        """A new file for the bytes, without a buffer unless it is asked for, and its name, which `adopt` takes."""
        if self.data is None:
            return None
        try:
            made = new_file(self.data, buffering=buffering)
        except OSError as error:
            tell_no_cache(error, self.data.parent)
            return None
        _sweep(self.data.parent)
        return made

    def adopt(self, name: str, values: Any) -> bool:
        """Keep the file `name`, which `begin` gave and which is complete and closed or unbuffered, and the values, as `save` takes
        them; `name` is gone where the bytes, if not the values, could be kept."""
        if self.data is None:
            return False
        try:
            size = os.stat(name).st_size
            sums = _sums(Path(name), range(-(-size // CHUNK)))
            os.replace(name, self.data)
        except OSError as error:
            tell_no_cache(error, self.data.parent)
            return False
        self._size, self._sums, self._just_written = size, sums, True
        self._write_notes(values)
        return True

    def save(self, values: Any, write: Callable[[IO[bytes]], object] | None = None) -> bool:
        """Keep the values, a mapping or a dataclass, and, where there are bytes, what `write` writes; False where the folder cannot
        be written or is full."""
        self._size, self._sums = 0, ()
        if write is None:
            return self._write_notes(values)
        begun = self.begin(buffering=-1)
        if begun is None or self.data is None:
            return False
        file, name = begun
        try:
            with file:
                write(file)
            return self.adopt(name, values)
        except OSError as error:
            tell_no_cache(error, self.data.parent)
            return False
        finally:
            with contextlib.suppress(OSError):
                os.unlink(name)

    def _write_notes(self, values: Any) -> bool:
        if self.notes is None:
            return False
        if not isinstance(values, Mapping):
            values = TypeAdapter(type(values)).dump_python(values)
        kept = {"values": values, "size": self._size, "sums": self._sums}
        text = json.dumps(kept | {"digest": _digest(values, self._size, self._sums)})
        try:
            fill(self.notes, lambda file: file.write(text.encode()))
        except OSError as error:
            tell_no_cache(error, self.notes.parent)
            return False
        return True

    def _damaged(self, path: Path) -> None:
        warnings.warn(f"'{path}' in the cache is damaged; it is ignored and rebuilt", stacklevel=3)


def _digest(values: Mapping[str, Any], size: int, sums: Sequence[int]) -> str:
    return hashlib.blake2b(json.dumps([values, size, sums], sort_keys=True).encode(), digest_size=16).hexdigest()


def _sums(path: Path, numbers: Sequence[int]) -> list[int]:
    """The CRC-32 of each of these chunks of a file, computed in threads."""

    def one(number: int) -> int:
        with open(path, "rb", buffering=0) as file:
            file.seek(number * CHUNK)
            return zlib.crc32(_whole(file, CHUNK))

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        return list(pool.map(one, numbers))


def _whole(file: IO[bytes], count: int) -> bytes:
    """Up to `count` bytes, all that there are: one read may give fewer."""
    data = file.read(count)
    while data and len(data) < count and (more := file.read(count - len(data))):
        data += more
    return data


def _sweep(folder: Path) -> None:
    """Remove what processes that were killed have left behind, some of it gigabytes."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") and entry.stat().st_mtime < time.time() - LEFT_BEHIND:
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)
