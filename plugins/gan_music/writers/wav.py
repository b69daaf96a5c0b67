"""Phrases as sound: by a few plain instruments out of sines and noise, or by the recordings of a sound font."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import soundfile
from pydantic import Field, field_validator
from torch import Tensor

from gan_music.roll import to_notes
from gan_music.spec import MusicSpec, Track
from gan_music.writers.common import Rolls, at_tempo, midi_velocity, rolls_of, seconds_of_step
from gan_music.writers.sampler import Sampler, Sound
from gan_music.writers.soundfont import SoundFont
from gancore.options import Options
from gancore.storage import replacing
from gancore.text_chunks import TextInFiles

Voice = Callable[[int, int, int, int], Sound]
"""Pitch, velocity 1 to 127, and for how many samples it is held and may sound at most, to the sound of a note `[samples]`."""

TAIL = 0.5
"""Seconds after each phrase, in which its last notes fade."""
LOUDNESS = 0.2
"""Amplitude of one note at full velocity, where full scale is 1."""
FONT_GAIN = 3.0
"""Fonts leave room for many voices: with this, General MIDI ones are about as loud as the built-in instruments."""
FADE = 0.05
"""Seconds at the end of the tail in which what still sounds fades out."""
PEAK = 0.9
"""What the loudest moment is brought down to, where notes add up to more."""


class SoundOptions(Options):
    """Options of whatever writes sound."""

    seconds: float = Field(120.0, ge=1.0, le=3600.0, description="The sound ends after this long at the latest.")
    rate: Literal[22050, 44100] = Field(22050, description="Sampling rate, in hertz.")
    velocity: int = Field(90, ge=1, le=127, description="Velocity of all notes where the data keep none.")
    tempo: float | None = Field(
        None, ge=10.0, le=1000.0, description="Quarter notes a minute; that of the data when not given."
    )
    soundfont: Path | None = Field(
        None, description="A sound font (.sf2 or .sf3) that plays the notes; plain built-in instruments when not given."
    )

    @field_validator("soundfont")
    @classmethod
    def _anywhere(cls, value: Path | None) -> Path | None:
        """A whole path, as that of data is kept, so that a run can be resumed and sampled in another folder."""
        return None if value is None or str(value) == "none" else value.expanduser().absolute()


class WavOptions(SoundOptions):
    """Options of the writer of sound."""

    phrases: int = Field(4, ge=1, le=1000, description="How many phrases are played, one after the other.")


class WavWriter(TextInFiles):
    """The first phrases in turn, with half a second after each: `<stem>.wav`, mono, 16 bit. A silent phrase is silence.

    With a sound font its presets for the tracks' programs play, and its drum kit, as far as it has them: in place of a
    missing program another of its family, in place of a missing kit the built-in drums. Raises UsageError for a file that
    is no sound font.
    """

    def __init__(self, options: WavOptions, spec: MusicSpec) -> None:
        self.options = options
        self.sampler = sampler_of(options)
        self.spec = at_tempo(spec, options.tempo)

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        """Write the first of `samples` uint8 `[n, tracks, time, pitch]`, n at least 1."""
        del labels
        rate, longest = self.options.rate, int(self.options.seconds * self.options.rate)
        parts: list[Sound] = []
        for roll in rolls_of(samples, self.spec)[: self.options.phrases]:
            left = longest - sum(map(len, parts))
            if left > 0:
                parts.append(play(roll, self.spec, rate, self.options.velocity, left, self.sampler))
        return [save_sound(folder / f"{stem}.wav", np.concatenate(parts), rate)]


def sampler_of(options: SoundOptions) -> Sampler | None:
    """What plays by the sound font that is asked for; UsageError for a file that is none."""
    return None if options.soundfont is None else Sampler(SoundFont(options.soundfont), options.rate)


def save_sound(path: Path, sound: Sound, rate: int) -> Path:
    """Write `sound` `[samples]`, brought down as a whole where it is too loud."""
    sound = sound * min(1.0, PEAK / max(float(np.abs(sound).max()), 1e-9))
    whole = (sound * 32767.0).round().astype(np.int16)
    return replacing(path, lambda unfinished: soundfile.write(unfinished, whole, rate, subtype="PCM_16"))


def play(roll: Rolls, spec: MusicSpec, rate: int, velocity: int, most: int, sampler: Sampler | None = None) -> Sound:
    """The sound `[samples]` of one phrase `[tracks, time, pitch]` with its tail, at most `most` samples; not yet levelled."""
    step = seconds_of_step(spec) * rate
    sound = np.zeros(min(most, round(spec.time * step) + round(TAIL * rate)))
    notes = to_notes(roll, spec)
    loud = midi_velocity(notes.velocity, spec, velocity)
    voices = [voice_of(track, rate, sampler) for track in spec.tracks]
    # Notes of one sound together, which then is computed once.
    order = np.lexsort((notes.duration, notes.pitch, notes.track))
    for track, start, duration, pitch, level in zip(
        notes.track[order].tolist(),
        notes.start[order].tolist(),
        notes.duration[order].tolist(),
        notes.pitch[order].tolist(),
        loud[order].tolist(),
        strict=True,
    ):
        begin = round(start * step)
        left = len(sound) - begin
        if left > 0:
            held = min(round((start + duration) * step) - begin, left)
            note = voices[track](pitch, level, held, left)[:left]
            sound[begin : begin + len(note)] += LOUDNESS * note
    edge = min(len(sound), round(FADE * rate))
    sound[len(sound) - edge :] *= np.linspace(1.0, 0.0, edge)
    return sound


def voice_of(track: Track, rate: int, sampler: Sampler | None) -> Voice:
    """What plays the notes of a track."""
    preset = None if sampler is None else sampler.font.preset(track.program, track.drums)
    if sampler is not None and preset is not None:
        note = partial(sampler.note, preset)
        return lambda pitch, velocity, held, most: FONT_GAIN * note(pitch, velocity, held, most)
    if track.drums:
        return lambda pitch, velocity, held, most: velocity / 127.0 * drum(pitch, rate)
    kind = instrument(track.program)
    return lambda pitch, velocity, held, most: velocity / 127.0 * tone(kind, pitch, held, rate)


# --- instruments ------------------------------------------------------------------------------------------------------


class Instrument(NamedTuple):
    """A sum of harmonics. Times in seconds."""

    harmonics: tuple[float, ...]
    """Amplitudes of the fundamental and its multiples."""
    attack: float
    decay: float
    """In which the fundamental of a struck or plucked string falls to 1/e; higher harmonics fall faster. 0: it is sustained."""
    release: float


FAMILIES = (
    Instrument((1.0, 0.5, 0.3, 0.18, 0.1, 0.06), 0.004, 0.9, 0.08),  # pianos
    Instrument((1.0, 0.05, 0.0, 0.35, 0.0, 0.1), 0.002, 0.5, 0.2),  # bells and mallets
    Instrument((1.0, 0.7, 0.4, 0.4, 0.0, 0.2), 0.01, 0.0, 0.05),  # organs
    Instrument((1.0, 0.6, 0.45, 0.25, 0.15, 0.1, 0.06), 0.003, 0.6, 0.06),  # guitars
    Instrument((1.0, 0.7, 0.35, 0.12), 0.006, 0.8, 0.06),  # basses
    Instrument((1.0, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08), 0.07, 0.0, 0.12),  # strings
    Instrument((1.0, 0.45, 0.25, 0.15, 0.1), 0.09, 0.0, 0.15),  # ensembles and voices
    Instrument((1.0, 0.8, 0.65, 0.5, 0.35, 0.2, 0.1), 0.03, 0.0, 0.06),  # brass
    Instrument((1.0, 0.15, 0.6, 0.1, 0.35, 0.06, 0.2), 0.02, 0.0, 0.05),  # reeds
    Instrument((1.0, 0.25, 0.08), 0.03, 0.0, 0.06),  # pipes
    Instrument((1.0, 0.5, 0.33, 0.25, 0.2, 0.17, 0.14), 0.01, 0.0, 0.05),  # synthesised leads
    Instrument((1.0, 0.4, 0.2, 0.1), 0.15, 0.0, 0.2),  # pads
    Instrument((1.0, 0.3, 0.3, 0.2), 0.1, 0.0, 0.2),  # effects
    Instrument((1.0, 0.6, 0.5, 0.35, 0.25, 0.15), 0.002, 0.45, 0.05),  # plucked strings of the world
    Instrument((1.0, 0.1, 0.25, 0.3), 0.001, 0.2, 0.05),  # percussion with a pitch
    Instrument((1.0, 0.3), 0.02, 0.0, 0.1),  # sound effects
)
"""One for each of the sixteen families of eight programs in General MIDI."""


def instrument(program: int) -> Instrument:
    """What plays a General MIDI program, 0 to 127."""
    return FAMILIES[program // 8]


@lru_cache(maxsize=64)
def tone(kind: Instrument, pitch: int, held: int, rate: int) -> Sound:
    """A note of MIDI pitch `pitch`, held for `held` samples and then released: `[samples]` within [-1, 1].

    Harmonics from half the sampling rate on, which would come back as false tones, are left out.
    """
    release = max(1, round(kind.release * rate))
    time = np.arange(held + release) / rate
    frequency = 440.0 * 2.0 ** ((pitch - 69) / 12.0)
    sound = np.zeros(len(time))
    for number, amplitude in enumerate(kind.harmonics, 1):
        if amplitude and number * frequency < rate / 2.0:
            part = amplitude * np.sin(2.0 * np.pi * number * frequency * time)
            sound += part * np.exp(-time * (number**0.7 / kind.decay)) if kind.decay else part
    envelope = np.minimum(1.0, time / kind.attack)
    envelope[held:] *= np.linspace(1.0, 0.0, release)
    return sound * envelope / sum(kind.harmonics)


@lru_cache(maxsize=32)
def drum(pitch: int, rate: int) -> Sound:
    """A stroke of the General MIDI drum at `pitch`: `[samples]` within [-1, 1]. The noise of one drum is always the same."""
    noise = np.random.default_rng(pitch).uniform(-1.0, 1.0, rate)
    time = np.arange(rate) / rate
    if pitch in (35, 36):  # bass drums: a sine that falls from 150 to 50 Hz
        turn = 50.0 * time + 100.0 * 0.04 * (1.0 - np.exp(-time / 0.04))
        sound, length = np.sin(2.0 * np.pi * turn) * np.exp(-time / 0.12), 0.5
    elif pitch in (41, 43, 45, 47, 48, 50, 60, 61, 62, 63, 64):  # toms, bongos, congas
        frequency = 80.0 * 2.0 ** ((pitch - 41) / 12.0)
        sound, length = np.sin(2.0 * np.pi * frequency * time) * np.exp(-time / 0.15), 0.6
    elif pitch in (37, 38, 39, 40):  # snares and claps: a tone under noise
        sound = (0.4 * np.sin(2.0 * np.pi * 190.0 * time) + 0.6 * noise) * np.exp(-time / 0.07)
        length = 0.35
    else:  # cymbals, hats and everything small: noise without its low part
        fade = 0.3 if pitch in (46, 49, 51, 52, 53, 55, 57, 59) else 0.04
        sound = 0.5 * np.diff(noise, prepend=0.0) * np.exp(-time / fade)
        length = min(1.0, 4.0 * fade)
    sound = sound[: int(length * rate)]
    edge = min(len(sound), rate // 100)
    sound[-edge:] *= np.linspace(1.0, 0.0, edge)
    return sound
