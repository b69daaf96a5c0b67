"""What a training knows of the sheets that are made beside it: drawing and writing samples are given to it from above."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from torch import Tensor, nn

from gancore.components import DataSource
from gancore.configuration.settings import Settings
from gancore.data.spec import SampleSpec
from gancore.run import RunFolder


class Sheets(Protocol):
    """Makes sheets of samples, always from the same latents. What it fails to draw or to write ends no training."""

    last: Path | None
    """The newest sheet."""

    def generate(
        self,
        generator: nn.Module,
        count: int,
        condition: Tensor | None,
        given: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Relaxed samples `[count, *shape]` from these latents, on the generator's device."""
        ...

    def make(self, generator: nn.Module, step: int) -> list[Path]:
        """Write the sheet of `step`; its files."""
        ...

    def make_progress(self) -> list[Path]:
        """Write what is made out of all sheets so far, an animation say; its files."""
        ...


SheetsOf = Callable[[Settings, SampleSpec, RunFolder, DataSource], Sheets]
"""Makes the `Sheets` of a run, of the data that it is trained on."""
