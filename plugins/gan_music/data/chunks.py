"""MIDI bytes made such that the parser leaves tracks whole: one program in each channel of a track, and names in UTF-8.

The parser makes a track of every program that a channel of a track is played with, and gives up a name that is not UTF-8.
Most files have neither, which a few searches find out; only others are walked through event by event.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from gancore.data.encodings import decode

_NOTE = re.compile(rb"[\x90-\x9f][\x00-\x7f]")
_NAME = b"\xff\x03"
# All bytes but those that a change of program begins with.
_OTHERS = bytes(byte for byte in range(256) if byte >> 4 != 12)

# An event of two bytes after its status, and the following ones that leave their status out; then any number of such. The
# parser forgives second bytes beyond 127.
_DELTA = rb"[\x80-\xff]{0,3}+[\x00-\x7f]"
_EVENTS = rb"%b([\x80-\xbf\xe0-\xef])..(?:%b[\x00-\x7f].)*+" % (_DELTA, _DELTA)
_ALIKE, _ANY = re.compile(_EVENTS, re.DOTALL), re.compile(rb"(?:%b)++" % _EVENTS, re.DOTALL)


def whole_tracks(data: bytes, *, programs: bool = True) -> bytes:
    """The same file, in which every channel of a track has one program, that which most of its notes are played with.

    Names of tracks are in UTF-8, whatever they were in. Without `programs` only they are changed. What is damaged is left as it is.
    """
    parts: list[bytes] = []
    at, kept = 14, 0
    while at + 8 <= len(data):
        begin = at + 8
        end = begin + int.from_bytes(data[at + 4 : begin], "big")
        if data[at:begin].startswith(b"MTrk") and end <= len(data):
            late = programs and _has_late_programs(data, begin, end)
            body = b""
            if late or _has_foreign_name(data, begin, end):
                body = _rewritten(data[begin:end], late)
            if body:
                parts += (data[kept : at + 4], len(body).to_bytes(4, "big"), body)
                kept = end
        at = end
    return b"".join([*parts, data[kept:]]) if parts else data


def with_all_tracks(data: bytes) -> tuple[bytes, bool]:
    """The first MIDI file in `data`, whose header tells of all its tracks, and whether another one follows it.

    The parser reads no more tracks than the header tells of.
    """
    at, count = 14, 0
    while at + 8 <= len(data) and data[at : at + 4] != b"MThd":
        count += data[at : at + 4] == b"MTrk"
        at += 8 + int.from_bytes(data[at + 4 : at + 8], "big")
    joined = data[at : at + 4] == b"MThd"
    data = data[:at] if joined else data
    if int.from_bytes(data[10:12], "big") < count <= 0xFFFF:
        data = data[:10] + count.to_bytes(2, "big") + data[12:]
    return data, joined


def _has_late_programs(data: bytes, begin: int, end: int) -> bool:
    """Whether a program may change after a note; there are other bytes of the same value."""
    note = _NOTE.search(data, begin, end)
    return note is not None and bool(data[note.end() : end].translate(None, _OTHERS))


def _has_foreign_name(data: bytes, begin: int, end: int) -> bool:
    at = data.find(_NAME, begin, end)
    while at >= 0:
        name = data[at + 3 : at + 3 + data[at + 2]] if at + 2 < end else b""
        if not name.isascii() or 0 in name:
            return True
        at = data.find(_NAME, at + 2, end)
    return False


@dataclass(slots=True)
class _Track:
    """What was found in the events of a track: names as (place of their length, beginning, end), places of programs."""

    names: list[tuple[int, int, int]] = field(default_factory=list)
    programs: list[tuple[int, int]] = field(default_factory=list)
    """(place, channel)."""
    played: Counter[tuple[int, int]] = field(default_factory=Counter)
    """By (channel, program): bytes of events that begin and end notes."""


def _rewritten(body: bytes, programs: bool) -> bytes:
    """The events of a track with names in UTF-8 and, with `programs`, one program a channel; nothing where that changes nothing."""
    track = _Track()
    understood = _walk(body, track, _ANY)
    first = _NOTE.search(body)
    changed = bytearray(body)
    begin = b""
    if understood and programs and first and any(place > first.start() for place, _ in track.programs):
        played = _Track()
        _walk(body, played, _ALIKE)
        begin = _one_program(changed, played)
    for place, start, end in reversed(track.names):
        name = _text(body[start:end])
        changed[place:end] = _quantity(len(name)) + name
    return begin + changed if begin or changed != body else b""


def _one_program(body: bytearray, track: _Track) -> bytes:
    """Change programs where a channel is played with several, and return what is to stand before the first event."""
    begin = b""
    channels = Counter(channel for channel, _ in track.played)
    for channel in (channel for channel, count in channels.items() if count > 1):
        own = {program: size for (where, program), size in track.played.items() if where == channel}
        most = max(own, key=own.__getitem__)
        begin += bytes([0, 0xC0 | channel, most])
        for place, where in track.programs:
            if where == channel:
                body[place] = most
    return begin


def _text(name: bytes) -> bytes:
    ended = name.rstrip(b"\0") or name
    # The last letter of UTF-16 may end with a zero.
    text = decode(name if 0 in ended else ended)
    return text.strip("\0\ufeff").encode(errors="replace")


def _quantity(value: int) -> bytes:
    out = [value & 127]
    while value := value >> 7:
        out.append(value & 127 | 128)
    return bytes(reversed(out))


def _walk(body: bytes, track: _Track, events: re.Pattern[bytes]) -> bool:
    """Look at the events in order up to the end of the track; whether they were understood so far.

    `events` are passed over at once: `_ALIKE`, or `_ANY` if `track.played` is not wanted.
    """
    program = [0] * 16
    at = status = 0
    try:
        while at < len(body):
            if several := events.match(body, at):
                at, status = several.end(), body[several.start(1)]
                if status >> 4 == 9:
                    track.played[status & 15, program[status & 15]] += at - several.start()
                continue
            found = _event(body, at, status)
            if found is None:
                return False
            _, event, begin, at = found
            channel = event & 15
            if event == 0xFF:
                if body[begin] == 3 and at <= len(body):
                    track.names.append((begin + 1, _number(body, begin + 1)[1], at))
                elif body[begin] == 0x2F:
                    return True
            elif event < 0xF0:
                status = event
                if event >> 4 == 12:
                    program[channel] = body[begin] & 127
                    track.programs.append((begin, channel))
                elif event >> 4 == 9:
                    track.played[channel, program[channel]] += 3
    except IndexError:
        return False
    return True


def last_tick(body: bytes) -> int:
    """The tick of the last event of a track, which may be its end; 0 where the events cannot be followed."""
    now = at = status = 0
    try:
        while at < len(body):
            found = _event(body, at, status)
            if found is None:
                return 0
            wait, event, begin, at = found
            now += wait
            if event == 0xFF and body[begin] == 0x2F:
                break
            status = (
                event if event < 0xF0 else status
            )  # what is not music does not change the status that may be left out
    except IndexError:
        return 0
    return now


def _event(body: bytes, at: int, status: int) -> tuple[int, int, int, int] | None:
    """The event at a place: the ticks before it, its status, where its data begin and where the next event does.

    Where it leaves its status out, that is `status`. None where it is no event; IndexError where the track ends before it does.
    """
    wait, begin = _number(body, at)
    if begin - at > 4:
        return None
    event = body[begin]
    if event < 0x80:
        event = status
    else:
        begin += 1
    if event < 0x80 or event in (0xF4, 0xF5):
        return None
    if event < 0xF0:
        return wait, event, begin, begin + (1 if 12 <= event >> 4 < 14 else 2)
    if event in (0xF0, 0xF7, 0xFF):
        size, data = _number(body, begin + (event == 0xFF))
        return wait, event, begin, data + size
    return wait, event, begin, begin + {0xF1: 1, 0xF2: 2, 0xF3: 1}.get(event, 0)


def _number(body: bytes, at: int) -> tuple[int, int]:
    """A length as MIDI writes it, and the place after it."""
    value = 0
    while True:
        byte = body[at]
        at += 1
        value = value << 7 | byte & 127
        if byte < 128:
            return value, at
