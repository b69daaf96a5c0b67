"""From image to image: a U-Net (Ronneberger et al. 2015) and a discriminator of patches, as in pix2pix (Isola et al. 2017)."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gan_image.nets.sizes import channel_ladder, plan
from gan_image.pairs.spec import PairSpec
from gancore.data.spec import SampleSpec, require
from gancore.nets.conditioning import ClassEmbedding, LatentWithClass
from gancore.nets.norm import BatchNorm
from gancore.nets.translating import PatchDiscriminator
from gancore.nets.upsampling import Upsampling
from gancore.options import ArchitectureOptions, on_cpu

LEAK = 0.2


class Options(ArchitectureOptions):
    """Options of the U-Net and of its discriminator."""

    latent: int = Field(
        16, ge=1, le=4096, description="Length of the latent vector, which joins the smallest map; the paper has none."
    )
    width: int = Field(
        64,
        ge=4,
        le=1024,
        json_schema_extra=on_cpu(32),
        description="Channels of the largest map; each halving doubles them.",
    )
    max_width: int = Field(512, ge=4, le=4096, description="Most channels of any map.")
    embedding: int = Field(32, ge=1, le=4096, description="Length of the class embedding that joins the latent vector.")
    discriminator_width: int = Field(
        64, ge=4, le=1024, json_schema_extra=on_cpu(32), description="Channels of the discriminator's largest map."
    )
    patches: int = Field(
        3,
        ge=1,
        le=6,
        description="How often the discriminator halves an image, at most: with 3, the paper's, it judges patches of some 70 pixels.",
    )
    scales: int = Field(
        1, ge=1, le=3, description="Discriminators, each of which sees images half as large as the one before."
    )
    discriminator_norm: Literal["none", "instance"] = Field(
        "instance", description="Normalisation in the discriminator, of each image by itself."
    )


def build(options: Options, spec: SampleSpec) -> dict[str, nn.Module]:
    """Generator and discriminator for pairs of images; conditional where `spec` has classes. UsageError for other samples."""
    pairs = require(spec, PairSpec, "architecture 'unet'")
    discriminator = PatchDiscriminator(
        pairs.shape, pairs.class_count, width=options.discriminator_width, patches=options.patches, scales=options.scales,
        norm=options.discriminator_norm == "instance",
    )  # fmt: skip
    return {"generator": Generator(options, pairs), "discriminator": discriminator}


def _block(before: int, after: int) -> nn.Sequential:
    """Half as large."""
    return nn.Sequential(nn.LeakyReLU(LEAK), nn.Conv2d(before, after, 4, 2, 1, bias=False), BatchNorm(after))


class Generator(nn.Module):
    """`z` `[batch, latent]` and sources `[batch, source_channels, height, width]` to pairs, the sources in them as they are.

    Maps on the way down join those of their size on the way up.
    """

    takes_given = True

    def __init__(self, options: Options, spec: PairSpec) -> None:
        super().__init__()
        channels, height, width = spec.target.shape
        halvings, *_ = plan(height, width)
        ladder = channel_ladder(options.width, options.max_width, halvings)[::-1]
        self.latent_shape = (options.latent,)
        self.latent = LatentWithClass(options.latent, spec.class_count, options.embedding)
        self.begin = nn.Conv2d(spec.source_channels, ladder[0], 3, 1, 1)
        self.down = nn.ModuleList(_block(a, b) for a, b in pairwise(ladder))
        self.join = nn.Linear(self.latent.dim, ladder[-1])
        self.up = nn.ModuleList()
        self.norms = nn.ModuleList()
        before = ladder[-1]
        for wide in ladder[-2::-1]:
            self.up.append(Upsampling(before, wide, bias=False))
            self.norms.append(BatchNorm(wide))
            before = 2 * wide
        self.end = nn.Conv2d(before, channels, 3, 1, 1)
        _initialise(self)

    def forward(self, z: Tensor, condition: Tensor | None, given: Tensor) -> Tensor:
        """Relaxed pairs `[batch, channels, height, width]`."""
        maps = [self.begin(given)]
        for down in self.down:
            maps.append(down(maps[-1]))
        x = maps.pop() + self.join(self.latent(z, condition))[:, :, None, None]
        for up, norm in zip(self.up, self.norms, strict=True):
            x = torch.cat([norm(up(F.relu(x))), maps.pop()], dim=1)
        return torch.cat([given, self.end(F.relu(x)).tanh().to(given.dtype)], dim=1)


def _initialise(network: nn.Module) -> None:
    """Weights N(0, 0.02) (of `Upsampling` 0.04), gains of the normalisation N(1, 0.02), biases zero, as in the paper's code."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, std=0.04 if isinstance(module, Upsampling) else 0.02)
        elif isinstance(module, BatchNorm):
            nn.init.normal_(module.weight, mean=1.0, std=0.02)
        elif isinstance(module, ClassEmbedding):
            nn.init.normal_(module.weight, std=0.02)
            continue
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
