"""Base classes of the option models that components declare: typed, bounded, described, frozen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from gancore.errors import UsageError
from gancore.text import brief, fault_of_name

LARGEST = 2**63 - 1
"""The largest whole number of any option: what a computer counts with."""


def each_once(kind: str) -> AfterValidator:
    """For the annotation of an option that lists names of a `kind`, of which none may stand twice.

    `policy: Annotated[tuple[str, ...], each_once("transform")] = Field(...)`
    """

    def check(names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) != len(names):
            raise RefusedValueError(f"each {kind} may be named once, not {list(names)}")
        return names

    return AfterValidator(check)


class Options(BaseModel):
    """Options of any component. Unknown names are errors; every field needs a description, and bounds where it has any.

    A field of type `tuple[...]` also takes text with commas, `a,b`, and `none` for an empty one. `true` is no number and 1 is
    not `true`; numbers have 64 bits at most; text has no NUL in it and is text, whatever bytes the command line held.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _listed(cls, value: Any, info: ValidationInfo) -> Any:
        """Text for a tuple as it is typed after `key=`: `a,b` or `none`; and nothing but what the field is for."""
        annotation = cls.model_fields[info.field_name].annotation if info.field_name else None
        if isinstance(value, str) and get_origin(annotation) is tuple:
            value = tuple(part for text in value.split(",") if (part := text.strip()) and part != "none")
        kinds = frozenset(_kinds(annotation))
        for leaf in _leaves(value):
            _check(leaf, kinds)
        return value


def check_whole(value: int, what: str, low: int, high: int = LARGEST) -> None:
    """Refuse a number that is no option, such as that of samples to draw, where nothing could be done with it.

    Raises:
        UsageError: it is not a whole number from `low` to `high`.
    """
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not low <= value <= high:
        words = "a whole number" if not whole else f"at least {low:,}" if value < low else f"at most {high:,}"
        raise UsageError(f"{what} must be {words}, not {brief(value)}")


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types of the plain values that an annotation is made of: `int` and `float` of `int | tuple[float, ...]`."""
    origin = get_origin(annotation)
    if origin is Literal:
        yield from map(type, get_args(annotation))
    elif origin is Annotated:
        yield from _kinds(get_args(annotation)[0])
    elif origin is None:
        yield annotation
    else:
        for part in get_args(annotation):
            yield from _kinds(part)


def _leaves(value: Any) -> Iterator[Any]:
    """The plain values in lists and mappings, to a depth that anything may have."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            waiting += one.values()
        elif isinstance(one, list | tuple | set | frozenset):
            waiting += one
        else:
            yield one


def _check(value: Any, kinds: frozenset[Any]) -> None:
    """Refuse a plain value that pydantic would turn into one of another kind, or that no code can use."""
    if any(kind in (Any, object) or (isinstance(kind, type) and issubclass(kind, BaseModel)) for kind in kinds):
        return  # a section within, which looks itself
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(value, bool) and bool not in kinds:
        raise RefusedValueError(f"must be {_wanted(kinds)}, not {str(value).lower()}")
    if bool in kinds and kinds.isdisjoint({int, float, str}) and (number or (isinstance(value, str) and value in "01")):
        raise RefusedValueError(f"must be true or false, not {brief(value)}")
    if number and isinstance(value, int) and abs(value) > LARGEST:
        raise RefusedValueError(f"must be a number of 64 bits at most, not {brief(value)}")
    if isinstance(value, str | Path) and (str(value) or Path in kinds) and (fault := fault_of_name(str(value))):
        raise RefusedValueError(fault if Path in kinds else fault.partition(",")[0])


class RefusedValueError(ValueError):
    """A mistake whose message says all, the value included."""


def _wanted(kinds: frozenset[Any]) -> str:
    """`a number`, `text`, or both."""
    names = ["a number"] * (not kinds.isdisjoint({int, float})) + ["text"] * (not kinds.isdisjoint({str, Path}))
    return " or ".join(names) or "something else"


ON_CPU = "on_cpu"


def on_cpu(value: int) -> dict[str, Any]:
    """For `json_schema_extra` of a field: its default where a run trains on a processor."""
    return {ON_CPU: value}


def cpu_default(model: type[BaseModel], field: str) -> int | None:
    """The default of a field on a processor; None where it is the same everywhere."""
    extra = model.model_fields[field].json_schema_extra
    value = extra.get(ON_CPU) if isinstance(extra, dict) else None
    return value if isinstance(value, int) else None


class ArchitectureOptions(Options):
    """Options that every architecture has, applied by the engine around whatever the architecture builds."""

    spectral_norm: Literal["none", "discriminator", "both"] = Field(
        "none", description="Put spectral normalisation (Miyato et al. 2018) on every weight of these networks."
    )

    @property
    def training_features(self) -> Mapping[str, Sequence[str]]:
        """Features of the same plugin that the networks are trained by, each with those to evaluate by instead.

        What a generator was trained to match says nothing of it: evaluations leave such features out unless they are asked for.
        """
        return {}


class PenaltyOptions(Options):
    """Options that every penalty has."""

    weight: float = Field(10.0, ge=0.0, le=1e6, description="Factor of the term in the discriminator's objective.")
    every: int = Field(
        1,
        ge=1,
        le=1000,
        description="Compute it only every this many steps, scaled up by as much (lazy regularisation).",
    )
    share: float = Field(
        1.0,
        gt=0.0,
        le=1.0,
        description="Compute it on this share of a batch only, spread evenly over it; on one sample at least.",
    )


class AugmentingOptions(PenaltyOptions):
    """Options of penalties that augment samples for themselves (`gancore.powers.Augments`)."""

    augmentations: Annotated[tuple[str, ...], each_once("augmentation")] = Field(
        (),
        description="Augmentations of the run that it has to itself, so that the discriminator and its loss see samples without them;"
        " all of the run if none is named.",
    )


SMALLEST = 1.2e-38
"""Numbers below this are zero or lose digits in float32: an `eps` of 1e-50 let optimizers divide by zero."""


class OptimizerOptions(Options):
    """Options that every optimizer has, which the engine itself follows: another optimizer keeps them."""

    lr: float = Field(2e-4, ge=SMALLEST, le=10.0, description="Learning rate.")
    clip: float = Field(0.0, ge=0.0, le=1e6, description="Shorten gradients whose norm is above this; 0: never.")


class ScheduleOptions(Options):
    """Options that every schedule has: from what value it moves to what, and when."""

    first: float | None = Field(
        None, ge=-1e18, le=1e18, description="Value at the beginning; when not given, the setting's own value."
    )
    last: float | None = Field(
        None, ge=-1e18, le=1e18, description="Value at the end; when not given, `factor` times the setting's own value."
    )
    factor: float = Field(
        1.0, ge=0.0, le=1e6, description="Without `last`, the share of the setting's own value at the end."
    )
    begin: float = Field(0.0, ge=0.0, le=1.0, description="Share of the steps after which the value begins to move.")
    end: float = Field(1.0, ge=0.0, le=1.0, description="Share of the steps after which it has arrived.")
    samples: int = Field(
        0,
        ge=0,
        description="Samples seen on the way from the beginning to the end, in place of `end`; 0: as `end` says.",
    )
    warmup: int = Field(0, ge=0, description="Steps over which the value is first raised from zero, in proportion.")

    @model_validator(mode="after")
    def _check(self) -> ScheduleOptions:
        if self.end < self.begin and not self.samples:
            raise ValueError(f"end={self.end:g} is before begin={self.begin:g}")
        return self


class StrengthOptions(Options):
    """Options that every augmentation with a strength has (`gancore.powers.HasStrength`), by which the engine sets it."""

    strength: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="How strong it is, from 0 (samples stay as they are) to 1; the first value if adaptive.",
    )
    adaptive: bool = Field(
        True,
        description="Raise the strength while the discriminator takes more real samples for real than `target` says, else lower it"
        " (Karras et al. 2020).",
    )
    target: float = Field(
        0.6,
        ge=-1.0,
        le=1.0,
        description="Wanted mean sign of real samples' logits: 0.6 where 80% of them are taken for real (figure discriminator/sign).",
    )
    interval: int = Field(4, ge=1, le=10_000, description="Steps between two changes of the strength.")
    kimg: float = Field(
        500.0, ge=0.001, le=1e9, description="Thousands of real samples in which the strength can go from 0 to 1."
    )
    most: float = Field(
        0.8,
        ge=0.0,
        le=1.0,
        description="Largest strength if adaptive; near 1, generated samples begin to look augmented.",
    )
