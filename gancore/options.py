"""Base classes of the option models that components declare: typed, bounded, described, frozen."""

from __future__ import annotations

from typing import Any, Literal, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator


class Options(BaseModel):
    """Options of any component. Unknown names are errors; every field needs a description, and bounds where it has any.

    A field of type `tuple[...]` also takes text with commas, `a,b`, and `none` for an empty one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _listed(cls, value: Any, info: ValidationInfo) -> Any:
        """Text for a tuple as it is typed after `key=`: `a,b` or `none`."""
        annotation = cls.model_fields[info.field_name].annotation if info.field_name else None
        if not isinstance(value, str) or get_origin(annotation) is not tuple:
            return value
        return tuple(part for text in value.split(",") if (part := text.strip()) and part != "none")


class ArchitectureOptions(Options):
    """Options that every architecture has, applied by the engine around whatever the architecture builds."""

    spectral_norm: Literal["none", "discriminator", "both"] = Field(
        "none", description="Put spectral normalisation (Miyato et al. 2018) on every weight of these networks."
    )


class PenaltyOptions(Options):
    """Options that every penalty has."""

    weight: float = Field(10.0, ge=0.0, le=1e6, description="Factor of the term in the discriminator's objective.")
    every: int = Field(
        1,
        ge=1,
        le=1000,
        description="Compute it only every this many steps, scaled up by as much (lazy regularisation).",
    )
