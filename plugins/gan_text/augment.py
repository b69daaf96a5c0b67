"""Differentiable augmentation of texts, as strong as it must be: what ADA (Karras et al. 2020) is for pictures.

At a strength p below 1 no two distributions of texts become the same. Leaving out tokens independently, with a known probability
below 1, can be undone in distribution, and has no negative eigenvalue. Exchanging spans has none below -1, and happens with
probability p / 2, which leaves at least 1 - p of every eigenvalue.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from gan_text.nets.reading import up_to_end
from gan_text.spec import TextSpec
from gancore.data.spec import SampleSpec, require
from gancore.losses.adversarial import at_least_float32
from gancore.options import StrengthOptions, each_once
from gancore.random import Draws

Transform = Literal["dropout", "swap"]


class TextAdaOptions(StrengthOptions):
    """Options of `ada` for texts; the strength is the probability that a text loses tokens, and twice that of exchanging spans."""

    policy: Annotated[tuple[Transform, ...], each_once("transform")] = Field(
        ("dropout", "swap"), min_length=1, max_length=2, description="What is done, in this order."
    )
    dropout: float = Field(
        0.1, ge=0.0, le=0.9, description="Share of the tokens that become unknown, in a text that loses some."
    )


class TextAda:
    """Called `augment(x, draws)` on relaxed texts `[batch, length, vocabulary]`, points on the simplex.

    Returns the same shape and type, on the simplex, and is affine in `x` for given draws and lengths. A text keeps its length: only
    tokens before its end, which is where the likeliest token is one, are left out or move. What is left out becomes the unknown token,
    or where there is none the first that is no end. Two spans that are exchanged lie side by side, anywhere in the text.
    """

    def __init__(self, options: TextAdaOptions, spec: SampleSpec) -> None:
        spec = require(spec, TextSpec, "augmentation 'ada'")
        self.options = options
        self.strength = options.strength
        self._end = spec.end
        self._unknown = (0 if spec.end else 1) if spec.unknown is None else spec.unknown

    def __call__(self, x: Tensor, draws: Draws) -> Tensor:
        if not self.strength:
            return x
        y = at_least_float32(x)
        likeliest = x.detach().argmax(-1)
        inside = up_to_end(likeliest, self._end) & (likeliest != self._end)
        on = draws.uniform("on", 2)
        for name in self.options.policy:
            if name == "dropout":
                lost = inside & (draws.uniform("dropout", x.shape[1]) < self.options.dropout)
                lost = lost & (on[:, :1] < self.strength)
                nothing = torch.zeros_like(y[0, 0])
                nothing[self._unknown] = 1.0
                y = torch.where(lost[..., None], nothing, y)
            else:
                y = _exchanged(y, inside.sum(1), on[:, 1] < self.strength / 2.0, draws)
        return y.to(x.dtype)


def _exchanged(x: Tensor, lengths: Tensor, on: Tensor, draws: Draws) -> Tensor:
    """Texts with two neighbouring spans of their first `lengths` `[batch]` tokens exchanged, where `on` `[batch]`."""
    cuts = (draws.uniform("cuts", 3).sort(1).values * (lengths[:, None] + 1)).to(torch.int64)
    first, middle, last = torch.where(on[:, None], cuts, 0).unbind(1)
    places = torch.arange(x.shape[1], device=x.device).expand(len(x), -1)
    since = places - first[:, None]
    behind = (last - middle)[:, None]  # so many places are taken by what was the second span
    source = torch.where(since < behind, since + middle[:, None], since - behind + first[:, None])
    moved = (since >= 0) & (places < last[:, None])
    return x[torch.arange(len(x), device=x.device)[:, None], torch.where(moved, source, places)]
