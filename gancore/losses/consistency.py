"""Consistency regularisation: the discriminator's logit should not change with an augmentation of its sample."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from gancore.components import Augment
from gancore.losses.penalties import OfOneSide
from gancore.options import AugmentingOptions
from gancore.random import Draws


class ConsistencyOptions(AugmentingOptions):
    """Options of `cr` and `cr-fake`."""

    weight: float = Field(10.0, ge=0.0, le=1e6, description="The papers' lambda.")


def _unchanged(x: Tensor, draws: Draws) -> Tensor:
    return x


class Consistency(OfOneSide[ConsistencyOptions]):
    """E[(f(x) - f(T(x)))^2] on real samples, T an augmentation (CR-GAN, Zhang et al. 2020).

    With the same term of generated samples, `FakeConsistency`, it is balanced consistency regularisation (bCR, Zhao et al. 2021), of
    weights 10 and 10. The loss has samples without T.
    """

    augment: Augment = staticmethod(_unchanged)

    def beside(self, x: Tensor, draws: Draws) -> Tensor:
        """Augmented samples, T(x) `[batch, ...]`."""
        return self.augment(x, draws)

    def term(self, changes: Tensor) -> Tensor:
        """The unweighted term from f(T(x)) - f(x) `[batch, 1]`."""
        return changes.square().mean()


class FakeConsistency(Consistency):
    """E[(f(G(z)) - f(T(G(z))))^2] on generated samples, otherwise as `Consistency` (Zhao et al. 2021)."""

    side = "fake"
