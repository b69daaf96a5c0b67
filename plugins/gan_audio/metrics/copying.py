"""Whether generated sounds are copies: their distance to the nearest clip that was trained on, and to each other."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor

from gan_audio.metrics.levels import Bands, Floats
from gan_audio.metrics.likeness import diversity, nearest, pictures
from gan_audio.spec import AudioSpec
from gancore.evaluation.distributions import nearer, overlap
from gancore.evaluation.records import Figure, Material, Samples
from gancore.options import Options as BaseOptions

_SAME = 1e-3
"""Distances below this are those of one sound: rounding to 16 bits or another volume makes no more."""


class Options(BaseOptions):
    """Options of the metric `copying`."""

    below: float = Field(
        0.02, ge=0.0, le=1.0, description="A clip nearer than this to one that was trained on counts as a near copy."
    )
    shift: float = Field(
        0.05, ge=0.0, le=10.0, description="Seconds by which a clip is moved, at most, to meet one that was trained on."
    )
    limit: int = Field(
        1000, ge=2, le=100_000, description="How many generated and how many real clips are looked at, at most."
    )


def build(options: Options, spec: AudioSpec) -> Copying:
    """The metric; see `Copying`."""
    return Copying(options, spec)


class Copying:
    """Distances between clips are those of `gan_audio.metrics.likeness`, whatever the volume; `shift` allows for a delay.

    - `nearest/distance`: median distance to the nearest training clip, in [0, 1].
    - `nearest/exact` and `nearest/near`: share of clips at a distance below 0.001, and below `below`.
    - `nearest/nearer`: share of the pairs of a generated and a real clip in which the generated one lies nearer to the
      training set, ties counting half: 0.5 where they are alike, 1 where all generated are nearer.
    - `distinct`: share of different waveforms; `diversity`: mean distance of two clips of the set, neither moved.

    Where the real clips are not held out, each is compared with the training set without itself.
    """

    def __init__(self, options: Options, spec: AudioSpec) -> None:
        self.options = options
        self.spec = spec

    def __call__(self, material: Material) -> dict[str, Figure]:
        """The figures by their names."""
        bands, limit = Bands.of(self.spec.sample_rate), self.options.limit
        train = pictures(material.train.x, bands)
        generated, real = (pictures(one.x[:limit], bands) for one in (material.generated, material.real))
        itself = None if material.held_out else _places(material.real.x[:limit], material.train)
        lags = self._lags(real.shape[2])
        ours = _floats(nearest(generated, train, lags))
        theirs = _floats(nearest(real, train, lags, leave_out=itself))
        below = self.options.below
        return {
            "nearest/distance": Figure(value=_median(ours), real=_median(theirs), overlap=overlap(ours, theirs)),
            "nearest/exact": Figure(value=_share(ours < _SAME), real=_share(theirs < _SAME)),
            "nearest/near": Figure(value=_share(ours < below), real=_share(theirs < below)),
            "nearest/nearer": Figure(value=nearer(ours, theirs), real=0.5),
            "distinct": Figure(value=_distinct(material.generated.x[:limit]), real=_distinct(material.real.x[:limit])),
            "diversity": Figure(value=diversity(generated), real=diversity(real)),
        }

    def _lags(self, frames: int) -> range:
        """Frames by which clips are moved, where a picture has `frames` of them."""
        reach = min(frames - 1, round(self.options.shift / self.spec.seconds * frames))
        return range(-reach, reach + 1)


def _keys(x: Tensor) -> list[bytes]:
    """Of each waveform `[n, 1, length]` what only equal ones have."""
    return [hashlib.blake2b(one.contiguous().numpy().tobytes(), digest_size=16).digest() for one in x]


def _places(x: Tensor, train: Samples) -> Tensor:
    """For each waveform the number of the first training clip that is the same, -1 where there is none: int64 `[n]`."""
    known: dict[bytes, int] = {}
    for at, key in enumerate(_keys(train.x)):
        known.setdefault(key, at)
    return torch.tensor([known.get(key, -1) for key in _keys(x)], dtype=torch.int64)


def _distinct(x: Tensor) -> float:
    return len(set(_keys(x))) / max(len(x), 1)


def _floats(values: Tensor) -> Floats:
    found: Floats = values.double().numpy()
    return found


def _median(distances: Floats) -> float:
    return float(np.median(distances)) if len(distances) else 1.0


def _share(chosen: npt.NDArray[np.bool_]) -> float:
    return float(chosen.mean()) if len(chosen) else 0.0
