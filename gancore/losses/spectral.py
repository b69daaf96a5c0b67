"""Spectral normalisation put on a network from outside, so that the network's own code needs to know nothing of it."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrizations import spectral_norm

from gancore.errors import GanError

LAYERS = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
    nn.Embedding,
)
"""Layers whose `weight` is normalised."""


def apply_spectral_norm(module: nn.Module) -> nn.Module:
    """Divide the weight of every linear, convolution and embedding layer by its spectral norm (Miyato et al. 2018).

    Works in place and returns `module`. Each forward pass in training mode refines the estimate of the spectral norm
    by one power iteration. A weight that is already parametrised (this or any other way) is left as it is; other
    layers, such as recurrent ones, are not touched. Raises `GanError`, before anything is changed, for a lazy layer
    and for a weight that is all zeros, which nothing can normalise.
    """
    layers = [(name, m) for name, m in module.named_modules() if isinstance(m, LAYERS) and _has_plain_weight(m)]
    for name, layer in layers:
        _check(name or type(layer).__name__, layer.weight)
    for _, layer in layers:
        spectral_norm(layer, "weight")
        norms = cast("nn.ModuleList", layer.parametrizations["weight"])  # type: ignore[index]
        norms[0] = _FullPrecision(norms[0])
        layer.train(layer.training)  # new parts come in training mode, whatever mode their layer is in
    return module


@torch.no_grad()
def settle(layer: nn.Module, iterations: int = 15) -> None:
    """Refine the estimate of the spectral norm of a layer whose weight was replaced, as often as torch does at first."""
    for norms in cast("nn.ModuleDict", layer.parametrizations).values():
        training = norms.training
        norms.train()
        for _ in range(iterations):
            norms()
        norms.train(training)


class _FullPrecision(nn.Module):
    """A parametrisation computed outside autocast: a power iteration in bfloat16 would settle on a wrong norm."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            return self.inner(weight)

    def right_inverse(self, value: Tensor) -> Tensor:
        """What is stored when someone assigns to the weight: the value itself, as torch does."""
        return value


def _has_plain_weight(layer: nn.Module) -> bool:
    """Whether `weight` is a parameter of the layer itself; under any parametrisation or norm hook it no longer is."""
    return any(name == "weight" for name, _ in layer.named_parameters(recurse=False))


def _check(name: str, weight: Tensor) -> None:
    if is_lazy(weight):
        raise GanError(
            f"spectral normalisation of '{name}': the layer is lazy and has no weight yet; "
            "give it its input size, or run one batch through the network when building it"
        )
    if not bool(weight.detach().any()):
        raise GanError(
            f"spectral normalisation of '{name}': all its weights are zero, so its largest singular value is 0; "
            "initialise it differently, or switch spectral normalisation off"
        )
