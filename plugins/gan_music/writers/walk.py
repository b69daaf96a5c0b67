"""A walk as one piece of music: phrases one after another, as a MIDI file and as sound."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from gan_music.spec import MusicSpec
from gan_music.writers.common import Rolls, at_tempo, rolls_of, seconds_of_step
from gan_music.writers.midi import score
from gan_music.writers.sampler import Sound
from gan_music.writers.wav import TAIL, SoundOptions, play, sampler_of, save_sound
from gancore.storage import replacing
from gancore.text_chunks import TextInFiles


class WalkOptions(SoundOptions):
    """Options of the writer of walks."""


class WalkWriter(TextInFiles):
    """All phrases in time: `<stem>.mid`, and `<stem>.wav` of as many whole ones as fit into `seconds`, the first always.

    The MIDI file is as those of `MidiWriter`, the sound as that of `WavWriter`, but that the next phrase begins while the last notes
    of one fade. No note goes on from one phrase into the next.
    """

    def __init__(self, options: WalkOptions, spec: MusicSpec) -> None:
        self.options = options
        self.sampler = sampler_of(options)
        self.spec = at_tempo(spec, options.tempo)

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        """Write `samples` uint8 `[n, tracks, time, pitch]`, n at least 1, as one piece in their order."""
        del labels
        rolls = rolls_of(samples, self.spec)
        midi = score(rolls, self.spec, self.options.velocity)
        return [
            replacing(folder / f"{stem}.mid", midi.dump_midi),
            save_sound(folder / f"{stem}.wav", self._played(rolls), self.options.rate),
        ]

    def _played(self, rolls: Rolls) -> Sound:
        rate, seconds = self.options.rate, self.spec.time * seconds_of_step(self.spec)
        rolls = rolls[: max(1, int(self.options.seconds / seconds))]
        tail = round((seconds + TAIL) * rate) + 1
        begins = [round(number * seconds * rate) for number in range(len(rolls))]
        sound = np.zeros(begins[-1] + tail)
        for begin, roll in zip(begins, rolls, strict=True):
            part = play(roll, self.spec, rate, self.options.velocity, tail, self.sampler)
            sound[begin : begin + len(part)] += part
        return sound
