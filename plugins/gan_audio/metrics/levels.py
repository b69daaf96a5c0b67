"""Sounds as metrics hear them: levels in mel bands over time, the same for a run whatever representation it trains on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from gan_audio import transforms
from gancore.errors import UsageError

Floats = npt.NDArray[np.float64]

FLOOR_DB = -60.0
"""Levels below this count as this: what is so soft is not heard beside the rest."""
_WINDOW = 0.064
"""Seconds in a frame: enough to tell low notes apart, little enough for consonants."""
_HOPS = 4
_MELS = 64
_PART = 64
"""Clips looked at together, to bound memory. What is found out about them goes into tensors that are there from the start: small
ones, made between larger ones that are let go, would keep the memory of those from being used again."""


@dataclass(frozen=True, slots=True)
class Bands:
    """Mel bands of sounds at `sample_rate` Hz: `mels` of them, frames of `n_fft` samples, `hop` samples apart."""

    sample_rate: int
    n_fft: int
    hop: int
    mels: int

    @classmethod
    def of(cls, sample_rate: int) -> Bands:
        """Frames of about 64 ms, a quarter of that apart, and 64 bands, or as many as are wider than a bin."""
        n_fft = 2 ** max(5, round(math.log2(_WINDOW * sample_rate)))
        mels = _MELS
        while mels > 4 and not _possible(sample_rate, n_fft, mels):
            mels //= 2
        return cls(sample_rate, n_fft, n_fft // _HOPS, mels)

    def frames(self, length: int) -> int:
        """Frames of a clip of `length` samples."""
        return math.ceil(length / self.hop)

    def magnitudes(self, x: Tensor) -> Tensor:
        """Magnitudes `[n, n_fft // 2 + 1, frames]` of waveforms `[n, 1, length]`; a sine of amplitude 1 has 1 in its bin."""
        return transforms.stft(padded(x, self.hop)[:, 0], self.n_fft, self.hop).abs()

    def levels(self, x: Tensor) -> Tensor:
        """Levels `[n, mels, frames]` of waveforms `[n, 1, length]`, in [0, 1]: 0 at -60 dB or less, 1 at 0 dB, full scale."""
        found = torch.zeros(len(x), self.mels, self.frames(x.shape[-1]))
        for at in range(0, len(x), _PART):
            found[at : at + _PART] = _scaled(self._sizes(x[at : at + _PART]), FLOOR_DB)
        return found

    def averages(self, x: Tensor, rows: int, frames: int) -> Tensor:
        """Levels of waveforms `[n, 1, length]`, averaged to `rows` bands and `frames` frames, or as many as there are.

        `[n, rows, frames]`; for more clips than whole levels would fit in memory.
        """
        return self._each(x, rows, frames, lambda size: _scaled(size, FLOOR_DB))

    def relative(self, x: Tensor, rows: int, frames: int, floor_db: float) -> Tensor:
        """As `averages`, but 1 is the loudest level of the clip itself, and 0 is `floor_db` below: its volume does not count.

        A clip whose loudest level is below -120 dB is taken for one of -120 dB, so silence stays silent.
        """

        def scaled(size: Tensor) -> Tensor:
            return _scaled(size / size.amax(dim=(1, 2), keepdim=True).clamp(min=1e-6), floor_db)

        return self._each(x, rows, frames, scaled)

    def _each(self, x: Tensor, rows: int, frames: int, scaled: Callable[[Tensor], Tensor]) -> Tensor:
        """What `scaled` makes of magnitudes in each band `[n, mels, frames]`, averaged: `[n, rows, frames]`."""
        found = torch.zeros(len(x), min(rows, self.mels), min(frames, self.frames(x.shape[-1])))
        for at in range(0, len(x), _PART):
            found[at : at + _PART] = pooled(scaled(self._sizes(x[at : at + _PART])), rows, frames)
        return found

    def _sizes(self, x: Tensor) -> Tensor:
        """Magnitudes in each band: `[n, mels, frames]`."""
        return transforms.mel_filters(self.sample_rate, self.n_fft, self.mels) @ self.magnitudes(x)


def _scaled(magnitude: Tensor, floor_db: float) -> Tensor:
    return decibels(magnitude).sub_(floor_db).div_(-floor_db).clamp_(0.0, 1.0)


def padded(x: Tensor, hop: int) -> Tensor:
    """Waveforms `[..., length]` with silence up to a multiple of `hop`, and 0 for what is not a finite number."""
    clean = torch.nan_to_num(x.float(), nan=0.0, posinf=0.0, neginf=0.0)
    return functional.pad(clean, (0, -x.shape[-1] % hop))


def decibels(magnitude: Tensor) -> Tensor:
    """20 log10 of `magnitude` of any shape, at least -200 dB."""
    return magnitude.clamp(min=1e-10).log10().mul_(20.0)


def by_parts(x: Tensor, look: Callable[[Tensor], Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """What `look` says of each of the waveforms `[n, 1, length]`, by name, float64 `[n]`; it is shown some at a time."""
    found: dict[str, Tensor] = {}
    for at in range(0, len(x), _PART):
        for name, values in look(x[at : at + _PART]).items():
            found.setdefault(name, torch.zeros(len(x), dtype=torch.float64))[at : at + _PART] = values
    return found


def pooled(levels: Tensor, rows: int, frames: int) -> Tensor:
    """Means of `levels` `[n, mels, frames]` over fields: `[n, rows, frames]`, never finer than they are."""
    size = (min(rows, levels.shape[1]), min(frames, levels.shape[2]))
    return functional.adaptive_avg_pool2d(levels, size)


def shuffled(count: int, seed: int = 0) -> Tensor:
    """The numbers below `count` in an order that follows from `seed` alone, int64 `[count]`."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def _possible(sample_rate: int, n_fft: int, mels: int) -> bool:
    try:
        transforms.mel_filters(sample_rate, n_fft, mels)
    except UsageError:
        return False
    return True
