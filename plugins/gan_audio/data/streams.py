"""Which streams of sound a file holds one after the other, found by content, and whether they are all there.

libsndfile reads the first stream of a file and says nothing of what follows, as it says nothing of a truncated one. Files are
joined by radio recorders, by `cat` and by players that chain Ogg files, and each part is then a whole file by itself.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO

from gan_audio.data import mpeg

_CHUNKS = 1000
"""So many chunks are looked through for the samples: a file of nothing but empty chunks must not take long."""
_LENGTH_UNKNOWN = 0x7FFFF000
"""Programs that write into a pipe put this or more where the length belongs."""
_OGG_PAGE = 65_307
"""Bytes of the largest page of an Ogg file."""
_SEARCH = 1 << 20
_FLAC = b"fLaC\x00\x00\x00\x22"
_MPEG_IN_WAV = (0x50, 0x55)
_W64 = bytes.fromhex("726966662e91cf11a5d628db04c10000")

_FOR_FFMPEG = (
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),  # WMA
    (0, b"\x1a\x45\xdf\xa3"),  # Matroska, WebM
    (0, b"#!AMR"),
    (0, b"\x0b\x77"),  # AC-3
    (4, b"ftyp"),  # M4A
)


@dataclass(frozen=True, slots=True)
class Stream:
    """A part of a file, from `start` to `stop`, that is a file of sound by itself.

    `missing` completes "the file is truncated (...)" where its own header says so. `exact` is false where the number of frames that a
    decoder tells in advance is an estimate. The stream is to be read as if it began with `head`.
    """

    start: int
    stop: int
    missing: str = ""
    exact: bool = True
    head: bytes = b""


def streams(file: IO[bytes], size: int, seconds: float) -> list[Stream]:
    """The streams of a file of `size` bytes, at least one, in their order; of MPEG audio those in its first `seconds`."""
    found: list[Stream] = []
    at = 0
    while at < size and (parts := _container(file, at, size, seconds)):
        found += parts[0]
        at = parts[1]
    if found:
        return found
    tagged = _at(file, 0, 3)
    if tagged == b"ID3" or tagged[:1] == b"\xff":
        return mpeg_streams(file, 0, size, seconds) or [Stream(0, size, exact=False)]
    return [Stream(0, size)]


def mpeg_streams(file: IO[bytes], start: int, stop: int, seconds: float) -> list[Stream]:
    """The streams of MPEG audio between two places of a file, whatever lies before and between them."""
    found = mpeg.runs(file, start, stop, seconds)
    return [Stream(run.start, run.stop, run.missing, run.promised is not None, run.head) for run in found]


def is_for_ffmpeg(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a format that libsndfile does not decode."""
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:  # AAC
        return True
    return any(head[at : at + len(mark)] == mark for at, mark in _FOR_FFMPEG)


def looks_like_sound(file: IO[bytes], size: int) -> bool:
    """Whether a file begins as one of the common containers, or as several frames of MPEG audio."""
    head = _at(file, 0, 16)
    if _reader(head) is not None or is_for_ffmpeg(head) or head.startswith(b"Creative Voice"):
        return True
    return head[:3] == b"ID3" or (head[:1] == b"\xff" and bool(mpeg.runs(file, 0, size, 0.1)))


# --- containers -------------------------------------------------------------------------------------------------------

Reader = Callable[[IO[bytes], int, int], tuple[int, str]]
"""Of a file, the place where a container begins in it and the file's size: where it ends, and what is missing."""


def _reader(head: bytes) -> Reader | None:
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return _wav
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC", b"8SVX", b"16SV"):
        return _iff
    if head[:16] == _W64:
        return _w64
    if head[:7] == b"NIST_1A":
        return _nist
    return {b".snd": _au, b"caff": _caf, b"OggS": _ogg, b"fLaC": _flac}.get(head[:4])


def _container(file: IO[bytes], at: int, size: int, seconds: float) -> tuple[list[Stream], int] | None:
    """The streams of the container that begins at a place, and where it ends; None where none does."""
    begin = at
    if not at and (place := _behind_tag(file)):  # some have one, for players that know MP3
        at = place
    reader = _reader(_at(file, at, 16))
    if reader is None:
        return None
    if reader is not _flac:  # libsndfile subtracts the tag from a length that does not count it
        begin = at
    stop, missing = reader(file, at, size)
    inside = _mpeg_in_wav(file, at, stop, seconds) if reader is _wav and not missing else []
    return inside or [Stream(begin, stop, missing)], stop


def _behind_tag(file: IO[bytes]) -> int:
    head = _at(file, 0, 10)
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    return 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])


def _short(start: int, length: int, size: int) -> str:
    # The byte that makes a length even is often left out.
    if start + length <= size + 1:
        return ""
    return f"its header promises {length:,} bytes of sound, {max(0, size - start):,} are there"


def _chunks(file: IO[bytes], at: int, size: int, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Kind, place and length of each chunk of a WAV or AIFF file from a place on."""
    for _ in range(_CHUNKS):
        head = _at(file, at, 8)
        if len(head) < 8 or at >= size:
            return
        kind, length = struct.unpack(f"{order}4sI", head)
        yield kind, at + 8, length
        at += 8 + length + length % 2


def _end(file: IO[bytes], at: int, place: int, length: int, size: int, order: str) -> tuple[int, str]:
    """Where a WAV or AIFF file at `at` ends whose samples have this place and length, and what is missing of them."""
    behind = place + length
    declared = at + 8 + struct.unpack(f"{order}I", _at(file, at + 4, 4))[0]
    ends = (behind, behind + length % 2, max(behind, declared), max(behind, declared + declared % 2))
    return _next(file, ends, size), _short(place, length, size)


def _next(file: IO[bytes], places: Iterable[int], stop: int) -> int:
    """The first of some places at which another container begins, perhaps after zeros that fill a block; else `stop`."""
    for at in places:
        part = _at(file, at, _SEARCH)
        for begin in (at, at + len(part) - len(part.lstrip(b"\0"))):
            if _reader(_at(file, begin, 16)):
                return begin
    return stop


def _wav(file: IO[bytes], at: int, size: int) -> tuple[int, str]:
    large = 0
    for kind, place, length in _chunks(file, at + 12, size, "<"):
        if kind == b"ds64":
            large = int.from_bytes(_at(file, place + 8, 8), "little")
        if kind == b"data":
            if length == 0xFFFFFFFF and large:
                length = large
            elif length >= _LENGTH_UNKNOWN or not length:
                return _search(file, b"WAVEfmt ", place, size, before=8), ""
            return _end(file, at, place, length, size, "<")
    return size, ""


def _mpeg_in_wav(file: IO[bytes], at: int, stop: int, seconds: float) -> list[Stream]:
    """The streams of a WAV file whose samples are MPEG audio."""
    tag = 0
    for kind, place, length in _chunks(file, at + 12, stop, "<"):
        if kind == b"fmt " and length >= 2:
            tag = struct.unpack("<H", _at(file, place, 2).ljust(2, b"\0"))[0]
        if kind == b"data":
            return mpeg_streams(file, place, min(stop, place + length), seconds) if tag in _MPEG_IN_WAV else []
    return []


def _iff(file: IO[bytes], at: int, size: int) -> tuple[int, str]:
    for kind, place, length in _chunks(file, at + 12, size, ">"):
        if kind in (b"SSND", b"BODY"):
            return (size, "") if length >= _LENGTH_UNKNOWN else _end(file, at, place, length, size, ">")
    return size, ""


def _w64(file: IO[bytes], at: int, size: int) -> tuple[int, str]:
    place = at + 40
    for _ in range(_CHUNKS):
        head = _at(file, place, 24)
        if len(head) < 24:
            break
        length = int.from_bytes(head[16:], "little")  # with these 24 bytes
        if head[:4] == b"data":
            stop = place + length
            return _next(file, (stop, stop + -length % 8), min(stop, size)), _short(place + 24, length - 24, size)
        place += max(24, length + -length % 8)
    return size, ""


def _caf(file: IO[bytes], at: int, size: int) -> tuple[int, str]:
    place = at + 8
    for _ in range(_CHUNKS):
        head = _at(file, place, 12)
        if len(head) < 12:
            break
        kind, length = struct.unpack(">4sq", head)
        place += 12
        if length < 0:  # up to the end
            break
        if kind == b"data":
            return _next(file, (place + length,), size), _short(place, length, size)
        place += length
    return size, ""


def _au(file: IO[bytes], at: int, size: int) -> tuple[int, str]:
    start, length = struct.unpack(">II", _at(file, at + 4, 8).ljust(8, b"\0"))
    if length >= _LENGTH_UNKNOWN:
        return size, ""
    return _next(file, (at + start + length,), size), _short(at + start, length, size)


def _nist(file: IO[bytes], at: int, size: int) -> tuple[int, str]:
    """Lines of text say how long this header is and what follows it."""
    try:
        begin = int(_at(file, at + 8, 8))
        words = [line.split() for line in _at(file, at, min(begin, 1 << 16)).decode("latin-1").splitlines()]
        fields = {line[0]: line[2] for line in words if len(line) == 3}
        values = [int(fields[name]) for name in ("sample_count", "channel_count", "sample_n_bytes")]
    except (ValueError, KeyError):
        return size, ""
    place, length = at + begin, math.prod(values)
    return _next(file, (place + length,), min(place + length, size)), _short(place, length, size)


def _flac(file: IO[bytes], at: int, size: int) -> tuple[int, str]:
    place = at + 4
    while True:
        place = _search(file, _FLAC, place, size)
        head = _at(file, place, 21)
        if len(head) < 21 or place >= size:
            return size, ""
        least, most = struct.unpack(">HH", head[8:12])
        if 16 <= least <= most and int.from_bytes(head[18:21], "big") >> 4:
            return place, ""
        place += 1


def _ogg(file: IO[bytes], at: int, size: int) -> tuple[int, str]:
    """Several streams may begin together, each by a page of its own; where one begins later, a link of a chain does."""
    place, begun = at, False
    while place < size:
        head = _at(file, place, 27 + 255)
        if head[:4] != b"OggS" or len(head) < 27:
            place = _search(file, b"OggS", place + 1, size)
            continue
        first = bool(head[5] & 2)
        if first and begun:
            return place, ""
        begun = begun or not first
        place += 27 + head[26] + sum(head[27 : 27 + head[26]])
    return size, _last_page(file, size)


def _last_page(file: IO[bytes], size: int) -> str:
    tail = _at(file, max(0, size - 2 * _OGG_PAGE), 2 * _OGG_PAGE)
    page = tail[max(0, tail.rfind(b"OggS")) :]
    whole = len(page) >= 27 and len(page) >= 27 + page[26] + sum(page[27 : 27 + page[26]])
    # Bit 2 of the type says that the stream ends with this page.
    return "" if whole and page[5] & 4 else "its last page is missing"


# --- bytes ------------------------------------------------------------------------------------------------------------


def _at(file: IO[bytes], at: int, count: int) -> bytes:
    file.seek(at)
    return file.read(count)


def _search(file: IO[bytes], mark: bytes, at: int, size: int, before: int = 0) -> int:
    """Where `mark` comes next, less `before`; `size` where it does not."""
    while at < size:
        part = _at(file, at, _SEARCH)
        place = part.find(mark)
        if place >= 0:
            return at + place - before
        if len(part) <= len(mark):
            break
        at += len(part) - len(mark) + 1
    return size
