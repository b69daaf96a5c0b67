"""The features `transformers`: what an encoder of images makes of them, where one of that library is on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from gan_image.features.preparing import coloured, resized
from gan_image.spec import ImageSpec
from gancore.errors import UsageError
from gancore.nets.transformers_loader import digest, encoder
from gancore.options import Options as BaseOptions

_PREPARING = "preprocessor_config.json"
_LARGEST = 4096
_VERSION = 1
"""Of what is done with an image before and after the network; another makes all kept features unknown."""


class Options(BaseOptions):
    """Options of the features `transformers`."""

    path: Path = Field(
        description="Folder with any encoder of images of the transformers library, such as DINOv2, CLIP or a ViT (config.json, "
        "model.safetensors, preprocessor_config.json). Nothing is downloaded."
    )


class Encoder(nn.Module):
    """The vector that a model has for a whole image: CLIP's embedding, else its pooled output, else its first token.

    A pooled output that the folder has no weights for is none. Images are brought whole to the height and width that the folder
    says, with antialiasing. No code of the folder is run.

    Raises:
        UsageError: the folder holds no such model, or does not say how images are prepared.
    """

    def __init__(self, options: Options, spec: ImageSpec) -> None:
        super().__init__()
        folder = options.path
        self.model: Any = encoder(folder, f"config.json, model.safetensors and {_PREPARING}")
        if not hasattr(self.model, "get_image_features") and self.model.main_input_name != "pixel_values":
            raise UsageError(f"the model in '{folder}' is a {type(self.model).__name__}, which looks at no images")
        self.size, mean, deviation = _preparing(folder)
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1) * 255.0, persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(-1, 1, 1) * 255.0, persistent=False)
        self.fingerprint = f"transformers {digest(folder)} {_VERSION}"

    mean: Tensor
    deviation: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Features float32 `[n, size]` of images uint8 `[n, channels, height, width]`."""
        images = resized(coloured(x.to(self.mean.device), "'transformers'"), *self.size)
        pixels = (images - self.mean) / self.deviation
        whole = getattr(self.model, "get_image_features", self.model)
        found: Any = whole(pixel_values=pixels)
        if not isinstance(found, Tensor):
            pooled, last = getattr(found, "pooler_output", None), found.last_hidden_state
            found = pooled if pooled is not None else last[:, 0] if last.dim() == 3 else last.mean(dim=(2, 3))
        vectors: Tensor = found.flatten(1).float()
        return vectors


def _preparing(folder: Path) -> tuple[tuple[int, int], list[float], list[float]]:
    """Height and width of images, and mean and deviation of each channel in [0, 1]."""
    try:
        said = json.loads((folder / _PREPARING).read_text(encoding="utf-8"))
        size = said.get("crop_size") if said.get("do_center_crop") else None
        size = size or said["size"]
        side = size if isinstance(size, int) else size.get("shortest_edge")
        rows, columns = (side, side) if side else (size["height"], size["width"])
        normal = said.get("do_normalize", True)
        mean, deviation = (said["image_mean"], said["image_std"]) if normal else ([0.0], [1.0])
        if not all(isinstance(n, int) and 1 <= n <= _LARGEST for n in (rows, columns)):
            raise ValueError(f"images of {rows} by {columns}")
        if {len(mean), len(deviation)} - {1, 3} or not all(float(n) > 0.0 for n in deviation):
            raise ValueError("a mean or deviation that is not of three channels")
        return (rows, columns), mean, deviation
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"'{folder}' does not say how images are prepared: {_PREPARING} has no size, mean and deviation that can be read "
            f"({type(error).__name__}: {error}); take it from where the model is from"
        ) from error
