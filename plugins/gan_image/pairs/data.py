"""Pairs of images from files: two folders, pictures of two halves, or pictures whose sources are computed from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

import torch
from pydantic import Field
from torch import Tensor

from gan_image.data import blossoms, folder
from gan_image.data.decode import SUPPORTED, Fit, quiet_pillow, suffixes
from gan_image.data.pixels import PixelSource, flip_half
from gan_image.pairs.sources import COMPUTED
from gan_image.pairs.spec import PairSpec
from gancore.components import ProgressReport
from gancore.data.files import Entry, FileTree, digest, scan
from gancore.data.reading import FileSet
from gancore.data.report import ScanReport, Skipped
from gancore.errors import DataError, UsageError
from gancore.options import Options as BaseOptions
from gancore.random import Draws

Source = Literal["auto", "folders", "left", "right", "edges", "grey", "small", "masked"]
Images: TypeAlias = PixelSource | folder.StreamedSource
AT_ONCE = 64
"""Pictures that are looked at to tell whether they are of two halves."""
SHOWN = 4
_TWO = "pairs need two folders, of the pictures that are given and of those to be made, with the same names in both"


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
    fit: Fit = Field(
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

    def __init__(self, sides: Sequence[Images], places: Tensor, report: ScanReport, options: Options) -> None:
        one, other = (side.spec for side in sides)
        spec = PairSpec(
            shape=(one.shape[0] + other.shape[0], *one.shape[1:]),
            source_channels=one.shape[0],
            source_intensities=one.intensities,
            fit=options.fit,
        )
        in_memory = all(side.in_memory for side in sides)
        super().__init__(spec, report, len(places), flip=options.flip, in_memory=in_memory)
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

    def __init__(self, images: Images, *, left: bool, flip: bool, fit: Fit) -> None:
        channels, height, width = images.spec.shape
        spec = PairSpec(
            shape=(2 * channels, height, width // 2),
            source_channels=channels,
            source_intensities=images.spec.intensities,
            fit=fit,
        )
        super().__init__(spec, images.report, len(images), flip=flip, in_memory=images.in_memory)
        self.images, self.left = images, left

    def pairs(self, indices: Tensor, draws: Draws) -> Tensor:
        halves = self.images.fetch(indices, draws)[0].chunk(2, dim=3)
        return torch.cat(halves if self.left else halves[::-1], dim=1)


class Computed(PairSource):
    """Pairs whose targets are images, and whose sources are what `gan_image.pairs.sources` calls `kind`."""

    def __init__(self, images: Images, kind: str, *, flip: bool = False, fit: Fit = "crop") -> None:
        self.kind = kind
        self.images = images
        first = self.pairs(torch.zeros(1, dtype=torch.int64), Draws(0, torch.zeros(1, dtype=torch.int64)))
        spec = PairSpec(
            shape=tuple(first.shape[1:]),
            source_channels=first.shape[1] - images.spec.shape[0],
            source_intensities=images.spec.intensities,
            fit=fit,
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
        return Halves(images, left=source == "left", flip=options.flip, fit=options.fit)
    return Computed(images, source, flip=options.flip, fit=options.fit)


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
    named = [entry for entry in tree.entries if _is_named_picture(entry)]
    with quiet_pillow():
        known = (ratio for entry in named or tree.entries if (ratio := _ratio(entry)) is not None)
        widths = sorted(islice(known, AT_ONCE))
    # Without any picture, reading says so.
    if not widths or widths[len(widths) // 2] >= 1.8:
        return "left"
    raise UsageError(
        f"'{options.path}' holds neither two folders of pictures with the same names nor pictures of two halves side by side "
        f"(there: {_there(sides)}); {_TWO}, or say what is given of each picture: data.source=edges, grey, small or masked"
    )


def _is_named_picture(entry: Entry) -> bool:
    return PurePosixPath(entry.name).suffix.lower() in suffixes()


def _there(sides: Mapping[str, dict[str, Entry]]) -> str:
    """What pictures by their folders there are."""
    if len(sides) == 2:
        (one, first), (other, second) = sorted(sides.items())
        both = len(first.keys() & second.keys())
        return (
            f"two folders with pictures, '{one}' ({len(first):,}) and '{other}' ({len(second):,}), in which {both or 'none'} "
            f"{'has' if both < 2 else 'have'} the same name{_but_for_capitals(first, second)}"
        )
    if not sides:
        return "no folder with pictures"
    names = [f"'{name}'" for name in sorted(sides)]
    shown = ", ".join(names[:SHOWN]) + (" ..." if len(names) > SHOWN else "")
    return f"one folder with pictures, {shown}" if len(names) == 1 else f"{len(names):,} folders with pictures: {shown}"


def _but_for_capitals(one: Iterable[str], other: Iterable[str]) -> str:
    """That names would be the same if capitals made no difference, where one is."""
    exact, folded = set(other), {name.casefold(): name for name in other}
    for name in one:
        if name not in exact and (like := folded.get(name.casefold())):
            return f" (capitals count: '{name}' is not '{like}')"
    return ""


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
        raise UsageError(f"'{options.path}' holds {_there(sides)}; {_TWO}")
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
        if entry not in beside and _is_named_picture(entry)
    ]
    alone += [Skipped(e.name, "not named as a picture") for e in tree.entries if not _is_named_picture(e)]
    if not both:
        like = _but_for_capitals(sides[names[0]], sides[names[1]])
        raise DataError(
            f"data set '{options.path}': no picture in '{names[0]}' has the name of one in '{names[1]}'{like}, so there are no pairs; "
            "give both of a pair the same name, such as 001.png"
        )
    read: list[Images] = []
    used: list[dict[str, int]] = []
    reasons: dict[str, Skipped] = {}
    files: list[list[Entry]] = []
    for name in names:
        entries = [entry for key, entry in sides[name].items() if key in both]
        images, there = folder.read_pictures(_files(options.path, tree, entries), options.reading(), progress)
        read.append(images)
        files.append(there)
        places_of = {entry: place for place, entry in enumerate(there)}
        used.append({key: places_of[entry] for key, entry in sides[name].items() if entry in places_of})
        reasons |= {skip.path: skip for skip in images.report.skipped}
    keys = [key for key in used[0] if key in used[1]]
    if not keys:
        raise DataError(f"data set '{options.path}': of no pair both pictures could be read. Supported: {SUPPORTED}")
    places = torch.tensor([[own[key] for own in used] for key in keys])
    # One for each pair that is lost, as one is found for each that is used.
    lost = [
        [reasons[e.name] for e in (sides[name][key] for name in names) if e.name in reasons] for key in sorted(both)
    ]
    skipped = [*tree.problems, *alone, *(_of_pair(skips) for skips in lost if skips)]
    report = ScanReport(
        source=str(options.path),
        found=len(keys) + sum(skip.count for skip in skipped),
        used=len(keys),
        skipped=tuple(sorted(skipped, key=lambda skip: skip.path)),
        notes=(
            f"each sample is a pair: a picture in '{names[0]}' is given, that of the same name in '{names[1]}' is made",
            *(f"'{name}': {note}" for name, side in zip(names, read, strict=True) for note in side.report.notes),
        ),
        files=digest(there[place] for row in places.tolist() for there, place in zip(files, row, strict=True)),
    )
    return Together(read, places, report, options)


def _of_pair(skips: Sequence[Skipped]) -> Skipped:
    """Why a pair is left out of which the first file, or both, cannot be used."""
    more = "".join(f", and '{skip.path}' is {skip.reason}" for skip in skips[1:])
    return Skipped(skips[0].path, skips[0].reason + more)
