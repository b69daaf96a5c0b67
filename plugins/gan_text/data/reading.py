"""Texts out of plain, JSONL, CSV and TSV files, some at a time, whatever the files hold and however large they are."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from gan_text.data.inputs import CSV, JSONL, NUL, TSV, USUAL, Input, Problems, Reader, Texts, texts_of
from gan_text.data.tables import read_rows
from gancore.data.files import Entry
from gancore.errors import DataError


def read(entry: Entry, reader: Reader, problems: Problems) -> Iterator[Texts]:
    """The texts of a file, about `BLOCK` bytes of them at a time; what cannot be used is added to `problems`."""
    count, before = 0, problems.count
    try:
        with entry.open() as opened:
            for texts in _read(Input(opened, entry.name, reader.max_bytes, problems), reader):
                count += len(texts.texts)
                yield texts
    except DataError as error:
        problems.add(entry.name, error)
    if not count and problems.count == before:
        problems.add(entry.name, "without any text" if entry.size else "empty")


def _read(file: Input, reader: Reader) -> Iterator[Texts]:
    suffix = PurePosixPath(file.name).suffix.lower()
    if suffix in JSONL:
        yield from _json_lines(file, reader)
    elif suffix in CSV + TSV:
        yield from read_rows(file, reader, tabs=suffix in TSV)
    elif reader.label_column:
        raise DataError(f"a plain file, which has no column '{reader.label_column}' for the class")
    elif reader.whole:
        yield from _whole(file)
    else:
        for number, lines, left_out in file.lines():
            for line in left_out:
                lines[line - number] = ""
            yield texts_of(lines, None, file.done)


def _whole(file: Input) -> Iterator[Texts]:
    """The file as one text."""
    data = file.read(file.max_bytes + 1)
    if len(data) > file.max_bytes:
        raise DataError(
            f"larger than {file.max_bytes:,} bytes; set max_bytes higher, or unit=line to make each line a text"
        )
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise DataError(file.not_utf8(file.offset + error.start, data)) from error
    if "\0" in text:
        raise DataError(NUL)
    yield texts_of([text.replace("\r\n", "\n").replace("\r", "\n")], None, file.done)


def _json_lines(file: Input, reader: Reader) -> Iterator[Texts]:
    for number, lines, left_out in file.lines():
        texts: list[str] = []
        labels: list[str] = []
        for line, written in enumerate(lines, number):
            if line in left_out or not written.strip():
                continue
            try:
                text, label = _from_json(written, reader)
            except DataError as error:
                file.problems.add(file.name, error, line)
                continue
            texts.append(text)
            labels.append(label)
        yield texts_of(texts, labels if reader.label_column else None, file.done)


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
        raise DataError(NUL)
    label = (
        _label(_field(value, reader.label_column, "label_column"), reader.label_column) if reader.label_column else ""
    )
    for one in (text, label):
        if not one.isascii():
            try:
                one.encode()
            except UnicodeEncodeError as error:
                raise DataError("no text: it has half of a surrogate pair in it") from error
    return text, label


def _label(value: Any, name: str) -> str:
    """The name of a class: texts as they are, numbers and truth values as JSON has them, and 2.0 as 2."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, str):
        label = value.strip()
    elif isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        label = json.dumps(value)
    else:
        raise DataError(f"without a class: '{name}' is {_kind(value)}")
    if not label:
        raise DataError(f"without a class: '{name}' is empty")
    return label


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
