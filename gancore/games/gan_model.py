"""What the phases of the standard game share: both networks, how they are called, and the fakes of a step."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gancore.components import GameContext
from gancore.data.batch import Batch
from gancore.errors import BreachError
from gancore.games.breach import of_fakes, of_logits
from gancore.games.calling import Heads, call_generator, draw_latent, heads, mixes_batch
from gancore.games.penalty_phase import draws_itself
from gancore.games.player import Phase
from gancore.games.terms import GradientNorm
from gancore.nets.classifying import Classifier
from gancore.nets.slicing import Slices
from gancore.powers import Deceives, HasThreshold
from gancore.random import Draws

if TYPE_CHECKING:
    from gancore.games.gan import GanOptions


class GanModel:
    """Both networks with their loss and augmentation, how they are called, and the fakes that the phases of a step share.

    A game derives its own to call them in another way: `generate` says how fakes are made, `logits` how the discriminator is called.
    """

    def __init__(self, options: GanOptions, context: GameContext) -> None:
        self.loss = context.loss
        self.threshold = context.loss.threshold if isinstance(context.loss, HasThreshold) else None
        self.augment = context.augment
        self.generator = context.networks["generator"]
        self.discriminator = context.networks["discriminator"]
        self.shape = context.spec.shape
        self.autocast_dtype = context.autocast
        self.shared = options.reuse_fakes
        self.keep_graph = options.reuse_fakes and context.micro_batches == 1
        # Real and fake go through the discriminator together, unless it would mix their statistics.
        self.joint = not mixes_batch(self.discriminator)
        self.slices: Slices | None = None
        self.gradient_norm: GradientNorm | None = None
        self.classifier: Classifier | None = None
        self.classes_weight = options.classes_weight
        self._draws_itself: bool | None = None
        self._batch: Batch | None = None
        self._fake: Tensor | None = None
        self._deceived: Batch | None = None
        self._deceiving: Tensor | None = None

    def autocast(self, device: torch.device) -> AbstractContextManager[None]:
        """The run's precision, for calls of networks on `device`."""
        return torch.autocast(device.type, self.autocast_dtype, enabled=self.autocast_dtype is not None)

    def generate(self, batch: Batch, draws: Draws) -> Tensor:
        """Relaxed fakes `[batch, ...]`, of the classes and the given parts of `batch`."""
        z = draw_latent(self.generator, draws)
        with self.autocast(batch.x.device):
            fake = call_generator(self.generator, z, batch.condition, batch.given)
        return self.fitting(fake, batch).to(batch.x.dtype)

    def latent(self, draws: Draws) -> Tensor:
        """Latents for the generator."""
        return draw_latent(self.generator, draws)

    def generated(self, z: Tensor, batch: Batch) -> Tensor:
        """Relaxed fakes of latents `z`, and of the classes and the given parts of `batch`."""
        return self.fitting(call_generator(self.generator, z, batch.condition, batch.given), batch)

    def fitting(self, fake: Tensor, batch: Batch) -> Tensor:
        """Relaxed fakes as the generator made them for `batch`; raises `BreachError` where they are of another shape than samples."""
        if fault := of_fakes(fake, len(batch), self.shape):
            raise BreachError("architecture", self.generator, fault)
        return fake

    def fake_for_discriminator(self, batch: Batch, draws: Draws, acting: Phase | None) -> Tensor:
        """Fakes `[batch, ...]` without a graph; the graph is kept aside where `acting`, the generator's phase, will want it.

        Penalties that follow on the same batch get the same fakes, or running statistics would move once more for each.
        """
        if self._batch is not batch or self._fake is None:
            if self.keep_graph and acting is not None and acting.due(batch.step):
                with acting.player.thawed():
                    self._fake = self.generate(batch, draws)
            else:
                with torch.no_grad():
                    self._fake = self.generate(batch, draws)
            self._batch = batch
        return self._fake.detach()

    def fake_for_generator(self, batch: Batch, draws: Draws) -> Tensor:
        """Fakes `[batch, ...]` with a graph: those of the discriminator's phase where the two share them, else others."""
        if self.keep_graph and self._batch is batch and self._fake is not None and self._fake.requires_grad:
            fake, self._fake = self._fake, None
            return fake
        return self.generate(batch, draws if self.shared else draws.within("generator"))

    def towards_discriminator(self, fake: Tensor) -> Tensor:
        """Generated samples on their way to the discriminator in the generator's phase: unchanged, but for their gradient."""
        return fake if self.gradient_norm is None else self.gradient_norm(fake)

    def logits(self, x: Tensor, condition: Tensor | None) -> Heads:
        """The discriminator's logits of relaxed samples, head by head."""
        with self.autocast(x.device):
            return self.judged(x, condition)

    def judged(self, x: Tensor, condition: Tensor | None) -> Heads:
        """Those in whatever precision is in force; raises `BreachError` where they are none, or not one for each sample."""
        output = self.discriminator(x, condition)
        if fault := of_logits(output, len(x), "samples"):
            raise BreachError("architecture", self.discriminator, fault)
        return heads(output)

    def augmented_logits(self, x: Tensor, condition: Tensor | None, draws: Draws, side: str) -> Heads:
        """Those of samples as they are augmented in this step, on the side `real`, `fake` or `generator`."""
        return self.logits(self.augment(x, draws.within(side)), condition)

    def shown_as_real(self, batch: Batch, draws: Draws) -> Tensor:
        """What the discriminator is told are real samples: those of the data, or fakes of their own that are made for it (APA)."""
        rows = self.augment.deceived(draws) if isinstance(self.augment, Deceives) else None
        if rows is None:
            return batch.x
        if self._deceived is not batch or self._deceiving is None:
            # Not the fakes of this step, or a relativistic loss would compare samples with themselves.
            with torch.no_grad():
                self._deceiving = self.generate(batch, draws.within("deceived"))
            self._deceived = batch
        return torch.where(rows.reshape(-1, *[1] * (batch.x.dim() - 1)), self._deceiving, batch.x)

    def both_logits(self, batch: Batch, fake: Tensor, draws: Draws) -> tuple[Heads, Heads]:
        """Those of real and of fake samples, augmented; in one call where no sample's logit depends on others."""
        shown = self.shown_as_real(batch, draws)
        if not self.joint:
            real = self.augmented_logits(shown, batch.condition, draws, "real")
            return real, self.augmented_logits(fake, batch.condition, draws, "fake")
        x = torch.cat([self.augment(shown, draws.within("real")), self.augment(fake, draws.within("fake"))])
        condition = None if batch.condition is None else torch.cat([batch.condition, batch.condition])
        both = self.logits(x, condition)
        n = len(fake)
        return tuple(h[:n] for h in both), tuple(h[n:] for h in both)

    def draws_itself(self, batch: Batch) -> bool:
        """Whether the discriminator draws random numbers in a pass; found out with some samples of the first `batch` asked about."""
        if self._draws_itself is None:
            condition = None if batch.condition is None else batch.condition[:2]
            self._draws_itself = draws_itself(self.discriminator, batch.x[:2], condition)
        return self._draws_itself
