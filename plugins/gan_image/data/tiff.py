"""Pictures in TIFF files whose numbers Pillow has no mode for, or takes for other ones: signed bytes, 64-bit values, deep colours.

Pillow is given such a file as if each byte were a grey pixel, so that it finds and unpacks them; what they are is then for NumPy.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from PIL import Image

from gancore.errors import DataError

_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_SIZES, _CODES = {1: 1, 3: 2, 4: 4}, {1: "B", 3: "H", 4: "I"}
"""Bytes of a number, and how struct calls it, by its type."""
_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _ORIENTATION, _SAMPLES, _ROWS, _PLANAR = 256, 257, 258, 262, 274, 277, 278, 284
_PREDICTOR, _TILE_WIDTH, _PRINTER, _EXTRA, _FORMAT = 317, 322, 337, 338, 339
_LETTERS = {1: "u", 2: "i", 3: "f"}


@dataclass(frozen=True, slots=True)
class Plan:
    """How a file is read that Pillow does not read rightly: `tags` are the numbers of its first picture, `places` of their entries."""

    order: str
    tags: dict[int, tuple[int, ...]]
    places: dict[int, int]
    several: bool

    def tag(self, number: int, default: int) -> int:
        """The first number of a tag."""
        return (self.tags.get(number) or (default,))[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of one value."""
        return np.dtype(f"{self.order}{_LETTERS[self.tag(_FORMAT, 1)]}{self.tag(_BITS, 1) // 8}")

    @property
    def grey(self) -> bool:
        """Whether it has no colours."""
        return self.tag(_SAMPLES, 1) < 3

    @property
    def depth(self) -> str:
        """What the values are: "16-bit", "floating-point"."""
        bits = self.dtype.itemsize * 8
        return "floating-point" if self.dtype.kind == "f" else f"signed {bits}-bit" if bits == 8 else f"{bits}-bit"

    @property
    def orientation(self) -> int:
        """How it must be turned, as in EXIF."""
        return self.tag(_ORIENTATION, 1)


def plan(file: IO[bytes]) -> Plan | None:
    """How to read a TIFF file that Pillow does not read rightly; None for all others.

    Raises:
        DataError: it cannot be read; the message completes "the file is ...".
    """
    file.seek(0)
    head = file.read(8)
    order = _ORDERS.get(head[:4])
    if order is None or len(head) < 8:
        return None
    found = _first_picture(file, order, struct.unpack(f"{order}I", head[4:])[0])
    if found is None or _by_pillow(found):
        return None
    channels, height = found.tag(_SAMPLES, 1), found.tag(_HEIGHT, 0)
    if max(found.tag(_WIDTH, 0) * found.dtype.itemsize, height) * channels >= 2**31:
        raise DataError("damaged (no picture is as large as it says)")
    if channels > 4:
        raise DataError(f"a picture of {channels} channels, and at most 4 are read")
    uneven = height % min(height, found.tag(_ROWS, height) or height) != 0
    if found.tag(_PLANAR, 1) == 2 and channels > 1 and (uneven or _TILE_WIDTH in found.tags):
        raise DataError(
            "of a kind that is not read (a TIFF file whose colours lie apart); save it with colours together"
        )
    if found.tag(_PREDICTOR, 1) != 1 and (_TILE_WIDTH in found.tags or found.tag(_PLANAR, 1) == 2):
        raise DataError("of a kind that is not read (a TIFF file of tiles with a predictor); save it without tiles")
    return found


def values(plan: Plan, data: bytes, opened: Callable[[IO[bytes]], Image.Image]) -> tuple[np.ndarray, np.ndarray | None]:
    """The values `[height, width]` or `[height, width, 3]` of a picture, and its uint8 alpha or None."""
    channels, dtype = plan.tag(_SAMPLES, 1), plan.dtype
    height, width = plan.tag(_HEIGHT, 0), plan.tag(_WIDTH, 0)
    apart = channels if plan.tag(_PLANAR, 1) == 2 else 1
    with opened(io.BytesIO(_as_bytes(plan, data, apart))) as image:
        rows = np.asarray(image)
    predictor = plan.tag(_PREDICTOR, 1)
    if predictor == 3:
        steps = rows.reshape(height, -1, channels).cumsum(axis=1, dtype=np.uint8)
        rows = steps.reshape(height, dtype.itemsize, -1).transpose(0, 2, 1)
        dtype = dtype.newbyteorder(">")
    flat: np.ndarray = np.ascontiguousarray(rows).reshape(-1).view(dtype)
    if apart > 1:
        flat = flat.reshape(channels, height, width).transpose(1, 2, 0)
    x: np.ndarray = flat.reshape(height, width, channels)
    if predictor == 2:
        x = x.cumsum(axis=1, dtype=dtype.newbyteorder("="))
    if plan.tag(_PHOTOMETRIC, 1) == 0:
        x = np.iinfo(dtype).max - x if dtype.kind == "u" else -x.astype(np.float64)
    alpha: np.ndarray | None = None
    if channels in (2, 4):
        if plan.tag(_EXTRA, 0) in (1, 2) and dtype.kind == "u":
            alpha = (x[..., -1] >> (8 * dtype.itemsize - 8)).astype(np.uint8)
        x = x[..., :-1]
    return (x[..., 0] if x.shape[2] == 1 else x), alpha


def _first_picture(file: IO[bytes], order: str, place: int) -> Plan | None:
    file.seek(place)
    begin = file.read(2)
    count = struct.unpack(f"{order}H", begin)[0] if len(begin) == 2 else 0
    table = file.read(12 * count + 4)
    if len(table) < 12 * count:
        return None
    tags: dict[int, tuple[int, ...]] = {}
    places: dict[int, int] = {}
    for at in range(0, 12 * count, 12):
        number, kind, length = struct.unpack(f"{order}HHI", table[at : at + 8])
        places[number] = place + 2 + at
        size = _SIZES.get(kind, 0) * length
        if not 0 < size <= 64:
            continue
        content = table[at + 8 : at + 8 + size]
        if size > 4:
            file.seek(struct.unpack(f"{order}I", table[at + 8 : at + 12])[0])
            content = file.read(size)
        if len(content) == size:
            tags[number] = struct.unpack(f"{order}{length}{_CODES[kind]}", content)
    return Plan(order, tags, places, any(table[12 * count :]))


def _by_pillow(found: Plan) -> bool:
    """Whether Pillow reads such a picture as what it is, or nobody does."""
    bits, kinds = set(found.tags.get(_BITS, (1,))), set(found.tags.get(_FORMAT, (1,)))
    channels, photometric = found.tag(_SAMPLES, 1), found.tag(_PHOTOMETRIC, 1)
    if len(bits) > 1 or len(kinds) > 1 or photometric > 2 or not found.tag(_WIDTH, 0) or not found.tag(_HEIGHT, 0):
        return True
    kind, size = _LETTERS.get(kinds.pop(), ""), bits.pop()
    if size not in (8, 16, 32, 64) or not kind or (kind == "f" and size == 8):
        return True
    if kind == "u" and size == 8:
        return True
    if photometric == 0:
        return False
    if channels == 1:
        return (kind, size) in (("u", 16), ("i", 16), ("i", 32), ("f", 32))
    alpha = channels == 4 and found.tag(_EXTRA, 0) == 2
    return kind == "u" and size == 16 and found.tag(_PLANAR, 1) == 1 and (channels == 3 or alpha)


def _as_bytes(plan: Plan, data: bytes, apart: int) -> bytes:
    """The file with each byte of a value as a grey pixel, and colours that lie apart below each other."""
    wider = plan.dtype.itemsize * (1 if apart > 1 else plan.tag(_SAMPLES, 1))
    wanted = {
        _WIDTH: plan.tag(_WIDTH, 0) * wider,
        _HEIGHT: plan.tag(_HEIGHT, 0) * apart,
        _TILE_WIDTH: plan.tag(_TILE_WIDTH, 0) * wider,
        _BITS: 8,
        _EXTRA: 0,
    } | dict.fromkeys((_SAMPLES, _PHOTOMETRIC, _PLANAR, _FORMAT, _PREDICTOR, _ORIENTATION), 1)
    result = bytearray(data)
    for number, value in wanted.items():
        if number in plan.places:
            place = plan.places[number]
            # Extra channels there are none: their tag becomes one that says nothing of pixels.
            kind = 2 if number == _EXTRA else 4
            entry = struct.pack(f"{plan.order}HHI", _PRINTER if number == _EXTRA else number, kind, 1)
            result[place : place + 12] = entry + struct.pack(f"{plan.order}I", value)
    return bytes(result)
