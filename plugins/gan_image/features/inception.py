"""The features `inception`: those that published figures called FID and KID are of, where their weights are on disk."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gan_image.features.inception_v3 import SIZE, InceptionV3
from gan_image.features.preparing import coloured, device_of, resized, resized_as_tensorflow
from gan_image.spec import ImageSpec
from gancore.errors import DataError
from gancore.options import Options as BaseOptions

PUBLISHED = "6726825d"
"""How the SHA-256 of the weights begins that FID is defined by: those of 2015, as torch-fidelity and pytorch-fid publish them."""
_VERSION = 1
"""Of what is done with an image before and after the network; another makes all kept features unknown."""


class Options(BaseOptions):
    """Options of the features `inception`."""

    path: Path = Field(
        description="File of the weights: weights-inception-2015-12-05-6726825d.pth of torch-fidelity or "
        "pt_inception-2015-12-05-6726825d.pth of pytorch-fid. It is never downloaded."
    )
    resizing: Literal["tensorflow", "bicubic"] = Field(
        "tensorflow",
        description="How images are brought to 299 by 299 pixels. tensorflow: bilinear without antialiasing, as FID is defined; "
        "bicubic: with antialiasing, as for clean-fid, which does not depend on artefacts of resizing.",
    )


class Inception(nn.Module):
    """The 2,048 means of the last block of Inception-v3; see `InceptionV3`.

    Figures are called `fid` and `kid`, or `clean-fid` and `clean-kid` with bicubic resizing, if the weights are the published ones.
    """

    def __init__(self, options: Options, spec: ImageSpec) -> None:
        super().__init__()
        self.options = options
        digest, state = _read(options.path)
        self.network = InceptionV3()
        try:
            self.network.load_published(state)
        except (LookupError, RuntimeError, AttributeError, TypeError) as error:
            cause = f"it has no {error}" if isinstance(error, KeyError) else str(error).splitlines()[-1].strip()
            raise DataError(f"{options.path} holds no weights of Inception-v3 as FID uses it: {cause}") from error
        self.fingerprint = f"inception {digest} {options.resizing} {_VERSION}"
        known = "clean-" if options.resizing == "bicubic" else ""
        names = {"frechet": f"{known}fid", "kernel": f"{known}kid", "kernel-deviation": f"{known}kid-deviation"}
        self.figure_names: Mapping[str, str] = names if digest.startswith(PUBLISHED) else {}

    def forward(self, x: Tensor) -> Tensor:
        """Features float32 `[n, 2048]` of images uint8 `[n, channels, height, width]`."""
        images = coloured(x.to(device_of(self)), "'inception'")
        resize = resized if self.options.resizing == "bicubic" else resized_as_tensorflow
        features: Tensor = self.network((resize(images, SIZE, SIZE) - 128.0) / 128.0)
        return features


def _read(path: Path) -> tuple[str, Mapping[str, Tensor]]:
    """SHA-256 and content of a file of weights."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"the weights of 'inception' cannot be read: {path}: {error.strerror}") from error
    named = re.search(r"-([0-9a-f]{8,64})\.\w+$", path.name)
    if named and not digest.startswith(named[1]):
        raise DataError(
            f"{path} is not what its name says: its SHA-256 begins with {digest[:8]}, not {named[1]}; download it again"
        )
    try:
        return digest, torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise DataError(
            f"{path} holds no weights that torch can load without running code of the file; it takes {PUBLISHED}'s, such as "
            "weights-inception-2015-12-05-6726825d.pth"
        ) from error
