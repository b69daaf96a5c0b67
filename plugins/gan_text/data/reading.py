"""Texts out of plain, JSONL, CSV and TSV files, some at a time, whatever the files hold and however large they are."""

from __future__ import annotations

import codecs
import csv
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from gancore.data.files import Entry, file_fingerprint, why_unreadable
from gancore.data.report import Skipped
from gancore.errors import DataError

BLOCK = 1 << 20
"""Bytes that are read at once."""
LISTED_IN_FILE, LISTED = 20, 1000
"""So many lines that were left out are named in a file, and so many in all; others are counted."""
JSONL, CSV, TSV = (".jsonl", ".ndjson"), (".csv",), (".tsv",)
TABLES = (*JSONL, *CSV, *TSV)
USUAL = "text"
"""The column that is taken where none is named."""

_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_NUL = "with NUL bytes in it, so it is no text"


@dataclass(frozen=True, slots=True)
class Reader:
    """How files are read.

    `column` is the text and `label_column` the class in files that have columns; `whole` plain files are one text each. A line,
    or a whole file, of more than `max_bytes` is left out.
    """

    column: str | None = None
    label_column: str | None = None
    whole: bool = False
    max_bytes: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Texts:
    """Some texts of one file, in its order, none of them blank, and the names of their classes, or None.

    White space at their ends is left out. `done` counts the bytes of the file that were read so far.
    """

    texts: list[str]
    labels: list[str] | None
    done: int


@dataclass
class Problems:
    """What was left out while reading: some of it by name, all of it counted."""

    listed: list[Skipped] = field(default_factory=list)
    count: int = 0
    per_file: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, reason: str, line: int | None = None) -> None:
        """A file, or a line of it, is left out for a reason, which completes "the line is ..."."""
        self.count += 1
        self.per_file[name] += 1
        if self.per_file[name] <= LISTED_IN_FILE and len(self.listed) < LISTED:
            self.listed.append(Skipped(name if line is None else f"{name}:{line}", reason))

    def report(self) -> tuple[Skipped, ...]:
        """The list for a `ScanReport`: what is not named is counted in its last line."""
        more = self.count - len(self.listed)
        files = sum(count > LISTED_IN_FILE for count in self.per_file.values())
        reason = f"{more:,} more in {files:,} of these files" if files else f"{more:,} more"
        rest = Skipped("others", reason, max(1, more))
        return (*self.listed, *([rest] if more else []))


def file_entry(path: Path) -> Entry:
    """A single file as an `Entry`. Raises OSError where it cannot be looked at."""
    status = path.stat()
    return Entry(path.name, status.st_size, file_fingerprint(status), _Beside(path.parent), path.name, 1 << 62)


@dataclass(frozen=True, slots=True)
class _Beside:
    folder: Path

    def open(self, key: str) -> IO[bytes]:
        return (self.folder / key).open("rb")


def read(entry: Entry, reader: Reader, problems: Problems) -> Iterator[Texts]:
    """The texts of a file, about `BLOCK` bytes of them at a time; what cannot be used is added to `problems`."""
    count, before = 0, problems.count
    try:
        with entry.open() as opened:
            for texts in _read(_Input(opened, entry.name, reader.max_bytes, problems), reader):
                count += len(texts.texts)
                yield texts
    except DataError as error:
        problems.add(entry.name, str(error))
    if not count and problems.count == before:
        problems.add(entry.name, "without any text" if entry.size else "empty")


def _read(file: _Input, reader: Reader) -> Iterator[Texts]:
    suffix = PurePosixPath(file.name).suffix.lower()
    if suffix in JSONL:
        yield from _json_lines(file, reader)
    elif suffix in CSV + TSV:
        yield from _rows(file, reader, tabs=suffix in TSV)
    elif reader.label_column:
        raise DataError(f"a plain file, which has no column '{reader.label_column}' for the class")
    elif reader.whole:
        yield from _whole(file)
    else:
        for number, lines, left_out in file.lines():
            for line in left_out:
                lines[line - number] = ""
            yield _texts(lines, None, file.done)


def _texts(texts: Sequence[str], labels: Sequence[str] | None, done: int) -> Texts:
    stripped = [text.rstrip() for text in texts]
    if labels is not None:
        labels = [label for text, label in zip(stripped, labels, strict=True) if text]
    return Texts([text for text in stripped if text], labels, done)


class _Input:
    """A file as UTF-8, without the mark that may stand at its beginning. Raises DataError where it is something else."""

    def __init__(self, file: IO[bytes], name: str, max_bytes: int, problems: Problems) -> None:
        self.file, self.name, self.max_bytes, self.problems = file, name, max_bytes, problems
        self.done = 0
        self.start = self.read(4)
        for mark, encoding in _MARKS:
            if self.start.startswith(mark):
                raise DataError(
                    f"{encoding}, and only UTF-8 is read; convert it: iconv -f {encoding} -t UTF-8 OLD > NEW, or save it "
                    "as UTF-8 in an editor"
                )
        self.offset = len(codecs.BOM_UTF8) if self.start.startswith(codecs.BOM_UTF8) else 0
        self.start = self.start[self.offset :]

    def read(self, count: int) -> bytes:
        try:
            data = self.file.read(count)
        except Exception as error:
            raise DataError(why_unreadable(error)) from error
        self.done += len(data)
        return data

    def lines(self) -> Iterator[tuple[int, list[str], set[int]]]:
        """Lines without their line breaks, some at a time, the number of the first, and the numbers of those to leave out.

        A line to leave out is listed already; it is empty, or has replacement characters in it where it was not UTF-8.
        """
        number, offset = 1, self.offset
        for block, endless in self._blocks():
            left_out: set[int] = set()
            lines = self._decoded(block, number, offset, left_out)
            yield number, lines, left_out
            number += len(lines)
            offset += len(block)
            if endless:
                self.problems.add(self.name, f"longer than {self.max_bytes:,} bytes (option max_bytes)", number)
                number += 1
                offset += endless

    def _blocks(self) -> Iterator[tuple[bytes, int]]:
        """Whole lines, and how many bytes the line after them has that is too long to be held."""
        rest = self.start
        while data := self.read(BLOCK):
            data = rest + data
            end = data.rfind(b"\n") + 1
            rest = data[end:]
            if len(rest) <= self.max_bytes:
                yield data[:end], 0
                continue
            endless, rest = len(rest), b""
            while more := self.read(BLOCK):
                found = more.find(b"\n") + 1
                endless += found or len(more)
                if found:
                    rest = more[found:]
                    break
            yield data[:end], endless
        yield rest, 0

    def _decoded(self, block: bytes, number: int, offset: int, left_out: set[int]) -> list[str]:
        if not block:
            return []
        ended = block.endswith(b"\n")
        try:
            lines = block.decode().split("\n")
        except UnicodeDecodeError:
            lines = []
            for line in block.split(b"\n"):
                try:
                    lines.append(line.decode())
                except UnicodeDecodeError as error:
                    self._leave_out(
                        f"not UTF-8 (first bad byte at offset {offset + error.start:,})", number + len(lines)
                    )
                    left_out.add(number + len(lines))
                    lines.append(line.decode(errors="replace"))
                offset += len(line) + 1
        if b"\0" in block or len(block) > self.max_bytes:
            for place, text in enumerate(lines):
                reason = _NUL if "\0" in text else ""
                # No character has more than four bytes.
                if 4 * len(text) > self.max_bytes and len(text.encode()) > self.max_bytes:
                    reason = f"longer than {self.max_bytes:,} bytes (option max_bytes)"
                if reason and number + place not in left_out:
                    self._leave_out(reason, number + place)
                    left_out.add(number + place)
        if ended:
            lines.pop()
        return lines

    def _leave_out(self, reason: str, line: int) -> None:
        self.problems.add(self.name, reason, line)


def _whole(file: _Input) -> Iterator[Texts]:
    """The file as one text."""
    data = file.start + file.read(file.max_bytes + 1 - len(file.start))
    if len(data) > file.max_bytes:
        raise DataError(
            f"larger than {file.max_bytes:,} bytes; set max_bytes higher, or unit=line to make each line a text"
        )
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 (first bad byte at offset {file.offset + error.start:,})") from error
    if "\0" in text:
        raise DataError(_NUL)
    yield _texts([text.replace("\r\n", "\n")], None, file.done)


# --- files with columns -----------------------------------------------------------------------------------------------


def _json_lines(file: _Input, reader: Reader) -> Iterator[Texts]:
    for number, lines, left_out in file.lines():
        texts: list[str] = []
        labels: list[str] = []
        for line, written in enumerate(lines, number):
            if line in left_out or not written.strip():
                continue
            try:
                text, label = _from_json(written, reader)
            except DataError as error:
                file.problems.add(file.name, str(error), line)
                continue
            texts.append(text)
            labels.append(label)
        yield _texts(texts, labels if reader.label_column else None, file.done)


def _from_json(line: str, reader: Reader) -> tuple[str, str]:
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"not JSON ({error})") from error
    if isinstance(value, str) and reader.column is None and reader.label_column is None:
        value = {USUAL: value}
    if not isinstance(value, dict):
        raise DataError(f"no JSON object but {_kind(value)}")
    text = _field(value, reader.column or USUAL, "column")
    if not isinstance(text, str):
        raise DataError(f"without a text: '{reader.column or USUAL}' is {_kind(text)}")
    if "\0" in text:
        raise DataError(_NUL)
    label: Any = ""
    if reader.label_column:
        label = _field(value, reader.label_column, "label_column")
        if not isinstance(label, str | int) or label == "":
            raise DataError(f"without a class: '{reader.label_column}' is {_kind(label) if label != '' else 'empty'}")
        # As JSON has it: true, not True.
        label = label.strip() if isinstance(label, str) else json.dumps(label)
    for one in (text, label):
        if not one.isascii():
            try:
                one.encode()
            except UnicodeEncodeError as error:
                raise DataError("no text: it has half of a surrogate pair in it") from error
    return text, label


def _field(value: dict[str, Any], name: str, option: str) -> Any:
    if name not in value:
        names = ", ".join(list(value)[:10]) or "none"
        raise DataError(f"without the field '{name}' (option {option}); its fields: {names}")
    return value[name]


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "a string"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return "a number"


def _rows(file: _Input, reader: Reader, *, tabs: bool) -> Iterator[Texts]:
    """The rows of a CSV file, whose first line names the columns; in a TSV file quotes are characters like others."""
    at = 0
    dirty = False

    def lines() -> Iterator[str]:
        nonlocal at, dirty
        for number, some, left_out in file.lines():
            for at, line in enumerate(some, number):
                dirty |= at in left_out
                yield line + "\n"

    # Without `strict`, one quote that is not closed would make one text of all that follows.
    rows = (
        csv.reader(lines(), delimiter="\t", quoting=csv.QUOTE_NONE) if tabs else csv.reader(lines(), strict=True)
    )  # fmt: skip
    columns: tuple[int, int | None] | None = None
    texts: list[str] = []
    labels: list[str] = []
    size = 0
    while True:
        first, dirty = at + 1, False
        try:
            row = next(rows, None)
            if row is None:
                break
            if dirty and columns is None:
                raise DataError("without names of its columns: its first line cannot be read")
            if not row or dirty:
                continue
            if columns is None:
                columns = _columns(row, reader)
                continue
            text, label = _cells(row, *columns)
        except csv.Error as error:
            file.problems.add(file.name, f"no row of a table ({error})", first)
            continue
        except _RowError as error:
            file.problems.add(file.name, str(error), first)
            continue
        texts.append(text)
        labels.append(label)
        size += len(text)
        if size >= BLOCK:
            yield _texts(texts, labels if reader.label_column else None, file.done)
            texts, labels, size = [], [], 0
    yield _texts(texts, labels if reader.label_column else None, file.done)


class _RowError(DataError):
    """One row that cannot be used; others can."""


def _columns(header: Sequence[str], reader: Reader) -> tuple[int, int | None]:
    names = [name.strip() for name in header]
    others = [name for name in names if name != reader.label_column]
    wanted = reader.column or (others[0] if len(others) == 1 else USUAL)
    label = reader.label_column
    for name, option in ((wanted, "column"), (label, "label_column")):
        if name is not None and name not in names:
            shown = ", ".join(names[:10])[:200]
            raise DataError(f"without a column '{name}' (option {option}); the first line names the columns: {shown}")
    return names.index(wanted), None if label is None else names.index(label)


def _cells(row: Sequence[str], text: int, label: int | None) -> tuple[str, str]:
    if max(text, label or 0) >= len(row):
        raise _RowError(f"a row of {len(row)} cells, which is too few")
    name = "" if label is None else row[label].strip()
    if label is not None and not name and row[text].strip():
        raise _RowError("without a class")
    return row[text], name
