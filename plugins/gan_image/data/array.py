"""Images from a NumPy file: `.npz` with named arrays, or `.npy` with one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from gan_image.data.intensities import Extent, Range, notes
from gan_image.data.npz import PICKLED, array_shape, check_array
from gan_image.data.pixels import Layout, PixelSource, open_mapped
from gan_image.spec import ImageSpec
from gancore.components import DataFacts, ProgressReport
from gancore.data.files import expect_file
from gancore.data.report import ScanReport, Skipped
from gancore.errors import DataError, UsageError
from gancore.options import Options as BaseOptions

IMAGE_KEYS = ("x_train", "images", "x", "data", "arr_0")
LABEL_KEYS = ("y_train", "labels", "y")
FEW = range(1, 5)
"""Sizes of an axis that look like a number of channels."""
AT_ONCE = 1 << 24
"""Values that are measured at once."""


class Options(BaseOptions):
    """Options of the data set `array`."""

    path: Path = Field(description="A .npz or .npy file with images: uint8, or other numbers or booleans.")
    images_key: str | None = Field(
        None, min_length=1, description="Name of the images in a .npz file; found by its usual names when not given."
    )
    labels_key: str | None = Field(
        None, min_length=1, description="Name of the labels in a .npz file; found by its usual names when not given."
    )
    labels: bool = Field(True, description="Use labels where the file has them.")
    layout: Literal["auto", "hwc", "chw"] = Field(
        "auto", description="Order of the axes of four-dimensional images: channels last (hwc) or first (chw)."
    )
    range: Range = None
    flip: bool = Field(False, description="Mirror half of the images left to right; wrong for letters and digits.")
    memory_limit_mb: int = Field(
        8192, ge=1, le=1_048_576, description="Largest size in MiB of an array in a .npz file; larger ones are refused."
    )


def open_array(options: Options, progress: ProgressReport) -> PixelSource:
    """Images `[n, h, w]`, `[n, h, w, c]` or `[n, c, h, w]`, and labels `[n]` of any non-negative integers.

    uint8 images are as they are. Of booleans false is black and true white. All other numbers are scaled by one range: the option,
    or from the lowest to the highest value of all images. Those with values that are not finite are left out.

    Classes are the distinct label values in rising order, named by their value. Raises UsageError where another option
    would help, DataError where the file itself would have to change.
    """
    path = expect_file(options.path, "a .npz or .npy file with images")
    progress("reading images", 0, 0)
    pixels, raw_labels, mapped = _read(path, options)
    layout = _layout(pixels, options)
    height, width, channels = _sides(pixels.shape, layout)
    labels, classes = (None, ()) if raw_labels is None else _classes(raw_labels, len(pixels), options.path)
    values = _values(pixels, options, progress)
    if raw_labels is not None and values.rows is not None:
        labels, classes = _classes(raw_labels[values.rows.numpy()], len(values.rows), options.path)
    progress("reading images", len(pixels), len(pixels))
    source = PixelSource(
        pixels,
        ImageSpec(
            shape=(channels, height, width),
            classes=classes,
            intensities=None if pixels.dtype == np.bool_ else values.limits,
        ),
        ScanReport(
            source=str(options.path),
            found=len(pixels),
            used=len(pixels) - len(values.skipped),
            skipped=values.skipped,
            notes=values.notes,
        ),
        layout=layout,
        labels=labels,
        flip=options.flip,
        file=path.absolute() if mapped else None,
        limits=values.limits,
        rows=values.rows,
    )
    return source if mapped else source.as_uint8()


def glance(options: Options) -> DataFacts:
    """What the headers of the arrays, and the labels, tell of the images."""
    path = expect_file(options.path, "a .npz or .npy file with images")
    content = open_mapped(path)
    if isinstance(content, np.ndarray):
        return _facts(content.shape, options)
    with content:
        images_key, labels_key = _keys(content, options)
        facts = _facts(array_shape(content.zip, images_key), options)
        if labels_key is None:
            return facts
        check_array(content.zip, labels_key, options.memory_limit_mb)
        return replace(facts, classes=len(np.unique(content[labels_key])))


def _facts(shape: tuple[int, ...], options: Options) -> DataFacts:
    height, width, channels = _sides(shape, _layout(np.empty((1, *shape[1:]), np.uint8), options))
    return DataFacts(count=shape[0], shape=(channels, height, width))


def _sides(shape: tuple[int, ...], layout: Layout) -> tuple[int, int, int]:
    """Height, width and channels of images in an array of this shape."""
    if layout == "hw":
        return shape[1], shape[2], 1
    return (shape[1], shape[2], shape[3]) if layout == "hwc" else (shape[2], shape[3], shape[1])


def _read(path: Path, options: Options) -> tuple[np.ndarray, np.ndarray | None, bool]:
    """Images, labels or None, and whether the images are mapped from the file."""
    try:
        # A .npy file is mapped, whatever its size; the arrays of a .npz file cannot be.
        content = open_mapped(path)
        if isinstance(content, np.ndarray):
            if options.images_key or options.labels_key:
                raise UsageError(
                    f"data path '{options.path}': a .npy file holds one array without a name; "
                    f"leave images_key and labels_key out"
                )
            return content, None, True
        with content:
            images_key, labels_key = _keys(content, options)
            for key in (images_key, labels_key):
                if key is not None:
                    check_array(content.zip, key, options.memory_limit_mb)
            return content[images_key], None if labels_key is None else content[labels_key], False
    except UsageError:
        raise
    except DataError as error:
        raise DataError(f"data path '{options.path}': {error}") from error
    except MemoryError as error:
        raise DataError(f"data path '{options.path}': it is too large for this machine's memory") from error
    except Exception as error:
        if any(word in str(error) for word in ("pickle", "Object arrays", "Python objects")):
            reason = f"it is no NumPy file, or {PICKLED}"
        else:
            reason = f"it cannot be read ({str(error) or type(error).__name__})"
        raise DataError(
            f"data path '{options.path}': {reason}; save arrays with numpy.savez(path, images=..., labels=...)"
        ) from error


def _keys(content: Mapping[str, np.ndarray], options: Options) -> tuple[str, str | None]:
    """The names of the images and of the labels (None where there are none) in a .npz file."""
    names = list(content)
    by_lower_case = {name.lower(): name for name in reversed(names)}

    def find(candidates: tuple[str, ...]) -> str | None:
        return next((by_lower_case[name] for name in candidates if name in by_lower_case), None)

    for option, name in (("images_key", options.images_key), ("labels_key", options.labels_key)):
        if name is not None and name not in names:
            raise UsageError(f"data path '{options.path}': {option} is '{name}', but it holds {_listed(names)}")
    images = options.images_key or find(IMAGE_KEYS) or (names[0] if len(names) == 1 else None)
    if images is None:
        raise UsageError(
            f"data path '{options.path}': it holds {_listed(names)}, none of which is called {', '.join(IMAGE_KEYS)}; "
            f"say which are the images with images_key"
        )
    if not options.labels:
        return images, None
    # Labels of the same part of the data come first: y_test for x_test.
    lower = images.lower()
    own = ("y" + lower[1:] if lower.startswith("x") else lower.replace("images", "labels"),)
    usual = LABEL_KEYS if options.images_key is None else LABEL_KEYS[1:]
    found = options.labels_key or find(own + usual)
    return images, None if found == images else found


def _listed(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) if names else "nothing"


def _layout(pixels: np.ndarray, options: Options) -> Layout:
    """Where the channels stand. Raises for arrays that are no images."""
    head = f"data path '{options.path}': the images are {pixels.dtype} of shape {list(pixels.shape)}"
    if pixels.dtype.kind not in "biuf":
        raise DataError(f"{head}; numbers are needed: store them with .astype('uint8')")
    if pixels.ndim not in (3, 4):
        raise DataError(f"{head}; [n, height, width] is needed, with channels as second or last axis if there are any")
    if 0 in pixels.shape:
        raise DataError(f"{head}: there is not a single pixel to train on")
    if pixels.ndim == 3:
        return "hw"
    if options.layout != "auto":
        return options.layout
    first, last = pixels.shape[1] in FEW, pixels.shape[3] in FEW
    if first == last:
        raise UsageError(f"{head}, which does not tell where the channels are; set layout to hwc (last) or chw (first)")
    return "chw" if first else "hwc"


@dataclass(frozen=True, slots=True)
class _Values:
    """How numbers become 0 to 255, which images are used where not all are, and what to say of it."""

    limits: tuple[float, float] | None = None
    rows: Tensor | None = None
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()


def _values(pixels: np.ndarray, options: Options, progress: ProgressReport) -> _Values:
    """The range of images of any type, measured piece by piece."""
    if pixels.dtype in (np.uint8, np.bool_):
        note = f"data.range has no effect, because values are {pixels.dtype}"
        limits = None if pixels.dtype == np.uint8 else (0.0, 1.0)
        return _Values(limits, notes=(note,) if options.range else ())
    given = options.range is not None
    if options.range is not None and pixels.dtype.kind != "f":
        said = notes(str(pixels.dtype), options.range, extent=None, deep=len(pixels), count=len(pixels), given=given)
        return _Values(options.range, notes=tuple(said))
    usable = np.ones(len(pixels), dtype=np.bool_)
    extents: list[Extent] = []
    step = max(1, AT_ONCE * len(pixels) // pixels.size)
    for begin in range(0, len(pixels), step):
        piece = np.asarray(pixels[begin : begin + step])
        if pixels.dtype.kind == "f":
            finite = np.isfinite(piece).all(axis=tuple(range(1, piece.ndim)))
            usable[begin : begin + step] = finite
            piece = piece[finite]
        if len(piece):
            extents.append(Extent.of(piece))
        progress("measuring images", min(begin + step, len(pixels)), len(pixels))
    skipped = tuple(
        Skipped(f"image {number}", "not usable (some values are NaN or infinite)")
        for number in np.flatnonzero(~usable).tolist()
    )
    if not extents:
        raise DataError(f"data path '{options.path}': no image can be used, for all have values that are not finite")
    extent = Extent.union(extents)
    limits = options.range or extent.range
    count = len(pixels) - len(skipped)
    said = notes(str(pixels.dtype), limits, extent=extent, deep=count, count=count, given=given)
    return _Values(limits, torch.from_numpy(np.flatnonzero(usable)) if skipped else None, skipped, tuple(said))


def _classes(raw: np.ndarray, count: int, path: Path) -> tuple[Tensor, tuple[str, ...]]:
    """Class indices `[n]` int64 and the names of the classes."""
    head = f"data path '{path}': the labels are {raw.dtype} of shape {list(raw.shape)}"
    without = "or leave them out with labels=false"
    if raw.ndim == 2 and raw.shape[1] == 1:
        raw = raw[:, 0]
    if raw.ndim != 1:
        hint = "; for one-hot rows store labels.argmax(1)" if raw.ndim == 2 else ""
        raise DataError(f"{head}, where one number for each image is needed{hint}; {without}")
    if len(raw) != count:
        raise DataError(f"{head}, but there are {count} images; give the right labels_key, {without}")
    if raw.dtype.kind not in "biu":
        raise DataError(f"{head}; integers are needed: store them with .astype('int64'), {without}")
    if raw.min() < 0:
        raise DataError(f"{head} and hold {raw.min()}, but must not be negative: renumber them, {without}")
    values, indices = np.unique(raw.astype(np.int64) if raw.dtype.kind == "b" else raw, return_inverse=True)
    return torch.from_numpy(indices.astype(np.int64)), tuple(str(value) for value in values.tolist())
