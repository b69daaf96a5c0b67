"""The buffers of networks (running statistics, singular vectors), looked up quickly in every step."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn


class Buffers:
    """Where the buffers of some modules are kept; `now` asks anew, as a module may replace a buffer instead of changing it.

    Walking over all modules, as `nn.Module.buffers` does, took longer than everything else that is done between updates.
    """

    def __init__(self, modules: Iterable[nn.Module], without: Iterable[Tensor] = ()) -> None:
        seen = {id(b) for b in without}
        self._slots: list[tuple[dict[str, Tensor | None], str]] = []
        for module in modules:
            for part in module.modules():
                for name, buffer in part._buffers.items():
                    if buffer is not None and id(buffer) not in seen:
                        seen.add(id(buffer))
                        self._slots.append((part._buffers, name))

    def now(self) -> list[Tensor]:
        """The buffers, always in the same order."""
        return [buffer for kept, name in self._slots if (buffer := kept[name]) is not None]
