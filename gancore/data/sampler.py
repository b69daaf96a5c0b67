"""Which sample comes n-th: a function of the seed, of n and of the data set's length or classes, and of nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gancore.errors import DataError
from gancore.random import derive, uniform

CACHED_EPOCHS = 3


def spread(length: int, most: int) -> Tensor:
    """Up to `most` places of a data set of `length` samples, evenly from the first to the last: int64, rising, always the same."""
    return torch.linspace(0, length - 1, min(most, length), dtype=torch.float64).long()


class Sampler:
    """Draws without replacement, epoch after epoch: each run of `length` positions is a permutation of the data set.

    Epoch e's permutation comes from Philox (Salmon et al. 2011) keyed with the seed and e, so that any position can be
    asked for at any time; the last few permutations are kept. Raises DataError for an empty data set.
    """

    def __init__(self, length: int, seed: int) -> None:
        if length < 1:
            raise DataError("the data set holds no samples, so nothing can be drawn from it")
        self.length = length
        self.seed = seed
        self._kept: dict[int, NDArray[np.int64]] = {}

    def permutation(self, epoch: int) -> NDArray[np.int64]:
        """The order of epoch `epoch`, `[length]` int64."""
        order = self._kept.pop(epoch, None)
        if order is None:
            random = np.random.Generator(np.random.Philox(key=derive(self.seed, "epoch", epoch)))
            order = random.permutation(self.length)
        self._kept[epoch] = order  # the most recently used stands last
        while len(self._kept) > CACHED_EPOCHS:
            del self._kept[next(iter(self._kept))]
        return order

    def indices(self, positions: Tensor) -> Tensor:
        """Indices into the data set, `[batch]` int64, for `positions` `[batch]` int64 counted from the run's start."""
        epochs, offsets = np.divmod(positions.numpy(), self.length)
        result = np.empty(len(offsets), dtype=np.int64)
        for epoch in np.unique(epochs):
            rows = epochs == epoch
            result[rows] = self.permutation(int(epoch))[offsets[rows]]
        return torch.from_numpy(result)


class BalancedSampler:
    """Draws each class equally often: each run of as many positions as there are classes holds one sample of each, in random order.

    Within a class it draws as `Sampler` does: all of its samples before any comes again. `labels` `[length]` int64 are the classes
    of all samples; those of which there are none are left out.
    """

    def __init__(self, labels: Tensor, seed: int) -> None:
        self.seed = derive(seed, "classes")
        self.members = [(labels == one).nonzero()[:, 0] for one in labels.unique().tolist()]
        self.samplers = [Sampler(len(rows), derive(seed, "class", n)) for n, rows in enumerate(self.members)]

    def indices(self, positions: Tensor) -> Tensor:
        """As `Sampler.indices`."""
        count = len(self.members)
        rounds, inverse = torch.unique(positions // count, return_inverse=True)
        order = uniform(self.seed, rounds, count).argsort(dim=1, stable=True)
        which = order[inverse, positions % count]
        result = torch.empty_like(positions)
        for one in which.unique().tolist():
            rows = which == one
            result[rows] = self.members[one][self.samplers[one].indices(positions[rows] // count)]
        return result


class Order(Protocol):
    """Which sample comes when."""

    def indices(self, positions: Tensor) -> Tensor:
        """Indices `[batch]` int64 for `positions` `[batch]` int64."""
        ...


class DomainSampler:
    """Has domains take turns: of K domains, position p is of domain p % K, and within it place p // K of the order for that domain.

    `members` are the indices `[n]` int64 of each domain's samples, and `orders` say which of them come when.
    """

    def __init__(self, members: Sequence[Tensor], orders: Sequence[Order]) -> None:
        self.members, self.orders = members, orders

    def indices(self, positions: Tensor) -> Tensor:
        """As `Sampler.indices`."""
        count = len(self.members)
        result = torch.empty_like(positions)
        for domain, (members, order) in enumerate(zip(self.members, self.orders, strict=True)):
            rows = positions % count == domain
            result[rows] = members[order.indices(positions[rows] // count)]
        return result
