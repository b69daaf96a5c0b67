"""The style-based networks of StyleGAN2 (Karras et al. 2020, arXiv 1912.04958 and 2006.06676), written from the papers' formulas.

A mapping network turns the latent into a style, which scales the channels of every convolution of the generator.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gan_image.nets.equalised import (
    GAIN,
    EqualConv2d,
    EqualLinear,
    Filter,
    MinibatchDeviation,
    StyledConv,
    ToImage,
    activate,
    normalise,
)
from gan_image.nets.sizes import channel_ladder, image_shape, plan
from gancore.data.spec import SampleSpec
from gancore.nets.conditioning import ClassEmbedding
from gancore.nets.layout import prefers_channels_last
from gancore.options import ArchitectureOptions, on_cpu
from gancore.random import Draws, mix


class Options(ArchitectureOptions):
    """Options of the style-based networks."""

    latent: int = Field(512, ge=1, le=4096, json_schema_extra=on_cpu(128), description="Length of the latent vector.")
    style: int = Field(
        512,
        ge=1,
        le=4096,
        json_schema_extra=on_cpu(128),
        description="Length of the style vector, and of class embeddings.",
    )
    mapping: int = Field(
        8, ge=1, le=32, json_schema_extra=on_cpu(2), description="Fully connected layers from the latent to the style."
    )
    mapping_rate: float = Field(
        0.01, ge=1e-4, le=1.0, description="Learning rate of these layers, as a share of that of all others."
    )
    width: int = Field(
        64,
        ge=4,
        le=1024,
        json_schema_extra=on_cpu(16),
        description="Channels at the image's resolution; each halving doubles them.",
    )
    max_width: int = Field(
        512, ge=4, le=4096, json_schema_extra=on_cpu(128), description="Most channels of any feature map."
    )
    start: Literal["constant", "style"] = Field(
        "constant",
        description="The smallest map before its convolution: a learnt constant as in the paper, or a linear function of the"
        " style, with which short trainings come further.",
    )
    noise: bool = Field(
        False,
        description="Noise of learnt strength at every convolution of the generator, as in the paper: in training each sample has its"
        " own, afterwards all have the same.",
    )
    mixing: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="In training, share of the samples whose finer layers have the style of another latent; the paper: 0.9.",
    )
    minibatch_deviation: int = Field(
        4,
        ge=1,
        le=256,
        description="Samples in the groups whose standard deviation the discriminator sees; 1: it judges each sample by itself.",
    )


def build(options: Options, spec: SampleSpec) -> dict[str, nn.Module]:
    """Generator and discriminator for images `[channels, height, width]`; conditional where `spec` has classes."""
    return {"generator": Generator(options, spec), "discriminator": Discriminator(options, spec)}


class Mapping(nn.Module):
    """Latent and class embedding, each normalised, to styles `[batch, style]`; without a latent, a class to its style."""

    def __init__(self, options: Options, latent: int, class_count: int) -> None:
        super().__init__()
        self.embedding = ClassEmbedding(class_count, options.style) if class_count else None
        start = latent + (options.style if class_count else 0)
        self.layers = nn.ModuleList(
            EqualLinear(options.style if i else start, options.style, gain=GAIN, rate=options.mapping_rate)
            for i in range(options.mapping)
        )

    def forward(self, z: Tensor | None, condition: Tensor | None) -> Tensor:
        parts = [] if z is None else [z]
        if self.embedding is not None:
            parts.append(self.embedding(condition))
        x = torch.cat([normalise(part) for part in parts], dim=1)
        for layer in self.layers:
            x = activate(layer(x))
        return x


class Block(nn.Module):
    """The layers of one resolution: from the map before, of half the size, to this one, and to what it adds to the image."""

    def __init__(self, before: int, after: int, channels: int, options: Options) -> None:
        super().__init__()
        style, noise = options.style, options.noise
        self.convs = nn.ModuleList()
        if before:
            self.convs.append(StyledConv(before, after, style, up=True, noise=noise))
        self.convs.append(StyledConv(after, after, style, up=False, noise=noise))
        self.to_image = ToImage(after, channels, style)


class Generator(nn.Module):
    """`z` `[batch, latent]` to images `[batch, channels, height, width]`.

    As in the paper the last layer is linear: values are meant for [-1, 1] and held there by the discriminator alone.
    `spec.harden` clamps what is left outside. Its codes are the styles of its layers.
    """

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        super().__init__()
        channels, height, width = image_shape(spec)
        halvings, base_height, base_width = plan(height, width)
        ladder = channel_ladder(options.width, options.max_width, halvings)
        self.latent_shape = (options.latent,)
        self.mixing = options.mixing
        self.noise = options.noise
        self.mapping = Mapping(options, options.latent, spec.class_count)
        self.base = (ladder[0], base_height, base_width)
        self.start = EqualLinear(options.style, math.prod(self.base)) if options.start == "style" else None
        self.constant = nn.Parameter(torch.randn(self.base)) if self.start is None else None
        self.blocks = nn.ModuleList(
            Block(ladder[i - 1] if i else 0, wide, channels, options) for i, wide in enumerate(ladder)
        )

    @property
    def layers(self) -> int:
        """How many styles a sample has: one for each convolution, and one for the last that makes the image."""
        return 2 * len(self.blocks)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        w = self.map(z, condition)
        if self.training and self.mixing:
            others = self.mapping(torch.randn_like(z), condition)
            chance, place = torch.rand(2, len(z), 1, device=z.device)
            # The first layer of another style; the last convolution always has it, where there is one.
            first = torch.where(chance < self.mixing, 1.0 + place * (self.layers - 2), float(self.layers)).floor()
            numbers = torch.arange(self.layers, device=z.device)
            w = torch.where((numbers < first)[..., None], w, others[:, None])
        return self._synthesise(w, _positions(z) if self.training else None)

    def map(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Styles `[batch, layers, style]` of latents `[batch, latent]`, at first the same for all layers."""
        return self.mapping(z, condition)[:, None].expand(-1, self.layers, -1)

    def synthesise(self, w: Tensor, condition: Tensor | None = None) -> Tensor:
        """Images `[batch, channels, height, width]` of styles `[batch, layers, style]`, which the class is already in."""
        del condition
        return self._synthesise(w, None)

    def first_weights(self) -> list[Tensor]:
        """What turns the style of each layer into the scales of its convolutions, `[outputs, style]`."""
        made: list[list[Tensor]] = [[] for _ in range(self.layers)]
        if self.start is not None:
            made[0].append(self.start.weight)
        number = 0
        for block in self.blocks:
            for conv in block.convs:  # type: ignore[union-attr]
                made[number].append(conv.conv.style.weight)
                number += 1
            made[number].append(block.to_image.style.weight)  # type: ignore[union-attr,arg-type]
        return [torch.cat(weights) for weights in made]

    def _synthesise(self, w: Tensor, positions: Tensor | None) -> Tensor:
        """The noise follows from `positions` `[batch]` of latents; without, all samples have the same, which stays on a walk."""
        noise = None
        if self.noise:
            noise = Draws(
                0, torch.zeros(len(w), dtype=torch.int64, device=w.device) if positions is None else positions
            )
        layout = torch.channels_last if prefers_channels_last(self) else torch.contiguous_format
        x = self.constant if self.start is None else self.start(w[:, 0]).view(-1, *self.base)
        assert x is not None
        x = x.expand(len(w), -1, -1, -1).contiguous(memory_format=layout)
        image: Tensor | None = None
        number = 0
        for block in self.blocks:
            for conv in block.convs:  # type: ignore[union-attr]
                x = conv(x, w[:, number], noise and noise.within(f"layer-{number}"))
                number += 1
            # As in the paper, the image takes the style of the layer that comes next.
            shown = block.to_image(x, w[:, number])  # type: ignore[operator]
            image = shown if image is None else shown + _double(image)
        assert image is not None
        return image


class Discriminator(nn.Module):
    """Images `[batch, channels, height, width]` to logits `[batch]`: residual blocks, then the deviation within the minibatch.

    With classes the logit is the product of a linear function of the features with the class's style.
    """

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        super().__init__()
        channels, height, width = image_shape(spec)
        halvings, base_height, base_width = plan(height, width)
        ladder = channel_ladder(options.width, options.max_width, halvings)[::-1]
        self.mixes_batch = options.minibatch_deviation > 1
        self.from_image = EqualConv2d(channels, ladder[0], 1, gain=GAIN)
        self.blocks = nn.Sequential(*(_DownBlock(ladder[i], ladder[i + 1]) for i in range(halvings)))
        wide = ladder[-1]
        self.deviation = MinibatchDeviation(options.minibatch_deviation) if self.mixes_batch else nn.Identity()
        self.last = EqualConv2d(wide + int(self.mixes_batch), wide, 3, gain=GAIN)
        self.dense = EqualLinear(wide * base_height * base_width, wide, gain=GAIN)
        self.classes = Mapping(options, 0, spec.class_count) if spec.class_count else None
        self.head = EqualLinear(wide, options.style if spec.class_count else 1)

    def features(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """What the logit is a linear function of, `[batch, features]`."""
        x = activate(self.last(self.deviation(self.blocks(activate(self.from_image(x))))))
        return activate(self.dense(x.permute(0, 2, 3, 1).flatten(1)))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        projected = self.head(self.features(x, condition))
        if self.classes is None:
            return projected.squeeze(1)
        return (projected * self.classes(None, condition)).sum(dim=1) / math.sqrt(projected.shape[1])


class _DownBlock(nn.Module):
    """Two convolutions, the second after halving, and the halved input added; the sum is scaled to the variance of one."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = EqualConv2d(before, before, 3, gain=GAIN)
        self.conv2 = EqualConv2d(before, after, 3)  # the gains sqrt(2) of the activation and sqrt(1/2) of the sum
        self.shortcut = EqualConv2d(before, after, 1, gain=math.sqrt(0.5), bias=False)
        self.halve = Filter(stride=2)

    def forward(self, x: Tensor) -> Tensor:
        y = activate(self.conv2(self.halve(activate(self.conv1(x)))))
        return y + self.shortcut(self.halve(x))


def _positions(z: Tensor) -> Tensor:
    """A number `[batch]` int64 for each latent `[batch, latent]`, by which random ones are drawn: a hash of its bits."""
    bits = z.detach().float().contiguous().view(torch.int32).long()
    return mix(bits + (torch.arange(z.shape[1], device=z.device) << 32)).sum(dim=1)


def _double(image: Tensor) -> Tensor:
    """Twice the size by the same filter, the image continued at its edges: bilinear interpolation."""
    return F.interpolate(image, scale_factor=2.0, mode="bilinear", align_corners=False)
