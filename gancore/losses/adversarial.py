"""Adversarial losses on logits: what the discriminator and the generator each minimise.

Each class reads like the equations of its paper. `real` and `fake` are logits `[batch]`, D = sigmoid(logit) where a
paper speaks of probabilities, and every loss is a scalar averaged over the batch. Half-precision logits are computed
in float32.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from gancore.data.spec import SampleSpec
from gancore.errors import GanError
from gancore.options import Options


def at_least_float32(x: Tensor) -> Tensor:
    """`x` in float32 if it is in half precision, else as it is: float64 stays float64."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


class LogitLoss:
    """Base of losses. They look at logits alone, whatever the samples are, so the spec may be left out.

    As it stands, each logit counts for itself.
    """

    needs_real = False
    couples_batch = False

    def __init__(self, spec: SampleSpec | None = None) -> None:
        """Keep nothing."""


class NonSaturating(LogitLoss):
    """The loss used in practice: the generator maximises log D(G(z)) (Goodfellow et al. 2014, section 3).

    L_D = -E[log D(x)] - E[log(1 - D(G(z)))] and L_G = -E[log D(G(z))].
    """

    threshold = 0.0

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        real, fake = at_least_float32(real), at_least_float32(fake)
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return F.softplus(-at_least_float32(fake)).mean()


class Minimax(LogitLoss):
    """The zero-sum game: the generator minimises what the discriminator maximises (Goodfellow et al. 2014, equation 1).

    L_D = -E[log D(x)] - E[log(1 - D(G(z)))] and L_G = E[log(1 - D(G(z)))], which is at most 0 and whose gradient
    vanishes where the discriminator is sure that a sample is fake.
    """

    threshold = 0.0

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        real, fake = at_least_float32(real), at_least_float32(fake)
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -F.softplus(at_least_float32(fake)).mean()


class Hinge(LogitLoss):
    """Margins of one on each side (Lim and Ye 2017).

    L_D = E[max(0, 1 - f(x))] + E[max(0, 1 + f(G(z)))] and L_G = -E[f(G(z))].
    """

    threshold = 0.0

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        real, fake = at_least_float32(real), at_least_float32(fake)
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -at_least_float32(fake).mean()


class LeastSquaresOptions(Options):
    """The three labels of the paper; (0, 1, 1) by default, (-1, 1, 0) makes it the Pearson chi-squared divergence."""

    a: float = Field(0.0, ge=-100.0, le=100.0, description="What the discriminator should say of fake samples.")
    b: float = Field(1.0, ge=-100.0, le=100.0, description="What the discriminator should say of real samples.")
    c: float = Field(1.0, ge=-100.0, le=100.0, description="What the generator wants it to say of fake samples.")

    @model_validator(mode="after")
    def _check(self) -> LeastSquaresOptions:
        if self.a == self.b:
            raise ValueError(f"a and b must differ, or real and fake have the same label {self.a}")
        return self


class LeastSquares(LogitLoss):
    """Squared distances from labels (LSGAN, Mao et al. 2017, equation 2).

    L_D = 1/2 E[(f(x) - b)^2] + 1/2 E[(f(G(z)) - a)^2] and L_G = 1/2 E[(f(G(z)) - c)^2].
    """

    def __init__(self, options: LeastSquaresOptions, spec: SampleSpec | None = None) -> None:
        self.options = options
        self.threshold = (options.a + options.b) / 2

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        real, fake = at_least_float32(real), at_least_float32(fake)
        a, b = self.options.a, self.options.b
        return 0.5 * (real - b).square().mean() + 0.5 * (fake - a).square().mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return 0.5 * (at_least_float32(fake) - self.options.c).square().mean()


class Wasserstein(LogitLoss):
    """The critic's estimate of the earth mover's distance (Arjovsky et al. 2017).

    L_D = E[f(G(z))] - E[f(x)] and L_G = -E[f(G(z))]. It needs a Lipschitz critic: use it with `gradient-penalty`,
    `weight-clip` or spectral normalisation.
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        real, fake = at_least_float32(real), at_least_float32(fake)
        return fake.mean() - real.mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -at_least_float32(fake).mean()


class RelativisticPairing(LogitLoss):
    """Is this real sample more real than that fake one? (RpGAN, Jolicoeur-Martineau 2018; Huang et al. 2024).

    L_D = E[softplus(-(f(x) - f(G(z))))] and L_G = E[softplus(-(f(G(z)) - f(x)))], over pairs of one real and one fake
    sample in the same row, so both sides need equally many.
    """

    needs_real = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        real, fake = _paired(real, fake)
        return F.softplus(-(real - fake)).mean()

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        real, fake = _paired(_required(real, "rpgan"), fake)
        return F.softplus(-(fake - real)).mean()


class RelativisticAverage(LogitLoss):
    """Is this sample more real than the average of the other kind? (RaGAN, Jolicoeur-Martineau 2018).

    With d_x = f(x) - E[f(G(z))] and d_z = f(G(z)) - E[f(x)],
    L_D = E[softplus(-d_x)] + E[softplus(d_z)] and L_G = E[softplus(-d_z)] + E[softplus(d_x)].
    The two terms are summed as in the paper's equations; its published code halves the sum. Gradients flow through the
    averages, which are over the whole batch, so the loss of parts of a batch is not the loss of the whole.
    """

    needs_real = True
    couples_batch = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        real, fake = at_least_float32(real), at_least_float32(fake)
        return F.softplus(-(real - fake.mean())).mean() + F.softplus(fake - real.mean()).mean()

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        real, fake = at_least_float32(_required(real, "ragan")), at_least_float32(fake)
        return F.softplus(-(fake - real.mean())).mean() + F.softplus(real - fake.mean()).mean()


def _required(real: Tensor | None, name: str) -> Tensor:
    if real is None:
        raise GanError(
            f"the generator's loss '{name}' compares fake logits with real ones, but got no real logits; pass both"
        )
    return real


def _paired(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    if real.shape != fake.shape:
        # Without this, logits [batch] and [batch, 1] would broadcast to all pairs in silence.
        raise GanError(
            f"'rpgan' pairs real and fake logits row by row, but got shapes {list(real.shape)} and {list(fake.shape)}; "
            "draw as many fake samples as real ones and return logits of shape [batch]"
        )
    return at_least_float32(real), at_least_float32(fake)
