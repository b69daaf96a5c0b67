"""Where the notes of phrases begin, and how far phrases are from each other by that: copies are found, transposed ones too."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from gan_music.metrics.table import Table
from gan_music.roll import Ints
from gancore.evaluation.neighbours import nearest_by

_COLUMNS = 512
"""Training phrases that are looked at together, to bound memory."""
_ROOM = 6
"""Semitones that a phrase may be moved by, up or down."""
_WIDTH = 128 + 2 * _ROOM


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

    def keys(self) -> list[bytes]:
        """Of each phrase what only phrases with the same onsets have."""
        return [self.cell[begin:end].tobytes() for begin, end in zip(self.first[:-1], self.first[1:], strict=True)]


def onsets_of(table: Table) -> Onsets:
    """The onsets of all phrases of a table."""
    notes = table.notes
    cell = (notes.track * table.spec.time + notes.start) * _WIDTH + notes.pitch + _ROOM
    order = np.lexsort((cell, table.phrase))
    first = np.concatenate([[0], np.cumsum(np.bincount(table.phrase, minlength=table.count))])
    pitched = torch.from_numpy(~table.drums[notes.track[order]])
    return Onsets(cell[order], pitched, first)


def nearest(phrases: Onsets, train: Onsets, transposed: bool, *, leave_out: Tensor | None = None) -> Tensor:
    """Distance float64 `[phrases]` of each phrase to the nearest of `train`; 1 where nothing is shared with any.

    Distances are 1 less the Jaccard index of the onsets, `1 - shared / (a + b - shared)`, with `transposed` the smallest over
    twelve transpositions of the phrase. `leave_out` int64 `[phrases]` numbers a phrase of `train` that is not looked at, -1 for
    none; infinite where no other is left. Two phrases without a single note are at distance 0.
    """
    shifts = range(1 - _ROOM, _ROOM + 1) if transposed else (0,)

    def distances(begin: int, end: int) -> Tensor:
        columns = _Columns(train, begin, end)
        return reduce(torch.minimum, (columns.distances(phrases, shift) for shift in shifts))

    return nearest_by(distances, len(phrases), len(train), _COLUMNS, leave_out)


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
