"""The parts that a network consists of at its top level, in their order, whatever the architecture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

OWN = "parameters of its own"


@dataclass(frozen=True, slots=True)
class Stage:
    """Modules of a network, by the names that it has for them, in their order, and how many parameters they hold.

    One with no modules holds the parameters of the network itself.
    """

    modules: Mapping[str, nn.Module]
    parameters: int

    @property
    def name(self) -> str:
        """`project, layers.0`."""
        return ", ".join(self.modules) or OWN


def stages(network: nn.Module) -> list[Stage]:
    """The stages of `network`.

    These are its children that hold parameters, in the order in which they were registered; of a sequence or list of modules
    its members are taken instead, and of a child that holds all parameters its own children. Where all parameters of a child are
    vectors, as those of a normalisation are, it belongs to the stage before it. Parameters of the network itself come first.
    """
    own = sum(p.numel() for p in network.parameters(recurse=False))
    found = [Stage({}, own)] if own else []
    for name, child in _children(network):
        shapes = [p.shape for p in child.parameters()]
        if not shapes:
            continue
        count = sum(shape.numel() for shape in shapes)
        if all(len(shape) < 2 for shape in shapes) and found and found[-1].modules:
            found[-1] = Stage({**found[-1].modules, name: child}, found[-1].parameters + count)
        else:
            found.append(Stage({name: child}, count))
    return found


def _children(network: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    children = [(name, child) for name, child in network.named_children() if any(True for _ in child.parameters())]
    alone = len(children) == 1 and not any(True for _ in network.parameters(recurse=False))
    for name, child in children:
        inner = list(child.named_children())
        if isinstance(child, nn.Sequential | nn.ModuleList):
            yield from ((f"{prefix}{name}.{number}", member) for number, member in inner)
        elif alone and inner:
            yield from _children(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", child


def stage_of(found: Sequence[Stage], key: str) -> int:
    """The number of the stage that a tensor of the network's `state_dict` belongs to; of buffers of the network itself 0."""
    for number, stage in enumerate(found):
        if any(key.startswith(f"{name}.") for name in stage.modules):
            return number
    return 0
