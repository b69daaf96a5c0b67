"""What one sample is: the agreement between a data set, the networks and the writers.

A spec is stored with every checkpoint, so a trained generator can be used where its data are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from torch import Tensor


class SampleSpec(BaseModel):
    """A sample with values on a line: images, spectrograms, waveforms, table columns.

    Modalities derive from it: they add what they need (a sample rate) and override `relax` and `harden` where real data are
    not numbers in a range (text, notes).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: tuple[int, ...] = Field(description="Shape of one relaxed sample, without the batch.", min_length=1)
    dtype: str = Field("uint8", description="Type in which hard samples are held: uint8, int16, float32 ...")
    value_range: tuple[float, float] = Field((0.0, 255.0), description="Lowest and highest value of hard samples.")
    classes: tuple[str, ...] = Field(
        (), description="Class names, in the order of their indices; empty without labels."
    )

    @model_validator(mode="after")
    def _check(self) -> SampleSpec:
        if any(n < 1 for n in self.shape):
            raise ValueError(f"every dimension of shape must be at least 1, not {self.shape}")
        if not self.value_range[0] < self.value_range[1]:
            raise ValueError(f"value_range must rise, not {self.value_range}")
        return self

    @property
    def class_count(self) -> int:
        """How many classes a condition can name; 0 where samples carry no labels."""
        return len(self.classes)

    def relax(self, hard: Tensor) -> Tensor:
        """Hard samples `[batch, *shape]` as a discriminator sees them: float32 in [-1, 1]."""
        low, high = self.value_range
        return hard.float().mul(2.0 / (high - low)).sub((high + low) / (high - low))

    def harden(self, relaxed: Tensor) -> Tensor:
        """Generated samples made final: the inverse of `relax`, rounded for integer types, clamped to the range."""
        import torch

        low, high = self.value_range
        values = ((relaxed.float() + 1.0) * ((high - low) / 2.0) + low).clamp(low, high)
        target: torch.dtype = getattr(torch, self.dtype)
        return values.to(target) if target.is_floating_point else values.round().to(target)
