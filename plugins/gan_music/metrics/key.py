"""Figures of keys: how many notes belong to the key that a phrase was asked for, and how many phrases end in a cadence."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gan_music.data.keys import KEYS
from gan_music.data.theory import cadences, key_members
from gan_music.metrics.figures import Quotient, compare, notes_of
from gan_music.metrics.harmony import class_counts
from gan_music.metrics.table import Floats
from gan_music.roll import Ints
from gan_music.spec import MusicSpec
from gancore.evaluation.records import Figure, Material, Samples
from gancore.options import Options as BaseOptions

_CHORDS = "chords"


class Options(BaseOptions):
    """The metric `key` has no options."""


def build(options: Options, spec: MusicSpec) -> Key:
    """The metric; see `Key`."""
    return Key(spec)


class Key:
    """Drums have no part in these. Keys are major and harmonic minor.

    - `in-best-key`: share of the notes of a phrase that belong to the key that most of them belong to.

    Where the classes of the samples are names of keys:

    - `in-key`, `in-key/t`: share of the notes, of all tracks and of track `t`, that belong to the key of the phrase's class.

    Where there is a track `chords` and phrases have two bars or more:

    - `cadence-rate`: share of phrases whose last chords are an authentic, plagal, half or deceptive cadence in the key of
      the class, or, without such classes, in the best-fitting one.
    """

    def __init__(self, spec: MusicSpec) -> None:
        self.spec = spec
        self.named = bool(spec.classes) and set(spec.classes) <= set(KEYS)

    def __call__(self, material: Material) -> dict[str, Figure]:
        """The figures by their names."""
        sets = (material.generated, material.real)
        known = self.named and all(one.condition is not None for one in sets)
        return compare(*(self._count(one, known) for one in sets))

    def _count(self, samples: Samples, known: bool) -> dict[str, Quotient]:
        table = notes_of(samples.x, self.spec)
        counts = {at: class_counts(table.part(at)) for at in table.melodic}
        total = sum(counts.values(), np.zeros((table.count, 12)))
        members = key_members().numpy().astype(np.float64)
        best: Ints = (total @ members.T).argmax(axis=1)
        found = {"in-best-key": _inside(total, members[best])}
        keys = best
        if known and samples.condition is not None:
            keys = np.array([KEYS.index(name) for name in self.spec.classes])[samples.condition.numpy()]
            found["in-key"] = _inside(total, members[keys])
            for at, counted in counts.items():
                found[f"in-key/{table.names[at]}"] = _inside(counted, members[keys])
        if _CHORDS in [track.name for track in self.spec.tracks] and self.spec.bars > 1:
            found["cadence-rate"] = self._cadences(samples.x, torch.from_numpy(keys))
        return found

    def _cadences(self, x: Tensor, keys: Tensor) -> Quotient:
        ends = (cadences(x, self.spec, keys) >= 0).numpy()
        return Quotient(ends, np.ones(len(ends)))


def _inside(counts: Floats, members: Floats) -> Quotient:
    """Of notes counted by pitch class, the share of those of the key; both `[phrases, 12]`."""
    return Quotient((counts * members).sum(axis=1), counts.sum(axis=1))
