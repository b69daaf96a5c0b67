"""Whether notes are distributed as in real phrases: over pitch classes, pitches, intervals, lengths and places in the bar."""

from __future__ import annotations

import numpy as np

from gan_music.metrics.figures import notes_of
from gan_music.metrics.table import Floats, Table
from gan_music.roll import Ints
from gan_music.spec import MusicSpec
from gancore.evaluation.distributions import overlap_of_vectors, shared
from gancore.evaluation.records import Figure, Material
from gancore.options import Options as BaseOptions


class Options(BaseOptions):
    """The metric `histograms` has no options."""


def build(options: Options, spec: MusicSpec) -> Histograms:
    """The metric; see `Histograms`."""
    return Histograms(spec)


class Histograms:
    """Overlap of the histogram of all generated notes with that of all real ones, in [0, 1], of each track `t`:

    - `pitches/t`, of MIDI pitches; for drums these are the instruments.
    - `onsets/t`, of the step of the bar in which notes begin.

    and, where it is not drums:

    - `pitch-classes-used/t`, of the twelve pitch classes.
    - `intervals/t`, of the semitones from one onset to the next in the same phrase, by the highest notes that begin there.
    - `durations/t`, of lengths in steps; all beyond two bars are one.

    `floor` is the same overlap between every other real phrase and the rest; `overlap` compares the histograms of single
    phrases, by their Euclidean distances (Yang and Lerch 2020).
    """

    def __init__(self, spec: MusicSpec) -> None:
        self.spec = spec

    def __call__(self, material: Material) -> dict[str, Figure]:
        """The figures by their names."""
        generated, real = (histograms(notes_of(one.x, self.spec)) for one in (material.generated, material.real))
        return {name: _compared(counts, real[name]) for name, counts in generated.items()}


def histograms(table: Table) -> dict[str, Floats]:
    """Counts `[phrases, bins]` by the names of `Histograms`."""
    spec = table.spec
    longest = min(spec.time, 2 * spec.steps_per_bar)
    found: dict[str, Floats] = {}
    for at, track in enumerate(spec.tracks):
        part = table.part(at)
        notes, phrase = part.notes, part.phrase
        name = table.names[at]
        found[f"pitches/{name}"] = _counts(phrase, notes.pitch, table.count, 128)
        found[f"onsets/{name}"] = _counts(phrase, notes.start % spec.steps_per_bar, table.count, spec.steps_per_bar)
        if track.drums:
            continue
        found[f"pitch-classes-used/{name}"] = _counts(phrase, notes.pitch % 12, table.count, 12)
        lengths = np.minimum(notes.duration, longest + 1) - 1
        found[f"durations/{name}"] = _counts(phrase, lengths, table.count, longest + 1)
        found[f"intervals/{name}"] = _counts(*_intervals(part), table.count, 255)
    return found


def _intervals(part: Table) -> tuple[Ints, Ints]:
    """The phrase of each interval between neighbouring onsets of a track's phrase, and its semitones plus 127."""
    notes = part.notes
    order = np.lexsort((notes.pitch, notes.start, part.phrase))
    phrase, start, pitch = part.phrase[order], notes.start[order], notes.pitch[order]
    highest = np.ones(len(order), bool)
    highest[:-1] = (phrase[1:] != phrase[:-1]) | (start[1:] != start[:-1])
    phrase, pitch = phrase[highest], pitch[highest]
    same = phrase[1:] == phrase[:-1]
    return phrase[1:][same], (np.diff(pitch) + 127)[same]


def _counts(phrase: Ints, place: Ints, phrases: int, bins: int) -> Floats:
    counted = np.bincount(phrase * bins + place, minlength=phrases * bins)
    return counted.reshape(phrases, bins).astype(np.float64)


def _compared(generated: Floats, real: Floats) -> Figure:
    return Figure(
        value=shared(generated.sum(axis=0), real.sum(axis=0)),
        overlap=overlap_of_vectors(_shares(generated), _shares(real)),
        floor=shared(real[::2].sum(axis=0), real[1::2].sum(axis=0)),
    )


def _shares(counts: Floats) -> Floats:
    """Each phrase's counts as shares, NaN where it has none."""
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
