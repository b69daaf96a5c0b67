"""A data set whose clips are one array of equal length, in memory or mapped from a file: the base of sources of sounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from gan_audio.spec import AudioSpec
from gancore.data.classes import Content
from gancore.data.report import ScanReport
from gancore.errors import DataError
from gancore.random import Draws

Shorts = np.ndarray[Any, np.dtype[np.int16]]
Longs = np.ndarray[Any, np.dtype[np.int64]]
Place = Literal["start", "center", "random"]

FULL_SCALE = 32768.0
"""What int16 samples are divided by, as libsndfile does: 16-bit files are then held exactly."""


def as_float(x: Tensor) -> Tensor:
    """Samples of any shape, int16 or floating point, as float32 in [-1, 1]."""
    return x.float().div_(FULL_SCALE) if x.dtype is torch.int16 else x.float()


def open_mapped(file: Path) -> np.ndarray:
    """The array in a .npy file, read from disk only where it is looked at. Refuses pickled objects."""
    return np.load(file, mmap_mode="r", allow_pickle=False)


def open_samples(file: Path) -> Shorts:
    """The int16 samples, low byte first, that are the whole of a file; read from disk only where they are looked at."""
    return np.memmap(file, dtype="<i2", mode="r")


class WaveSource:
    """A `DataSource` over `waves` `[n, length]`, int16 or float32 in [-1, 1], a tensor or an array, mapped ones too.

    `labels` and `groups` are int64 `[n]` or None; labels are left out where `spec` has no classes. With `file`, `waves` is
    a mapping of that .npy file: a process that receives this object maps the file again instead of receiving the samples.
    Raises DataError for arrays that do not fit together or do not have the length of `spec`.
    """

    in_memory = True

    def __init__(
        self,
        spec: AudioSpec,
        waves: Tensor | np.ndarray,
        labels: Tensor | None,
        report: ScanReport,
        *,
        groups: Tensor | None = None,
        file: Path | None = None,
    ) -> None:
        kind = str(waves.dtype).removeprefix("torch.")
        if waves.ndim != 2 or waves.shape[1] != spec.length or kind not in ("int16", "float32"):
            raise DataError(
                f"data set '{report.source}': waveforms are {kind} {list(waves.shape)}; "
                f"int16 or float32 [n, {spec.length}] is needed"
            )
        for name, column in (("labels", labels), ("groups", groups)):
            if column is not None and (column.dtype is not torch.int64 or column.shape != (len(waves),)):
                raise DataError(
                    f"data set '{report.source}': {name} are {str(column.dtype).removeprefix('torch.')} "
                    f"{list(column.shape)}; int64 [{len(waves)}] is needed"
                )
        self.spec = spec
        self.waves = waves
        self.labels = labels if spec.classes else None
        self.report = report
        self.groups = groups
        self.file = file

    def __len__(self) -> int:
        return len(self.waves)

    def fetch(self, indices: Tensor, draws: Draws) -> tuple[Tensor, Tensor | None]:
        """Waveforms float32 `[batch, 1, length]` and class indices int64 `[batch]`, or None without labels."""
        del draws
        waves = self.waves
        rows = waves[indices] if isinstance(waves, Tensor) else torch.from_numpy(np.asarray(waves[indices.numpy()]))
        return as_float(rows)[:, None], None if self.labels is None else self.labels[indices]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | ({"waves": None} if self.file is not None else {})

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.file is not None:
            self.waves = open_mapped(self.file)


@dataclass(frozen=True, slots=True)
class Clips:
    """Where clips lie in the samples of all recordings; every column is `[n]`, places and lengths are in samples.

    A clip is taken from `span` samples at `start`, which belong to the recording between `first` and `last`. `trimmed`
    `[n, 2]` says whether the recording's own beginning and end are cuts, too.
    """

    start: Longs
    span: Longs
    first: Longs
    last: Longs
    trimmed: np.ndarray[Any, np.dtype[np.bool_]]

    def __len__(self) -> int:
        return len(self.start)


class ClipSource:
    """A `DataSource` over recordings of any lengths, `samples` int16 `[total]`, in memory or mapped from `file`.

    What is longer than a clip is cut to it, from the beginning, the middle or a random place by `crop`; what is shorter has
    silence after it, around it or at random on both sides by `place`. Over `fade` samples, in the form of a raised cosine,
    sound rises where its beginning was cut off, and falls where its end was, or where silence follows. `labels` and
    `groups` are int64 `[n]` or None; labels are left out where `spec` has no classes. Clips are multiplied by `gains` `[n]`.
    """

    in_memory = True
    content: Content | None = None

    def __init__(
        self,
        spec: AudioSpec,
        samples: Shorts,
        clips: Clips,
        labels: Tensor | None,
        report: ScanReport,
        *,
        crop: Place = "start",
        place: Place = "start",
        fade: int = 0,
        groups: Tensor | None = None,
        gains: np.ndarray[Any, np.dtype[np.float32]] | None = None,
        file: Path | None = None,
    ) -> None:
        self.spec = spec
        self.gains = gains
        self.samples = samples
        self.clips = clips
        self.labels = labels if spec.classes else None
        self.report = report
        self.crop: Place = crop
        self.place: Place = place
        self.fade = fade
        self.groups = groups
        self.file = file

    def __len__(self) -> int:
        return len(self.clips)

    def fetch(self, indices: Tensor, draws: Draws) -> tuple[Tensor, Tensor | None]:
        """Waveforms float32 `[batch, 1, length]` and class indices int64 `[batch]`, or None without labels."""
        length, rows = self.spec.length, indices.numpy()
        span = self.clips.span[rows]
        size = np.minimum(span, length)
        begin = self.clips.start[rows] + _somewhere(span - size, self.crop, draws.within("crop"))
        lead = _somewhere(length - size, self.place, draws.within("place"))
        rises = (begin > self.clips.first[rows]) | self.clips.trimmed[rows, 0]
        falls = (begin + size < self.clips.last[rows]) | self.clips.trimmed[rows, 1] | (lead + size < length)
        waves = np.zeros((len(rows), length), dtype=np.float32)
        # Rows are copied one by one: gathering them at once is several times slower, for it looks up every sample.
        for wave, at, to, count, rise, fall in zip(
            waves, begin.tolist(), lead.tolist(), size.tolist(), rises.tolist(), falls.tolist(), strict=True
        ):
            sound = wave[to : to + count]
            sound[:] = self.samples[at : at + count]
            ramp = _ramp(min(self.fade, count // 2))
            if rise:
                sound[: len(ramp)] *= ramp
            if fall:
                sound[count - len(ramp) :] *= ramp[::-1]
        waves /= np.float32(FULL_SCALE)
        if self.gains is not None:
            np.clip(waves * self.gains[rows, None], -1.0, 1.0, out=waves)
        return torch.from_numpy(waves)[:, None], None if self.labels is None else self.labels[indices]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | ({"samples": None} if self.file is not None else {})

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.file is not None:
            self.samples = open_samples(self.file)


def _somewhere(room: Longs, place: Place, draws: Draws) -> Longs:
    """A whole number from 0 to `room` `[batch]`, for each: 0, the middle, or any."""
    if place == "random":
        return np.minimum((draws.uniform("at").double().numpy() * (room + 1)).astype(np.int64), room)
    return room // 2 if place == "center" else np.zeros_like(room)


@lru_cache(maxsize=64)
def _ramp(count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """`count` factors that rise from 0 to 1 as a raised cosine."""
    return np.square(np.sin(math.pi / 2.0 * (np.arange(count) + 0.5) / max(1, count))).astype(np.float32)
