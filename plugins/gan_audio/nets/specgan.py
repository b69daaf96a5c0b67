"""Strided convolutions over spectrograms of any size, after SpecGAN (Donahue et al. 2019): the fastest, and the default.

SpecGAN is a DCGAN (Radford et al. 2016) of 128x128 with kernels of 5x5 and 64 to 1024 channels. Beyond it rows and frames
may be halved differently often, every map knows its rows, and classes reach every resolution of the generator.
"""

from __future__ import annotations

import math
from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gan_audio.nets.frequency import Modulation, Norm, RowBias, SpectrogramOutput, pad_to
from gan_audio.nets.sizes import Stride, kernel_and_padding, plan, spectrogram_shape
from gancore.data.spec import SampleSpec
from gancore.nets.conditioning import LatentWithClass, ProjectionHead
from gancore.nets.layout import prefers_channels_last
from gancore.options import ArchitectureOptions

Stem = Literal[4, 16]


class Options(ArchitectureOptions):
    """Options of SpecGAN."""

    latent: int = Field(100, ge=1, le=4096, description="Length of the latent vector.")
    width: int = Field(
        24,
        ge=4,
        le=1024,
        description="Channels of the map next to the spectrogram; halving both sides doubles them. The paper: 64.",
    )
    max_width: int = Field(256, ge=4, le=4096, description="Most channels of any map. The paper: 1024.")
    stem: Stem = Field(
        4,
        description="How many times smaller than the spectrogram the map next to it is; with 16 one step does two halvings.",
    )
    refine: int = Field(
        0, ge=0, le=4, description="3x3 convolutions more at each resolution but the spectrogram's; the paper has none."
    )
    norm: Norm = Field("batch", description="Normalisation in the generator; the discriminator has none.")
    modulate: Literal["none", "class", "latent"] = Field(
        "class",
        description="What sets gains and biases after each normalisation of the generator: nothing, the class, or the "
        "class and the latent. The class joins the latent at the start in any case.",
    )
    rows: bool = Field(
        True, description="Give both networks a bias for each frequency row at every resolution, to tell pitches apart."
    )
    leak: float = Field(0.2, ge=0.0, lt=1.0, description="Negative slope of the discriminator's leaky ReLU.")
    embedding: int = Field(32, ge=1, le=4096, description="Length of the class embedding.")


def build(options: Options, spec: SampleSpec) -> dict[str, nn.Module]:
    """Generator and discriminator for spectrograms `[channels, rows, frames]`; conditional where `spec` has classes.

    Raises `UsageError` for waveforms, and for more than 4096 rows or frames.
    """
    spectrogram_shape(spec, "specgan")
    return {"generator": Generator(options, spec), "discriminator": Discriminator(options, spec)}


class Generator(nn.Module):
    """`z` `[batch, latent]` to spectrograms `[batch, channels, rows, frames]` in [-1, 1].

    Steps go from the smallest map upwards: a transposed convolution, normalisation with gains and biases of the class, ReLU.
    """

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        super().__init__()
        channels, height, length = spectrogram_shape(spec, "specgan")
        way = plan(height, length, options.stem)
        ladder = way.channels(options.width, options.max_width)
        self.latent_shape = (options.latent,)
        self.base = (ladder[-1], *way.base)
        self.latent = LatentWithClass(options.latent, spec.class_count, options.embedding)
        # The vector that modulates is the end of the one that the generator starts from: the class, or all of it.
        self.modulated_from = {"latent": 0, "class": options.latent, "none": self.latent.dim}[options.modulate]
        self.project = nn.Linear(self.latent.dim, math.prod(self.base))

        inputs = self.latent.dim - self.modulated_from
        rows = [size[0] if options.rows else 0 for size in way.sizes()]
        self.first = Modulation(ladder[-1], rows=rows[-1], inputs=inputs, norm=options.norm)
        self.steps, self.modulations = nn.ModuleList(), nn.ModuleList()
        for i in range(len(ladder) - 1, 0, -1):
            wide, here = ladder[i - 1], rows[i]
            convolutions: list[nn.Module] = [_up(ladder[i], wide, way.strides[i])]
            convolutions += [nn.Conv2d(wide, wide, 3, 1, 1) for _ in range(options.refine)]
            for convolution in convolutions:
                self.steps.append(convolution)
                self.modulations.append(Modulation(wide, rows=here, inputs=inputs, norm=options.norm))
        self.last = _up(ladder[0], channels, way.strides[0])
        self.output = SpectrogramOutput(spec)
        _initialise(self, leak=0.0)
        nn.init.normal_(self.last.weight, std=0.02)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        start = self.latent(z, condition)
        vector = start[:, self.modulated_from :]
        channels, height, length = self.base
        x = self.project(start).view(-1, height, length, channels).permute(0, 3, 1, 2)
        x = self.first(x if prefers_channels_last(self) else x.contiguous(), vector).relu_()
        for step, modulation in zip(self.steps, self.modulations, strict=True):
            x = modulation(step(x), vector).relu_()
        return self.output(self.last(x))


class Discriminator(nn.Module):
    """Spectrograms `[batch, channels, rows, frames]` to logits `[batch]`, by class projection where there are classes."""

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        super().__init__()
        channels, height, length = spectrogram_shape(spec, "specgan")
        way = plan(height, length, options.stem)
        ladder = way.channels(options.width, options.max_width)
        self.padded = way.padded
        self.leak = options.leak
        self.layers = nn.ModuleList()
        for i, (wide, (rows, _)) in enumerate(zip(ladder, way.sizes()[1:], strict=True)):
            convolutions = [_down(ladder[i - 1] if i else channels, wide, way.strides[i], biased=not options.rows)]
            convolutions += [nn.Conv2d(wide, wide, 3, 1, 1, bias=not options.rows) for _ in range(options.refine)]
            for convolution in convolutions:
                bias = RowBias(wide, rows) if options.rows else nn.Identity()
                self.layers.append(nn.Sequential(convolution, bias))
        self.head = ProjectionHead(ladder[-1] * math.prod(way.base), spec.class_count)
        _initialise(self, leak=options.leak)
        nn.init.normal_(self.head.linear.weight, std=self.head.linear.in_features**-0.5)

    def features(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """What the logit is a linear function of: the smallest map, flattened, `[batch, features]`."""
        x = pad_to(x, self.padded)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), self.leak)
        # Channels innermost, so that nothing is rearranged, forward or backward, where the layout is channels_last.
        return x.permute(0, 2, 3, 1).flatten(1)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.head(self.features(x, condition), condition)


def _up(before: int, after: int, stride: Stride) -> nn.ConvTranspose2d:
    kernel, padding = kernel_and_padding(stride)
    return nn.ConvTranspose2d(before, after, kernel, stride, padding)


def _down(before: int, after: int, stride: Stride, *, biased: bool) -> nn.Conv2d:
    kernel, padding = kernel_and_padding(stride)
    return nn.Conv2d(before, after, kernel, stride, padding, bias=biased)


def _initialise(network: nn.Module, leak: float) -> None:
    """Weights that keep the variance through (leaky) ReLU (He et al. 2015): narrow networks would fade with DCGAN's 0.02."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            fan = module.weight[0].numel()
        elif isinstance(module, nn.ConvTranspose2d):
            fan = module.weight[:, 0].numel() // math.prod(module.stride)
        elif isinstance(module, nn.Linear) and name == "project":
            fan = module.in_features
        else:
            continue
        nn.init.normal_(module.weight, std=math.sqrt(2.0 / (1.0 + leak**2) / fan))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
