"""Small generators with every kind of latent, and what they make of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gancore.components import Prior
from gancore.data.spec import SampleSpec
from gancore.latent.curves import Predictor
from gancore.nets.conditioning import ClassEmbedding, LatentWithClass
from gancore.random import Draws

SPEC = SampleSpec(shape=(3,), dtype="float32", value_range=(-100.0, 100.0))
CLASSED = SPEC.model_copy(update={"classes": ("kick", "snare", "hat")})


class Plain(nn.Module):
    """A normal latent of 4 numbers, and classes."""

    def __init__(self, classes: int = 0) -> None:
        super().__init__()
        self.latent_shape = (4,)
        self.latent = LatentWithClass(4, classes, 2)
        self.linear = nn.Linear(self.latent.dim, 3)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.linear(self.latent(z, condition))


class Mapped(nn.Module):
    """Codes of three layers."""

    def __init__(self, classes: int = 0) -> None:
        super().__init__()
        self.latent_shape = (4,)
        self.embedding = ClassEmbedding(classes, 4) if classes else None
        self.linear = nn.Linear(4, 5)
        self.layers = nn.Parameter(torch.randn(3, 5, 3))

    def map(self, z: Tensor, condition: Tensor | None) -> Tensor:
        start = z if self.embedding is None else z + self.embedding(condition)
        return self.linear(start).relu()[:, None].expand(-1, 3, -1)

    def synthesise(self, w: Tensor, condition: Tensor | None) -> Tensor:
        return torch.einsum("nls,lsd->nd", w, self.layers)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.synthesise(self.map(z, condition), condition)


class Noisy(nn.Module):
    """Two numbers that can be moved and one that cannot."""

    latent_shape = (3,)
    prior = Prior(smooth=2)

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        return z.clone()


class Integers(Plain):
    """Latents that are random integers, and not a word about them."""

    def draw_latent(self, draws: Draws) -> Tensor:
        return draws.integers("z", 100, 4)


class Bits(Integers):
    """Latents that are random integers, and a word about them."""

    prior = Prior(kind="none", instead="the prompt")

    def draw_latent(self, draws: Draws) -> Tensor:
        return draws.integers("z", 100, 3)


class Uniform(Plain):
    """Latents that it draws itself, and of which it says nothing more."""

    def draw_latent(self, draws: Draws) -> Tensor:
        return draws.uniform("z", 4)


def predictor(k: int, classes: int, *, layers: int = 2, size: int = 2, scale: float = 1.0) -> Predictor:
    """Random weights for two attributes; what the hidden layers of four units add is multiplied by `scale`."""
    draws = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draws)

    basis = 0.5 * torch.linalg.qr(random(layers * size, k))[0].T.reshape(k, layers, size)
    return Predictor(
        linear=random(2, k + classes), first=random(2, 4, k + classes), first_bias=random(2, 4), second=random(2, 4, 4),
        second_bias=random(2, 4), last=scale * random(2, 4), bias=random(2), basis=basis,
        coordinates=torch.linalg.pinv(basis.flatten(1)).T.contiguous(),
    )  # fmt: skip
