"""Chord progressions that end in cadences, and their voices: drawn for many phrases at once.

Chords and melodies are Markov chains with conditions on their end. They are drawn exactly, without trial and error: messages
are passed backward from the end, and states drawn forward, each in proportion to what can still come of it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gan_music.data.theory import DOMINANT, SUBDOMINANT, SUBMEDIANT, SUPERTONIC, TONIC, triads

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

CADENCE_SHARES = np.array([0.5, 0.15, 0.2, 0.15], np.float32)
"""How often a phrase ends in each of `theory.CADENCES`."""

# Rows: from tonic, supertonic, subdominant, dominant, submediant; functions go tonic, predominant, dominant, tonic.
_MOVES = np.array(
    [
        [0.0, 0.8, 1.2, 1.2, 0.9],
        [0.0, 0.0, 0.0, 1.0, 0.0],
        [0.7, 0.4, 0.0, 1.2, 0.0],
        [1.2, 0.0, 0.0, 0.0, 0.5],
        [0.0, 1.0, 1.2, 0.3, 0.0],
    ],
    np.float32,
)
_STAY = np.float32(2.5)
"""Weight of keeping a chord for the second half of a bar; a bar line always brings a new one."""

# The last chord but one of each cadence, and the last.
_BEFORE = np.zeros((4, 5), np.float32)
_BEFORE[0, DOMINANT] = _BEFORE[1, SUBDOMINANT] = _BEFORE[3, DOMINANT] = 1.0
_BEFORE[2, [TONIC, SUPERTONIC, SUBDOMINANT, SUBMEDIANT]] = (1.0, 1.0, 1.0, 0.4)
_FINAL = np.array([TONIC, TONIC, DOMINANT, SUBMEDIANT])

CHORD_LOWEST, CHORD_HIGHEST = 52, 69
"""MIDI pitches that the three voices of a chord stay within."""


def choose(weights: Floats, uniform: Floats) -> Ints:
    """An index of the last axis of `weights` `[n, k]` for each of `uniform` `[n]` in [0, 1), in proportion to the weights."""
    totals = np.cumsum(weights, axis=1, dtype=np.float64)
    # Below the total even after rounding, so that a weight of zero is never chosen.
    goal = np.minimum(uniform * totals[:, -1], np.nextafter(totals[:, -1], 0.0))
    return (totals <= goal[:, None]).sum(axis=1)


def progressions(bars: int, cadence: Ints, uniform: Floats) -> Ints:
    """Chords, as places in `theory.DEGREES`, of every half bar: `[n, 2 * bars]`.

    `cadence` `[n]` says how each ends; `uniform` `[n, 2 * bars]` in [0, 1) decides the rest. Each begins with the tonic;
    the last chord fills the last bar, the one before stands in the half bar before.
    """
    free = 2 * bars - 2
    within = _MOVES + _STAY * np.eye(5, dtype=np.float32)
    # Half bar j follows a bar line where j is even.
    moves = [_MOVES if j % 2 == 0 else within for j in range(free)]
    messages = [_BEFORE[cadence]]
    for j in range(free - 1, 0, -1):
        messages.append(messages[-1] @ moves[j].T)
    messages.reverse()
    chords = np.full((len(cadence), 2 * bars), TONIC)
    for j in range(1, free):
        chords[:, j] = choose(moves[j][chords[:, j - 1]] * messages[j], uniform[:, j])
    chords[:, free:] = _FINAL[cadence][:, None]
    return chords


def voicings(keys: Ints, chords: Ints) -> Ints:
    """The three pitches of every chord `[n, slots]`, low to high: MIDI pitches `[n, slots, 3]`.

    The first chord lies nearest the middle of the range; every other takes the inversion and octave that moves the three
    voices least, which also keeps what two chords have in common.
    """
    classes = triads().numpy()[keys[:, None], chords]  # [n, slots, 3]
    # Close positions on each of the three notes as the lowest, in two octaves: [n, slots, 6, 3].
    rotated = np.stack([np.roll(classes, -turn, axis=2) for turn in range(3)], axis=2)
    lowest = CHORD_LOWEST + (rotated[..., :1] - CHORD_LOWEST) % 12
    close = lowest + (rotated - rotated[..., :1]) % 12
    candidates = np.concatenate([close, close + 12], axis=2)
    outside = candidates[..., 2] > CHORD_HIGHEST
    middle = (CHORD_LOWEST + CHORD_HIGHEST) / 2
    pitches = np.empty((*chords.shape, 3), np.int64)
    previous = np.full((len(keys), 3), middle)
    rows = np.arange(len(keys))
    for j in range(chords.shape[1]):
        movement = np.abs(candidates[:, j] - previous[:, None]).sum(axis=2)
        # Of equal ones the nearer to the middle; no chord may leave the range.
        cost = movement + 0.01 * np.abs(candidates[:, j].mean(axis=2) - middle) + 1e6 * outside[:, j]
        pitches[:, j] = candidates[rows, j, cost.argmin(axis=1)]
        previous = pitches[:, j].astype(np.float64)
    return pitches
