"""What a pair of images is to the engine: the channels of a source, which is given, and then those of the target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from gan_image.spec import ImageSpec
from gancore.data.spec import SampleSpec


class PairSpec(SampleSpec):
    """Pairs `[batch, source_channels + target channels, height, width]`: uint8 in 0..255 when hard, float32 in [-1, 1] when relaxed."""

    called: ClassVar[str] = "pairs of images"

    shape: tuple[int, ...] = Field(description="Channels of both, height and width.", min_length=3, max_length=3)
    dtype: str = Field(default="uint8", description="Always uint8.")
    value_range: tuple[float, float] = Field(default=(0.0, 255.0), description="Always 0 to 255.")
    source_channels: int = Field(ge=1, description="Channels of the source, which come first.")
    source_intensities: tuple[float, float] | None = Field(
        default=None,
        description="Values of sources that are 0 and 255 here, where files are not 8-bit.",
    )
    fit: Literal["crop", "resize", "pad"] = Field(
        default="crop", description="How pictures of another shape were fitted, and those that are given are."
    )

    @model_validator(mode="after")
    def _check_pair(self) -> PairSpec:
        if not self.source_channels < self.shape[0]:
            raise ValueError(f"of {self.shape[0]} channels {self.source_channels} cannot be those of the source")
        return self

    @property
    def reading(self) -> Mapping[str, Any]:
        """Other pairs have the size of these, and are fitted to it in the same way."""
        return {"size": self.shape[1:], "fit": self.fit}

    @property
    def given_shape(self) -> tuple[int, ...]:
        """That of a source."""
        return (self.source_channels, *self.shape[1:])

    def given_part(self, relaxed: Tensor) -> Tensor:
        """The sources of pairs `[batch, channels, height, width]`, hard or relaxed: `[batch, source_channels, height, width]`."""
        return relaxed[:, : self.source_channels]

    def target_part(self, pairs: Tensor) -> Tensor:
        """The targets of pairs `[batch, channels, height, width]`, hard or relaxed."""
        return pairs[:, self.source_channels :]

    @property
    def source(self) -> ImageSpec:
        """What a source is by itself."""
        return ImageSpec(shape=self.given_shape, classes=self.classes)

    @property
    def target(self) -> ImageSpec:
        """What a target is by itself."""
        return ImageSpec(shape=(self.shape[0] - self.source_channels, *self.shape[1:]), classes=self.classes)

    def of_source(self, source: Tensor) -> Tensor:
        """Hard pairs of hard sources `[n, source_channels, height, width]`, whose targets are black."""
        black = torch.zeros(len(source), *self.target.shape, dtype=torch.uint8)
        return torch.cat([source, black], dim=1)
