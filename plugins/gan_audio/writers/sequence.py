"""Many samples in one WAV file, one after another, so that one can listen to a step of a training at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import Field
from torch import Tensor

from gan_audio.spec import AudioSpec
from gan_audio.writers.common import Voice, WaveOptions, in_turn, save_wave
from gancore.text_chunks import TextInFiles


class SequenceOptions(WaveOptions):
    """Options of the writer of sequences."""

    gap: float = Field(0.25, ge=0.0, le=10.0, description="Silence between two samples, in seconds.")
    seconds: float = Field(
        60.0,
        ge=1.0,
        le=3600.0,
        description="Samples follow until the next would end after this; the first is always there.",
    )


class SequenceWriter(TextInFiles):
    """The samples of a sheet in its order, row by row, with silence between them: `<stem>.wav`, mono.

    Levels, rounding and values that are not finite are treated as in `WavWriter`.
    """

    def __init__(self, options: SequenceOptions, spec: AudioSpec) -> None:
        self.options = options
        self.spec = spec
        self.voice = Voice(options, spec)

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        """Write the first of `samples` float32 `[n, 1, length]`, n at least 1, as one sound."""
        rate = self.spec.sample_rate
        gap = round(self.options.gap * rate)
        order, _ = in_turn(len(samples), labels)
        fitting = int((self.options.seconds * rate + gap) // (self.spec.length + gap))
        waves = self.voice.waves(samples[order[: max(1, fitting)]])
        sound = np.pad(waves, ((0, 0), (0, gap))).reshape(-1)
        return [save_wave(folder / f"{stem}.wav", sound[: len(sound) - gap], rate, self.options.format)]
