"""Filling networks with the tensors of a checkpoint, all of them or none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from gancore.errors import CheckpointError, MisfitError
from gancore.finite import not_finite, oddities


def check_fits(module: nn.Module, tensors: Mapping[str, Tensor], what: str, origin: Path | None = None) -> None:
    """Make sure that `tensors` can fill `module`, which must be as it was built; nothing is changed.

    Raises:
        CheckpointError: there are numbers that are not finite; MisfitError where names, shapes or types differ. The first are named.
    """
    own = module.state_dict()
    missing = [k for k in own if k not in tensors]
    extra = [k for k in tensors if k not in own]
    both = [(k, v, own[k]) for k, v in tensors.items() if k in own]
    shapes = [f"{k} is {tuple(v.shape)}, expected {tuple(o.shape)}" for k, v, o in both if v.shape != o.shape]
    types = [f"{k} is {_type(v)}, expected {_type(o)}" for k, v, o in both if v.dtype != o.dtype]
    place = f"checkpoint '{origin}': " if origin else ""
    if missing or extra or shapes or types:
        details = [f"missing: {', '.join(missing[:3])}"] if missing else []
        details += [f"not expected: {', '.join(name[:80] for name in extra[:3])}"] if extra else []
        details += [f"of another shape: {'; '.join(shapes[:3])}"] if shapes else []
        details += [f"of another type: {'; '.join(types[:3])}"] if types else []
        raise MisfitError(
            f"{place}the saved {what} does not fit the network of this configuration ({'; '.join(details)}); put back what was "
            "changed in config.toml"
        )
    if below := [k for k, v in tensors.items() if k.rpartition(".")[2] == "running_var" and bool((v < 0).any())]:
        raise CheckpointError(f"{place}the saved {what} has variances below zero, in {', '.join(below[:3])}")
    if bad := not_finite(tensors, oddities(module)):
        raise CheckpointError(f"{place}the saved {what} has numbers that are not finite, in {', '.join(bad[:3])}")


def load_module(module: nn.Module, tensors: Mapping[str, Tensor], what: str, origin: Path | None = None) -> None:
    """Fill `module` with `tensors`, all of them or none.

    Raises:
        CheckpointError: as `check_fits`.
    """
    check_fits(module, tensors, what, origin)
    module.load_state_dict(dict(tensors))


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
