"""The features `descriptors`: what can be counted in a phrase, as histograms, and a distance of their own by which copies are found.

Figures of single counts tell what is wrong with phrases; these tell whether all of it together is as in real ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from gan_music.features.onsets import Onsets, nearest, onsets_of
from gan_music.metrics.histograms import histograms
from gan_music.metrics.similarity import Options as SimilarityOptions
from gan_music.metrics.similarity import similarity
from gan_music.metrics.table import Floats, Table, table_of
from gan_music.roll import Ints
from gan_music.spec import MusicSpec
from gancore.evaluation.records import Samples
from gancore.options import Options as BaseOptions

_VERSION = 1
"""Of what is counted; another makes all kept features unknown."""
_FITTED = 2048
"""Training phrases that the mean is taken over, at most."""
_PART = 64
_PLACES, _FORM = 48, 16
"""Bins of the places in a bar, and of the bars, at most."""
_VOICES = 5
"""Notes that sound together; more are counted with these."""
_REGISTER = 6
"""Semitones of a bin of pitches."""
_INTERVALS = (0, *range(127 - 12, 127 + 14))
"""Where bins of intervals begin, in semitones plus 127: single ones up to an octave, and all beyond, down and up."""
_KIT = ((35, 36), (37, 38, 39, 40), (41, 43, 45, 47, 48, 50), (42, 44, 46), (49, 51, 52, 53, 55, 57, 59))
"""Instruments of General MIDI that are counted together: bass drums, snare drums, toms, hi-hats, cymbals; all others are one more."""


class Options(BaseOptions):
    """Options of the features `descriptors`."""

    transposed: bool = Field(
        True,
        description="Whether a training phrase moved by -5 to 6 semitones, drums aside, counts as that phrase when copies are sought.",
    )


class Descriptors:
    """Square roots of the shares of each histogram of `counts`, less their mean over training phrases.

    The Euclidean distance of such roots is that of Hellinger: each histogram weighs the same, whatever it counts, and none has more
    than sqrt 2 of it. Their own distance, by which copies are found, is 1 less the Jaccard index of onsets; see
    `gan_music.features.onsets.nearest`.
    """

    near, same = 0.1, 0.0

    def __init__(self, options: Options, spec: MusicSpec) -> None:
        self.options = options
        self.spec = spec
        self.fingerprint = ""
        self._mean: Floats | None = None

    def fit(self, train: Samples) -> None:
        """Learn the mean, so that the angle between phrases, which the Vendi score looks at, is that of what tells them apart."""
        parts = [self._roots(x) for x in train.x[:_FITTED].split(_PART)]
        self._mean = np.concatenate(parts).mean(axis=0)
        self.fingerprint = f"descriptors {_VERSION} {hashlib.sha256(self._mean.tobytes()).hexdigest()}"

    def __call__(self, x: Tensor) -> Tensor:
        """Features float32 `[n, size]` of phrases uint8 `[n, tracks, time, pitch]`."""
        assert self._mean is not None
        return torch.from_numpy(self._roots(x) - self._mean).float()

    def keys(self, samples: Tensor) -> list[bytes]:
        """Of each phrase what only those have whose notes begin alike, not transposed."""
        return self._onsets(samples).keys()

    def nearest(self, samples: Tensor, train: Tensor, leave_out: Tensor | None) -> Tensor:
        """Distance float64 `[n]`, in [0, 1], of each phrase to the nearest one of `train`."""
        ours, theirs = self._onsets(samples), self._onsets(train)
        return nearest(ours, theirs, self.options.transposed, leave_out=leave_out)

    def _onsets(self, samples: Tensor) -> Onsets:
        return onsets_of(table_of(samples.numpy(), self.spec))

    def _roots(self, x: Tensor) -> Floats:
        found = []
        for counted in counts(table_of(x.numpy(), self.spec)).values():
            total = counted.sum(axis=1, keepdims=True)
            found.append(np.sqrt(np.divide(counted, total, out=np.zeros(counted.shape), where=total > 0)))
        return np.concatenate(found, axis=1)


def counts(table: Table) -> dict[str, Floats]:
    """Histograms `[phrases, bins]` of each track `t`, with bins that are the wider the more is counted:

    - `notes/t`: bars by how many notes begin in them; `form/t`: notes by their bar.
    - `voices/t`: steps by how many notes sound.
    - `repeated-bars/t`, `bar-similarity/t/lag-k`: bars that come again, and that do not; see `gan_music.metrics.similarity`.

    and, of drums:

    - `pattern/t`: notes by instrument and place in the bar; `pitches/t`: notes by instrument.

    and, of other tracks:

    - `places/t`: notes by place in the bar; `durations/t`: by length.
    - `register/t`: notes by half octaves; `pitch-classes/t`: by pitch class.
    - `intervals/t`: steps from one onset to the next, by semitones.
    - `harmony/t`: pairs of a note and another one of any track that sound together, by the semitones between them, octaves folded.
    """
    spec = table.spec
    whole = histograms(table)
    voices, begun = table.voices(), table.onsets()
    chroma = {at: table.classes(at, 1) for at in table.melodic}
    every = sum(chroma.values())
    unit = -(-spec.steps_per_bar // _PLACES)
    places = range(0, spec.steps_per_bar, unit)
    found: dict[str, Floats] = {}
    for at, track in enumerate(spec.tracks):
        name = table.names[at]
        found[f"notes/{name}"] = _binned(begun[:, at], _widening(2 * spec.steps_per_bar))
        found[f"form/{name}"] = _folded(begun[:, at], range(0, spec.bars, -(-spec.bars // _FORM)))
        found[f"voices/{name}"] = _binned(voices[:, at], range(_VOICES + 1))
        pitches = whole[f"pitches/{name}"]
        if track.drums:
            found[f"pattern/{name}"] = _pattern(table.part(at), unit, len(places))
            found[f"pitches/{name}"] = pitches[:, spec.lowest : spec.lowest + spec.pitches]
            continue
        found[f"places/{name}"] = _folded(whole[f"onsets/{name}"], places)
        lengths = whole[f"durations/{name}"]
        found[f"durations/{name}"] = _folded(lengths, [steps - 1 for steps in _widening(lengths.shape[1])[1:]])
        found[f"register/{name}"] = _folded(pitches, range(0, pitches.shape[1], _REGISTER))
        found[f"pitch-classes/{name}"] = whole[f"pitch-classes-used/{name}"]
        found[f"intervals/{name}"] = _folded(whole[f"intervals/{name}"], _INTERVALS)
        found[f"harmony/{name}"] = _apart(chroma[at], cast(Ints, every))
    for name, repeated in similarity(SimilarityOptions(), table).items():
        found[name] = np.nan_to_num(np.stack([repeated.each, 1.0 - repeated.each], axis=1))
    return found


def _widening(most: int) -> list[int]:
    """0, 1, 2, 3, 4, 6, 8, 12, 16 and so on up to `most`: where bins begin."""
    powers = range(most.bit_length())
    return [0, *sorted(n for power in powers for n in (1 << power, 3 << power) if n <= most)]


def _folded(counted: np.ndarray, begins: Sequence[int]) -> Floats:
    """Counts `[phrases, places]` of wider bins, which begin at some of the places."""
    return np.add.reduceat(counted.astype(np.float64), list(begins), axis=1)


def _binned(values: np.ndarray, begins: Sequence[int]) -> Floats:
    """How many of `values` `[phrases, any]` lie in each bin: `[phrases, bins]`."""
    place = np.searchsorted(list(begins), values, side="right") - 1
    cell = np.arange(len(values))[:, None] * len(begins) + place
    counted = np.bincount(cell.ravel(), minlength=len(values) * len(begins))
    return counted.reshape(len(values), len(begins)).astype(np.float64)


def _pattern(part: Table, unit: int, places: int) -> Floats:
    """Drum notes by part of the kit and place in the bar: `[phrases, parts * places]`."""
    kit = np.full(128, len(_KIT))
    for number, members in enumerate(_KIT):
        kit[list(members)] = number
    cell = (part.phrase * (len(_KIT) + 1) + kit[part.notes.pitch]) * places
    cell += part.notes.start % part.spec.steps_per_bar // unit
    size = (len(_KIT) + 1) * places
    return np.bincount(cell, minlength=part.count * size).reshape(part.count, size).astype(np.float64)


def _apart(own: np.ndarray, every: np.ndarray) -> Floats:
    """Pairs of notes of `own` and `every` `[phrases, time, 12]` by the distance of their pitch classes: `[phrases, 12]`."""
    found = np.stack([(own * np.roll(every, -semitones, axis=2)).sum(axis=(1, 2)) for semitones in range(12)], axis=1)
    found[:, 0] -= own.sum(axis=(1, 2))  # each with itself
    return found.astype(np.float64)
