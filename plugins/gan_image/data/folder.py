"""Pictures in a folder tree or zip archive, of any sizes and formats, brought to one size.

They are decoded once, in threads, and kept in the user's cache; too many for that are decoded again for each batch.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Annotated, Literal

import numpy as np
import PIL
import torch
from pydantic import Field
from torch import Tensor

from gan_image.data.decode import SUPPORTED, Facts, Look, Mode, decode, look_at, measure, quiet_pillow, suffixes
from gan_image.data.intensities import Extent, Range, notes
from gan_image.data.pixels import PixelSource, flip_half, open_mapped
from gan_image.spec import ImageSpec
from gancore.components import DataFacts, ProgressReport
from gancore.data.cache import CacheItem
from gancore.data.classes import Content, Part
from gancore.data.files import Entry, digest, scan
from gancore.data.reading import FileSet, Skips, UnusableError, read_all
from gancore.data.report import ScanReport, Skipped
from gancore.data.sampler import spread
from gancore.errors import DataError
from gancore.options import Options as BaseOptions
from gancore.random import Draws

log = logging.getLogger(__name__)

VERSION = 3
"""Of what is kept in the cache."""

GLANCED = 4
"""Files that a glance at the data looks into."""

Side = Annotated[int, Field(ge=8, le=1024)]


class Options(BaseOptions):
    """Options of the data set `folder`."""

    path: Path = Field(description="A folder, with any folders below it, or a .zip archive of pictures.")
    size: Side | tuple[Side, Side] = Field(64, description="Side of the square pictures in pixels, or [height, width].")
    fit: Literal["crop", "resize", "pad"] = Field(
        "crop",
        description="How a picture of another shape is fitted: cut to its middle, stretched, or padded.",
    )
    flip: bool = Field(
        False,
        description="Mirror half of the pictures left to right: good for photos, wrong for letters.",
    )
    mode: Literal["auto", "grey", "rgb", "rgba"] = Field(
        "auto",
        description="Channels; auto is grey when every picture is, else rgb. Only rgba keeps transparency.",
    )
    range: Range = None
    labels: bool | Literal["auto"] = Field(
        "auto",
        description="Whether top folders are classes; auto: if there are two or more, with more pictures inside than next to"
        " them. Those next to them are skipped.",
    )
    part: Part = "auto"
    memory_limit_mb: int = Field(
        2048, ge=0, le=1_048_576, description="Pictures that need more MiB than this are decoded again for every batch."
    )
    cache: bool = Field(
        True, description="Keep decoded pictures for the next run, in $GAN_CACHE_DIR or the user's cache folder."
    )

    @property
    def height_width(self) -> tuple[int, int]:
        """`size` as (height, width)."""
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)


def open_folder(options: Options, progress: ProgressReport) -> PixelSource | StreamedSource:
    """Pictures `[channels, height, width]` uint8 of every file that holds one, in the order of their names.

    Every file is decoded once to tell which ones are usable, unless an earlier run has done so; the others are listed
    in the report. Raises UsageError for a path or labels that cannot be, DataError when no picture can be read.
    """
    tree = scan(options.path, what="pictures")
    files = FileSet.of(options.path, tree, part=options.part, labels=options.labels, suffixes=suffixes())
    return read_pictures(files, options, progress)[0]


def read_pictures(
    files: FileSet, options: Options, progress: ProgressReport
) -> tuple[PixelSource | StreamedSource, list[Entry]]:
    """The pictures of `files`, as `open_folder` has them, and the files that they come from, in the same order."""
    item = CacheItem("images", _key(files, options), ".npy") if options.cache else None
    reading = item.load(Reading) if item else None
    pixels: np.ndarray | None = None
    mapped: Path | None = None
    if reading and item and _fits(len(reading.used), _look(reading, options), options):
        pixels = item.mapped(open_mapped, (len(reading.used), *_look(reading, options).shape))
        mapped = item.data if pixels is not None else None
    if reading is None or (pixels is None and _fits(len(reading.used), _look(reading, options), options)):
        reading, pixels, lasting = _read(files, options, progress)
        if item and lasting and _save(item, reading, pixels) and pixels is not None:
            again = item.mapped(open_mapped, pixels.shape)
            pixels, mapped = (pixels, None) if again is None else (again, item.data)

    used = [files.entries[number] for number in reading.used]
    todo = "sort the pictures into folders named by their classes, or set labels to auto or false"
    labels, classes = files.labels(reading.used, options.labels, todo)
    look = _look(reading, options)
    spec = ImageSpec(shape=look.shape, classes=classes, intensities=reading.range, fit=options.fit)
    report = files.report(len(used), reading.skipped, reading.notes, files=digest(used))
    source: PixelSource | StreamedSource
    if pixels is None:
        source = StreamedSource(used, look, spec, report, labels=labels, flip=options.flip)
    else:
        source = PixelSource(pixels, spec, report, labels=labels, flip=options.flip, file=mapped)
    source.content = files.content(reading.used)
    return source, used


def glance(options: Options) -> DataFacts:
    """What names of files, and the first bytes of a few, tell of the pictures."""
    tree = scan(options.path, what="pictures")
    files = FileSet.of(options.path, tree, part=options.part, labels=options.labels, suffixes=suffixes())
    places = [n for n, entry in enumerate(files.entries) if PurePath(entry.name).suffix.lower() in suffixes()]
    _, classes = files.labels(places, options.labels, "")
    with quiet_pillow():
        grey = all(look_at(files.entries[places[n]]).grey for n in spread(len(places), GLANCED).tolist())
    mode = options.mode if options.mode != "auto" else ("grey" if grey else "rgb")
    return DataFacts(
        count=len(places), shape=Look(options.height_width, options.fit, mode, None).shape, classes=len(classes)
    )


class StreamedSource:
    """A `DataSource` that decodes files when they are asked for, for data larger than memory.

    A file that has become unreadable since the data set was opened is replaced by the next one that is not, always the
    same, and named once in the log. Raises DataError when none is left.
    """

    in_memory = False
    content: Content | None = None

    def __init__(
        self,
        entries: Sequence[Entry],
        look: Look,
        spec: ImageSpec,
        report: ScanReport,
        *,
        labels: Tensor | None = None,
        flip: bool = False,
    ) -> None:
        self.entries = entries
        self.look = look
        self.spec = spec
        self.report = report
        self.labels = labels
        self.flip = flip
        # In memory shared with loader workers, so that not every one of them reports the same file.
        self.reported = torch.zeros(len(entries), dtype=torch.bool).share_memory_()

    def __len__(self) -> int:
        return len(self.entries)

    def fetch(self, indices: Tensor, draws: Draws) -> tuple[Tensor, Tensor | None]:
        """Images uint8 `[batch, channels, height, width]` and class indices int64 `[batch]`, or None without labels."""
        numbers, x = self.numbered(indices)
        if self.flip:
            x = flip_half(x, draws)
        return x, None if self.labels is None else self.labels[numbers]

    def numbered(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """The numbers int64 `[batch]` of the pictures that stand for those at `indices`, and the images, as they are in the files."""
        with quiet_pillow():
            numbers, pictures = zip(*map(self._picture, indices.tolist()), strict=True)
        return torch.tensor(numbers), torch.from_numpy(np.stack(pictures))

    def _picture(self, index: int) -> tuple[int, np.ndarray]:
        """The picture at `index` or the next one that can be read, with its number."""
        for number in (*range(index, len(self)), *range(index)):
            try:
                return number, decode(self.entries[number], self.look)
            except UnusableError as error:
                if not self.reported[number]:
                    self.reported[number] = True
                    log.warning("%s is %s now; the next picture is used instead", self.entries[number].name, error)
        raise DataError(f"data set '{self.report.source}': none of its {len(self):,} pictures can be read any more")


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of decoding all files: channels, the numbers of those that are usable, and what was skipped.

    `range` are the values that became 0 and 255 in those that are not 8-bit, None where there are none; `notes` are for a report.
    """

    mode: Mode
    used: tuple[int, ...]
    skipped: tuple[Skipped, ...]
    range: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()


def _key(files: FileSet, options: Options) -> str:
    return files.key(VERSION, options.height_width, options.fit, options.mode, options.range, PIL.__version__)


def _save(item: CacheItem, reading: Reading, pixels: np.ndarray | None) -> bool:
    return item.save(reading, None if pixels is None else lambda file: np.save(file, pixels, allow_pickle=False))


def _look(reading: Reading, options: Options) -> Look:
    return Look(options.height_width, options.fit, reading.mode, reading.range)


def _fits(count: int, look: Look, options: Options) -> bool:
    return count * int(np.prod(look.shape)) <= options.memory_limit_mb * 2**20


def _read(files: FileSet, options: Options, progress: ProgressReport) -> tuple[Reading, np.ndarray | None, bool]:
    """Decode every file once: which are usable, their pixels `[n, channels, height, width]` if all fit into memory, and
    whether the outcome would be the same another time."""
    skips, entries = Skips(), files.entries
    with quiet_pillow():
        facts = dict(read_all(entries, look_at, skips, progress, "looking at pictures"))
        deep = [number for number, fact in facts.items() if fact.depth]
        extents: dict[int, Extent] = {}
        # A range must be known before the first picture is scaled, so such files are read twice.
        if deep and options.range is None:
            extents = dict(read_all(entries, measure, skips, progress, "measuring pictures", only=deep))
            facts = {number: fact for number, fact in facts.items() if number in extents or not fact.depth}
        limits = options.range if deep else None
        if extents:
            limits = Extent.union(extents.values()).range
        grey = all(fact.grey for fact in facts.values())
        mode = options.mode if options.mode != "auto" else ("grey" if grey else "rgb")
        look = Look(options.height_width, options.fit, mode, limits)
        fits = _fits(len(facts), look, options)
        pixels = np.empty((len(facts) if fits else 0, *look.shape), dtype=np.uint8)
        used: list[int] = []
        reading = read_all(entries, lambda e: decode(e, look), skips, progress, "reading pictures", only=list(facts))
        for number, picture in reading:
            if fits:
                pixels[len(used)] = picture
            used.append(number)
    if not used:
        raise files.nothing("image", SUPPORTED, skips.listed)
    about = _notes([facts[number] for number in used], limits, extents.values(), options)
    read = Reading(mode, tuple(used), tuple(skips.listed), limits, tuple(about))
    return read, pixels[: len(used)] if fits else None, skips.lasting


def _notes(
    facts: Sequence[Facts], limits: tuple[float, float] | None, extents: Collection[Extent], options: Options
) -> Iterator[str]:
    """What is worth knowing of the pictures that are used."""
    depths = sorted({fact.depth for fact in facts if fact.depth})
    if limits and depths:
        yield from notes(
            " and ".join(depths),
            limits,
            extent=Extent.union(extents) if extents else None,
            deep=sum(bool(fact.depth) for fact in facts),
            count=len(facts),
            given=options.range is not None,
        )
    elif options.range is not None:
        yield "data.range has no effect, because all pictures are 8-bit"
    if several := sum(fact.several for fact in facts):
        which = "1 picture has" if several == 1 else f"{several:,} pictures have"
        yield f"{which} several frames or pages, of which only the first is used"
