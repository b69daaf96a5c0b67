"""From the bytes of a MIDI file to its notes, with every lie that such a file can tell found out.

The parser accepts a resolution of nothing, tempos of nothing, and times up to 2^31 ticks, of which a grid could not be held.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import symusic

from gan_music.data.chunks import whole_tracks, with_all_tracks
from gancore.errors import DataError

SUFFIXES = (".mid", ".midi", ".smf", ".kar", ".rmi")
"""By which MIDI files are known to whoever sorts them; a file that is named by itself is read whatever its suffix."""
MAX_BYTES = 32 * 1024 * 1024
"""Larger files are not read."""
MAX_NOTES = 1_000_000
"""Files with more notes are not used."""
MAX_QUARTERS = 10_000
"""Files with a note that begins later, or lasts longer, are not used: in quarter notes, 83 minutes at 120 a minute."""
MAX_PARTS = 1_000
"""Files with more tracks are not used."""
DEFAULT_TEMPO = 120.0
"""Quarter notes a minute of a file that names no tempo."""

_TEMPO = re.compile(rb"\xff\x51\x03(.{3})", re.DOTALL)

Column = npt.NDArray[np.integer[Any]]

# What the parser raises: of its own, and where a number of the file does not fit its types.
_PARSER_ERRORS = (RuntimeError, ValueError, OverflowError, IndexError)


@dataclass(frozen=True, slots=True)
class Part:
    """A track of a file that holds notes, or one channel of it: columns `[notes]`, with times in ticks.

    `program` is that which most of the notes are played with.
    """

    program: int
    drums: bool
    name: str
    start: Column
    duration: Column
    pitch: Column
    velocity: Column

    def __len__(self) -> int:
        return len(self.start)


@dataclass(frozen=True, slots=True)
class Tune:
    """What a file holds. `meter_start` (ticks), `numerator` and `denominator` `[signatures]` are its time signatures;
    `tempo`, the first, is in quarter notes a minute; of several at one tick the last holds. `joined`: other MIDI files follow in
    the same file, which are not read."""

    ticks_per_quarter: int
    parts: tuple[Part, ...]
    meter_start: Column
    numerator: Column
    denominator: Column
    tempo: float
    joined: bool = False

    @property
    def note_count(self) -> int:
        """Notes in all parts."""
        return sum(map(len, self.parts))


def read_tune(data: bytes, *, by_program: bool = False) -> Tune:
    """The notes of a standard MIDI file, types 0 and 1, or of one in a RIFF wrapper.

    A part is what one track plays in one channel, whichever programs it takes for it; `by_program` makes a part of each program.

    Raises DataError whose message completes "the file is skipped: ...".
    """
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        data = _unwrapped(data)
    if data[:4] != b"MThd":
        raise DataError("empty" if not data else "not a MIDI file")
    if data[8:10] == b"\0\2":
        raise DataError("it is of type 2, a set of independent patterns; only types 0 and 1 are read")
    if len(data) >= 10 and data[8:10] > b"\0\2":
        raise DataError(f"it is of type {int.from_bytes(data[8:10], 'big'):,}; only types 0 and 1 are read")
    data, joined = with_all_tracks(data)
    data = whole_tracks(data, programs=not by_program)
    score = _parse(data)
    if score.tpq <= 0:
        raise DataError("it has 0 ticks in a quarter note")
    if len(score.tracks) > MAX_PARTS:
        raise DataError(f"it has {len(score.tracks):,} tracks; at most {MAX_PARTS:,} are read")
    count = score.note_num()
    if count == 0:
        raise DataError("it holds no notes")
    if count > MAX_NOTES:
        raise DataError(f"it holds {count:,} notes; at most {MAX_NOTES:,} are read")
    parts = tuple(part for part in map(_part, score.tracks) if len(part))
    limit = MAX_QUARTERS * score.tpq
    for part in parts:
        # As unsigned numbers negative ones are too large as well.
        if max(int(part.start.view(np.uint32).max()), int(part.duration.view(np.uint32).max())) > limit:
            raise DataError(f"it lasts longer than {MAX_QUARTERS:,} quarter notes")
        if part.pitch.view(np.uint8).max() > 127:
            raise DataError("damaged (pitches beyond 127)")
    meters = score.time_signatures.numpy()
    return Tune(
        ticks_per_quarter=score.tpq,
        parts=parts,
        meter_start=meters["time"],
        numerator=meters["numerator"],
        denominator=meters["denominator"],
        tempo=_tempo(score, data),
        joined=joined,
    )


def _unwrapped(data: bytes) -> bytes:
    """The MIDI file in a RIFF wrapper, before which other chunks may stand."""
    at = 12
    while at + 8 <= len(data) and data[at : at + 4] != b"data":
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + length + length % 2
    return data[at + 8 :]


def _parse(data: bytes) -> Any:
    try:
        return symusic.Score.from_midi(data)
    except _PARSER_ERRORS:
        pass
    try:
        # Bytes beyond 127 where there may be none are common and harmless.
        return symusic.Score.from_midi(data, sanitize_data=True)
    except _PARSER_ERRORS as error:
        raise DataError(_plain(str(error))) from None


def _plain(message: str) -> str:
    """The parser's message without its prefix and what the C++ library adds."""
    words = message.removeprefix("MiniMidi: ").removesuffix(": iostream error").strip().rstrip("!")
    if "not ticks per quarter" in words:
        return "its times are in seconds (SMPTE), not in quarter notes"
    return f"damaged ({words})" if words else "damaged"


def _part(track: Any) -> Part:
    notes = track.notes.numpy()
    try:
        name = str(track.name)
    except UnicodeDecodeError:
        name = ""
    return Part(
        int(track.program) & 127,
        bool(track.is_drum),
        name,
        notes["time"],
        notes["duration"],
        notes["pitch"],
        notes["velocity"],
    )


def _tempo(score: Any, data: bytes) -> float:
    time = -1
    together: list[int] = []
    for tempo in score.tempos:
        # A tempo of 0 microseconds a quarter note is written now and then.
        if tempo.mspq > 0:
            if together and tempo.time != time:
                break
            time = tempo.time
            together.append(tempo.mspq)
    if not together:
        return DEFAULT_TEMPO
    if len(set(together)) > 1:
        # The parser orders what is at one tick as it likes; in the file they usually stand in order.
        found = (int.from_bytes(one, "big") for one in _TEMPO.findall(data))
        written = [one for one in found if one][: len(together)]
        together = written if sorted(written) == sorted(together) else together
    return 60e6 / float(together[-1])
