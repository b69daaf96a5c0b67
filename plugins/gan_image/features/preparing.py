"""Images as networks want them: three channels, one size."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from gancore.errors import UsageError


def coloured(x: Tensor, who: str) -> Tensor:
    """Images uint8 `[n, 1, 3 or 4, height, width]` as float32 `[n, 3, height, width]` in 0..255; transparent ones lie on white.

    Raises:
        UsageError: they have another number of channels. `who` asks, for the message.
    """
    channels = x.shape[1]
    if channels not in (1, 3, 4):
        raise UsageError(
            f"{who} looks at grey and colour images, and these have {channels} channels; features.pixels={{}} takes any"
        )
    return on_white(x).expand(-1, 3, -1, -1)


def on_white(x: Tensor) -> Tensor:
    """Images uint8 `[n, channels, height, width]` as float32 in 0..255; those of four channels become three, and lie on white."""
    x = x.float()
    if x.shape[1] != 4:
        return x
    opaque = x[:, 3:] / 255.0
    return x[:, :3] * opaque + 255.0 * (1.0 - opaque)


def resized(x: Tensor, height: int, width: int) -> Tensor:
    """Images float32 `[n, channels, *, *]` in 0..255 brought to `height` and `width` by bicubic interpolation, not rounded.

    With the antialiasing filter of Pillow's, as Parmar et al. 2022, "On aliased resizing and surprising subtleties in GAN
    evaluation", found to be needed: without it, distances depend more on the resizing than on the images.
    """
    if x.shape[2:] == (height, width):
        return x
    size = (height, width)
    return functional.interpolate(x, size, mode="bicubic", antialias=True, align_corners=False).clamp_(0.0, 255.0)


def resized_as_tensorflow(x: Tensor, height: int, width: int) -> Tensor:
    """The same as TensorFlow 1 did it: bilinear, with row `i` taken from `i * rows / height`, and no antialiasing."""
    for axis, size in ((3, width), (2, height)):
        count = x.shape[axis]
        places = torch.arange(size, device=x.device) * (count / size)
        before = places.long()
        share = (places - before).view(-1, *[1] * (3 - axis))
        after = (before + 1).clamp_(max=count - 1)
        x = x.index_select(axis, before).lerp(x.index_select(axis, after), share)
    return x


def flattened(x: Tensor) -> Tensor:
    """Images uint8 `[n, channels, height, width]` as float32 `[n, size]` in [0, 1], averaged to at most 32 rows and columns."""
    rows, columns = (min(32, n) for n in x.shape[2:])
    return functional.adaptive_avg_pool2d(x.float() / 255.0, (rows, columns)).flatten(1)


def device_of(module: torch.nn.Module) -> torch.device:
    """Where the weights of `module` are."""
    return next(module.parameters()).device
