"""The pitches of many sounds at once, from the lags at which they are like themselves.

The normalised square difference function of McLeod and Wyvill 2005, "A smarter way to find pitch": of a frame `x` and a lag `t`,
`2 sum x[j] x[j + t] / sum (x[j]^2 + x[j + t]^2)`, which is 1 where the frame repeats itself after `t`. A thousand sounds of one second
take a few seconds; pYIN, which the metric `pitch` listens with, takes more than ten times as long.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from gan_audio.data.pitches import midi
from gan_audio.metrics.pitch import VOICED, Frames
from gan_audio.metrics.spectrum import AUDIBLE_DB

_CLEAR = 0.7
"""A frame has a pitch where it is so much like itself."""
_AS_HIGH = 0.9
"""Of the peaks that are so high beside the highest the first is taken: twice the period is one too."""
_RATE, _OVER = 16_000.0, 8.0
"""Samples a second, and in a period, by which periods are known to a few cents; more than twice as many as there were add nothing."""
SILENT = 1e-5
"""Root mean square below which nothing is heard."""


def pitches(waves: Tensor, sample_rate: float, lowest: float, highest: float) -> Tensor:
    """The median pitch of each of `waves` `[n, length]`, float64 `[n]`, as a MIDI number; NaN for those without one.

    It is looked for from `lowest` to `highest` Hz. What has a pitch in less than a twentieth of its frames has none.
    """
    waves, rate = _resampled(waves, sample_rate, highest)
    frames = _cut(waves, Frames.of(rate, lowest))
    period, likeness = _periods(frames, rate / highest, rate / lowest)
    power = frames.square().mean(dim=2)
    audible = (power > power.amax(dim=1, keepdim=True) * 10.0 ** (AUDIBLE_DB / 10.0)) & (power > SILENT**2)
    voiced = (likeness >= _CLEAR) & audible
    heard = torch.where(voiced, torch.from_numpy(midi(rate / period.double().numpy())), torch.nan)
    return torch.where(voiced.double().mean(dim=1) >= VOICED, heard.nanquantile(0.5, dim=1), torch.nan)


def _resampled(waves: Tensor, sample_rate: float, highest: float) -> tuple[Tensor, float]:
    """The same without the upper half of its new spectrum, by which parabolas fit peaks well, and the new rate."""
    rate = min(2.0 * sample_rate, max(_RATE, _OVER * highest))
    length = waves.shape[1]
    wanted = math.ceil(length * rate / sample_rate)
    spectrum = torch.fft.rfft(waves)[:, : max(1, wanted // 4)]
    return torch.fft.irfft(spectrum, wanted) * (wanted / length), sample_rate * wanted / length


def _cut(waves: Tensor, frames: Frames) -> Tensor:
    """Frames `[n, frames, frames.length]` of `waves` `[n, length]`, the last with silence where the sound ends; without an offset."""
    missing = frames.length - waves.shape[1]
    whole = functional.pad(waves, (0, missing if missing > 0 else missing % frames.hop))
    cut = whole.unfold(1, frames.length, frames.hop)
    return cut - cut.mean(dim=2, keepdim=True)


def _periods(frames: Tensor, shortest: float, longest: float) -> tuple[Tensor, Tensor]:
    """The period in samples of each frame `[..., length]`, and how much it is like itself then, in [-1, 1]; 0 for none."""
    length, lags = frames.shape[-1], math.ceil(longest) + 2
    spectrum = torch.fft.rfft(frames, 2 ** math.ceil(math.log2(length + lags)))
    products = torch.fft.irfft(spectrum.real.square() + spectrum.imag.square())[..., :lags]
    sums = functional.pad(frames.square().cumsum(dim=-1), (1, 0))
    squares = sums.flip(-1)[..., :lags] + sums[..., -1:] - sums[..., :lags]
    alike = 2.0 * products / squares.clamp(min=1e-12)

    before, here, after = alike[..., :-2], alike[..., 1:-1], alike[..., 2:]
    lag = torch.arange(1, lags - 1)
    # Every sound is like itself after no time at all: peaks are looked for where it once was not.
    peak = (here > before) & (here >= after) & ((here < 0.0).cumsum(dim=-1) > 0) & (lag >= math.floor(shortest))
    # The top of the parabola through the three.
    aside = 0.5 * (before - after) / torch.where(peak, before - 2.0 * here + after, -1.0)
    height = torch.where(peak, here - 0.25 * (before - after) * aside, 0.0)
    first = (peak & (height >= _AS_HIGH * height.amax(dim=-1, keepdim=True))).byte().argmax(dim=-1, keepdim=True)
    return (lag[first] + aside.gather(-1, first)).squeeze(-1), height.gather(-1, first).squeeze(-1)
