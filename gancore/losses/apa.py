"""Adaptive pseudo augmentation: the discriminator is shown some fakes as real samples, so that it cannot be too sure of itself.

It does to samples of any kind what augmentations of pictures do to pictures (Jiang et al. 2021).
"""

from __future__ import annotations

from torch import Tensor

from gancore.data.spec import SampleSpec
from gancore.options import StrengthOptions
from gancore.random import Draws


class ApaOptions(StrengthOptions):
    """Options of `apa`; the strength is the share of real samples that fakes stand for."""


class Apa:
    """Changes no sample: it says in which rows the discriminator and its penalties are shown a fake as real, made from other latents.

    The generator's phase sees the real samples.
    """

    def __init__(self, options: ApaOptions, spec: SampleSpec | None = None) -> None:
        self.strength = options.strength

    def __call__(self, x: Tensor, draws: Draws) -> Tensor:
        return x

    def deceived(self, draws: Draws) -> Tensor | None:
        return draws.uniform("deceived") < self.strength if self.strength else None
