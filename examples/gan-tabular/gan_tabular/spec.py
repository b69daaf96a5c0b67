"""What a row of a table is to the engine: whole numbers when hard, mode-specific normalisation when relaxed.

A hard row has an int32 for each column: the place of its category, or how many steps a number lies above the column's lowest,
a step being the largest of which all distances between its values are multiples; -1 where the cell is missing. That is exact
for decimals, which a float32 is not, and takes 4 bytes for a cell. Where even steps would drown small numbers, they grow with the
numbers, and about seven digits of each are kept. All else happens in `relax`, on the device that trains.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import torch
from gancore.data.parts import Part, PartsSpec
from gancore.data.spec import SampleSpec
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from gan_tabular.wide import Wide, plain

MISSING = -1
"""The hard value of a cell without content."""

REACH = 4.0
"""A mode covers this many of its standard deviations on each side (Xu et al. 2019, section 4.2)."""


class Mode(BaseModel):
    """One Gaussian of a column's mixture, in the column's codes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    centre: int = Field(description="Its mean, rounded to a value that the column can take.")
    spread: float = Field(gt=0.0, description="Its standard deviation.")
    weight: float = Field(gt=0.0, le=1.0, description="Its share of the mixture.")


class Number(BaseModel):
    """A column of numbers. Its cells are `(lowest + step * code) * 10**-digits` with code in 0..highest, or what `wide` says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["number"] = "number"
    name: str = Field(description="The column's name in the header.")
    digits: int = Field(ge=0, description="Digits behind the point.")
    lowest: int = Field(description="The lowest value, in units of the last digit.")
    step: int = Field(1, ge=1, description="The difference that all values share, in units of the last digit.")
    highest: int = Field(ge=0, description="The largest code.")
    wide: Wide | None = Field(None, description="Steps that grow with the numbers, in place of `lowest` and `step`.")
    modes: tuple[Mode, ...] = Field(min_length=1, description="The mixture that normalises the column.")
    missing: int = Field(0, ge=0, description="Missing cells in the training data; with any, missing is one more mode.")

    @property
    def choices(self) -> int:
        """Length of the one-hot part: the modes, and one for missing."""
        return len(self.modes) + (self.missing > 0)

    def text(self, code: int) -> str:
        """The cell as it stands in a CSV file, empty where it is missing."""
        if code == MISSING:
            return ""
        if self.wide is not None:
            if code in (0, self.highest):
                return self.wide.ends[code > 0]
            value = self.wide.value(code)
            # Whole numbers stay whole, and none gets digits that no number of the data has.
            exponent = value.as_tuple().exponent
            longer = isinstance(exponent, int) and exponent < -self.digits
            return plain(value.quantize(Decimal(1).scaleb(-self.digits)) if longer else value)
        units = self.lowest + self.step * code
        whole, rest = divmod(abs(units), 10**self.digits)
        sign = "-" if units < 0 else ""
        return f"{sign}{whole}.{rest:0{self.digits}d}" if self.digits else f"{sign}{whole}"


class Category(BaseModel):
    """A column of categories; a cell's code is the place of its text in `values`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["category"] = "category"
    name: str = Field(description="The column's name in the header.")
    values: tuple[str, ...] = Field(description="The categories, in the order of their codes.")
    missing: int = Field(
        0, ge=0, description="Missing cells in the training data; with any, missing is one more category."
    )

    @model_validator(mode="after")
    def _check(self) -> Category:
        if not self.choices:
            raise ValueError(f"column '{self.name}' has no category and no missing cell")
        return self

    @property
    def choices(self) -> int:
        """How many categories there are, missing included."""
        return len(self.values) + (self.missing > 0)

    @property
    def highest(self) -> int:
        """The largest code."""
        return max(0, len(self.values) - 1)

    def text(self, code: int) -> str:
        """The cell as it stands in a CSV file, empty where it is missing."""
        return "" if code == MISSING else self.values[code]


Column = Annotated[Number | Category, Field(discriminator="kind")]


class TableSpec(SampleSpec):
    """Rows `[batch, columns]` int32 when hard, `[batch, width]` float32 in [-1, 1] when relaxed.

    The relaxed columns stand one after another: a category as a one-hot vector; a number as its place alpha within a mode of
    its mixture and a one-hot vector that says which mode (mode-specific normalisation, Xu et al. 2019, section 4.2).
    """

    called: ClassVar[str] = "rows of a table"

    dtype: str = Field("int32", description="Always int32.")
    columns: tuple[Column, ...] = Field(min_length=1, description="The columns, in the order of the file.")
    label: str = Field("", description="The column whose values became the classes; empty without.")
    label_place: int = Field(0, ge=0, description="Where that column stands among the others when rows are written.")

    @classmethod
    def of(
        cls,
        columns: tuple[Number | Category, ...],
        *,
        label: str = "",
        label_place: int = 0,
        classes: tuple[str, ...] = (),
    ) -> TableSpec:
        """The spec of these columns, with the shape and the range that follow from them."""
        low = MISSING if any(c.missing for c in columns) else 0
        return cls(
            shape=relaxed_parts(columns).shape,
            value_range=(float(low), float(max(1, *(c.highest for c in columns)))),
            columns=columns,
            label=label,
            label_place=label_place,
            classes=classes,
        )

    @model_validator(mode="after")
    def _check_table(self) -> TableSpec:
        shape = relaxed_parts(self.columns).shape
        if self.dtype != "int32" or self.shape != shape:
            raise ValueError(f"these columns make int32 rows of relaxed shape {shape}, not {self.dtype}, {self.shape}")
        return self

    @property
    def header(self) -> tuple[str, ...]:
        """Names of the columns without the label."""
        return tuple(c.name for c in self.columns)

    @property
    def categorical(self) -> tuple[int, ...]:
        """Places of the columns that hold categories."""
        return tuple(i for i, c in enumerate(self.columns) if isinstance(c, Category))

    def relax(self, hard: Tensor) -> Tensor:
        """Hard rows `[batch, columns]` as relaxed rows `[batch, width]` float32 in [-1, 1].

        A number goes to the most probable of the modes that reach it: alpha = (x - centre) / (4 spread). A missing
        number has alpha 0 and the last mode.
        """
        plan = _plan(self.columns, hard.device)
        hard = hard.long()
        relaxed = hard.new_zeros(len(hard), self.shape[0], dtype=torch.float32)
        choice = torch.where(hard == MISSING, plan.missing, hard)
        if len(plan.numbers):
            x = hard[:, plan.numbers]
            # Subtracted as integers: numbers of nine digits keep their last one.
            alphas = (x[:, :, None] - plan.centre).float() / plan.scale
            score = plan.log_density - 0.5 * (REACH * alphas).square()
            # A mode that does not reach the value is taken only if no other does (a value outside the training range).
            score = torch.where(alphas.abs() > 1.0, score.clamp(max=0.0) - 1e9, score) + plan.absent
            mode = score.argmax(dim=2)
            missing = x == MISSING
            alpha = alphas.gather(2, mode[:, :, None]).squeeze(2).clamp(-1.0, 1.0).masked_fill(missing, 0.0)
            relaxed[:, plan.alphas] = alpha
            choice[:, plan.numbers] = torch.where(missing, plan.missing[plan.numbers], mode)
        return relaxed.scatter_(1, choice.clamp_(min=0) + plan.first, 1.0)

    def harden(self, relaxed: Tensor) -> Tensor:
        """Relaxed rows `[batch, width]` as hard rows `[batch, columns]` int32: the likeliest choices, numbers on their steps."""
        plan = _plan(self.columns, relaxed.device)
        relaxed = relaxed.float()
        choice = relaxed[:, plan.choices].masked_fill(plan.padding, float("-inf")).argmax(dim=2)
        hard = torch.where(choice == plan.missing, MISSING, choice)
        if len(plan.numbers):
            mode = choice[:, plan.numbers]
            missing = hard[:, plan.numbers] == MISSING
            mode = mode.masked_fill(missing, 0)[:, :, None]
            rows = len(relaxed)
            centre = plan.centre.expand(rows, -1, -1).gather(2, mode).squeeze(2)
            scale = plan.scale.expand(rows, -1, -1).gather(2, mode).squeeze(2)
            code = centre + (relaxed[:, plan.alphas].clamp(-1.0, 1.0) * scale).round().long()
            code = torch.minimum(code.clamp(min=0), plan.highest)
            hard[:, plan.numbers] = code.masked_fill(missing, MISSING)
        return hard.to(torch.int32)


@lru_cache(maxsize=32)
def relaxed_parts(columns: tuple[Number | Category, ...]) -> PartsSpec:
    """Relaxed rows of these columns as parts: of column n `n/choice`, a category or a mode, and before it for a number `n/place`."""
    parts = []
    for number, column in enumerate(columns):
        if isinstance(column, Number):
            parts.append(Part(name=f"{number}/place", value_range=(-1.0, 1.0)))
        parts.append(Part(name=f"{number}/choice", categories=column.choices))
    return PartsSpec(parts=tuple(parts))


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where everything stands, as tensors on a device; modes and choices are padded to the longest."""

    numbers: Tensor
    alphas: Tensor
    first: Tensor
    missing: Tensor
    """`[columns]`: which choice means missing; -2 where none does."""
    choices: Tensor
    """`[columns, most]`: where each choice stands in a relaxed row."""
    padding: Tensor
    centre: Tensor
    """`[numbers, modes]` int64."""
    scale: Tensor
    """`[numbers, modes]`: what alpha = 1 is worth."""
    log_density: Tensor
    absent: Tensor
    """`[numbers, modes]`: 0 for a mode, minus infinity for padding."""
    highest: Tensor


@lru_cache(maxsize=32)
def _plan(columns: tuple[Number | Category, ...], device: torch.device) -> _Plan:
    slices = relaxed_parts(columns).slices
    sizes = torch.tensor([c.choices for c in columns])
    slots = torch.arange(int(sizes.max()))
    padding = slots[None, :] >= sizes[:, None]
    first = torch.tensor([slices[f"{n}/choice"].start for n in range(len(columns))])
    places = [n for n, c in enumerate(columns) if isinstance(c, Number)]
    numbers = [c for c in columns if isinstance(c, Number)]
    longest = max((len(c.modes) for c in numbers), default=0)

    def padded(field: str, fill: float, dtype: torch.dtype) -> Tensor:
        rows = [[getattr(m, field) for m in c.modes] + [fill] * (longest - len(c.modes)) for c in numbers]
        return torch.tensor(rows, dtype=dtype).reshape(len(numbers), longest)

    spread, weight = padded("spread", 1.0, torch.float64), padded("weight", 1.0, torch.float64)
    counts = torch.tensor([len(c.modes) for c in numbers], dtype=torch.int64)
    absent = torch.zeros(len(numbers), longest).masked_fill(
        torch.arange(longest)[None, :] >= counts[:, None], float("-inf")
    )
    missing = torch.tensor([c.choices - 1 if c.missing else -2 for c in columns])
    plan = _Plan(
        numbers=torch.tensor(places, dtype=torch.int64),
        alphas=torch.tensor([slices[f"{n}/place"].start for n in places], dtype=torch.int64),
        first=first,
        missing=missing,
        choices=(first[:, None] + slots[None, :]).masked_fill(padding, 0),
        padding=padding,
        centre=padded("centre", 0, torch.int64),
        scale=(REACH * spread).float(),
        log_density=(weight.log() - spread.log()).float(),
        absent=absent,
        highest=torch.tensor([c.highest for c in numbers], dtype=torch.int64),
    )
    return _Plan(**{name: getattr(plan, name).to(device) for name in plan.__dataclass_fields__})
