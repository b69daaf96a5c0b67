"""Whether generated phrases are copies: their distance to the nearest phrase that was trained on, and to each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from gan_music.metrics.figures import notes_of
from gan_music.metrics.table import Floats, Table
from gan_music.roll import Ints
from gan_music.spec import MusicSpec
from gancore.evaluation.distributions import nearer, overlap
from gancore.evaluation.records import Figure, Material, Samples
from gancore.options import Options as BaseOptions

_COLUMNS = 512
"""Training phrases that are looked at together, to bound memory."""


class Options(BaseOptions):
    """Options of the metric `copying`."""

    below: float = Field(
        0.1, ge=0.0, le=1.0, description="A phrase nearer than this to one that was trained on counts as a near copy."
    )
    transposed: bool = Field(
        True, description="Whether a training phrase moved by -5 to 6 semitones, drums aside, counts as that phrase."
    )
    limit: int = Field(
        1000, ge=2, le=100_000, description="How many generated and how many real phrases are looked at, at most."
    )


def build(options: Options, spec: MusicSpec) -> Copying:
    """The metric; see `Copying`."""
    return Copying(options, spec)


class Copying:
    """Distances between phrases are 1 - Jaccard index of their onsets: `1 - shared / (a + b - shared)`.

    An onset is a track, a step and a pitch; how long notes are held does not count. With `transposed` the distance to a
    training phrase is the smallest over twelve transpositions.

    - `nearest/distance`: median distance to the nearest training phrase, in [0, 1].
    - `nearest/exact` and `nearest/near`: share of phrases at distance 0, and below `below`.
    - `nearest/nearer`: share of the pairs of a generated and a real phrase in which the generated one lies nearer to the
      training set, ties counting half: 0.5 where they are alike, 1 where all generated are nearer.
    - `distinct`: share of different phrases; `diversity`: mean distance of two phrases of the set, neither transposed.

    Where the real phrases are not held out, each is compared with the training set without itself.
    """

    def __init__(self, options: Options, spec: MusicSpec) -> None:
        self.options = options
        self.spec = spec

    def __call__(self, material: Material) -> dict[str, Figure]:
        """The figures by their names."""
        train = self._onsets(material.train, None)
        generated, real = (self._onsets(one, self.options.limit) for one in (material.generated, material.real))
        itself = None if material.held_out else _places(real, train, self.options.transposed)
        ours = nearest(generated, train, self.options.transposed)
        theirs = nearest(real, train, self.options.transposed, leave_out=itself)
        below = self.options.below
        return {
            "nearest/distance": Figure(value=_median(ours), real=_median(theirs), overlap=overlap(ours, theirs)),
            "nearest/exact": Figure(value=_share(ours <= 0.0), real=_share(theirs <= 0.0)),
            "nearest/near": Figure(value=_share(ours < below), real=_share(theirs < below)),
            "nearest/nearer": Figure(value=nearer(ours, theirs), real=0.5),
            "distinct": Figure(value=_distinct(generated), real=_distinct(real)),
            "diversity": Figure(value=diversity(generated), real=diversity(real)),
        }

    def _onsets(self, samples: Samples, limit: int | None) -> Onsets:
        return onsets_of(notes_of(samples.x[:limit], self.spec))


@dataclass(frozen=True, slots=True)
class Onsets:
    """The onsets of phrases as sorted numbers of cells.

    `cell` `[onsets]` is `(track * time + step) * width + pitch` with room on both sides of the pitches for transposition;
    those of phrase i are `cell[first[i] : first[i + 1]]`. `pitched` `[onsets]` is false for drums.
    """

    cell: Ints
    pitched: Tensor
    first: Ints

    def __len__(self) -> int:
        return len(self.first) - 1

    @property
    def sizes(self) -> Ints:
        """Onsets of each phrase `[phrases]`."""
        return np.diff(self.first)

    def keys(self, transposed: bool) -> list[bytes]:
        """Of each phrase what only phrases with the same onsets have; with `transposed`, the same intervals."""
        found = []
        for begin, end in zip(self.first[:-1], self.first[1:], strict=True):
            cell, pitched = self.cell[begin:end], self.pitched[begin:end].numpy()
            if transposed and pitched.any():
                # Only differences of pitched cells are kept: they are sorted by time, and a transposition moves all alike.
                lowest = (cell[pitched] % _WIDTH).min()
                cell = np.sort(cell - np.where(pitched, lowest, 0))
            found.append(cell.tobytes())
        return found


_ROOM = 6
"""Semitones that a phrase may be moved by, up or down."""
_WIDTH = 128 + 2 * _ROOM


def onsets_of(table: Table) -> Onsets:
    """The onsets of all phrases of a table."""
    notes = table.notes
    cell = (notes.track * table.spec.time + notes.start) * _WIDTH + notes.pitch + _ROOM
    order = np.lexsort((cell, table.phrase))
    first = np.concatenate([[0], np.cumsum(np.bincount(table.phrase, minlength=table.count))])
    pitched = torch.from_numpy(~table.drums[notes.track[order]])
    return Onsets(cell[order], pitched, first)


def nearest(phrases: Onsets, train: Onsets, transposed: bool, *, leave_out: Ints | None = None) -> Floats:
    """Distance `[phrases]` of each phrase to the nearest of `train`; 1 where nothing is shared with any.

    `leave_out` `[phrases]` numbers a phrase of `train` that is not looked at, -1 for none. Two phrases without a single
    note are at distance 0.
    """
    best = torch.ones(len(phrases))
    shifts = range(1 - _ROOM, _ROOM + 1) if transposed else (0,)
    for begin in range(0, len(train), _COLUMNS):
        columns = _Columns(train, begin, min(begin + _COLUMNS, len(train)))
        for shift in shifts:
            distances = columns.distances(phrases, shift)
            if leave_out is not None:
                mine = np.flatnonzero((leave_out >= begin) & (leave_out < begin + _COLUMNS))
                distances[torch.from_numpy(mine), torch.from_numpy(leave_out[mine] - begin)] = 1.0
            best = torch.minimum(best, distances.amin(dim=1))
    return best.double().numpy()


def diversity(phrases: Onsets) -> float:
    """Mean distance of two different phrases; 0 where there is only one."""
    count = len(phrases)
    if count < 2:
        return 0.0
    parts = (_Columns(phrases, at, min(at + _COLUMNS, count)) for at in range(0, count, _COLUMNS))
    total = sum(columns.distances(phrases, 0).double().sum().item() for columns in parts)
    # Each phrase is at distance 0 from itself, and so adds nothing.
    return total / (count * (count - 1))


class _Columns:
    """Some training phrases, side by side, with a row for each cell that any of them has, and an empty one at the end."""

    def __init__(self, train: Onsets, begin: int, end: int) -> None:
        cells, row = np.unique(train.cell[train.first[begin] : train.first[end]], return_inverse=True)
        self.sizes = torch.from_numpy(train.sizes[begin:end])
        self.cells = torch.from_numpy(cells)
        self.held = torch.zeros(len(cells) + 1, end - begin)
        self.held[torch.from_numpy(row), torch.arange(end - begin).repeat_interleave(self.sizes)] = 1.0

    def distances(self, phrases: Onsets, shift: int) -> Tensor:
        """Distances `[phrases, columns]` after `phrases` were moved by `shift` semitones."""
        moved = torch.from_numpy(phrases.cell) + shift * phrases.pitched
        row = torch.searchsorted(self.cells, moved)
        last = len(self.cells)
        if last:
            row[self.cells[row.clamp(max=last - 1)] != moved] = last
        # A sum of the rows of its onsets is how many of them each training phrase shares.
        shared = torch.nn.functional.embedding_bag(
            row, self.held, torch.from_numpy(phrases.first), mode="sum", include_last_offset=True
        )
        sizes = torch.from_numpy(phrases.sizes)[:, None] + self.sizes
        return 1.0 - torch.where(sizes > 0, shared / (sizes - shared).clamp(min=1.0), 1.0)


def _places(phrases: Onsets, train: Onsets, transposed: bool) -> Ints:
    """For each phrase the number of the first training phrase that is the same, -1 where there is none."""
    known: dict[bytes, int] = {}
    for at, key in enumerate(train.keys(transposed)):
        known.setdefault(key, at)
    return np.array([known.get(key, -1) for key in phrases.keys(transposed)], dtype=np.int64)


def _distinct(phrases: Onsets) -> float:
    return len(set(phrases.keys(transposed=False))) / max(len(phrases), 1)


def _median(distances: Floats) -> float:
    return float(np.median(distances)) if len(distances) else 1.0


def _share(chosen: np.ndarray) -> float:
    return float(chosen.mean()) if len(chosen) else 0.0
