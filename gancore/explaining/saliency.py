"""What a discriminator found false in a sample, place by place."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor, nn

from gancore.data.spec import SampleSpec
from gancore.games.calling import heads

_COLOURS = torch.tensor([[255, 255, 255], [253, 200, 120], [214, 72, 40], [80, 10, 40]], dtype=torch.float32)
"""From nothing to the most."""
_SIDE = 384
"""Pixels along the longer side of a picture of a map, about."""
_LEAST = 256, 96, 24
"""Pixels across, at least, and down: of several rows, and of one."""


def found_false(judge: nn.Module, spec: SampleSpec, hard: Tensor, condition: Tensor | None) -> tuple[float, Tensor]:
    """The logit of one hard sample `[1, ...]`, and how much it depends on each number of the relaxed sample: `[*spec.shape]`.

    With the logit D, the mean of all where there are several heads, and s the standard deviation of the numbers of the relaxed
    sample x, it is |dD/dx| s: by how much the logit would change if a number moved by s (saliency, Simonyan et al. 2014). It is large
    where another value would have been more, or less, convincing; it does not say which, nor what several numbers do together.
    """
    device = next(judge.parameters()).device
    x = spec.relax(hard.to(device)).detach().float().requires_grad_()
    with torch.enable_grad():
        logit = torch.stack([head.mean() for head in heads(judge(x, condition))]).mean()
        (slope,) = torch.autograd.grad(logit, x)
    return float(logit.detach()), (slope[0].abs() * x.detach().std()).cpu()


def plane(values: Tensor, hard_shape: tuple[int, ...]) -> Tensor:
    """A map `[*spec.shape]` as `[rows, columns]`: summed over what tokens and channels have, and one row where there is one axis.

    What is a token in a hard sample, of shape `hard_shape`, is a row over the vocabulary in a relaxed one, on the last axis. Channels
    come first.
    """
    if values.shape[:-1] == hard_shape:
        values = values.sum(dim=-1)
    while values.dim() > 2:
        values = values.sum(dim=0)
    return values if values.dim() == 2 else values[None]


def as_sample(values: Tensor, spec: SampleSpec) -> Tensor | None:
    """A map `[rows, columns]` as a hard sample `[1, ...]` of `spec`, brighter where it is larger; None where samples cannot show it.

    They can where they have the form `[channels, rows, columns]` and any value in [-1, 1] comes back from `harden`: pictures, and not
    notes that are on or off.
    """
    if len(spec.shape) != 3 or spec.shape[1:] != values.shape:
        return None
    relaxed = (2.0 * values / values.max().clamp_min(1e-30) - 1.0).expand(1, *spec.shape).contiguous()
    hard = spec.harden(relaxed)
    back = spec.relax(hard)
    return hard if back.shape == relaxed.shape and bool((back - relaxed).abs().max() < 0.02) else None


def heatmap(values: Tensor) -> Image.Image:
    """A map `[rows, columns]` as a picture: row 0 at the top, white for 0, dark for the largest value."""
    share = (values / values.max().clamp_min(1e-30)).clamp(0.0, 1.0) * (len(_COLOURS) - 1)
    low = share.floor().clamp(max=len(_COLOURS) - 2).long()
    colours = torch.lerp(_COLOURS[low], _COLOURS[low + 1], (share - low)[..., None])
    image = Image.fromarray(colours.round().to(torch.uint8).numpy())
    least = _LEAST[0], _LEAST[1] if image.height > 1 else _LEAST[2]
    size = [n * max(_SIDE // max(image.size), -(-few // n)) for n, few in zip(image.size, least, strict=True)]
    return image.resize((size[0], size[1]), Image.Resampling.NEAREST)
