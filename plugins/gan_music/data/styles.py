"""Styles of the built-in tunes: the rhythms of melody, chords, bass and drums, as text.

A character is a quarter of a beat. In melody and chords `x` begins a note, `-` holds it, `.` is silent. In the bass
the beginning says which note: `r` the root, `f` the fifth, `w` a walking note that leads to the next root.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gan_music.spec import MusicSpec

FINEST = 4
"""Steps in a beat of the rhythms as they are written; a coarser grid puts two of them into one step."""

KICK, SNARE, CLOSED_HAT, OPEN_HAT, CRASH, RIDE = 36, 38, 42, 46, 49, 51
"""General MIDI drums."""


@dataclass(frozen=True, slots=True)
class Style:
    """Rhythms by half bars, which have one chord; drums by bars."""

    name: str
    melody: tuple[str, ...]
    chords: tuple[str, ...]
    """One of them is taken for a whole phrase."""
    bass: str
    bass_again: str
    """In the second half of a bar whose chord stays."""
    drums: tuple[Mapping[int, str], ...]
    """One of them is taken for a whole phrase."""


STYLES = (
    Style(
        name="ballad",
        melody=("x-------", "x---x---", "x-----x-", "x---x-x-"),
        chords=("x-------", "x---x---"),
        bass="r-------",
        bass_again="r-------",
        drums=(
            {KICK: "x.........x.....", SNARE: "........x.......", CLOSED_HAT: "x...x...x...x..."},
            {KICK: "x...............", SNARE: "........x.......", RIDE: "x...x...x...x..."},
        ),
    ),
    Style(
        name="march",
        melody=("x---x---", "x--xx---", "x---x-x-", "x-x-x---"),
        chords=("....x-..", "..x-..x-"),
        bass="r---....",
        bass_again="f---....",
        drums=(
            {KICK: "x.......x.......", SNARE: "....x.......x.x."},
            {KICK: "x.......x.......", SNARE: "x.xxx.x.x.xxx.x."},
        ),
    ),
    Style(
        name="rock",
        melody=("x-x-x-x-", "x-x-x---", "x---x-x-", "x--x--x-", "x-------"),
        chords=("x---x---", "x-------"),
        bass="r-r-r-r-",
        bass_again="r-r-r-f-",
        drums=(
            {KICK: "x.......x.x.....", SNARE: "....x.......x...", CLOSED_HAT: "x.x.x.x.x.x.x.x."},
            {
                KICK: "x..x....x.......",
                SNARE: "....x.......x...",
                CLOSED_HAT: "x.x.x.x.x.x.x...",
                OPEN_HAT: "..............x.",
            },
        ),
    ),
    Style(
        name="jazz",
        melody=("x-x-x-x-", "x-----x-", "x-x---x-", "x--x----", "x---x-.."),
        chords=("x-----x-", "x--..x-."),
        bass="r---w---",
        bass_again="f---w---",
        drums=(
            {RIDE: "x...x..xx...x..x", CLOSED_HAT: "....x.......x..."},
            {RIDE: "x...x..xx...x..x", CLOSED_HAT: "....x.......x...", KICK: "x.......x......."},
        ),
    ),
)

ENDINGS = ("x-----------....", "x---x---x-------", "x---x-----------", "x---------------")
"""Rhythms of the melody in the last bar."""
FILL = {KICK: "x.......x.......", SNARE: "........x.x.xxxx"}
"""Drums of the last bar of some phrases."""

_CODES = {"x": 2, "r": 2, "f": 3, "w": 4, "-": 1, ".": 0}


def codes(steps_per_beat: int, *rhythms: str) -> npt.NDArray[np.uint8]:
    """Rhythms of equal length as numbers `[rhythms, steps]`: 0 silent, 1 held, 2 a beginning (root), 3 fifth, 4 walking.

    `steps_per_beat` is 4 or a half or quarter of it; of what falls into one step, a beginning is kept.
    """
    fine = np.array([[_CODES[c] for c in rhythm] for rhythm in rhythms], np.uint8)
    return fine.reshape(len(fine), -1, FINEST // steps_per_beat).max(axis=2)


def drum_bar(pattern: Mapping[int, str], spec: MusicSpec) -> npt.NDArray[np.uint8]:
    """A bar of drums as a hard roll `[steps, pitch]` of the grid of `spec`."""
    bar = np.zeros((spec.steps_per_bar, spec.pitches), np.uint8)
    for pitch, rhythm in pattern.items():
        bar[:, pitch - spec.lowest] = codes(spec.steps_per_beat, rhythm)[0]
    return bar
