"""Four instruments, each for many notes at once: a plucked and a bowed string, a pipe that is blown, and a bar that is struck.

All are band-limited: what would lie above half the sample rate is left out rather than folded back. Each note is computed by
itself, from its frequency and its own random numbers, whatever others are computed with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gancore.random import Draws

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

LOUDEST_DB, QUIETEST_DB = -3.0, -12.0
"""Peaks of notes, where a sine at full scale has 0 dB."""
VIBRATO_CENTS = 10.0
"""How far the pitch of a bowed note swings at most, to either side."""
RATIO = 6
"""Notes must have frequencies below the sample rate over this, so that each has its second and third harmonic."""
_SHORTEST_REST, _LONGEST_REST = 0.03, 0.2
"""The part of a clip that is silent behind a note."""
_MOST_HARMONICS = 100
_ORDER = 5
"""Of the Lagrange interpolator in the string; odd, so that its gain is at most 1."""


@dataclass(frozen=True, slots=True)
class Notes:
    """What an instrument is asked to play: `frequency` `[n]` in Hz, below `sample_rate / RATIO`, and random numbers for each.

    Clips have `length` samples. How long parts of a note last follows the clip, attacks excepted.
    """

    frequency: Floats
    draws: Draws
    sample_rate: int
    length: int

    @property
    def seconds(self) -> float:
        return self.length / self.sample_rate

    @property
    def time(self) -> Floats:
        """Seconds since the beginning, float32 `[length]`."""
        return (np.arange(self.length) / self.sample_rate).astype(np.float32)

    def between(self, name: str, low: float, high: float) -> Floats:
        """Evenly distributed numbers, float32 `[n, 1]`."""
        return np.asarray(low + (high - low) * self.draws.uniform(name, 1).numpy())

    def audible(self, harmonic: int) -> Floats:
        """The factor of a harmonic, float32 `[n, 1]`: 1, and falling to 0 just below half the sample rate."""
        half = self.sample_rate / 2
        size = np.clip((0.98 * half - harmonic * self.frequency) / (0.08 * half), 0.0, 1.0)
        return size[:, None].astype(np.float32)

    def phase(self, bend: Floats | float = 0.0) -> Floats:
        """The phase of the fundamental in radians, float32 `[n, length]` in [0, 2 pi), from a random one at the beginning.

        `bend` is added to the number of periods since the beginning.
        """
        # In double precision: long clips have many periods.
        periods = (self.frequency / self.sample_rate)[:, None] * np.arange(self.length)
        periods += self.between("phase", 0.0, 1.0)
        periods += bend
        periods -= np.floor(periods)
        return periods.astype(np.float32) * np.float32(2.0 * np.pi)

    def rise(self, low: float, high: float) -> Floats:
        """Attacks that last from `low` to `high` seconds, `[n, length]`: half a cosine from 0 to 1."""
        lasts = np.minimum(self.between("attack", low, high), 0.2 * self.seconds)
        return _swing(self.time / lasts)

    def decay(self, name: str, low: float, high: float) -> Floats:
        """A fall by 60 dB in `low` to `high` lengths of the clip, float32 `[n, length]`."""
        return np.exp(self.time * (-math.log(1000.0) / self.seconds / self.between(name, low, high)))

    def fall(self) -> Floats:
        """1, then half a cosine to 0 at each note's end, a little before that of the clip, `[n, length]`."""
        end = self.seconds * (1.0 - self.between("rest", _SHORTEST_REST, _LONGEST_REST))
        lasts = self.between("release", 0.1, 0.25) * self.seconds
        return _swing((end - self.time) / lasts)


def play(timbre: str, notes: Notes) -> Floats:
    """Clips float32 `[n, length]`: they begin with the attack, end in silence, and peak from QUIETEST_DB to LOUDEST_DB."""
    # In order of frequency, so that those whose harmonics are still audible are the first rows.
    order = np.argsort(notes.frequency, kind="stable")
    draws = Draws(notes.draws.seed, notes.draws.positions[order.copy()]).within(timbre)
    ordered = Notes(notes.frequency[order], draws, notes.sample_rate, notes.length)
    waves = INSTRUMENTS[timbre](ordered) * ordered.fall()
    peaks = np.abs(waves).max(axis=1, keepdims=True)
    level = 10.0 ** (ordered.between("level", QUIETEST_DB, LOUDEST_DB) / 20.0)
    clips = np.empty((len(order), notes.length), np.float32)
    clips[order] = waves * (level / np.maximum(peaks, 1e-9))
    return clips


def plucked(notes: Notes) -> Floats:
    """A string by the method of Karplus & Strong (1983), with the fractional delay of Jaffe & Smith (1983), `[n, length]`.

    Instead of noise, the string holds one steady tone to begin with, so that how bright it is can be chosen; high harmonics
    die away first. The delay of the loop is one period, tuned at the fundamental.
    """
    taps, delay = _string(notes)
    longest, block = int(delay.max()) + taps.shape[1] - 1, int(delay.min())
    held = np.zeros((longest + notes.length + block, len(delay)))
    held[:longest] = _pluck(notes, longest)
    # The nearest sample needed lies `block` back, so as many are found at once. Windows end with the newest sample.
    reach = np.arange(block + taps.shape[1] - 1)[:, None] - delay - taps.shape[1] + 1
    places = (reach + longest) * len(delay) + np.arange(len(delay))
    flat = held.reshape(-1)
    for start in range(0, notes.length, block):
        window = flat[places + start * len(delay)]
        held[longest + start : longest + start + block] = sum(
            taps[:, j] * window[len(window) - block - j : len(window) - j] for j in range(taps.shape[1])
        )
    # How fast the string moves, not where it is: the loop would keep an offset for long.
    speed = np.diff(held[longest - 1 : longest + notes.length], axis=0)
    return speed.T.astype(np.float32) * notes.rise(0.002, 0.006)


def bowed(notes: Notes) -> Floats:
    """A sawtooth of harmonics with vibrato and a slow attack, in which the upper harmonics come last, `[n, length]`."""
    time = notes.time
    rate, depth = notes.between("rate", 4.5, 6.5), notes.between("depth", 0.3, 1.0) * VIBRATO_CENTS
    swing, start = 2.0 * math.pi * rate, notes.between("vibrato", 0.0, 2.0 * np.pi)
    # The integral of frequency * (2 ** (cents / 1200) - 1), to first order: cents are few.
    bend = notes.frequency[:, None].astype(np.float32) * (math.log(2.0) / 1200.0) * depth / swing
    theta = notes.phase(bend * (np.cos(start) - np.cos(swing * time + start)))
    slope = notes.between("slope", 0.9, 1.5)
    rise = notes.rise(0.03, 0.08)

    sine, before = np.sin(theta), np.zeros_like(theta)
    twice = 2.0 * np.cos(theta)
    low, high = np.zeros_like(theta), np.zeros_like(theta)
    for k in range(1, _harmonics(notes) + 1):
        size = notes.audible(k) * k**-slope
        rows = np.count_nonzero(size)
        (low if k < 3 else high)[:rows] += size[:rows] * sine[:rows]
        # sin (k + 1) x = 2 cos x sin k x - sin (k - 1) x
        sine, before = twice[:rows] * sine[:rows] - before[:rows], sine[:rows]
    return rise * (low + rise * high) * notes.decay("fade", 2.0, 8.0)


def blown(notes: Notes) -> Floats:
    """A stopped pipe: few harmonics, the odd ones above all, and breath, which is loudest at the beginning, `[n, length]`."""
    theta, time = notes.phase(), notes.time
    tone = np.sin(theta)
    for k, low, high in ((2, 0.02, 0.08), (3, 0.12, 0.4), (5, 0.03, 0.15)):
        tone += notes.audible(k) * notes.between(f"harmonic {k}", low, high) * np.sin(k * theta)
    wobble = notes.between("depth", 0.02, 0.1) * np.sin(
        2.0 * np.pi * (notes.between("rate", 4.0, 6.0) * time + notes.between("tremolo", 0.0, 1.0))
    )
    noise = notes.draws.normal("breath", notes.length + 2).numpy()
    breath = noise[:, :-2] + 2.0 * noise[:, 1:-1] + noise[:, 2:]
    # 1 / sqrt(6) is the deviation of the sum of three above over 6, which makes `air` the deviation of breath.
    air = notes.between("air", 0.01, 0.03) / math.sqrt(6.0) * (1.0 + 2.0 * np.exp(-time / 0.03))
    return (tone * (1.0 + wobble) + air * breath) * notes.decay("fade", 3.0, 12.0) * notes.rise(0.015, 0.04)


def struck(notes: Notes) -> Floats:
    """Frequency modulation (Chowning 1973) at three times the fundamental, whose index dies away, `[n, length]`.

    Its sidebands are the harmonics 1, 2, 4, 5, 7, 8 ... : bright at first, a sine in the end. They are summed one by one, with
    the Bessel functions that FM would give them, since FM itself has sidebands without end.
    """
    theta, time = notes.phase(), notes.time
    seconds = np.minimum(notes.between("mellow", 0.08, 0.2) * notes.seconds, 0.3)
    index = notes.between("index", 0.6, 1.4) * np.exp(-time / seconds)
    wave = np.zeros_like(theta)
    for n in range(4):
        size = _bessel(n, index)
        # J_-n = (-1)^n J_n, and a negative frequency is a negative sine.
        for k, sign in ((1, 1.0),) if n == 0 else ((3 * n + 1, 1.0), (3 * n - 1, -((-1.0) ** n))):
            heard = notes.audible(k)
            rows = np.count_nonzero(heard)
            wave[:rows] += sign * heard[:rows] * size[:rows] * np.sin(k * theta[:rows])
    return wave * notes.decay("fade", 1.0, 2.5) * notes.rise(0.001, 0.004)


INSTRUMENTS: dict[str, Callable[[Notes], Floats]] = {
    "plucked": plucked,
    "bowed": bowed,
    "blown": blown,
    "struck": struck,
}
TIMBRES = tuple(INSTRUMENTS)


def _harmonics(notes: Notes) -> int:
    """How many harmonics the lowest note has at this sample rate, as far as strings here have them."""
    return min(int(notes.sample_rate / 2 / notes.frequency.min()), _MOST_HARMONICS)


def _swing(x: Floats) -> Floats:
    """Half a cosine from 0 at 0 to 1 at 1."""
    return np.asarray(0.5 - 0.5 * np.cos(math.pi * np.clip(x, 0.0, 1.0)))


def _bessel(n: int, x: Floats) -> Floats:
    """The Bessel function J_n by its power series, to 1e-5 for `x` up to 1.5."""
    half = x * np.float32(0.5)
    square = half * half
    factor = 1.0 / float(np.prod(np.arange(1, n + 1)))
    total = np.zeros_like(x)
    for m in range(4, -1, -1):
        # 1 / (m! (m + n)!) over the first coefficient, 1 / n!, by Horner's rule.
        total = 1.0 - total * square / np.float32((m + 1) * (m + 1 + n))
    return np.asarray(np.float32(factor) * half**n * total)


def _pluck(notes: Notes, count: int) -> Floats:
    """The `count` samples that the string holds when it is let go, `[count, n]`: of one tone, as if it had always sounded."""
    periods = (notes.frequency[:, None] / notes.sample_rate) * np.arange(-count, 0)
    slope, place = notes.between("slope", 0.7, 1.3), notes.between("place", 0.1, 0.35)
    phases = notes.draws.uniform("phases", _harmonics(notes)).numpy()
    wave = np.zeros_like(periods)
    for k in range(1, phases.shape[1] + 1):
        # A string that is plucked at a node of a harmonic does not sound it.
        size = notes.audible(k) * np.abs(np.sin(np.pi * k * place)) * k**-slope
        size = size / np.sin(np.pi * np.minimum(k * notes.frequency[:, None] / notes.sample_rate, 0.5))  # of the speed
        rows = np.count_nonzero(notes.audible(k))
        wave[:rows] += size[:rows] * np.sin(2.0 * np.pi * (k * periods[:rows] + phases[:rows, k - 1 : k]))
    return wave.T


def _string(notes: Notes) -> tuple[Floats, np.ndarray[Any, np.dtype[np.int64]]]:
    """The filter of the loop `[n, taps]`, and the whole samples `[n]` by which its input is late."""
    period = notes.sample_rate / notes.frequency
    omega = 2.0 * np.pi / period
    lasts = notes.between("decay", 1.2, 3.0)[:, 0] * notes.seconds
    upper = notes.between("damping", 0.2, 0.6)[:, 0] * lasts
    # Of (b, 1 - 2 b, b), whose delay is 1 at every frequency: the fourth harmonic takes `upper` seconds to fall by 60 dB.
    ratio = 10.0 ** (-3.0 * (1.0 / upper - 1.0 / lasts) * period / notes.sample_rate)
    bend, bend_upper = 1.0 - np.cos(omega), 1.0 - np.cos(np.minimum(4.0 * omega, 0.8 * np.pi))
    b = np.clip((1.0 - ratio) / (2.0 * (bend_upper - ratio * bend)), 0.0, 0.25)
    # The fundamental falls by 60 dB in `lasts` seconds; at 0 Hz, where nothing is lost else, the gain must be below 1.
    gain = np.minimum(10.0 ** (-3.0 * period / notes.sample_rate / lasts) / (1.0 - 2.0 * b * bend), 1.0 - 1e-6)
    smooth = gain[:, None] * np.stack([b, 1.0 - 2.0 * b, b], axis=1)

    middle = (_ORDER - 1) // 2
    delay = np.floor(period - 1.0 - middle)
    wanted = period - 1.0 - delay
    between = wanted
    steps = np.arange(_ORDER + 1)
    for _ in range(3):  # the interpolator's delay is not quite its argument: set right at the fundamental
        response = (_lagrange(between) * np.exp(-1j * omega[:, None] * (steps - middle))).sum(axis=1)
        between = between + wanted - (middle - np.angle(response) / omega)
    fraction = _lagrange(between)
    taps = np.zeros((len(period), _ORDER + 3))
    for j in range(3):
        taps[:, j : j + _ORDER + 1] += smooth[:, j : j + 1] * fraction
    return taps, delay.astype(np.int64)


def _lagrange(delay: Floats) -> Floats:
    """Filters `[n, _ORDER + 1]` that delay by `delay` `[n]` samples, best from (_ORDER - 1) / 2 to (_ORDER + 1) / 2."""
    taps = np.ones((len(delay), _ORDER + 1))
    for k in range(_ORDER + 1):
        for m in range(_ORDER + 1):
            if m != k:
                taps[:, k] *= (delay - m) / (k - m)
    return taps
