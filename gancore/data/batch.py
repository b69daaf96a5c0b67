"""A batch on its way from the data set to the phases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples with their labels and their places in the run.

    `x` `[batch, ...]` is hard as the loader gives it and relaxed as a phase sees it; `condition` `[batch]` int64 or None;
    `positions` `[batch]` int64 number the samples through the whole run; `weight` is this part's share of its step's batch.
    `given` `[batch, *given_shape]` is what the generator is given of each sample, as a phase sees it; None where nothing is.
    """

    x: Tensor
    condition: Tensor | None
    positions: Tensor
    step: int
    weight: float = 1.0
    given: Tensor | None = None

    def __len__(self) -> int:
        return len(self.positions)

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`, without waiting for the copy."""
        condition = self.condition
        return replace(
            self,
            x=self.x.to(device, non_blocking=True),
            condition=None if condition is None else condition.to(device, non_blocking=True),
            positions=self.positions.to(device, non_blocking=True),
            given=None if self.given is None else self.given.to(device, non_blocking=True),
        )

    def split(self, parts: int) -> Iterator[Batch]:
        """Micro-batches of (nearly) equal size; their weights add up to this batch's."""
        if parts <= 1:
            yield self
            return
        for rows in torch.arange(len(self), device=self.positions.device).tensor_split(min(parts, len(self))):
            part = slice(int(rows[0]), int(rows[-1]) + 1)
            yield replace(
                self,
                x=self.x[part],
                condition=None if self.condition is None else self.condition[part],
                positions=self.positions[part],
                weight=self.weight * len(rows) / len(self),
                given=None if self.given is None else self.given[part],
            )
