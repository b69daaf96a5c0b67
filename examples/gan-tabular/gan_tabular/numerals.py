"""Numbers as other countries write them, `1.234,5` and `1,234.5`, made plain; refused where they may mean two things."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gancore.errors import UsageError

from gan_tabular.reading import NUMBER, Cells, quoted

Decimal = Literal["auto", "point", "comma"]

MOSTLY = 0.95
"""Share of the cells that must be numbers for a column to be looked at."""

# 1,5 or 1.234,5 or 1.234.567
_COMMA = re.compile(r"[+-]?(?:\d*,\d+(?:[eE][+-]?\d{1,3})?|\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?:\.\d{3}){2,})", re.ASCII)
# 1,234 or 1,234.5 or 1,234,567
_POINT = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?", re.ASCII)
# 1.234, which is either a number with three decimals or, among decimal commas, a whole one
_THOUSANDS = re.compile(r"[+-]?\d{1,3}\.\d{3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Column:
    """What speaks for what in a column of numbers: an example for a decimal comma, for a point, or for one as for the other."""

    place: int
    name: str
    comma: str = ""
    point: str = ""
    either: str = ""
    thousands: bool = False
    """Whether all its points may part thousands."""

    @property
    def open(self) -> bool:
        return bool(self.either) and not self.comma and not self.point


def plain_numbers(cells: Cells, decimal: Decimal, keep: Collection[str], missing: Collection[str]) -> Cells:
    """`cells`, in which columns of numbers are written with a decimal point and nothing between thousands.

    With `auto` each column says itself what its commas are, else other columns do, else the file, if semicolons part its cells.
    Columns to `keep` stay as they are, and so does everything where a file has no commas in its numbers.
    Raises UsageError where `1,234` may be both.
    """
    found = [
        column
        for place, (name, texts) in enumerate(zip(cells.header, cells.columns, strict=True))
        if name not in keep and (column := _look(place, name, texts, missing))
    ]
    any_comma, any_point = any(column.comma for column in found), any(column.point for column in found)
    columns = list(cells.columns)
    commas: list[str] = []
    for column in found:
        if decimal != "auto":
            comma = decimal == "comma"
        elif column.open:
            if any_comma == any_point and cells.delimiter != ";":
                raise UsageError(
                    f"data path '{cells.source}': the comma in '{column.either}' of column '{column.name}' may be a decimal comma "
                    "or a thousands separator; set data.decimal=comma or data.decimal=point, or keep the column as text "
                    f"with data.categorical={column.name}"
                )
            comma = any_comma or not any_point
        else:
            comma = bool(column.comma) or (any_comma and not any_point and column.thousands)
        own = columns[column.place]
        plain = {text: _plain(text, comma) for text in set(own)}
        columns[column.place] = tuple(plain[text] for text in own)
        if comma:
            commas.append(column.name)
    notes = (*cells.notes, f"decimal commas in {quoted(commas)}") if commas else cells.notes
    return replace(cells, columns=tuple(columns), notes=notes)


def _look(place: int, name: str, texts: Sequence[str], missing: Collection[str]) -> _Column | None:
    """What is to be known of a column; None where it is none of numbers, or its numbers are whole and plain."""
    counts = Counter(text.strip() for text in texts)
    present = {text: count for text, count in counts.items() if text and text not in missing}
    written = {text: count for text, count in present.items() if "," in text or "." in text}
    if not written:
        return None
    like = {text: count for text, count in present.items() if _is_number(text)}
    if sum(like.values()) < MOSTLY * sum(present.values()):
        return None
    foreign = [text for text in like if not NUMBER.fullmatch(text)]
    points = [text for text in like if NUMBER.fullmatch(text) and "." in text]
    comma = next((text for text in foreign if not _POINT.fullmatch(text)), "")
    grouped = next((text for text in foreign if not _COMMA.fullmatch(text)), "")
    either = next((text for text in foreign if _COMMA.fullmatch(text) and _POINT.fullmatch(text)), "")
    plain = next((text for text in points if not _THOUSANDS.fullmatch(text)), "")
    return _Column(place, name, comma, "" if comma else grouped or plain, either, thousands=bool(points) and not plain)


def _is_number(text: str) -> bool:
    return any(pattern.fullmatch(text) for pattern in (NUMBER, _COMMA, _POINT))


def _plain(text: str, comma: bool) -> str:
    number = text.strip()
    if comma and (_COMMA.fullmatch(number) or _THOUSANDS.fullmatch(number)):
        return number.replace(".", "").replace(",", ".")
    if not comma and _POINT.fullmatch(number):
        return number.replace(",", "")
    return text
