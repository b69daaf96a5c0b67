"""Residual networks for spectrograms of any size, after SNGAN (Miyato et al. 2018) and SAGAN (Zhang et al. 2019).

Beside them the map next to the spectrogram is a strided step smaller, rows and frames may be halved differently often, and
every map knows its rows. The discriminator has no normalisation: give it spectral normalisation or a gradient penalty.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gan_audio.nets.frequency import Modulation, RowBias, SpectrogramOutput, pad_to
from gan_audio.nets.sizes import Plan, Stride, kernel_and_padding, plan, spectrogram_shape
from gan_audio.nets.specgan import Stem
from gancore.data.spec import SampleSpec
from gancore.nets.attention import SelfAttention2d
from gancore.nets.conditioning import ClassEmbedding, ProjectionHead
from gancore.options import ArchitectureOptions


class Options(ArchitectureOptions):
    """Options of the residual networks."""

    latent: int = Field(128, ge=1, le=4096, description="Length of the latent vector.")
    width: int = Field(
        16,
        ge=4,
        le=1024,
        description="Channels of the map next to the spectrogram; halving both sides doubles them. SNGAN: 64.",
    )
    max_width: int = Field(256, ge=4, le=4096, description="Most channels of any map. SNGAN: 1024.")
    stem: Stem = Field(
        4,
        description="How many times smaller than the spectrogram the map next to it is; with 16 one step does two halvings.",
    )
    blocks: int = Field(1, ge=1, le=8, description="Residual blocks at each resolution, the resampling one included.")
    attention: int = Field(
        0,
        ge=0,
        le=16_384,
        description="Self-attention in both networks on the largest map of at most this many positions; 0 for none. "
        "SAGAN: 1024, which is 32x32.",
    )
    rows: bool = Field(
        True, description="Give both networks a bias for each frequency row at every resolution, to tell pitches apart."
    )
    embedding: int = Field(
        128, ge=1, le=4096, description="Length of the class embedding that all blocks of the generator share."
    )


def build(options: Options, spec: SampleSpec) -> dict[str, nn.Module]:
    """Generator and discriminator for spectrograms `[channels, rows, frames]`; conditional where `spec` has classes.

    Raises `UsageError` for waveforms, and for more than 4096 rows or frames.
    """
    spectrogram_shape(spec, "resnet2d")
    return {"generator": Generator(options, spec), "discriminator": Discriminator(options, spec)}


class Generator(nn.Module):
    """`z` `[batch, latent]` to spectrograms `[batch, channels, rows, frames]` in [-1, 1].

    Classes enter through the conditional batch normalisation of every block, from one shared embedding.
    """

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        super().__init__()
        channels, height, length = spectrogram_shape(spec, "resnet2d")
        way = plan(height, length, options.stem)
        ladder = way.channels(options.width, options.max_width)
        sizes, looked_at = way.sizes(), attended(way, options.attention)
        inputs = options.embedding if spec.class_count else 0
        self.latent_shape = (options.latent,)
        self.base = (ladder[-1], *way.base)
        self.embedding = ClassEmbedding(spec.class_count, options.embedding) if spec.class_count else None
        self.project = nn.Linear(options.latent, math.prod(self.base))
        _initialise(self.project)

        self.blocks = nn.ModuleList()
        for i in range(len(ladder), 0, -1):
            before = ladder[min(i, len(ladder) - 1)]
            # A map's rows before and behind the block, and the stride between them: none at the smallest map.
            here, there = sizes[min(i + 1, len(ladder))][0], sizes[i][0]
            strides = [way.strides[i] if i < len(ladder) else (1, 1), *[(1, 1)] * (options.blocks - 1)]
            for n, stride in enumerate(strides):
                rows = (here if n == 0 else there, there) if options.rows else (0, 0)
                self.blocks.append(_UpBlock(before if n == 0 else ladder[i - 1], ladder[i - 1], stride, rows, inputs))
            if i == looked_at:
                self.blocks.append(_attention(ladder[i - 1]))
        self.norm = Modulation(ladder[0], rows=sizes[1][0] if options.rows else 0)
        kernel, padding = kernel_and_padding(way.strides[0])
        self.last = nn.ConvTranspose2d(ladder[0], channels, kernel, way.strides[0], padding, bias=False)
        nn.init.normal_(self.last.weight, std=0.02)
        self.output = SpectrogramOutput(spec)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        vector = None if self.embedding is None else self.embedding(condition)
        x = self.project(z).view(-1, *self.base)
        for block in self.blocks:
            x = block(x, vector) if isinstance(block, _UpBlock) else block(x)
        return self.output(self.last(self.norm(x, None).relu()))


class Discriminator(nn.Module):
    """Spectrograms `[batch, channels, rows, frames]` to logits `[batch]`, by class projection where there are classes."""

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        super().__init__()
        channels, height, length = spectrogram_shape(spec, "resnet2d")
        way = plan(height, length, options.stem)
        ladder = way.channels(options.width, options.max_width)
        sizes, looked_at = way.sizes(), attended(way, options.attention)
        self.padded = way.padded
        kernel, padding = kernel_and_padding(way.strides[0])
        stem = nn.Conv2d(channels, ladder[0], kernel, way.strides[0], padding)
        _initialise(stem)
        layers: list[nn.Module] = [stem]
        for i, wide in enumerate(ladder, start=1):
            if i > 1:
                layers.append(_DownBlock(ladder[i - 2], wide, way.strides[i - 1]))
            if options.rows:
                layers.append(RowBias(wide, sizes[i][0]))
            layers += [_DownBlock(wide, wide, (1, 1)) for _ in range(options.blocks - 1)]
            if i == looked_at:
                layers.append(_attention(wide))
        layers += [_DownBlock(ladder[-1], ladder[-1], (1, 1)), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        # The published networks sum over positions and rely on spectral normalisation for the logits' scale; without it
        # the sum would start them out in the tens.
        self.sum_positions = options.spectral_norm != "none"
        self.head = ProjectionHead(ladder[-1], spec.class_count)
        _initialise(self.head.linear)

    def features(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """What the logit is a linear function of: the smallest map, pooled over its positions, `[batch, features]`."""
        x = self.layers(pad_to(x, self.padded))
        return x.sum(dim=(2, 3)) if self.sum_positions else x.mean(dim=(2, 3))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.head(self.features(x, condition), condition)


def attended(way: Plan, most: int) -> int:
    """The number of the largest map behind the spectrogram of at most `most` positions; 0 where none is as small."""
    return next((i for i, size in enumerate(way.sizes()) if i and math.prod(size) <= most), 0)


class _UpBlock(nn.Module):
    """Normalise, rectify, enlarge, convolve; normalise, rectify, convolve; and the enlarged input added.

    `rows` are those of the map before and behind the block, zeros for no bias by row.
    """

    def __init__(self, before: int, after: int, stride: Stride, rows: tuple[int, int], inputs: int) -> None:
        super().__init__()
        self.stride = stride
        self.norm1 = Modulation(before, rows=rows[0], inputs=inputs)
        self.norm2 = Modulation(after, rows=rows[1], inputs=inputs)
        self.conv1 = _conv(before, after, 3, math.sqrt(2.0))
        self.conv2 = _conv(after, after, 3, math.sqrt(2.0))
        self.shortcut = _conv(before, after, 1) if before != after else nn.Identity()

    def forward(self, x: Tensor, vector: Tensor | None) -> Tensor:
        y = self.conv1(self._up(self.norm1(x, vector).relu()))
        y = self.conv2(self.norm2(y, vector).relu())
        # A 1x1 convolution and nearest-neighbour enlargement commute; the small map is the cheaper place.
        return y + self._up(self.shortcut(x))

    def _up(self, x: Tensor) -> Tensor:
        return x if self.stride == (1, 1) else F.interpolate(x, scale_factor=tuple(map(float, self.stride)))


class _DownBlock(nn.Module):
    """Rectify, convolve; twice, then shrink by averaging, and the input, shrunk too, added."""

    def __init__(self, before: int, after: int, stride: Stride) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = _conv(before, before, 3, math.sqrt(2.0))
        self.conv2 = _conv(before, after, 3, math.sqrt(2.0))
        self.shortcut = _conv(before, after, 1) if before != after else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x.relu()).relu())
        return self._down(y) + self.shortcut(self._down(x))

    def _down(self, x: Tensor) -> Tensor:
        return x if self.stride == (1, 1) else F.avg_pool2d(x, self.stride)


def _conv(before: int, after: int, kernel: int, gain: float = 1.0) -> nn.Conv2d:
    conv = nn.Conv2d(before, after, kernel, padding=kernel // 2)
    _initialise(conv, gain)
    return conv


def _attention(channels: int) -> SelfAttention2d:
    attention = SelfAttention2d(channels)
    for conv in (attention.query, attention.key, attention.value, attention.out):
        _initialise(conv)
    return attention


def _initialise(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> None:
    nn.init.xavier_uniform_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
