"""Networks that are trained once on some samples, such as a judge's, and kept on disk for the next time."""

from __future__ import annotations

from collections.abc import Callable

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from gancore.data.cache import CacheItem


def filled(model: nn.Module, kind: str, key: str, train: Callable[[], object]) -> None:
    """Fill `model` with the weights that are kept under `key` among those of its `kind`; or else train it, and keep them.

    `key` says all that the weights depend on. Where `train` ends in an error, nothing is kept.
    """
    item = CacheItem(kind, key, ".safetensors")
    if item.data is not None and item.read() is not None and item.intact():
        try:
            model.load_state_dict(load(item.data.read_bytes()))
        except (OSError, SafetensorError, RuntimeError, ValueError):
            pass
        else:
            return
    train()
    weights = save({name: value.contiguous() for name, value in model.state_dict().items()})
    item.save({}, lambda file: file.write(weights))
