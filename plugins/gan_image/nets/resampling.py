"""Convolutions that double or halve maps at the price of strided ones, and leave no checkerboards."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Upsampling(nn.ConvTranspose2d):
    """Nearest-neighbour doubling, then a 3x3 convolution, as one transposed convolution of 4x4 weights.

    Neighbouring pixels are made by the same nine weights, where a free 4x4 kernel has to learn that they belong together (Odena et
    al. 2016, "Deconvolution and Checkerboard Artifacts"). In one step that takes 4 multiplications a pixel and pair of channels,
    in two steps 9. Weights are halved where they are used, so that those of N(0, s) make 4x4 kernels of about the same scale.
    """

    def __init__(self, before: int, after: int, *, bias: bool = True) -> None:
        super().__init__(before, after, 3, bias=bias)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """`[batch, before, height, width]` to `[batch, after, 2 height, 2 width]`."""
        return F.conv_transpose2d(x, _boxed(self.weight), self.bias, stride=2, padding=1)


class Downsampling(nn.Conv2d):
    """A 3x3 convolution, then twice the mean of 2x2 pixels, as one convolution of 4x4 weights and stride 2."""

    def __init__(self, before: int, after: int, *, bias: bool = True) -> None:
        super().__init__(before, after, 3, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, before, height, width]` to `[batch, after, height / 2, width / 2]`."""
        return F.conv2d(x, _boxed(self.weight), self.bias, stride=2, padding=1)


def _boxed(weight: Tensor) -> Tensor:
    """Half of `weight` `[*, *, 3, 3]` convolved with 2x2 ones: `[*, *, 4, 4]`."""
    rows = F.pad(weight, (0, 0, 0, 1)) + F.pad(weight, (0, 0, 1, 0))
    return 0.5 * (F.pad(rows, (0, 1)) + F.pad(rows, (1, 0)))
