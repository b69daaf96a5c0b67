"""Whether a sound file is all there, by its own header: libsndfile reads what is left of a truncated one without a word."""

from __future__ import annotations

import struct
from typing import IO

_CHUNKS = 1000
"""So many chunks are looked through for the samples: a file of nothing but empty chunks must not take long."""
_LENGTH_UNKNOWN = 0x7FFFF000
"""Programs that write into a pipe put this or more where the length belongs."""
_OGG_PAGE = 65_307
"""Bytes of the largest page of an Ogg file."""


def what_is_missing(file: IO[bytes], size: int) -> str:
    """Words that complete "the file is truncated (...)" for a WAV, AIFF, AU or Ogg file of `size` bytes; else empty.

    WAV and AIFF files keep their samples in a chunk with its length, AU files tell it in the header, and the last page of an
    Ogg file is marked.
    """
    file.seek(0)
    head = file.read(12)
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        return _chunks(file, size, "<", b"data")
    if head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
        return _chunks(file, size, ">", b"SSND")
    if head[:4] == b".snd" and len(head) == 12:
        start, length = struct.unpack(">II", head[4:])
        return _short(start, length, size)
    if head[:4] == b"OggS":
        return _last_page(file, size)
    return ""


def _short(start: int, length: int, size: int) -> str:
    # The byte that makes a length even is often left out.
    if start + length <= size + 1 or length >= _LENGTH_UNKNOWN:
        return ""
    return f"its header promises {length:,} bytes of sound, {max(0, size - start):,} are there"


def _chunks(file: IO[bytes], size: int, order: str, samples: bytes) -> str:
    at = 12
    for _ in range(_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return ""
        kind, length = struct.unpack(f"{order}4sI", head)
        if kind == samples:
            return _short(at + 8, length, size)
        at += 8 + length + length % 2
    return ""


def _last_page(file: IO[bytes], size: int) -> str:
    file.seek(max(0, size - 2 * _OGG_PAGE))
    tail = file.read(2 * _OGG_PAGE)
    page = tail[max(0, tail.rfind(b"OggS")) :]
    whole = len(page) >= 27 and len(page) >= 27 + page[26] + sum(page[27 : 27 + page[26]])
    # Bit 2 of the type says that the stream ends with this page.
    return "" if whole and page[5] & 4 else "its last page is missing"
