"""Picture files without what is not the picture: comments, EXIF and XMP data, colour profiles.

Pillow refuses a whole file for a comment that is long or has a wrong checksum. Where it does, the file is tried once more as these
functions leave it: pixels and what they need are kept byte by byte, so damage to them is still found.
"""

from __future__ import annotations

import struct
import zlib
from typing import Literal

LONGEST_SIGNATURE = 12
_PNG = b"\x89PNG\r\n\x1a\n"
_TIFF: dict[bytes, Literal["<", ">"]] = {b"II*\0": "<", b"MM\0*": ">"}
_OF_PIXELS = {
    *(254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325),
    *(332, 334, 336, 338, 339, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532),
}
"""Tags of TIFF by which pixels are found, decoded and turned."""
_EXIF_LIMIT = 1 << 16


def can_repair(head: bytes) -> bool:
    """Whether a file of a format that is known here begins with these `LONGEST_SIGNATURE` bytes."""
    return head.startswith((_PNG, b"\xff\xd8\xff", *_TIFF)) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def without_metadata(data: bytes) -> bytes | None:
    """The file with pixels only, or None where it is of no format that is known here or cannot be followed."""
    if data.startswith(_PNG):
        return _png(data)
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    if data.startswith(tuple(_TIFF)):
        return _tiff(data, _TIFF[data[:4]])
    return None


def _png(data: bytes) -> bytes:
    """Critical chunks (their names begin with a capital), transparency, and an orientation that is not damaged."""
    parts, place = [_PNG], len(_PNG)
    while place + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        end = place + 12 + length
        chunk = data[place:end]
        whole = end <= len(data) and zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")
        if kind[:1].isupper() or (whole and (kind == b"tRNS" or (kind == b"eXIf" and length < _EXIF_LIMIT))):
            parts.append(chunk)
        if kind == b"IEND":
            return b"".join(parts)
        place = end
    return b"".join([*parts, struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))])


def _jpeg(data: bytes) -> bytes | None:
    """Without comments and application data but JFIF's and Adobe's, which say how colours are coded."""
    parts, place = [data[:2]], 2
    while place + 4 <= len(data):
        if data[place] != 0xFF:
            return None
        kind = data[place + 1]
        if kind == 0xFF:  # filling
            place += 1
            continue
        if kind == 0xDA:
            return b"".join([*parts, data[place:]])
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if not (0xE1 <= kind <= 0xED or kind in (0xEF, 0xFE)):
            parts.append(data[place:end])
        place = end
    return None


def _webp(data: bytes) -> bytes:
    """Without the chunks for EXIF and XMP data and for a colour profile, of which the first chunk no longer speaks."""
    parts, place = [], 12
    while place + 8 <= len(data):
        kind, length = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        end = place + 8 + length + (length & 1)
        chunk = data[place:end]
        if kind == b"VP8X" and len(chunk) > 8:
            chunk = chunk[:8] + bytes([chunk[8] & ~0x2C]) + chunk[9:]
        if kind not in (b"EXIF", b"XMP ", b"ICCP"):
            parts.append(chunk)
        place = end
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _tiff(data: bytes, order: Literal["<", ">"]) -> bytes:
    """With a single byte, 0, as the value of every tag of the first picture that its pixels do not need."""
    result = bytearray(data)
    place = struct.unpack(order + "I", data[4:8])[0] if len(data) >= 8 else len(data)
    count = struct.unpack(order + "H", data[place : place + 2])[0] if place + 2 <= len(data) else 0
    for entry in range(place + 2, min(place + 2 + 12 * count, len(data) - 11), 12):
        if struct.unpack(order + "H", data[entry : entry + 2])[0] not in _OF_PIXELS:
            result[entry + 2 : entry + 12] = struct.pack(order + "HII", 1, 1, 0)
    return bytes(result)
