"""Inception-v3 as FID is defined by it: Szegedy et al. 2015, with what differs in the TensorFlow graph of that year."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

SIZE = 299
"""Height and width in pixels of the images that it was trained with."""
FEATURES = 2048
_EPSILON = 1e-3

_Pool = Literal["average", "max", "halving"]

# Columns of a block: their convolutions by name, channels and kernel, one after another, or side by side (|).
_MIXED_5 = (
    "branch1x1 64 1x1",
    "branch5x5_1 48 1x1, branch5x5_2 64 5x5",
    "branch3x3dbl_1 64 1x1, branch3x3dbl_2 96 3x3, branch3x3dbl_3 96 3x3",
)
_MIXED_6 = (
    "branch1x1 192 1x1",
    "branch7x7_1 {0} 1x1, branch7x7_2 {0} 1x7, branch7x7_3 192 7x1",
    "branch7x7dbl_1 {0} 1x1, branch7x7dbl_2 {0} 7x1, branch7x7dbl_3 {0} 1x7, branch7x7dbl_4 {0} 7x1, branch7x7dbl_5 192 1x7",
)
_MIXED_7 = (
    "branch1x1 320 1x1",
    "branch3x3_1 384 1x1, branch3x3_2a 384 1x3 | branch3x3_2b 384 3x1",
    "branch3x3dbl_1 448 1x1, branch3x3dbl_2 384 3x3, branch3x3dbl_3a 384 1x3 | branch3x3dbl_3b 384 3x1",
)
_HALVING_6 = ("branch3x3 384 3x3", _MIXED_5[2])
_HALVING_7 = (
    "branch3x3_1 192 1x1, branch3x3_2 320 3x3",
    "branch7x7x3_1 192 1x1, branch7x7x3_2 192 1x7, branch7x7x3_3 192 7x1, branch7x7x3_4 192 3x3",
)


class InceptionV3(nn.Module):
    """Images float32 `[batch, 3, 299, 299]` in about [-1, 1] to the 2,048 means over all places of the last block ("pool3").

    Names are those of the published weights. As in the graph, averages next to the border are of the pixels that there are, and
    the last block has a maximum where the paper has an average.
    """

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Conv(3, 32, "3x3", stride=2)
        self.Conv2d_2a_3x3 = _Conv(32, 32, "3x3", padded=False)
        self.Conv2d_2b_3x3 = _Conv(32, 64, "3x3")
        self.Conv2d_3b_1x1 = _Conv(64, 80, "1x1")
        self.Conv2d_4a_3x3 = _Conv(80, 192, "3x3", padded=False)
        self.Mixed_5b = _Mixed(192, _MIXED_5, "average", 32)
        self.Mixed_5c = _Mixed(256, _MIXED_5, "average", 64)
        self.Mixed_5d = _Mixed(288, _MIXED_5, "average", 64)
        self.Mixed_6a = _Mixed(288, _HALVING_6, "halving")
        for name, width in (("b", 128), ("c", 160), ("d", 160), ("e", 192)):
            columns = [column.format(width) for column in _MIXED_6]
            self.add_module(f"Mixed_6{name}", _Mixed(768, columns, "average", 192))
        self.Mixed_7a = _Mixed(768, _HALVING_7, "halving")
        self.Mixed_7b = _Mixed(1280, _MIXED_7, "average", 192)
        self.Mixed_7c = _Mixed(2048, _MIXED_7, "max", 192)

    def forward(self, x: Tensor) -> Tensor:
        """Features `[batch, 2048]` of images `[batch, 3, 299, 299]`."""
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = functional.max_pool2d(x, 3, stride=2)
        x = functional.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, stride=2)
        for name, block in self.named_children():
            if name.startswith("Mixed"):
                x = block(x)
        return x.mean(dim=(2, 3))

    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Take over published weights; those of the classifier at the end are left aside.

        Raises:
            KeyError: a weight is missing.
            RuntimeError: one has another shape.
        """
        wanted = [name for name in self.state_dict() if not name.endswith("num_batches_tracked")]
        self.load_state_dict({name: state[name] for name in wanted}, strict=False)
        for module in self.modules():
            if isinstance(module, _Conv):
                module.fold()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class _Conv(nn.Module):
    """A convolution, batch normalisation and ReLU."""

    bn: nn.Module

    def __init__(self, before: int, after: int, kernel: str, *, stride: int = 1, padded: bool = True) -> None:
        super().__init__()
        rows, columns = map(int, kernel.split("x"))
        padding = (rows // 2, columns // 2) if padded and stride == 1 else (0, 0)
        self.conv = nn.Conv2d(before, after, (rows, columns), stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(after, eps=_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(x)), inplace=True)

    def fold(self) -> None:
        """Make one convolution of both, since the network only ever looks."""
        if isinstance(self.bn, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv.eval(), self.bn.eval())
            self.bn = nn.Identity()


class _Mixed(nn.Module):
    """Columns of convolutions and a pooled one, side by side; with `halving` their last convolutions have a stride of 2."""

    def __init__(self, before: int, columns: Sequence[str], pool: _Pool, pooled: int = 0) -> None:
        super().__init__()
        self.pool = pool
        self.columns = [[step.split(" | ") for step in column.split(", ")] for column in columns]
        for steps in self.columns:
            width = before
            for number, step in enumerate(steps, 1):
                stride = 2 if pool == "halving" and number == len(steps) else 1
                after = 0
                for conv in step:
                    name, channels, kernel = conv.split()
                    self.add_module(name, _Conv(width, int(channels), kernel, stride=stride))
                    after += int(channels)
                width = after
        self.branch_pool = _Conv(before, pooled, "1x1") if pooled else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        found = []
        for column in self.columns:
            y = x
            for step in column:
                y = torch.cat([self.get_submodule(conv.split()[0])(y) for conv in step], dim=1)
            found.append(y)
        if self.pool == "average":
            y = functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        elif self.pool == "max":
            y = functional.max_pool2d(x, 3, stride=1, padding=1)
        else:
            y = functional.max_pool2d(x, 3, stride=2)
        return torch.cat([*found, self.branch_pool(y)], dim=1)
