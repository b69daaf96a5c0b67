"""Images on disk: one sheet of many (PNG), one file for each (PNG), and an animation of a run's sheets (GIF)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor

from gan_image.labels import labelled, printable
from gan_image.spec import ImageSpec
from gancore.errors import UsageError
from gancore.options import Options
from gancore.sampling.names import sample_name
from gancore.storage import replacing

SHOWN_SIDE = 48
"""Images on a sheet are enlarged until their shorter side has at least this many pixels ..."""
SHEET_SIDE = 2048
"""... while the sheet's longer side keeps within this."""
MOST_IN_ROW = 32
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


class GridWriter:
    """A sheet of images: `<stem>.png`.

    With labels, and as many images of each class as of any other, classes become rows (or columns, if that is wider);
    otherwise images keep their order. The names of classes stand beside their rows or columns, else above each image. Small
    images are enlarged by whole numbers without smoothing. Images of two channels are shown as the grey mean of both, of
    five or more by their first three.
    """

    def __init__(self, options: GridOptions, spec: ImageSpec) -> None:
        self.options = options
        self.spec = spec

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        """Write `samples` uint8 `[n, channels, height, width]`, n at least 1, as one picture."""
        pictures = _displayable(samples)
        order, columns = arrange(len(pictures), labels, self.options.columns, self.spec.height / self.spec.width)
        picture = sheet(pictures[order], columns)
        if labels is not None and self.spec.classes and self.options.class_names:
            picture = labelled(picture, min(columns, len(order)), [self._name(int(labels[n])) for n in order], GAP)
        return [_save_png(picture, folder / f"{stem}.png")]

    def _name(self, label: int) -> str:
        known = 0 <= label < len(self.spec.classes)
        return printable(self.spec.classes[label], label) if known else str(label)


def arrange(
    count: int, labels: Sequence[int] | None, columns: int | None, height_by_width: float = 1.0
) -> tuple[list[int], int]:
    """The order in which images are put on a sheet, row by row, and the number of columns."""
    if labels is not None:
        classes, counts = np.unique(np.asarray(labels), return_counts=True)
        if len(classes) > 1 and len(set(counts.tolist())) == 1:
            groups, each = len(classes), int(counts[0])
            by_class = np.argsort(np.asarray(labels), kind="stable").reshape(groups, each)
            if columns is None and (each == 1 or max(groups, each) > MOST_IN_ROW):
                return by_class.ravel().tolist(), near_square(count, height_by_width)
            if columns is None or columns == each:
                # Wide sheets fit screens: classes are rows where there are many of each, else columns.
                if each >= groups or columns == each:
                    return by_class.ravel().tolist(), each
                return by_class.T.ravel().tolist(), groups
            if columns == groups:
                return by_class.T.ravel().tolist(), groups
    return list(range(count)), columns or near_square(count, height_by_width)


def near_square(count: int, height_by_width: float = 1.0) -> int:
    """Columns of a sheet that is nearly square; a little wider where that leaves no gap in the last row."""
    base = min(count, max(1, math.ceil(math.sqrt(count * height_by_width))))
    return next((columns for columns in range(base, min(count, base + base // 2) + 1) if count % columns == 0), base)


def sheet(pictures: np.ndarray, columns: int) -> Image.Image:
    """`pictures` uint8 `[n, height, width, 1 | 3 | 4]` row by row, with thin gaps, enlarged or reduced as a whole."""
    count, height, width, channels = pictures.shape
    columns = min(columns, count)
    rows = math.ceil(count / columns)

    def sides(scale: int) -> tuple[int, int]:
        return rows * height * scale + GAP * (rows - 1), columns * width * scale + GAP * (columns - 1)

    scale = math.ceil(SHOWN_SIDE / min(height, width))
    while scale > 1 and max(sides(scale)) > SHEET_SIDE:
        scale -= 1
    total = sides(scale)
    canvas = np.full((*total, channels), GAP_GREY, dtype=np.uint8)
    if channels == 4:
        canvas[..., 3] = 0
    pictures = pictures.repeat(scale, axis=1).repeat(scale, axis=2)
    for number, picture in enumerate(pictures):
        top = number // columns * (height * scale + GAP)
        left = number % columns * (width * scale + GAP)
        canvas[top : top + height * scale, left : left + width * scale] = picture
    image = _image(canvas)
    return image.reduce(math.ceil(max(total) / SHEET_SIDE)) if max(total) > SHEET_SIDE else image


# --- single images ----------------------------------------------------------------------------------------------------


class PngWriter:
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
            _save_png(_image(picture), folder / sample_name(stem, number, ".png", shown, self.spec.classes))
            for number, picture in enumerate(_displayable(samples))
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


def _displayable(samples: Tensor) -> np.ndarray:
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


def _image(pixels: np.ndarray) -> Image.Image:
    """Pixels uint8 `[height, width, 1 | 3 | 4]` as a picture of mode L, RGB or RGBA."""
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))


def _save_png(image: Image.Image, path: Path) -> Path:
    """Write so that whoever looks at `path` meanwhile sees the old picture or the new one, never half of it."""
    return replacing(path, lambda unfinished: image.save(unfinished, format="PNG", compress_level=6))
