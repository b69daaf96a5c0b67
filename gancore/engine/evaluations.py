"""What a training knows of the figures that are computed beside it: comparing samples is given to it from above."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import nn

from gancore.components import DataSource, ProgressReport
from gancore.configuration.settings import Settings


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of a generator by name, what real samples have of each where that is defined, and sentences on what failed."""

    values: Mapping[str, float]
    real: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    """By what failed."""


class Evaluations(Protocol):
    """Compares samples of a generator with real ones, always from the same latents and with the same real samples."""

    def figures(self, generator: nn.Module) -> Figures:
        """Those of `generator` as it is now, which is left as it is, as are all random numbers."""
        ...


EvaluationsOf = Callable[[Settings, DataSource, torch.device, ProgressReport], Evaluations]
"""Makes the `Evaluations` of a run on its data, with what it holds out of them."""
