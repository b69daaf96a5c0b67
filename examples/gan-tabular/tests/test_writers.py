"""Rows on disk."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from gancore.errors import UsageError

from gan_tabular.data import TableSource
from gan_tabular.writers import CsvSheet

Open = Callable[..., TableSource]


def cells(path: Path) -> list[list[str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_file_comes_back_cell_by_cell(opened: Open, mixed: Path, tmp_path: Path) -> None:
    source = opened(mixed)
    rows = source.spec.harden(source.spec.relax(source.rows))
    [path] = CsvSheet(source.spec).write(rows, tmp_path / "out", "rows")
    assert path == tmp_path / "out" / "rows.csv"
    assert cells(path) == cells(mixed)


def test_label_stands_where_it_stood(opened: Open, mixed: Path, tmp_path: Path) -> None:
    source = opened(mixed, label="tier", drop=("price",))
    assert source.labels is not None
    [path] = CsvSheet(source.spec).write(source.rows, tmp_path, "rows", source.labels.tolist())
    wanted = [[c for place, c in enumerate(row) if place != 1] for row in cells(mixed)]
    assert cells(path) == wanted


def test_what_was_written_is_read_back(opened: Open, mixed: Path, tmp_path: Path) -> None:
    source = opened(mixed)
    [path] = CsvSheet(source.spec).write(source.rows, tmp_path, "rows")
    again = opened(path)
    assert again.spec == source.spec
    assert again.rows.equal(source.rows)


def test_rows_of_another_table_are_refused(opened: Open, mixed: Path, tmp_path: Path) -> None:
    source = opened(mixed)
    with pytest.raises(UsageError, match=r"must have shape \[n, 5\]"):
        CsvSheet(source.spec).write(source.rows[:, :2], tmp_path, "rows")


def test_empty_and_constant_columns_come_back(opened: Open, write: Callable[..., Path], tmp_path: Path) -> None:
    lines = ["empty,same,{odd name}", *(f",5,{number * 10**12}" for number in range(60))]
    source = opened(write(*lines))
    rows = source.spec.harden(source.spec.relax(source.rows))
    [path] = CsvSheet(source.spec).write(rows, tmp_path, "rows")
    assert path.read_text(encoding="utf-8").splitlines() == lines
