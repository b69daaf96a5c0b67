"""Small tables, as text and as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tables import HEADER, rows, silent

from gan_tabular.data import CsvOptions, TableSource, open_csv


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write lines as a file; its path."""

    def make(*lines: str, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return make


@pytest.fixture
def mixed(write: Callable[..., Path]) -> Path:
    """A file with every kind of column."""
    return write(HEADER, *rows())


@pytest.fixture
def opened() -> Callable[..., TableSource]:
    """Open a file as the data set `csv` does."""

    def make(path: Path, **options: object) -> TableSource:
        return open_csv(CsvOptions(path=path, **options), silent)

    return make
