"""The architecture `mlp`: a residual generator as in CTGAN (Xu et al. 2019, section 4.4) and a plain discriminator."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from gancore.components import Prior
from gancore.data.parts import Part, PartsSpec
from gancore.data.spec import SampleSpec, require
from gancore.nets.conditioning import LatentWithClass, ProjectionHead
from gancore.nets.norm import BatchNorm
from gancore.nets.parts import PartsHead
from gancore.options import ArchitectureOptions
from gancore.random import Draws
from pydantic import Field
from torch import Tensor, nn

from gan_tabular.spec import REACH, Number, TableSpec, relaxed_parts


class Options(ArchitectureOptions):
    """Options of the architecture `mlp`."""

    latent: int = Field(128, ge=1, le=4096, description="Length of the normal part of the latent vector.")
    width: int = Field(256, ge=4, le=8192, description="Units of each hidden layer.")
    depth: int = Field(2, ge=1, le=16, description="Hidden layers of each network.")
    embedding: int = Field(32, ge=1, le=1024, description="Length of the class embedding, where there are classes.")
    temperature: float = Field(
        0.5,
        ge=0.01,
        le=100.0,
        description="Temperature of the Gumbel-softmax: low is sharp, with gradients that scatter.",
    )
    straight_through: bool = Field(
        True,
        description="Choices are exact one-hot vectors with the gradient of the softmax; false: the softmax itself.",
    )
    whole_numbers: bool = Field(
        True, description="The discriminator sees each number also as one value, beside its mode and its place in it."
    )


class Residual(nn.Module):
    """A layer whose output stands beside its input: `[batch, before]` to `[batch, before + width]`."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(before, width)
        self.norm = BatchNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([F.relu(self.norm(self.linear(x))), x], dim=1)


class Generator(nn.Module):
    """Latents `[batch, latent + choices]` to relaxed rows `[batch, width]` in [-1, 1].

    The second part of a latent is Gumbel noise, one number for each choice of each column, so that the choices are drawn
    by counted randomness and one latent always gives one row. Unlike CTGAN's, the network gives a number's place alpha for
    each mode, and the one of the mode that was drawn is taken: a single alpha could not fit whichever is drawn.
    """

    def __init__(self, options: Options, spec: TableSpec) -> None:
        super().__init__()
        self.latent, self.columns = options.latent, len(spec.columns)
        # A logit for each choice, and for each mode of a number a place within it.
        choices = [Part(name=f"{n}/choice", categories=c.choices) for n, c in enumerate(spec.columns)]
        modes = {n: c.choices for n, c in enumerate(spec.columns) if isinstance(c, Number)}
        places = [Part(name=f"{n}/places", shape=(most,), value_range=(-1.0, 1.0)) for n, most in modes.items()]
        self.parts = PartsSpec(parts=(*choices, *places))
        self.last = PartsHead(self.parts, temperature=options.temperature, straight_through=options.straight_through)
        self.latent_shape = (options.latent + self.last.choices,)
        self.prior = Prior(smooth=options.latent)
        self.start = LatentWithClass(options.latent, spec.class_count, options.embedding)
        widths = [self.start.dim + i * options.width for i in range(options.depth)]
        self.layers = nn.Sequential(*(Residual(before, options.width) for before in widths))
        self.head = nn.Linear(widths[-1] + options.width, self.last.size)

    def draw_latent(self, draws: Draws) -> Tensor:
        """Latents `[batch, latent + choices]`: standard normal, then standard Gumbel."""
        return torch.cat([draws.normal("z", self.latent), self.last.draw_noise(draws)], dim=1)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        latent, noise = z.tensor_split([self.latent], dim=1)
        made = self.parts.split(self.last(self.head(self.layers(self.start(latent, condition))), noise), relaxed=True)
        row = []
        for number in range(self.columns):
            choice = made[f"{number}/choice"]
            if (places := made.get(f"{number}/places")) is not None:
                row.append((choice * places).sum(dim=1, keepdim=True))
            row.append(choice)
        return torch.cat(row, dim=1)


class WholeNumbers(nn.Module):
    """Each number of relaxed rows as one value, standardised: `[batch, width]` to `[batch, numbers]`.

    The value is the sum over modes of choice times (centre + 4 spread alpha), so it can be differentiated; 0 where the
    number is missing.
    """

    centre: Tensor
    scale: Tensor
    alphas: Tensor

    def __init__(self, spec: TableSpec) -> None:
        super().__init__()
        slices = relaxed_parts(spec.columns).slices
        numbers = [(i, c) for i, c in enumerate(spec.columns) if isinstance(c, Number)]
        centre, scale = torch.zeros(spec.shape[0], len(numbers)), torch.zeros(spec.shape[0], len(numbers))
        for place, (index, column) in enumerate(numbers):
            total = sum(m.weight for m in column.modes)
            mean = sum(m.weight * m.centre for m in column.modes) / total
            square = sum(m.weight * ((m.centre - mean) ** 2 + m.spread**2) for m in column.modes) / total
            std = math.sqrt(square)
            for at, mode in enumerate(column.modes, slices[f"{index}/choice"].start):
                centre[at, place] = (mode.centre - mean) / std
                scale[at, place] = REACH * mode.spread / std
        # Derived from the spec, which is stored: not worth a place in a checkpoint.
        self.register_buffer("centre", centre, persistent=False)
        self.register_buffer("scale", scale, persistent=False)
        alphas = torch.tensor([slices[f"{index}/place"].start for index, _ in numbers], dtype=torch.int64)
        self.register_buffer("alphas", alphas, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.centre + (x @ self.scale) * x[:, self.alphas]


class Discriminator(nn.Module):
    """Relaxed rows `[batch, width]` to logits `[batch]`."""

    def __init__(self, options: Options, spec: TableSpec) -> None:
        super().__init__()
        has_numbers = any(isinstance(c, Number) for c in spec.columns)
        self.whole = WholeNumbers(spec) if options.whole_numbers and has_numbers else None
        before = spec.shape[0] + (len(self.whole.alphas) if self.whole is not None else 0)
        widths = [before] + [options.width] * options.depth
        self.layers = nn.Sequential(*(m for a, b in pairwise(widths) for m in (nn.Linear(a, b), nn.LeakyReLU(0.2))))
        self.head = ProjectionHead(options.width, spec.class_count)

    def features(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """What the last hidden layer says of each row, `[batch, width]`."""
        del condition
        return self.layers(x if self.whole is None else torch.cat([x, self.whole(x)], dim=1))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.head(self.features(x), condition)


def build(options: Options, spec: SampleSpec) -> dict[str, nn.Module]:
    """Both networks; raises UsageError for samples that are no rows of a table."""
    spec = require(spec, TableSpec, "architecture 'mlp'")
    return {"generator": Generator(options, spec), "discriminator": Discriminator(options, spec)}
