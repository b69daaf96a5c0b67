"""Samples that are made of named parts of unlike kinds, packed in one tensor: numbers beside categories, a picture beside its caption.

The engine, losses and penalties see one tensor, whatever is in it; a plugin takes it apart and puts it together by names.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from gancore.data.spec import SampleSpec
from gancore.errors import UnknownNameError, UsageError

MOST_STEPS = 2**23
"""Whole numbers have a range of at most so many steps: of so many float32 can tell each from the next, so that all come back."""

_LARGEST = {"float32": 2**23, "float64": 2**52}
"""Up to which whole numbers, and the halves between them, are exact in floating-point hard samples."""

_INTEGERS = ("uint8", "int8", "int16", "int32", "int64")


class Part(BaseModel):
    """One part of a sample: numbers in a range, floating-point or whole ones, or choices among categories."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="What it is called; no other part of a sample is called so.")
    shape: tuple[int, ...] = Field((), description="Its shape, without the batch; empty for a single value.")
    value_range: tuple[float, float] | None = Field(None, description="Lowest and highest value; None for categories.")
    categories: int | tuple[str, ...] | None = Field(
        None, description="How many categories there are, or their names; None for numbers."
    )
    dtype: str = Field(
        "",
        description="Type of its values: float32, float64, or whole numbers in uint8, int8, int16, int32, int64. Where it is left out,"
        " numbers are float32; categories always are int64.",
    )
    given: bool = Field(False, description="Whether generators are given it, and make the other parts for it.")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("dtype"):
            return {**values, "dtype": "float32" if values.get("categories") is None else "int64"}
        return values

    @model_validator(mode="after")
    def _check(self) -> Part:
        if any(n < 1 for n in self.shape):
            raise ValueError(f"part '{self.name}': every dimension of its shape must be at least 1, not {self.shape}")
        if (self.value_range is None) == (self.categories is None):
            raise ValueError(f"part '{self.name}' needs either value_range, for numbers, or categories")
        if self.value_range is not None:
            self._check_range(*self.value_range)
        elif self.count < 1:
            raise ValueError(f"part '{self.name}' needs at least one category")
        elif self.dtype != "int64":
            raise ValueError(f"part '{self.name}': categories are int64, not {self.dtype}; leave dtype out")
        if isinstance(self.categories, tuple) and len(set(self.categories)) < len(self.categories):
            raise ValueError(f"part '{self.name}': two categories have one name; give each a name of its own")
        return self

    def _check_range(self, low: float, high: float) -> None:
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"part '{self.name}': value_range must rise from one number to another, not {low}, {high}")
        if self.dtype not in (*_LARGEST, *_INTEGERS):
            known = ", ".join([*_LARGEST, *_INTEGERS])
            raise ValueError(f"part '{self.name}': its dtype is '{self.dtype}'; choose one of {known}")
        if not self.whole:
            return
        limits = torch.iinfo(self.torch_dtype)
        if not (low.is_integer() and high.is_integer()):
            raise ValueError(f"part '{self.name}': a range of {self.dtype} is from one whole number to another")
        # What reads it back as a float, as JSON does, would not know larger ones.
        if low < max(limits.min, -(2**53)) or high > min(limits.max, 2**53):
            raise ValueError(f"part '{self.name}': {low:.0f} to {high:.0f} is more than {self.dtype} holds exactly")
        if high - low > MOST_STEPS:
            raise ValueError(
                f"part '{self.name}': {low:.0f} to {high:.0f} are more than {MOST_STEPS:,} steps, which float32 cannot tell"
                " apart; choose coarser steps, a floating-point dtype, or two parts, for the leading and the last digits"
            )

    @property
    def count(self) -> int:
        """How many categories there are; 0 for numbers."""
        if self.categories is None:
            return 0
        return self.categories if isinstance(self.categories, int) else len(self.categories)

    @property
    def whole(self) -> bool:
        """Whether its values are whole numbers in a range."""
        return not self.count and self.dtype in _INTEGERS

    @property
    def torch_dtype(self) -> torch.dtype:
        """`dtype` as torch has it."""
        found: torch.dtype = getattr(torch, self.dtype)
        return found

    @property
    def relaxed_shape(self) -> tuple[int, ...]:
        """Shape when relaxed, without the batch: categories are points on a simplex, along one more axis behind the others."""
        return (*self.shape, self.count) if self.count else self.shape

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest hard value, as its own type has them."""
        low, high = self.value_range or (0, max(0, self.count - 1))
        least, most = torch.tensor([low, high], dtype=torch.float64).to(self.torch_dtype).tolist()
        return least, most

    def index(self, category: str) -> int:
        """The hard value of a category, by its name.

        Raises:
            UnknownNameError: no category has that name.
        """
        names = self.categories if isinstance(self.categories, tuple) else ()
        if category not in names:
            raise UnknownNameError(f"category of part '{self.name}'", category, names)
        return names.index(category)


class PartsSpec(SampleSpec):
    """Samples of named parts: `[batch, values]` when hard, `[batch, width]` float32 in [-1, 1] when relaxed.

    The parts are flattened and stand one after another. Relaxed, a number is moved to [-1, 1], and a category becomes a one-hot
    vector of zeros and ones, of which generators make any point on the simplex. Hard, a category is its place in the list; the type is
    the smallest one in which the values of all parts are exact: an integer type where no part is floating-point, else float32, or
    float64 where there are whole numbers beyond 2^23.

    Whole numbers and categories come back from relaxing bit for bit. Floating-point numbers come back as float32 can hold them in
    [-1, 1]: to about 1e-7 of their range. Where hard samples are float64, they cannot be moved to an `mps` device.
    """

    called: ClassVar[str] = "samples of named parts"

    shape: tuple[int, ...] = Field((), description="(width,), which follows from the parts and may be left out.")
    dtype: str = Field("", description="Type of hard samples, which follows from the parts and may be left out.")
    value_range: tuple[float, float] = Field((0.0, 1.0), description="Of all parts together; may be left out.")
    parts: tuple[Part, ...] = Field(min_length=1, description="The parts, in their order.")

    @model_validator(mode="before")
    @classmethod
    def _follow(cls, values: Any) -> Any:
        """What follows from the parts, where it is left out."""
        if not isinstance(values, dict) or not isinstance(values.get("parts"), list | tuple) or not values["parts"]:
            return values
        parts = tuple(one if isinstance(one, Part) else Part.model_validate(one) for one in values["parts"])
        return _following(parts) | values | {"parts": parts}

    @model_validator(mode="after")
    def _check_parts(self) -> PartsSpec:
        names = [part.name for part in self.parts]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two parts are called '{twice[0]}'; give each a name of its own")
        if all(part.given for part in self.parts):
            raise ValueError("every part is given, so nothing is left to make; set given=False for one at least")
        if self.domains and any(part.given for part in self.parts):
            raise ValueError("with domains the whole sample is given, of another domain; mark no part as given")
        for field, wanted in _following(self.parts).items():
            if (found := getattr(self, field)) != wanted:
                raise ValueError(f"of these parts, {field} is {wanted}, not {found}; leave it out")
        return self

    @property
    def slices(self) -> Mapping[str, slice]:
        """Where each part stands in relaxed samples."""
        return _layout(self.parts).relaxed

    @property
    def hard_slices(self) -> Mapping[str, slice]:
        """Where each part stands in hard samples."""
        return _layout(self.parts).hard

    def part(self, name: str) -> Part:
        """The part of that name; raises UnknownNameError where none has it."""
        for part in self.parts:
            if part.name == name:
                return part
        raise UnknownNameError("part", name, self.slices)

    def split(self, samples: Tensor, *, relaxed: bool = False) -> dict[str, Tensor]:
        """The parts of hard samples `[batch, values]`, `[batch, *part.shape]` each, in its own type.

        With `relaxed`, those of relaxed samples `[batch, width]`, `[batch, *part.relaxed_shape]` each, as views.

        Raises:
            UsageError: the samples have another shape.
        """
        slices = self.slices if relaxed else self.hard_slices
        width = self.shape[0] if relaxed else _layout(self.parts).values
        if samples.dim() != 2 or samples.shape[1] != width:
            kind, other = ("relaxed", "hard") if relaxed else ("hard", "relaxed")
            found = f"not {list(samples.shape)}; for {other} ones, say relaxed={not relaxed}"
            raise UsageError(f"{kind} samples of these parts are [batch, {width}], {found}")
        batch, own = len(samples), {part.name: samples[:, slices[part.name]] for part in self.parts}
        if relaxed:
            return {part.name: own[part.name].reshape(batch, *part.relaxed_shape) for part in self.parts}
        return {part.name: own[part.name].reshape(batch, *part.shape).to(part.torch_dtype) for part in self.parts}

    def join(self, parts: Mapping[str, Tensor], *, relaxed: bool = False) -> Tensor:
        """Hard samples `[batch, values]` of all parts, `[batch, *part.shape]` each; what `split` takes apart.

        With `relaxed`, relaxed samples `[batch, width]` of relaxed parts, `[batch, *part.relaxed_shape]` each, floating-point numbers
        whose values are taken as they are.

        Raises:
            UsageError: a part is missing or unknown, or has another shape, or values of another type or beyond its range.
        """
        for name in parts:
            self.part(name)
        if missing := [part.name for part in self.parts if part.name not in parts]:
            raise UsageError(f"part '{missing[0]}' is missing; give all of {', '.join(self.slices)}")
        batch = len(parts[self.parts[0].name]) if parts[self.parts[0].name].dim() else 0
        columns = []
        for part in self.parts:
            values, own = parts[part.name], part.relaxed_shape if relaxed else part.shape
            if values.shape != (batch, *own):
                raise UsageError(
                    f"part '{part.name}' is {list(values.shape)}; of {batch} samples it must be {[batch, *own]}, a row for each sample"
                )
            if not relaxed:
                values = _checked(part, values).to(getattr(torch, self.dtype))
            elif not values.is_floating_point():
                raise UsageError(f"part '{part.name}' is {_type(values)}; relaxed parts are floating-point numbers")
            columns.append(values.reshape(batch, math.prod(own)))
        return torch.cat(columns, dim=1)

    def around(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Hard samples `[batch, values]` with what is given in them, and of other parts the lowest value or the first category.

        It is what a reader of what is given returns (`Given.x`).

        Raises:
            UsageError: as of `join`; a part is not given.
        """
        if other := [name for name in parts if not self.part(name).given]:
            raise UsageError(f"part '{other[0]}' is not given but made; leave it out")
        batch = max((len(values) for values in parts.values() if values.dim()), default=0)
        rest = {
            p.name: torch.full((batch, *p.shape), p.limits[0], dtype=p.torch_dtype) for p in self.parts if not p.given
        }
        return self.join({**rest, **parts})

    def relax(self, hard: Tensor) -> Tensor:
        """Hard samples `[batch, values]` as relaxed ones `[batch, width]` float32 in [-1, 1]."""
        relaxed = hard.new_zeros(len(hard), self.shape[0], dtype=torch.float32)
        for run in _runs(self.parts, self.dtype, hard.device):
            x = hard[:, run.hard]
            if run.first is not None:
                relaxed.scatter_(1, x.long() + run.first, 1.0)
            elif hard.is_floating_point():
                relaxed[:, run.relaxed] = ((x - run.middle) / run.half).float().clamp(-1.0, 1.0)
            else:
                # Subtracted as integers: large numbers keep their last digit.
                relaxed[:, run.relaxed] = ((x.long() - run.low).float() - run.half) / run.half
        return relaxed

    def harden(self, relaxed: Tensor) -> Tensor:
        """Relaxed samples `[batch, width]` as hard ones `[batch, values]`: the likeliest categories, numbers rounded and clamped."""
        dtype: torch.dtype = getattr(torch, self.dtype)
        hard = relaxed.new_empty(len(relaxed), _layout(self.parts).values, dtype=dtype)
        for run in _runs(self.parts, self.dtype, relaxed.device):
            x = relaxed[:, run.relaxed]
            if run.first is not None:
                stop = 0
                choices = []
                for size, count in run.choices:
                    start, stop = stop, stop + size * count
                    choices.append(x[:, start:stop].unflatten(1, (size, count)).argmax(dim=2))
                hard[:, run.hard] = torch.cat(choices, dim=1).to(dtype)
                continue
            x = x.to(run.half.dtype).clamp(-1.0, 1.0) * run.half
            if not run.whole:
                hard[:, run.hard] = torch.clamp(x + run.middle, run.low, run.high)
            else:
                steps = (x + run.half).round()
                hard[:, run.hard] = (steps.to(run.low.dtype) + run.low).to(dtype)
        return hard

    def adopts(self, other: SampleSpec) -> bool:
        """Whether `other` has the same parts, whichever of them are given."""
        return isinstance(other, PartsSpec) and _as_made(self.parts) == _as_made(other.parts)

    @property
    def given_shape(self) -> tuple[int, ...] | None:
        """`(width,)` of the parts that are given; that of all with domains, and None without either."""
        if self.domains:
            return super().given_shape
        width = sum(math.prod(part.relaxed_shape) for part in self.parts if part.given)
        return (width,) if width else None

    def given_part(self, relaxed: Tensor) -> Tensor | None:
        """The parts that are given of relaxed samples `[batch, width]`, one after another: `[batch, *given_shape]`, or None."""
        if self.domains:
            return super().given_part(relaxed)
        own = [relaxed[:, self.slices[part.name]] for part in self.parts if part.given]
        return torch.cat(own, dim=1) if own else None


def _following(parts: tuple[Part, ...]) -> dict[str, Any]:
    """The fields of a spec that follow from its parts."""
    low, high = (
        pick(values) for pick, values in zip((min, max), zip(*(p.limits for p in parts), strict=True), strict=True)
    )
    return {
        "shape": (sum(math.prod(part.relaxed_shape) for part in parts),),
        "dtype": _dtype(parts, low, high),
        "value_range": (float(low), float(high if high > low else low + 1)),
    }


def _dtype(parts: tuple[Part, ...], low: float, high: float) -> str:
    """The smallest type in which the values of all parts, which reach from `low` to `high`, are exact."""
    if all(part.count or part.whole for part in parts):
        held = {name: torch.iinfo(getattr(torch, name)) for name in _INTEGERS}
        return next(name for name, own in held.items() if own.min <= low and high <= own.max)
    exact = [part.limits for part in parts if part.count or part.whole]
    most = max((abs(one) for limits in exact for one in limits), default=0)
    wide = any(part.dtype == "float64" for part in parts) or most > _LARGEST["float32"]
    return "float64" if wide else "float32"


def _as_made(parts: Iterable[Part]) -> list[Part]:
    return [part.model_copy(update={"given": False}) for part in parts]


def _type(values: Tensor) -> str:
    return str(values.dtype).removeprefix("torch.")


def _checked(part: Part, values: Tensor) -> Tensor:
    """Hard values in the type of `part`, unless it cannot hold them: another kind of number, or one beyond its range."""
    whole = part.whole or part.count > 0
    what = f"{part.count} categories, by their places from 0" if part.count else f"{part.dtype} values"
    if values.is_complex() or (whole and values.is_floating_point()):
        raise UsageError(
            f"part '{part.name}' has {what}, and was given {_type(values)}; give whole numbers, as int64 say"
        )
    low, high = part.limits
    own = values.long() if whole else values.to(part.torch_dtype)
    odd = ~((own >= low) & (own <= high))  # which NaN is, too
    if bool(odd.any()):
        raise UsageError(
            f"part '{part.name}' has {what} in {low:g} to {high:g}, and was given {values[odd][0].item():g}; clamp it, or declare more"
        )
    return own.to(part.torch_dtype)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where parts stand in samples, and how many values a hard one has."""

    relaxed: Mapping[str, slice]
    hard: Mapping[str, slice]
    values: int


@lru_cache(maxsize=32)
def _layout(parts: tuple[Part, ...]) -> _Layout:
    relaxed, hard = {}, {}
    width = values = 0
    for part in parts:
        relaxed[part.name] = slice(width, width := width + math.prod(part.relaxed_shape))
        hard[part.name] = slice(values, values := values + math.prod(part.shape))
    return _Layout(MappingProxyType(relaxed), MappingProxyType(hard), values)


@dataclass(frozen=True, slots=True)
class _Run:
    """Parts of one kind that stand beside each other. Of numbers, the tensors `[values]` say what -1, 0 and 1 are."""

    hard: slice
    relaxed: slice
    whole: bool
    low: Tensor
    """Of whole numbers in integer samples int64, else of the type that is computed in."""
    high: Tensor
    middle: Tensor
    half: Tensor
    first: Tensor | None = None
    """Of categories, `[values]` int64: where in relaxed samples each one-hot vector begins."""
    choices: tuple[tuple[int, int], ...] = ()
    """Of each part in it, how many values there are, and of how many categories."""


@lru_cache(maxsize=64)
def _runs(parts: tuple[Part, ...], dtype: str, device: torch.device) -> tuple[_Run, ...]:
    where, runs = _layout(parts), []
    work = torch.float64 if dtype == "float64" else torch.float32
    for (whole, chosen), group in groupby(parts, lambda part: (part.whole, part.count > 0)):
        own = list(group)
        sizes = torch.tensor([math.prod(part.shape) for part in own])
        low, high = (
            torch.tensor([part.limits for part in own], dtype=torch.float64).repeat_interleave(sizes, 0).unbind(1)
        )
        first = [
            torch.arange(where.relaxed[part.name].start, where.relaxed[part.name].stop, part.count)
            for part in own
            if chosen
        ]
        middle, half = (low / 2 + high / 2).to(work), (high / 2 - low / 2).to(work)
        base = torch.int64 if whole and dtype in _INTEGERS else work
        runs.append(
            _Run(
                hard=slice(where.hard[own[0].name].start, where.hard[own[-1].name].stop),
                relaxed=slice(where.relaxed[own[0].name].start, where.relaxed[own[-1].name].stop),
                whole=whole,
                low=low.to(base).to(device),
                high=high.to(base).to(device),
                middle=middle.to(device),
                half=half.to(device),
                first=torch.cat(first).to(device) if chosen else None,
                choices=tuple((math.prod(part.shape), part.count) for part in own if chosen),
            )
        )
    return tuple(runs)
