"""Residual networks after SNGAN (Miyato et al. 2018), SAGAN (Zhang et al. 2019) and BigGAN (Brock et al. 2019).

The discriminator has no normalisation of its own: give it spectral normalisation or a gradient penalty.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor, nn

from gan_image.nets.sizes import channel_ladder, image_shape, plan
from gancore.data.spec import SampleSpec
from gancore.errors import UsageError
from gancore.nets.attention import SelfAttention2d
from gancore.nets.conditioning import ClassEmbedding, ProjectionHead
from gancore.nets.norm import BatchNorm, ConditionalBatchNorm
from gancore.options import ArchitectureOptions, on_cpu

Init = Literal["xavier", "orthogonal"]


class Options(ArchitectureOptions):
    """Options of the residual networks."""

    latent: int = Field(128, ge=1, le=4096, description="Length of the latent vector.")
    width: int = Field(
        64,
        ge=4,
        le=1024,
        json_schema_extra=on_cpu(16),
        description="Channels at the image's resolution; each halving doubles them.",
    )
    max_width: int = Field(512, ge=4, le=4096, description="Most channels of any feature map.")
    blocks: int = Field(1, ge=1, le=8, description="Residual blocks at each resolution, the resampling one included.")
    attention: tuple[Annotated[int, Field(ge=1, le=1024)], ...] = Field(
        (),
        description="Heights of the feature maps that self-attention looks at in both networks, for example [32].",
    )
    embedding: int = Field(
        128, ge=1, le=4096, description="Length of the class embedding that all blocks of the generator share."
    )
    init: Init = Field("xavier", description="Initial weights: xavier as in SNGAN, orthogonal as in BigGAN.")

    @field_validator("attention", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int) and not isinstance(value, bool) else value


def build(options: Options, spec: SampleSpec) -> dict[str, nn.Module]:
    """Generator and discriminator for images `[channels, height, width]`; conditional where `spec` has classes.

    Raises `UsageError` for an image size that cannot be halved down, and for attention at a height that no map has.
    """
    _, height, width = image_shape(spec)
    halvings, base_height, _ = plan(height, width)
    heights = [base_height * 2**i for i in range(halvings)]
    if strange := [h for h in options.attention if h not in heights]:
        raise UsageError(
            f"attention was asked for at height {', '.join(map(str, strange))}, but images of {height}x{width} have "
            f"feature maps of height {', '.join(map(str, heights))}: choose among these"
        )
    return {"generator": Generator(options, spec), "discriminator": Discriminator(options, spec)}


class Generator(nn.Module):
    """`z` `[batch, latent]` to images `[batch, channels, height, width]` in [-1, 1].

    Classes enter through the conditional batch normalisation of every block, from one shared embedding.
    """

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        super().__init__()
        channels, height, width = image_shape(spec)
        halvings, base_height, base_width = plan(height, width)
        ladder = channel_ladder(options.width, options.max_width, halvings)
        classes = options.embedding if spec.class_count else 0
        self.latent_shape = (options.latent,)
        self.base = (ladder[0], base_height, base_width)
        self.embedding = ClassEmbedding(spec.class_count, options.embedding) if spec.class_count else None
        self.project = nn.Linear(options.latent, ladder[0] * base_height * base_width)
        _initialise(self.project, options.init)

        self.blocks = nn.ModuleList()
        for i in range(1, halvings + 1):
            if base_height * 2 ** (i - 1) in options.attention:
                self.blocks.append(_attention(ladder[i - 1], options.init))
            self.blocks.append(_UpBlock(ladder[i - 1], ladder[i], classes, options.init, resample=True))
            self.blocks.extend(
                _UpBlock(ladder[i], ladder[i], classes, options.init, resample=False) for _ in range(options.blocks - 1)
            )
        self.norm = BatchNorm(ladder[-1])
        self.to_image = _conv(ladder[-1], channels, 3, options.init)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        embedding = None if self.embedding is None else self.embedding(condition)
        x = self.project(z).view(-1, *self.base)
        for block in self.blocks:
            x = block(x, embedding) if isinstance(block, _UpBlock) else block(x)
        return self.to_image(self.norm(x).relu()).tanh()


class Discriminator(nn.Module):
    """Images `[batch, channels, height, width]` to logits `[batch]`, by class projection where there are classes."""

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        super().__init__()
        channels, height, width = image_shape(spec)
        halvings, _, _ = plan(height, width)
        ladder = channel_ladder(options.width, options.max_width, halvings)[::-1]
        layers: list[nn.Module] = [_conv(channels, ladder[0], 3, options.init)]
        for i in range(1, halvings + 1):
            wide = ladder[i]
            layers += [_DownBlock(ladder[i - 1], wide, options.init, resample=True)]
            layers += [_DownBlock(wide, wide, options.init, resample=False) for _ in range(options.blocks - 1)]
            if height // 2**i in options.attention:
                layers += [_attention(wide, options.init)]
        layers += [_DownBlock(ladder[-1], ladder[-1], options.init, resample=False), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        # The published networks sum over positions and rely on spectral normalisation for the logits' scale; without it
        # the sum would start them out in the tens.
        self.sum_positions = options.spectral_norm != "none"
        self.head = ProjectionHead(ladder[-1], spec.class_count)
        _initialise(self.head.linear, options.init)

    def features(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """What the logit is a linear function of: the smallest map, pooled over its positions, `[batch, features]`."""
        x = self.layers(x)
        return x.sum(dim=(2, 3)) if self.sum_positions else x.mean(dim=(2, 3))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.head(self.features(x, condition), condition)


class _UpBlock(nn.Module):
    """Normalise, rectify, double the size, convolve; twice, and the enlarged input added."""

    def __init__(self, before: int, after: int, embedding: int, init: Init, *, resample: bool) -> None:
        super().__init__()
        self.resample = resample
        self.norm1, self.norm2 = (
            ConditionalBatchNorm(c, embedding) if embedding else BatchNorm(c) for c in (before, after)
        )
        self.conv1 = _conv(before, after, 3, init, gain=math.sqrt(2.0))
        self.conv2 = _conv(after, after, 3, init, gain=math.sqrt(2.0))
        self.shortcut = _conv(before, after, 1, init) if before != after else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor | None) -> Tensor:
        extra = () if embedding is None else (embedding,)
        y = self.conv1(self._up(self.norm1(x, *extra).relu()))
        y = self.conv2(self.norm2(y, *extra).relu())
        # A 1x1 convolution and nearest-neighbour enlargement commute; the small map is the cheaper place.
        return y + self._up(self.shortcut(x))

    def _up(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2.0, mode="nearest") if self.resample else x


class _DownBlock(nn.Module):
    """Rectify, convolve; twice, then halve the size by averaging, and the input, halved too, added."""

    def __init__(self, before: int, after: int, init: Init, *, resample: bool) -> None:
        super().__init__()
        self.resample = resample
        self.conv1 = _conv(before, before, 3, init, gain=math.sqrt(2.0))
        self.conv2 = _conv(before, after, 3, init, gain=math.sqrt(2.0))
        self.shortcut = _conv(before, after, 1, init) if before != after else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x.relu()).relu())
        return self._down(y) + self.shortcut(self._down(x))

    def _down(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2) if self.resample else x


def _conv(before: int, after: int, kernel: int, init: Init, gain: float = 1.0) -> nn.Conv2d:
    conv = nn.Conv2d(before, after, kernel, padding=kernel // 2)
    _initialise(conv, init, gain)
    return conv


def _attention(channels: int, init: Init) -> SelfAttention2d:
    attention = SelfAttention2d(channels)
    for conv in (attention.query, attention.key, attention.value, attention.out):
        _initialise(conv, init)
    return attention


def _initialise(layer: nn.Conv2d | nn.Linear, init: Init, gain: float = 1.0) -> None:
    if init == "orthogonal":
        nn.init.orthogonal_(layer.weight, gain)
    else:
        nn.init.xavier_uniform_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
