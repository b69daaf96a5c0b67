"""The generator of FastGAN (Liu et al. 2021) in its light form, with the discriminator of Projected GANs (Sauer et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gan_image.nets import dcgan, projected
from gan_image.nets.sizes import channel_ladder, image_shape, plan
from gancore.data.spec import SampleSpec
from gancore.nets.conditioning import LatentWithClass
from gancore.nets.norm import BatchNorm
from gancore.options import ArchitectureOptions, on_cpu

GAP = 4
"""Doublings between a map and the one that it excites: 4x4 scales the channels of 64x64."""
POOLED = 4


class Options(ArchitectureOptions):
    """Options of FastGAN's generator and of its discriminators."""

    spectral_norm: Literal["none", "discriminator", "both"] = Field(
        "both", description="Put spectral normalisation (Miyato et al. 2018) on every weight that these networks train."
    )
    latent: int = Field(256, ge=1, le=4096, description="Length of the latent vector, which is scaled to a sphere.")
    width: int = Field(
        64,
        ge=4,
        le=1024,
        json_schema_extra=on_cpu(16),
        description="Channels of the generator at the image's resolution; each halving doubles them.",
    )
    max_width: int = Field(512, ge=4, le=4096, description="Most channels of any feature map of the generator.")
    embedding: int = Field(64, ge=1, le=4096, description="Length of the class embedding that joins the latent vector.")
    discriminator: Literal["projected", "plain"] = Field(
        "projected",
        description="projected judges grey and colour images by features of lite0; plain is dcgan's, which sees any channels.",
    )
    discriminator_width: int = Field(
        64,
        ge=4,
        le=512,
        json_schema_extra=on_cpu(32),
        description="Channels of the discriminator's largest map; each smaller one has twice as many, at most eight times.",
    )
    feature_size: int = Field(
        224,
        ge=32,
        le=1024,
        json_schema_extra=on_cpu(64),
        description="Pixels that the shorter side is enlarged to for the projected discriminator; what is larger stays so, up to 224.",
    )

    @property
    def training_features(self) -> Mapping[str, Sequence[str]]:
        """What an evaluation leaves out, and what it takes instead."""
        return {projected.FEATURES: ("pixels", "lite2")} if self.discriminator == "projected" else {}


def build(options: Options, spec: SampleSpec) -> dict[str, nn.Module]:
    """Generator and discriminator for images `[channels, height, width]`; conditional where `spec` has classes."""
    generator, width = Generator(options, spec), options.discriminator_width
    if options.discriminator == "plain":
        discriminator: nn.Module = dcgan.Discriminator(dcgan.Options(width=width, max_width=8 * width), spec)
    else:
        discriminator = projected.Discriminator(width, options.feature_size, spec)
    return {"generator": generator, "discriminator": discriminator}


class Generator(nn.Module):
    """`z` `[batch, latent]` to images `[batch, channels, height, width]` in [-1, 1].

    The smallest maps scale the channels of those with sixteen times as many rows, or of the last where none has. With classes an
    embedding joins the latent.
    """

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        super().__init__()
        channels, height, width = image_shape(spec)
        halvings, base_height, base_width = plan(height, width)
        ladder = channel_ladder(options.width, options.max_width, halvings)
        self.latent_shape = (options.latent,)
        self.base = (2 * ladder[0], base_height, base_width)
        self.latent = LatentWithClass(options.latent, spec.class_count, options.embedding)
        self.project = nn.Linear(self.latent.dim, 2 * ladder[0] * base_height * base_width, bias=False)
        self.norm = BatchNorm(2 * ladder[0])
        self.blocks = nn.ModuleList(_Up(a, b) for a, b in pairwise(ladder))
        self.gap = min(GAP, halvings)
        self.skips = nn.ModuleList(Excitation(a, b) for a, b in zip(ladder, ladder[self.gap :], strict=False))
        self.to_image = nn.Conv2d(ladder[-1], channels, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.normal_(module.weight, std=0.02)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        z = z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)
        x = F.glu(self.norm(self.project(self.latent(z, condition)).view(-1, *self.base)), dim=1)
        maps = [x]
        for level, block in enumerate(self.blocks, 1):
            x = block(x)
            if level >= self.gap:
                x = self.skips[level - self.gap](maps[level - self.gap], x)
            maps.append(x)
        return self.to_image(x).tanh()


class Excitation(nn.Module):
    """Skip-layer excitation: the channels of a large map scaled by what a small one says, `x * F(small)` (Liu et al. 2021, eq. 2).

    `F` is the mean to 4x4, a 4x4 convolution, swish, a 1x1 convolution and the logistic function.
    """

    def __init__(self, small: int, large: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(small, large, POOLED, bias=False)
        self.excite = nn.Conv2d(large, large, 1, bias=False)

    def forward(self, small: Tensor, x: Tensor) -> Tensor:
        """`small` `[batch, small, *, *]` and `x` `[batch, large, height, width]` to the shape of `x`."""
        gain = self.excite(F.silu(self.squeeze(F.adaptive_avg_pool2d(small, POOLED))))
        return x * gain.sigmoid()


class _Up(nn.Module):
    """Double the size, convolve, normalise, and let one half of the channels gate the other."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, 2 * after, 3, padding=1, bias=False)
        self.norm = BatchNorm(2 * after)

    def forward(self, x: Tensor) -> Tensor:
        return F.glu(self.norm(self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))), dim=1)
