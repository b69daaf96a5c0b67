"""From the bytes of a picture file to uint8 pixels of one size, or to plain words for why that is impossible."""

from __future__ import annotations

import contextlib
import functools
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Literal, TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from gan_image.data import tiff
from gan_image.data.intensities import Extent, to_uint8
from gan_image.data.repair import LONGEST_SIGNATURE, can_repair, without_metadata
from gancore.data.files import Entry
from gancore.data.reading import UnusableError, explained

R = TypeVar("R")
Fit = Literal["crop", "resize", "pad"]
Mode = Literal["grey", "rgb", "rgba"]

PILLOW_MODES: dict[Mode, str] = {"grey": "L", "rgb": "RGB", "rgba": "RGBA"}
CHANNELS: dict[Mode, int] = {"grey": 1, "rgb": 3, "rgba": 4}
GREY_MODES = ("1", "L", "LA", "La", "I", "F")
SUPPORTED = "PNG, JPEG, WebP, GIF, BMP, TIFF, PPM and the other raster formats that Pillow reads"
ORIENTATION, BITS_PER_SAMPLE = 0x0112, 258
"""Tags of EXIF and of TIFF."""
ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
DEEP_COLOURS = [(colours, order) for colours in ("RGB", "RGBA", "LA") for order in ("16B", "16L", "16N")]
"""How colours of 16 bits are stored, in Pillow's words."""
ANIMATED = ("GIF", "PNG", "WEBP", "TIFF")
"""Formats of which one file may hold several pictures; a camera's JPEG with a preview is not meant."""
# EPS is a program, run by Ghostscript; the others are recognised by Pillow but cannot be decoded by it.
REFUSED_FORMATS = ("EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG")


@dataclass(frozen=True, slots=True)
class Look:
    """How pictures are to come out: `size` (height, width), how they are made to fit, and their channels.

    `range` are the values that become 0 and 255 in pictures that are not 8-bit, None where there are none such.
    """

    size: tuple[int, int]
    fit: Fit
    mode: Mode
    range: tuple[float, float] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        return (CHANNELS[self.mode], *self.size)


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Within, Pillow's remarks on odd files are not shown, and its warning of a decompression bomb is an error.

    Warning filters belong to the whole process: enter it in the main thread, around the threads that decode.
    """
    formats()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


@functools.cache
def formats() -> tuple[str, ...]:
    """The names of the formats that are read."""
    Image.init()
    return tuple(name for name in Image.OPEN if name not in REFUSED_FORMATS)


@functools.cache
def suffixes() -> frozenset[str]:
    """By which files of these formats are known, in small letters; files are read whatever their suffix."""
    return frozenset(suffix for suffix, kind in Image.registered_extensions().items() if kind in formats())


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file says of itself in its first bytes: whether it has no colours, what its values are where they are not 8-bit
    ("16-bit", "floating-point"), and whether there are more frames or pages than the first."""

    grey: bool
    depth: str
    several: bool


def look_at(entry: Entry) -> Facts:
    """What the file says of itself. Raises UnusableError."""
    with explained(_in_words), entry.open() as file:
        if plan := tiff.plan(file):
            return Facts(plan.grey, plan.depth, plan.several)
        file.seek(0)
        try:
            with _open(file, entry) as image:
                return _facts(image)
        except Image.DecompressionBombError:
            raise
        except Exception:
            file.seek(0)
            if not can_repair(file.read(LONGEST_SIGNATURE)):
                raise
        return _bare(entry.read(), entry, lambda data: _facts(_open(io.BytesIO(data), entry)))


def measure(entry: Entry) -> Extent:
    """The values of a picture that is not 8-bit. Raises UnusableError."""
    return _whole(entry, lambda data: Extent.of(_deep(data, entry)[0]))


def decode(entry: Entry, look: Look) -> np.ndarray:
    """The first frame of a picture, upright, uint8 `[channels, height, width]`. Raises UnusableError.

    Transparency is laid on white unless the mode keeps it. Resizing uses Lanczos' filter with antialiasing: `crop` keeps the
    middle of the longer side, `resize` stretches, `pad` adds white or transparent bars.
    """
    return _whole(entry, lambda data: _decode(data, entry, look))


def _decode(data: bytes, entry: Entry, look: Look) -> np.ndarray:
    if plan := tiff.plan(io.BytesIO(data)):
        return _finished(_eight_bits(*_deep(data, entry), look), ORIENTATIONS.get(plan.orientation), look)
    with _open(io.BytesIO(data), entry) as image:
        if depth(image):
            return _finished(_eight_bits(*_deep(data, entry), look), _orientation(image), look)
        # JPEG decodes at a half, quarter or eighth for a fraction of the work; twice the target keeps the quality.
        twice = 2 * max(look.size)
        image.draft(None, (twice, twice))
        image.load()
        return _finished(image, _orientation(image), look)


def _finished(picture: Image.Image, upright: Image.Transpose | None, look: Look) -> np.ndarray:
    if upright is not None:
        picture = picture.transpose(upright)
    pixels = np.asarray(_fit(_channels(picture, look.mode), look))
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _whole(entry: Entry, use: Callable[[bytes], R]) -> R:
    """What `use` makes of a file, or of its pixels alone where that fails: for a damaged comment, no picture is left out."""
    with explained(_in_words):
        data = entry.read()
        try:
            return use(data)
        except (Image.DecompressionBombError, UnusableError):
            raise
        except Exception:
            if not can_repair(data[:LONGEST_SIGNATURE]):
                raise
        return _bare(data, entry, use)


def _bare(data: bytes, entry: Entry, use: Callable[[bytes], R]) -> R:
    bare = without_metadata(data)
    return use(data if bare is None else bare)


def _open(file: IO[bytes], entry: Entry) -> Image.Image:
    if not entry.size:
        raise UnusableError("empty")
    image = Image.open(file, formats=formats())
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise Image.DecompressionBombError
    return image


def _in_words(error: Exception) -> str:
    """What Pillow means, where it is known."""
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"too large (more than {(Image.MAX_IMAGE_PIXELS or 0) / 1e6:.0f} million pixels)"
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    words = str(error).lower()
    return "truncated" if "truncated" in words or "unexpected end" in words or isinstance(error, EOFError) else ""


# --- what a file holds ------------------------------------------------------------------------------------------------


def _facts(image: Image.Image) -> Facts:
    if image.mode == "P":
        palette = np.array(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
        grey = bool((palette == palette[:, :1]).all())
    else:
        grey = image.mode in GREY_MODES or image.mode.startswith("I;16") or _raw_mode(image).startswith("LA;16")
    several = False
    if image.format in ANIMATED:
        with contextlib.suppress(Exception):  # what comes after the first frame may be damaged
            several = bool(getattr(image, "is_animated", False))
    return Facts(grey, depth(image), several)


def depth(image: Image.Image) -> str:
    """What the values are, where they are not 8-bit: "16-bit", "32-bit", "floating-point"; empty where they are."""
    if image.mode == "F":
        return "floating-point"
    if image.mode != "I" and not image.mode.startswith("I;16"):
        return "16-bit" if _raw_mode(image).partition(";")[::2] in DEEP_COLOURS else ""
    bits = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, 16)
    return f"{bits[0] if isinstance(bits, tuple) else bits}-bit"


def _raw_mode(image: Image.Image) -> str:
    """How the pixels of an image that is not loaded are stored, in Pillow's words."""
    tiles: Any = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else ""
    mode = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return mode if isinstance(mode, str) else ""


def _deep(data: bytes, entry: Entry) -> tuple[np.ndarray, np.ndarray | None]:
    """The values `[height, width]` or `[height, width, 3]` of a picture that is not 8-bit, and its uint8 alpha or None."""
    if plan := tiff.plan(io.BytesIO(data)):
        return _finite(*tiff.values(plan, data, lambda file: _open(file, entry)))
    alpha: np.ndarray | None = None
    with _open(io.BytesIO(data), entry) as image:
        raw, *_ = _raw_mode(image).partition(";")
        transparent = image.info.get("transparency")
        if image.mode in ("RGB", "RGBA"):
            values = _both_bytes(image, data, entry)
            if raw in ("LA", "RGBA"):
                values, alpha = values[..., :-1], (values[..., -1] >> 8).astype(np.uint8)
            values = values[..., 0] if raw == "LA" else values
        else:
            values = np.asarray(image)
    if alpha is None and isinstance(transparent, int | tuple):
        same = values == np.asarray(transparent)
        alpha = np.where(same.all(axis=-1) if values.ndim == 3 else same, 0, 255).astype(np.uint8)
    return _finite(values, alpha)


def _finite(values: np.ndarray, alpha: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise UnusableError("not usable (some values are NaN or infinite)")
    return values, alpha


def _both_bytes(image: Image.Image, data: bytes, entry: Entry) -> np.ndarray:
    """Colours of 16 bits `[height, width, channels]`, of which Pillow keeps the upper byte: the lower one is what it keeps when told
    that bytes are in the other order."""
    with _open(io.BytesIO(data), entry) as opened:
        second: Any = opened
        stored = _raw_mode(image)
        if stored.startswith("LA"):  # four bytes a pixel, of which none is left out
            other = "RGBA"
        else:
            other = stored[:-1] + ("L" if stored.endswith("B") else "B")
        second.tile = [
            one._replace(args=(other, *one.args[1:]) if isinstance(one.args, tuple) else other) for one in second.tile
        ]
        if other == "RGBA":
            four = np.asarray(second).astype(np.uint16)
            return four[..., ::2] << 8 | four[..., 1::2]
        return np.asarray(image).astype(np.uint16) << 8 | np.asarray(second)


def _eight_bits(values: np.ndarray, alpha: np.ndarray | None, look: Look) -> Image.Image:
    if look.range is None:
        raise UnusableError("another picture than when the data set was opened (it is not 8-bit)")
    pixels = to_uint8(values, look.range)
    if alpha is None:
        return Image.fromarray(pixels)
    return Image.fromarray(np.dstack([pixels, pixels, pixels, alpha] if pixels.ndim == 2 else [pixels, alpha]))


def _orientation(image: Image.Image) -> Image.Transpose | None:
    """How the picture must be turned, as its EXIF data say; not at all where these cannot be read."""
    try:
        return ORIENTATIONS.get(image.getexif().get(ORIENTATION, 1))
    except Exception:
        return None


# --- from there to the look that is wanted ----------------------------------------------------------------------------


def _channels(image: Image.Image, mode: Mode) -> Image.Image:
    """The picture in mode L, RGB or RGBA."""
    if mode == "rgba":
        return image.convert("RGBA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert(PILLOW_MODES[mode])


def _fit(image: Image.Image, look: Look) -> Image.Image:
    height, width = look.size
    if look.fit == "pad":
        scale = min(width / image.width, height / image.height)
        inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        sheet = Image.new(image.mode, (width, height), "#ffffff00" if image.mode == "RGBA" else "white")
        sheet.paste(_resize(image, inner), ((width - inner[0]) // 2, (height - inner[1]) // 2))
        return sheet
    box = (0.0, 0.0, float(image.width), float(image.height))
    if look.fit == "crop":
        # The part of the picture that is kept, in its own pixels: cutting and resizing are then one resampling.
        scale = min(image.width / width, image.height / height)
        left, top = (image.width - width * scale) / 2, (image.height - height * scale) / 2
        box = (max(left, 0.0), max(top, 0.0), image.width - max(left, 0.0), image.height - max(top, 0.0))
    return _resize(image, (width, height), box)


def _resize(
    image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> Image.Image:
    return image.resize(size, Image.Resampling.LANCZOS, box=box)
