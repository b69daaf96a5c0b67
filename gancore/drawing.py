"""Pictures with words, by Pillow and its own font: what writers of sheets and charts share."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont

PAPER, INK, FAINT = (255, 255, 255), (40, 40, 44), (105, 105, 112)
TITLE, SMALL = 14, 12
"""Heights of letters, in pixels."""
EDGE, GAP = 10, 6
"""Pixels around a sheet, and between what is on it."""


@lru_cache(maxsize=8)
def font(size: int) -> Any:
    """Pillow's own font, in pixels; the small fixed one where Pillow was built without FreeType."""
    try:
        return ImageFont.load_default(size)
    except (OSError, ImportError):
        return ImageFont.load_default()


def plain(text: str) -> str:
    """`text` in the letters that Pillow's font has: accents left out, and `?` for what it cannot say."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in _without_accents(text))


def printable(name: str, label: int) -> str:
    """A class's name in the letters that Pillow's font has, accents left out; `class 3` where that cannot say it."""
    bare = _without_accents(name)
    return bare if bare and bare.isascii() and bare.isprintable() else f"class {label}"


def _without_accents(text: str) -> str:
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(bare.split())


def wrapped(text: str, width: float, size: int) -> list[str]:
    """The words of `text` on as many lines as they need."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font(size).getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def captioned(tiles: Sequence[Image.Image], captions: Sequence[str], columns: int, title: str) -> Image.Image:
    """`tiles` of one size, `columns` in a row, each below its caption, and all below the title."""
    rows = math.ceil(len(tiles) / columns)
    words = [plain(caption) for caption in captions]
    wide = max(tiles[0].width, math.ceil(max(font(SMALL).getlength(word) for word in words)))
    strip = SMALL + 6
    high = tiles[0].height + strip
    across, down = columns * (wide + GAP) - GAP, rows * (high + GAP) - GAP
    lines = wrapped(plain(title), across, TITLE)
    head = len(lines) * (TITLE + 5) + GAP
    sheet = Image.new("RGB", (across + 2 * EDGE, head + down + 2 * EDGE), PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        pen.text((EDGE, EDGE + number * (TITLE + 5)), line, INK, font(TITLE))
    for number, (tile, word) in enumerate(zip(tiles, words, strict=True)):
        left, top = EDGE + number % columns * (wide + GAP), EDGE + head + number // columns * (high + GAP)
        pen.text((left, top), word, INK, font(SMALL))
        seen = tile if tile.mode == "RGBA" else None
        sheet.paste(tile.convert("RGB"), (left, top + strip), seen)
    return sheet
