"""Phrases as MIDI files, one each, as any other program opens them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import symusic
from pydantic import Field
from torch import Tensor

from gan_music.roll import to_note_table
from gan_music.spec import MusicSpec
from gan_music.writers.common import Rolls, at_tempo, midi_velocity, quarters_of_step, rolls_of
from gancore.options import Options
from gancore.storage import replacing
from gancore.text_chunks import TextInFiles

TICKS_PER_QUARTER = 480
"""The usual resolution; a finer one is taken where a step of the grid is no whole number of these."""


class MidiOptions(Options):
    """Options of the writer of MIDI files."""

    velocity: int = Field(90, ge=1, le=127, description="Velocity of all notes where the data keep none.")
    tempo: float | None = Field(
        None, ge=10.0, le=1000.0, description="Quarter notes a minute; that of the data when not given."
    )


class MidiWriter(TextInFiles):
    """A MIDI file a phrase: `<stem>-00012.mid`, of type 1, with tempo, time signature, and name and program of each track.

    Silent tracks are there too. Drums are on channel 10 and last a step; other tracks take the remaining fifteen
    channels in turn, so that with more than fifteen some share one (and the last program set on it). A marker `end`
    stands where the phrase ends, which silence at its end would hide.
    """

    def __init__(self, options: MidiOptions, spec: MusicSpec) -> None:
        self.options = options
        self.spec = at_tempo(spec, options.tempo)

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        """Write `samples` uint8 `[n, tracks, time, pitch]`, n at least 1, numbered from 0."""
        del labels
        return [
            replacing(
                folder / f"{stem}-{number:05d}.mid", score(roll[None], self.spec, self.options.velocity).dump_midi
            )
            for number, roll in enumerate(rolls_of(samples, self.spec))
        ]


def ticks(spec: MusicSpec) -> tuple[int, int]:
    """Ticks of a quarter note and of a step, both whole: at least 480 a quarter, and as few above that as will do."""
    step = quarters_of_step(spec)
    quarter = step.denominator * math.ceil(TICKS_PER_QUARTER / step.denominator)
    return quarter, int(quarter * step)


def score(rolls: Rolls, spec: MusicSpec, single: int) -> Any:
    """The phrases `rolls` `[n, tracks, time, pitch]`, one after another, as a score of symusic's.

    No note goes on from one phrase into the next. `single` is the velocity where the spec tells none apart.
    """
    quarter, step = ticks(spec)
    notes, phrase = to_note_table(rolls, spec)
    start = notes.start + phrase * spec.time
    velocity = midi_velocity(notes.velocity, spec, single)
    made: Any = symusic.Score(quarter)
    made.tempos.append(symusic.Tempo(0, qpm=spec.tempo))
    made.time_signatures.append(symusic.TimeSignature(0, spec.beats_per_bar, spec.beat_unit))
    made.markers.append(symusic.TextMeta(len(rolls) * spec.time * step, "end"))
    for number, track in enumerate(spec.tracks):
        mine = notes.track == number
        voice: Any = symusic.Track(track.name, 0 if track.drums else track.program, track.drums)
        voice.notes = type(voice.notes).from_numpy(
            (start[mine] * step).astype(np.int32),
            (notes.duration[mine] * step).astype(np.int32),
            notes.pitch[mine].astype(np.int8),
            velocity[mine].astype(np.int8),
        )
        made.tracks.append(voice)
    return made
