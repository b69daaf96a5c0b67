"""Cutting tunes into phrases along their bar lines, and holding very many phrases in little memory.

All notes of many tunes are cut at once: a tune is too short for arithmetic on its own arrays to be fast.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from gan_music.data.reading import Tune
from gan_music.roll import Columns, Ints, Notes

MAX_STEPS = 4096
"""The longest phrase, in steps of the grid."""

# Tunes cut at once lie one after the other on one line of time; each has so much room there (see `_Line`).
_ROOM = 1 << 46
_MAX_TUNES = 1 << 16
# Pieces of notes that are worked on at once.
_MAX_PIECES = 1_000_000


@dataclass(frozen=True, slots=True)
class Grid:
    """The grid of a phrase of `bars` bars; `stride` is the way from one phrase to the next, in bars."""

    bars: int
    stride: int
    beats_per_bar: int
    beat_unit: int
    steps_per_beat: int

    @property
    def bar(self) -> int:
        """Steps in a bar."""
        return self.beats_per_bar * self.steps_per_beat

    @property
    def time(self) -> int:
        """Steps in a phrase."""
        return self.bars * self.bar


@dataclass(frozen=True, slots=True)
class NoteTable(Columns):
    """The notes of many tunes as columns `[notes]`, ordered by tune, with times in ticks; `tune` numbers tunes from 0."""

    tune: Ints
    track: Ints
    start: Ints
    duration: Ints
    pitch: Ints
    velocity: Ints


@dataclass(frozen=True, slots=True)
class Phrases:
    """Phrases as columns of notes `[notes]`, seven bytes a note; those of phrase n are `offsets[n]:offsets[n + 1]`.

    `tune` `[phrases]` says where each comes from. Within a phrase notes are in no certain order.
    """

    track: npt.NDArray[np.uint8]
    start: npt.NDArray[np.uint16]
    duration: npt.NDArray[np.uint16]
    pitch: npt.NDArray[np.uint8]
    velocity: npt.NDArray[np.uint8]
    offsets: Ints
    tune: Ints

    def __len__(self) -> int:
        return len(self.tune)

    def gather(self, indices: Ints) -> tuple[Notes, Ints]:
        """The notes of the phrases at `indices` `[batch]`, and the place in the batch `[notes]` that each belongs to."""
        begin, count = self.offsets[indices], np.diff(self.offsets)[indices]
        rows = np.arange(count.sum()) + np.repeat(begin - (count.cumsum() - count), count)
        columns = (self.track, self.start, self.duration, self.pitch, self.velocity)
        return Notes(*(column[rows].astype(np.int64) for column in columns)), np.repeat(np.arange(len(indices)), count)


def join(parts: Sequence[Phrases]) -> Phrases:
    """All phrases in order."""
    counts = np.concatenate([np.zeros(1, np.int64), *(np.diff(part.offsets) for part in parts)])
    columns = {
        column.name: np.concatenate([getattr(part, column.name) for part in parts])
        for column in fields(Phrases)
        if column.name != "offsets"
    }
    return Phrases(offsets=counts.cumsum(), **columns)


def table_of(tunes: Sequence[Tune], places: Sequence[Sequence[int]]) -> NoteTable:
    """The notes of the parts that have a place (not -1) in a track."""
    chosen = [
        (number, place, part)
        for number, (tune, own) in enumerate(zip(tunes, places, strict=True))
        for part, place in zip(tune.parts, own, strict=True)
        if place >= 0
    ]
    counts = [len(part) for _, _, part in chosen]

    def column(name: str) -> Ints:
        empty = np.zeros(0, np.int64)
        return np.concatenate([empty, *(getattr(part, name) for _, _, part in chosen)]).astype(np.int64, copy=False)

    return NoteTable(
        tune=np.repeat(np.array([number for number, _, _ in chosen], np.int64), counts),
        track=np.repeat(np.array([place for _, place, _ in chosen], np.int64), counts),
        start=column("start"),
        duration=column("duration"),
        pitch=column("pitch"),
        velocity=column("velocity"),
    )


def into_range(pitch: Ints, lowest: int, highest: int, fold: bool) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Pitches brought to the range by the fewest octaves (with `fold`), and which of them lie in it now."""
    if fold:
        up = np.maximum(-((pitch - lowest) // 12), 0)
        down = np.maximum(-((highest - pitch) // 12), 0)
        pitch = pitch + 12 * (up - down)
    return pitch, (pitch >= lowest) & (pitch <= highest)


# --- bar lines --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Line:
    """Tunes one after the other on one line of time, in units so small that steps and half steps are whole numbers.

    Tick t of tune n is at `n * _ROOM + t * scale`. `step` `[tunes]` is a step of the grid.
    """

    scale: int
    step: Ints

    @classmethod
    def of(cls, tunes: Sequence[Tune], grid: Grid) -> _Line:
        # A step is 4 quarters' ticks / (unit * steps); times the scale that is 8 * ticks per quarter.
        ticks = np.array([tune.ticks_per_quarter for tune in tunes], np.int64)
        return cls(scale=2 * grid.beat_unit * grid.steps_per_beat, step=8 * ticks)

    def at(self, tune: Ints, tick: Ints) -> Ints:
        return tune * _ROOM + tick * self.scale


@dataclass(frozen=True, slots=True)
class Passages:
    """Stretches of the wanted meter `[passages]` on the line of time, with how many whole bars each has."""

    tune: Ints
    start: Ints
    bars: Ints


def _passages(tunes: Sequence[Tune], notes: NoteTable, grid: Grid, line: _Line) -> Passages:
    count = len(tunes)
    signatures = [len(tune.meter_start) for tune in tunes]
    # Without a signature a tune is in 4/4, says the standard.
    tune = np.concatenate([np.arange(count), np.repeat(np.arange(count), signatures)])
    tick = np.concatenate([np.zeros(count, np.int64), *(one.meter_start.astype(np.int64) for one in tunes)])
    upper = np.concatenate([np.full(count, 4), *(one.numerator.astype(np.int64) for one in tunes)])
    lower = np.concatenate([np.full(count, 4), *(one.denominator.astype(np.int64) for one in tunes)])
    order = np.lexsort((tick, tune))
    tune, start = tune[order], line.at(tune, tick)[order]
    wanted = ((upper == grid.beats_per_bar) & (lower == grid.beat_unit))[order]
    # Of several signatures at once the last counts.
    last = np.append(start[1:] != start[:-1], True)
    tune, start, wanted = tune[last], start[last], wanted[last]
    bar = line.step[tune] * grid.bar
    # A signature that is repeated on a bar line changes nothing.
    new = np.ones(len(start), bool)
    new[1:] = (tune[1:] != tune[:-1]) | ~wanted[1:] | ~wanted[:-1] | ((start[1:] - start[:-1]) % bar[1:] != 0)
    tune, start, wanted, bar = tune[new], start[new], wanted[new], bar[new]
    # The last passage takes every bar in which a note begins or sounds on the grid.
    half = line.step // 2
    onset = line.at(notes.tune, notes.start)
    reach = np.maximum(onset + half[notes.tune], onset + notes.duration * line.scale - half[notes.tune]) + 1
    close = np.arange(count) * _ROOM
    np.maximum.at(close, notes.tune, reach)
    bars = np.maximum(-((start - close[tune]) // bar), 0)
    inner = np.append(tune[1:] == tune[:-1], False)
    bars[:-1] = np.where(inner[:-1], np.minimum(bars[:-1], (start[1:] - start[:-1]) // bar[:-1]), bars[:-1])
    kept = wanted & (bars > 0)
    return Passages(tune[kept], start[kept], bars[kept])


# --- cutting ----------------------------------------------------------------------------------------------------------


def cut(
    tunes: Sequence[Tune],
    notes: NoteTable,
    grid: Grid,
    *,
    drums: npt.NDArray[np.bool_],
    min_notes: int,
    min_tracks: int,
) -> tuple[Phrases, list[str]]:
    """Phrases of `grid.bars` bars of every tune, and for each tune a reason why there is none, or an empty text.

    Onsets and ends are rounded to the nearest step, halves upwards; no note is shorter than a step. A note that sounds
    across the border between two phrases ends in the first and begins anew in the second; a drum (`drums` `[tracks]`)
    is struck only once. Phrases begin at bar lines, lie in one passage of the meter, and overlap where the stride is
    smaller than the bars. Those with fewer than `min_notes` notes or `min_tracks` tracks that sound are left out.
    `notes.velocity` must be bins.
    """
    if len(tunes) > _MAX_TUNES:
        raise ValueError(f"at most {_MAX_TUNES:,} tunes are cut at once, not {len(tunes):,}")
    line = _Line.of(tunes, grid)
    passages = _passages(tunes, notes, grid, line)
    count = np.maximum((passages.bars - grid.bars) // grid.stride + 1, 0)
    within = np.arange(count.sum()) - np.repeat(count.cumsum() - count, count)
    tune = np.repeat(passages.tune, count)
    begin = np.repeat(passages.start, count) + within * line.step[tune] * (grid.bar * grid.stride)
    spans = _spans(notes, begin, tune, grid, line)
    # Where nearly every note sounds for very long, the pieces would be many times the file: notes that were never ended.
    sizes, allowed = np.bincount(notes.tune, minlength=len(tunes)), 2 * -(-grid.bars // grid.stride) + 16
    pieces_of = np.bincount(notes.tune, weights=spans.count, minlength=len(tunes))
    endless = pieces_of > 10_000 + sizes * allowed
    spans.count[endless[notes.tune]] = 0
    pieces = list(_pieces(notes, spans, begin, grid, line, drums))
    phrases, kept = _collect(pieces, tune, len(drums), min_notes, min_tracks)
    bars = np.zeros(len(tunes), np.int64)
    np.maximum.at(bars, passages.tune, passages.bars)
    had, has = np.bincount(tune, minlength=len(tunes)), np.bincount(tune[kept], minlength=len(tunes))
    reasons = [
        ""
        if has[n]
        else "its notes sound so long that they were hardly meant to"
        if endless[n]
        else _reason(tunes[n], grid, int(bars[n]), bool(had[n]), min_notes, min_tracks)
        for n in range(len(tunes))
    ]
    return phrases, reasons


def _reason(tune: Tune, grid: Grid, bars: int, cut: bool, min_notes: int, min_tracks: int) -> str:
    meter = f"{grid.beats_per_bar}/{grid.beat_unit}"
    if cut:
        return f"none of its phrases has {min_notes} notes or more in {min_tracks} or more of the tracks"
    if bars:
        return f"too short (at most {bars} of {grid.bars} bars of {meter} in a row)"
    found = dict.fromkeys(
        f"{upper}/{lower}" for upper, lower in zip(tune.numerator.tolist(), tune.denominator.tolist(), strict=True)
    )
    return f"in another meter ({', '.join(list(found)[:4]) or '4/4'}, not {meter})"


@dataclass(frozen=True, slots=True)
class _Spans:
    """On the line of time, where each note `[notes]` starts and stops, the first phrase it sounds in, and in how many."""

    start: Ints
    stop: Ints
    first: Ints
    count: Ints


def _spans(notes: NoteTable, begin: Ints, tune: Ints, grid: Grid, line: _Line) -> _Spans:
    half = line.step // 2
    start = line.at(notes.tune, notes.start)
    stop = start + notes.duration * line.scale
    own = half[notes.tune]
    # Rounded to the phrase's grid, it begins before the phrase's end, and begins or ends after the phrase's beginning.
    first = np.searchsorted(begin + line.step[tune] * grid.time - half[tune], start, side="right")
    beyond = np.searchsorted(begin, np.maximum(start + own, stop - own), side="right")
    return _Spans(start, stop, first, np.maximum(beyond - first, 0))


def _pieces(
    notes: NoteTable, spans: _Spans, begin: Ints, grid: Grid, line: _Line, drums: npt.NDArray[np.bool_]
) -> Iterator[tuple[Ints, Notes]]:
    """What of each note sounds in each phrase, with the phrase's number: a note may sound in many."""
    total = spans.count.cumsum()
    low = 0
    while low < len(notes):
        # At least one note, which sounds in no more phrases than its tune has.
        done = int(total[low - 1]) if low else 0
        high = max(int(np.searchsorted(total, done + _MAX_PIECES, side="right")), low + 1)
        some = spans.count[low:high]
        row = np.repeat(np.arange(low, high), some)
        phrase = spans.first[row] + np.arange(len(row)) - np.repeat(some.cumsum() - some, some)
        step = line.step[notes.tune[row]]
        onset = (spans.start[row] - begin[phrase] + step // 2) // step
        end = np.maximum((spans.stop[row] - begin[phrase] + step // 2) // step, onset + 1)
        drum = drums[notes.track[row]]
        duration = np.where(drum, 1, np.minimum(end, grid.time) - np.maximum(onset, 0))
        struck = ~drum | (onset >= 0)
        row = row[struck]
        yield (
            phrase[struck],
            Notes(
                track=notes.track[row].astype(np.uint8),
                start=np.maximum(onset, 0)[struck].astype(np.uint16),
                duration=duration[struck].astype(np.uint16),
                pitch=notes.pitch[row].astype(np.uint8),
                velocity=notes.velocity[row].astype(np.uint8),
            ),
        )
        low = high


def _collect(
    pieces: Sequence[tuple[Ints, Notes]], tune: Ints, tracks: int, min_notes: int, min_tracks: int
) -> tuple[Phrases, npt.NDArray[np.bool_]]:
    """The phrases that have enough in them, and which they are."""
    phrase = np.concatenate([np.zeros(0, np.int64), *(number for number, _ in pieces)])
    count = np.bincount(phrase, minlength=len(tune))
    sounding = np.zeros((len(tune), tracks), bool)
    for number, notes in pieces:
        sounding[number, notes.track] = True
    kept = (count >= min_notes) & (sounding.sum(axis=1) >= min_tracks)
    order = np.argsort(phrase, kind="stable")
    order = order[kept[phrase[order]]]

    def column(name: str, dtype: type[np.unsignedinteger[Any]]) -> npt.NDArray[Any]:
        return np.concatenate([np.zeros(0, dtype), *(getattr(notes, name) for _, notes in pieces)])[order]

    phrases = Phrases(
        track=column("track", np.uint8),
        start=column("start", np.uint16),
        duration=column("duration", np.uint16),
        pitch=column("pitch", np.uint8),
        velocity=column("velocity", np.uint8),
        offsets=np.concatenate([np.zeros(1, np.int64), count[kept].cumsum()]),
        tune=tune[kept],
    )
    return phrases, kept


def quarters_elsewhere(tune: Tune, grid: Grid) -> Fraction:
    """Quarter notes of `tune` that lie in another meter than the grid's."""
    wanted = (grid.beats_per_bar, grid.beat_unit)
    named = set(zip(tune.numerator.tolist(), tune.denominator.tolist(), strict=True))
    if named == {wanted} and tune.meter_start.min() == 0:
        return Fraction(0)  # many files repeat their one signature
    end = max(int((part.start.astype(np.int64) + part.duration).max()) for part in tune.parts)
    changes = {0: (4, 4)} | {
        int(tick): (int(upper), int(lower))
        for tick, upper, lower in zip(tune.meter_start, tune.numerator, tune.denominator, strict=True)
    }
    marks = [*sorted(tick for tick in changes if tick < end), end]
    other = sum(high - low for low, high in pairwise(marks) if changes[low] != wanted)
    return Fraction(other, tune.ticks_per_quarter)
