"""Standard MIDI files made byte by byte, so that tests need no library to write what they read; and what to expect of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import mido

Note = tuple[int, int, int] | tuple[int, int, int, int]
"""Start and duration in ticks, pitch, and velocity (90 where there is none)."""


def quantity(value: int) -> bytes:
    """A number as MIDI writes lengths of time: seven bits a byte."""
    out = [value & 127]
    while value := value >> 7:
        out.append(value & 127 | 128)
    return bytes(reversed(out))


def chunk(events: Iterable[tuple[int, bytes]]) -> bytes:
    """An MTrk chunk of (tick, message), which are put in order."""
    body, now = b"", 0
    for tick, message in sorted(events, key=lambda event: event[0]):
        body += quantity(tick - now) + message
        now = tick
    body += b"\0\xff\x2f\0"
    return b"MTrk" + len(body).to_bytes(4, "big") + body


def midi_file(
    *tracks: Sequence[Note],
    tpq: int = 480,
    meters: Sequence[tuple[int, int, int]] = (),
    tempos: Sequence[tuple[int, int]] = (),
    programs: Sequence[int] = (),
    channels: Sequence[int] = (),
    names: Sequence[bytes] = (),
) -> bytes:
    """A file of type 1. `meters` are (tick, upper, lower), `tempos` (tick, microseconds a quarter note)."""
    head = [(tick, b"\xff\x58\x04" + bytes([upper, lower.bit_length() - 1, 24, 8])) for tick, upper, lower in meters]
    head += [(tick, b"\xff\x51\x03" + mspq.to_bytes(3, "big")) for tick, mspq in tempos]
    chunks = [chunk(head)]
    for number, notes in enumerate(tracks):
        channel = channels[number] if channels else number
        events = [(0, b"\xff\x03" + bytes([len(names[number])]) + names[number])] if names else []
        events.append((0, bytes([0xC0 | channel, programs[number] if programs else 0])))
        timed = []
        for start, duration, pitch, *velocity in notes:
            timed.append((start, 1, bytes([0x90 | channel, pitch, velocity[0] if velocity else 90])))
            timed.append((start + duration, 0, bytes([0x80 | channel, pitch, 0])))
        # Where a note ends as another begins, the end comes first.
        chunks.append(chunk(events + [(tick, message) for tick, _, message in sorted(timed)]))
    return b"MThd\0\0\0\6\0\1" + len(chunks).to_bytes(2, "big") + tpq.to_bytes(2, "big") + b"".join(chunks)


def phrases_of(
    tpq: int,
    parts: Sequence[Iterable[tuple[int, int, int]]],
    meters: Mapping[int, tuple[int, int]],
    wanted: tuple[int, int],
    bars: int,
    steps_per_beat: int,
    stride: int = 0,
    drums: Iterable[int] = (),
) -> list[list[tuple[int, int, int, int]]]:
    """The phrases that have notes, each a list of (track, start, end, pitch) in steps, worked out in fractions.

    `parts` holds (start, end, pitch) in ticks for each track, `meters` the time signature from each tick on.
    """
    step = Fraction(4 * tpq, wanted[1] * steps_per_beat)
    bar = wanted[0] * steps_per_beat
    marks: list[int] = []
    for tick in sorted(meters):
        whole = marks and (tick - marks[-1]) % (step * bar) == 0
        if not (whole and meters[tick] == meters[marks[-1]] == wanted):
            marks.append(tick)
    result = []
    for number, mark in enumerate(marks):
        if meters[mark] != wanted:
            continue

        def at(tick: int, mark: int = mark) -> int:
            # (tick - mark) / step + 1/2, rounded down; whole numbers are ten times as fast as fractions.
            return (2 * (tick - mark) * step.denominator + step.numerator) // (2 * step.numerator)

        on_grid = [(t, at(a), max(at(b), at(a) + 1), p) for t, notes in enumerate(parts) for a, b, p in notes]
        length = math.ceil(Fraction(max((end for _, _, end, _ in on_grid), default=0), bar))
        if number + 1 < len(marks):
            length = min(length, int((marks[number + 1] - mark) // (step * bar)))
        for first in range(0, length - bars + 1, stride or bars):
            low, high = first * bar, (first + bars) * bar
            inside = []
            for track, start, end, pitch in on_grid:
                if track in drums:
                    end = start + 1
                if start < high and end > low:
                    inside.append((track, max(start, low) - low, min(end, high) - low, pitch))
            if inside:
                result.append(inside)
    return result


def played(path: Path, name: str) -> list[tuple[float, float, int]]:
    """(start, duration, pitch), in quarters, of every note of the tracks called `name`, as another library reads the file."""
    file, found = mido.MidiFile(path), []
    for track in (t for t in file.tracks if t.name == name):
        now, sounding = 0, {}
        for message in track:
            now += message.time
            if message.type == "note_on" and message.velocity:
                sounding[message.note] = now
            elif message.type in ("note_on", "note_off"):
                start = sounding.pop(message.note)
                found.append((start / file.ticks_per_beat, (now - start) / file.ticks_per_beat, message.note))
    return sorted(found)
