"""How well a discriminator tells real samples from fake ones, as a figure that depends on no loss and no scale of its logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def auc(real: Tensor, fake: Tensor) -> Tensor:
    """The area under the ROC curve of logits `[n]` of real and `[m]` of fake samples: a scalar in [0, 1].

    It is the share of pairs in which the real sample has the higher logit, ties counting half: 1 where all can be told apart,
    1/2 where a logit says nothing, 0 where all fakes are above all real ones.
    """
    return (1.0 + (real[:, None] - fake[None, :]).sign().mean()) / 2.0


SIGN = "discriminator/sign"
"""The figure that adaptive strengths of augmentations follow."""


def sign(real: Sequence[Tensor], fake: Sequence[Tensor], threshold: float | None) -> Tensor:
    """How often real samples are taken for real: the mean sign of their logits, in [-1, 1]; 0.6 where 80% are above `threshold`.

    `real` and `fake` are logits `[n, ...]` and `[m, ...]` of each head, of samples or of places in them. The figure rises when a
    discriminator learns its training set by heart (Karras et al. 2020). Where only differences of logits count (relativistic and
    Wasserstein losses) a logit alone says nothing, for all may be shifted by the same; `threshold` is then None, and the mean logit
    of the fakes stands for it.
    """
    with torch.no_grad():
        signs = [
            (r - (f.mean() if threshold is None else threshold)).sign().mean() for r, f in zip(real, fake, strict=True)
        ]
        return torch.stack(signs).mean()
