"""The built-in demonstration set: 1797 handwritten digits of 8 by 8 pixels, which scikit-learn brings along."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field

from gan_image.data.pixels import PixelSource
from gan_image.spec import ImageSpec
from gancore.components import ProgressReport
from gancore.data.report import ScanReport
from gancore.options import Options as BaseOptions


class Options(BaseOptions):
    """Options of the data set `digits`."""

    labels: bool = Field(True, description="Give each picture its digit as class, for conditional networks.")


def open_digits(options: Options, progress: ProgressReport) -> PixelSource:
    """The test part of "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998), grey, 8 by 8.

    Classes are "0" to "9". The original values 0..16 are spread over 0..255.
    """
    from sklearn.datasets import load_digits  # slow to import

    digits = load_digits()
    pixels = np.round(digits.images * (255.0 / 16.0)).astype(np.uint8)
    classes = tuple(str(name) for name in digits.target_names) if options.labels else ()
    labels = torch.from_numpy(digits.target.astype(np.int64)) if options.labels else None
    progress("reading digits", len(pixels), len(pixels))
    return PixelSource(
        pixels,
        ImageSpec(shape=(1, 8, 8), classes=classes),
        ScanReport(source="digits", found=len(pixels), used=len(pixels)),
        layout="hw",
        labels=labels,
    )
