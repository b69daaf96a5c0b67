"""The built-in demonstration set: notes of four instruments, synthesised when it is opened.

Since the pitch of every note is known, whether a network learnt it can be measured.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from gan_audio.data.options import SoundOptions
from gan_audio.data.pitches import hertz, note_name
from gan_audio.data.source import FULL_SCALE, WaveSource
from gan_audio.data.synthesis import RATIO, TIMBRES, Notes, play
from gancore.components import ProgressReport
from gancore.data.report import ScanReport
from gancore.random import Draws, derive

DETUNED_CENTS = 5.0
"""How far a note is from its pitch at most."""
MAX_SAMPLES = 2**31
"""Samples that all notes have together: 4 GiB."""
FITTED, FITTED_SAMPLES = 960, 2**26
"""At most so many notes, from the first, and samples are looked at to find the range of each row of spectrograms."""
_PART_NOTES, _PART_SAMPLES = 4096, 2**21
"""Notes synthesised at once, to bound memory and stay in the processor's cache."""


class Options(SoundOptions):
    """Options of the data set `notes`."""

    length: int = Field(4096, ge=16, le=2**24, description="Samples in a clip, a multiple of hop.")
    n_fft: int = Field(512, ge=16, le=16_384, description="Samples in a frame of the transform; half as many bins.")
    hop: int = Field(128, ge=1, le=8192, description="Samples from frame to frame.")
    count: int = Field(4096, ge=1, le=100_000, description="How many notes are synthesised.")
    lowest: int = Field(60, ge=21, le=108, description="MIDI pitch of the lowest notes: 60 is middle C, C4.")
    octaves: int = Field(2, ge=1, le=8, description="Octaves of pitches, 12 in each, from the lowest up.")
    labels: Literal["pitch", "timbre", "both", "none"] = Field(
        "pitch",
        description="What a note's class is: its pitch (C4, C#4 ...), its timbre (plucked, bowed, blown, struck), both"
        " (C4 plucked), or nothing.",
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Decides the notes; another gives notes to hold out.")

    @model_validator(mode="after")
    def _can_be_played(self) -> Options:
        top = self.lowest + self.pitches - 1
        if top > 127:
            raise ValueError(
                f"lowest={self.lowest} and octaves={self.octaves} go up to MIDI pitch {top}; 127 is the highest there is"
            )
        # One part in a hundred for tuning and vibrato.
        if (needed := 1.01 * RATIO * float(hertz(top))) > self.sample_rate:
            raise ValueError(
                f"the highest note, {note_name(top)}, has its third harmonic above half of sample_rate={self.sample_rate}; "
                f"take sample_rate={100 * int(-(-needed // 100))} or more, a lower note for lowest, or fewer octaves"
            )
        if self.count * self.length > MAX_SAMPLES:
            raise ValueError(
                f"count={self.count} notes of length={self.length} are {self.count * self.length:,} samples; at most "
                f"{MAX_SAMPLES:,} are held in memory. Take fewer or shorter notes"
            )
        return self

    @property
    def pitches(self) -> int:
        """How many pitches there are."""
        return 12 * self.octaves


def open_notes(options: Options, progress: ProgressReport) -> WaveSource:
    """Notes that are a function of the seed and their number: with a larger `count` the first stay the same.

    Every pitch comes equally often with every timbre, as far as `count` allows.
    """
    waves = np.empty((options.count, options.length), np.int16)
    part = max(len(TIMBRES), min(_PART_NOTES, _PART_SAMPLES // options.length))
    for start in range(0, options.count, part):
        progress("synthesising notes", start, options.count)
        waves[start : start + part] = _synthesise(options, torch.arange(start, min(start + part, options.count)))
    progress("synthesising notes", options.count, options.count)

    labels, classes = _labels(options, torch.arange(options.count))
    source = WaveSource(
        options.spec(classes),
        torch.from_numpy(waves),
        labels,
        ScanReport(source="notes", found=options.count, used=options.count),
    )
    some = torch.arange(max(1, min(options.count, FITTED, FITTED_SAMPLES // options.length)))
    source.spec = source.spec.fitted(source.fetch(some, Draws(options.seed, some))[0])
    return source


def kinds(options: Options, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Pitches, counted from the lowest, and places in TIMBRES, int64 `[n]` each, of the notes with these numbers `[n]`."""
    pair = numbers % (len(TIMBRES) * options.pitches)
    # Both change from note to note. Since there are 12 pitches or a multiple, the last term makes all pairs different ones.
    return pair % options.pitches, (pair + pair // options.pitches) % len(TIMBRES)


def _labels(options: Options, numbers: Tensor) -> tuple[Tensor | None, tuple[str, ...]]:
    """Classes of notes, int64 `[n]`, and their names; lowest pitch first."""
    pitch, timbre = kinds(options, numbers)
    names = tuple(note_name(options.lowest + place) for place in range(options.pitches))
    if options.labels == "pitch":
        return pitch, names
    if options.labels == "timbre":
        return timbre, TIMBRES
    if options.labels == "both":
        return pitch * len(TIMBRES) + timbre, tuple(f"{name} {other}" for name in names for other in TIMBRES)
    return None, ()


def _synthesise(options: Options, numbers: Tensor) -> np.ndarray:
    """The notes with these numbers `[n]`, int16 `[n, length]`."""
    seed = derive(options.seed, "notes")
    pitch, timbre = kinds(options, numbers)
    cents = DETUNED_CENTS * (2.0 * Draws(seed, numbers).uniform("detuned").numpy() - 1.0)
    frequency = hertz(options.lowest + pitch.numpy() + cents / 100.0)
    waves = np.empty((len(numbers), options.length), np.int16)
    for place, name in enumerate(TIMBRES):
        chosen = timbre == place
        if bool(chosen.any()):
            rows = chosen.numpy()
            notes = Notes(frequency[rows], Draws(seed, numbers[chosen]), options.sample_rate, options.length)
            waves[rows] = np.rint(play(name, notes) * FULL_SCALE)
    return waves
