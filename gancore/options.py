"""Base classes of the option models that components declare: typed, bounded, described, frozen."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Options(BaseModel):
    """Options of any component. Unknown names are errors; every field needs a description, and bounds where it has any."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


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
