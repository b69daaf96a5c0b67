"""HiFi-GAN (Kong, Kim & Bae 2020): mel spectrograms to waveforms, judged at several periods and at several scales.

Both networks are fully convolutional, so one that was trained on short clips takes sounds of any length. The generator is given
the log-mel of a sound and nothing is left to chance: its latent is one number that it does not look at.

Of a spectrogram that does not change it therefore makes something that repeats itself every `hop` samples. Speech and whatever
else moves is what it is good at; a tone that stands still comes out at a multiple of sample_rate / hop Hz, if at all.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from gan_audio.spec import AudioSpec
from gancore.components import Prior
from gancore.data.spec import SampleSpec
from gancore.errors import UsageError
from gancore.options import ArchitectureOptions

LEAK = 0.1
MOST_AT_ONCE = 8
"""The largest factor of one transposed convolution, where the hop allows it."""
EDGE = 7
"""Samples or frames that the first and the last convolution of the generator look at."""


class Options(ArchitectureOptions):
    """Options of HiFi-GAN. Its version 1 is width=512, kernels=3,7,11, dilations=1,3,5, paired=true, discriminator_width=32."""

    width: int = Field(
        64, ge=4, le=2048, description="Channels of the generator before the first transposed convolution."
    )
    least: int = Field(8, ge=1, le=512, description="Fewest channels; each transposed convolution halves them.")
    kernels: tuple[Annotated[int, Field(ge=1, le=63)], ...] = Field(
        (3, 7),
        min_length=1,
        max_length=8,
        description="Widths of the kernels whose branches are added up after each transposed convolution; odd.",
    )
    dilations: tuple[Annotated[int, Field(ge=1, le=256)], ...] = Field(
        (1, 3, 5), min_length=1, max_length=8, description="Dilations of the convolutions of each branch, in order."
    )
    paired: bool = Field(
        False, description="Follow each dilated convolution with one that is not, as in versions 1 and 2 of the paper."
    )
    discriminator_width: int = Field(
        4,
        ge=1,
        le=128,
        description="Channels of the first layer of the discriminators; the others have up to 32 times as many.",
    )
    periods: tuple[Annotated[int, Field(ge=1, le=256)], ...] = Field(
        (2, 3, 5, 7, 11), max_length=16, description="Periods at which one discriminator each looks; none for none."
    )
    scales: int = Field(
        3, ge=0, le=6, description="Discriminators of the sound itself and of halves, quarters ... of its sample rate."
    )
    weight_norm: bool = Field(
        True,
        description="Learn length and direction of each kernel apart (Salimans & Kingma 2016); spectral_norm replaces it.",
    )

    @model_validator(mode="after")
    def _check_hifigan(self) -> Options:
        if even := [k for k in self.kernels if k % 2 == 0]:
            raise ValueError(f"kernels must be odd, not {even[0]}")
        if len(set(self.periods)) != len(self.periods):
            raise ValueError("periods must differ from one another")
        if not self.periods and not self.scales:
            raise ValueError("there must be a period or a scale, or there is no discriminator")
        return self


def build(options: Options, spec: SampleSpec) -> dict[str, nn.Module]:
    """Generator and discriminator for waveforms that are made of their mel spectrograms. UsageError for other samples."""
    if not isinstance(spec, AudioSpec) or spec.given != "mel":
        raise UsageError(
            "architecture 'hifigan' makes waveforms of the mel spectrograms that it is given, and is given none of these "
            "data; say data.representation=waveform data.given=mel, or choose another architecture"
        )
    if spec.classes:
        raise UsageError(
            f"architecture 'hifigan' hears a spectrogram and knows no classes, and these data have {spec.class_count}; "
            "leave their labels out, or choose another architecture"
        )
    return {"generator": Generator(options, spec), "discriminator": Discriminator(options, spec)}


def upsampling(hop: int) -> tuple[int, ...]:
    """Factors of the transposed convolutions, largest first: their product is `hop`, none above 8 but primes that are."""
    factors = []
    while hop > 1:
        small = [n for n in range(2, MOST_AT_ONCE + 1) if hop % n == 0]
        factor = small[-1] if small else next(n for n in range(MOST_AT_ONCE + 1, hop + 1) if hop % n == 0)
        factors.append(factor)
        hop //= factor
    return tuple(sorted(factors, reverse=True))


def _normed(layer: nn.Module, wanted: bool) -> nn.Module:
    return weight_norm(layer) if wanted else layer


# --- generator ------------------------------------------------------------------------------------------------------


class Branch(nn.Module):
    """Residual convolutions of one kernel and growing dilation, `[batch, channels, time]` to the same."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int], paired: bool, normed: bool) -> None:
        super().__init__()

        def convolution(dilation: int) -> nn.Module:
            layer = nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=dilation * (kernel - 1) // 2)
            return _normed(layer, normed)

        self.dilated = nn.ModuleList([convolution(d) for d in dilations])
        self.plain = nn.ModuleList([convolution(1) for _ in dilations] if paired else [])
        self.reach = sum((d + paired) * (kernel - 1) // 2 for d in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for number, dilated in enumerate(self.dilated):
            y = dilated(F.leaky_relu(x, LEAK))
            if self.plain:
                y = self.plain[number](F.leaky_relu(y, LEAK))
            x = x + y
        return x


class Generator(nn.Module):
    """Log-mels `[batch, mels, frames]` to waveforms `[batch, 1, frames * hop]` in [-1, 1], for any number of frames.

    What it makes within `context` frames of a border depends on what lies beyond.
    """

    takes_given = True
    latent_shape = (1,)
    prior = Prior(kind="none", instead="the spectrogram that it is given")

    def __init__(self, options: Options, spec: AudioSpec) -> None:
        super().__init__()
        normed = options.weight_norm and options.spectral_norm != "both"
        factors = upsampling(spec.hop)
        ladder = [max(options.least, options.width >> stage) for stage in range(len(factors) + 1)]
        self.first = _normed(nn.Conv1d(spec.mels, ladder[0], EDGE, padding=EDGE // 2), normed)
        self.raises = nn.ModuleList()
        self.fusions = nn.ModuleList()
        for factor, before, after in zip(factors, ladder, ladder[1:], strict=False):
            # A kernel of an even number more than the factor is cut evenly to `factor` samples for one.
            kernel = 2 * factor + factor % 2
            up = nn.ConvTranspose1d(before, after, kernel, factor, padding=(kernel - factor) // 2)
            self.raises.append(_normed(up, normed))
            branches = [Branch(after, k, options.dilations, options.paired, normed) for k in options.kernels]
            self.fusions.append(nn.ModuleList(branches))
        self.last = _normed(nn.Conv1d(ladder[-1], 1, EDGE, padding=EDGE // 2), normed)
        self.context = self._context(factors)

    def _context(self, factors: Sequence[int]) -> int:
        """Frames on either side that a sample may depend on, at most."""
        reach = EDGE // 2
        for factor, fusion in zip(reversed(factors), reversed(self.fusions), strict=True):
            assert isinstance(fusion, nn.ModuleList)
            reach += max(branch.reach for branch in fusion if isinstance(branch, Branch))
            reach = -(-reach // factor) + 2  # a kernel of two factors reaches one further, and the cut one more
        return reach + EDGE // 2

    def forward(self, z: Tensor, condition: Tensor | None, given: Tensor) -> Tensor:
        """`given` `[batch, mels, frames]` in [-1, 1]; `z` and `condition` are not looked at."""
        del z, condition
        x = self.first(given)
        for up, fusion in zip(self.raises, self.fusions, strict=True):
            assert isinstance(fusion, nn.ModuleList)
            x = up(F.leaky_relu(x, LEAK))
            x = sum((branch(x) for branch in fusion), torch.zeros_like(x)) / len(fusion)
        made: Tensor = self.last(F.leaky_relu(x, LEAK)).tanh()
        return made


# --- discriminators -------------------------------------------------------------------------------------------------


class SubDiscriminator(nn.Module):
    """Convolutions one after another; what comes out of the last is a logit for each place in time."""

    def __init__(self, layers: Sequence[nn.Module], normed: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList([_normed(layer, normed) for layer in layers])

    def view(self, x: Tensor) -> Tensor:
        """Waveforms `[batch, 1, length]` as this one looks at them."""
        raise NotImplementedError

    def activations(self, x: Tensor) -> tuple[Tensor, ...]:
        """What comes out of each layer, in order."""
        x = self.view(x)
        seen = []
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number + 1 < len(self.layers):
                x = F.leaky_relu(x, LEAK)
            seen.append(x)
        return tuple(seen)


class PeriodDiscriminator(SubDiscriminator):
    """Every `period`-th sample beside the next ones: `[batch, 1, length]` as `[batch, 1, length / period, period]`."""

    def __init__(self, period: int, width: int, normed: bool) -> None:
        ladder = [1, *(width * n for n in (1, 4, 16, 32))]
        steps = [nn.Conv2d(i, o, (5, 1), (3, 1), (2, 0)) for i, o in itertools.pairwise(ladder)]
        widest = ladder[-1]
        end = [nn.Conv2d(widest, widest, (5, 1), 1, (2, 0)), nn.Conv2d(widest, 1, (3, 1), 1, (1, 0))]
        super().__init__([*steps, *end], normed)
        self.period = period

    def view(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0, -x.shape[-1] % self.period), mode="reflect")
        return x.unflatten(-1, (-1, self.period))


class ScaleDiscriminator(SubDiscriminator):
    """The sound at one `2 ** scale`-th of its sample rate, by averages."""

    def __init__(self, scale: int, width: int, normed: bool) -> None:
        # Channels, kernel, stride and groups of the paper, where `width` is 32.
        plan = [
            (4, 15, 1, 1),
            (4, 41, 2, 4),
            (8, 41, 2, 16),
            (16, 41, 4, 16),
            (32, 41, 4, 16),
            (32, 41, 1, 16),
            (32, 5, 1, 1),
        ]
        layers, before = [], 1
        for times, kernel, stride, groups in plan:
            channels = width * times
            shared = min(groups, 4 * width)
            while before % shared or channels % shared:
                shared -= 1
            layers.append(nn.Conv1d(before, channels, kernel, stride, kernel // 2, groups=shared))
            before = channels
        super().__init__([*layers, nn.Conv1d(before, 1, 3, 1, 1)], normed)
        self.scale = scale

    def view(self, x: Tensor) -> Tensor:
        for _ in range(self.scale):
            x = F.avg_pool1d(x, 4, 2, 2)
        return x


class Discriminator(nn.Module):
    """All discriminators of waveforms `[batch, 1, length]`: those of periods, then those of scales, each a head."""

    def __init__(self, options: Options, spec: AudioSpec) -> None:
        super().__init__()
        normed = options.weight_norm and options.spectral_norm == "none"
        if options.periods and max(options.periods) > spec.length // 2:
            raise UsageError(
                f"periods={max(options.periods)} is too long for clips of {spec.length} samples; take periods of at most "
                f"{spec.length // 2}"
            )
        width = options.discriminator_width
        by_period = [PeriodDiscriminator(period, width, normed) for period in options.periods]
        by_scale = [ScaleDiscriminator(scale, width, normed) for scale in range(options.scales)]
        self.parts = nn.ModuleList([*by_period, *by_scale])

    def activations(self, x: Tensor, condition: Tensor | None = None) -> tuple[tuple[Tensor, ...], ...]:
        """For each head what comes out of its layers, `[batch, ...]`, in order; the last are its logits, one a place."""
        del condition
        return tuple(one.activations(x) for one in self.parts if isinstance(one, SubDiscriminator))

    def features(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Means over time of what each head's logits are made of, `[batch, features]`."""
        return torch.cat([head[-2].flatten(2).mean(2) for head in self.activations(x, condition)], dim=1)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, ...]:
        """Logits `[batch]` of each head, the mean over its places."""
        return tuple(head[-1].flatten(1).mean(1) for head in self.activations(x, condition))
