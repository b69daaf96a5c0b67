"""Values of pictures that are not 8-bit (16-bit, signed, floating point) as 0 to 255, by one range for a whole data set.

No file's range is guessed from its own values: a dark picture among bright ones stays dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field

SAMPLED = 100_000
"""Values of one picture that are looked at to find where most of them lie."""
NARROW = 0.25
"""A range of which most values use less than this is remarked on."""

Value = Annotated[float, Field(ge=-1e30, le=1e30, allow_inf_nan=False)]


def _numbers(value: Any) -> Any:
    """`0,4095`, as it is written on the command line, as two numbers."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _rising(value: tuple[float, float] | None) -> tuple[float, float] | None:
    if value is not None and not value[0] < value[1]:
        raise ValueError(f"range must rise, not {value[0]:g},{value[1]:g}")
    return value


Range = Annotated[
    tuple[Value, Value] | None,
    BeforeValidator(_numbers),
    AfterValidator(_rising),
    Field(
        description="Values that become black and white in pictures that are not 8-bit, such as 0,4095. Default: the lowest and"
        " the highest value of the whole data set. 8-bit values always range from 0 to 255.",
    ),
]
"""The option `range` of data sets of images."""


@dataclass(frozen=True, slots=True)
class Extent:
    """The lowest and highest value of some pictures, and between which two nearly all (99 %) of each picture's lie."""

    low: float
    high: float
    usual_low: float
    usual_high: float

    @classmethod
    def of(cls, values: np.ndarray) -> Extent:
        """That of finite values of any shape."""
        some = values.ravel()[:: max(1, values.size // SAMPLED)]
        usual = np.percentile(some, (0.5, 99.5))
        return cls(float(values.min()), float(values.max()), float(usual[0]), float(usual[1]))

    @classmethod
    def union(cls, extents: Iterable[Extent]) -> Extent:
        """That of all together, in any order."""
        every = list(extents)
        return cls(
            min(one.low for one in every),
            max(one.high for one in every),
            min(one.usual_low for one in every),
            max(one.usual_high for one in every),
        )

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest value; where there is but one value, from 0 to the end of the bits that it needs, or to 1."""
        if self.low < self.high:
            return self.low, self.high
        bits = int(np.ceil(np.log2(max(abs(self.low), 1.0) + 1.0)))
        return min(self.low, 0.0), float(2**bits - 1) if self.low >= 0.0 else 0.0


def to_uint8(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """`values` of any type with `limits` at 0 and 255, rounded; those beyond are cut off."""
    low, high = limits
    small = values.dtype.itemsize <= 2 or values.dtype == np.float32
    exact: np.ndarray = values.astype(np.float32 if small else np.float64)
    # Halves, for the difference of two numbers may be too large to be one.
    scaled = ((exact * 0.5 - low * 0.5) / (high * 0.5 - low * 0.5) * 255.0).clip(0.0, 255.0)
    return np.asarray(scaled.round().astype(np.uint8))


def notes(
    what: str, limits: tuple[float, float], *, extent: Extent | None, deep: int, count: int, given: bool
) -> Sequence[str]:
    """What a report says of `deep` pictures out of `count` that are `what` ("16-bit") and not 8-bit."""
    which = (
        f"{what} pictures"
        if deep == count
        else f"{deep:,} of {count:,} pictures {'is' if deep == 1 else 'are'} {what},"
    )
    low, high = (_words(value) for value in limits)
    if given:
        return [f"{which} with values {low} to {high}, by data.range, scaled to 0 to 255; values outside are clipped"]
    lines = [f"{which} with values {low} to {high}, scaled to 0 to 255"]
    if extent is not None and extent.usual_high - extent.usual_low < NARROW * (limits[1] - limits[0]):
        usual = (extent.usual_low, extent.usual_high)
        if usual[0] < usual[1]:
            lines.append(
                f"99 % of the values lie between {_words(usual[0])} and {_words(usual[1])}: "
                f"data.range={usual[0]:.6g},{usual[1]:.6g} would use the contrast better"
            )
    return lines


def _words(value: float) -> str:
    return f"{int(value):,}" if value == int(value) and abs(value) < 1e12 else f"{value:.4g}"
