"""Which kind a column is, and what its cells become."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from gancore.data.report import Skipped
from gancore.errors import DataError

from gan_tabular.data import CsvOptions, TableSource, read_as
from gan_tabular.encoding import encode_table
from gan_tabular.households import households
from gan_tabular.reading import Cells
from gan_tabular.spec import MISSING, Category, Number

Open = Callable[..., TableSource]
Write = Callable[..., Path]


def kinds(source: TableSource) -> dict[str, str]:
    return {c.name: c.kind for c in source.spec.columns}


def test_kinds_are_found(opened: Open, mixed: Path) -> None:
    assert kinds(opened(mixed)) == {
        "place": "category", "price": "number", "weight": "number", "tier": "category", "grade": "category",
    }  # fmt: skip


def test_kinds_can_be_given(opened: Open, mixed: Path) -> None:
    source = opened(mixed, numeric=("tier",), categorical=("weight",), categories=400, drop=("grade",))
    assert kinds(source) == {"place": "category", "price": "number", "weight": "category", "tier": "number"}


def test_number_of_distinct_values_that_makes_a_category_is_an_option(opened: Open, write: Write) -> None:
    path = write("a", *map(str, list(range(20)) * 2))
    assert kinds(opened(path)) == {"a": "category"}
    assert kinds(opened(path, distinct=19)) == {"a": "number"}


def test_codes_with_leading_zeros_stay_text(opened: Open, write: Write) -> None:
    source = opened(write("zip", *(f"{i:05d}" for i in range(100))))
    assert kinds(source) == {"zip": "category"}
    assert source.spec.columns[0].text(7) == "00007"


def test_categories_are_in_the_order_of_their_numbers(opened: Open, write: Write) -> None:
    [column] = opened(write("a", "10", "9", "2", "10")).spec.columns
    assert isinstance(column, Category)
    assert column.values == ("2", "9", "10")


def test_codes_of_numbers_are_steps_above_the_lowest(opened: Open, write: Write) -> None:
    source = opened(write("a", "-1.50", "2", "0.25"), numeric=("a",))
    [column] = source.spec.columns
    assert isinstance(column, Number)
    # 3.50 and 1.75 above the lowest: in hundredths 350 and 175, of which 175 is the common measure.
    assert (column.digits, column.lowest, column.step, column.highest) == (2, -150, 175, 2)
    assert source.rows[:, 0].tolist() == [0, 2, 1]
    assert [column.text(code) for code in (0, 1, 2)] == ["-1.50", "0.25", "2.00"]


def test_whole_numbers_stay_whole_and_rounded_ones_stay_round(opened: Open, write: Write) -> None:
    [column] = opened(write("a", *(str(1000 + 50 * i) for i in range(40)))).spec.columns
    assert isinstance(column, Number)
    assert (column.digits, column.step, column.highest) == (0, 50, 39)
    assert column.text(3) == "1150"


@pytest.mark.parametrize("texts", [("1e300", "-3", "1e-5"), ("123456789012345678901", "1", "2"), ("7", "7", "7")])
def test_extreme_ranges_fit_an_int32(opened: Open, write: Write, texts: tuple[str, ...]) -> None:
    source = opened(write("a", *texts), numeric=("a",))
    [column] = source.spec.columns
    span = max(abs(float(t)) for t in texts)
    for text, code in zip(texts, source.rows[:, 0].tolist(), strict=True):
        assert 0 <= code <= column.highest < 2**31
        assert float(column.text(code)) == pytest.approx(float(text), abs=span * 2.0**-30)


def test_missing_cells_are_counted_and_have_a_choice_of_their_own(opened: Open, write: Write) -> None:
    number = [str(i) for i in range(50)]
    text = ["x", "y"] * 25
    number[3], number[8], text[9] = "", "NA", "?"
    source = opened(write("n,t", *(f"{a},{b}" for a, b in zip(number, text, strict=True))))
    first, second = source.spec.columns
    assert (first.missing, second.missing) == (2, 1)
    assert isinstance(first, Number)
    assert isinstance(second, Category)
    assert first.choices == len(first.modes) + 1
    assert second.choices == 3
    assert source.rows[3].tolist() == [MISSING, 1]
    assert source.rows[9].tolist()[1] == MISSING
    assert source.spec.value_range[0] == -1.0
    relaxed = source.spec.relax(source.rows)
    assert relaxed[3, : 1 + first.choices].tolist() == [0.0] * len(first.modes) + [0.0, 1.0]
    assert source.spec.harden(relaxed).equal(source.rows)


def test_what_counts_as_missing_is_an_option(opened: Open, write: Write) -> None:
    path = write("t", "x", "-", "?", "x")
    [column] = opened(path, missing=("-",)).spec.columns
    assert (column.missing, column.values) == (1, ("?", "x"))


def test_label_becomes_classes_and_leaves_the_columns(opened: Open, mixed: Path) -> None:
    source = opened(mixed, label="grade")
    assert source.spec.classes == ("a", "b")
    assert "grade" not in source.spec.header
    x, labels = source.fetch(torch.tensor([0, 1, 2]), None)  # type: ignore[arg-type]
    assert x.shape == (3, 4)
    assert labels is not None
    assert labels.tolist() == [0, 1, 0]


def test_rows_without_a_label_are_skipped(opened: Open, write: Write) -> None:
    source = opened(write("a,l", "1,x", "2,", "3,y"), label="l")
    assert source.report.skipped == (Skipped("line 3", "has no label in column 'l'"),)
    assert source.labels is not None
    assert source.labels.tolist() == [0, 1]


def test_same_file_gives_the_same_spec_and_survives_json(opened: Open, mixed: Path) -> None:
    spec = opened(mixed).spec
    assert opened(mixed).spec == spec
    assert type(spec).model_validate_json(spec.model_dump_json()) == spec


def test_options_are_taken_as_they_are_typed() -> None:
    options = CsvOptions.model_validate(
        {"path": "x.csv", "drop": "id, name", "numeric": 2024, "label": 7, "delimiter": "tab"}
    )
    assert (options.drop, options.numeric, options.label, options.delimiter) == (("id", "name"), ("2024",), "7", "\t")


def test_held_out_rows_are_read_under_the_spec_of_the_training_rows(opened: Open, write: Write) -> None:
    source = opened(write("n,t", *(f"{i},{'xy'[i % 2]}" for i in range(40))))
    other = write("t,n", "y,5", "z,6", "x,-3", "x,99", "x,", "y,abc", name="other.csv")
    table = read_as(source.spec, other, CsvOptions(path=other))
    assert table.rows.tolist() == [[5, 1], [0, 0], [39, 0]]
    assert table.clipped == 2
    assert [s.path for s in table.report.skipped] == ["line 3", "line 6", "line 7"]


def test_held_out_rows_without_a_column_are_refused(opened: Open, mixed: Path) -> None:
    cells = Cells("other", ("place",), (("north", "north"),), (2, 3))
    with pytest.raises(DataError, match="it lacks 'price', 'weight'"):
        encode_table(cells, opened(mixed).spec)


def test_households_follow_their_rules() -> None:
    cells = households(5000, 0)
    work, tenure = np.array(cells.column("work")), np.array(cells.column("tenure"))
    rent, commute = np.array(cells.column("rent")), np.array(cells.column("commute_km"))
    assert set(tenure[rent == ""]) == {"owner"}
    assert set(tenure[rent != ""]) == {"tenant"}
    assert set(work[commute == ""]) == {"retired", "seeking"}
    age, income = np.array(cells.column("age"), int), np.array(cells.column("income"), int)
    assert age[work == "retired"].mean() > age[work == "employed"].mean() + 20
    degree = np.array(cells.column("education")) == "degree"
    assert income[degree].mean() > 1.3 * income[~degree].mean()
    assert households(5000, 0) == cells
    assert households(5000, 1) != cells
