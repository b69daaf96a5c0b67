"""The buffers of networks (running statistics, singular vectors), looked up quickly in every step."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from gancore.errors import BreachError
from gancore.games.breach import form


class Buffers:
    """Where the buffers of some modules are kept; `now` asks anew, as a module may replace a buffer instead of changing it.

    Walking over all modules, as `nn.Module.buffers` does, took longer than everything else that is done between updates.
    """

    def __init__(self, modules: Iterable[nn.Module], without: Iterable[Tensor] = ()) -> None:
        seen = {id(b) for b in without}
        self._slots: list[tuple[dict[str, Tensor | None], str]] = []
        self._names: list[tuple[nn.Module, str]] = []
        for module in modules:
            for path, part in module.named_modules():
                for name, buffer in part._buffers.items():
                    if buffer is not None and id(buffer) not in seen:
                        seen.add(id(buffer))
                        self._slots.append((part._buffers, name))
                        self._names.append((module, f"{path}.{name}".lstrip(".")))
        self._forms = [(b.shape, b.dtype) for b in self.now()]

    def now(self) -> list[Tensor]:
        """The buffers, always in the same order."""
        return [buffer for kept, name in self._slots if (buffer := kept[name]) is not None]

    def unchanged(self) -> list[Tensor]:
        """Those of `now`; raises `BreachError` where one is of another shape or type than at first, which could not be averaged,
        put back or resumed from."""
        found = self.now()
        if [(b.shape, b.dtype) for b in found] != self._forms:
            for (kept, name), (network, path), (shape, dtype) in zip(
                self._slots, self._names, self._forms, strict=True
            ):
                buffer = kept[name]
                if buffer is None or (buffer.shape, buffer.dtype) != (shape, dtype):
                    before = form(torch.empty(shape, dtype=dtype, device="meta"))
                    words = f"its buffer '{path}' was {before} and has become {form(buffer)}; keep its shape and type"
                    raise BreachError("architecture", network, words)
        return found
