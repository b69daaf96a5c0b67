"""Phrases out of MIDI files: one, or all of a folder or zip archive."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, StringConstraints, model_validator
from torch import Tensor

from gan_music.data.keys import KEYS, MODES, estimate_keys, to_common
from gan_music.data.phrases import MAX_STEPS, Grid, Phrases, cut, into_range, join, quarters_elsewhere, table_of
from gan_music.data.reading import MAX_BYTES, SUFFIXES, Tune, read_tune
from gan_music.data.tracks import DEFAULT_NAMES, DRUMS, GROUPS, Rule, assign, singles, spec_tracks
from gan_music.roll import Ints, to_rolls
from gan_music.spec import MusicSpec
from gancore.components import ProgressReport
from gancore.data.classes import Content, Part
from gancore.data.files import Entry, scan, single
from gancore.data.reading import FileSet, Skips, read_all
from gancore.data.report import ScanReport
from gancore.options import Options as BaseOptions
from gancore.random import Draws

SUPPORTED = "standard MIDI files, types 0 and 1"

Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]

# So much is read before it is cut into phrases, to bound the memory that reading takes.
_NOTES_AT_ONCE = 300_000
_FILES_AT_ONCE = 1024


class Options(BaseOptions):
    """Options of the data set `midi`."""

    path: Path = Field(description="A MIDI file, or a folder, with any folders below it, or a .zip archive of some.")
    bars: int = Field(4, ge=1, le=64, description="Bars in a phrase.")
    stride: int = Field(0, ge=0, le=64, description="Bars from one phrase to the next; 0: as many as a phrase has.")
    steps_per_beat: int = Field(4, ge=1, le=96, description="Steps of the grid in a beat; onsets are rounded to them.")
    meter: str = Field(
        "4/4",
        pattern=r"^([1-9]|[12][0-9]|3[0-2])/(1|2|4|8|16)$",
        description="Time signature; passages in another one are left out. The lower number is the beat.",
    )
    lowest: int = Field(24, ge=0, le=127, description="Lowest MIDI pitch that is kept.")
    highest: int = Field(107, ge=0, le=127, description="Highest MIDI pitch that is kept.")
    outside: Literal["fold", "drop"] = Field(
        "fold", description="Notes beyond the pitch range: moved into it by octaves, or left out. Drums are left out."
    )
    tracks: Rule = Field(
        "order",
        description="How tracks of files become those of phrases: one each by their order, by their General MIDI program, "
        "by a name that theirs contains, or all merged into one.",
    )
    names: tuple[Name, ...] = Field(
        (),
        max_length=64,
        description="Names of the tracks, which also say how many; none: melody and chords by order and name, bass, drums, "
        "guitar, piano and strings by program. Only a track named drums takes drums.",
    )
    velocities: int = Field(1, ge=1, le=127, description="How many velocities are told apart; 1: none are kept.")
    transpose: Literal["none", "common", "augment"] = Field(
        "none",
        description="Keys: as they are, every tune moved to C major or A minor by its estimated key, or each sample moved at "
        "random by -5 to 6 semitones.",
    )
    min_notes: int = Field(1, ge=1, le=10_000, description="Phrases with fewer notes are left out.")
    min_tracks: int = Field(1, ge=1, le=64, description="Phrases in which fewer tracks sound are left out.")
    labels: Literal["none", "key", "mode", "folder"] = Field(
        "none", description="Classes: none, the estimated key or mode of the tune, or the top folder of its file."
    )
    part: Part = "auto"
    given: tuple[Name, ...] = Field(
        (),
        max_length=63,
        description="Names of tracks that the generator is given, to make the others: melody, or several with commas.",
    )

    @model_validator(mode="after")
    def _check(self) -> Options:
        if self.lowest > self.highest:
            raise ValueError(f"lowest ({self.lowest}) must not be above highest ({self.highest})")
        if self.grid.time > MAX_STEPS:
            raise ValueError(
                f"a phrase of {self.bars} bars of {self.meter} with {self.steps_per_beat} steps a beat has {self.grid.time:,} "
                f"steps, at most {MAX_STEPS:,} are possible; take fewer bars or steps_per_beat"
            )
        names = self.track_names
        if len(set(names)) != len(names):
            raise ValueError(f"names must differ, not {', '.join(names)}")
        if self.tracks == "program" and not set(names) <= set(GROUPS):
            raise ValueError(f"with tracks=program names must be of {', '.join(GROUPS)}, not {', '.join(names)}")
        if self.tracks == "merged" and (len(names) != 1 or names[0] == DRUMS):
            raise ValueError(f"with tracks=merged there is one name, and not '{DRUMS}'; found {', '.join(names)}")
        if self.min_tracks > len(names):
            raise ValueError(f"min_tracks ({self.min_tracks}) must not be above the number of tracks ({len(names)})")
        if unknown := [name for name in self.given if name not in names]:
            raise ValueError(f"given: there is no track '{unknown[0]}'; tracks are {', '.join(names)}")
        if len(set(self.given)) != len(self.given) or len(self.given) == len(names):
            raise ValueError(f"given must name each track once and leave one to make; tracks are {', '.join(names)}")
        return self

    @property
    def track_names(self) -> tuple[str, ...]:
        """`names`, or those that come with the rule."""
        return self.names or DEFAULT_NAMES[self.tracks]

    @property
    def grid(self) -> Grid:
        """Bars, beats and steps of a phrase."""
        found = re.split("/", self.meter)
        return Grid(self.bars, self.stride or self.bars, int(found[0]), int(found[1]), self.steps_per_beat)


def open_midi(options: Options, progress: ProgressReport) -> PhraseSource:
    """Phrases `[tracks, time, pitch]` uint8 of every file that holds one, in the order of the files' names.

    Files that hold none are listed in the report with the reason, and so are those that are left out in part because
    their meter changes. Raises UsageError for a path or labels that cannot be, DataError when there is no phrase.
    """
    place = options.path.expanduser()
    if place.suffix.lower() in SUFFIXES and os.path.isfile(place):
        tree = single(place, max_bytes=MAX_BYTES)
    else:
        tree = scan(place, what="MIDI files", max_bytes=MAX_BYTES)
    files = FileSet.of(options.path, tree, part=options.part, labels=options.labels == "folder", suffixes=SUFFIXES)
    skips = Skips()
    read = [chunk for chunk in _read(files.entries, options, skips, progress) if chunk.numbers]
    if not read:
        raise files.nothing(f"phrase of {options.bars} bars of {options.meter}", SUPPORTED, skips.listed)
    phrases = join([chunk.phrases for chunk in read])
    keys = np.concatenate([chunk.keys for chunk in read])[phrases.tune]
    used = [number for chunk in read for number in chunk.numbers]
    labels, classes = _labels(options, files, used, phrases, keys)
    programs = np.sum([chunk.programs for chunk in read], axis=0)
    tempo = float(np.median(np.concatenate([chunk.tempos for chunk in read])))
    grid = options.grid
    spec = MusicSpec.of(
        spec_tracks(
            options.tracks,
            options.track_names,
            programs.tolist(),
            singles(phrases, len(options.track_names), grid.time),
        ),
        bars=options.bars,
        steps_per_beat=options.steps_per_beat,
        beats_per_bar=grid.beats_per_bar,
        beat_unit=grid.beat_unit,  # type: ignore[arg-type]  # the pattern of `meter` allows no other
        lowest=options.lowest,
        pitches=options.highest - options.lowest + 1,
        tempo=min(max(tempo, 10.0), 1000.0),
        velocities=options.velocities,
        classes=classes,
        given=options.given,
    )
    names = tuple(files.entries[number].name for number in used)
    source = PhraseSource(
        phrases,
        spec,
        files.report(len(phrases), skips.listed),
        names=names,
        keys=keys,
        labels=labels,
        augment=options.transpose == "augment",
        fold=options.outside == "fold",
        key_labels=options.labels == "key",
    )
    if options.labels == "folder":
        source.content = files.content([used[tune] for tune in phrases.tune.tolist()])
    return source


class PhraseSource:
    """A `DataSource` over phrases held as notes; their rolls are made for one batch at a time.

    `names` are the files that phrases came from, by `phrases.tune`; `keys` `[phrases]` numbers their keys in
    `gan_music.data.keys.KEYS`, as the phrases are held.
    """

    in_memory = True
    content: Content | None = None

    def __init__(
        self,
        phrases: Phrases,
        spec: MusicSpec,
        report: ScanReport,
        *,
        names: tuple[str, ...],
        keys: Ints,
        labels: Tensor | None = None,
        augment: bool = False,
        fold: bool = True,
        key_labels: bool = False,
    ) -> None:
        self.phrases = phrases
        self.spec = spec
        self.report = report
        self.names = names
        self.keys = keys
        self.labels = labels
        self.augment = augment
        self.fold = fold
        self.key_labels = key_labels

    def __len__(self) -> int:
        return len(self.phrases)

    @property
    def groups(self) -> Tensor:
        """The tune of each phrase, int64 `[phrases]`: phrases of one are held out together."""
        return torch.from_numpy(self.phrases.tune)

    def fetch(self, indices: Tensor, draws: Draws) -> tuple[Tensor, Tensor | None]:
        """Hard rolls uint8 `[batch, tracks, time, pitch]` and class indices int64 `[batch]`, or None without labels."""
        notes, place = self.phrases.gather(indices.numpy())
        labels = None if self.labels is None else self.labels[indices]
        if self.augment:
            shift = draws.integers("transpose", 12).numpy() - 5
            drums = np.array([track.drums for track in self.spec.tracks])[notes.track]
            pitch = notes.pitch + np.where(drums, 0, shift[place])
            highest = self.spec.lowest + self.spec.pitches - 1
            pitch, kept = into_range(pitch, self.spec.lowest, highest, self.fold)
            notes, place = replace(notes, pitch=pitch)[kept], place[kept]
            if self.key_labels:
                moved = _moved(self.keys[indices.numpy()], shift)
                labels = torch.tensor([self.spec.classes.index(KEYS[key]) for key in moved], dtype=torch.int64)
        return torch.from_numpy(to_rolls(notes, place, len(indices), self.spec)), labels


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Chunk:
    """What came of some files: `phrases.tune` numbers files that were used, from 0 through all chunks."""

    phrases: Phrases
    numbers: tuple[int, ...]
    keys: Ints
    tempos: np.ndarray
    programs: list[list[int]]


def _read(entries: Sequence[Entry], options: Options, skips: Skips, progress: ProgressReport) -> Iterator[_Chunk]:
    """The phrases of all files, some files at a time."""

    def decode(entry: Entry) -> tuple[Tune, list[int]]:
        tune = read_tune(entry.read(), by_program=options.tracks == "program")
        return tune, assign(tune, options.tracks, options.track_names)

    waiting: list[tuple[int, Tune, list[int]]] = []
    notes = used = 0
    # The parser lets no other thread run.
    for number, (tune, places) in read_all(entries, decode, skips, progress, "reading MIDI files", workers=1):
        waiting.append((number, tune, places))
        notes += tune.note_count
        if notes >= _NOTES_AT_ONCE or len(waiting) == _FILES_AT_ONCE:
            chunk = _cut(waiting, entries, options, used, skips)
            used += len(chunk.numbers)
            yield chunk
            waiting, notes = [], 0
    if waiting:
        yield _cut(waiting, entries, options, used, skips)


def _cut(
    files: Sequence[tuple[int, Tune, list[int]]], entries: Sequence[Entry], options: Options, used: int, skips: Skips
) -> _Chunk:
    numbers, tunes, places = zip(*files, strict=True)
    names, grid = options.track_names, options.grid
    drums = np.array([name == DRUMS for name in names])
    notes = table_of(tunes, places)
    struck = drums[notes.track]
    weights = np.where(struck, 0.0, np.maximum(notes.duration, 1))
    cells = notes.tune * 12 + notes.pitch % 12
    keys = estimate_keys(np.bincount(cells, weights, 12 * len(tunes)).astype(np.float64).reshape(-1, 12))
    shift = to_common(keys) if options.transpose == "common" else np.zeros_like(keys)
    pitch = notes.pitch + np.where(struck, 0, shift[notes.tune])
    folded, kept = into_range(pitch, options.lowest, options.highest, options.outside == "fold")
    kept &= ~struck | (folded == pitch)
    velocity = np.clip(notes.velocity, 0, 127) * options.velocities // 128
    notes = replace(notes, pitch=folded, velocity=velocity)[kept]
    phrases, reasons = cut(tunes, notes, grid, drums=drums, min_notes=options.min_notes, min_tracks=options.min_tracks)
    good = np.array([not reason for reason in reasons])
    programs = [[0] * 128 for _ in names]
    for number, tune, own, reason in zip(numbers, tunes, places, reasons, strict=True):
        name = entries[number].name
        if reason:
            skips.add(name, reason)
            continue
        for part, place in zip(tune.parts, own, strict=True):
            if place >= 0:
                programs[place][part.program] += 1
        if tune.joined:
            skips.add(name, "in part: other MIDI files follow the first one in it")
        if len(tune.meter_start) > 1 and (other := quarters_elsewhere(tune, grid)):
            skips.add(name, f"used in part ({float(other):g} quarter notes are not in {options.meter})")
    return _Chunk(
        phrases=replace(phrases, tune=(good.cumsum() - 1 + used)[phrases.tune]),
        numbers=tuple(number for number, reason in zip(numbers, reasons, strict=True) if not reason),
        keys=_moved(keys, shift)[good],
        tempos=np.array([tune.tempo for tune in tunes])[good],
        programs=programs,
    )


# --- labels -----------------------------------------------------------------------------------------------------------


def _moved(keys: Ints, shift: Ints) -> Ints:
    """Numbers of keys after transposition by so many semitones."""
    return keys // 12 * 12 + (keys + shift) % 12


def _labels(
    options: Options, files: FileSet, used: Sequence[int], phrases: Phrases, keys: Ints
) -> tuple[Tensor | None, tuple[str, ...]]:
    """Class indices `[phrases]` int64 and names, or None and none. Classes without a phrase are left out."""
    if options.labels == "none":
        return None, ()
    if options.labels == "folder":
        todo = "sort the files into folders named by their classes, or choose other labels"
        labels, classes = files.labels(used, True, todo)
        return None if labels is None else labels[torch.from_numpy(phrases.tune)], classes
    if options.labels == "mode":
        modes = np.unique(keys // 12)
        return torch.from_numpy(np.searchsorted(modes, keys // 12)), tuple(MODES[mode] for mode in modes)
    possible = np.unique(keys)
    if options.transpose == "augment":
        possible = np.unique([_moved(possible, np.full_like(possible, shift)) for shift in range(12)])
    return torch.from_numpy(np.searchsorted(possible, keys)), tuple(KEYS[key] for key in possible)
