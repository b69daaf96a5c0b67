"""What a generator is given out of MIDI files: the notes of some tracks, for which it makes the others, or all, which it translates."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from torch import Tensor

from gan_music.data.chunks import last_tick
from gan_music.data.keys import KEYS, MODES, estimate_keys
from gan_music.data.phrases import into_range
from gan_music.data.reading import MAX_BYTES, MAX_QUARTERS, SUFFIXES, Part, Tune, read_tune
from gan_music.roll import Ints, Notes, to_roll
from gan_music.spec import MAX_BARS, MusicSpec
from gancore.components import ProgressReport
from gancore.data.files import Entry, scan
from gancore.data.report import silent
from gancore.data.spec import Given
from gancore.errors import DataError, GanError, UsageError

MAX_CELLS = 1 << 25
"""Cells of all phrases of a file, of one byte each; a file that lasts longer is not used."""
MAX_FOLLOWED = 4 << 20
"""Bytes of a file that is looked through for a rest at its end."""


@dataclass(frozen=True, slots=True)
class MidiReader:
    """MIDI files in phrases, with the notes in the given tracks, or in all where there are domains: then folders and archives, too."""

    spec: MusicSpec

    def read(self, path: Path) -> Given:
        """The file at `path`, see `one`; where there are domains, a folder or archive as well, of which files that do not fit are left
        out.

        Raises:
            UsageError: there is nothing that fits.
            DataError: the file is damaged, or all of them are.
        """
        if not self._is_many(path):
            return self.one(path)
        found = list(self._each(path, silent))
        names = tuple(name for given in found for name in given.names)
        return Given(torch.cat([given.x for given in found]), names=names)

    def stream(self, path: Path, progress: ProgressReport) -> Iterator[Given] | None:
        """The files of a folder or archive in turn, where there are domains, as `read` gives them; None for a single one."""
        return self._each(path, progress) if self._is_many(path) else None

    def _is_many(self, path: Path) -> bool:
        return bool(self.spec.domains) and (path.is_dir() or path.suffix.lower() == ".zip")

    def _each(self, path: Path, progress: ProgressReport) -> Iterator[Given]:
        tree = scan(path, what="MIDI files", max_bytes=MAX_BYTES)
        entries = [entry for entry in tree.entries if PurePosixPath(entry.name).suffix.lower() in SUFFIXES]
        if not entries:
            raise UsageError(
                f"'{path}' has no MIDI files ({', '.join(SUFFIXES)}); name a MIDI file, or a folder or .zip archive of some"
            )
        first: GanError | None = None
        failed = 0
        for number, entry in enumerate(entries, 1):
            progress("reading MIDI files", number, len(entries))
            try:
                given = self._phrases(path / entry.name, partial(_listed, entry))
            except (UsageError, DataError) as error:
                first, failed = first or error, failed + 1
                continue
            yield Given(given.x, names=given.names)
        if first is None:
            return
        if failed == len(entries):
            raise first
        left_out = f"{failed:,} of {len(entries):,} files cannot be translated; the first: {first}"
        warnings.warn(f"'{path}': {left_out}", stacklevel=2)

    def one(self, path: Path) -> Given:
        """The whole file at `path`, as phrases of `spec.bars` bars in a row; the tracks that are not given are silent.

        Where there are domains, all tracks are given, those that the file lacks are silent, and phrases are called as the
        file, with a number where there are several.

        Onsets and ends are rounded to the grid, halves upwards, and pitches beyond the range are moved into it by octaves;
        drums there are left out. Whole bars of rest at the end count, and the last phrase is filled up with silence. A note
        that is tied across the border of two phrases is held from the first cell of the second on. Where classes are keys or
        modes, those of the phrases follow from the notes. The tempo is the file's.

        Raises:
            UsageError: no track is given, there is no such file, or its tracks, meter or length do not fit.
            DataError: the file is damaged.
        """
        spec = self.spec
        if not spec.given and not spec.domains:
            raise UsageError(
                f"'{path}': no track is given to this generator; it makes all of {_names(spec, range(len(spec.tracks)))}"
            )
        return self._phrases(path, lambda: _content(path))

    def _phrases(self, path: Path, content: Callable[[], bytes]) -> Given:
        """The phrases of a file that lies at `path`, or would, were its archive a folder."""
        spec = self.spec
        try:
            tune = read_tune(data := content())
        except DataError as error:
            raise DataError(
                f"'{path}' cannot be used: {error}; give a MIDI file with the notes of {_names(spec)}"
            ) from None
        _check_meter(tune, spec, path)
        notes = _notes(tune, choose(tune, spec, path), spec)
        bars = _bars(notes, rest_until(data), tune, spec)
        phrases = max(1, math.ceil(bars / spec.bars))
        most = MAX_CELLS // (len(spec.tracks) * spec.time * spec.pitches)
        if phrases > most:
            raise UsageError(
                f"'{path}' has {bars:,} bars; at most {most * spec.bars:,} can be given at once: cut it into parts"
            )
        # One long roll, cut: a note across a border goes on in the next phrase, and can be joined again.
        whole = to_roll(notes, spec.changed(bars=phrases * spec.bars))
        rolls = whole.reshape(len(spec.tracks), phrases, spec.time, spec.pitches).swapaxes(0, 1)
        x, own = torch.from_numpy(np.ascontiguousarray(rolls)), spec.changed(tempo=min(max(tune.tempo, 10.0), 1000.0))
        if not spec.domains:
            return Given(x, _classes(spec, notes, phrases), own)
        stem = path.stem
        return Given(x, None, own, (stem,) if phrases == 1 else tuple(f"{stem}-{n + 1:03}" for n in range(phrases)))

    def join(self, samples: Tensor, given: Given) -> tuple[MusicSpec, Tensor] | None:
        """Whole pieces `[count, tracks, phrases * time, pitch]` out of phrases `[n, tracks, time, pitch]`.

        In given tracks a note that was tied across the border of two phrases is one again. None where there are domains:
        phrases that are translated have files of their own.
        """
        if self.spec.domains:
            return None
        phrases = len(given)
        count = len(samples) // phrases
        if not count or phrases * self.spec.bars > MAX_BARS:
            return None
        whole = samples[: count * phrases].clone()
        whole[:, self.spec.given_tracks] = given.x.repeat(count, 1, 1, 1)[:, self.spec.given_tracks]
        whole = whole.unflatten(0, (count, phrases)).transpose(1, 2).flatten(2, 3)
        own = given.spec if isinstance(given.spec, MusicSpec) else self.spec
        return own.changed(bars=phrases * self.spec.bars), whole.contiguous()


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"it is larger than {MAX_BYTES >> 20} MB")
        return path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"'{path}' does not exist; name a MIDI file") from None
    except OSError as error:
        raise UsageError(f"'{path}' cannot be read ({error.strerror}); name a MIDI file") from None


def _listed(entry: Entry) -> bytes:
    try:
        return entry.read()
    except DataError as error:
        raise DataError(f"it is {error}") from None


def _names(spec: MusicSpec, numbers: Sequence[int] | None = None) -> str:
    return ", ".join(spec.tracks[n].name for n in (_heard(spec) if numbers is None else numbers))


def _heard(spec: MusicSpec) -> Sequence[int]:
    """Numbers of the tracks that are taken from a file: those that are given, or all that are translated."""
    return range(len(spec.tracks)) if spec.domains else spec.given_tracks


# --- tracks -----------------------------------------------------------------------------------------------------------


def choose(tune: Tune, spec: MusicSpec, path: Path) -> list[tuple[int, Part]]:
    """The parts of the file that are heard, each with the number of the track that it fills.

    A track of drums takes all parts of channel 10. Of the other given tracks each takes the parts whose names contain its
    own, in any case, if there are any for every one of these tracks. Else they take one part each in the order of the file,
    so that the only part of a file is always right. Parts that nobody takes are left out. Where there are domains a file may
    lack tracks, and names count as soon as there is one.
    """
    heard = _heard(spec)
    drums = [part for part in tune.parts if part.drums]
    pitched = [part for part in tune.parts if not part.drums]
    chosen = [(number, part) for number in heard if spec.tracks[number].drums for part in drums]
    wanted = [number for number in heard if not spec.tracks[number].drums]
    if len(wanted) < len(heard) and not drums and not spec.domains:
        raise UsageError(
            f"'{path}' has no drums, which are given on MIDI channel 10; this generator is given {_names(spec)}"
        )
    named = {n: [part for part in pitched if spec.tracks[n].name.casefold() in part.name.casefold()] for n in wanted}
    if all(named.values()) or (spec.domains and any(named.values())):
        return chosen + [(number, part) for number, parts in named.items() for part in parts]
    if len(pitched) < len(wanted) and not spec.domains:
        found = f"{len(pitched)} track{'s' * (len(pitched) != 1)} with notes"
        raise UsageError(
            f"'{path}' has {found}{', drums apart' if drums else ''}, where {len(wanted)} are needed: this generator is given "
            f"{_names(spec)}"
        )
    return chosen + list(zip(wanted, pitched, strict=False))


# --- time and pitch ---------------------------------------------------------------------------------------------------


def _check_meter(tune: Tune, spec: MusicSpec, path: Path) -> None:
    """The file must be in the spec's meter throughout, with bars that begin at its beginning."""
    wanted = f"{spec.beats_per_bar}/{spec.beat_unit}"
    bar = Fraction(4 * tune.ticks_per_quarter * spec.beats_per_bar, spec.beat_unit)
    end = max(int((part.start.astype(np.int64) + part.duration).max()) for part in tune.parts)
    signatures = sorted(
        (int(tick), int(upper), int(lower))
        for tick, upper, lower in zip(tune.meter_start, tune.numerator, tune.denominator, strict=True)
        if tick < end
    )
    if not signatures or signatures[0][0] > 0:
        signatures = [(0, 4, 4), *signatures]  # without a signature a file is in 4/4, says the standard
    # Of several at once the last counts.
    in_force = {tick: (upper, lower) for tick, upper, lower in signatures}
    for tick, (upper, lower) in in_force.items():
        where = f"from bar {tick // bar + 1} on" if tick else "at its beginning"
        if (upper, lower) != (spec.beats_per_bar, spec.beat_unit):
            raise UsageError(f"'{path}' is in {upper}/{lower} {where}, and this generator makes music in {wanted}")
        if tick % bar:
            raise UsageError(
                f"'{path}' begins a bar within a bar ({where}); its bars of {wanted} must follow one another"
            )


def _notes(tune: Tune, chosen: Sequence[tuple[int, Part]], spec: MusicSpec) -> Notes:
    """The notes on the grid, from the beginning of the file."""
    empty = np.zeros(0, np.int64)

    def column(name: str) -> Ints:
        parts = [getattr(part, name).astype(np.int64) for _, part in chosen]
        return np.concatenate([empty, *parts])

    # A step is 4 * ticks / (unit * steps) ticks: in units of half a step, all is whole.
    scale, step = 2 * spec.beat_unit * spec.steps_per_beat, 8 * tune.ticks_per_quarter
    start = column("start") * scale
    onset = (start + step // 2) // step
    end = (start + column("duration") * scale + step // 2) // step
    track = np.repeat([number for number, _ in chosen], [len(part) for _, part in chosen]).astype(np.int64)
    drums = np.array([one.drums for one in spec.tracks])[track]
    pitch, highest = column("pitch"), spec.lowest + spec.pitches - 1
    folded, inside = into_range(pitch, spec.lowest, highest, True)
    inside &= ~drums | (folded == pitch)
    velocity = np.clip(column("velocity"), 0, 127) * spec.velocities // 128
    return Notes(track, onset, np.maximum(end - onset, 1), folded, velocity)[inside]


def _bars(notes: Notes, rest: int, tune: Tune, spec: MusicSpec) -> int:
    """Bars until the last note has ended, and whole bars of rest after it, up to the tick `rest`."""
    last = int((notes.start + notes.duration).max(initial=0))
    step = Fraction(4 * tune.ticks_per_quarter, spec.beat_unit * spec.steps_per_beat)
    silent = int(Fraction(rest) / step + Fraction(1, 2)) // spec.steps_per_bar
    return max(math.ceil(last / spec.steps_per_bar), silent)


def rest_until(data: bytes) -> int:
    """The tick of the last event of a MIDI file, which may be its end of track; 0 where that cannot be found out.

    The parser keeps only events that are music. What is damaged or lasts too long to be meant is not followed.
    """
    last, at = 0, data.find(b"MThd") if len(data) <= MAX_FOLLOWED else -1
    per_quarter = int.from_bytes(data[at + 12 : at + 14], "big")
    while at >= 0 and at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "big")
        if data[at : at + 4] == b"MTrk":
            last = max(last, last_tick(data[at + 8 : at + 8 + size]))
        at += 8 + size
    return last if last <= MAX_QUARTERS * per_quarter else 0


# --- classes ----------------------------------------------------------------------------------------------------------


def _classes(spec: MusicSpec, notes: Notes, phrases: int) -> Tensor | None:
    """The class `[phrases]` of all phrases, where classes are keys or modes and that of the notes is among them."""
    kind = KEYS if set(spec.classes) <= set(KEYS) else MODES if set(spec.classes) <= set(MODES) else ()
    sounding = notes[~np.array([track.drums for track in spec.tracks])[notes.track]]
    if not spec.classes or not kind or not len(sounding):
        return None
    weights = np.bincount(sounding.pitch % 12, weights=sounding.duration, minlength=12).astype(np.float64)
    key = int(estimate_keys(weights[None])[0])
    name = KEYS[key] if kind is KEYS else MODES[key // 12]
    return torch.full((phrases,), spec.classes.index(name)) if name in spec.classes else None
