"""The normalisation-free networks of R3GAN (Huang et al. 2024, arXiv 2501.05441).

They are made for the relativistic pairing loss with R1 and R2 penalties.
"""

from __future__ import annotations

import math
from typing import TypeVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gan_image.nets.sizes import channel_ladder, image_shape, plan
from gancore.data.spec import SampleSpec
from gancore.nets.conditioning import ClassEmbedding, LatentWithClass
from gancore.options import ArchitectureOptions, on_cpu

L = TypeVar("L", nn.Conv2d, nn.Linear)

LEAK = 0.2
RELU_GAIN = math.sqrt(2.0 / (1.0 + LEAK**2))
"""What keeps the variance through a leaky ReLU (He et al. 2015)."""


class Options(ArchitectureOptions):
    """Options of R3GAN's networks."""

    latent: int = Field(64, ge=1, le=4096, description="Length of the latent vector.")
    width: int = Field(
        64,
        ge=4,
        le=2048,
        json_schema_extra=on_cpu(8),
        description="Channels at the image's resolution; each halving doubles them.",
    )
    max_width: int = Field(512, ge=4, le=4096, description="Most channels of any feature map; the paper: 768 or 1536.")
    blocks: int = Field(2, ge=1, le=16, description="Residual blocks at each resolution.")
    expansion: int = Field(2, ge=1, le=8, description="How many times wider a block is inside than outside.")
    group_width: int = Field(
        16,
        ge=1,
        le=4096,
        description="Channels in each group of the 3x3 convolutions, at least; a large number makes them dense.",
    )
    embedding: int = Field(64, ge=1, le=4096, description="Length of the class embeddings of both networks.")


def build(options: Options, spec: SampleSpec) -> dict[str, nn.Module]:
    """Generator and discriminator for images `[channels, height, width]`; conditional where `spec` has classes."""
    return {"generator": Generator(options, spec), "discriminator": Discriminator(options, spec)}


class Generator(nn.Module):
    """`z` `[batch, latent]` to images `[batch, channels, height, width]`; the class embedding joins the latent.

    As in the paper the last layer is linear: values are meant for [-1, 1] and held there by the discriminator alone.
    `spec.harden` clamps what is left outside.
    """

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        super().__init__()
        channels, height, width = image_shape(spec)
        halvings, base_height, base_width = plan(height, width)
        ladder = channel_ladder(options.width, options.max_width, halvings)
        zero_last = options.spectral_norm != "both"
        self.latent_shape = (options.latent,)
        self.latent = LatentWithClass(options.latent, spec.class_count, options.embedding)
        if self.latent.embedding is not None:
            nn.init.normal_(self.latent.embedding.weight, std=spec.class_count**-0.5)
        self.basis = nn.Parameter(torch.randn(ladder[0], base_height, base_width))
        self.modulate = _scaled(nn.Linear(self.latent.dim, ladder[0], bias=False))

        layers: list[nn.Module] = []
        for i, wide in enumerate(ladder):
            if i:
                layers += [*_change(ladder[i - 1], wide), _Upsample()]
            layers += _stage(wide, options, len(ladder), zero_last)
        layers += [_scaled(nn.Conv2d(ladder[-1], channels, 1, bias=False))]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.layers(self.basis * self.modulate(self.latent(z, condition))[:, :, None, None])


class Discriminator(nn.Module):
    """Images `[batch, channels, height, width]` to logits `[batch]`.

    With classes the logit is the product of a linear function of the features with the class's embedding.
    """

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        super().__init__()
        channels, height, width = image_shape(spec)
        halvings, base_height, base_width = plan(height, width)
        ladder = channel_ladder(options.width, options.max_width, halvings)[::-1]
        zero_last = options.spectral_norm == "none"
        layers: list[nn.Module] = [_scaled(nn.Conv2d(channels, ladder[0], 1, bias=False))]
        for i, wide in enumerate(ladder):
            if i:
                layers += [_Downsample(), *_change(ladder[i - 1], wide)]
            layers += _stage(wide, options, len(ladder), zero_last)
        layers += [_scaled(nn.Conv2d(wide, wide, (base_height, base_width), groups=wide, bias=False)), nn.Flatten()]
        self.layers = nn.Sequential(*layers)

        self.classes = ClassEmbedding(spec.class_count, options.embedding) if spec.class_count else None
        self.head = _scaled(nn.Linear(wide, options.embedding if spec.class_count else 1, bias=False))
        if self.classes is not None:
            nn.init.normal_(self.classes.weight, std=(spec.class_count * options.embedding) ** -0.5)

    def features(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """What the logit is a linear function of: a number for each channel, `[batch, features]`."""
        return self.layers(x)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        projected = self.head(self.features(x, condition))
        if self.classes is None:
            return projected.squeeze(1)
        return (projected * self.classes(condition)).sum(dim=1)


class _Block(nn.Module):
    """1x1 up to the inner width, grouped 3x3, 1x1 back, leaky ReLUs with bias between them, and the input added.

    The biases of the activations are those of the first two convolutions here. Initialised after Fixup (Zhang et al.
    2019): the last convolution is zero, the others are scaled by `blocks ** (-1 / (2 m - 2))` for m = 3 layers.
    """

    def __init__(self, channels: int, options: Options, blocks: int, zero_last: bool) -> None:
        super().__init__()
        inner = channels * options.expansion
        gain = RELU_GAIN * blocks ** (-1.0 / 4.0)
        self.expand = _scaled(nn.Conv2d(channels, inner, 1), gain)
        self.mix = _scaled(nn.Conv2d(inner, inner, 3, padding=1, groups=groups(inner, options.group_width)), gain)
        # Spectral normalisation would divide zero by zero, and undoes any other scale.
        self.reduce = _scaled(nn.Conv2d(inner, channels, 1, bias=False), 0.0 if zero_last else gain)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.expand(x), LEAK)
        y = F.leaky_relu(self.mix(y), LEAK)
        return x + self.reduce(y)


class _Upsample(nn.Module):
    """Twice the size by bilinear interpolation: the filter [1, 3, 3, 1], which is [1, 2, 1] after doubling."""

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class _Downsample(nn.Module):
    """Half the size by the filter [1, 3, 3, 1] in both directions, the image continued at its edges."""

    def forward(self, x: Tensor) -> Tensor:
        return _halve(_halve(x, 2), 3)


def _halve(x: Tensor, dim: int) -> Tensor:
    even, odd = x.unflatten(dim, (-1, 2)).unbind(dim + 1)
    size = even.shape[dim]
    left = torch.cat([even.narrow(dim, 0, 1), odd.narrow(dim, 0, size - 1)], dim)
    right = torch.cat([even.narrow(dim, 1, size - 1), odd.narrow(dim, size - 1, 1)], dim)
    return ((even + odd) * 3.0 + (left + right)) * 0.125


def groups(channels: int, group_width: int) -> int:
    """The most equal groups of `channels` with at least `group_width` channels each; 1 where there are none."""
    return max((g for g in range(1, channels // group_width + 1) if channels % g == 0), default=1)


def _stage(channels: int, options: Options, stages: int, zero_last: bool) -> list[nn.Module]:
    return [_Block(channels, options, stages * options.blocks, zero_last) for _ in range(options.blocks)]


def _change(before: int, after: int) -> list[nn.Module]:
    """A 1x1 convolution where the number of channels changes."""
    return [] if before == after else [_scaled(nn.Conv2d(before, after, 1, bias=False))]


def _scaled(layer: L, gain: float = 1.0) -> L:
    """Weights N(0, gain^2 / fan_in), as in He et al. 2015; biases zero."""
    nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
