"""Images in motion: a walk as an animation that every browser shows (GIF), and as one that loses nothing (animated PNG)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from pydantic import Field
from torch import Tensor

from gan_image.spec import ImageSpec
from gan_image.writers import displayable, image_of
from gancore.options import Options
from gancore.storage import replacing
from gancore.text_chunks import TextInFiles

PALETTE_PIXELS = 2**15
"""The colours of a GIF are chosen by so many pixels, from all over all frames."""


class WalkOptions(Options):
    """Options of the writer of walks."""

    frame_ms: int = Field(
        50, ge=20, le=1000, description="How long each frame is shown, in milliseconds; GIF counts in tens of these."
    )
    side: int = Field(
        256,
        ge=1,
        le=4096,
        description="Images are enlarged by a whole number as far as their shorter side keeps within so many pixels.",
    )


class WalkWriter(TextInFiles):
    """Images one after another, repeating: `<stem>.gif` and, in their own colours, `<stem>.png`.

    All frames of the GIF share 256 colours, those nearest to a pixel stand for it, and transparent images are on white: what does
    not change in the images does not flicker there. Equal frames in a row become one that is shown for longer. Channels are
    treated as on a sheet.
    """

    def __init__(self, options: WalkOptions, spec: ImageSpec) -> None:
        self.options = options
        self.spec = spec

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        """Write `samples` uint8 `[n, channels, height, width]`, n at least 1, as frames in their order."""
        del labels
        pictures = [image_of(pixels) for pixels in displayable(samples)]
        return [
            self._save(few_colours(pictures), folder / f"{stem}.gif", round(self.options.frame_ms, -1)),
            self._save(pictures, folder / f"{stem}.png", self.options.frame_ms),
        ]

    def _save(self, pictures: list[Image.Image], path: Path, time: int) -> Path:
        scale = max(1, self.options.side // min(pictures[0].size))
        size = pictures[0].width * scale, pictures[0].height * scale
        first, *others = [picture.resize(size, Image.Resampling.NEAREST) for picture in pictures]
        return replacing(
            path,
            lambda unfinished: first.save(
                unfinished, save_all=True, append_images=others, duration=time, loop=0, optimize=False
            ),
        )


def few_colours(pictures: list[Image.Image]) -> list[Image.Image]:
    """`pictures` of mode L, RGB or RGBA, those in colour with 256 that they share."""
    if pictures[0].mode == "L":
        return pictures
    if pictures[0].mode == "RGBA":
        white = Image.new("RGBA", pictures[0].size, "white")
        pictures = [Image.alpha_composite(white, picture).convert("RGB") for picture in pictures]
    pixels = np.stack([np.asarray(picture) for picture in pictures]).reshape(-1, 3)
    if len(pixels) > PALETTE_PIXELS:
        pixels = pixels[np.random.default_rng(0).integers(len(pixels), size=PALETTE_PIXELS)]
    # No dithering: its grain moves from frame to frame.
    colours = Image.fromarray(pixels[None]).quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1)
    return [picture.quantize(palette=colours, dither=Image.Dither.NONE) for picture in pictures]
