"""A history of generated samples, by which discriminators do not forget what they have seen (Shrivastava et al. 2017)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gancore import distributed
from gancore.data.batch import Batch
from gancore.random import Draws


class History(nn.Module):
    """Keeps the last of the generated samples of each domain, as many as `size`, and shows old ones in place of half of the new.

    While there are fewer, new ones are shown, and kept. From then on each is shown itself with a probability of 1/2; else one that is
    kept is shown, which it takes the place of. What is shown depends on the steps before and on a sample's position, so parts of a
    batch, and processes, see what one would with the whole batch; what is kept is in checkpoints, and the same in every process.
    """

    kept: Tensor
    filled: Tensor

    def __init__(self, domains: int, size: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.size = size
        # Flat, so that no layout of memory that a network is brought to is asked of it.
        self.register_buffer("kept", torch.zeros(domains, size, math.prod(shape)))
        self.register_buffer("filled", torch.zeros(domains, dtype=torch.int64))
        self._new: dict[int, tuple[Batch, Tensor, Tensor]] = {}

    def shown(self, fake: Tensor, batch: Batch, draws: Draws) -> Tensor:
        """`fake` `[batch, *shape]`, made for `batch`, with some of them replaced by old ones of their domains."""
        domains = torch.zeros_like(batch.positions) if batch.condition is None else batch.condition
        draws = draws.within("history")
        place = draws.integers("place", self.size)
        swapped = (draws.uniform("swap") < 0.5) & (self.filled[domains] == self.size)
        rows = torch.stack([batch.positions, domains, place, swapped.long()], dim=1)
        # By batch, for one may come twice, where losses couple its samples.
        self._new[id(batch)] = batch, fake.detach().float(), rows
        old = self.kept[domains, place].view_as(fake).to(fake.dtype)
        return torch.where(swapped.view(-1, *[1] * (fake.dim() - 1)), old, fake)

    def begin(self) -> None:
        """Forget what has been shown since the last `keep`: its step has come to nothing."""
        self._new.clear()

    @torch.no_grad()
    def keep(self) -> None:
        """Keep the samples that have been made in this step, by all processes."""
        if not self._new:
            return
        fakes = torch.cat([fake for _, fake, _ in self._new.values()])
        rows = torch.cat([rows for _, _, rows in self._new.values()])
        self._new.clear()
        fakes, rows = distributed.gather(fakes), distributed.gather(rows.double()).long()
        finite = torch.isfinite(fakes).flatten(1).all(dim=1)
        order = rows[:, 0].argsort()
        filled = self.filled.tolist()
        places: dict[tuple[int, int], int] = {}  # of several for one place the last stays
        for row, (_, domain, place, swapped), fit in zip(
            order.tolist(), rows[order].tolist(), finite[order].tolist(), strict=True
        ):
            if not fit:
                continue
            if filled[domain] < self.size:
                places[domain, filled[domain]] = row
                filled[domain] += 1
            elif swapped:
                places[domain, place] = row
        if places:
            domains, slots = torch.tensor(list(places), device=fakes.device).T
            self.kept[domains, slots] = fakes[list(places.values())].flatten(1)
            self.filled.copy_(torch.tensor(filled))
