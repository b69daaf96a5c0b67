"""Whether generated sounds have a pitch, and the one that was asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field

from gan_audio.data.pitches import hertz, midi, pitch_of
from gan_audio.metrics.levels import Floats
from gan_audio.spec import AudioSpec
from gancore.errors import MissingPackageError
from gancore.evaluation.distributions import overlap
from gancore.evaluation.records import Figure, Material, Samples
from gancore.options import Options as BaseOptions

FARTHEST = 1200.0
"""Cents: an error beyond an octave counts as one, and so does a clip without a pitch where none has one."""
_MARGIN = 7
"""Semitones below the lowest and above the highest class in which pitches are looked for."""
_LOWEST, _HIGHEST = 36, 96
"""MIDI pitches that are looked for where classes name none: C2 to C7."""
_RESOLUTION = 0.2
"""Semitones: four times as fast as librosa's own 0.1, and a tenth of a semitone off at most."""
VOICED = 0.05
"""Share of the frames of a clip that must have a pitch."""


class Options(BaseOptions):
    """Options of the metric `pitch`."""

    limit: int = Field(
        200,
        ge=2,
        le=100_000,
        description="How many generated and how many real clips are listened to, at most, evenly of all classes.",
    )
    tolerance: float = Field(
        50.0, gt=0.0, le=1200.0, description="Cents from the pitch asked for within which a clip is in tune."
    )


def build(options: Options, spec: AudioSpec) -> Pitch:
    """The metric; see `Pitch`."""
    return Pitch(options, spec)


class Pitch:
    """The pitch of a clip is the median over its voiced frames, by pYIN (Mauch and Dixon 2014) as librosa has it.

    - `unvoiced`: share of clips without a pitch: less than a twentieth of the frames is voiced.
    - `median-pitch`: mean of the pitches, as MIDI numbers; 60 is middle C.

    Where classes are named after notes, of the clips of such classes:

    - `in-tune`: share within `tolerance` cents of the pitch asked for; a clip without a pitch is not.
    - `octave-off`: share that is in tune but for octaves.
    - `error-cents`: mean distance from the pitch asked for, of the clips that have one; at most 1,200 a clip.
    """

    def __init__(self, options: Options, spec: AudioSpec) -> None:
        self.options = options
        self.spec = spec
        self.asked = named_pitches(spec)
        self.named = not np.isnan(self.asked).all()

    def __call__(self, material: Material) -> dict[str, Figure]:
        """The figures by their names."""
        sets = (material.generated, material.real)
        (ours, asked), (theirs, meant) = (self._listen(one) for one in sets)
        found = {
            "unvoiced": Figure(value=_mean(np.isnan(ours)), real=_mean(np.isnan(theirs))),
            "median-pitch": Figure(
                value=_mean(_known(ours)), real=_mean(_known(theirs)), overlap=overlap(ours, theirs)
            ),
        }
        if self.named and all(one.condition is not None for one in sets):
            generated, real = self._compare(ours, asked), self._compare(theirs, meant)
            found |= {name: Figure(value=value, real=real[name]) for name, value in generated.items()}
        return found

    def _listen(self, samples: Samples) -> tuple[Floats, Floats]:
        """Pitches `[n]` of at most `limit` clips, NaN for none, and those of their classes, NaN where these name none."""
        rows = spread(samples, self.options.limit)
        waves = torch.nan_to_num(samples.x[rows, 0].float(), nan=0.0, posinf=0.0, neginf=0.0).numpy()
        if samples.condition is None or not len(self.asked):
            asked = np.full(len(rows), np.nan)
        else:
            asked = self.asked[samples.condition[rows].numpy()]
        return pitches(waves, self.spec.sample_rate, *searched(self.spec)), asked

    def _compare(self, heard: Floats, asked: Floats) -> dict[str, float]:
        heard, asked = heard[~np.isnan(asked)], asked[~np.isnan(asked)]
        cents = 100.0 * np.abs(heard - asked)
        beside = np.abs((cents + 600.0) % 1200.0 - 600.0)
        tolerance = self.options.tolerance
        tuned = cents <= tolerance
        errors = np.minimum(_known(cents), FARTHEST)
        return {
            "in-tune": _mean(tuned),
            "octave-off": _mean((beside <= tolerance) & ~tuned),
            "error-cents": _mean(errors) if len(errors) else FARTHEST,
        }


def named_pitches(spec: AudioSpec) -> Floats:
    """The MIDI pitch `[classes]` that each class is named after, NaN where it is none."""
    named = [pitch_of(name) for name in spec.classes]
    return np.array([math.nan if pitch is None else float(pitch) for pitch in named])


def searched(spec: AudioSpec) -> tuple[float, float]:
    """The lowest and the highest frequency in Hz in which pitches of such sounds are looked for."""
    low, high, asked = _LOWEST, _HIGHEST, named_pitches(spec)
    if not np.isnan(asked).all():
        low, high = math.floor(np.nanmin(asked)) - _MARGIN, math.ceil(np.nanmax(asked)) + _MARGIN
    highest = min(float(hertz(high)), 0.45 * spec.sample_rate)
    return min(float(hertz(low)), highest / 2.0), highest


@dataclass(frozen=True, slots=True)
class Frames:
    """How sounds are looked at for their pitch: frames of `length` samples, `hop` samples apart."""

    length: int
    hop: int

    @classmethod
    def of(cls, sample_rate: float, lowest: float) -> Frames:
        """Frames that hold four periods of the `lowest` frequency, half of that apart."""
        length = 2 ** math.ceil(math.log2(4.0 * sample_rate / lowest))
        return cls(length, length // 2)


def pitches(waves: npt.NDArray[np.float32], sample_rate: int, lowest: float, highest: float) -> Floats:
    """The median pitch of each of `waves` `[n, length]` as a MIDI number `[n]`; NaN for those without one.

    Raises:
        MissingPackageError: librosa is not installed.
    """
    try:
        import librosa
    except ModuleNotFoundError as error:
        raise MissingPackageError("metric 'pitch'", "librosa", "pitch") from error

    frames = Frames.of(sample_rate, lowest)
    found = np.full(len(waves), np.nan)
    for number, wave in enumerate(waves):
        # What is silent has no pitch, and pYIN would divide by its energy.
        if not np.abs(wave).max() > 1e-5:
            continue
        frequencies, voiced, _ = librosa.pyin(
            wave,
            fmin=lowest,
            fmax=highest,
            sr=sample_rate,
            frame_length=frames.length,
            hop_length=frames.hop,
            resolution=_RESOLUTION,
        )
        if voiced.mean() >= VOICED:
            found[number] = np.median(midi(frequencies[voiced]))
    return found


def spread(samples: Samples, limit: int) -> torch.Tensor:
    """The numbers of at most `limit` samples, evenly of all classes, int64 `[n]`."""
    count = len(samples)
    condition = torch.zeros(count, dtype=torch.int64) if samples.condition is None else samples.condition
    order = condition.argsort(stable=True)
    return order[torch.linspace(0, count - 1, min(count, limit)).round().long()].sort().values


def _known(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def _mean(values: npt.NDArray[np.generic]) -> float:
    return float(values.mean()) if len(values) else 0.0
