"""Images on disk: one sheet of many (PNG), one file for each (PNG), and an animation of a run's sheets (GIF)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor

from gan_image.labels import labelled
from gan_image.spec import ImageSpec
from gancore.drawing import captioned, printable
from gancore.errors import UsageError
from gancore.options import Options
from gancore.sampling.names import sample_name
from gancore.storage import replacing
from gancore.text_chunks import TextInFiles

SHOWN_SIDE = 48
"""Images on a sheet are enlarged until their shorter side has at least this many pixels ..."""
SHEET_SIDE = 2048
"""... while the sheet's longer side keeps within this."""
CAPTIONED_SIDE = 80
"""With captions, images are enlarged until their shorter side has so many pixels ..."""
LARGEST_CAPTIONED = 320
"""... or reduced until their longer side has at most so many."""
LONGEST_SHEET = 3.0
"""How many times as long as wide, or the other way round, a sheet may be for its rows or columns to be classes."""
GAP = 2
GAP_GREY = 128


class GridOptions(Options):
    """Options of the writer of sheets."""

    columns: int | None = Field(
        None, ge=1, le=1000, description="Images in a row; chosen for a nearly square sheet when not given."
    )
    class_names: bool = Field(
        True, description="Label the images with the names of their classes, if there are classes."
    )


class PngOptions(Options):
    """Options of the writer of single images."""

    class_names: bool = Field(True, description="Put the name of an image's class into its file name.")


class GifOptions(Options):
    """Options of the writer of animations."""

    frame_ms: int = Field(200, ge=20, le=10_000, description="How long each frame is shown, in milliseconds.")
    hold_ms: int = Field(1500, ge=20, le=60_000, description="How long the last frame is shown, in milliseconds.")
    max_frames: int = Field(
        100, ge=1, le=1000, description="Of more sheets than this, evenly spaced ones are used, the last always."
    )
    max_side: int = Field(512, ge=16, le=4096, description="Longer side of the animation, in pixels, at most.")


# --- sheets -----------------------------------------------------------------------------------------------------------


class GridWriter(TextInFiles):
    """A sheet of images: `<stem>.png`.

    With labels, and as many images of each class as of any other or classes that take turns, each class has rows or a column
    of its own as far as the sheet is nearly square; otherwise images keep their order. The names of classes stand beside their
    rows or columns, else above each image. Small images are enlarged by whole numbers without smoothing. Images of two
    channels are shown as the grey mean of both, of five or more by their first three.
    """

    def __init__(self, options: GridOptions, spec: ImageSpec) -> None:
        self.options = options
        self.spec = spec

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        """Write `samples` uint8 `[n, channels, height, width]`, n at least 1, as one picture."""
        pictures = displayable(samples)
        order, columns = arrange(len(pictures), labels, self.options.columns, self.spec.height / self.spec.width)
        picture = sheet([None if n is None else pictures[n] for n in order], columns)
        if labels is not None and self.spec.classes and self.options.class_names:
            names = ["" if n is None else self._name(int(labels[n])) for n in order]
            picture = labelled(picture, min(columns, len(order)), names, GAP)
        return [_save_png(picture, folder / f"{stem}.png")]

    def captioned(
        self, samples: Tensor, folder: Path, stem: str, captions: Sequence[str], columns: int, title: str
    ) -> list[Path]:
        """Write `samples` as `write` does, in their order, each below its caption."""
        tiles = [image_of(picture) for picture in displayable(samples)]
        scale = max(1, math.ceil(CAPTIONED_SIDE / min(tiles[0].size)))
        if max(tiles[0].size) > LARGEST_CAPTIONED:
            tiles = [tile.reduce(math.ceil(max(tile.size) / LARGEST_CAPTIONED)) for tile in tiles]
        elif scale > 1:
            size = tiles[0].width * scale, tiles[0].height * scale
            tiles = [tile.resize(size, Image.Resampling.NEAREST) for tile in tiles]
        return [_save_png(captioned(tiles, captions, columns, title), folder / f"{stem}.png")]

    def _name(self, label: int) -> str:
        known = 0 <= label < len(self.spec.classes)
        return printable(self.spec.classes[label], label) if known else str(label)


def arrange(
    count: int, labels: Sequence[int] | None, columns: int | None, height_by_width: float = 1.0
) -> tuple[list[int | None], int]:
    """What is put on a sheet, row by row, and the number of columns: the number of an image, or None for an empty place."""
    if labels is not None:
        classes, places = np.unique(np.asarray(labels), return_inverse=True)
        groups = [np.flatnonzero(places == n).tolist() for n in range(len(classes))]
        alike = len({len(group) for group in groups}) == 1
        if len(groups) > 1 and (alike or np.array_equal(places, np.arange(count) % len(groups))):
            if columns is None:
                return _by_class(groups, height_by_width)
            if alike and columns == len(groups) != len(groups[0]):
                return _in_columns(groups), columns
            if alike and len(groups[0]) % columns == 0:
                return _in_rows(groups, columns), columns
    return list(range(count)), columns or near_square(count, height_by_width)


def _by_class(groups: Sequence[list[int]], height_by_width: float) -> tuple[list[int | None], int]:
    """Classes as rows, each of one or more, or as columns, whichever makes the sheet more nearly square.

    Where neither comes near it, because there are many classes with few images each, the classes follow one another.
    """
    count, most = sum(map(len, groups)), max(map(len, groups))

    def cost(rows: int, columns: int) -> tuple[float, bool]:
        by_square = rows * height_by_width / columns
        # Wide sheets fit screens; empty places count twice as much as length.
        return max(by_square, 1.0 / by_square) * (rows * columns / count) ** 2, by_square > 1.0

    widths = {columns: len(groups) * math.ceil(most / columns) for columns in range(1, most + 1)}
    best = min(widths, key=lambda columns: cost(widths[columns], columns))
    in_rows, in_columns = cost(widths[best], best), cost(most, len(groups))
    if min(in_rows, in_columns)[0] > LONGEST_SHEET or most == 1:
        columns = near_square(count, height_by_width)
        if min(map(len, groups)) == most <= columns:
            columns = round(columns / most) * most  # no class is broken at the end of a row
        return [number for group in groups for number in group], columns
    return (_in_rows(groups, best), best) if in_rows <= in_columns else (_in_columns(groups), len(groups))


def _in_rows(groups: Sequence[list[int]], columns: int) -> list[int | None]:
    rows = math.ceil(max(map(len, groups)) / columns)
    return [n for group in groups for n in (*group, *[None] * (rows * columns - len(group)))]


def _in_columns(groups: Sequence[list[int]]) -> list[int | None]:
    return [n for row in itertools.zip_longest(*groups) for n in row]


def near_square(count: int, height_by_width: float = 1.0) -> int:
    """Columns of a sheet that is nearly square; a little wider where that leaves no gap in the last row."""
    base = min(count, max(1, math.ceil(math.sqrt(count * height_by_width))))
    return next((columns for columns in range(base, min(count, base + base // 2) + 1) if count % columns == 0), base)


def sheet(pictures: Sequence[np.ndarray | None], columns: int) -> Image.Image:
    """`pictures` uint8 `[height, width, 1 | 3 | 4]`, or None for an empty place, row by row with thin gaps between."""
    height, width, channels = next(picture.shape for picture in pictures if picture is not None)
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)

    def sides(scale: int) -> tuple[int, int]:
        return rows * height * scale + GAP * (rows - 1), columns * width * scale + GAP * (columns - 1)

    scale = math.ceil(SHOWN_SIDE / min(height, width))
    while scale > 1 and max(sides(scale)) > SHEET_SIDE:
        scale -= 1
    total = sides(scale)
    canvas = np.full((*total, channels), GAP_GREY, dtype=np.uint8)
    if channels == 4:
        canvas[..., 3] = 0
    for number, picture in enumerate(pictures):
        if picture is None:
            continue
        top = number // columns * (height * scale + GAP)
        left = number % columns * (width * scale + GAP)
        canvas[top : top + height * scale, left : left + width * scale] = picture.repeat(scale, axis=0).repeat(
            scale, axis=1
        )
    image = image_of(canvas)
    return image.reduce(math.ceil(max(total) / SHEET_SIDE)) if max(total) > SHEET_SIDE else image


# --- single images ----------------------------------------------------------------------------------------------------


class PngWriter(TextInFiles):
    """Every image in its own size: `<stem>-00012.png`, or `<stem>-00012-cat.png` with labels.

    `gancore.sampling.names` says what is kept of a class's name. Channels are treated as on a sheet.
    """

    def __init__(self, options: PngOptions, spec: ImageSpec) -> None:
        self.options = options
        self.spec = spec

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        """Write `samples` uint8 `[n, channels, height, width]`, n at least 1, numbered from 0."""
        shown = labels if self.options.class_names else None
        return [
            _save_png(image_of(picture), folder / sample_name(stem, number, ".png", shown, self.spec.classes))
            for number, picture in enumerate(displayable(samples))
        ]


# --- animations -------------------------------------------------------------------------------------------------------


class GifWriter:
    """All the sheets of a run, one after the other: `<stem>.gif`, repeating."""

    def __init__(self, options: GifOptions, spec: ImageSpec) -> None:
        self.options = options
        self.spec = spec

    def write(self, sheets: Sequence[Path], folder: Path, stem: str) -> list[Path]:
        """Write one animation of the PNG files `sheets`; nothing where none of them can be read."""
        frames = [frame for path in thin(sheets, self.options.max_frames) if (frame := self._frame(path)) is not None]
        if not frames:
            return []
        # A sheet of another size (the number of samples was changed on the way) is brought to that of the last.
        last = frames[-1]
        mode = "L" if all(frame.mode == "L" for frame in frames) else "RGB"
        frames = [frame.convert(mode) for frame in frames]
        frames = [f if f.size == last.size else f.resize(last.size, Image.Resampling.LANCZOS) for f in frames]
        if mode == "RGB":
            frames = [frame.quantize(256, dither=Image.Dither.NONE) for frame in frames]
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{stem}.gif"
        times = [self.options.frame_ms] * (len(frames) - 1) + [self.options.hold_ms]

        def save(unfinished: Path) -> None:
            frames[0].save(
                unfinished,
                format="GIF",
                save_all=True,
                append_images=frames[1:],
                duration=times,
                loop=0,
                optimize=False,
            )

        return [replacing(path, save)]

    def _frame(self, path: Path) -> Image.Image | None:
        """A sheet in mode L or RGB, reduced to `max_side`; None where it cannot be read."""
        try:
            with Image.open(path, formats=("PNG",)) as file:
                image: Image.Image = file.copy()
        except (OSError, SyntaxError, ValueError):
            return None
        if image.mode == "RGBA":
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image if image.mode == "L" else image.convert("RGB")
        shrink = self.options.max_side / max(image.size)
        if shrink >= 1.0:
            return image
        size = (max(1, round(image.width * shrink)), max(1, round(image.height * shrink)))
        return image.resize(size, Image.Resampling.LANCZOS)


def thin(sheets: Sequence[Path], most: int) -> list[Path]:
    """At most `most` of `sheets`, evenly spaced, with the first (if more than one) and always the last."""
    if len(sheets) <= most:
        return list(sheets)
    if most == 1:
        return [sheets[-1]]
    return [sheets[round(number * (len(sheets) - 1) / (most - 1))] for number in range(most)]


# --- shared -----------------------------------------------------------------------------------------------------------


def displayable(samples: Tensor) -> np.ndarray:
    """`samples` as uint8 `[n, height, width, 1 | 3 | 4]`."""
    if samples.ndim != 4 or samples.dtype != torch.uint8 or not len(samples):
        raise UsageError(
            f"images to write must be uint8 of shape [n, channels, height, width] with n at least 1, "
            f"not {samples.dtype} of shape {list(samples.shape)}"
        )
    samples = samples.detach().cpu()
    if samples.shape[1] == 2:
        samples = samples.float().mean(dim=1, keepdim=True).round().to(torch.uint8)
    elif samples.shape[1] > 4:
        samples = samples[:, :3]
    return samples.permute(0, 2, 3, 1).numpy()


def image_of(pixels: np.ndarray) -> Image.Image:
    """Pixels uint8 `[height, width, 1 | 3 | 4]` as a picture of mode L, RGB or RGBA."""
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))


def _save_png(image: Image.Image, path: Path) -> Path:
    """Write so that whoever looks at `path` meanwhile sees the old picture or the new one, never half of it."""
    return replacing(path, lambda unfinished: image.save(unfinished, format="PNG", compress_level=6))
