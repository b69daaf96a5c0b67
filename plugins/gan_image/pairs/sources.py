"""Sources that are computed from their targets: what a generator is to draw out, colour, sharpen or fill."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

_WEIGHTS = (0.299, 0.587, 0.114)
"""Of red, green and blue in the light, as in ITU-R BT.601."""
_SMALLER = 4
_COVERED = 0.5
_MIDDLE = 128


def grey(x: Tensor) -> Tensor:
    """The light of images uint8 `[n, channels, height, width]`, `[n, 1, height, width]`; more than three channels are left out."""
    if x.shape[1] < 3:
        return x[:, :1]
    weights = torch.tensor(_WEIGHTS).view(1, 3, 1, 1)
    return (x[:, :3].float() * weights).sum(dim=1, keepdim=True).round().to(torch.uint8)


def edges(x: Tensor) -> Tensor:
    """Dark lines on white where an image changes, `[n, 1, height, width]`: the largest length over colours of Sobel's gradient.

    A step from black to white is black, one of a quarter of that half grey.
    """
    # In units of a 255th all but the root is whole numbers, which are exact in whatever order they are added.
    seen = F.pad(x[:, :3].float(), (1, 1, 1, 1), mode="replicate")
    rows = seen[:, :, :-2] + 2.0 * seen[:, :, 1:-1] + seen[:, :, 2:]
    columns = seen[..., :-2] + 2.0 * seen[..., 1:-1] + seen[..., 2:]
    across, down = rows[..., 2:] - rows[..., :-2], columns[:, :, 2:] - columns[:, :, :-2]
    length = (across.square() + down.square()).amax(dim=1, keepdim=True).sqrt() / (4.0 * 255.0)
    return (255.0 * (1.0 - length.sqrt()).clamp(0.0, 1.0)).round().to(torch.uint8)


def small(x: Tensor) -> Tensor:
    """Images as they look when a quarter as large, brought to their size again: squares of 4x4 pixels, each of its mean colour."""
    few = F.avg_pool2d(x.float(), _SMALLER, ceil_mode=True, count_include_pad=False)
    whole = few.repeat_interleave(_SMALLER, dim=2).repeat_interleave(_SMALLER, dim=3)
    return whole[..., : x.shape[2], : x.shape[3]].round().to(torch.uint8)


def masked(x: Tensor) -> Tensor:
    """Images whose middle, half as high and as wide, is grey."""
    rows, columns = ((round(side * _COVERED / 2), round(side * (1.0 - _COVERED / 2))) for side in x.shape[2:])
    covered = x.clone()
    covered[:, :, rows[0] : rows[1], columns[0] : columns[1]] = _MIDDLE
    return covered


COMPUTED: Mapping[str, Callable[[Tensor], Tensor]] = {"edges": edges, "grey": grey, "small": small, "masked": masked}
"""Hard images uint8 `[n, channels, height, width]` to hard sources of the same height and width."""
