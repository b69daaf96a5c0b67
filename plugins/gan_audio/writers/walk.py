"""A walk as one sound: samples one after another, each fading into the next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import Field
from torch import Tensor

from gan_audio.spec import AudioSpec
from gan_audio.writers.common import Voice, WaveOptions, Waves, levelled, save_wave
from gancore.text_chunks import TextInFiles


class WalkOptions(WaveOptions):
    """Options of the writer of walks."""

    crossfade: float = Field(
        0.01,
        ge=0.001,
        le=10.0,
        description="Seconds in which a sample fades into the next, at most half a sample; long ones soften attacks.",
    )


class WalkWriter(TextInFiles):
    """Samples one after another, without a gap: `<stem>.wav`, mono.

    Levels, rounding and values that are not finite are treated as in `WavWriter`.
    """

    def __init__(self, options: WalkOptions, spec: AudioSpec) -> None:
        self.options = options
        self.spec = spec
        self.voice = Voice(options, spec)

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        """Write `samples` float32 `[n, 1, length]`, n at least 1, as one sound in their order."""
        del labels
        rate = self.spec.sample_rate
        sound = crossfaded(self.voice.waves(samples), round(self.options.crossfade * rate))
        return [save_wave(folder / f"{stem}.wav", levelled(sound[None], None)[0], rate, self.options.format)]


def crossfaded(waves: Waves, overlap: int) -> Waves:
    """`waves` `[n, length]` as one sound `[samples]`, in which the ends of neighbours overlap by at most half their length.

    The power stays what it was: that of a sum depends on how alike the two are, which is 1 for equal and 0 for unrelated sounds.
    """
    length = waves.shape[1]
    overlap = max(1, min(overlap, length // 2))
    angle = (np.arange(overlap, dtype=np.float32) + 0.5) / overlap * np.pi / 2.0
    down, up = np.cos(angle), np.sin(angle)
    ends, starts = waves[:-1, length - overlap :], waves[1:, :overlap]
    sizes = np.linalg.norm(ends, axis=1) * np.linalg.norm(starts, axis=1)
    alike = np.clip((ends * starts).sum(axis=1) / np.maximum(sizes, 1e-9), 0.0, 1.0)[:, None]
    seams = (ends * down + starts * up) / np.sqrt(1.0 + 2.0 * alike * down * up)
    insides = waves[:, overlap : length - overlap]
    joined = np.concatenate([insides[:-1], seams], axis=1).ravel()
    sound: Waves = np.concatenate([waves[0, :overlap], joined, insides[-1], waves[-1, length - overlap :]])
    return sound.astype(np.float32)
