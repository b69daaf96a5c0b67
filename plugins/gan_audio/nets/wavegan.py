"""Strided one-dimensional convolutions on waveforms, after WaveGAN (Donahue et al. 2019).

The paper trains on 16384 samples at 16 kHz with a width of 64 and at most 1024 channels, WGAN-GP of weight 10, Adam with a
learning rate of 1e-4 and betas 0.5 and 0.9, 5 steps of the discriminator for each of the generator, and batches of 64.
The default width here is for a processor without a graphics card.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gan_audio.nets.frequency import Modulation, Norm
from gan_audio.nets.sizes import wave_plan, wave_shape
from gancore.data.spec import SampleSpec
from gancore.nets.conditioning import LatentWithClass, ProjectionHead
from gancore.options import ArchitectureOptions

STRIDE = 4


class Options(ArchitectureOptions):
    """Options of WaveGAN."""

    latent: int = Field(100, ge=1, le=4096, description="Length of the latent vector.")
    width: int = Field(
        16,
        ge=1,
        le=1024,
        description="Channels of the map next to the waveform; each step doubles them. The paper: 64.",
    )
    max_width: int = Field(256, ge=1, le=4096, description="Most channels of any map. The paper: 1024.")
    kernel: int = Field(25, ge=4, le=255, description="Length of the filters; each step is one of stride 4.")
    shuffle: int = Field(
        2,
        ge=0,
        le=16,
        description="Phase shuffle: each map of the discriminator is moved by at most this many places, at random for "
        "each sample, so that it cannot go by the phase of artefacts.",
    )
    norm: Norm = Field("none", description="Normalisation in the generator; the paper has none.")
    modulate: Literal["none", "class", "latent"] = Field(
        "class",
        description="What sets gains and biases behind each step of the generator: nothing, the class, or the class and "
        "the latent. The class joins the latent at the start in any case.",
    )
    leak: float = Field(0.2, ge=0.0, lt=1.0, description="Negative slope of the discriminator's leaky ReLU.")
    embedding: int = Field(32, ge=1, le=4096, description="Length of the class embedding.")


def build(options: Options, spec: SampleSpec) -> dict[str, nn.Module]:
    """Generator and discriminator for waveforms `[channels, length]`; conditional where `spec` has classes.

    Raises `UsageError` for spectrograms.
    """
    wave_shape(spec, "wavegan")
    return {"generator": Generator(options, spec), "discriminator": Discriminator(options, spec)}


class Generator(nn.Module):
    """`z` `[batch, latent]` to waveforms `[batch, channels, length]` in [-1, 1]; a longer one is cut at its end."""

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        super().__init__()
        channels, self.length = wave_shape(spec, "wavegan")
        steps, base = wave_plan(self.length)
        ladder = channel_ladder(options, steps)[::-1]
        self.latent_shape = (options.latent,)
        self.base = (ladder[0], base)
        self.latent = LatentWithClass(options.latent, spec.class_count, options.embedding)
        # The vector that modulates is the end of the one that the generator starts from: the class, or all of it.
        self.modulated_from = {"latent": 0, "class": options.latent, "none": self.latent.dim}[options.modulate]
        self.project = nn.Linear(self.latent.dim, ladder[0] * base)
        inputs = self.latent.dim - self.modulated_from
        self.modulations = nn.ModuleList(Modulation(wide, inputs=inputs, norm=options.norm) for wide in ladder)
        padding = _padding(options.kernel)
        self.steps = nn.ModuleList(
            nn.ConvTranspose1d(
                before, after, options.kernel, STRIDE, padding, output_padding=STRIDE + 2 * padding - options.kernel
            )
            for before, after in zip(ladder, [*ladder[1:], channels], strict=True)
        )
        _initialise(self, leak=0.0)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        start = self.latent(z, condition)
        vector = start[:, self.modulated_from :]
        x = self.project(start).view(-1, *self.base)
        for modulation, step in zip(self.modulations, self.steps, strict=True):
            x = step(modulation(x, vector).relu())
        return x[:, :, : self.length].tanh()


class Discriminator(nn.Module):
    """Waveforms `[batch, channels, length]` to logits `[batch]`, by class projection where there are classes."""

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        super().__init__()
        channels, self.length = wave_shape(spec, "wavegan")
        steps, base = wave_plan(self.length)
        ladder = channel_ladder(options, steps)
        self.padded = base * STRIDE**steps
        self.leak, self.shuffle = options.leak, options.shuffle
        self.steps = nn.ModuleList(
            nn.Conv1d(before, after, options.kernel, STRIDE, _padding(options.kernel))
            for before, after in zip([channels, *ladder[:-1]], ladder, strict=True)
        )
        self.head = ProjectionHead(ladder[-1] * base, spec.class_count)
        _initialise(self, leak=options.leak)
        nn.init.normal_(self.head.linear.weight, std=self.head.linear.in_features**-0.5)

    def features(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """What the logit is a linear function of: the smallest map, flattened, `[batch, features]`."""
        x = F.pad(x, (0, self.padded - self.length)) if self.padded > self.length else x
        shifts = None
        if self.shuffle and self.training and len(self.steps) > 1:
            # From torch's own generator, which the engine seeds for each step as it does for dropout. All of a sample's
            # shifts are drawn together, so that they are the same however many samples follow it.
            shape = (len(x), len(self.steps) - 1)
            shifts = torch.randint(-self.shuffle, self.shuffle + 1, shape, device=x.device)
        for i, step in enumerate(self.steps):
            x = F.leaky_relu(step(x), self.leak)
            if shifts is not None and i < shifts.shape[1]:
                x = shifted(x, shifts[:, i])
        return x.flatten(1)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.head(self.features(x, condition), condition)


def shifted(x: Tensor, shifts: Tensor) -> Tensor:
    """`x` `[batch, channels, length]` moved to the right by `shifts` `[batch]` int64, to the left where they are negative.

    What comes in is `x` reflected at its ends, without the end itself: 1 2 3 4 moved by 2 is 3 2 1 2. Longer shifts than
    there is to reflect repeat the far end.
    """
    last = x.shape[-1] - 1
    places = (torch.arange(last + 1, device=x.device) - shifts[:, None]).abs()
    places = (last - (last - places).abs()).clamp(min=0)
    return x.gather(2, places[:, None].expand(x.shape))


def channel_ladder(options: Options, steps: int) -> list[int]:
    """Channels of the maps from the one next to the waveform to the smallest."""
    return [min(options.width * 2**i, options.max_width) for i in range(steps)]


def _padding(kernel: int) -> int:
    """What makes a convolution of stride 4 divide the length by exactly four."""
    return (kernel - STRIDE + 1) // 2


def _initialise(network: nn.Module, leak: float) -> None:
    """Weights that keep the variance through (leaky) ReLU (He et al. 2015), biases zero; the last layer's a quarter of that."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv1d):
            fan = float(module.weight[0].numel())
        elif isinstance(module, nn.ConvTranspose1d):
            fan = module.weight[:, 0].numel() / STRIDE
        elif isinstance(module, nn.Linear) and name == "project":
            fan = module.in_features
        else:
            continue
        nn.init.normal_(module.weight, std=math.sqrt(2.0 / (1.0 + leak**2) / fan))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    if isinstance(network, Generator):
        # Waveforms are mostly near zero, where the hyperbolic tangent is linear.
        with torch.no_grad():
            for p in network.steps[-1].parameters():
                p.mul_(0.25)
