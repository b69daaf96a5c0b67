"""Plays notes with the recordings of a sound font: pitch, loops, both envelopes and the low-pass filter.

Vibrato, tremolo, a pitch that an envelope bends, and stereo are left out.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gan_music.writers.soundfont import (
    ATTENUATION,
    COARSE_TUNE,
    DELAY,
    FILTER,
    FILTER_SWEEP,
    FINE_TUNE,
    FIXED_KEY,
    FIXED_VELOCITY,
    MOST_LAYERS,
    PAN,
    RESONANCE,
    SCALE,
    SUSTAIN,
    SWEEP,
    Recording,
    Region,
    SoundFont,
)

Sound = npt.NDArray[np.float64]
"""Samples `[samples]`, full scale 1."""

SILENT = -96.0
"""Decibels below which a note is over."""
ATTENUATION_SHARE = 0.4
"""Sound cards that the format was made for took off this much of the attenuation written, and fonts are balanced by them."""
MOST_FRAMES = 1 << 21
"""Of a recording, for one note: 47 seconds at 44,100 Hz."""
SHORTEST = 0.005
"""Seconds of release at least, without which letting go clicks."""


class Sampler:
    """Plays `font` at `rate` hertz."""

    def __init__(self, font: SoundFont, rate: int) -> None:
        self.font = font
        self.rate = rate
        self._played = lru_cache(maxsize=128)(self._play)

    def note(self, preset: int, pitch: int, velocity: int, held: int, most: int) -> Sound:
        """A note of a MIDI pitch and velocity, held for `held` samples: `[samples]`, at most `most`, with its release.

        Amplitudes are those of the recordings, within [-1, 1] for each that plays. Silence `[0]` where none takes the note.
        """
        sound: Sound = np.zeros(0)
        layers = [region for region in self.font.regions(preset) if region.takes(pitch, velocity)]
        for region in layers[:MOST_LAYERS]:
            key, strength = (
                int(region.amounts[fixed]) if region.amounts[fixed] >= 0 else played
                for fixed, played in ((FIXED_KEY, pitch), (FIXED_VELOCITY, velocity))
            )
            envelope = self._envelope(region, key, held, most)
            recorded = self._filtered(region, key, held, len(envelope))
            part: Sound = recorded * envelope[: len(recorded)] * (loudness(region) * (strength / 127.0) ** 2)
            if len(part) > len(sound):
                sound, part = part, sound
            sound[: len(part)] += part
        return sound

    def _envelope(self, region: Region, key: int, held: int, most: int) -> Sound:
        """Factors in [0, 1] `[samples]`: delay, attack, hold, decay to the sustained level, and from `held` on the release."""
        shape = _shape(region.amounts, DELAY, key)
        sustain = -min(max(float(region.amounts[SUSTAIN]) / 10.0, 0.0), 100.0)
        release = max(shape.release, SHORTEST)

        def level(time: Sound) -> Sound:
            """Decibels at `time` in seconds while the key is down. The attack is straight in amplitude, the decay in decibels."""
            rise = np.clip((time - shape.delay) / shape.attack, 10.0 ** (SILENT / 20.0), 1.0)
            return 20.0 * np.log10(rise) + np.maximum(-100.0 * shape.decayed(time), sustain)

        end = held / self.rate
        (last,) = level(np.array([end]))
        # In decibels a release takes its time for 100, from wherever the note is.
        after = release * max(0.0, last - SILENT) / 100.0
        time = np.arange(min(most, math.ceil((end + after) * self.rate))) / self.rate
        decibels = np.where(time < end, level(time), last - 100.0 * (time - end) / release)
        return np.where(decibels > SILENT, 10.0 ** (decibels / 20.0), 0.0)

    def _filtered(self, region: Region, key: int, held: int, length: int) -> Sound:
        """The recording at the pitch of `key` before the loudness envelope: `[samples]`, at most `length`.

        Where the second envelope moves the filter, what is heard goes between filters that stand still, at three places of
        its way.
        """
        rounded = _rounded(length)
        if not region.amounts[FILTER_SWEEP]:
            return self._played(region, key, rounded, 0.0)[:length].astype(np.float64)
        shape = _shape(region.amounts, SWEEP, key)
        sustain = 1.0 - min(max(float(region.amounts[SWEEP + 4]) / 1000.0, 0.0), 1.0)

        def level(time: Sound) -> Sound:
            rise = np.clip((time - shape.delay) / shape.attack, 0.0, 1.0)
            return rise * np.maximum(1.0 - shape.decayed(time), sustain)

        closed, half, opened = (self._played(region, key, rounded, share)[:length] for share in (0.0, 0.5, 1.0))
        time = np.arange(len(closed)) / self.rate
        end = held / self.rate
        (last,) = level(np.array([end]))
        value = np.where(time < end, level(time), last - (time - end) / shape.release).clip(0.0, 1.0)
        return np.where(
            value < 0.5,
            closed + 2.0 * value * (half - closed),
            half + (2.0 * value - 1.0) * (opened - half),
        )

    def _play(self, region: Region, key: int, length: int, sweep: float) -> npt.NDArray[np.float32]:
        """The recording of `region` at the pitch of `key`, filtered, before any envelope: `[samples]`, at most `length`.

        `sweep` in [0, 1] says how far the second envelope has moved the filter.
        """
        recording = self.font.recording(region)
        if recording is None:
            return np.zeros(0, np.float32)
        amounts = region.amounts
        cents = (key - recording.pitch) * int(amounts[SCALE]) + recording.correction
        cents += 100 * int(amounts[COARSE_TUNE]) + int(amounts[FINE_TUNE])
        step = recording.rate / self.rate * 2.0 ** (min(max(cents, -12_000), 12_000) / 1200.0)
        source = _unrolled(recording, min(math.ceil(length * step) + 4, MOST_FRAMES))
        length = min(length, int((len(source) - 1) / step) + 1)

        # Through its spectrum the source is filtered, freed of what the new rate cannot hold, and doubled in resolution;
        # a cubic between points of that is close to exact.
        size = 1 << (len(source) + 64).bit_length()
        frequency = np.arange(size // 2 + 1) * (recording.rate / size)  # of the recording's own hertz
        cutoff = float(amounts[FILTER]) + sweep * float(amounts[FILTER_SWEEP])
        heard = frequency * (step * self.rate / recording.rate)
        spectrum = np.fft.rfft(source, size) * _response(cutoff, float(amounts[RESONANCE]), heard)
        keep = min(0.5, 0.5 / step) * recording.rate
        spectrum *= 0.5 + 0.5 * np.cos(np.pi * np.clip((frequency / keep - 0.9) / 0.1, 0.0, 1.0))
        fine = np.fft.irfft(spectrum, 2 * size) * 2.0
        place = np.arange(length) * (2.0 * step)
        whole = place.astype(np.int64)
        t = place - whole
        a, b, c, d = (fine[(whole + k) % len(fine)] for k in (-1, 0, 1, 2))
        curve = b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)))
        return curve.astype(np.float32)


def loudness(region: Region) -> float:
    """The factor of a region: its attenuation, and what a mix to one channel takes of what is panned to a side."""
    decibels = ATTENUATION_SHARE * min(max(float(region.amounts[ATTENUATION]), 0.0), 1440.0) / 10.0
    angle = (min(max(float(region.amounts[PAN]), -500.0), 500.0) + 500.0) / 1000.0 * math.pi / 2.0
    return 10.0 ** (-decibels / 20.0) * (math.cos(angle) + math.sin(angle)) / math.sqrt(2.0)


def _seconds(timecents: float) -> float:
    """Time as the format has it: 1,200 to the factor of two, 0 for a second. Within a millisecond and 100 seconds."""
    return float(2.0 ** (min(max(float(timecents), -12_000.0), 8_000.0) / 1200.0))


def _rounded(length: int) -> int:
    """`length` samples or somewhat more, so that notes of nearly the same length share a rendering."""
    return max(4096, 1 << (length - 1).bit_length())


def _unrolled(recording: Recording, frames: int) -> npt.NDArray[np.float32]:
    """The first `frames` of a recording, going round in its loop if it has one; fewer where it ends."""
    if recording.loop is None:
        return recording.sound[:frames]
    first, end = recording.loop
    place = np.arange(frames)
    return recording.sound[np.where(place < end, place, first + (place - first) % (end - first))]


def _response(cents: float, resonance: float, frequency: Sound) -> Sound:
    """Factors of a resonant low pass of second order at `frequency` in hertz."""
    if cents >= 13_500.0 and resonance <= 0.0:
        return np.ones_like(frequency)
    cutoff = 8.176 * 2.0 ** (min(max(cents, 1_500.0), 13_500.0) / 1200.0)
    quality = 10.0 ** ((min(max(resonance, 0.0), 960.0) / 10.0 - 3.01) / 20.0)
    ratio = frequency / cutoff
    response: Sound = 1.0 / np.sqrt((1.0 - ratio**2) ** 2 + (ratio / quality) ** 2)
    return response


class Shape(NamedTuple):
    """The times of an envelope, in seconds."""

    delay: float
    attack: float
    hold: float
    decay: float
    release: float

    def decayed(self, time: Sound) -> Sound:
        """How much of its decay time an envelope has behind it at `time`: 0 before, 1 and more after it."""
        return np.clip((time - self.delay - self.attack - self.hold) / self.decay, 0.0, None)


def _shape(amounts: npt.NDArray[np.int64], first: int, key: int) -> Shape:
    """The times of the envelope that begins with generator `first`; high keys hold and decay faster where the font says so."""
    delay, attack, hold, decay, _, release, key_to_hold, key_to_decay = amounts[first : first + 8].tolist()
    hold, decay = hold + key_to_hold * (60 - key), decay + key_to_decay * (60 - key)
    return Shape(*(_seconds(part) for part in (delay, attack, hold, decay, release)))
