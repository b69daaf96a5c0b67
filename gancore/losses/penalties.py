"""Penalties on the discriminator's gradient with respect to its input, exact or by finite differences, and weight clipping.

Each penalty is a mean over samples of something that depends on that sample alone, so micro-batches and ranks may be
averaged. That holds as long as the discriminator itself treats samples one by one, which batch normalisation in it
would break. Penalties return the unweighted term; the engine multiplies by `weight`, and by `every` where they are
computed lazily.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Literal, TypeVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gancore.components import Critic
from gancore.data.spec import SampleSpec
from gancore.errors import GanError
from gancore.losses.adversarial import at_least_float32
from gancore.options import PenaltyOptions
from gancore.random import Draws

Own = TypeVar("Own", bound=PenaltyOptions)


class PenaltyTerm(Generic[Own]):
    """Base of penalties: it leaves the weights alone. They work on samples of any kind, so the spec may be left out."""

    def __init__(self, options: Own, spec: SampleSpec | None = None) -> None:
        self.options = options

    def constrain(self, module: nn.Module) -> None:
        """Do nothing."""


def input_gradients(critic: Critic, x: Tensor) -> Tensor:
    """The gradient of each sample's logit with respect to that sample, `[batch, elements]`, differentiable once more.

    `x` is `[batch, ...]` of any shape. Raises `GanError` where the logits do not depend on it.
    """
    x = relaxed(x).detach().requires_grad_(True)
    return gradients_of(critic(x), [x])[0]


def gradients_of(logits: Tensor, samples: Sequence[Tensor]) -> list[Tensor]:
    """Of each of `samples` `[batch, ...]`, which have logits among `logits`, what `input_gradients` gives; they require gradients."""
    found: Sequence[Tensor | None] = [None]
    if logits.requires_grad:
        total = at_least_float32(logits).sum()
        found = torch.autograd.grad(total, samples, create_graph=True, allow_unused=True)
    gradients = [at_least_float32(g).reshape(len(g), -1) for g in found if g is not None]
    if len(gradients) < len(samples):
        raise GanError(
            "a gradient penalty was asked for, but the discriminator's output does not depend on its input in a "
            "differentiable way; remove argmax, rounding, detach() or no_grad() from its path, or leave the penalty out"
        )
    return gradients


def relaxed(x: Tensor) -> Tensor:
    """`x` itself; raises `GanError` where these are hard samples, near which there are no others."""
    if not x.is_floating_point():
        raise GanError(
            f"a gradient penalty needs relaxed samples in floating point, but got {x.dtype}; relax the batch first"
        )
    return x


def gradient_norms(critic: Critic, x: Tensor) -> Tensor:
    """Euclidean norms of `input_gradients`, `[batch]`. Where a norm is 0, its own gradient is 0, not NaN."""
    return torch.linalg.vector_norm(input_gradients(critic, x), dim=1)


class GradientPenaltyOptions(PenaltyOptions):
    """Options of `gradient-penalty`."""

    weight: float = Field(10.0, ge=0.0, le=1e6, description="The paper's lambda.")
    sides: Literal["one", "two"] = Field(
        "two", description="Pull norms towards 1 from both sides, or only push down those above 1."
    )


class GradientPenalty(PenaltyTerm[GradientPenaltyOptions]):
    """E[(||grad f(u)|| - 1)^2] at u between a real and a fake sample (WGAN-GP, Gulrajani et al. 2017).

    u = x + t (G(z) - x) with t uniform in [0, 1), one per sample. With `sides="one"` it is E[max(0, ||grad f(u)|| -
    1)^2], the variant of the paper's section 4 (see also Petzka et al. 2018).
    """

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        """`real` and `fake` are `[batch, ...]` of one shape; raises `GanError` if they are not."""
        if real.shape != fake.shape:
            raise GanError(
                "'gradient-penalty' interpolates between real and fake samples row by row, but got shapes "
                f"{list(real.shape)} and {list(fake.shape)}; they must agree"
            )
        t = _one_per_sample(draws, "interpolation", real)
        excess = gradient_norms(critic, torch.lerp(real, fake, t)) - 1
        if self.options.sides == "one":
            excess = F.relu(excess)
        return excess.square().mean()


class DraganOptions(PenaltyOptions):
    """Options of `dragan`."""

    weight: float = Field(10.0, ge=0.0, le=1e6, description="The paper's lambda.")
    scale: float = Field(
        0.5, ge=0.0, le=10.0, description="Largest perturbation, in standard deviations of the sample's own values."
    )


class Dragan(PenaltyTerm[DraganOptions]):
    """E[(||grad f(u)|| - 1)^2] at u near a real sample (DRAGAN, Kodali et al. 2017).

    As the authors do it, u = x + t (scale * std * n) with n uniform in [0, 1) for each value and t uniform in [0, 1)
    for each sample. Unlike theirs, std is the standard deviation of the sample's own values rather than of the whole
    batch's, so that the penalty of one sample does not depend on which others are in its micro-batch or on its rank.
    """

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        """`real` is `[batch, ...]`; `fake` is not used."""
        n = draws.uniform("perturbation", *real.shape[1:]).to(real)
        t = _one_per_sample(draws, "interpolation", real)
        std = real.reshape(len(real), -1).std(dim=1, correction=0).reshape(t.shape)
        return (gradient_norms(critic, real + t * (self.options.scale * std * n)) - 1).square().mean()


class R1Options(PenaltyOptions):
    """Options of `r1` and `r2`."""

    weight: float = Field(
        10.0, ge=0.0, le=1e6, description="The paper's gamma; the term is gamma/2 of the squared norm."
    )
    method: Literal["exact", "finite"] = Field(
        "exact",
        description="The gradient itself, differentiated once more; or finite differences: the squared slope in a random direction, "
        "which has the same mean, varies more, and takes less than half the time.",
    )
    epsilon: float = Field(
        0.01,
        ge=1e-4,
        le=1.0,
        description="Standard deviation of the step, for each value of a sample, that finite differences are taken over.",
    )


class OfOneSide(PenaltyTerm[Own]):
    """Base of penalties of how logits change at the samples of one side, by the power `SharesForward` or in a pass of their own."""

    side: Literal["real", "fake"] = "real"

    def beside(self, x: Tensor, draws: Draws) -> Tensor | None:
        """As `SharesForward` has it."""
        raise NotImplementedError

    def term(self, changes: Tensor) -> Tensor:
        """As `SharesForward` has it."""
        raise NotImplementedError

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> Tensor:
        """`real` and `fake` are `[batch, ...]`; only those of `side` are used."""
        x = real if self.side == "real" else fake
        beside = self.beside(x, draws)
        if beside is None:
            return self.term(input_gradients(critic, x))
        with (
            parametrize.cached()
        ):  # or spectral norms would be refined between the two, and be a part of the difference
            return self.term((at_least_float32(critic(beside)) - at_least_float32(critic(x)))[:, None])


class R1(OfOneSide[R1Options]):
    """1/2 E[||grad f(x)||^2] on real samples; its weight is the paper's gamma (Mescheder et al. 2018).

    With `method="finite"` it is 1/2 E[((f(x + epsilon n) - f(x)) / epsilon)^2], n standard normal, one for each sample (Lin et al.
    2025, arXiv 2511.22475): where f is linear that is (n grad f)^2 / 2, whose mean is the exact term. No gradient is then
    differentiated twice.
    """

    def beside(self, x: Tensor, draws: Draws) -> Tensor | None:
        """The points x + epsilon n `[batch, ...]` of finite differences; None where the gradient is wanted."""
        if self.options.method == "exact":
            return None
        return relaxed(x) + self.options.epsilon * draws.normal("direction", *x.shape[1:]).to(x)

    def term(self, changes: Tensor) -> Tensor:
        """The unweighted term from gradients `[batch, elements]`, or from f(x + epsilon n) - f(x) `[batch, 1]`."""
        if self.options.method == "finite":
            changes = changes / self.options.epsilon
        return 0.5 * changes.square().sum(dim=1).mean()


class R2(R1):
    """1/2 E[||grad f(G(z))||^2] on fake samples, otherwise as `R1` (Mescheder et al. 2018)."""

    side = "fake"


class WeightClipOptions(PenaltyOptions):
    """Options of `weight-clip`; as a constraint it has no use for `weight` and `every`."""

    weight: float = Field(1.0, ge=0.0, le=1e6, description="Without effect: clipping is a constraint, not a term.")
    every: int = Field(1, ge=1, le=1000, description="Without effect: weights are clipped after every step.")
    share: float = Field(1.0, gt=0.0, le=1.0, description="Without effect: weights belong to no sample.")
    clip: float = Field(0.01, gt=0.0, le=100.0, description="Weights are kept in [-clip, clip].")


class WeightClip(PenaltyTerm[WeightClipOptions]):
    """Keep every parameter of the discriminator in [-clip, clip], biases too (Arjovsky et al. 2017, algorithm 1)."""

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> None:
        """None: there is no term."""
        return

    @torch.no_grad()
    def constrain(self, module: nn.Module) -> None:
        """Clamp the parameters of `module` in place."""
        for p in module.parameters():
            p.clamp_(-self.options.clip, self.options.clip)


def _one_per_sample(draws: Draws, name: str, like: Tensor) -> Tensor:
    """Uniform in [0, 1), `[batch, 1, ...]` with as many dimensions as `like`, in its type and on its device."""
    return draws.uniform(name, *[1] * (like.dim() - 1)).to(like)
