"""Texts of different lengths held without gaps, padded when a batch of them is fetched."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_text.spec import TextSpec
from gancore.data.report import ScanReport
from gancore.random import Draws

COMPACT = 1 << 16
"""A vocabulary up to this size is held in 16 bits a token."""


class TokenSource:
    """A `DataSource` of tokenized texts.

    `tokens` `[all tokens]` are the texts one after the other, without `end`: int32, or int16 that holds the bits of an
    unsigned number, as `compact` makes them. Text i is `tokens[offsets[i]:offsets[i + 1]]`, `offsets` `[texts + 1]` int64
    rising from 0. `labels` `[texts]` int64 number `spec.classes`; None without classes. `groups` `[texts]` int64 has one
    number for texts that belong together; None where each is on its own.
    """

    in_memory = True

    def __init__(
        self,
        tokens: Tensor,
        offsets: Tensor,
        spec: TextSpec,
        report: ScanReport,
        *,
        labels: Tensor | None = None,
        groups: Tensor | None = None,
    ) -> None:
        self.tokens = tokens
        self.offsets = offsets
        self.spec = spec
        self.report = report
        self.labels = labels
        if groups is not None:
            self.groups = groups

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def fetch(self, indices: Tensor, draws: Draws) -> tuple[Tensor, Tensor | None]:
        """Hard texts int32 `[batch, length]` and class indices int64 `[batch]`, or None without labels."""
        del draws
        start = self.offsets[indices]
        count = self.offsets[indices + 1] - start
        place = torch.arange(self.spec.length)
        inside = place < count[:, None]
        if len(self.tokens):
            ids = self.tokens[(start[:, None] + place).clamp_(max=len(self.tokens) - 1)].to(torch.int32)
        else:
            ids = torch.zeros(inside.shape, dtype=torch.int32)
        if self.tokens.dtype is torch.int16:
            ids &= COMPACT - 1
        hard = torch.where(inside, ids, self.spec.end)
        return hard, None if self.labels is None else self.labels[indices]


def compact(tokens: Tensor, vocabulary: int) -> Tensor:
    """Ids of any integer type in the smallest that a `TokenSource` takes for this vocabulary."""
    if vocabulary > COMPACT:
        return tokens.to(torch.int32)
    # Two's complement keeps the lower 16 bits, which is what `fetch` looks at.
    return tokens.to(torch.int64).add(COMPACT // 2).remainder(COMPACT).sub(COMPACT // 2).to(torch.int16)
