"""Memory layout of image-like tensors: one wrong layout in a chain costs more than the right one gains."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def prefers_channels_last(network: nn.Module) -> bool:
    """Whether the engine has put the weights of `network` into channels_last."""
    for p in network.parameters():
        if p.dim() == 4 and not p.is_contiguous():
            return p.is_contiguous(memory_format=torch.channels_last)
    return False


def in_layout(x: Tensor, memory_format: torch.memory_format) -> Tensor:
    """`x` `[batch, channels, height, width]` in `memory_format`, by its strides too.

    With one channel both layouts hold the same bytes, and `contiguous` leaves strides that convolutions take for the other
    layout; everything after the first one would then be rearranged.
    """
    if memory_format == torch.channels_last and x.shape[1] == 1:
        batch, channels, height, width = x.shape
        return x.contiguous().as_strided((batch, channels, height, width), (height * width, 1, width, 1))
    return x.contiguous(memory_format=memory_format)
