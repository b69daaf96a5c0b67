"""Names of notes, MIDI pitches and frequencies, each from the others; classes of sounds that are named after notes.

Names are librosa's in ASCII: C4 is middle C, MIDI pitch 60, and A4 is tuned to 440 Hz.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SHIFTS = {"": 0, "#": 1, "\N{MUSIC SHARP SIGN}": 1, "b": -1, "\N{MUSIC FLAT SIGN}": -1}
_NAME = re.compile(r"([A-G])([#b\N{MUSIC SHARP SIGN}\N{MUSIC FLAT SIGN}]?)(-1|[0-9])(?:[\s_].*)?", re.DOTALL)


def note_name(pitch: int) -> str:
    """The name of a MIDI pitch in 0..127, with sharps: 60 is `C4`, 61 is `C#4`. Raises ValueError for other numbers."""
    if not 0 <= pitch <= 127:
        raise ValueError(f"MIDI pitches are 0 to 127, not {pitch}")
    return f"{NOTES[pitch % 12]}{pitch // 12 - 1}"


def pitch_of(name: str) -> int | None:
    """The MIDI pitch that a class is named after; None where its name is not that of a note from C-1 to G9.

    Sharps and flats are read. More may follow after a space or an underscore: `C4 plucked` is 60.
    """
    match = _NAME.fullmatch(name.strip())
    if match is None:
        return None
    letter, accidental, octave = match.groups()
    pitch = 12 * (int(octave) + 1) + _STEPS[letter] + _SHIFTS[accidental]
    return pitch if 0 <= pitch <= 127 else None


def hertz(pitch: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Frequencies of MIDI pitches, numbers or arrays of any shape, fractions too: 69 is 440 Hz."""
    return np.asarray(440.0 * np.exp2((np.asarray(pitch, dtype=np.float64) - 69.0) / 12.0))


def midi(frequency: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """MIDI pitches, with their fractions, of frequencies above 0 Hz: the inverse of `hertz`. One cent is 0.01."""
    return np.asarray(69.0 + 12.0 * np.log2(np.asarray(frequency, dtype=np.float64) / 440.0))
