"""Each sample as a WAV file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from gan_audio.spec import AudioSpec
from gan_audio.writers.common import Voice, WaveOptions, save_wave
from gancore.sampling.names import sample_name
from gancore.text_chunks import TextInFiles


class WavOptions(WaveOptions):
    """Options of the writer of single sounds."""


class WavWriter(TextInFiles):
    """A WAV file a sample, mono: `<stem>-00012.wav`, or `<stem>-00012-drum.wav` with labels, at the spec's sample rate.

    Never clipped: a sample above full scale is turned down as a whole. Whole numbers are rounded without dither, so that
    sounds that came out of 16-bit files go back unchanged. A sample that is not finite is written as silence, with a warning.
    Raises what `Voice` does, for a folder that holds no vocoder.
    """

    def __init__(self, options: WavOptions, spec: AudioSpec) -> None:
        self.options = options
        self.spec = spec
        self.voice = Voice(options, spec)

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        """Write `samples` float32 `[n, 1, length]`, n at least 1, numbered from 0."""
        return [
            save_wave(
                folder / sample_name(stem, number, ".wav", labels, self.spec.classes),
                wave,
                self.spec.sample_rate,
                self.options.format,
            )
            for number, wave in enumerate(self.voice.waves(samples))
        ]
