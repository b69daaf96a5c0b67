"""Attributes of sounds: a number of each, such as its brightness, by which generators of sounds are steered.

They are on scales that are about even to the ear: decibels, octaves, semitones, and decades of time.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from gan_audio.features.periods import SILENT, pitches
from gan_audio.metrics.alarms import flatness
from gan_audio.metrics.levels import Bands, by_parts, padded
from gan_audio.metrics.pitch import searched
from gan_audio.metrics.spectrum import measured
from gan_audio.spec import AudioSpec
from gancore.components import Measure
from gancore.evaluation.attributes import remembered

_ENVELOPE = 0.01
"""Seconds over which the root mean square of an envelope is taken."""
_BEGUN, _THERE = 0.1, 0.9
"""Parts of the highest value of an envelope between which a sound rises."""
_PUREST = 1e-6
"""Lower flatness counts as this: -60 dB."""


def loudness(spec: AudioSpec) -> Measure:
    """The root mean square in dB, from -100 to 0 for full scale; silence has -100."""
    return _heard(spec, lambda found: found["loudness"])


def brightness(spec: AudioSpec) -> Measure:
    """log2(centroid / 1 kHz), in octaves: the centroid is the mean frequency, weighted by power; NaN for silence."""
    return _heard(spec, lambda found: (found["centroid"].clamp(min=1.0) / 1000.0).log2())


def noisiness(spec: AudioSpec) -> Measure:
    """The spectral flatness in dB, from -60 for tones to 0 for white noise; NaN for silence.

    That is the geometric over the arithmetic mean of the power of each bin of the transform, averaged over the sound.
    """
    return _heard(spec, lambda found: 10.0 * found["flatness"].clamp(min=_PUREST).log10())


def duration(spec: AudioSpec) -> Measure:
    """The time in s in which a sound is less than 40 dB below its loudest frame; NaN for silence."""
    return _heard(spec, lambda found: found["duration"])


def attack(spec: AudioSpec) -> Measure:
    """log10 of the time in s in which the envelope rises from a tenth to nine tenths of its highest value; NaN for silence.

    The envelope is the root mean square over the 10 ms before, so that a steady sound that begins at once takes 8 ms (-2.1).
    """
    width = max(1, round(_ENVELOPE * spec.sample_rate))

    def rise(x: Tensor) -> Tensor:
        sums = functional.pad(padded(x, 1)[:, 0].double().square(), (width, 0)).cumsum(dim=1)
        power = (sums[:, width:] - sums[:, :-width]) / width
        highest = power.amax(dim=1, keepdim=True)
        begun, there = ((power >= part**2 * highest).byte().argmax(dim=1) for part in (_BEGUN, _THERE))
        time = (there - begun).clamp(min=1).double() / spec.sample_rate
        return torch.where(highest[:, 0] > SILENT**2, time.log10(), torch.nan)

    return _each(rise)


def pitch(spec: AudioSpec) -> Measure:
    """The pitch in semitones, as a MIDI number with its fraction: the median over frames; NaN where hardly any has one.

    See `gan_audio.features.periods`. It is looked for where the metric `pitch` looks for it.
    """
    lowest, highest = searched(spec)
    return _each(lambda x: pitches(padded(x, 1)[:, 0], spec.sample_rate, lowest, highest))


@remembered
def _read(x: Tensor, bands: Bands) -> dict[str, Tensor]:
    """What the levels of waveforms `[n, 1, length]` tell, float64 `[n]`, by name."""

    def look(part: Tensor) -> dict[str, Tensor]:
        magnitudes = bands.magnitudes(part)
        found = measured(part, magnitudes, bands)
        return found | {"flatness": torch.where(found["centroid"].isnan(), torch.nan, flatness(magnitudes))}

    return by_parts(x, look)


def _heard(spec: AudioSpec, value: Callable[[dict[str, Tensor]], Tensor]) -> Measure:
    bands = Bands.of(spec.sample_rate)
    return lambda x: value(_read(x, bands)).float()


def _each(value: Callable[[Tensor], Tensor]) -> Measure:
    """`value` of waveforms `[n, 1, length]`, which it is given some at a time."""
    return lambda x: by_parts(x, lambda part: {"": value(part)})[""].float()
