"""Small encoders of images in model folders of the library transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from gancore.nets.transformers_loader import load

SMALL = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "image_size": 16,
    "patch_size": 8,
}
PREPARING = {"size": {"height": 16, "width": 16}, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}


def save(folder: Path, kind: str, config: Any, preparing: Any = PREPARING) -> Any:
    """A new model in `folder`; the model."""
    library = load()
    torch.manual_seed(0)
    model = getattr(library, kind)(config).eval()
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(preparing))
    return model
