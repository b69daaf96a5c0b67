"""The data set `csv`, and the source that all tables become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gancore.components import ProgressReport
from gancore.options import Options as BaseOptions
from gancore.random import Draws
from pydantic import Field, field_validator
from torch import Tensor

from gan_tabular.encoding import Kinds, Table, encode_table, fit_table
from gan_tabular.numerals import Decimal, plain_numbers
from gan_tabular.reading import read_cells
from gan_tabular.spec import TableSpec

MISSING_TEXTS = ("NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "?")


class TableOptions(BaseOptions):
    """Options of every data set of tables."""

    modes: int = Field(
        10, ge=1, le=100, description="Most Gaussians in the mixture that normalises a column of numbers."
    )


class CsvOptions(TableOptions):
    """Options of the data set `csv`. Several columns are separated by commas: `data.drop=id,name`."""

    path: Path = Field(description="A CSV file with a header, in UTF-8; it may be gzipped.")
    delimiter: str | None = Field(
        None, min_length=1, max_length=1, description="Separator of cells; detected in the first lines when not given."
    )
    decimal: Decimal = Field(
        "auto",
        description="Decimal separator: a point, a comma, or (auto) detected from the numbers in the file.",
    )
    categorical: tuple[str, ...] = Field((), description="Columns that are categories whatever they look like.")
    numeric: tuple[str, ...] = Field((), description="Columns that are numbers however few different ones there are.")
    drop: tuple[str, ...] = Field((), description="Columns to leave out.")
    label: str = Field("", description="Column whose values become the classes that samples can be asked for.")
    distinct: int = Field(
        20, ge=1, le=10_000, description="A column of at most this many different numbers is taken for categories."
    )
    categories: int = Field(
        200, ge=2, le=10_000, description="A column of texts with more different ones than this is refused."
    )
    missing: tuple[str, ...] = Field(
        MISSING_TEXTS, description="Cells that mean that nothing is known, beside empty ones."
    )

    @field_validator("categorical", "numeric", "drop", "missing", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        """`a,b` as it is typed, and one name that reads as a number."""
        if isinstance(value, str | int | float):
            return tuple(part.strip() for part in str(value).split(",") if part.strip())
        return value

    @field_validator("label", mode="before")
    @classmethod
    def _name(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int | float) else value

    @field_validator("delimiter", mode="before")
    @classmethod
    def _tab(cls, value: Any) -> Any:
        return "\t" if value in ("tab", "\\t") else value

    @property
    def kinds(self) -> Kinds:
        """The same, as the encoding takes it."""
        names = ("categorical", "numeric", "drop", "label", "distinct", "categories", "missing", "modes")
        return Kinds(**{name: getattr(self, name) for name in names})


class TableSource:
    """Hard rows in memory, int32 `[n, columns]`."""

    in_memory = True

    def __init__(self, table: Table) -> None:
        self.spec: TableSpec = table.spec
        self.report = table.report
        self.rows = table.rows
        self.labels = table.labels

    def __len__(self) -> int:
        return len(self.rows)

    def fetch(self, indices: Tensor, draws: Draws) -> tuple[Tensor, Tensor | None]:
        """Rows `[batch, columns]` int32 at `indices` `[batch]`, and their classes `[batch]` int64 where there is a label.

        Nothing is drawn: a number's mode is the most probable one, which `relax` finds, so that a hard row is what stood
        in the file and nothing else.
        """
        del draws
        return self.rows[indices], None if self.labels is None else self.labels[indices]


def open_csv(options: CsvOptions, progress: ProgressReport) -> TableSource:
    """Rows of the file; raises UsageError where another option would help, DataError where the file has to change."""
    cells = read_cells(options.path, options.delimiter, progress)
    cells = plain_numbers(cells, options.decimal, {*options.categorical, *options.drop}, options.missing)
    return TableSource(fit_table(cells, options.kinds, progress))


def read_as(spec: TableSpec, path: Path, options: object) -> Table:
    """Other rows of the same kind of table, such as held-out ones, under the spec of a trained generator.

    `options` are those of the data set that it was trained on; of `csv`'s, the delimiter, the decimal sign and what counts as missing
    hold here too.
    """
    own = options if isinstance(options, CsvOptions) else None
    cells = read_cells(path, own.delimiter if own else None, lambda words, done, total: None)
    keep = {*own.categorical, *own.drop} if own else set()
    cells = plain_numbers(cells, own.decimal if own else "auto", keep, own.missing if own else MISSING_TEXTS)
    return encode_table(cells, spec, own.missing if own else MISSING_TEXTS)
