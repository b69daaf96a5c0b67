"""Differentiable augmentation of music, as strong as it must be: what ADA (Karras et al. 2020) is for pictures.

Every transform is drawn for each phrase by itself with the strength as its probability. None makes two distributions of phrases the
same at a strength below 1: shifts are around a circle, by differences of two equal draws, and velocities are multiplied by lognormal
numbers, so in each the Fourier transform of what is drawn is never negative, and with the share that is left alone it is never zero.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from gan_music.spec import MusicSpec
from gancore.data.spec import SampleSpec, require
from gancore.losses.adversarial import at_least_float32
from gancore.options import StrengthOptions, each_once
from gancore.random import Draws

Transform = Literal["transpose", "shift", "velocity"]


class MusicAdaOptions(StrengthOptions):
    """Options of `ada` for music; the strength is the probability of each transform."""

    policy: Annotated[tuple[Transform, ...], each_once("transform")] = Field(
        ("transpose", "shift", "velocity"), min_length=1, max_length=3, description="What is done."
    )
    transpose: int = Field(6, ge=0, le=60, description="Largest transposition, in semitones; drums stay.")
    shift: float = Field(0.125, ge=0.0, le=0.5, description="Largest shift in time, as a share of the phrase.")
    velocity: float = Field(
        0.25,
        ge=0.0,
        le=4.0,
        description="Standard deviation of the binary logarithm of what velocities are multiplied by.",
    )


class MusicAda:
    """Called `augment(x, draws)` on relaxed phrases `[batch, tracks * planes, time, pitch]` in [0, 1].

    Returns the same shape and type, and is linear in `x` for given draws. All tracks of a phrase are moved by the same, those that are
    given too, and what leaves the phrase or the range of pitches comes in on the other side, so that nothing is lost. Velocities may
    leave [0, 1]; where the data have none, they stay as they are.
    """

    def __init__(self, options: MusicAdaOptions, spec: SampleSpec) -> None:
        self.spec = require(spec, MusicSpec, "augmentation 'ada'")
        self.options = options
        self.strength = options.strength

    def __call__(self, x: Tensor, draws: Draws) -> Tensor:
        if not self.strength:
            return x
        y = at_least_float32(x)
        on = draws.uniform("on", 3) < self.strength
        if "transpose" in self.options.policy:
            moved = _rolled(y, draws, "transpose", self.options.transpose, on[:, 0], 3)
            drums = torch.tensor([t.drums for t in self.spec.tracks], device=x.device)
            y = torch.where(drums.repeat_interleave(self.spec.planes)[:, None, None], y, moved)
        if "shift" in self.options.policy:
            y = _rolled(y, draws, "shift", int(self.options.shift * y.shape[2]), on[:, 1], 2)
        if "velocity" in self.options.policy and self.spec.velocities > 1:
            octaves = draws.normal("velocity", 1, 1, 1, 1).to(y) * self.options.velocity
            factor = torch.where(on[:, 2, None, None, None, None], octaves, 0.0).exp2()
            planes = y.unflatten(1, (-1, self.spec.planes))
            y = torch.cat([planes[:, :, :2], planes[:, :, 2:] * factor], dim=2).flatten(1, 2)
        return y.to(x.dtype)


def _rolled(x: Tensor, draws: Draws, name: str, most: int, on: Tensor, dim: int) -> Tensor:
    """Phrases shifted along `dim` by up to `most` places, each by its own number, where `on` `[batch]`."""
    one, other = draws.integers(name, most + 1, 2).unbind(1)
    shift = (one - other) * on.to(one)
    size = x.shape[dim]
    places = (torch.arange(size, device=x.device) - shift[:, None]) % size
    places = places[:, None, :, None] if dim == 2 else places[:, None, None, :]
    return x.gather(dim, places.expand(x.shape))
