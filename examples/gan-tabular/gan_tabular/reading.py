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
from itertools import islice
from pathlib import Path
from typing import Any

from gancore.components import ProgressReport
from gancore.data.encodings import foreign_encoding, how_to_convert, likely_encoding, name_of
from gancore.data.files import expect_file
from gancore.data.report import Skipped
from gancore.errors import DataError, UsageError

DELIMITERS = ",;\t|"
"""What a delimiter may be when it is to be found."""

MOST_BYTES = 1 << 30
"""The longest cell."""

_LOOKED_AT = 100
# The first line by which Excel knows the separator.
_NAMED_MARK = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
"""What counts as a number."""


@dataclass(frozen=True, slots=True)
class Cells:
    """A table as text: `columns[c][r]` is the cell of column c in row r, which stood at line `lines[r]` of the file.

    `notes` say what was made of it that its owner may want to know.
    """

    source: str
    header: tuple[str, ...]
    columns: tuple[Sequence[str], ...]
    lines: Sequence[int]
    skipped: tuple[Skipped, ...] = ()
    delimiter: str = ","
    notes: tuple[str, ...] = ()

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
    # Ends of lines of every kind, and no other signs that Python takes for some.
    written = list(io.StringIO(text, newline=""))
    named = _NAMED_MARK.fullmatch(written[0])
    mark = delimiter or (named[1] if named else _mark(written))
    # The library's limit is one for the process: no other reader may need more than it allows.
    csv.field_size_limit(max(csv.field_size_limit(), MOST_BYTES))
    reader = _reader(written, 1 if named else 0, mark)
    try:
        header = _header(next(row for row in reader if row), head)
    except csv.Error as error:
        raise DataError(
            f"{head}: its header cannot be read ({error}); look for a quotation mark that is never closed"
        ) from error
    rows, lines, skipped = _rows(written, reader.line_num + (1 if named else 0), mark, len(header))
    if len(header) == 1 and delimiter and not any(delimiter in line for line in written[:2]):
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
    return Cells(str(path), header, columns, lines, tuple(skipped), mark)


def _text(path: Path, head: str) -> str:
    place = expect_file(path, "a CSV file")
    try:
        raw = place.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{head}: it cannot be read ({error})") from error
    codec = likely_encoding(raw)
    if codec.startswith(("utf-16", "utf-32")):
        raise DataError(f"{head}: it is in {name_of(codec)}, and only UTF-8 is read; {how_to_convert(codec)}")
    if b"\x00" in raw:
        raise DataError(f"{head}: this is not a text file (it contains zero bytes); save the table as CSV in UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        foreign = foreign_encoding(raw[raw.rfind(b"\n", 0, error.start) + 1 :])
        advice = f"the file looks like {name_of(foreign)}: {how_to_convert(foreign)}" if foreign else "save it in UTF-8"
        raise DataError(f"{head}: line {line} is not UTF-8 text; {advice}") from error


def _mark(lines: Sequence[str]) -> str:
    """The delimiter by which most of the first lines have as many cells as the header, else the one that is most often in it."""
    shown = list(islice((line for line in lines if line.strip()), _LOOKED_AT))
    alike = dict.fromkeys(DELIMITERS, 0)
    for mark in DELIMITERS:
        widths = [len(next(_reader([line], 0, mark, strict=False), [])) for line in shown]
        if widths[0] > 1:
            alike[mark] = widths.count(widths[0])
    # Where several fit, the one that is rarer within cells.
    best = max("\t;|,", key=alike.__getitem__)
    if 2 * alike[best] > len(shown):
        return best
    return max(DELIMITERS, key=lambda mark: (shown[0].count(mark), -DELIMITERS.index(mark)))


def _reader(lines: Sequence[str], begin: int, mark: str, *, strict: bool = True) -> Any:
    """Rows of the lines from `begin` on; strict, so that a quotation mark that is not closed is not taken for a long cell."""
    return csv.reader(map(lines.__getitem__, range(begin, len(lines))), delimiter=mark, strict=strict)


def _header(cells: list[str], head: str) -> tuple[str, ...]:
    names = tuple(cell.strip() or f"column_{place}" for place, cell in enumerate(cells, start=1))
    if all(NUMBER.fullmatch(name) for name in names):
        raise DataError(f"{head}: the first line holds only numbers; it has to be a header with the columns' names")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{head}: more than one column is called {quoted(twice)}; rename them")
    return names


def _rows(
    written: Sequence[str], begin: int, mark: str, width: int
) -> tuple[list[list[str]], list[int], list[Skipped]]:
    """The rows of the lines from `begin` on, and the numbers of the lines where they begin.

    After a row that cannot be read, reading goes on at the line after its first: a quotation mark that is not closed
    takes no other rows with it.
    """
    rows: list[list[str]] = []
    lines: list[int] = []
    skipped: list[Skipped] = []
    while begin < len(written):
        reader = _reader(written, begin, mark)
        line = 0
        broken = ""
        try:
            for row in reader:
                first, line = line, reader.line_num
                if _swallowed(written[begin + first + 1 : begin + line - 1], mark, width):
                    broken = "cannot be read (a quotation mark that is closed many rows below)"
                    line = first
                    break
                if len(row) == width:
                    rows.append(row)
                    lines.append(begin + first + 1)
                elif row:
                    broken = f"has {len(row)} cell{'s' * (len(row) != 1)} instead of {width}"
                    line = first
                    break
            else:
                break
        except csv.Error as error:
            lacks = "a quotation mark that is never closed" if "end of data" in str(error) else str(error)
            broken = f"cannot be read ({lacks})"
        begin += line + 1
        skipped.append(Skipped(f"line {begin}", broken))
    return rows, lines, skipped


def _swallowed(within: Sequence[str], mark: str, width: int) -> bool:
    """Whether lines `within` a cell are rows themselves: ten or more, all as wide as the header."""
    return len(within) >= 10 and width > 1 and all(len(row) == width for row in _reader(within, 0, mark, strict=False))


def quoted(names: Iterable[str]) -> str:
    """Names for a message: `'age', 'rent'`."""
    return ", ".join(f"'{name}'" for name in names)
