"""From the bytes of a picture file to uint8 pixels of one size, or to plain words for why that is impossible."""

from __future__ import annotations

import contextlib
import functools
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gancore.data.files import Entry, why_unreadable
from gancore.errors import DataError

Fit = Literal["crop", "resize", "pad"]
Mode = Literal["grey", "rgb", "rgba"]

PILLOW_MODES: dict[Mode, str] = {"grey": "L", "rgb": "RGB", "rgba": "RGBA"}
CHANNELS: dict[Mode, int] = {"grey": 1, "rgb": 3, "rgba": 4}
GREY_MODES = ("1", "L", "LA", "La", "I", "F")
SUPPORTED = "PNG, JPEG, WebP, GIF, BMP, TIFF, PPM and the other raster formats that Pillow reads"
# EPS is a program, run by Ghostscript; the others are recognised by Pillow but cannot be decoded by it.
REFUSED_FORMATS = ("EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG")


class UnusableError(DataError):
    """A file without a usable picture; the message completes "the file is ...".

    `passing` is true where the cause may lie outside of the file (access, memory) and be gone the next time.
    """

    def __init__(self, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.passing = passing


@dataclass(frozen=True, slots=True)
class Look:
    """How pictures are to come out: `size` (height, width), how they are made to fit, and their channels."""

    size: tuple[int, int]
    fit: Fit
    mode: Mode

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


def is_grey(entry: Entry) -> bool:
    """Whether a file says of itself, in its first bytes, that it holds no colours. Raises UnusableError."""
    with _explained(), entry.open() as file, _open(file, entry) as image:
        if image.mode == "P":
            palette = np.array(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
            return bool((palette == palette[:, :1]).all())
        return image.mode in GREY_MODES or image.mode.startswith("I;16")


def decode(entry: Entry, look: Look) -> np.ndarray:
    """The first frame of a picture, upright, uint8 `[channels, height, width]`. Raises UnusableError.

    Transparency is laid on white unless the mode keeps it, 16 bits become 8. Resizing uses Lanczos' filter with
    antialiasing: `crop` keeps the middle of the longer side, `resize` stretches, `pad` adds white or transparent bars.
    """
    with _explained(), io.BytesIO(entry.read()) as file, _open(file, entry) as image:
        # JPEG decodes at a half, quarter or eighth for a fraction of the work; twice the target keeps the quality.
        twice = 2 * max(look.size)
        image.draft(None, (twice, twice))
        image.load()
        pixels = np.asarray(_fit(_channels(_upright(image), look.mode), look))
        return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _open(file: IO[bytes], entry: Entry) -> Image.Image:
    if not entry.size:
        raise UnusableError("empty")
    image = Image.open(file, formats=formats())
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise Image.DecompressionBombError
    return image


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Pillow's decoders raise nearly anything on damaged data: all of it becomes UnusableError in plain words."""
    try:
        yield
    except UnusableError:
        raise
    except DataError as error:
        raise UnusableError(str(error), passing=isinstance(error.__cause__, OSError)) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnusableError(
            f"too large (more than {(Image.MAX_IMAGE_PIXELS or 0) / 1e6:.0f} million pixels)"
        ) from error
    except UnidentifiedImageError as error:
        raise UnusableError("not an image") from error
    except MemoryError as error:
        raise UnusableError("too large for this machine's memory", passing=True) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise UnusableError(why_unreadable(error), passing=True) from error
        words = str(error)
        if "truncated" in words.lower() or "unexpected end" in words.lower() or isinstance(error, EOFError):
            raise UnusableError("truncated") from error
        raise UnusableError(f"damaged ({words or type(error).__name__})") from error


def _upright(image: Image.Image) -> Image.Image:
    """The picture turned as its EXIF orientation says; as it is where that cannot be read."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _channels(image: Image.Image, mode: Mode) -> Image.Image:
    """The picture in mode L, RGB or RGBA."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _eight_bits(image)
    if mode == "rgba":
        return image.convert("RGBA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert(PILLOW_MODES[mode])


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits, or of 32 bits or floating point whose range the values themselves must tell, as 8 bits."""
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise UnusableError("without a picture (its values are not finite)")
    if image.mode == "F" and values.max() <= 1.0:
        top = 1.0
    else:
        top = 65535.0 if image.mode.startswith("I;16") or values.max() > 255.0 else 255.0
    return Image.fromarray(np.round(values.clip(0.0, top) * (255.0 / top)).astype(np.uint8))


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
