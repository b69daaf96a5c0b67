"""Pictures that are given to a generator which makes others of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

import torch
from torch import Tensor

from gan_image.data.decode import SUPPORTED, Fit, Look, decode, look_at, measure, quiet_pillow, suffixes
from gan_image.data.intensities import Extent
from gan_image.spec import ImageSpec
from gancore.components import ProgressReport
from gancore.data.files import is_lone, lone, scan
from gancore.data.reading import FileSet, Skips, read_all, read_in_bursts, warn_of
from gancore.data.report import silent
from gancore.data.spec import Given
from gancore.errors import UsageError


def pictures_at(
    path: Path, shape: tuple[int, ...], fit: Fit, intensities: tuple[float, float] | None
) -> tuple[Tensor, tuple[str, ...]]:
    """The pictures at `path`, one or a folder or archive of them in the order of their names, and what they are called.

    They are brought to `shape` `(channels, height, width)`, uint8 `[n, *shape]`, in the way of `fit`; `intensities` become 0 and 255 of
    those that are not 8-bit.

    Raises:
        UsageError: there is nothing, or images of so many channels are none that a picture has.
        DataError: no picture can be read.
    """
    names, pictures = zip(*each_picture(path, shape, fit, intensities, silent), strict=True)
    return torch.stack(pictures), names


def each_picture(
    path: Path, shape: tuple[int, ...], fit: Fit, intensities: tuple[float, float] | None, progress: ProgressReport
) -> Iterator[tuple[str, Tensor]]:
    """What each picture at `path` is called, and the picture `[channels, height, width]`, in turn; see `pictures_at`."""
    channels, height, width = shape
    modes: dict[int, Literal["grey", "rgb", "rgba"]] = {1: "grey", 3: "rgb", 4: "rgba"}
    if channels not in modes:
        raise UsageError(
            f"images of {channels} channels cannot be read from pictures; pass them as a tensor, from Python"
        )
    tree = lone(path) if is_lone(path) else scan(path, what="pictures")
    files, skips = FileSet.of(path, tree, part="all", labels=False, suffixes=suffixes()), Skips()
    with quiet_pillow():
        facts = dict(read_all(files.entries, look_at, skips, progress, "looking at pictures"))
        limits = intensities
        if limits is None and (deep := [number for number, fact in facts.items() if fact.depth]):
            extents = dict(read_all(files.entries, measure, skips, progress, "measuring pictures", only=deep))
            facts = {number: fact for number, fact in facts.items() if number in extents or not fact.depth}
            limits = Extent.union(extents.values()).range if extents else None
    look, used = Look((height, width), fit, modes[channels], limits), 0
    for number, picture in read_in_bursts(
        files.entries,
        lambda entry: decode(entry, look),
        skips,
        progress,
        "reading pictures",
        within=quiet_pillow,
        only=list(facts),
    ):
        used += 1
        yield PurePosixPath(files.entries[number].name).stem, torch.from_numpy(picture)
    if not used:
        raise files.nothing("image", SUPPORTED, skips.listed)
    warn_of(
        [skip for skip in skips.listed if PurePosixPath(skip.path).suffix.lower() in suffixes()], used, path, "pictures"
    )


class Reader:
    """Reads what is to be translated, for `gan translate`: a picture, or a folder or archive of them in the order of their names."""

    def __init__(self, spec: ImageSpec) -> None:
        self.spec = spec

    def read(self, path: Path) -> Given:
        """The pictures at `path`, brought to the size and channels of the run's; see `pictures_at`."""
        x, names = pictures_at(path, self.spec.shape, self.spec.fit, self.spec.intensities)
        return Given(x, names=names)

    def stream(self, path: Path, progress: ProgressReport) -> Iterator[Given] | None:
        """The pictures of a folder or archive in turn, as `read` gives them; None for a single one."""
        if is_lone(path):
            return None
        spec = self.spec
        each = each_picture(path, spec.shape, spec.fit, spec.intensities, progress)
        return (Given(picture[None], names=(name,)) for name, picture in each)

    def join(self, samples: Tensor, given: Given) -> None:
        """None: an image is whole."""
