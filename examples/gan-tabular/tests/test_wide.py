"""Columns of numbers from far below to far above keep the digits of each."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from gan_tabular.data import CsvOptions, TableSource, read_as
from gan_tabular.spec import Number
from gan_tabular.writers import CsvSheet

Open = Callable[..., TableSource]
Write = Callable[..., Path]


def spread(count: int = 400, signs: bool = False) -> list[str]:
    """Numbers of six digits from 1e-8 to 1e12."""
    draw = np.random.default_rng(0)
    values = 10.0 ** draw.uniform(-8, 12, count) * (draw.choice([-1, 1], count) if signs else 1)
    return [f"{value:.6g}" for value in values]


def written(source: TableSource, folder: Path, *, relaxed: bool = False) -> list[list[float]]:
    rows = source.spec.harden(source.spec.relax(source.rows)) if relaxed else source.rows
    [path] = CsvSheet(source.spec).write(rows, folder, "rows")
    return [[float(cell or "nan") for cell in line.split(",")] for line in path.read_text().splitlines()[1:]]


@pytest.mark.parametrize("signs", [False, True])
def test_numbers_from_1e_8_to_1e12_come_back_as_they_were(
    opened: Open, write: Write, tmp_path: Path, signs: bool
) -> None:
    texts = [*spread(signs=signs), "0", ""]
    source = opened(write("a,b", *(f"{text},1" for text in texts)))
    [found, _] = np.array(written(source, tmp_path)).T
    assert found[:-1].tolist() == [float(text) for text in texts[:-1]]
    assert np.isnan(found[-1])


def test_relaxing_and_hardening_keeps_six_digits_of_each(opened: Open, write: Write, tmp_path: Path) -> None:
    texts = spread()
    found = np.array(written(opened(write("a", *texts)), tmp_path, relaxed=True))[:, 0]
    assert np.abs(found / np.array(texts, float) - 1).max() < 2e-6


def test_columns_of_unlike_size_beside_each_other_keep_their_digits(opened: Open, write: Write, tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    lines = [f"{a:.4e},{b:.0f}" for a, b in zip(draw.normal(3e-8, 1e-9, 200), draw.normal(3e8, 1e7, 200), strict=True)]
    wanted = [[float(cell) for cell in line.split(",")] for line in lines]
    source = opened(write("small,large", *lines))
    assert written(source, tmp_path) == wanted
    assert np.array(written(source, tmp_path, relaxed=True)) == pytest.approx(np.array(wanted), rel=1e-7, abs=0)
    assert [column.wide for column in source.spec.columns if isinstance(column, Number)] == [None, None]


def test_wide_whole_numbers_stay_whole_and_ends_stay_exact(opened: Open, write: Write, tmp_path: Path) -> None:
    whole = [f"{10**value:.0f}" for value in np.random.default_rng(2).uniform(0, 15, 300)]
    source = opened(write("a", "3", "987654321987654321", *whole))
    [column] = source.spec.columns
    assert isinstance(column, Number)
    assert column.wide
    assert column.text(0) == min([*whole, "3"], key=int)
    assert column.text(column.highest) == "987654321987654321"
    texts = [column.text(code) for code in range(0, column.highest, column.highest // 1000)]
    assert all(Decimal(text) == int(Decimal(text)) for text in texts)
    assert sorted(texts, key=Decimal) == texts


def test_other_rows_are_read_under_wide_steps_and_moved_into_their_range(opened: Open, write: Write) -> None:
    source = opened(write("a", "0.00000001", "1000000000000", *spread()))
    [column] = source.spec.columns
    other = write("a", "0.00025", "5e13", "-7", name="other.csv")
    table = read_as(source.spec, other, CsvOptions(path=other))
    assert [column.text(code) for code in table.rows[:, 0].tolist()] == ["0.00025", "1000000000000", "1e-8"]
    assert table.clipped == 2


def test_a_wide_spec_survives_json(opened: Open, write: Write) -> None:
    spec = opened(write("a", *spread())).spec
    assert type(spec).model_validate_json(spec.model_dump_json()) == spec
