"""What an image is to the engine: uint8 values on a grid of channels, rows and columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from gancore.data.spec import SampleSpec

MODES = {1: "L", 3: "RGB", 4: "RGBA"}


class ImageSpec(SampleSpec):
    """Images `[batch, channels, height, width]`: uint8 in 0..255 when hard, float32 in [-1, 1] when relaxed."""

    called: ClassVar[str] = "images"

    shape: tuple[int, ...] = Field(description="Channels, height and width.", min_length=3, max_length=3)
    dtype: str = Field(default="uint8", description="Always uint8.")
    value_range: tuple[float, float] = Field(default=(0.0, 255.0), description="Always 0 to 255.")

    intensities: tuple[float, float] | None = Field(
        default=None,
        description="The values that become 0 and 255 in files that are not 8-bit; None if all files are 8-bit.",
    )

    fit: Literal["crop", "resize", "pad"] = Field(
        default="crop",
        description="How pictures of another shape were fitted, and those that are to be translated are.",
    )

    @model_validator(mode="after")
    def _check_image(self) -> ImageSpec:
        if self.dtype != "uint8" or self.value_range != (0.0, 255.0):
            raise ValueError(f"images are uint8 in 0..255, not {self.dtype} in {self.value_range}")
        return self

    @property
    def reading(self) -> Mapping[str, Any]:
        """Other pictures have the size and channels of these; those that are not 8-bit are read by the range of these."""
        modes = {1: "grey", 3: "rgb", 4: "rgba"}
        mode = {"mode": modes[self.channels]} if self.channels in modes else {}
        ranged = {} if self.intensities is None else {"range": self.intensities}
        return {"size": (self.height, self.width), **mode, **ranged}

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour, 4 for colour with transparency; arrays may hold any number."""
        return self.shape[0]

    @property
    def height(self) -> int:
        """Rows."""
        return self.shape[1]

    @property
    def width(self) -> int:
        """Columns."""
        return self.shape[2]

    @property
    def mode(self) -> str | None:
        """The name that Pillow has for this number of channels: L, RGB, RGBA, or None."""
        return MODES.get(self.channels)
