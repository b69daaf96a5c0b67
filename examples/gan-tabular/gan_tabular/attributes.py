"""Attributes of rows: the value of a column of numbers, and whether a row is of a category."""

from __future__ import annotations

from typing import TypeVar

import torch
from gancore.components import Measure
from gancore.errors import UsageError
from gancore.options import Options
from pydantic import Field
from torch import Tensor

from gan_tabular.spec import Category, Number, TableSpec

Kind = TypeVar("Kind", Number, Category)


class NumberOptions(Options):
    """Options of the attribute `number`."""

    column: str = Field("", description="Name of a column of numbers; the first of them where none is given.")


class CategoryOptions(Options):
    """Options of the attribute `category`."""

    column: str = Field("", description="Name of a column of categories; the first of them where none is given.")
    value: str = Field("", description="One of its categories; the first of them where none is given.")


def number(options: NumberOptions, spec: TableSpec) -> Measure:
    """The number in the column, in its own unit; NaN where it is missing. What float32 cannot hold becomes its largest number.

    Raises:
        UsageError: there is no such column.
    """
    at, column = _find(spec, Number, options.column)
    largest = torch.finfo(torch.float32).max

    def of(x: Tensor) -> Tensor:
        codes, place = x[:, at].unique(return_inverse=True)
        values = [float(column.text(code) or "nan") for code in codes.tolist()]
        return torch.tensor(values, dtype=torch.float64).clamp(-largest, largest).float()[place]

    return of


def category(options: CategoryOptions, spec: TableSpec) -> Measure:
    """1 where the row is of the category, 0 where it is of another or the cell is missing.

    Raises:
        UsageError: there is no such column, or no such category in it.
    """
    at, column = _find(spec, Category, options.column)
    value = options.value or next(iter(column.values), "")
    if value not in column.values:
        named = ", ".join(column.values) or "none at all"
        raise UsageError(f"column '{column.name}' has no category '{value}'; there are {named}")
    code = column.values.index(value)
    return lambda x: (x[:, at] == code).float()


def _find(spec: TableSpec, kind: type[Kind], name: str) -> tuple[int, Kind]:
    """The place and the description of the column `name`, or of the first one of that kind."""
    found = {column.name: (at, column) for at, column in enumerate(spec.columns) if isinstance(column, kind)}
    name = name or next(iter(found), "")
    if name not in found:
        what = "numbers" if kind is Number else "categories"
        raise UsageError(f"there is no column '{name}' of {what}; there are {', '.join(found) or 'none at all'}")
    return found[name]
