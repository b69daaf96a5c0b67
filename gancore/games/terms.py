"""Phases of penalties that are no function of the discriminator's input: of logits that are there already, and of the generator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from gancore import distributed
from gancore.components import Regulariser
from gancore.data.batch import Batch
from gancore.errors import UsageError
from gancore.games.breach import a_term
from gancore.games.calling import Heads, total
from gancore.games.player import Phase
from gancore.options import PenaltyOptions
from gancore.powers import RegularisesGenerator, RegularisesLogits
from gancore.random import Draws


def rows_of(share: float, count: int, device: torch.device) -> Tensor | slice:
    """The rows of a share of `count` samples, at even distances, one at least: int64 `[n]`, or a slice where it is all of them."""
    few = max(1, round(share * count))
    return slice(None) if few >= count else torch.arange(few, device=device) * count // few


class LogitPenaltyPhase(Phase):
    """A penalty of logits that the discriminator's main phase has anyway; its gradients are added there."""

    def __init__(self, name: str, main: Phase, regulariser: RegularisesLogits, options: PenaltyOptions) -> None:
        super().__init__(f"{main.player.name}/{name}", main.player, every=options.every)
        self.main = main
        self.regulariser = regulariser
        self.weight = options.weight
        """Of the term; the engine may move it from step to step."""
        self.share = options.share

    def due(self, step: int) -> bool:
        return super().due(step) and self.main.due(step)

    def term(self, real: Heads, fake: Heads) -> tuple[Tensor, Tensor]:
        """What is added to the loss of one part of a batch, of the logits of each head; and it without its weight."""
        rows = rows_of(self.share, len(real[0]), real[0].device)
        found = self.regulariser.of_logits(*(total(side)[rows] for side in (real, fake)))
        term = a_term(found, "penalty", self.regulariser, "of_logits", self.name.rpartition("/")[2])
        return term * (self.weight * self.every), term.detach()

    def run(self, batch: Batch, draws: Draws) -> Mapping[str, Tensor]:
        """Nothing: the main phase has done it."""
        return {}

    def after_step(self) -> None:
        cast("Regulariser", self.regulariser).constrain(self.player.module)


class Generates(Protocol):
    """How a game draws latents and calls its generator."""

    def latent(self, draws: Draws) -> Tensor: ...

    def generated(self, z: Tensor, batch: Batch) -> Tensor: ...


class GeneratorPenaltyPhase(Phase):
    """A regulariser of the generator, in float32 whatever the networks run in."""

    def __init__(
        self, name: str, main: Phase, model: Generates, regulariser: RegularisesGenerator, options: PenaltyOptions
    ) -> None:
        super().__init__(f"{main.player.name}/{name}", main.player, every=options.every * main.every)
        self.main = main
        self.lazy = options.every
        self.model = model
        self.regulariser = regulariser
        self.weight = options.weight
        """Of the term; the engine may move it from step to step."""
        self.share = options.share

    def due(self, step: int) -> bool:
        return super().due(step) and self.main.due(step)

    def run(self, batch: Batch, draws: Draws) -> Mapping[str, Tensor]:
        rows = rows_of(self.share, len(batch), batch.positions.device)
        own, batch = draws.within(self.name).at(rows), batch.at(rows)
        z = self.model.latent(own)
        if not z.is_floating_point():
            raise UsageError(
                f"penalty '{self.name.rpartition('/')[2]}' differentiates by the generator's latents, which here are {z.dtype}; leave "
                "it out"
            )
        found = self.regulariser.of_generator(lambda latents: self.model.generated(latents, batch), z, own)
        term = a_term(found, "penalty", self.regulariser, "of_generator", self.name.rpartition("/")[2])
        (term * (self.weight * self.lazy * batch.weight)).backward()
        return {self.name: term.detach()}

    def after_step(self) -> None:
        cast("Regulariser", self.regulariser).constrain(self.player.module)


class GradientNorm(nn.Module):
    """Divides the gradient that comes back to samples by a moving average of its size (Lin et al. 2025, AFM).

    Of a gradient g `[batch, ...]` with m elements, the size is sqrt(m |g|^2), which does not depend on the number of samples; the
    square is averaged, with a decay of 0.9. The average is that of the steps before, so that parts of a batch are treated as the
    whole; in the first step, in which there is none, the generator is not moved.
    """

    DECAY = 0.9
    square: Tensor
    steps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("square", torch.zeros(()))
        self.register_buffer("steps", torch.zeros(()))
        self._sum: Tensor | None = None
        self._elements = 0

    def forward(self, x: Tensor) -> Tensor:
        """`x` itself, whose gradient will be divided."""
        x = x.view_as(x)
        if x.requires_grad:
            x.register_hook(self._divided)
        return x

    def _divided(self, gradient: Tensor) -> Tensor:
        squares = gradient.detach().float().square().sum()
        self._sum = squares if self._sum is None else self._sum + squares
        self._elements += gradient.numel()
        known = self.square / (1.0 - self.DECAY**self.steps).clamp(min=1e-12)
        scale = torch.where(known > 0, known.clamp(min=1e-30).rsqrt(), torch.zeros_like(known))
        return gradient * scale.to(gradient.dtype)

    @torch.no_grad()
    def after_step(self) -> None:
        """Take in the gradient of all parts of the batch, of all processes."""
        if self._sum is None:
            return
        size = torch.stack([self._sum, torch.full_like(self._sum, float(self._elements))])
        self._sum, self._elements = None, 0
        squares, elements = distributed.sum_over_ranks(size)
        found = (
            squares / distributed.world_size() ** 2 * elements
        )  # each process has divided by its own share of the batch
        finite = torch.isfinite(found)
        self.square.copy_(torch.where(finite, torch.lerp(found, self.square, self.DECAY), self.square))
        self.steps.add_(finite)
