"""From the bytes of a CSV file to cells: everything that can be wrong with a file is found here."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gancore.components import ProgressReport
from gancore.data.report import Skipped
from gancore.errors import DataError, UsageError

DELIMITERS = ",;\t|"
"""What a delimiter may be when it is to be found."""

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
"""What counts as a number."""


@dataclass(frozen=True, slots=True)
class Cells:
    """A table as text: `columns[c][r]` is the cell of column c in row r, which stood at line `lines[r]` of the file."""

    source: str
    header: tuple[str, ...]
    columns: tuple[Sequence[str], ...]
    lines: Sequence[int]
    skipped: tuple[Skipped, ...] = ()

    @property
    def found(self) -> int:
        """Rows that were looked at."""
        return len(self.lines) + len(self.skipped)

    def column(self, name: str) -> Sequence[str]:
        """The cells of one column."""
        return self.columns[self.header.index(name)]


def read_cells(path: Path, delimiter: str | None, progress: ProgressReport) -> Cells:
    """The cells of a CSV file with a header, plain or gzipped, UTF-8; rows of another length than the header are skipped.

    Raises:
        UsageError: there is no such file, or another delimiter would help.
        DataError: the file is no text, has no header, no rows, or not two rows of the header's length.
    """
    head = f"data path '{path}'"
    progress("reading rows", 0, 0)
    text = _text(path, head)
    if not text.strip():
        raise DataError(f"{head}: the file is empty; a header and rows were looked for")
    first = text.lstrip().splitlines()[0]
    mark = delimiter or max(DELIMITERS, key=lambda d: (first.count(d), -DELIMITERS.index(d)))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
    try:
        header = _header(next(row for row in reader if row), head)
        rows, lines, skipped = _rows(reader, len(header))
    except csv.Error as error:
        raise DataError(
            f"{head}: line {reader.line_num} cannot be read ({error}); look for a quotation mark that is never closed"
        ) from error
    if len(header) == 1 and delimiter and not any(delimiter in line for line in text.splitlines()[:2]):
        raise UsageError(
            f"{head}: there is no '{delimiter}' in its first lines; choose another delimiter, or none to find it"
        )
    if not rows and not skipped:
        raise DataError(f"{head}: there is a header of {len(header)} columns and no row below it")
    if len(rows) < 2:
        first_problem = f"; first problem: {skipped[0].path} {skipped[0].reason}" if skipped else ""
        count = "1 row" if len(rows) == 1 else "no row"
        raise DataError(
            f"{head}: {count} fits the header of {len(header)} columns, and at least 2 are needed{first_problem}"
        )
    progress("reading rows", len(rows), len(rows))
    columns = tuple(zip(*rows, strict=True))
    return Cells(str(path), header, columns, lines, tuple(skipped))


def _text(path: Path, head: str) -> str:
    place = path.expanduser()
    if not place.is_file():
        what = "this is a folder, not a file" if place.is_dir() else "there is no such file"
        raise UsageError(f"{head}: {what}; a CSV file was looked for")
    try:
        raw = place.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{head}: it cannot be read ({error})") from error
    if b"\x00" in raw:
        raise DataError(f"{head}: this is no text file (it holds zero bytes); save the table as CSV in UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(f"{head}: line {line} is not UTF-8 text; save the table as CSV in UTF-8") from error


def _header(cells: list[str], head: str) -> tuple[str, ...]:
    names = tuple(cell.strip() or f"column_{place}" for place, cell in enumerate(cells, start=1))
    if all(NUMBER.fullmatch(name) for name in names):
        raise DataError(f"{head}: the first line holds only numbers; it has to be a header with the columns' names")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{head}: more than one column is called {quoted(twice)}; rename them")
    return names


def _rows(reader: Iterable[list[str]], width: int) -> tuple[list[list[str]], list[int], list[Skipped]]:
    rows: list[list[str]] = []
    lines: list[int] = []
    skipped: list[Skipped] = []
    line = reader.line_num  # type: ignore[attr-defined]
    for row in reader:
        begun, line = line + 1, reader.line_num  # type: ignore[attr-defined]
        if len(row) == width:
            rows.append(row)
            lines.append(begun)
        elif row:
            what = "cell" if len(row) == 1 else "cells"
            skipped.append(Skipped(f"line {begun}", f"has {len(row)} {what} instead of {width}"))
    return rows, lines, skipped


def quoted(names: Iterable[str]) -> str:
    """Names for a message: `'age', 'rent'`."""
    return ", ".join(f"'{name}'" for name in names)
