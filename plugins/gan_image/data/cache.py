"""Pictures that were decoded once, kept on disk for the next run.

An item says which files were used, which skipped and why, and holds the pixels where all fit into memory. Nothing that is whole
is ever deleted here; the folder may be emptied at any time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gan_image.data.decode import Mode
from gan_image.data.pixels import open_mapped
from gancore.data import cache
from gancore.data.report import Skipped

VERSION = 2


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of decoding all files: channels, the numbers of those that are usable, and what was skipped.

    `range` are the values that became 0 and 255 in those that are not 8-bit, None where there are none; `notes` are for a report.
    """

    mode: Mode
    used: tuple[int, ...]
    skipped: tuple[Skipped, ...]
    range: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()


class CacheItem:
    """One item of the cache. Every method tells failure by None or False: a cache that does not work is no error."""

    def __init__(self, key: str) -> None:
        self.item = cache.CacheItem("images", key, ".npy")

    @property
    def pixels(self) -> Path | None:
        """The file that `open` maps."""
        return self.item.data

    def reading(self, files: int) -> Reading | None:
        """What was found out about these `files` files before."""
        content = self.item.read()
        if content is None:
            return None
        try:
            found = Reading(
                mode=content["mode"],
                used=tuple(content["used"]),
                skipped=tuple(Skipped(*pair) for pair in content["skipped"]),
                range=None if content["range"] is None else (float(content["range"][0]), float(content["range"][1])),
                notes=tuple(map(str, content["notes"])),
            )
        except (LookupError, TypeError, ValueError):
            return None
        sane = found.mode in ("grey", "rgb", "rgba") and all(0 <= number < files for number in found.used)
        return found if sane and found.used else None

    def open(self, shape: tuple[int, ...]) -> np.ndarray | None:
        """The pixels, mapped, if they are there, as they were written, and uint8 of this shape."""
        if self.pixels is None or not self.item.intact():
            return None
        try:
            mapped = open_mapped(self.pixels)
        except (OSError, ValueError, EOFError):
            return None
        return mapped if mapped.shape == shape and mapped.dtype == np.uint8 else None

    def save(self, reading: Reading, pixels: np.ndarray | None) -> bool:
        """Store both; False where the folder cannot be written or is full."""
        content = {
            "mode": reading.mode,
            "used": reading.used,
            "skipped": [(skipped.path, skipped.reason) for skipped in reading.skipped],
            "range": reading.range,
            "notes": reading.notes,
        }
        write = None if pixels is None else lambda file: np.save(file, pixels, allow_pickle=False)
        return self.item.save(content, write)
