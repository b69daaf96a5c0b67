"""Melodies over chords: chord tones on strong beats, other notes by step, leaps answered by a step back.

A melody is a Markov chain over the notes of the scale; the rules are its conditions (`gan_music.data.harmony` says how such
a chain is drawn).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from gan_music.data.harmony import Floats, Ints, choose
from gan_music.data.theory import DEGREES, SCALES

LOWEST, HIGHEST = 60, 79
"""MIDI pitches that melodies stay within: an octave and a fifth."""
PLACES = 19
"""Places on the scale, counted from the tonic at or below `LOWEST`, that reach `HIGHEST` in every key."""
LEAP = 3
"""Moves of this many places of the scale (a fourth) and more are leaps."""

_WEIGHTS = {0: 0.7, 1: 3.0, 2: 1.2, 3: 1.0, 4: 0.7}
"""Weight of a move by its size in places; larger ones do not occur."""
_FREE, _DOWN, _UP = range(3)
"""What the last move asks of the next: nothing, or a step down or up after a leap."""


@cache
def _moves(mode: int) -> tuple[Floats, Floats]:
    """Weights of moves by step, and of all others, between states `[3 * PLACES]`, a state being `duty * PLACES + place`."""
    steps = np.zeros((3, PLACES, 3, PLACES), np.float32)
    others = np.zeros_like(steps)
    for place in range(PLACES):
        for size, weight in _WEIGHTS.items():
            for move in {size, -size}:
                to = place + move
                # The augmented second of harmonic minor, between its sixth and seventh degree, is not sung.
                if not 0 <= to < PLACES or (mode == 1 and size == 1 and {place % 7, to % 7} == {5, 6}):
                    continue
                if size == 1:
                    steps[_FREE, place, _FREE, to] = weight
                    steps[_UP if move > 0 else _DOWN, place, _FREE, to] = weight
                else:
                    duty = _FREE if size < LEAP else _DOWN if move > 0 else _UP
                    others[_FREE, place, duty, to] = weight
    size = 3 * PLACES
    return steps.reshape(size, size), others.reshape(size, size)


def scale_pitches(keys: Ints) -> Ints:
    """MIDI pitch of each place of the scale: `[n, PLACES]`, rising."""
    mode, tonic = np.divmod(keys, 12)
    places = np.arange(PLACES)
    base = LOWEST - (LOWEST - tonic) % 12
    return base[:, None] + 12 * (places // 7) + np.array(SCALES)[mode[:, None], places % 7]


def melodies(
    keys: Ints,
    chords: Ints,
    strong: npt.NDArray[np.bool_],
    active: npt.NDArray[np.bool_],
    closed: npt.NDArray[np.bool_],
    uniform: Floats,
) -> Ints:
    """MIDI pitches `[n, notes]` of melodies.

    `chords` `[n, notes]` are the chords, as places in `theory.DEGREES`, under each note; `strong` the notes on strong beats;
    `active` the notes that there are (the first k of each row); `closed` `[n]` the melodies that end on the tonic (others
    end on any note of the chord). `uniform` `[n, notes + 2]` in [0, 1) decides.
    """
    pitches = np.empty(active.shape, np.int64)
    for mode in (0, 1):
        rows = np.flatnonzero(keys // 12 == mode)
        if len(rows):
            pitches[rows] = _in_one_mode(
                mode, keys[rows], chords[rows], strong[rows], active[rows], closed[rows], uniform[rows]
            )
    return pitches


def _in_one_mode(
    mode: int,
    keys: Ints,
    chords: Ints,
    strong: npt.NDArray[np.bool_],
    active: npt.NDArray[np.bool_],
    closed: npt.NDArray[np.bool_],
    uniform: Floats,
) -> Ints:
    steps, others = _moves(mode)
    count, notes = active.shape
    pitch_of = scale_pitches(keys)
    degree = np.arange(PLACES) % 7
    # Which places are notes of which chord: [5, PLACES].
    chord_tones = np.array([np.isin(degree, [(root + third) % 7 for third in (0, 2, 4)]) for root in DEGREES])
    tones = chord_tones[chords]  # [n, notes, PLACES]
    last = active & ~np.pad(active, ((0, 0), (0, 1)))[:, 1:]

    allowed = np.broadcast_to(((pitch_of >= LOWEST) & (pitch_of <= HIGHEST))[:, None], tones.shape)
    allowed = allowed & (tones | ~(strong | last)[:, :, None])
    allowed = allowed & ((degree == 0) | ~(last & closed[:, None])[:, :, None])
    progress = np.minimum(np.arange(notes) / np.maximum(active.sum(axis=1, keepdims=True) - 1, 1), 1.0)
    # An arch over the phrase, its height and middle drawn for each.
    middle = 66.0 + 6.0 * uniform[:, -1]
    height = 7.0 * (uniform[:, -2] - 0.25)
    line = middle[:, None] + height[:, None] * np.sin(np.pi * progress)
    likely = allowed * np.exp(-(((pitch_of[:, None] - line[:, :, None]) / 6.0) ** 2)).astype(np.float32)

    def spread(values: Floats) -> Floats:
        return np.tile(values, (1, 3))  # over the three duties

    messages = np.ones((notes, count, 3 * PLACES), np.float32)
    for j in range(notes - 2, -1, -1):
        ahead = messages[j + 1] * spread(likely[:, j + 1])
        chord_to_chord = (ahead * spread(tones[:, j + 1])) @ others.T * spread(tones[:, j])
        message = ahead @ steps.T + chord_to_chord
        message /= np.maximum(message.max(axis=1, keepdims=True), 1e-30)
        messages[j] = np.where(active[:, j + 1, None], message, 1.0)
    states = np.empty((count, notes), np.int64)
    states[:, 0] = choose(likely[:, 0] * messages[0][:, :PLACES], uniform[:, 0])
    rows = np.arange(count)
    for j in range(1, notes):
        before = states[:, j - 1]
        on_tone = tones[rows, j - 1, before % PLACES][:, None] & np.tile(tones[:, j], (1, 3))
        weights = (steps[before] + others[before] * on_tone) * spread(likely[:, j]) * messages[j]
        states[:, j] = np.where(active[:, j], choose(weights, uniform[:, j]), before)
    return pitch_of[rows[:, None], states % PLACES]
