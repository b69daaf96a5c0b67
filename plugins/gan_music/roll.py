"""Between notes and the grid: phrases as tables of notes, and as hard rolls."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from gan_music.spec import HELD, ONSET, MusicSpec

Ints = npt.NDArray[np.int64]
Roll = npt.NDArray[np.uint8]


class Columns:
    """A dataclass of columns of equal length, of which rows are picked together."""

    __slots__ = ()

    def __len__(self) -> int:
        first: Ints = getattr(self, fields(self)[0].name)  # type: ignore[arg-type]
        return len(first)

    def __getitem__(self, rows: npt.NDArray[Any] | slice) -> Self:
        """The same of the rows that `rows` (numbers, a mask or a slice) picks."""
        return type(self)(*(getattr(self, column.name)[rows] for column in fields(self)))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Notes(Columns):
    """Notes as columns of equal length `[notes]`, in steps of the grid from the beginning of the phrase.

    `velocity` is a bin from 0; `pitch` a MIDI pitch; `duration` at least 1, and 1 for drums.
    """

    track: Ints
    start: Ints
    duration: Ints
    pitch: Ints
    velocity: Ints


def to_roll(notes: Notes, spec: MusicSpec) -> Roll:
    """The hard roll `[tracks, time, pitch]` uint8 of notes that begin within the phrase and its pitch range.

    What goes on past the end is cut there. Where two notes of a track share pitch and time, the one that begins later
    cuts the other short; of two that begin together the longer stays, of equally long ones the louder. So the order of
    the notes does not matter. Raises ValueError for a note outside of the roll.
    """
    return to_rolls(notes, np.zeros(len(notes), np.int64), 1, spec)[0]


def to_rolls(notes: Notes, phrase: Ints, count: int, spec: MusicSpec) -> Roll:
    """Hard rolls `[count, tracks, time, pitch]` uint8; `phrase` `[notes]` says which of them a note belongs to.

    The rules are those of `to_roll`.
    """
    tracks, time, pitches = len(spec.tracks), spec.time, spec.pitches
    place = notes.pitch.astype(np.int64) - spec.lowest
    for column, low, high, words in (
        (phrase, 0, count, "phrase"),
        (notes.track, 0, tracks, "track"),
        (notes.start, 0, time, "start"),
        (place, 0, pitches, "place of the pitch in the range"),
        (notes.velocity, 0, spec.velocities, "velocity"),
        (notes.duration, 1, np.inf, "duration"),
    ):
        outside = (column < low) | (column >= high)
        if outside.any():
            raise ValueError(
                f"note {outside.argmax()}: its {words} is {column[outside.argmax()]}, which is not in [{low}, {high})"
            )
    # A row is one pitch of one track of one phrase; notes of different rows know nothing of each other.
    row = ((phrase.astype(np.int64) * tracks + notes.track) * pitches) + place
    order = np.lexsort((notes.velocity, notes.duration, notes.start, row))
    row, start = row[order], notes.start[order].astype(np.int64)
    # Of notes that begin together the last in this order stays.
    last = np.ones(len(order), bool)
    last[:-1] = (row[1:] != row[:-1]) | (start[1:] != start[:-1])
    order, row, start = order[last], row[last], start[last]
    drums = np.array([t.drums for t in spec.tracks])[notes.track[order]]
    length = np.where(drums, 1, np.minimum(notes.duration[order], time - start))
    # The next onset in a row ends what sounds.
    same = row[1:] == row[:-1]
    length[:-1] = np.where(same, np.minimum(length[:-1], start[1:] - start[:-1]), length[:-1])

    begin = (row // pitches * time + start) * pitches + row % pitches
    rolls = np.zeros(count * tracks * time * pitches, np.uint8)
    more = length - 1
    within = np.arange(more.sum()) - np.repeat(more.cumsum() - more, more)
    rolls[np.repeat(begin, more) + (within + 1) * pitches] = HELD
    rolls[begin] = ONSET + notes.velocity[order]
    return rolls.reshape(count, tracks, time, pitches)


def to_notes(roll: Roll, spec: MusicSpec) -> Notes:
    """The notes of a hard roll `[tracks, time, pitch]`, ordered by onset, then track, then pitch.

    A held cell without a note before it counts as an onset, as `MusicSpec.harden` has it; not so for drums.
    """
    return to_note_table(roll[None], spec)[0]


def to_note_table(rolls: Roll, spec: MusicSpec) -> tuple[Notes, Ints]:
    """The notes of hard rolls `[count, tracks, time, pitch]`, and the phrase `[notes]` that each belongs to.

    Ordered by phrase, onset, track and pitch; the rules are those of `to_notes`.
    """
    tracks, time, pitches = len(spec.tracks), spec.time, spec.pitches
    # Time last: a note is a run within a row. The silent cell at the end of each row closes its last run.
    cells = np.zeros((len(rolls), tracks, pitches, time + 1), np.uint8)
    cells[..., :time] = np.moveaxis(rolls, 2, 3)
    drums = np.array([t.drums for t in spec.tracks])
    begins = cells >= ONSET
    carried = (cells == HELD) & ~drums[:, None, None]
    carried[..., 1:] &= cells[..., :-1] == 0
    begins |= carried
    at = np.flatnonzero(begins)
    ends = np.flatnonzero(begins | (cells == 0))
    length = ends[np.searchsorted(ends, at, side="right")] - at
    row, start = np.divmod(at, time + 1)
    row, place = np.divmod(row, pitches)
    phrase, track = np.divmod(row, tracks)
    duration = np.where(drums[track], 1, length)
    # A carried note has no velocity of its own: the lowest.
    velocity = np.maximum(cells.reshape(-1)[at].astype(np.int64) - ONSET, 0)
    order = np.lexsort((place, track, start, phrase))
    notes = Notes(track[order], start[order], duration[order], (place + spec.lowest)[order], velocity[order])
    return notes, phrase[order]
