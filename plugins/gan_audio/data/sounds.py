"""Recordings from a folder or a zip archive, with their folders or names as classes.

Every file is decoded once and the samples are kept in the user's cache, from which they are mapped.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import soundfile
import torch
from pydantic import Field, model_validator

from gan_audio.data.blocks import NEEDS_FFMPEG
from gan_audio.data.cache import VERSION, Reading, Recorder
from gan_audio.data.decode import SUPPORTED, Treatment, amplitude, decode, is_sound, quiet
from gan_audio.data.labels import CONTENT, LABEL, NamePattern, by_pattern, is_chosen
from gan_audio.data.levels import Levels
from gan_audio.data.options import SoundOptions
from gan_audio.data.resampling import Floats
from gan_audio.data.source import FULL_SCALE, Clips, ClipSource, Longs, Place, Shorts, open_samples
from gancore.components import ProgressReport
from gancore.data.cache import CacheItem
from gancore.data.classes import Part
from gancore.data.files import MAX_ENTRY_BYTES, FileTree, Glob, scan
from gancore.data.reading import FileSet, Skips, nothing_usable, read_all
from gancore.data.report import Skipped
from gancore.data.sampler import spread
from gancore.errors import DataError
from gancore.random import Draws, derive

MAX_FILE_BYTES = 4 * 2**30
"""Files in folders are decoded piece by piece, and may be larger than what has to be unpacked into memory."""
FITTED, FITTED_SAMPLES = 1000, 2**26
"""At most so many clips and samples are looked at to find the range of each row of spectrograms."""

Long = Literal["crop-start", "crop-center", "crop-random", "split", "skip"]
CROPS: dict[Long, Place] = {"crop-start": "start", "crop-center": "center", "crop-random": "random"}


class Options(SoundOptions):
    """Options of the data set `sounds`."""

    path: Path = Field(description="A folder, with any folders below it, or a .zip archive of recordings.")
    include: tuple[Glob, ...] = Field(
        (),
        description="Only files whose name matches one of these globs, such as `*.flac`; with a slash, whose path inside"
        " the data set does (`train/*`). None: all.",
    )
    exclude: tuple[Glob, ...] = Field(
        (), description="Leave out files that match one of these globs, such as `*_[0-4].wav`."
    )
    labels: bool | Literal["auto"] = Field(
        "auto",
        description="Whether there are classes, from the field label of `pattern` or top folders; auto: if there are two or more,"
        " with more sounds inside than next to them. Those next to them are skipped.",
    )
    part: Part = "auto"
    pattern: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="How files are named, such as `{label}_{speaker}_{index}.wav`: the field label is the class, content what is"
        " said or played, of which metrics of translations ask whether it is kept; others stand for anything. Files that do not match"
        " are skipped.",
    )
    long: Long = Field(
        "crop-random",
        description="What is longer than a clip: cut to its beginning, its middle or a random part at each use, split into"
        " several clips, or skipped. Of what is left after a split, half a clip or more is kept.",
    )
    place: Place = Field("start", description="Where in the clip shorter sounds lie, with silence for the rest.")
    fade_ms: float = Field(
        5.0,
        ge=0.0,
        le=1000.0,
        description="Milliseconds in which sound rises or falls where it was cut or silence follows; 0: cuts may click.",
    )
    normalise: Literal["none", "peak", "loudness"] = Field(
        "none",
        description="Level of each file: as it is, its highest peak at 0.95, or its loudness at loudness_db.",
    )
    full_scale: Literal["auto"] | Annotated[float, Field(gt=0.0, le=1e12)] = Field(
        "auto",
        description="With normalise=none: the value that becomes 1, the same for all files; louder samples are clipped. auto:"
        " 1, or the highest value in the data if that is larger, as is possible in floating-point files.",
    )
    loudness_db: float = Field(
        -23.0,
        ge=-60.0,
        le=0.0,
        description="With normalise=loudness: root mean square of the active part (frames of 20 ms within 30 dB of the"
        " loudest), in dB of full scale; lower where the peak would pass 0.95.",
    )
    trim_db: float = Field(
        0.0,
        ge=0.0,
        le=120.0,
        description="Cut off both ends as far as they are more than this many dB below the peak, but for 5 ms; 0: nothing.",
    )
    silent_db: float = Field(
        -60.0,
        ge=-200.0,
        le=0.0,
        description="Skip files, and parts of a split one, without a sample above this level in dB of full scale.",
    )
    max_seconds: float = Field(
        1800.0, ge=0.01, le=86_400.0, description="Of longer files only so many seconds are read."
    )
    memory_limit_mb: int = Field(
        4096, ge=1, le=1_048_576, description="MiB that decoded sound may take in memory where it cannot be cached."
    )
    cache: bool = Field(
        True, description="Keep decoded sound on disk, in $GAN_CACHE_DIR or the user's cache folder, and map it."
    )

    @model_validator(mode="after")
    def _check(self) -> Options:
        _ = self.name_pattern
        if self.full_scale != "auto" and self.normalise != "none":
            raise ValueError(f"full_scale={self.full_scale:g} goes with normalise=none, not {self.normalise}")
        return self

    @property
    def name_pattern(self) -> NamePattern | None:
        """`pattern`, parsed. Raises ValueError where it is none."""
        return None if self.pattern is None else NamePattern.of(self.pattern)

    @property
    def treatment(self) -> Treatment:
        """What is done to each file when it is decoded."""
        given = {name: getattr(self, name) for name in Treatment.__dataclass_fields__}
        return Treatment(**given | {"full_scale": None if self.full_scale == "auto" else self.full_scale})


def open_sounds(options: Options, progress: ProgressReport) -> ClipSource:
    """Clips of every file that holds sound, in the order of the files' names.

    Files that hold none, or whose name does not match the pattern, are listed in the report with the reason. So are files
    that are used in part. Its notes say that most files do not reach the sample rate, what was done to levels, and of which
    files one channel was taken. Raises UsageError for a path or labels that cannot be, DataError when there is no sound.
    """
    archive = options.path.expanduser().is_file()
    tree = scan(options.path, what="recordings", max_bytes=MAX_ENTRY_BYTES if archive else MAX_FILE_BYTES)
    files = _files(tree, options)
    reading, samples, file = _decoded(files, options, progress)
    names = [files.entries[number].name for number in reading.used]
    usable, skipped = _usable(names, reading, options)
    levels = Levels.of(reading, usable, names, options.treatment)
    usable, hushed = levels.heard(usable, names)
    clips, recording, silent = _clips(reading, samples, usable, names, levels.gains, options)
    skipped = [*reading.skipped, *skipped, *hushed, *silent]
    if not len(clips):
        raise files.nothing("sound", SUPPORTED, skipped, kind="sound file")

    todo = (
        "sort the recordings into folders named by their classes, give a pattern with {label}, or set labels to auto or"
        " false"
    )
    labels, classes = files.labels([reading.used[number] for number in recording.tolist()], options.labels, todo)
    notes = (*levels.notes(), *_alone(reading, usable, names), *_slow(reading, options))
    report = files.report(len(clips), skipped, notes)
    gains = levels.gains[recording]
    source = ClipSource(
        options.spec(classes).changed(
            full_scale=levels.full_scale, normalise=options.normalise, loudness_db=options.loudness_db
        ),
        samples,
        clips,
        labels,
        report,
        crop=CROPS.get(options.long, "start"),
        place=options.place,
        fade=round(options.fade_ms / 1000.0 * options.sample_rate),
        groups=torch.from_numpy(recording),
        gains=None if (gains == 1.0).all() else gains,
        file=file,
    )
    source.content = files.content([reading.used[number] for number in recording.tolist()])
    # Any clips would do that stand for all; these are spread evenly, and the same each time.
    some = spread(len(clips), max(1, min(FITTED, FITTED_SAMPLES // options.length)))
    source.spec = source.spec.fitted(source.fetch(some, Draws(derive(0, "fitted"), some))[0])
    return source


def _files(tree: FileTree, options: Options) -> FileSet:
    """The recordings that are chosen, and the class of each by its name's pattern or by its folder."""
    sounds = [entry for entry in tree.entries if is_sound(entry)]
    chosen = [entry for entry in sounds if is_chosen(entry.name, options.include, options.exclude)]
    if sounds and not chosen:
        globs = f"include={','.join(options.include) or 'none'}, exclude={','.join(options.exclude) or 'none'}"
        are = "1 file is a sound" if len(sounds) == 1 else f"{len(sounds):,} files are sounds"
        raise DataError(
            f"data set '{options.path}': no sound could be read ({are} by suffix, none is left by {globs}); "
            "change include or exclude"
        )
    if not chosen:
        none = {"examined": "0 sound files", "otherwise": "none has the suffix of a sound"}
        raise nothing_usable(options.path, "sound", SUPPORTED, tree.problems, **none)
    pattern = options.name_pattern
    named = pattern is not None and LABEL in pattern.fields
    files = FileSet.of(options.path, tree, chosen, part=options.part, labels=False if named else options.labels)
    if pattern is None or not named or options.labels is False:
        return files
    names = [entry.name for entry in files.entries]
    inner = tuple(by_pattern(names, pattern, CONTENT)) if CONTENT in pattern.fields else ()
    return replace(files, words=tuple(by_pattern(names, pattern)), inner=inner)


# --- reading ----------------------------------------------------------------------------------------------------------


def _decoded(files: FileSet, options: Options, progress: ProgressReport) -> tuple[Reading, Shorts, Path | None]:
    """What came of the files, their samples one after the other, and the file these are mapped from, if they are."""
    item = CacheItem("sounds", _key(files, options), ".i16") if options.cache else None
    if item and (known := item.load(Reading)):
        mapped = item.mapped(open_samples, (sum(known.lengths),))
        if mapped is not None:
            return known, mapped, item.data
    return _read(files, item, options, progress)


def _key(files: FileSet, options: Options) -> str:
    # Another version may decode or filter otherwise, and with ffmpeg there is more that can be decoded.
    ffmpeg = (
        any(entry.name.lower().endswith(NEEDS_FFMPEG) for entry in files.entries) and shutil.which("ffmpeg") is not None
    )
    return files.key(VERSION, asdict(options.treatment), soundfile.__libsndfile_version__, ffmpeg)


def _read(
    files: FileSet, item: CacheItem | None, options: Options, progress: ProgressReport
) -> tuple[Reading, Shorts, Path | None]:
    skips, treatment = Skips(), options.treatment
    used: list[tuple[int, int, int, tuple[bool, bool], float, float, bool, str]] = []
    limit = options.memory_limit_mb * 2**20
    with quiet(), Recorder(item, limit, f"data set '{options.path}'") as recorder:
        # Sounds may be long, so few wait at once.
        for number, sound in read_all(
            files.entries, lambda e: decode(e, treatment), skips, progress, "reading sounds", workers=8, ahead=2
        ):
            recorder.add(sound.samples)
            about = (sound.cut, sound.scale, sound.peak, sound.alone, sound.remark)
            used.append((number, len(sound.samples), sound.rate, *about))
        if not used:
            raise files.nothing("sound", SUPPORTED, skips.listed, kind="sound file")
        numbers, lengths, rates, cut, scales, peaks, alone, remarks = zip(*used, strict=True)
        reading = Reading(numbers, lengths, rates, cut, scales, peaks, alone, remarks, tuple(skips.listed))
        return reading, *recorder.keep(reading, lasting=skips.lasting)


# --- clips ------------------------------------------------------------------------------------------------------------


def _usable(names: Sequence[str], reading: Reading, options: Options) -> tuple[Longs, list[Skipped]]:
    """The numbers of the recordings to use, and what is wrong with the others or missing in these."""
    usable: list[int] = []
    skipped: list[Skipped] = []
    pattern = options.name_pattern
    for number, (name, length) in enumerate(zip(names, reading.lengths, strict=True)):
        if pattern and pattern.match(name) is None:
            skipped.append(Skipped(name, f"mislabelled (its name is not of the form '{pattern.text}')"))
        elif options.long == "skip" and length > options.length:
            seconds = length / options.sample_rate
            skipped.append(Skipped(name, f"too long ({seconds:,.2f} s, {length:,} samples) with long=skip"))
        else:
            usable.append(number)
            if reading.remarks[number]:
                skipped.append(Skipped(name, reading.remarks[number]))
    return np.array(usable, dtype=np.int64), skipped


def _clips(
    reading: Reading, samples: Shorts, usable: Longs, names: Sequence[str], gains: Floats, options: Options
) -> tuple[Clips, Longs, list[Skipped]]:
    """Where clips are, the number of each one's recording `[n]`, and recordings of which parts are silent."""
    lengths = np.array(reading.lengths, dtype=np.int64)
    ends = np.cumsum(lengths)
    starts = ends - lengths
    number, part = usable, np.zeros_like(usable)
    if options.long == "split":
        pieces, rest = np.divmod(lengths[usable], options.length)
        pieces += (2 * rest >= options.length) | (pieces == 0)
        number = np.repeat(usable, pieces)
        part = np.arange(len(number)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    start = starts[number] + part * options.length
    span = np.minimum(options.length, ends[number] - start) if options.long == "split" else lengths[number]
    skipped = []
    if options.long == "split":
        least = amplitude(options.silent_db) * FULL_SCALE
        peaks = [_peak(samples[a : a + n]) for a, n in zip(start.tolist(), span.tolist(), strict=True)]
        heard = np.array(peaks) * gains[number] >= least
        for one, count in Counter(number[~heard].tolist()).items():
            parts = f"{count:,} of {int((number == one).sum()):,} parts"
            skipped.append(Skipped(names[one], f"in part silent ({parts}, which are left out)"))
        number, start, span = number[heard], start[heard], span[heard]
    trimmed = np.array(reading.cut, dtype=np.bool_).reshape(-1, 2)[number]
    return Clips(start, span, starts[number], ends[number], trimmed), number, skipped


def _peak(samples: Shorts) -> int:
    return max(int(samples.max()), -int(samples.min()))


# --- notes --------------------------------------------------------------------------------------------------------------


def _alone(reading: Reading, usable: Longs, names: Sequence[str]) -> Iterator[str]:
    """What is to be said of recordings whose channels cancel out."""
    those = [names[number] for number in usable.tolist() if reading.alone[number]]
    if those:
        files = "1 file" if len(those) == 1 else f"{len(those):,} files"
        some = ", ".join(those[:3]) + (" ..." if len(those) > 3 else "")
        yield f"channels of {files} cancel out when mixed, so only the loudest one is used ({some})"


def _slow(reading: Reading, options: Options) -> Iterator[str]:
    """A note where most files have a lower sample rate than was asked for."""
    rates = np.array(reading.rates)
    low = rates[rates < options.sample_rate]
    if 2 * len(low) > len(rates):
        yield (
            f"{len(low):,} of {len(rates):,} files have a sample rate below {options.sample_rate:,} Hz, most often "
            f"{int(np.bincount(low).argmax()):,} Hz: above half of that they hold nothing"
        )
