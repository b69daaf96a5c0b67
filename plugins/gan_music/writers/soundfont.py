"""Reads sound fonts (SF2, and SF3 with compressed samples): which recordings play a note of a General MIDI program, and how.

Every number in the file is checked before it is used, so that a broken font is an error and nothing worse.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from gancore.errors import UsageError

DRUM_BANK = 128
MOST_REGIONS = 1 << 16
"""In one preset; beyond that a font is taken to be broken."""
MOST_PARTS = 1000
MOST_LAYERS = 32
"""Recordings that sound together for one note."""
LONGEST_SAMPLE = 1 << 24
"""Frames of a recording that are used at most: over six minutes at 44,100 Hz."""

# Generators of the format that are used here (SoundFont 2.04 specification, section 8.1.2).
START, END, LOOP_START, LOOP_END = 0, 1, 2, 3
START_COARSE, END_COARSE, LOOP_START_COARSE, LOOP_END_COARSE = 4, 12, 45, 50
FILTER, RESONANCE, FILTER_SWEEP, PAN = 8, 9, 11, 17
SWEEP = 25
"""The first of eight that shape the second envelope as `DELAY` and those after it shape the first, in the same order."""
DELAY, ATTACK, HOLD, DECAY, SUSTAIN, RELEASE, KEY_TO_HOLD, KEY_TO_DECAY = 33, 34, 35, 36, 37, 38, 39, 40
INSTRUMENT, KEY_RANGE, VELOCITY_RANGE, FIXED_KEY, FIXED_VELOCITY = 41, 43, 44, 46, 47
ATTENUATION, COARSE_TUNE, FINE_TUNE, SAMPLE, MODE, SCALE, ROOT = 48, 51, 52, 53, 54, 56, 58
GENERATORS = 61

Amounts = npt.NDArray[np.int64]

_TABLES = {
    "phdr": np.dtype([("name", "S20"), ("program", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("rest", "V12")]),
    "pbag": np.dtype([("generator", "<u2"), ("modulator", "<u2")]),
    "pgen": np.dtype([("kind", "<u2"), ("amount", "<i2")]),
    "inst": np.dtype([("name", "S20"), ("bag", "<u2")]),
    "ibag": np.dtype([("generator", "<u2"), ("modulator", "<u2")]),
    "igen": np.dtype([("kind", "<u2"), ("amount", "<i2")]),
    "shdr": np.dtype(
        [
            ("name", "S20"),
            *((part, "<u4") for part in ("start", "end", "loop_start", "loop_end", "rate")),
            ("pitch", "u1"),
            ("correction", "i1"),
            ("link", "<u2"),
            ("type", "<u2"),
        ]
    ),
}
_COMPRESSED = 0x10
_IN_ROM = 0x8000


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording as one region plays it. `sound` `[frames]` in [-1, 1] has at least two frames."""

    sound: npt.NDArray[np.float32]
    rate: int
    pitch: int
    correction: int
    loop: tuple[int, int] | None


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """What one recording does for the keys and velocities in its ranges: the format's generators `[61]`, with both levels added."""

    amounts: Amounts
    keys: tuple[int, int]
    velocities: tuple[int, int]

    def takes(self, key: int, velocity: int) -> bool:
        """Whether it sounds for this key and velocity."""
        low, high = self.keys
        soft, loud = self.velocities
        return low <= key <= high and soft <= velocity <= loud


class SoundFont:
    """The sound font at `path`. Presets and recordings are looked at when they are asked for; recordings stay on disk.

    Raises:
        UsageError: the file cannot be read, or is no sound font, or a broken one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        parts = self._parts()
        for name in ("smpl", *_TABLES):
            if name not in parts:
                raise self._broken(f"it has no part '{name}'")
        self.samples = parts["smpl"]
        self.tables = {name: self._table(*parts[name], name) for name in _TABLES}
        self.regions = lru_cache(maxsize=256)(self._regions)
        self.recording = lru_cache(maxsize=32)(self._recording)

    def _broken(self, what: str) -> UsageError:
        return UsageError(f"'{self.path}' is not a usable sound font: {what}. Give a whole .sf2 or .sf3 file")

    def _unreadable(self, error: OSError) -> UsageError:
        return UsageError(
            f"sound font '{self.path}' cannot be read: {error.strerror or error}. Name another with "
            "writers.wav.soundfont=FILE, or none for the built-in instruments"
        )

    def _read(self, at: int, size: int) -> bytes:
        """`size` bytes of the file from `at` on. Read, not mapped: a mapped file that is cut short kills the process."""
        try:
            with self.path.open("rb") as file:
                file.seek(at)
                data = file.read(size)
        except OSError as error:
            raise self._unreadable(error) from error
        if len(data) != size:
            raise self._broken(f"it ends at byte {at + len(data):,}, before byte {at + size:,}")
        return data

    def _parts(self) -> dict[str, tuple[int, int]]:
        """Where the parts of the file are, `(first byte, bytes)` by name, of all its lists together."""
        try:
            there = self.path.stat().st_size
        except OSError as error:
            raise self._unreadable(error) from error
        head = self._read(0, min(12, there))
        if head[:4] != b"RIFF" or head[8:] != b"sfbk":
            raise self._broken("it is empty" if not head else "it does not begin as one does (RIFF ... sfbk)")
        end = 8 + int.from_bytes(head[4:8], "little")
        if end > there:
            raise self._broken(f"it should have {end:,} bytes and has {there:,}")
        found: dict[str, tuple[int, int]] = {}
        lists, seen = [(12, end)], 0
        while lists:
            at, stop = lists.pop()
            while at + 8 <= stop:
                head = self._read(at, 8)
                name, size = head[:4].decode("latin-1"), int.from_bytes(head[4:], "little")
                body, at = at + 8, at + 8 + size + size % 2
                if body + size > stop:
                    raise self._broken(f"its part {name!r} should have {size:,} bytes and is cut off")
                seen += 1
                if seen > MOST_PARTS:
                    raise self._broken(f"it has more than {MOST_PARTS} parts")
                if name == "LIST" and size >= 4 and stop == end:
                    lists.append((body + 4, body + size))
                else:
                    found.setdefault(name, (body, size))
        return found

    def _table(self, at: int, size: int, name: str) -> npt.NDArray[np.void]:
        """One of the lists of records; each ends with a record that only marks the end."""
        kind = _TABLES[name]
        if size < 2 * kind.itemsize or size % kind.itemsize:
            raise self._broken(f"its part '{name}' has {size} bytes, not two or more records of {kind.itemsize}")
        return np.frombuffer(self._read(at, size), kind)

    @cached_property
    def presets(self) -> dict[tuple[int, int], int]:
        """Number of each preset by (bank, program); the first where two have the same."""
        table = self.tables["phdr"][:-1]
        result: dict[tuple[int, int], int] = {}
        for number, (bank, program) in enumerate(zip(table["bank"].tolist(), table["program"].tolist(), strict=True)):
            result.setdefault((bank, program), number)
        return result

    def preset(self, program: int, drums: bool) -> int | None:
        """The preset that plays a General MIDI program, or drums; None where the font has no drums.

        A program that is missing is played by one of its family of eight, else by the first of all.
        """
        if drums:
            kits = sorted(number for (bank, _), number in self.presets.items() if bank == DRUM_BANK)
            return self.presets.get((DRUM_BANK, 0), kits[0] if kits else None)
        family = range(program // 8 * 8, program // 8 * 8 + 8)
        for wanted in (program, *family, 0):
            if (0, wanted) in self.presets:
                return self.presets[0, wanted]
        return min(self.presets.items(), key=lambda item: (item[0][0] == DRUM_BANK, item[0]))[1]

    def _regions(self, preset: int) -> tuple[Region, ...]:
        """All regions of a preset, by its number."""
        result: list[Region] = []
        for outer in self._zones("p", "phdr", preset, INSTRUMENT):
            for inner in self._zones("i", "inst", outer[INSTRUMENT], SAMPLE):
                keys, velocities = (_both(outer.get(k), inner.get(k)) for k in (KEY_RANGE, VELOCITY_RANGE))
                amounts = _DEFAULTS.copy()
                for kind, amount in inner.items():
                    amounts[kind] = amount
                for kind, amount in outer.items():
                    if kind in _ADDED:
                        amounts[kind] += amount
                result.append(Region(amounts, keys, velocities))
                if len(result) > MOST_REGIONS:
                    raise self._broken(f"a preset has more than {MOST_REGIONS:,} regions")
        return tuple(result)

    def _zones(self, level: str, headers: str, number: int, last: int) -> list[dict[int, int]]:
        """The generators of every zone of a preset or an instrument, with those of its first zone, if that is for all."""
        heads, bags, generators = (self.tables[name] for name in (headers, f"{level}bag", f"{level}gen"))
        if not 0 <= number < len(heads) - 1:
            raise self._broken(f"it refers to number {number} of '{headers}', which has {len(heads) - 1}")
        first, stop = int(heads["bag"][number]), int(heads["bag"][number + 1])
        if not first <= stop < len(bags):
            raise self._broken(f"number {number} of '{headers}' has zones {first} to {stop} of {len(bags)}")
        everywhere: dict[int, int] = {}
        result = []
        for bag in range(first, stop):
            begin, end = int(bags["generator"][bag]), int(bags["generator"][bag + 1])
            if not begin <= end <= len(generators):
                raise self._broken(f"a zone has generators {begin} to {end} of {len(generators)}")
            part = generators[begin:end]
            zone = {k: a for k, a in zip(part["kind"].tolist(), part["amount"].tolist(), strict=True) if k < GENERATORS}
            if last in zone:
                result.append(everywhere | zone)
            elif bag == first:
                everywhere = zone
        return result

    def _recording(self, region: Region) -> Recording | None:
        """What a region plays; None where there is nothing to play, such as a recording in a sound card's memory."""
        table, number = self.tables["shdr"], int(region.amounts[SAMPLE])
        if not 0 <= number < len(table) - 1:
            raise self._broken(f"it refers to recording {number} of {len(table) - 1}")
        head = table[number]
        if int(head["type"]) & _IN_ROM or not 400 <= int(head["rate"]) <= 192_000:
            return None
        offset = [
            int(region.amounts[fine]) + 32_768 * int(region.amounts[coarse])
            for fine, coarse in (
                (START, START_COARSE),
                (END, END_COARSE),
                (LOOP_START, LOOP_START_COARSE),
                (LOOP_END, LOOP_END_COARSE),
            )
        ]
        places = [int(head[part]) for part in ("start", "end", "loop_start", "loop_end")]
        sound: npt.NDArray[np.float32]
        if int(head["type"]) & _COMPRESSED:
            unpacked = self._unpack(places[0], places[1])
            places[:2] = [0, len(unpacked)]  # the loop counts from the recording's own beginning here
            start, end, loop_start, loop_end = (p + more for p, more in zip(places, offset, strict=True))
            sound = unpacked[max(start, 0) : max(end, 0)]
            end = start + len(sound)
        else:
            start, end, loop_start, loop_end = (p + more for p, more in zip(places, offset, strict=True))
            if not 0 <= start < end <= self.samples[1] // 2:
                return None
            end = min(end, start + LONGEST_SAMPLE)
            raw = np.frombuffer(self._read(self.samples[0] + 2 * start, 2 * (end - start)), "<i2")
            sound = raw.astype(np.float32) / np.float32(32_768.0)
        if start < 0 or len(sound) < 2:
            return None
        pitch = int(region.amounts[ROOT]) if region.amounts[ROOT] >= 0 else int(head["pitch"])
        # 1 and 3: looped; 3 stops looping when the key is let go, which the release makes hard to hear.
        looped = int(region.amounts[MODE]) & 1 and start <= loop_start < loop_end <= end
        loop = (loop_start - start, loop_end - start) if looped else None
        return Recording(sound, int(head["rate"]), pitch if pitch <= 127 else 60, int(head["correction"]), loop)

    def _unpack(self, start: int, end: int) -> npt.NDArray[np.float32]:
        """A recording of an SF3: a file of its own, Ogg Vorbis as a rule, in bytes `start` to `end`."""
        if not 0 <= start < end <= self.samples[1]:
            raise self._broken(f"a compressed recording has bytes {start:,} to {end:,} of {self.samples[1]:,}")
        try:
            with soundfile.SoundFile(io.BytesIO(self._read(self.samples[0] + start, end - start))) as file:
                unpacked: npt.NDArray[np.float32] = file.read(LONGEST_SAMPLE, "float32", always_2d=True)[:, 0]
        except (soundfile.SoundFileError, RuntimeError) as error:
            raise self._broken(f"a compressed recording at byte {start:,} cannot be unpacked") from error
        return unpacked


def _both(outer: int | None, inner: int | None) -> tuple[int, int]:
    """The range `(low, high)` in which two ranges of the format, low byte first, overlap; all where there are none."""
    low, high = 0, 127
    for amount in (outer, inner):
        if amount is not None:
            low, high = max(low, amount & 255), min(high, amount >> 8 & 255)
    return low, high


def _defaults() -> Amounts:
    amounts = np.zeros(GENERATORS, np.int64)
    amounts[FILTER] = 13_500
    amounts[[DELAY, ATTACK, HOLD, DECAY, RELEASE]] = -12_000
    amounts[[SWEEP, SWEEP + 1, SWEEP + 2, SWEEP + 3, SWEEP + 5]] = -12_000
    amounts[[FIXED_KEY, FIXED_VELOCITY, ROOT]] = -1
    amounts[SCALE] = 100
    return amounts


_DEFAULTS = _defaults()
_ADDED = frozenset(
    {FILTER, RESONANCE, PAN, DELAY, ATTACK, HOLD, DECAY, SUSTAIN, RELEASE, KEY_TO_HOLD, KEY_TO_DECAY}
    | {FILTER_SWEEP, *range(SWEEP, SWEEP + 8), ATTENUATION, COARSE_TUNE, FINE_TUNE, SCALE}
)
"""Generators of which a preset's amount is added to the instrument's; others a preset cannot have."""
