"""The features `mel`: levels of a sound in mel bands over time, which need no network and no one else's data."""

from __future__ import annotations

from dataclasses import astuple

from pydantic import Field
from torch import Tensor

from gan_audio.metrics.levels import Bands
from gan_audio.metrics.likeness import nearest, pictures
from gan_audio.spec import AudioSpec
from gancore.evaluation.features import digests
from gancore.options import Options as BaseOptions

ROWS, FRAMES, FLOOR_DB = 64, 16, -50.0
"""Bands and frames that are told apart, and how far below the loudest level of a clip levels are told apart."""
_VERSION = 1
"""Of how levels are computed; another makes all kept features unknown."""


class Options(BaseOptions):
    """Options of the features `mel`."""

    shift: float = Field(
        0.05,
        ge=0.0,
        le=10.0,
        description="Seconds by which a clip is moved, at most, to meet one that was trained on when copies are looked for.",
    )


class Mel:
    """Levels in at most 64 mel bands, averaged to at most 16 frames of equal length, whatever the volume.

    The distance by which copies are found is that of `gan_audio.metrics.likeness`, on finer frames; `shift` allows for a delay.
    """

    near = 0.02
    same = 1e-3
    """Rounding to 16 bits or another volume makes no greater distance."""

    def __init__(self, options: Options, spec: AudioSpec) -> None:
        self.options = options
        self.spec = spec
        self.bands = Bands.of(spec.sample_rate)
        self.fingerprint = f"mel {astuple(self.bands)} {ROWS} {FRAMES} {FLOOR_DB} {_VERSION}"
        self._train: tuple[Tensor, Tensor] | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Features float32 `[n, bands * frames]`, in [0, 1], of waveforms `[n, 1, length]`."""
        return self.bands.relative(x, ROWS, FRAMES, FLOOR_DB).flatten(1)

    def keys(self, samples: Tensor) -> list[bytes]:
        """Of each of the waveforms `[n, 1, length]` what only the same one has."""
        return digests(samples)

    def nearest(self, samples: Tensor, train: Tensor, leave_out: Tensor | None) -> Tensor:
        """Distance float64 `[n]`, in [0, 1], of each of the waveforms `[n, 1, length]` to the nearest of `train` `[m, 1, length]`.

        `leave_out` int64 `[n]` numbers one of `train` that is not looked at, -1 for none. Infinite where there is none to look at.
        """
        clips = pictures(samples, self.bands)
        return nearest(clips, self._pictures(train), self._lags(clips.shape[2]), leave_out=leave_out)

    def _pictures(self, train: Tensor) -> Tensor:
        """Those of `train`; of the largest set they are kept, for all others are held against it."""
        if self._train is not None and self._train[0] is train:
            return self._train[1]
        found = pictures(train, self.bands)
        if self._train is None or len(train) > len(self._train[0]):
            self._train = (train, found)
        return found

    def _lags(self, frames: int) -> range:
        """Frames by which clips are moved, where a picture has `frames` of them."""
        reach = min(frames - 1, round(self.options.shift / self.spec.seconds * frames))
        return range(-reach, reach + 1)
