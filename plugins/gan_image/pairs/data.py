"""Pairs of images from files: two folders, pictures of two halves, or pictures whose sources are computed from them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

import torch
from pydantic import Field
from torch import Tensor

from gan_image.data import blossoms, folder
from gan_image.data.decode import SUPPORTED, Look, decode, look_at, measure, quiet_pillow, suffixes
from gan_image.data.intensities import Extent
from gan_image.data.pixels import PixelSource, flip_half
from gan_image.pairs.sources import COMPUTED
from gan_image.pairs.spec import PairSpec
from gancore.components import ProgressReport
from gancore.data.files import Entry, FileTree, lone, scan
from gancore.data.reading import FileSet, Skips, read_all
from gancore.data.report import ScanReport, Skipped
from gancore.data.spec import Given
from gancore.errors import DataError, UsageError
from gancore.options import Options as BaseOptions
from gancore.random import Draws

Source = Literal["auto", "folders", "left", "right", "edges", "grey", "small", "masked"]
Images: TypeAlias = PixelSource | folder.StreamedSource
AT_ONCE = 64


class Options(BaseOptions):
    """Options of the data set `pairs`."""

    path: Path = Field(description="A folder or .zip archive of pictures, or of two folders of pictures.")
    source: Source = Field(
        "auto",
        description="What is given: the picture of the same name in the first of two folders (folders), the left or right half of"
        " each picture, or its edges, its light (grey), a coarse copy (small), or all but its middle (masked). auto: folders, if there"
        " are two with the same names, else left, if pictures are about twice as wide as high.",
    )
    swap: bool = Field(False, description="Exchange the two folders: what is given and what is made.")
    size: folder.Side | tuple[folder.Side, folder.Side] = Field(
        64,
        description="Side of the square pictures in pixels, or [height, width]; of each half, where there are halves.",
    )
    fit: Literal["crop", "resize", "pad"] = Field(
        "crop",
        description="How a picture of another shape is fitted: cut to its middle, stretched, or padded.",
    )
    flip: bool = Field(False, description="Mirror half of the pairs left to right, both sides alike.")
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

    def reading(self, *, wide: bool = False) -> folder.Options:
        """Options by which one side is read, or both in pictures that are as `wide` as two."""
        height, width = self.height_width
        return folder.Options(
            path=self.path, size=(height, 2 * width if wide else width), fit=self.fit, labels=False,
            memory_limit_mb=self.memory_limit_mb, cache=self.cache,
        )  # fmt: skip


class PairSource:
    """A `DataSource` of pairs, the channels of a source before those of the target, both mirrored or neither."""

    def __init__(self, spec: PairSpec, report: ScanReport, count: int, *, flip: bool, in_memory: bool) -> None:
        self.spec, self.report, self.flip, self.in_memory = spec, report, flip, in_memory
        self._count = count

    def __len__(self) -> int:
        return self._count

    def pairs(self, indices: Tensor, draws: Draws) -> Tensor:
        """Pairs uint8 `[batch, channels, height, width]` as they are in the files."""
        raise NotImplementedError

    def fetch(self, indices: Tensor, draws: Draws) -> tuple[Tensor, None]:
        """Pairs uint8 `[batch, channels, height, width]`."""
        x = self.pairs(indices, draws)
        return (flip_half(x, draws) if self.flip else x), None


class Together(PairSource):
    """Pairs of two sources of images, at `places` `[len, 2]` int64 of these."""

    def __init__(self, sides: Sequence[Images], places: Tensor, report: ScanReport, *, flip: bool) -> None:
        one, other = (side.spec for side in sides)
        spec = PairSpec(
            shape=(one.shape[0] + other.shape[0], *one.shape[1:]),
            source_channels=one.shape[0],
            source_intensities=one.intensities,
        )
        super().__init__(spec, report, len(places), flip=flip, in_memory=all(side.in_memory for side in sides))
        self.sides, self.places = sides, places

    def pairs(self, indices: Tensor, draws: Draws) -> Tensor:
        for _ in range(len(self)):
            places = self.places[indices]
            read = [
                side.numbered(own) if isinstance(side, folder.StreamedSource) else (own, side.fetch(own, draws)[0])
                for side, own in zip(self.sides, places.T, strict=True)
            ]
            whole = (torch.stack([numbers for numbers, _ in read], dim=1) == places).all(dim=1)
            if whole.all():
                break
            # One picture can no longer be read, and another stands for it: the next pair does, of both.
            indices = torch.where(whole, indices, (indices + 1) % len(self))
        else:
            raise DataError(f"data set '{self.report.source}': of no pair both pictures can be read any more")
        return torch.cat([x for _, x in read], dim=1)


class Halves(PairSource):
    """Pairs of the halves of images, of which the left one or the right one is the source."""

    def __init__(self, images: Images, *, left: bool, flip: bool) -> None:
        channels, height, width = images.spec.shape
        spec = PairSpec(
            shape=(2 * channels, height, width // 2),
            source_channels=channels,
            source_intensities=images.spec.intensities,
        )
        super().__init__(spec, images.report, len(images), flip=flip, in_memory=images.in_memory)
        self.images, self.left = images, left

    def pairs(self, indices: Tensor, draws: Draws) -> Tensor:
        halves = self.images.fetch(indices, draws)[0].chunk(2, dim=3)
        return torch.cat(halves if self.left else halves[::-1], dim=1)


class Computed(PairSource):
    """Pairs whose targets are images, and whose sources are what `gan_image.pairs.sources` calls `kind`."""

    def __init__(self, images: Images, kind: str, *, flip: bool = False) -> None:
        self.kind = kind
        self.images = images
        first = self.pairs(torch.zeros(1, dtype=torch.int64), Draws(0, torch.zeros(1, dtype=torch.int64)))
        spec = PairSpec(
            shape=tuple(first.shape[1:]),
            source_channels=first.shape[1] - images.spec.shape[0],
            source_intensities=images.spec.intensities,
        )
        super().__init__(spec, images.report, len(images), flip=flip, in_memory=images.in_memory)

    def pairs(self, indices: Tensor, draws: Draws) -> Tensor:
        x, _ = self.images.fetch(indices, draws)
        return torch.cat([COMPUTED[self.kind](x), x], dim=1)


def open_pairs(options: Options, progress: ProgressReport) -> PairSource:
    """The pairs at `options.path`, in the order of their names.

    Raises:
        UsageError: the files are not what `source` says, or with auto neither form of pairs.
        DataError: there is no pair that can be read.
    """
    tree = scan(options.path, what="pictures")
    source = _form(tree, options) if options.source == "auto" else options.source
    if source == "folders":
        return _in_folders(tree, options, progress)
    files = _files(options.path, tree, tree.entries)
    images, _ = folder.read_pictures(files, options.reading(wide=source in ("left", "right")), progress)
    if source in ("left", "right"):
        return Halves(images, left=source == "left", flip=options.flip)
    return Computed(images, source, flip=options.flip)


def open_outlines(options: blossoms.Options, progress: ProgressReport) -> Computed:
    """Blossoms, and their edges as sources."""
    return Computed(blossoms.open_blossoms(options.model_copy(update={"labels": False}), progress), "edges")


def _files(path: Path, tree: FileTree, entries: Sequence[Entry]) -> FileSet:
    return FileSet.of(path, tree, chosen=entries, part="all", labels=False, suffixes=suffixes())


def _sides(tree: FileTree) -> Mapping[str, dict[str, Entry]]:
    """Pictures by their folder, and there by their path without suffix; a folder that everything lies in does not count."""
    paths = {entry: PurePosixPath(entry.name) for entry in tree.entries}
    paths = {entry: path for entry, path in paths.items() if path.suffix.lower() in suffixes()}
    while len({path.parts[0] for path in paths.values()}) == 1 and all(len(path.parts) > 2 for path in paths.values()):
        paths = {entry: PurePosixPath(*path.parts[1:]) for entry, path in paths.items()}
    found: dict[str, dict[str, Entry]] = {}
    for entry, path in paths.items():
        if len(path.parts) > 1:
            side = found.setdefault(path.parts[0], {})
            side.setdefault(str(PurePosixPath(*path.parts[1:]).with_suffix("")), entry)
    return found


def _stem(entry: Entry) -> PurePosixPath:
    return PurePosixPath(entry.name).with_suffix("")


def _form(tree: FileTree, options: Options) -> Source:
    sides = _sides(tree)
    if len(sides) == 2:
        one, other = sides.values()
        if 2 * len(one.keys() & other.keys()) > max(len(one), len(other)):
            return "folders"
    widths = []
    with quiet_pillow():
        for entry in [e for e in tree.entries if PurePosixPath(e.name).suffix.lower() in suffixes()][:AT_ONCE]:
            if (ratio := _ratio(entry)) is not None:
                widths.append(ratio)
    if widths and sorted(widths)[len(widths) // 2] >= 1.8:
        return "left"
    raise UsageError(
        f"'{options.path}' holds neither two folders of pictures with the same names nor pictures of two halves side by side; say "
        "what is given of each picture: data.source=edges, grey, small or masked"
    )


def _ratio(entry: Entry) -> float | None:
    """Width by height; None where it cannot be read."""
    from PIL import Image

    try:
        with entry.open() as file, Image.open(file) as image:
            return image.width / image.height
    except Exception:  # told when it is read
        return None


def _in_folders(tree: FileTree, options: Options, progress: ProgressReport) -> Together:
    sides = dict(sorted(_sides(tree).items()))
    if len(sides) != 2:
        there = ", ".join(f"'{name}'" for name in list(sides)[:4]) or "none"
        raise UsageError(
            f"'{options.path}' needs two folders of pictures, the given ones and those to be made, with the same names in both; "
            f"folders with pictures there: {there}"
        )
    names = list(sides)[::-1] if options.swap else list(sides)
    both = sides[names[0]].keys() & sides[names[1]].keys()
    alone = [
        Skipped(entry.name, f"no picture of this name in '{names[1 - number]}'")
        for number, name in enumerate(names)
        for key, entry in sides[name].items()
        if key not in both
    ]
    stems = {_stem(entry) for side in sides.values() for entry in side.values()}
    beside = {entry for side in sides.values() for entry in side.values()}
    alone += [
        Skipped(entry.name, "one of several of this name" if _stem(entry) in stems else "in neither of the two folders")
        for entry in tree.entries
        if entry not in beside and PurePosixPath(entry.name).suffix.lower() in suffixes()
    ]
    if not both:
        raise DataError(
            f"data set '{options.path}': no picture in '{names[0]}' has the name of one in '{names[1]}', so there are no pairs; give "
            "both of a pair the same name, such as 001.png"
        )
    read: list[Images] = []
    used: list[dict[str, int]] = []
    for name in names:
        entries = [entry for key, entry in sides[name].items() if key in both]
        images, files = folder.read_pictures(_files(options.path, tree, entries), options.reading(), progress)
        read.append(images)
        places_of = {entry: place for place, entry in enumerate(files)}
        used.append({key: places_of[entry] for key, entry in sides[name].items() if entry in places_of})
    keys = [key for key in used[0] if key in used[1]]
    if not keys:
        raise DataError(f"data set '{options.path}': of no pair both pictures could be read. Supported: {SUPPORTED}")
    places = torch.tensor([[own[key] for own in used] for key in keys])
    skipped = [*alone, *(skip for images in read for skip in images.report.skipped)]
    report = replace(
        read[0].report, found=len(alone) + 2 * len(both), used=len(keys), skipped=tuple(skipped), files="",
        notes=(f"given: '{names[0]}'; made: '{names[1]}'",),
    )  # fmt: skip
    return Together(read, places, report, flip=options.flip)


class Reader:
    """Reads sources for `gan sample --given`: a picture, or a folder or archive of them in the order of their names."""

    def __init__(self, spec: PairSpec) -> None:
        self.spec = spec

    def read(self, path: Path) -> Given:
        """The sources at `path`, brought to the size and channels of the run's.

        Raises:
            UsageError: there is nothing, or sources of so many channels are none that a picture has.
            DataError: no picture can be read.
        """
        channels, height, width = self.spec.given_shape
        modes: dict[int, Literal["grey", "rgb", "rgba"]] = {1: "grey", 3: "rgb", 4: "rgba"}
        if channels not in modes:
            raise UsageError(
                f"sources of {channels} channels cannot be read from pictures; pass them as a tensor, from Python"
            )
        single = path.is_file() and path.suffix.lower() != ".zip"
        tree = lone(path) if single else scan(path, what="pictures")
        files, skips = _files(path, tree, tree.entries), Skips()
        with quiet_pillow():
            facts = dict(read_all(files.entries, look_at, skips, lambda *_: None, ""))
            limits = self.spec.source_intensities
            if limits is None and (deep := [number for number, fact in facts.items() if fact.depth]):
                extents = dict(read_all(files.entries, measure, skips, lambda *_: None, "", only=deep))
                facts = {number: fact for number, fact in facts.items() if number in extents or not fact.depth}
                limits = Extent.union(extents.values()).range if extents else None
            look = Look((height, width), "crop", modes[channels], limits)
            read = read_all(
                files.entries, lambda entry: decode(entry, look), skips, lambda *_: None, "", only=list(facts)
            )
            pictures = {number: torch.from_numpy(picture) for number, picture in read}
        if not pictures:
            raise files.nothing("image", SUPPORTED, skips.listed)
        if left_out := [skip for skip in skips.listed if PurePosixPath(skip.path).suffix.lower() in suffixes()]:
            warnings.warn(
                f"'{path}': {len(left_out):,} of {len(left_out) + len(pictures):,} pictures cannot be read and are left out; the first "
                f"is {left_out[0].path}: {left_out[0].reason}",
                stacklevel=2,
            )
        names = tuple(PurePosixPath(files.entries[number].name).stem for number in pictures)
        return Given(self.spec.of_source(torch.stack(list(pictures.values()))), names=names)

    def join(self, samples: Tensor, given: Given) -> None:
        """None: a pair is whole."""
