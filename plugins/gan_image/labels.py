"""Names of classes beside the images of a sheet: of a row where all its images are of one class, of a column, or of each image."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from gancore.drawing import font

SMALLEST = 11
"""Height of letters, in pixels, below which they cannot be read ..."""
SHARE = 40
"""... and how many such heights a large sheet is long, so that its animation, which is smaller, can be read too."""
LONGEST = 14
"""How many heights of its letters a name may be long."""
SPACE = 4
"""Pixels between a name and its images."""
_PAPER, _INK = "white", "black"


def labelled(picture: Image.Image, columns: int, names: Sequence[str], gap: int) -> Image.Image:
    """`picture`, a sheet of `columns` images in a row with `gap` pixels between them, with the name of each image's class.

    An empty place has the name "". Unchanged where rows or columns are too narrow for letters.
    """
    rows = math.ceil(len(names) / columns)
    wide, high = (picture.width + gap) / columns, (picture.height + gap) / rows
    size = max(SMALLEST, round(max(picture.size) / SHARE))
    in_rows = [list(names[start : start + columns]) for start in range(0, len(names), columns)]
    in_columns = [list(names[start::columns]) for start in range(columns)]
    if rows > 1 and (of_rows := _only_names(in_rows)) and high >= SMALLEST:
        return _beside(picture, of_rows, high, min(size, int(high)))
    if (of_columns := _only_names(in_columns)) and wide >= SMALLEST:
        return _above(picture, of_columns, wide, size)
    if wide >= 3 * SMALLEST:
        return _above_each(picture, in_rows, (wide, high), gap, size)
    return picture


def _only_names(lines: Sequence[Sequence[str]]) -> list[str] | None:
    """The name of each of some rows or columns; None where one of them has more than one."""
    names = [sorted({name for name in line if name}) for line in lines]
    return ["".join(line) for line in names] if all(len(line) <= 1 for line in names) else None


def _beside(picture: Image.Image, names: Sequence[str], high: float, size: int) -> Image.Image:
    names = [_fitting(name, LONGEST * size, size) for name in names]
    margin = math.ceil(max(font(size).getlength(name) for name in names)) + 2 * SPACE
    sheet, draw = _wider(picture, left=margin)
    for number, name in enumerate(names):
        middle = (number + 0.5) * high
        draw.text((margin - SPACE, middle), name, _INK, font(size), anchor="rm")
    return sheet


def _above(picture: Image.Image, names: Sequence[str], wide: float, size: int) -> Image.Image:
    if all(font(SMALLEST).getlength(name) <= wide - 2 for name in names):  # they can lie
        longest = max(font(size).getlength(name) for name in names)
        size = max(SMALLEST, min(size, int(size * (wide - 2) / max(longest, 1.0))))
        sheet, draw = _wider(picture, top=size + 2 * SPACE)
        for number, name in enumerate(names):
            draw.text(((number + 0.5) * wide, size + SPACE), name, _INK, font(size), anchor="ms")
        return sheet
    size = max(SMALLEST, min(size, int(wide)))
    names = [_fitting(name, LONGEST * size, size) for name in names]
    margin = math.ceil(max(font(size).getlength(name) for name in names)) + 2 * SPACE
    sheet, _ = _wider(picture, top=margin)
    for number, name in enumerate(names):
        strip = Image.new("L", (margin, int(wide)), _PAPER)
        ImageDraw.Draw(strip).text((SPACE, strip.height / 2), name, _INK, font(size), anchor="lm")
        sheet.paste(strip.transpose(Image.Transpose.ROTATE_90).convert(sheet.mode), (int(number * wide), 0))
    return sheet


def _above_each(
    picture: Image.Image, names: Sequence[Sequence[str]], pitch: tuple[float, float], gap: int, size: int
) -> Image.Image:
    wide, high = pitch
    size = max(SMALLEST, min(size, int(wide / 5)))
    strip = size + 2 * SPACE
    sheet = Image.new(picture.mode, (picture.width, picture.height + strip * len(names)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, row in enumerate(names):
        top = round(number * high)
        part = picture.crop((0, top, picture.width, min(picture.height, round((number + 1) * high) - gap)))
        sheet.paste(part, (0, top + strip * (number + 1)))
        for place, name in enumerate(row):
            left = place * wide + 1
            draw.text(
                (left, top + strip * number + size + SPACE),
                _fitting(name, wide - 2, size),
                _INK,
                font(size),
                anchor="ls",
            )
    return sheet


def _wider(picture: Image.Image, *, left: int = 0, top: int = 0) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new(picture.mode, (picture.width + left, picture.height + top), _PAPER)
    sheet.paste(picture, (left, top))
    return sheet, ImageDraw.Draw(sheet)


def _fitting(text: str, width: float, size: int) -> str:
    """`text`, without its middle where it is wider than `width` pixels: names often differ at their ends alone."""
    for left in range(len(text), 0, -1):
        head, tail = text[: left - left // 2], text[len(text) - left // 2 :]
        cut = text if left == len(text) else f"{head.rstrip()}..{tail.lstrip()}"
        if font(size).getlength(cut) <= width:
            return cut
    return ""
