"""Doubling of maps at the price of a strided convolution, without its checkerboards."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Upsampling(nn.ConvTranspose2d):
    """Nearest-neighbour doubling, then a 3x3 convolution, as one transposed convolution of 4x4 weights.

    Neighbouring pixels are made by the same nine weights, where a free 4x4 kernel has to learn that they belong together (Odena et
    al. 2016, "Deconvolution and Checkerboard Artifacts"). In one step that takes 4 multiplications a pixel and pair of channels,
    in two steps 9. Of up to four weights a number of the kernel is a quarter of the sum, so that Adam moves it no faster than a free
    one; weights of N(0, 2 s) then make kernels of about the scale of free ones of N(0, s).
    """

    def __init__(self, before: int, after: int, *, bias: bool = True) -> None:
        super().__init__(before, after, 3, bias=bias)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """`[batch, before, height, width]` to `[batch, after, 2 height, 2 width]`."""
        rows = F.pad(self.weight, (0, 0, 0, 1)) + F.pad(self.weight, (0, 0, 1, 0))
        kernel = 0.25 * (F.pad(rows, (0, 1)) + F.pad(rows, (1, 0)))
        return F.conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)
