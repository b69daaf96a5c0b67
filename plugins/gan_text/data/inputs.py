"""Files as lines of text, some at a time, whatever they hold and however large they are, and what is left out of them."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from gancore.data.encodings import foreign_encoding, how_to_convert, likely_encoding, name_of
from gancore.data.files import why_unreadable
from gancore.data.reading import Skips
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

NUL = "not a text (contains NUL bytes)"

_LOOKED_AT = 4096
# Not before a line feed, which ends the line with it.
_LONE_RETURN = re.compile(rb"\r(?!\n)")


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


class Problems(Skips):
    """Skipped files and lines: some of them named, all of them counted in `count`."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.per_file: Counter[str] = Counter()

    def add(self, path: str, reason: str | DataError, line: int | None = None) -> None:
        """A file, or a line of it, is left out for a reason, which completes "the line is ..."."""
        self.count += 1
        self.per_file[path] += 1
        if self.per_file[path] <= LISTED_IN_FILE and len(self.listed) < LISTED:
            super().add(path if line is None else f"{path}:{line}", reason)

    def report(self) -> tuple[Skipped, ...]:
        """The list for a `ScanReport`: what is not named is counted in its last line."""
        more = self.count - len(self.listed)
        files = sum(count > LISTED_IN_FILE for count in self.per_file.values())
        reason = f"more in {files:,} of these files" if files else "more"
        rest = Skipped("others", reason, max(1, more))
        return (*self.listed, *([rest] if more else []))


def texts_of(texts: Sequence[str], labels: Sequence[str] | None, done: int) -> Texts:
    """`Texts` of those that are not blank, without the white space at their ends."""
    stripped = [text.rstrip() for text in texts]
    if labels is not None:
        labels = [label for text, label in zip(stripped, labels, strict=True) if text]
    return Texts([text for text in stripped if text], labels, done)


class Input:
    """A file as UTF-8, without the mark that may stand at its beginning. Raises DataError where it is something else."""

    def __init__(self, file: IO[bytes], name: str, max_bytes: int, problems: Problems) -> None:
        self.file, self.name, self.max_bytes, self.problems = file, name, max_bytes, problems
        self.done = 0
        self._ahead = b""
        self._hint: str | None = None
        start = self.read(_LOOKED_AT)
        codec = likely_encoding(start)
        if codec.startswith(("utf-16", "utf-32")):
            raise DataError(f"{name_of(codec)}, and only UTF-8 is read; {how_to_convert(codec)}")
        self.offset = len(codecs.BOM_UTF8) if start.startswith(codecs.BOM_UTF8) else 0
        self._ahead = start[self.offset :]
        self.done = self.offset

    def read(self, count: int) -> bytes:
        """The next bytes, fewer than `count` only at the end."""
        data, self._ahead = self._ahead[:count], self._ahead[count:]
        if len(data) < count:
            try:
                data += self.file.read(count - len(data))
            except Exception as error:
                raise DataError(why_unreadable(error)) from error
        self.done += len(data)
        return data

    def not_utf8(self, offset: int, data: bytes) -> str:
        """The reason why a part of the file is left out that cannot be decoded; `data` are the bytes from there on."""
        if self._hint is None:
            codec = foreign_encoding(data)
            self._hint = f"; the file looks like {name_of(codec)}: {how_to_convert(codec)}" if codec else ""
        return f"not UTF-8 (first bad byte at offset {offset:,}){self._hint}"

    def lines(self) -> Iterator[tuple[int, list[str], set[int]]]:
        """Lines without their line breaks, some at a time, the number of the first, and the numbers of those to leave out.

        A line ends with a line feed, a carriage return, or both; with the last, the return is still there. A line to leave out
        is listed already; it is empty, or has replacement characters in it where it was not UTF-8.
        """
        number, offset = 1, self.offset
        for block, endless in self._blocks():
            left_out: set[int] = set()
            lines = self._decoded(block, number, offset, left_out)
            yield number, lines, left_out
            number += len(lines)
            offset += len(block)
            if endless:
                self.problems.add(self.name, self.too_long, number)
                number += 1
                offset += endless

    @property
    def too_long(self) -> str:
        """The reason why a line is left out."""
        return f"longer than {self.max_bytes:,} bytes (option max_bytes)"

    def _pieces(self) -> Iterator[bytes]:
        """The file, in which each line ends with a line feed."""
        held = b""
        while data := self.read(BLOCK):
            data = held + data
            held = b"\r" if data.endswith(b"\r") else b""
            data = data[: len(data) - len(held)]
            if b"\r" in data:
                data = _LONE_RETURN.sub(b"\n", data)
            yield data
        if held:
            yield b"\n"

    def _blocks(self) -> Iterator[tuple[bytes, int]]:
        """Whole lines, and how many bytes the line after them has that is too long to be held."""
        rest = b""
        pieces = self._pieces()
        for data in pieces:
            data = rest + data
            end = data.rfind(b"\n") + 1
            rest = data[end:]
            if len(rest) <= self.max_bytes:
                yield data[:end], 0
                continue
            endless, rest = len(rest), b""
            for more in pieces:
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
            at = 0
            for line in block.split(b"\n"):
                try:
                    lines.append(line.decode())
                except UnicodeDecodeError as error:
                    reason = self.not_utf8(offset + at + error.start, block[at:])
                    self._leave_out(reason, number + len(lines))
                    left_out.add(number + len(lines))
                    lines.append(line.decode(errors="replace"))
                at += len(line) + 1
        if b"\0" in block or len(block) > self.max_bytes:
            for place, text in enumerate(lines):
                reason = NUL if "\0" in text else ""
                # No character has more than four bytes.
                if 4 * len(text) > self.max_bytes and len(text.encode()) > self.max_bytes:
                    reason = self.too_long
                if reason and number + place not in left_out:
                    self._leave_out(reason, number + place)
                    left_out.add(number + place)
        if ended:
            lines.pop()
        return lines

    def _leave_out(self, reason: str, line: int) -> None:
        self.problems.add(self.name, reason, line)
