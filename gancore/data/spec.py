"""What one sample is: the agreement between a data set, the networks and the writers.

A spec is stored with every checkpoint, so a trained generator can be used where its data are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gancore.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Given:
    """A conditioning input, as read from a file: hard samples `x` `[count, *hard shape]`, of which a part is used.

    `condition` `[count]` int64 are their classes, or None where the file does not tell. `spec` is the one to write samples
    with that were made for it, where that is not the run's own: the file may have another tempo or sample rate. `names` `[count]`
    are what each is called, such as its file without suffix: files of what is made for them get these names.
    """

    x: Tensor
    condition: Tensor | None = None
    spec: SampleSpec | None = None
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x)


class SampleSpec(BaseModel):
    """A sample with values on a line: images, spectrograms, waveforms, table columns.

    Modalities derive from it: they add what they need (a sample rate) and override `relax` and `harden` where real data are
    not numbers in a range (text, notes).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    called: ClassVar[str] = ""
    """What its samples are in the words of messages, in the plural: `pictures`."""

    measured: ClassVar[tuple[str, ...]] = ()
    """Fields that are measured on the data themselves, by which two data sets of one kind may differ."""

    repeats: ClassVar[bool] = False
    """Whether a sample may come more than once, as short texts do: to make one that was trained on is then not always to copy."""

    shape: tuple[int, ...] = Field(description="Shape of one relaxed sample, without the batch.", min_length=1)
    dtype: str = Field("uint8", description="Type in which hard samples are held: uint8, int16, float32 ...")
    value_range: tuple[float, float] = Field((0.0, 255.0), description="Lowest and highest value of hard samples.")
    classes: tuple[str, ...] = Field(
        (), description="Class names, in the order of their indices; empty without labels."
    )

    domains: tuple[str, ...] = Field(
        (),
        description="Names of domains, in the order of their numbers; empty where samples are all of one. Generators then make samples"
        " of one domain of those of another.",
    )

    @model_validator(mode="after")
    def _check(self) -> SampleSpec:
        if len(self.domains) == 1:
            raise ValueError(f"one domain, '{self.domains[0]}', is as good as none; leave domains empty")
        if any(n < 1 for n in self.shape):
            raise ValueError(f"every dimension of shape must be at least 1, not {self.shape}")
        if not self.value_range[0] < self.value_range[1]:
            raise ValueError(f"value_range must rise, not {self.value_range}")
        return self

    @property
    def class_count(self) -> int:
        """How many classes a condition can name; 0 where samples carry no labels."""
        return len(self.classes)

    @property
    def exact(self) -> bool:
        """Whether `harden` is the inverse of `relax`.

        Where it is not (a spectrogram without phases), what it finds must look like the sample: `relax` of both is near.
        """
        return True

    def relax(self, hard: Tensor) -> Tensor:
        """Hard samples `[batch, ...]` as a discriminator sees them: float32 `[batch, *shape]` in [-1, 1].

        Here both have one shape. In a spec that overrides this, hard samples may have another: token ids `[batch, time]` become
        points on a simplex `[batch, time, vocabulary]`.
        """
        low, high = self.value_range
        return hard.float().mul(2.0 / (high - low)).sub((high + low) / (high - low))

    def harden(self, relaxed: Tensor) -> Tensor:
        """Generated samples `[batch, *shape]` made final, as `fetch` returns them: the inverse of `relax`.

        Here they are rounded for integer types and clamped to the range.
        """
        import torch  # plugins' declarations import this module

        low, high = self.value_range
        values = ((relaxed.float() + 1.0) * ((high - low) / 2.0) + low).clamp(low, high)
        target: torch.dtype = getattr(torch, self.dtype)
        return values.to(target) if target.is_floating_point else values.round().to(target)

    def distance(self, one: Tensor, other: Tensor) -> Tensor:
        """How unlike relaxed samples `[batch, *shape]` are to `other` ones: `[batch]`, differentiable.

        Games that want a sample back keep it small. Here it is the mean absolute difference of their values.
        """
        return (one - other).abs().flatten(1).mean(dim=1)

    # Other data than a run was trained on may have another form, which follows from them: a vocabulary, say.

    @property
    def reading(self) -> Mapping[str, Any]:
        """Options of a data set by which other data are read as those of this spec were, such as a range that was measured.

        They hold where a data set has options of these names and they are not given.
        """
        return {}

    def adopts(self, other: SampleSpec) -> bool:
        """Whether samples of `other` can be seen as samples of this spec, by `adopt`."""
        return (self.shape, self.dtype, self.value_range) == (other.shape, other.dtype, other.value_range)

    def adopt(self, hard: Tensor, other: SampleSpec) -> Tensor:
        """Hard samples of `other`, which this spec adopts, as hard samples of its own."""
        del other
        return hard

    # A generator may have a conditioning input, a part of the sample that it is given: a melody, the frame of a picture,
    # the same picture in grey. Files of it are read by what the data set's record names as `given`.

    @property
    def given_shape(self) -> tuple[int, ...] | None:
        """Shape of what `given_part` returns, without the batch; None where nothing is given."""
        return self.shape if self.domains else None

    @property
    def given_kept(self) -> bool:
        """Whether samples that are made around what is given have it in them unchanged.

        Not where it only says how the sample is to be: a waveform that is made of a spectrogram has one that is near. Nor where a
        sample of one domain is made of one of another.
        """
        return not self.domains

    def given_part(self, relaxed: Tensor) -> Tensor | None:
        """What the generator is given of relaxed samples `[batch, *shape]`: `[batch, *given_shape]`, or None.

        Where there are domains, it is the whole sample, which is translated to another one.
        """
        return relaxed if self.domains else None


Kind = TypeVar("Kind", bound=SampleSpec)


def misfit(kind: type[SampleSpec], given: type[SampleSpec]) -> str:
    """Why nothing that is made for specs of `kind` can work on one of `given`, after the thing's name; empty where it can."""
    if issubclass(given, kind):
        return ""
    wanted = kind.called or f"samples whose spec is a {kind.__name__}"
    return f"is for {wanted}, " + (f"and these data are {given.called}" if given.called else "which these data are not")


def require(spec: SampleSpec, kind: type[Kind], component: str) -> Kind:
    """`spec` itself, for a component (`"metric 'bleu'"`) that works on specs of `kind` alone.

    Raises:
        UsageError: it is a spec of another kind.
    """
    if not isinstance(spec, kind):
        raise UsageError(f"{component} {misfit(kind, type(spec))}; leave it out, or choose one that is made for them")
    return spec
