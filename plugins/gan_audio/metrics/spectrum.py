"""Whether generated sounds have the spectrum, the loudness and the length of real ones."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gan_audio.metrics.levels import FLOOR_DB, Bands, Floats, by_parts, decibels, padded, shuffled
from gan_audio.spec import AudioSpec
from gancore.evaluation.distributions import overlap
from gancore.evaluation.records import Figure, Material
from gancore.options import Options as BaseOptions

_QUANTILES = 101
AUDIBLE_DB = -40.0
"""Below the loudest frame of a clip: what is softer is its tail."""


class Options(BaseOptions):
    """The metric `spectrum` has no options."""


def build(options: Options, spec: AudioSpec) -> Spectrum:
    """The metric; see `Spectrum`."""
    return Spectrum(spec)


class Spectrum:
    """Of two sets of clips, in dB over mel bands; the floor is real half against real half:

    - `average-spectrum`: root mean square difference of the mean levels of each band.
    - `band-levels`: mean over bands of the Wasserstein distance of the levels of all frames of all clips.

    Of clips, each with the overlap of its distribution:

    - `loudness`: root mean square, in dB below full scale.
    - `centroid`, `bandwidth`: mean of the frequencies in Hz, weighted by their power, and their standard deviation.
    - `duration`: seconds in which a clip is less than 40 dB below its loudest frame.

    Silent clips have no centroid, bandwidth or duration.
    """

    def __init__(self, spec: AudioSpec) -> None:
        self.bands = Bands.of(spec.sample_rate)

    def __call__(self, material: Material) -> dict[str, Figure]:
        """The figures by their names."""
        sets = (material.generated, material.real)
        ours, theirs = (self.bands.levels(one.x).mul_(-FLOOR_DB).add_(FLOOR_DB) for one in sets)
        order = shuffled(len(theirs))
        half = max(1, len(theirs) // 2)
        halves = theirs[order[:half]], theirs[order[-half:]]
        found = {
            "average-spectrum": Figure(value=average_distance(ours, theirs), floor=average_distance(*halves)),
            "band-levels": Figure(value=level_distance(ours, theirs), floor=level_distance(*halves)),
        }
        generated, real = (self.features(one.x) for one in sets)
        return found | {
            name: Figure(value=_mean(each), real=_mean(real[name]), overlap=overlap(each, real[name]))
            for name, each in generated.items()
        }

    def features(self, x: Tensor) -> dict[str, Floats]:
        """Loudness, centroid, bandwidth and duration `[n]` of waveforms `[n, 1, length]`; NaN where a silent one has none."""
        found = by_parts(x, lambda part: measured(part, self.bands.magnitudes(part), self.bands))
        return {name: values.numpy() for name, values in found.items()}


def measured(x: Tensor, magnitudes: Tensor, bands: Bands) -> dict[str, Tensor]:
    """Loudness, centroid, bandwidth and duration `[n]` of waveforms `[n, 1, length]` with these `magnitudes` in `bands`."""
    power = magnitudes.double().square()
    frequency = torch.linspace(0.0, bands.sample_rate / 2, power.shape[1], dtype=torch.float64)
    weights = power.sum(dim=2)
    total = weights.sum(dim=1)
    sounds = total > 1e-12
    weights = weights / total.clamp(min=1e-12)[:, None]
    centroid = weights @ frequency
    bandwidth = (weights @ frequency.square() - centroid.square()).clamp(min=0.0).sqrt()
    frames = power.sum(dim=1)
    audible = frames > frames.amax(dim=1, keepdim=True) * 10.0 ** (AUDIBLE_DB / 10.0)
    duration = audible.double().sum(dim=1) * bands.hop / bands.sample_rate
    return {
        "loudness": decibels(padded(x, 1)[:, 0].square().mean(dim=1).sqrt()).clamp(min=-100.0),
        "centroid": torch.where(sounds, centroid, torch.nan),
        "bandwidth": torch.where(sounds, bandwidth, torch.nan),
        "duration": torch.where(sounds, duration, torch.nan),
    }


def average_distance(first: Tensor, second: Tensor) -> float:
    """Root mean square over bands of the difference of mean levels, in dB, of `[n, bands, frames]` and `[m, bands, frames]`."""
    means = [one.double().mean(dim=(0, 2)) for one in (first, second)]
    return float((means[0] - means[1]).square().mean().sqrt())


def level_distance(first: Tensor, second: Tensor) -> float:
    """Mean over bands of the Wasserstein distance, in dB, of the levels of `[n, bands, frames]` and `[m, bands, frames]`.

    The area between the two quantile functions, of which the middles of 101 equal steps are taken.
    """
    share = (torch.arange(_QUANTILES) + 0.5) / _QUANTILES
    apart = []
    for band in range(first.shape[1]):
        ordered = [one[:, band].flatten().sort().values for one in (first, second)]
        quantiles = [one[(share * len(one)).long()] for one in ordered]
        apart.append((quantiles[0] - quantiles[1]).double().abs().mean())
    return float(torch.stack(apart).mean())


def _mean(each: Floats) -> float:
    """Of those that have one; 0 where none has."""
    kept = each[np.isfinite(each)]
    return float(kept.mean()) if len(kept) else 0.0
