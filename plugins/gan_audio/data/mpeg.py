"""Where the frames of MPEG audio (MP3, MP2) lie in a file, and which of them belong together.

Such a file has no header of its own: it is frames one after the other, with tags before and behind them, and files that were
joined go on with the frames of the next. A decoder estimates its length from the first frame and the size; here frames are counted.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

_RATES = (44_100, 48_000, 32_000)
_LAYER_1 = (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448)
_LAYER_2 = (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
_LAYER_3 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_LOW_1 = (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256)
_LOW_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_SLOWER = {3: 1, 2: 2, 0: 4}
"""Versions of MPEG (3 is MPEG 1, 2 is MPEG 2, 0 is MPEG 2.5), and by how much their sample rates are lower."""
_PLAIN = 9
"""The number of a bit rate at which frames have room for what is told in them."""
_DELAY = 529
"""Samples by which decoders are late."""
_HEAD = 64
"""Bytes of a frame in which all that is asked of it stands."""
_SEARCH = 1 << 16
_ALIKE = 3
"""So many frames in a row are no accident."""
_GAP = 1 << 20
"""Bytes without a frame that are looked through for the next."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The header of one frame of `size` bytes, which holds `samples` samples of each channel.

    `promised` is how many frames follow this one, where it says so: it then holds no sound.
    """

    kind: tuple[int, int, int, int]
    """Version, layer, sample rate and channels, which frames of one stream share."""
    size: int
    samples: int
    promised: int | None = None


@dataclass(slots=True)
class Run:
    """Frames without a gap between `start` and `stop`; `promised`, where the first of them says how many there are."""

    start: int
    stop: int
    kind: tuple[int, int, int, int]
    promised: int | None
    count: int = 0
    turn: int | None = None
    """Where the frames begin that come after all those promised."""

    @property
    def missing(self) -> str:
        """Words that complete "the file is truncated (...)", or none."""
        if self.promised is None or self.count >= self.promised:  # some count the frame that says it
            return ""
        return f"its header promises {self.promised:,} frames, {self.count - 1:,} are there"

    @property
    def head(self) -> bytes:
        """Two frames to put before the others that tell how many there are, where no frame does; else nothing.

        A decoder that has to estimate it stops too early where later frames are smaller than the first. The second frame is
        silent: where a count is told, decoders leave out their delay at the beginning, and here that is this frame.
        """
        version, layer, hertz, channels = self.kind
        if layer != 3 or self.promised is not None:
            return b""
        rate, mode = _RATES.index(hertz * _SLOWER[version]), 3 if channels == 1 else 0
        begin = bytes([0xFF, 0xE3 | version << 3, _PLAIN << 4 | rate << 2, mode << 6]) + bytes(_side(version, channels))
        size, skip = _size(version, layer, _PLAIN, hertz, 0), _samples(version, layer) - _DELAY
        told = (
            b"Info"
            + struct.pack(">II", 1, self.count + 1)
            + b"LAME3.100"
            + bytes(12)
            + struct.pack(">I", skip << 20)[:3]
        )
        return (begin + told).ljust(size, b"\0") + begin.ljust(size, b"\0")


def runs(file: IO[bytes], start: int, stop: int, seconds: float) -> list[Run]:
    """The streams between two places of a file; none where it holds no MPEG audio. What comes after `seconds` is not looked at."""
    found: list[Run] = []
    at, heard, lost = start, 0.0, start
    run: Run | None = None
    while at < stop and at - lost <= _GAP:
        frame = _frame(file, at, stop)
        if run is None or frame is None or frame.kind != run.kind or frame.promised is not None:
            run = None
            if frame is None or not _in_a_row(file, at, stop, frame):
                place = _after_tag(file, at, stop)
                if place is not None:
                    at = lost = place
                else:
                    at = _next(file, at + 1, stop)
                continue
            run = Run(at, at, frame.kind, frame.promised)
            found.append(run)
        at = lost = run.stop = at + frame.size
        run.count += 1
        if run.count - 1 == run.promised:
            run.turn = at
        heard += frame.samples / frame.kind[2]
        if heard > seconds:
            run.stop, run.promised = stop, None
            break
    return [part for run in found for part in _parted(run)]


def _parted(run: Run) -> Iterator[Run]:
    """A run in two where many more frames come than were promised: a decoder would stop there."""
    behind = 0 if run.turn is None or run.promised is None else run.count - 1 - run.promised
    if run.turn is None or behind < _ALIKE:
        yield run
        return
    yield Run(run.start, run.turn, run.kind, run.promised, run.count - behind)
    yield Run(run.turn, run.stop, run.kind, None, behind)


def _frame(file: IO[bytes], at: int, stop: int) -> Frame | None:
    """The frame that begins at a place and ends before `stop`."""
    file.seek(at)
    head = file.read(_HEAD)
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bits, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or bits in (0, 15) or rate == 3:
        return None
    hertz = _RATES[rate] // _SLOWER[version]
    size = _size(version, layer, bits, hertz, head[2] >> 1 & 1)
    if at + size > stop:
        return None
    channels = 1 if head[3] >> 6 == 3 else 2
    promised = _promised(head[: min(size, _HEAD)], _side(version, channels)) if layer == 3 else None
    return Frame((version, layer, hertz, channels), size, _samples(version, layer), promised)


def _samples(version: int, layer: int) -> int:
    return 384 if layer == 1 else 1152 if version == 3 or layer == 2 else 576


def _size(version: int, layer: int, bits: int, hertz: int, padding: int) -> int:
    """Bytes of a frame."""
    table = (_LAYER_1, _LAYER_2, _LAYER_3)[layer - 1] if version == 3 else (_LOW_1, _LOW_2, _LOW_2)[layer - 1]
    speed = table[bits - 1] * 1000
    if layer == 1:
        return (12 * speed // hertz + padding) * 4
    return _samples(version, layer) // 8 * speed // hertz + padding


def _side(version: int, channels: int) -> int:
    """Bytes between the header of a frame of layer 3 and its first data."""
    return (9, 17, 32)[(version == 3) + channels - 1]


def _promised(head: bytes, side: int) -> int | None:
    for at in (4 + side, 6 + side):  # with a checksum two bytes later
        if head[at : at + 4] in (b"Xing", b"Info") and len(head) >= at + 12:
            flags, count = struct.unpack_from(">II", head, at + 4)
            return count if flags & 1 else None
    if head[36:40] == b"VBRI" and len(head) >= 54:
        return int(struct.unpack_from(">I", head, 50)[0])
    return None


def _in_a_row(file: IO[bytes], at: int, stop: int, frame: Frame) -> bool:
    """Whether frames like this one follow it, as many as it takes to believe it, or all there is room for."""
    for _ in range(_ALIKE - 1):
        at += frame.size
        if at >= stop or _after_tag(file, at, stop) is not None:
            return True
        following = _frame(file, at, stop)
        if following is None or following.kind != frame.kind:
            return False
        frame = following
    return True


def _after_tag(file: IO[bytes], at: int, stop: int) -> int | None:
    """The place behind a tag (ID3, APE, Lyrics3) that begins here."""
    file.seek(at)
    head = file.read(32)
    if head[:3] == b"ID3" and len(head) >= 10 and max(head[6:10]) < 128:
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        return min(stop, at + 10 + size + (10 if head[5] & 16 else 0))
    if head[:8] == b"APETAGEX" and len(head) == 32:
        size, flags = struct.unpack_from("<I4xI", head, 12)
        return min(stop, at + 32 + (size if flags & 1 << 29 else 0))
    if head[:3] == b"TAG" and stop - at >= 128:
        return at + (227 if head[3:4] == b"+" else 128)
    if head[:11] == b"LYRICSBEGIN":
        return at + 11
    return None


def _next(file: IO[bytes], at: int, stop: int) -> int:
    """The next place where a frame or a tag may begin, or `stop`."""
    while at < stop:
        file.seek(at)
        part = file.read(min(_SEARCH, stop - at))
        if not part:
            return stop
        places = [place for mark in (b"\xff", b"ID3", b"APETAGEX") if (place := part.find(mark)) >= 0]
        if places:
            return at + min(places)
        at += max(1, len(part) - 8)  # a mark may lie across two parts
        if len(part) <= 8:
            return stop
    return stop
