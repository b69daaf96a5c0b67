"""A batch on its way from the data set to the phases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Samples with their labels and their places in the run.

    `hard` `[batch, ...]` is what the data set holds, and `x` what a discriminator sees of it: relaxed when it is first asked
    for, since a phase that needs no more than token ids should not pay for a vector over the vocabulary at each of them.
    `condition` `[batch]` int64 or None; `positions` `[batch]` int64 number the samples through the whole run; `weight` is this
    part's share of its step's batch. `given` `[batch, *given_shape]` is what the generator is given of each sample, as a phase
    sees it; None where nothing is. Where data have domains, `domain` `[batch]` int64 are the samples', which take turns, and
    `domains` is how many there are: each part of a batch holds equally many of each. What is given is then a sample of another
    domain, the partner, whose domain is `source` `[batch]` int64.
    """

    hard: Tensor
    condition: Tensor | None
    positions: Tensor
    step: int
    weight: float = 1.0
    given: Tensor | None = None
    domain: Tensor | None = None
    domains: int = 1
    source: Tensor | None = None
    relax: Callable[[Tensor], Tensor] | None = None
    """Makes `x` of `hard`; they are the same without."""

    @cached_property
    def x(self) -> Tensor:
        """Relaxed samples `[batch, ...]`."""
        return self.hard if self.relax is None else self.relax(self.hard)

    def __len__(self) -> int:
        return len(self.positions)

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`, without waiting for the copy."""
        condition = self.condition
        return replace(
            self,
            hard=self.hard.to(device, non_blocking=True),
            condition=None if condition is None else condition.to(device, non_blocking=True),
            positions=self.positions.to(device, non_blocking=True),
            given=None if self.given is None else self.given.to(device, non_blocking=True),
            domain=None if self.domain is None else self.domain.to(device, non_blocking=True),
            source=None if self.source is None else self.source.to(device, non_blocking=True),
        )

    def giving(self, given: Tensor | None, source: Tensor | None = None) -> Batch:
        """The same batch with what the generator is `given` of it, of the domains `source`."""
        return self._keeping(replace(self, given=given, source=source), slice(None))

    def at(self, rows: Tensor | slice, weight: float | None = None) -> Batch:
        """The samples at `rows`, int64 `[n]` or a slice, relaxed already where these are; with the weight of all unless told."""
        few = replace(
            self,
            hard=self.hard[rows],
            condition=None if self.condition is None else self.condition[rows],
            positions=self.positions[rows],
            weight=self.weight if weight is None else weight,
            given=None if self.given is None else self.given[rows],
            domain=None if self.domain is None else self.domain[rows],
            source=None if self.source is None else self.source[rows],
        )
        return self._keeping(few, rows)

    def of(self, domain: int) -> Batch:
        """The samples of a domain, by its number, with the weight of all.

        The i-th sample of one domain and the i-th of another are partners: they come together in this step by chance alone.
        """
        return replace(self.at(slice(domain, None, self.domains)), domains=1)

    def _keeping(self, part: Batch, rows: Tensor | slice) -> Batch:
        """`part`, the samples at `rows` of this batch, relaxed already where these are."""
        if "x" in self.__dict__:
            part.__dict__["x"] = self.x[rows]
        return part

    def split(self, parts: int) -> Iterator[Batch]:
        """Micro-batches of (nearly) equal size, none of which parts partners; their weights add up to this batch's."""
        if parts <= 1:
            yield self
            return
        turns = len(self) // self.domains
        count = min(parts, turns)
        size, longer = divmod(turns, count)
        start = 0
        for number in range(count):
            stop = start + self.domains * (size + (number < longer))
            yield self.at(slice(start, stop), self.weight * (stop - start) / len(self))
            start = stop
