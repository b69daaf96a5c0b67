"""Figures of pitch: how far tracks are apart in tonal space, how well notes fit one scale, how pitch classes are spread."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

from gan_music.data.theory import SCALES as _KEYS
from gan_music.metrics.figures import Counted, Quotient
from gan_music.metrics.table import Floats, Table
from gan_music.spec import MusicSpec
from gancore.options import Options as BaseOptions

FARTHEST = 3.0
"""No two tonal centroids are farther apart: each lies within 1.5 of the origin."""

_MAJOR = _KEYS[0]


class Options(BaseOptions):
    """The metric `harmony` has no options."""


def build(options: Options, spec: MusicSpec) -> Counted[Options]:
    """The metric; see `harmony`."""
    return Counted(options, spec, harmony)


def centroids(chroma: npt.NDArray[np.generic]) -> Floats:
    """Tonal centroids `[..., 6]` of chroma `[..., 12]`, NaN where nothing sounds.

    Harte, Sandler and Gasser 2006, "Detecting harmonic change in musical audio": places on the circles of fifths, minor
    thirds and major thirds, of radii 1, 1 and 1/2, averaged over what sounds.
    """
    place = np.arange(12)
    angles = np.pi * np.stack([place * 7 / 6, place * 3 / 2, place * 2 / 3])
    radii = np.array([1.0, 1.0, 0.5])[:, None]
    basis = np.stack([radii * np.sin(angles), radii * np.cos(angles)], axis=1).reshape(6, 12)
    counts = chroma.astype(np.float64)
    total = counts.sum(axis=-1, keepdims=True)
    return np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0) @ basis.T


def scale_shares(counts: Floats) -> Floats:
    """Largest share `[phrases]` of the notes, `counts` `[phrases, 12]` by pitch class, in one diatonic scale; NaN without."""
    member = np.zeros((12, 12))
    for tonic in range(12):
        member[tonic, [(tonic + step) % 12 for step in _MAJOR]] = 1.0
    total = counts.sum(axis=1)
    return np.divide((counts @ member.T).max(axis=1), total, out=np.full(len(total), np.nan), where=total > 0)


def entropies(counts: Floats) -> Floats:
    """Entropy `[phrases]` in bits of counts `[phrases, 12]`; NaN where there are none."""
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    return -(shares * np.log2(np.where(shares > 0, shares, 1.0))).sum(axis=1)


def harmony(options: Options, table: Table) -> dict[str, Quotient]:
    """Drums have no part in any of these:

    - `tonal-distance/a-b`: distance of the tonal centroids of two tracks, over the beats in which both sound.
    - `tonal-distance-shuffled/a-b`: the same with one track of each phrase and the other of another phrase, half the set
      away: what tracks have that know nothing of each other.
    - `scale-consistency`, `scale-consistency/t`: share of a phrase's notes in the diatonic scale that most belong to.
    - `pitch-class-entropy/t`: entropy in bits of the pitch classes of a phrase's notes.
    """
    spec = table.spec
    names = {at: table.names[at] for at in table.melodic}
    found: dict[str, Quotient] = {}
    tonal = {at: centroids(table.classes(at, spec.steps_per_beat)) for at in names}
    away = table.count // 2
    for (a, first), (b, second) in combinations(names.items(), 2):
        found[f"tonal-distance/{first}-{second}"] = _distance(tonal[a], tonal[b])
        found[f"tonal-distance-shuffled/{first}-{second}"] = _distance(tonal[a], np.roll(tonal[b], away, axis=0))
    counts = {at: class_counts(table.part(at)) for at in names}
    found["scale-consistency"] = _mean(scale_shares(sum(counts.values(), np.zeros((table.count, 12)))))
    for at, name in names.items():
        found[f"scale-consistency/{name}"] = _mean(scale_shares(counts[at]))
        found[f"pitch-class-entropy/{name}"] = _mean(entropies(counts[at]))
    return found


def class_counts(table: Table) -> Floats:
    """Notes of each phrase by pitch class: `[phrases, 12]`."""
    cell = table.phrase * 12 + table.notes.pitch % 12
    return np.bincount(cell, minlength=table.count * 12).reshape(table.count, 12).astype(np.float64)


def _distance(first: Floats, second: Floats) -> Quotient:
    """Mean distance over beats of centroids `[phrases, beats, 6]`."""
    apart = np.sqrt(((first - second) ** 2).sum(axis=2))
    return Quotient(np.nansum(apart, axis=1), np.isfinite(apart).sum(axis=1), none=FARTHEST)


def _mean(each: Floats) -> Quotient:
    """A figure of whole phrases, of which each that has it counts once."""
    return Quotient(np.nan_to_num(each), np.isfinite(each))
