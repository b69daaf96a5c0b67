"""Numbers with decimal commas and with signs between thousands: read, or refused, and never taken for texts in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from gancore.errors import UsageError

from gan_tabular.data import CsvOptions, TableSource, read_as
from gan_tabular.spec import Number

Open = Callable[..., TableSource]
Write = Callable[..., Path]


def numbers(source: TableSource, name: str) -> list[float]:
    """The values of a column of numbers."""
    [(place, column)] = [(n, c) for n, c in enumerate(source.spec.columns) if c.name == name]
    assert isinstance(column, Number), f"{name} is a category"
    return [(column.lowest + code * column.step) / 10**column.digits for code in source.rows[:, place].tolist()]


def table(write: Write, mark: str, number: Callable[[int], str], other: Callable[[int], str] = str) -> Path:
    return write(f"a{mark}b", *(f"{number(n)}{mark}{other(n)}" for n in range(40)))


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_decimal_commas_are_numbers(opened: Open, write: Write, mark: str) -> None:
    source = opened(table(write, mark, lambda n: f"{n},{n % 10}"))
    assert numbers(source, "a") == [n + n % 10 / 10 for n in range(40)]
    assert source.report.notes == ("decimal commas in 'a'",)
    assert source.report.skipped == ()


def test_decimal_commas_in_quoted_cells_of_a_table_of_commas_are_numbers(opened: Open, write: Write) -> None:
    source = opened(table(write, ",", lambda n: f'"-{n},25"'))
    assert numbers(source, "a") == [-n - 0.25 for n in range(40)]


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (lambda n: f"{n + 1}.234,5", lambda n: 1000 * n + 1234.5),
        (lambda n: f"1.{n:03},25" if n % 2 else f"{n},75", lambda n: 1000 + n + 0.25 if n % 2 else n + 0.75),
        (lambda n: f"{n},5" if n % 2 else f"1.{n:03}", lambda n: n + 0.5 if n % 2 else 1000 + n),
        (lambda n: f"{n},500", lambda n: n + 0.5),
    ],
)
def test_points_between_thousands_go_with_decimal_commas(
    opened: Open, write: Write, number: Callable[[int], str], value: Callable[[int], float]
) -> None:
    assert numbers(opened(table(write, ";", number)), "a") == [value(n) for n in range(40)]


def test_commas_between_thousands_are_no_decimal_commas(opened: Open, write: Write) -> None:
    source = opened(table(write, ",", lambda n: f'"{n + 1},234.5"'))
    assert numbers(source, "a") == [1000 * n + 1234.5 for n in range(40)]
    assert source.report.notes == ()


def test_comma_that_may_be_either_is_told_by_other_columns_or_refused(opened: Open, write: Write) -> None:
    path = table(write, "\t", lambda n: f"{n + 1},234")
    with pytest.raises(UsageError, match=r"'1,234' of column 'a' .* data\.decimal=comma or data\.decimal=point"):
        opened(path)
    assert numbers(opened(path, decimal="comma"), "a")[:2] == [1.234, 2.234]
    assert numbers(opened(path, decimal="point"), "a")[:2] == [1234, 2234]
    assert "1,234" in opened(path, categorical=("a",)).spec.columns[0].values
    beside = table(write, "\t", lambda n: f"{n + 1},234", lambda n: f"{n},5")
    assert numbers(opened(beside), "a")[:2] == [1.234, 2.234]
    beside = table(write, "\t", lambda n: f"{n + 1},234", lambda n: f"{n}.5")
    assert numbers(opened(beside), "a")[:2] == [1234, 2234]


def test_texts_with_commas_stay_texts(opened: Open, write: Write) -> None:
    source = opened(table(write, ";", lambda n: ("red, blue", "1,5", "no")[n % 3]))
    assert source.spec.columns[0].values == ("1,5", "no", "red, blue")


def test_few_different_decimal_commas_are_the_categories_of_decimal_points(opened: Open, write: Write) -> None:
    source = opened(table(write, ";", lambda n: f"{n % 2},5"))
    assert source.spec.columns[0].values == ("0.5", "1.5")


def test_other_rows_of_the_same_table_may_be_written_otherwise(opened: Open, write: Write) -> None:
    source = opened(table(write, ";", lambda n: f"{n},5"))
    other = write("a,b", *(f"{n}.5,{n}" for n in range(5)), name="other.csv")
    read = read_as(source.spec, other, CsvOptions(path=other))
    assert read.rows.equal(source.rows[:5])
