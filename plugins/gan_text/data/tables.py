"""Texts out of a column of CSV and TSV files, whichever separator they have, and in spite of rows that are broken."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from gan_text.data.inputs import BLOCK, USUAL, Input, Reader, Texts, texts_of
from gancore.errors import DataError

MARKS = ",;\t|"
"""What may separate cells, unless the first line says another (`sep=:`) ..."""
RARE_MARKS = ":^~#!\x01\x1f"
"""... or only one of these gives the names that are looked for, and as many cells in most lines."""

_LOOKED_AT = 100
# The first line that Excel takes for the separator.
_NAMED_MARK = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')


def read_rows(file: Input, reader: Reader, *, tabs: bool) -> Iterator[Texts]:
    """The texts of a table, whose first line names the columns.

    Cells are separated by commas (`tabs`: by tabs), unless the names that are looked for, or most of the first lines, say that it is
    another of `MARKS`. Quotes are those of CSV, but in a table of tabs only if the names are quoted. A row that cannot be
    read is listed, and reading goes on at the line after its first.
    """
    lines = _Lines(file, reader.max_bytes)
    form = _form(lines, reader, tabs=tabs)
    # The library's limit is one for the process: no other reader may need more than it allows.
    csv.field_size_limit(max(csv.field_size_limit(), reader.max_bytes))
    rows = form.rows(lines)
    columns: _Columns | None = None
    texts: list[str] = []
    labels: list[str] = []
    size = 0
    while True:
        lines.begin()
        try:
            row = next(rows, None)
            if row is None:
                break
            if lines.left_out and columns is None:
                raise DataError("without names of its columns: its first line cannot be read")
            if not row or lines.left_out:
                continue
            if columns is None:
                columns = _columns(row, reader, form)
                continue
            if lines.swallowed(form, columns.width):
                raise _RowError("no row of a table (a quotation mark that is closed many rows below)", width=True)
            text, label = columns.of(row)
        except csv.Error as error:
            file.problems.add(file.name, f"no row of a table ({lines.why(error)})", lines.first)
            lines.go_back()
            rows = form.rows(lines)
            continue
        except _RowError as error:
            if error.width:
                lines.go_back()
            file.problems.add(file.name, error, lines.first)
            continue
        texts.append(text)
        labels.append(label)
        size += len(text)
        if size >= BLOCK:
            yield texts_of(texts, labels if reader.label_column else None, file.done)
            texts, labels, size = [], [], 0
    yield texts_of(texts, labels if reader.label_column else None, file.done)


class _RowError(DataError):
    """One row that cannot be used; others can. Where it has the wrong `width`, a quotation mark may have taken others into it."""

    def __init__(self, message: str, *, width: bool = False) -> None:
        super().__init__(message)
        self.width = width


class _Lines:
    """The lines of a file, one at a time and with a line feed, of which those of the present row can be taken again."""

    def __init__(self, file: Input, limit: int) -> None:
        self.limit = limit
        self.source = (
            (line.removesuffix("\r") + "\n", number, number in left_out)
            for first, some, left_out in file.lines()
            for number, line in enumerate(some, first)
        )
        self.again: deque[tuple[str, int, bool]] = deque()
        self.row: list[tuple[str, int, bool]] = []
        self.size = 0
        self.left_out = False
        """Whether a line of the row is listed as one to leave out."""

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self.size > self.limit:
            raise StopIteration
        line = self.again.popleft() if self.again else next(self.source)
        self.row.append(line)
        text, _, bad = line
        self.size += len(text)
        if bad:
            self.left_out = True
        return text

    def begin(self) -> None:
        """A row begins with the next line."""
        self.row = []
        self.size = 0
        self.left_out = False

    def go_back(self) -> None:
        """The next line is that after the first of the row."""
        self.again.extendleft(reversed(self.row[1:]))

    def ahead(self) -> list[str]:
        """Lines that come next: as many as are needed to see what table it is."""
        some, size = [], 0
        for line in chain(list(self.again), self.source):
            some.append(line)
            size += len(line[0])
            if len(some) == _LOOKED_AT or size > BLOCK:
                break
        self.again = deque(some)
        return [line for line, _, _ in some]

    @property
    def first(self) -> int:
        """The number of the row's first line."""
        return self.row[0][1] if self.row else 0

    def swallowed(self, form: _Form, width: int) -> bool:
        """Whether lines within a cell are rows themselves: ten or more, all as wide as the header."""
        within = self.row[1:-1]
        return len(within) >= 10 and width > 1 and all(len(form.cells(line)) == width for line, _, _ in within)

    def why(self, error: csv.Error) -> str:
        """Plain words for an error, to stand in brackets."""
        if self.size > self.limit:
            return f"a quotation mark that is not closed within {self.limit:,} bytes (option max_bytes)"
        return "a quotation mark that is not closed" if "end of data" in str(error) else str(error)


# --- what table it is -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Form:
    """How cells are separated and quoted; `spaced` tables have a space after each separator."""

    mark: str
    quotes: bool = True
    spaced: bool = False

    def rows(self, lines: Iterator[str]) -> Iterator[list[str]]:
        # Without `strict`, one quote that is not closed would make one text of all that follows.
        return csv.reader(
            lines,
            delimiter=self.mark,
            quoting=csv.QUOTE_MINIMAL if self.quotes else csv.QUOTE_NONE,
            skipinitialspace=self.spaced,
            strict=self.quotes,
        )

    def cells(self, line: str) -> list[str]:
        """Those of one line, as far as it can be told."""
        return [cell.strip() for cell in next(csv.reader([line], delimiter=self.mark, skipinitialspace=True), [])]


def _form(lines: _Lines, reader: Reader, *, tabs: bool) -> _Form:
    shown = [line for line in lines.ahead() if line.strip()]
    if not shown:
        return _Form(",")
    header = shown[0]
    if named := _NAMED_MARK.fullmatch(header):
        next(lines)
        return _Form(named[1])
    mark = _mark(shown, reader, "\t" if tabs else ",")
    quotes = not (tabs and mark == "\t") or header.lstrip().startswith('"')
    return _Form(mark, quotes, spaced=f"{mark} " in header and mark != "\t")


def _mark(lines: Sequence[str], reader: Reader, usual: str) -> str:
    """The separator: that by which the first line has the names that are looked for, else that by which most lines are as wide."""
    forms = [_Form(mark) for mark in (usual, *MARKS.replace(usual, ""))]
    wanted = {name.casefold() for name in (reader.column or USUAL, reader.label_column) if name}
    headers = {form.mark: form.cells(lines[0]) for form in forms}
    found = {mark: len(wanted & {name.casefold() for name in names}) for mark, names in headers.items()}
    best = max(found, key=found.__getitem__)
    if found[best]:
        return best
    rare = [_Form(mark) for mark in RARE_MARKS if wanted & {name.casefold() for name in _Form(mark).cells(lines[0])}]
    for some in (rare, forms):
        alike = {
            form.mark: sum(len(form.cells(line)) == width for line in lines)
            for form in some
            if (width := len(form.cells(lines[0]))) > 1
        }
        best = max(alike, key=alike.__getitem__, default=usual)
        if 2 * alike.get(best, 0) > len(lines):
            return best
    return usual


# --- columns ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where in a row of `width` cells the text and the class are."""

    form: _Form
    width: int
    text: int
    label: int | None

    def of(self, row: Sequence[str]) -> tuple[str, str]:
        """The text and the class of a row."""
        if len(row) != self.width:
            if self.width == 1:
                row = [self.form.mark.join(row)]  # the only column needs no quotes
            if max(self.text, self.label or 0) >= len(row):
                raise _RowError(f"a row of {_count(row)}, which is too few", width=True)
            if any(cell.strip() for cell in row[self.width :]):
                raise _RowError(f"a row of {_count(row)} below {self.width} names", width=True)
        text = row[self.text] if self.form.quotes else _plain(row[self.text])
        if self.label is None:
            return text, ""
        name = (row[self.label] if self.form.quotes else _plain(row[self.label])).strip()
        if not name and text.strip():
            raise _RowError("without a class")
        return text, name


def _plain(cell: str) -> str:
    """A cell where quotes are signs like others, but not those that were put around it to double those within."""
    quoted = _QUOTED.fullmatch(cell) if cell.startswith('"') else None
    return quoted[1].replace('""', '"') if quoted and ('""' in quoted[1] or not quoted[1]) else cell


def _count(row: Sequence[str]) -> str:
    return "1 cell" if len(row) == 1 else f"{len(row)} cells"


def _columns(header: Sequence[str], reader: Reader, form: _Form) -> _Columns:
    names = [name.strip() for name in header]
    label = _place(names, reader.label_column, "label_column") if reader.label_column else None
    others = [place for place in range(len(names)) if place != label]
    if not reader.column and len(others) == 1:
        return _Columns(form, len(names), others[0], label)
    return _Columns(form, len(names), _place(names, reader.column or USUAL, "column"), label)


def _place(names: Sequence[str], wanted: str, option: str) -> int:
    """Where a column is: by its name as it is written, else in small or capital letters."""
    for same in (str, str.casefold):
        places = [place for place, name in enumerate(names) if same(name) == same(wanted)]
        if len(places) > 1:
            raise DataError(f"with {len(places)} columns '{wanted}' (option {option}); rename all but one")
        if places:
            return places[0]
    shown = ", ".join(names[:10])[:200]
    raise DataError(f"without a column '{wanted}' (option {option}); the first line names the columns: {shown}")
