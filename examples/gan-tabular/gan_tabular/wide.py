"""Numbers from far below to far above: steps that grow with the size of a number, so that small ones keep their digits too.

Even steps from 1e-8 to 1e12 are 466 wide where an int32 counts them, and all that is small would be one value. Here steps are even
on asinh(value / unit), which is linear near 0, logarithmic away from it, and defined for negative numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

FAR, SHARE = 1e-4, 0.005
"""Even steps do where fewer than this share of the numbers is so small that a step is more than this part of them."""
_LARGE = 1e8
"""From here on asinh(q) is ln(2 q) to all digits of a float64."""
_MOST_DIGITS = 15


class Wide(BaseModel):
    """Even steps of `grain` on asinh(value / 10**unit); code 0 is `first` steps from 0."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: int = Field(description="Power of ten of the number that is nearest to 0: below it steps are even.")
    grain: float = Field(gt=0.0, description="Width of a step, by about which part a number differs from the next.")
    first: int = Field(description="Steps from 0 to the lowest value.")
    ends: tuple[str, str] = Field(description="The lowest and the highest value, which are kept to all digits.")

    def code(self, value: Decimal) -> int:
        """The step that is nearest to `value`, above the lowest."""
        return round(_place(value, self.unit) / self.grain) - self.first

    def value(self, code: int) -> Decimal:
        """What stands at a step above the lowest, to as many digits as steps tell apart."""
        place = abs(self.first + code) * self.grain
        if place == 0.0:
            return Decimal(0)
        power = math.log10(math.sinh(place)) if place < math.log(_LARGE) else (place - math.log(2.0)) / math.log(10.0)
        exponent = math.floor(power)
        digits = min(_MOST_DIGITS, max(1, math.floor(-math.log10(math.sqrt(2.0) * self.grain))))
        size = Decimal(f"{10.0 ** (power - exponent):.{digits - 1}f}").scaleb(exponent + self.unit)
        return size if self.first + code > 0 else -size


def fit_wide(values: Sequence[Decimal], codes: int, step: Decimal) -> tuple[Wide, int] | None:
    """Steps for `values`, of which `codes` may be used, and the largest code; None where even ones of width `step` do."""
    sizes = [abs(v) for v in values if v]
    small = sum(Decimal(FAR) * v < step for v in sizes)
    if not sizes or small < SHARE * len(sizes):
        return None
    unit = min(sizes).adjusted()
    low, high = min(values), max(values)
    begin, end = _place(low, unit), _place(high, unit)
    grain = (end - begin) / (codes - 2)
    wide = Wide(unit=unit, grain=grain, first=round(begin / grain), ends=(str(low).lower(), str(high).lower()))
    return wide, wide.code(high)


def plain(value: Decimal) -> str:
    """`54857.2`, `1.5e-8`: without zeros at its end, with a power of ten where it is far from 1."""
    shown = value.normalize()
    return f"{shown:f}" if not shown or -7 < shown.adjusted() < 16 else str(shown).lower()


def _place(value: Decimal, unit: int) -> float:
    size = abs(value)
    if not size:
        return 0.0
    exponent = size.adjusted()
    if exponent - unit < math.log10(_LARGE):
        place = math.asinh(float(size.scaleb(-unit)))
    else:
        place = math.log(2.0) + math.log(float(size.scaleb(-exponent))) + (exponent - unit) * math.log(10.0)
    return math.copysign(place, value)
