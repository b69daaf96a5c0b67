"""Tensors that were worked out once, such as the weights of a judge, and are kept on disk for the next time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from gancore.data.cache import CacheItem

_ROWS = 1024
"""Rows that are looked at together, to bound memory."""


def digest(said: object, *tensors: Tensor) -> str:
    """A digest of `said`, which can be written as JSON, and of the types, shapes and bytes of tensors."""
    found = hashlib.blake2b(json.dumps(said).encode(), digest_size=16)
    for one in tensors:
        found.update(f"{one.dtype} {list(one.shape)}".encode())
        for rows in one.split(_ROWS) if one.dim() else (one,):
            found.update(rows.contiguous().flatten().view(torch.uint8).cpu().numpy().data)
    return found.hexdigest()


class KeptTensors:
    """Those that are kept under `key`, which says all that they depend on, among others of their `kind`."""

    def __init__(self, kind: str, key: str) -> None:
        self._item = CacheItem(kind, key, ".safetensors")

    def read(self) -> dict[str, Tensor]:
        """By name; none where there are none, or they are damaged."""
        data = self._item.data
        if data is None or self._item.read() is None or not self._item.intact():
            return {}
        try:
            return load(data.read_bytes())
        except (OSError, SafetensorError):
            return {}

    def save(self, tensors: Mapping[str, Tensor]) -> None:
        """Keep them, where the cache can be written to."""
        content = save({name: value.contiguous() for name, value in tensors.items()})
        self._item.save({}, lambda file: file.write(content))


def filled(model: nn.Module, kind: str, key: str, train: Callable[[], object]) -> None:
    """Fill `model` with the weights that are kept under `key` among those of its `kind`; or else train it, and keep them.

    Where `train` ends in an error, nothing is kept.
    """
    kept = KeptTensors(kind, key)
    if known := kept.read():
        try:
            model.load_state_dict(known)
        except (RuntimeError, ValueError):
            pass
        else:
            return
    train()
    kept.save(model.state_dict())
