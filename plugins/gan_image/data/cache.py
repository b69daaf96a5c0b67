"""Pictures that were decoded once, kept on disk for the next run.

An item is `<key>.json` (which files were used, which skipped and why) and, where all pixels fit, `<key>.npy`. The JSON
file is written last, so what it describes is complete. Items are never changed: other data or options have another key.
Nothing is ever deleted here; the folder may be emptied at any time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from gan_image.data.decode import Mode
from gan_image.data.pixels import open_mapped
from gancore.data.report import Skipped
from gancore.storage import cache_folder, fill

VERSION = 1


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of decoding all files: channels, the numbers of those that are usable, and what was skipped."""

    mode: Mode
    used: tuple[int, ...]
    skipped: tuple[Skipped, ...]


class CacheItem:
    """One item of the cache. Every method tells failure by None or False: a cache that does not work is no error."""

    def __init__(self, key: str) -> None:
        self.notes = cache_folder("images") / f"{key}.json"
        self.pixels = cache_folder("images") / f"{key}.npy"

    def reading(self, files: int) -> Reading | None:
        """What was found out about these `files` files before."""
        try:
            content = json.loads(self.notes.read_text(encoding="utf-8"))
            found = Reading(
                mode=content["mode"],
                used=tuple(content["used"]),
                skipped=tuple(Skipped(*pair) for pair in content["skipped"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None
        sane = found.mode in ("grey", "rgb", "rgba") and all(0 <= number < files for number in found.used)
        return found if sane and found.used else None

    def open(self, shape: tuple[int, ...]) -> np.ndarray | None:
        """The pixels, mapped, if they are there and uint8 of this shape."""
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
        }
        text = json.dumps(content).encode()
        try:
            if pixels is not None:
                fill(self.pixels, lambda file: np.save(file, pixels, allow_pickle=False))
            fill(self.notes, lambda file: file.write(text))
        except OSError:
            return False
        return True
