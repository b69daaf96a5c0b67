"""Attributes of phrases: a number of each, such as how many notes it has, by which generators of music are steered."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gan_music.metrics import phrases
from gan_music.metrics.figures import Quotient, notes_of
from gan_music.metrics.harmony import class_counts, scale_shares
from gan_music.metrics.rhythm import groove
from gan_music.metrics.table import Floats, Table
from gan_music.roll import Ints
from gan_music.spec import MusicSpec
from gancore.components import Measure
from gancore.errors import UsageError
from gancore.evaluation.attributes import remembered

_notes = remembered(notes_of)


def notes_per_bar(spec: MusicSpec) -> Measure:
    """Notes of all tracks that begin / bars, in 0 and up."""
    return _measure(spec, lambda table: table.per_phrase() / spec.bars)


def mean_pitch(spec: MusicSpec) -> Measure:
    """Mean MIDI pitch of the notes, drums aside, in 0 to 127; NaN without notes.

    Raises:
        UsageError: all tracks are drums.
    """
    return _pitched(spec, lambda part: _mean(part, part.notes.pitch))


def pitch_range(spec: MusicSpec) -> Measure:
    """Semitones from the lowest to the highest note, drums aside, in 0 to 127; NaN without notes.

    Raises:
        UsageError: all tracks are drums.
    """

    def semitones(part: Table) -> Floats:
        low, high = np.full(part.count, np.inf), np.full(part.count, -np.inf)
        np.minimum.at(low, part.phrase, part.notes.pitch)
        np.maximum.at(high, part.phrase, part.notes.pitch)
        return np.where(high >= low, high - low, np.nan)

    return _pitched(spec, semitones)


def duration(spec: MusicSpec) -> Measure:
    """Mean length of the notes in beats, drums aside; above 0, and NaN without notes.

    Raises:
        UsageError: all tracks are drums.
    """
    return _pitched(spec, lambda part: _mean(part, part.notes.duration / spec.steps_per_beat))


def polyphony(spec: MusicSpec) -> Measure:
    """Notes that sound together, drums aside: the mean over the steps at which any does, in 1 and up; NaN without notes.

    Raises:
        UsageError: all tracks are drums.
    """
    return _pitched(spec, lambda part: phrases.polyphony(part.voices().sum(axis=1)).each)


def scale_consistency(spec: MusicSpec) -> Measure:
    """Largest share of the notes, drums aside, that one diatonic scale has, in 7/12 to 1; NaN without notes.

    Raises:
        UsageError: all tracks are drums.
    """
    return _pitched(spec, lambda part: scale_shares(class_counts(part)))


def groove_consistency(spec: MusicSpec) -> Measure:
    """1 - steps at which a note begins in one of two neighbouring bars alone / steps, in 0 to 1; NaN without notes.

    Raises:
        UsageError: phrases have one bar.
    """
    if spec.bars < 2:
        raise UsageError("groove consistency compares bars, and these phrases have one")
    return _measure(spec, lambda table: groove(table.begins().max(axis=1), spec).each)


def drum_share(spec: MusicSpec) -> Measure:
    """Drum notes / notes, in 0 to 1; NaN without notes.

    Raises:
        UsageError: no track, or each, is drums.
    """
    if len({track.drums for track in spec.tracks}) == 1:
        raise UsageError("the share of drums needs tracks of drums and others, and these phrases have one kind")
    return _measure(spec, lambda table: _mean(table, table.drums[table.notes.track]))


def syncopation(spec: MusicSpec) -> Measure:
    """Metrical levels by which the strongest place that a note passes over is stronger than its own, in 0 and up; NaN without notes.

    It is the mean, over the steps of every track at which notes begin, of `max(0, max over p < q < n of level(q) - level(p))`: p is
    the step, n the next such one of the track, or the end of the phrase (Longuet-Higgins and Lee 1984, "The rhythmic
    interpretation of monophonic music"). How long notes are held does not count. Levels are those of `levels`.
    """
    level = levels(spec)
    # The step behind the end of each row, at which all begins anew, keeps the next row from counting for this one.
    closed = np.append(level, level.min())

    def passed(table: Table) -> Floats:
        begins = np.pad(table.begins(), ((0, 0), (0, 0), (0, 1)), constant_values=True)
        at = np.flatnonzero(begins)
        strongest = np.maximum.reduceat(np.resize(closed, begins.size), at)
        row, step = np.divmod(at, len(closed))
        note = step < spec.time
        phrase = row[note] // table.tracks
        gain = np.bincount(phrase, (strongest - closed[step])[note], table.count)
        return Quotient(gain, np.bincount(phrase, minlength=table.count)).each

    return _measure(spec, passed)


def levels(spec: MusicSpec) -> Ints:
    """How strong each step `[time]` is: 0 where a bar begins, and one less with every division that it takes to get there.

    A bar is divided by the prime factors of its beats, smallest first, then a beat by those of its steps: 4/4 into halves,
    quarters, eighths, sixteenths; 6/8 into two times three eighths.
    """
    units = [spec.steps_per_bar]
    for parts in (spec.beats_per_bar, spec.steps_per_beat):
        prime = 2
        while parts > 1:
            if parts % prime:
                prime += 1
            else:
                parts //= prime
                units.append(units[-1] // prime)
    level: Ints = -(np.arange(spec.time)[:, None] % np.array(units) > 0).sum(axis=1)
    return level


def _mean(table: Table, values: npt.NDArray[np.generic]) -> Floats:
    """Mean of `values` `[notes]` over the notes of each phrase; NaN without notes."""
    return Quotient(table.per_phrase(values), table.per_phrase()).each


def _pitched(spec: MusicSpec, count: Callable[[Table], Floats]) -> Measure:
    """What `count` makes of the notes that are no drums."""
    if all(track.drums for track in spec.tracks):
        raise UsageError("drums have no pitch, and all tracks are drums")
    return _measure(spec, lambda table: count(table.part(None)))


def _measure(spec: MusicSpec, count: Callable[[Table], Floats]) -> Measure:
    def measure(x: Tensor) -> Tensor:
        return torch.from_numpy(count(_notes(x, spec))).float()

    return measure
