"""Layers of StyleGAN: weights that are scaled where they are used, convolutions that a style modulates, resampling filters."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from gancore.random import Draws

LEAK = 0.2
GAIN = math.sqrt(2.0)
"""What the networks multiply by after each leaky ReLU; here by weights and biases before it, which is the same."""


def activate(x: Tensor) -> Tensor:
    """The leaky ReLU of all these layers."""
    return F.leaky_relu(x, LEAK)


def normalise(x: Tensor) -> Tensor:
    """Each row of `x` `[batch, features]` scaled to a mean square of 1."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def scale_of(layer: nn.Linear | nn.Conv2d) -> float:
    """1 / sqrt(fan-in), by which a weight that is N(0, 1) is multiplied; 1 where something else sets its scale (spectral norm)."""
    return 1.0 if is_parametrized(layer, "weight") else layer.weight[0].numel() ** -0.5


class EqualLinear(nn.Linear):
    """A linear layer with an equalised learning rate (Karras et al. 2018, "Progressive growing of GANs").

    The weights are N(0, 1) at first and multiplied by `gain / sqrt(fan_in)` at each use, so that an optimizer that takes
    steps of equal length, such as Adam, changes all layers equally fast. `rate` makes it slower: what is stored is divided
    by it.
    """

    def __init__(self, before: int, after: int, *, gain: float = 1.0, rate: float = 1.0, bias: float = 0.0) -> None:
        super().__init__(before, after)
        self.gain, self.rate = gain, rate
        nn.init.normal_(self.weight, std=1.0 / rate)
        nn.init.constant_(self.bias, bias / rate)

    def forward(self, input: Tensor) -> Tensor:
        factor = self.gain * self.rate
        return F.linear(input, self.weight * (factor * scale_of(self)), self.bias * factor)


class EqualConv2d(nn.Conv2d):
    """A convolution with an equalised learning rate, that keeps the size."""

    def __init__(self, before: int, after: int, kernel: int, *, gain: float = 1.0, bias: bool = True) -> None:
        super().__init__(before, after, kernel, padding=kernel // 2, bias=bias)
        self.gain = gain
        nn.init.normal_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias * self.gain
        return F.conv2d(input, self.weight * (self.gain * scale_of(self)), bias, padding=self.padding)


class ModulatedConv2d(nn.Conv2d):
    """A convolution whose input channels are scaled by a style of each sample (Karras et al. 2020), twice the size with `up`.

    Its weights `W * s`, demodulated to unit length for each output channel, are others for every sample. Scaling the maps
    instead, `d * (W conv (s * x))` with `d = 1 / |W * s|`, gives the same by one convolution for the whole batch.
    """

    def __init__(self, before: int, after: int, kernel: int, style: int, *, up: bool = False) -> None:
        super().__init__(before, after, kernel, padding=kernel // 2, bias=False)
        nn.init.normal_(self.weight)
        self.style = EqualLinear(style, before, bias=1.0)
        self.blur = Filter(4.0) if up else None

    def forward(self, x: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Maps `x` `[batch, before, ...]`, styles `w` `[batch, style]`; convolved maps `[batch, after, ...]`, `d` `[batch, after]`."""
        style = self.style(w)
        scaled = x * style[:, :, None, None]
        if self.blur is None:
            y = F.conv2d(scaled, self.weight, padding=self.padding)
        else:
            # The filter spreads pixels over the zeros between them: a quarter of the work of enlarging first.
            y = self.blur(F.conv_transpose2d(scaled, self.weight.transpose(0, 1), stride=2))
        return y, torch.rsqrt(F.linear(style.square(), self.weight.square().sum(dim=(2, 3))) + 1e-8)


class StyledConv(nn.Module):
    """A modulated convolution with noise of learnt strength, bias and leaky ReLU."""

    def __init__(self, before: int, after: int, style: int, *, up: bool, noise: bool) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(before, after, 3, style, up=up)
        self.bias = nn.Parameter(torch.zeros(after))
        self.strength = nn.Parameter(torch.zeros(())) if noise else None

    def forward(self, x: Tensor, w: Tensor, draws: Draws | None) -> Tensor:
        """Maps `x` `[batch, before, height, width]` and styles `w` `[batch, style]`; the noise is drawn from `draws`."""
        y, demodulation = self.conv(x, w)
        shift = (self.bias * GAIN)[:, None, None]
        if self.strength is not None and draws is not None:
            shift = shift + draws.normal("noise", 1, *y.shape[2:]).to(y.dtype) * (self.strength * GAIN)
        return activate(torch.addcmul(shift, y, (demodulation * GAIN)[:, :, None, None]))


class ToImage(ModulatedConv2d):
    """A 1x1 convolution to the channels of an image, modulated and not demodulated."""

    def __init__(self, before: int, channels: int, style: int) -> None:
        super().__init__(before, channels, 1, style)
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:  # type: ignore[override]
        style = self.style(w) * scale_of(self)
        return F.conv2d(x * style[:, :, None, None], self.weight, self.shift)


class Filter(nn.Module):
    """The filter [1, 3, 3, 1] in both directions on each channel, times `gain`; one row and column are lost, with `stride` 2 half."""

    kernel: Tensor

    def __init__(self, gain: float = 1.0, *, stride: int = 1) -> None:
        super().__init__()
        row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8.0
        self.register_buffer("kernel", (gain * row[:, None] * row)[None, None], persistent=False)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        kernel = self.kernel.to(x.dtype).expand(channels, 1, 4, 4)
        return F.conv2d(x, kernel, stride=self.stride, padding=1, groups=channels)


class MinibatchDeviation(nn.Module):
    """One more channel: how much the samples of a group differ (Karras et al. 2018).

    The batch is cut into groups of `group` samples, or of the next smaller number that divides it. The standard deviation
    within a group, averaged over channels and positions, is the same number for all its samples and positions.
    """

    def __init__(self, group: int) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, channels, height, width]` to `[batch, channels + 1, height, width]`."""
        batch, _, height, width = x.shape
        group = next(g for g in range(min(self.group, batch), 0, -1) if batch % g == 0)
        groups = x.float().unflatten(0, (group, -1))
        variance = (groups - groups.mean(dim=0)).square().mean(dim=0)  # torch.var took ten times as long here
        deviation = (variance + 1e-8).sqrt().mean(dim=(1, 2, 3)).to(x.dtype)
        channel = deviation.repeat(group).view(batch, 1, 1, 1).expand(-1, -1, height, width)
        return torch.cat([x, channel], dim=1)
