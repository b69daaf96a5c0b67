"""Attributes of rows are what stands in their cells."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from gancore.errors import UsageError

from gan_tabular.attributes import CategoryOptions, NumberOptions, category, number
from gan_tabular.data import TableSource

Open = Callable[..., TableSource]


def test_number_is_that_of_the_cell_and_none_where_it_is_missing(opened: Open, mixed: Path) -> None:
    source = opened(mixed)
    cells = [line.rsplit(",", 4)[1:3] for line in mixed.read_text(encoding="utf-8").splitlines()[1:]]
    for place, name in enumerate(("price", "weight")):
        wanted = [float(row[place] or math.nan) for row in cells]
        found = number(NumberOptions(column=name), source.spec)(source.rows).tolist()
        assert found == pytest.approx(wanted, nan_ok=True)
    first = number(NumberOptions(), source.spec)(source.rows).tolist()
    assert first == pytest.approx([float(price or math.nan) for price, _ in cells], nan_ok=True)


def test_numbers_beyond_float32_are_its_largest(opened: Open, write: Callable[..., Path]) -> None:
    source = opened(write("size", *(f"{n}e{n}" for n in range(1, 60))))
    found = number(NumberOptions(), source.spec)(source.rows)
    assert found[:3].tolist() == [10.0, 200.0, 3000.0]
    assert bool(found.isfinite().all())


def test_row_is_of_its_category_alone(opened: Open, mixed: Path) -> None:
    source = opened(mixed)
    found = category(CategoryOptions(column="place", value="south, far"), source.spec)(source.rows)
    assert found.tolist() == [float(row % 3 == 1) for row in range(len(source.rows))]
    assert category(CategoryOptions(), source.spec)(source.rows).sum() == sum(row % 3 == 0 for row in range(len(found)))


def test_columns_and_categories_that_are_not_there_are_refused(opened: Open, mixed: Path) -> None:
    spec = opened(mixed).spec
    with pytest.raises(UsageError, match="no column 'place' of numbers; there are price, weight"):
        number(NumberOptions(column="place"), spec)
    with pytest.raises(UsageError, match="no column 'price' of categories; there are place"):
        category(CategoryOptions(column="price"), spec)
    with pytest.raises(UsageError, match="column 'place' has no category 'west'; there are north"):
        category(CategoryOptions(column="place", value="west"), spec)
