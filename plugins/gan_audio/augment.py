"""Differentiable augmentation of sounds, as strong as it must be: what ADA (Karras et al. 2020) is for pictures.

Every transform is drawn for each sample by itself with the strength as its probability. None makes two distributions of sounds the
same at a strength below 1: shifts are around a circle, by differences of two equal draws, and levels and noise are Gaussian, so in
each the Fourier transform of what is drawn is never negative, and with the share that is left alone it is never zero.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from gan_audio.spec import AudioSpec
from gancore.data.spec import SampleSpec, require
from gancore.losses.adversarial import at_least_float32
from gancore.options import StrengthOptions, each_once
from gancore.random import Draws

Transform = Literal["roll", "gain", "bands", "noise"]
_KNOTS = 6
"""Places on the axis of frequency between which the gain of `bands` runs straight; those of waveforms are octaves apart."""
_NEPERS = math.log(10.0) / 20.0
"""In a decibel."""


class SoundAdaOptions(StrengthOptions):
    """Options of `ada` for sounds; the strength is the probability of each transform."""

    policy: Annotated[tuple[Transform, ...], each_once("transform")] = Field(
        ("roll", "gain", "bands"), min_length=1, max_length=4, description="What is done, in this order."
    )
    roll: float = Field(0.125, ge=0.0, le=0.5, description="Largest shift in time, as a share of the clip.")
    gain: float = Field(3.0, ge=0.0, le=40.0, description="Standard deviation of the level, in decibels.")
    bands: float = Field(3.0, ge=0.0, le=40.0, description="Standard deviation of the level of each band, in decibels.")
    noise: float = Field(
        0.02, ge=0.0, le=1.0, description="Deviation of the noise's size, in relaxed samples, which reach from -1 to 1."
    )


class SoundAda:
    """Called `augment(x, draws)` on relaxed sounds, waveforms `[batch, 1, length]` or spectrograms `[batch, planes, rows, frames]`.

    Returns the same shape and type; values may leave [-1, 1]. Affine in `x` for given draws. In spectrograms levels are logarithms, so
    gains are added to them (to silence as well); an instantaneous frequency is only shifted in time.
    """

    def __init__(self, options: SoundAdaOptions, spec: SampleSpec) -> None:
        self.spec = require(spec, AudioSpec, "augmentation 'ada'")
        self.options = options
        self.strength = options.strength

    def __call__(self, x: Tensor, draws: Draws) -> Tensor:
        if not self.strength:
            return x
        y = at_least_float32(x)
        on = (draws.uniform("on", 4) < self.strength).to(y)
        shares = dict(zip(("roll", "gain", "bands", "noise"), on.unbind(1), strict=True))
        for name in self.options.policy:
            y = getattr(self, f"_{name}")(y, shares[name], draws.within(name))
        return y.to(x.dtype)

    def _roll(self, x: Tensor, on: Tensor, draws: Draws) -> Tensor:
        size = x.shape[-1]
        most = int(size * self.options.roll)
        one, other = draws.integers("shift", most + 1, 2).unbind(1)
        shift = (one - other) * on.to(one)
        places = (torch.arange(size, device=x.device) - shift[:, None]) % size
        return x.gather(-1, places.reshape(-1, *[1] * (x.dim() - 2), size).expand(x.shape))

    def _gain(self, x: Tensor, on: Tensor, draws: Draws) -> Tensor:
        nepers = draws.normal("level").to(x) * on * (self.options.gain * _NEPERS)
        if x.dim() == 3:
            return x * nepers.exp()[:, None, None]
        return self._louder(x, nepers[:, None, None])

    def _bands(self, x: Tensor, on: Tensor, draws: Draws) -> Tensor:
        knots = draws.normal("levels", _KNOTS).to(x) * on[:, None] * (self.options.bands * _NEPERS)
        rows = x.shape[2] if x.dim() == 4 else x.shape[2] // 2 + 1
        place = torch.linspace(0.0, 1.0, rows, device=x.device, dtype=x.dtype)
        if x.dim() == 3:  # by octaves below half the sample rate
            place = (1.0 + place.clamp(min=1e-9).log2() / (_KNOTS - 1)).clamp(min=0.0)
        near = (1.0 - (place * (_KNOTS - 1) - torch.arange(_KNOTS, device=x.device)[:, None]).abs()).clamp(min=0.0)
        nepers = knots @ near
        if x.dim() == 4:
            return self._louder(x, nepers[..., None])
        wave: Tensor = torch.fft.irfft(torch.fft.rfft(x) * nepers.exp()[:, None], n=x.shape[2])
        return wave

    def _noise(self, x: Tensor, on: Tensor, draws: Draws) -> Tensor:
        size = draws.normal("size").to(x).abs() * on * self.options.noise
        return x + size.reshape(-1, *[1] * (x.dim() - 1)) * draws.normal("grain", *x.shape[1:]).to(x)

    def _louder(self, x: Tensor, nepers: Tensor) -> Tensor:
        """Spectrograms whose levels are higher by `nepers` `[batch, rows or 1, frames or 1]`."""
        _, scale = self.spec.level_range(x)
        louder = x[:, 0] + nepers / scale.to(x)
        return torch.cat([louder[:, None], x[:, 1:]], dim=1)
