"""How far texts lie from the nearest training text, by the pairs of neighbours that they share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from gan_text.metrics.bleu import Ints, Sentences
from gan_text.metrics.words import Words, coded, ngrams
from gancore.evaluation.neighbours import nearest_by

_COLUMNS = 512
"""Training texts that are looked at together, to bound memory."""


def nearest(texts: Sequence[Words], train: Sequence[Words], leave_out: Tensor | None = None) -> Tensor:
    """Distance float64 `[texts]` of each text to the nearest of `train`: 1 - Jaccard index of pairs, beginning and end among them.

    `leave_out` int64 `[texts]` numbers one of `train` that is not looked at, -1 for none. Infinite where there is none to look at.
    """
    ours, theirs = _pairs(coded(texts, train))
    return nearest_by(partial(_distances, ours, theirs), len(ours), len(theirs), _COLUMNS, leave_out)


class _Pairs:
    """The different pairs of each text: those of text i are `number[first[i] : first[i + 1]]`, rising."""

    def __init__(self, row: Ints, number: Ints, count: int) -> None:
        width = int(number.max(initial=0)) + 1
        different = np.unique(row * width + number)
        self.number = different % width
        self.first = np.searchsorted(different // width, np.arange(count + 1))

    def __len__(self) -> int:
        return len(self.first) - 1


def _pairs(sets: list[Sentences]) -> list[_Pairs]:
    found = ngrams(sets, 2, padded=True)
    return [_Pairs(row, number, len(one)) for (row, number), one in zip(found, sets, strict=True)]


def _distances(texts: _Pairs, train: _Pairs, begin: int, end: int) -> Tensor:
    """Distances `[texts, end - begin]` to some training texts, side by side."""
    number, first = torch.from_numpy(texts.number), torch.from_numpy(texts.first)
    sizes = torch.from_numpy(np.diff(train.first[begin : end + 1]))
    kinds, row = np.unique(train.number[train.first[begin] : train.first[end]], return_inverse=True)
    held = torch.zeros(len(kinds) + 1, end - begin)
    held[torch.from_numpy(row), torch.arange(end - begin).repeat_interleave(sizes)] = 1.0
    known = torch.from_numpy(kinds)
    at = torch.searchsorted(known, number).clamp(max=len(kinds) - 1)
    # Pairs that none of these texts has are at the empty row.
    at[known[at] != number] = len(kinds)
    # A sum of the rows of its pairs is how many of them each training text shares.
    shared = torch.nn.functional.embedding_bag(at, held, first, mode="sum", include_last_offset=True)
    union = first.diff()[:, None] + sizes - shared
    return 1.0 - shared / union
