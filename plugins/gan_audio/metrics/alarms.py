"""What no recording should have: silence, clipping, noise, an offset, a hum, the same sound again and again."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor

from gan_audio.metrics.levels import Bands, by_parts, decibels
from gan_audio.metrics.likeness import nearest_before, pictures
from gan_audio.spec import AudioSpec
from gancore.evaluation.records import Figure, Material
from gancore.options import Options as BaseOptions

_QUIETEST = 0.1
"""A hum is heard in all frames but this share of them."""


class Options(BaseOptions):
    """Options of the metric `alarms`."""

    silence_db: float = Field(
        -60.0,
        ge=-200.0,
        le=0.0,
        description="A clip whose root mean square is below this is silent; full scale is 0 dB.",
    )
    full_scale: float = Field(0.999, gt=0.0, le=1.0, description="From this amplitude on a sample is at full scale.")
    run: int = Field(4, ge=2, le=10_000, description="A clip with so many samples in a row at full scale is clipped.")
    flatness: float = Field(
        0.5, gt=0.0, lt=1.0, description="A clip of a higher spectral flatness is noise: 0 a tone, 1 white noise."
    )
    offset: float = Field(0.01, gt=0.0, le=1.0, description="A mean farther from 0 than this is an offset.")
    hum_db: float = Field(
        -50.0, ge=-200.0, le=0.0, description="A frequency that sounds throughout a clip above this level is a hum ..."
    )
    above_db: float = Field(
        30.0, gt=0.0, le=200.0, description="... where it is so far above what sounds throughout at other frequencies."
    )
    same: float = Field(
        0.02,
        ge=0.0,
        le=1.0,
        description="A clip nearer than this to an earlier one repeats it, as copies of training clips are near.",
    )


def build(options: Options, spec: AudioSpec) -> Alarms:
    """The metric; see `Alarms`."""
    return Alarms(options, spec)


class Alarms:
    """Shares of clips, beside those of the real ones:

    - `broken`: with a sample that is not a finite number.
    - `silent`, `clipped`, `noise`, `offset`, `hum`: as the options say.
    - `repeated`: that sound as one before them in the set does, silence included.

    And `flatness`, the mean of what `noise` goes by.
    """

    def __init__(self, options: Options, spec: AudioSpec) -> None:
        self.options = options
        self.bands = Bands.of(spec.sample_rate)

    def __call__(self, material: Material) -> dict[str, Figure]:
        """The figures by their names."""
        generated, real = (self._each(one.x) for one in (material.generated, material.real))
        return {name: Figure(value=_mean(ours), real=_mean(real[name])) for name, ours in generated.items()}

    def _each(self, x: Tensor) -> Mapping[str, Tensor]:
        """Of each waveform `[n, 1, length]` whether it has these faults, or how flat it is: `[n]`."""
        repeated = nearest_before(pictures(x, self.bands)) < self.options.same
        return by_parts(x, self._look) | {"repeated": repeated}

    def _look(self, x: Tensor) -> dict[str, Tensor]:
        options = self.options
        waves = torch.nan_to_num(x[:, 0].float(), nan=0.0, posinf=0.0, neginf=0.0)
        magnitudes = self.bands.magnitudes(x)
        silent = decibels(waves.square().mean(dim=1).sqrt()) < options.silence_db
        flat = flatness(magnitudes)
        return {
            "broken": ~torch.isfinite(x).flatten(1).all(dim=1),
            "silent": silent,
            "clipped": clipped(waves, options.full_scale, options.run),
            "noise": (flat > options.flatness) & ~silent,
            "offset": waves.mean(dim=1).abs() > options.offset,
            "hum": hums(magnitudes, options.hum_db, options.above_db),
            "flatness": flat,
        }


def clipped(waves: Tensor, full_scale: float, run: int) -> Tensor:
    """Which of the waveforms `[n, length]` have `run` samples in a row at `full_scale` or beyond, all of one sign: `[n]`."""
    if waves.shape[1] < run:
        return torch.zeros(len(waves), dtype=torch.bool)
    # The lowest of `run` neighbours is that high only where all are.
    lowest = torch.stack([-torch.nn.functional.max_pool1d(-one[:, None], run, 1)[:, 0] for one in (waves, -waves)])
    return (lowest >= full_scale).any(dim=2).any(dim=0)


def flatness(magnitudes: Tensor) -> Tensor:
    """Spectral flatness `[n]`, in [0, 1]: geometric over arithmetic mean of the power of each bin, averaged over frames.

    `magnitudes` are `[n, bins, frames]`. The lowest and the highest bin count half of the others' band and are left out.
    Silence has 0.
    """
    power = magnitudes[:, 1:-1].double().square().mean(dim=2)
    mean = power.mean(dim=1)
    found = power.clamp(min=1e-30).log().mean(dim=1).exp() / mean.clamp(min=1e-30)
    return torch.where(mean > 1e-20, found.clamp(max=1.0), 0.0)


def hums(magnitudes: Tensor, level_db: float, above_db: float) -> Tensor:
    """Which clips, of `magnitudes` `[n, bins, frames]`, have a frequency that always sounds: `[n]`.

    Nine tenths of the frames are louder in this bin than `level_db`, where a sine at full scale has 0 dB, and than what the
    median bin has in nine tenths of the frames by `above_db`.
    """
    rank = max(1, round(_QUIETEST * magnitudes.shape[2]))
    lasting = decibels(magnitudes.kthvalue(rank, dim=2).values)
    # An offset is no hum.
    loudest = lasting[:, 2:].amax(dim=1)
    return (loudest > level_db) & (loudest - lasting.median(dim=1).values > above_db)


def _mean(each: Tensor) -> float:
    return float(each.double().mean()) if len(each) else 0.0
