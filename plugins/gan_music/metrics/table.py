"""Phrases as metrics look at them: all their notes in one table, and counts by phrase, track and bar made of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from gan_music.roll import Ints, Notes, Roll
from gan_music.spec import ONSET, MusicSpec

Floats = npt.NDArray[np.float64]

_PART = 2048
"""Phrases looked at together, to bound memory."""


@dataclass(frozen=True)
class Table:
    """The notes of `count` phrases; `phrase` `[notes]` says which one each belongs to.

    Notes are ordered by phrase, track, pitch and start.
    """

    notes: Notes
    phrase: Ints
    count: int
    spec: MusicSpec

    def __len__(self) -> int:
        return len(self.phrase)

    @property
    def tracks(self) -> int:
        """How many tracks a phrase has."""
        return len(self.spec.tracks)

    @cached_property
    def names(self) -> list[str]:
        """Names of the tracks, with a number after one that was there before."""
        names = [track.name for track in self.spec.tracks]
        return [name if name not in names[:at] else f"{name}-{at + 1}" for at, name in enumerate(names)]

    @cached_property
    def drums(self) -> npt.NDArray[np.bool_]:
        """Which tracks `[tracks]` are drums."""
        return np.array([track.drums for track in self.spec.tracks])

    @property
    def melodic(self) -> list[int]:
        """The tracks that are not drums."""
        return np.flatnonzero(~self.drums).tolist()

    @cached_property
    def bar(self) -> Ints:
        """The bar `[notes]` in which each note begins, from 0."""
        return self.notes.start // self.spec.steps_per_bar

    def where(self, kept: npt.NDArray[np.bool_]) -> Table:
        """The same phrases with the notes of the mask `kept` `[notes]` only."""
        return Table(self.notes[kept], self.phrase[kept], self.count, self.spec)

    def part(self, track: int | None) -> Table:
        """One track's notes; for None those of all tracks but drums."""
        mine = ~self.drums[self.notes.track] if track is None else self.notes.track == track
        return self.where(mine)

    def onsets(self) -> Ints:
        """Notes that begin: `[count, tracks, bars]`."""
        cell = (self.phrase * self.tracks + self.notes.track) * self.spec.bars + self.bar
        return np.bincount(cell, minlength=self.count * self.tracks * self.spec.bars).reshape(
            self.count, self.tracks, self.spec.bars
        )

    def begins(self) -> npt.NDArray[np.bool_]:
        """At which steps any note begins: `[count, tracks, time]`."""
        found = np.zeros((self.count, self.tracks, self.spec.time), bool)
        found[self.phrase, self.notes.track, self.notes.start] = True
        return found

    def voices(self) -> npt.NDArray[np.int32]:
        """Notes that sound: `[count, tracks, time]`."""
        row = self.phrase * self.tracks + self.notes.track
        return self._spread(row, self.count * self.tracks).reshape(self.count, self.tracks, -1)

    def classes(self, track: int, unit: int) -> npt.NDArray[np.int32]:
        """Steps for which the notes of each pitch class sound, octaves folded: `[count, time / unit, 12]`.

        `unit` is the length in steps of the stretches that are added up; it divides the time.
        """
        mine = self.part(track)
        counts = mine._spread(mine.phrase * 12 + mine.notes.pitch % 12, self.count * 12)
        return counts.reshape(self.count, 12, -1, unit).sum(axis=3, dtype=np.int32).transpose(0, 2, 1)

    def _spread(self, row: Ints, rows: int) -> npt.NDArray[np.int32]:
        """In how many notes of each row `[notes]` every step lies: `[rows, time]`."""
        wide = self.spec.time + 1
        begin = row * wide + self.notes.start
        change = np.bincount(begin, minlength=rows * wide).astype(np.int32)
        change -= np.bincount(begin + self.notes.duration, minlength=rows * wide).astype(np.int32)
        # Each row's changes add up to nothing, so that one running sum serves all rows.
        return np.cumsum(change, out=change).reshape(rows, wide)[:, :-1]

    def per_phrase(self, weights: npt.NDArray[np.generic] | None = None) -> Floats:
        """Sum of `weights` `[notes]` over the notes of each phrase, or their number: `[count]`."""
        return np.bincount(self.phrase, weights, self.count).astype(np.float64)


def table_of(rolls: Roll, spec: MusicSpec) -> Table:
    """The notes of hard rolls `[count, tracks, time, pitch]`, by the rules of `gan_music.roll.to_notes`."""
    rolls = np.ascontiguousarray(rolls)
    parts = [_notes(rolls[at : at + _PART], spec, at) for at in range(0, len(rolls), _PART)]
    columns = np.concatenate(parts, axis=1) if parts else np.zeros((6, 0), np.int64)
    phrase, *rest = columns
    return Table(Notes(*rest), phrase, len(rolls), spec)


def _notes(rolls: Roll, spec: MusicSpec, first: int) -> Ints:
    """Phrase, track, start, duration, pitch and velocity of every note: `[6, notes]`; phrases are numbered from `first`."""
    tracks, time, pitches = len(spec.tracks), spec.time, spec.pitches
    # Few cells are not silent: only these are put in order, time last, so that a note is a run of neighbours.
    flat = rolls.reshape(-1)
    at = np.flatnonzero(flat != 0)
    row, place = np.divmod(at, pitches)
    row, step = np.divmod(row, time)
    drums = np.array([t.drums for t in spec.tracks])
    # Drums have no length: what is held there belongs to no note.
    kept = (flat[at] >= ONSET) | ~drums[row % tracks]
    cell = np.sort(((((row * pitches + place) * (time + 1) + step) << 8) | flat[at])[kept])
    value = cell & 255
    cell >>= 8
    row, step = np.divmod(cell, time + 1)
    row, place = np.divmod(row, pitches)
    phrase, track = np.divmod(row, tracks)
    after_silence = np.ones(len(cell), bool)
    after_silence[1:] = cell[1:] != cell[:-1] + 1
    begins = np.flatnonzero((value >= ONSET) | after_silence)
    length = np.where(drums[track[begins]], 1, np.diff(begins, append=len(cell)))
    velocity = np.maximum(value[begins] - ONSET, 0)
    return np.stack(
        [phrase[begins] + first, track[begins], step[begins], length, place[begins] + spec.lowest, velocity]
    )
