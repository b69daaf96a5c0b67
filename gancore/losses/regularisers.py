"""Penalties of logits and of the generator, with moving averages that checkpoints keep.

They are modules, whose buffers a game keeps among its networks. What they see in a step is taken in after it, by `constrain`: called
twice in a step they give the same, and parts of a batch, or processes, see the averages that the whole batch would.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gancore import distributed
from gancore.components import Critic
from gancore.data.spec import SampleSpec
from gancore.errors import UsageError
from gancore.losses.adversarial import at_least_float32
from gancore.options import PenaltyOptions
from gancore.random import Draws


class Averaging(nn.Module):
    """Base: a moving average of means over batches, NaN as long as nothing has been taken in."""

    average: Tensor

    def __init__(self, size: int, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("average", torch.full((size,), math.nan))
        self._seen: list[tuple[Tensor, int]] = []

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, draws: Draws) -> None:
        """None: the term is no function of the discriminator's input."""
        return

    def see(self, means: Tensor, count: int) -> None:
        """Keep means `[size]` over `count` samples until the step is over."""
        self._seen.append((means.detach().float(), count))

    @torch.no_grad()
    def constrain(self, module: nn.Module) -> None:
        """Take in what was seen in this step, if it is finite; no weight is changed."""
        if not self._seen:
            return
        counts = torch.stack([means.new_tensor([float(count)]) for means, count in self._seen])
        sums = (torch.stack([means for means, _ in self._seen]) * counts).sum(0)
        self._seen.clear()
        total = distributed.sum_over_ranks(torch.cat([sums, counts.sum(0)]))
        means = total[:-1] / total[-1]
        moved = torch.where(self.average.isnan(), means, torch.lerp(means, self.average, self.decay))
        self.average.copy_(torch.where(means.isfinite(), moved, self.average))


class LeCamOptions(PenaltyOptions):
    """Options of `lecam`."""

    weight: float = Field(0.3, ge=0.0, le=1e6, description="The paper's lambda; 0.3 for BigGAN on a tenth of CIFAR-10.")
    decay: float = Field(0.99, ge=0.0, lt=1.0, description="How much of the anchors is kept in a step.")


class LeCam(Averaging):
    """E[max(0, f(x) - a_F)^2] + E[max(0, a_R - f(G(z)))^2] (Tseng et al. 2021).

    The anchors a_R and a_F are moving averages of real and of fake logits over the steps before; in the first there is no term.
    The paper's square is of f(x) - a_F without max; its published code has it, and so has this.
    """

    def __init__(self, options: LeCamOptions, spec: SampleSpec | None = None) -> None:
        super().__init__(2, options.decay)

    def of_logits(self, real: Tensor, fake: Tensor) -> Tensor:
        real, fake = at_least_float32(real), at_least_float32(fake)
        self.see(torch.stack([real.detach().mean(), fake.detach().mean()]), len(real))
        a_real, a_fake = torch.where(self.average.isnan(), torch.tensor([-math.inf, math.inf]).to(real), self.average)
        return F.relu(real - a_fake).square().mean() + F.relu(a_real - fake).square().mean()


class PathLengthOptions(PenaltyOptions):
    """Options of `path-length`."""

    weight: float = Field(2.0, ge=0.0, le=1e6, description="Factor of the term in the generator's objective.")
    every: int = Field(
        4,
        ge=1,
        le=1000,
        description="Compute it only every this many steps, scaled up by as much (lazy regularisation).",
    )
    decay: float = Field(0.99, ge=0.0, lt=1.0, description="How much of the mean length is kept in a step.")


class PathLength(Averaging):
    """E[(|J^T y| - a)^2], with J the derivative of G by z and y normal (Karras et al. 2020, StyleGAN2), of any generator.

    |J^T y| is the length of the gradient of <G(z), y> by z, and y ~ N(0, 1) / sqrt(n) with n the elements of a channel. The mean
    length a is a moving average over the steps before; in the first there is no term.
    """

    def __init__(self, options: PathLengthOptions, spec: SampleSpec | None = None) -> None:
        super().__init__(1, options.decay)

    def of_generator(self, generate: Callable[[Tensor], Tensor], z: Tensor, draws: Draws) -> Tensor:
        z = z.detach().requires_grad_()
        made = at_least_float32(generate(z))
        y = draws.normal("path", *made.shape[1:]).to(made) / math.sqrt(math.prod(made.shape[2:]))
        (slope,) = torch.autograd.grad((made * y).sum(), z, create_graph=True, allow_unused=True)
        if slope is None:
            raise UsageError(
                "penalty 'path-length' looks at how samples change with the generator's latent, on which these do not "
                "depend; leave it out"
            )
        lengths = torch.linalg.vector_norm(slope.reshape(len(z), -1), dim=1)
        self.see(lengths.detach().mean()[None], len(z))
        target = torch.where(self.average.isnan(), lengths.detach(), self.average)
        return (lengths - target).square().mean()
