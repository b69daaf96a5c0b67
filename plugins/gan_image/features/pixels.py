"""The features `pixels`: principal components of the training images, which need no network and no one else's data."""

from __future__ import annotations

import hashlib

from pydantic import Field
from torch import Tensor

from gan_image.features.preparing import flattened
from gan_image.spec import ImageSpec
from gancore.evaluation.distances import PrincipalComponents
from gancore.evaluation.records import Samples
from gancore.options import Options as BaseOptions


class Options(BaseOptions):
    """Options of the features `pixels`."""

    components: int = Field(64, ge=1, le=3072, description="Principal components that are kept.")


class Pixels:
    """The first principal components of the training images, of which larger ones are averaged to 32 by 32 pixels.

    They know colours and coarse shapes, and nothing of what an image shows.
    """

    def __init__(self, options: Options, spec: ImageSpec) -> None:
        self.options = options
        self.fingerprint = ""
        self._components: PrincipalComponents | None = None

    def fit(self, train: Samples) -> None:
        """Find the components of the images of `train`."""
        self._components = PrincipalComponents.of(flattened(train.x), self.options.components)
        digest = hashlib.sha256(self._components.directions.numpy().tobytes() + self._components.mean.numpy().tobytes())
        self.fingerprint = f"pixels {digest.hexdigest()}"

    def __call__(self, x: Tensor) -> Tensor:
        """Features float32 `[n, components]` of images uint8 `[n, channels, height, width]`."""
        assert self._components is not None
        return self._components(flattened(x))
