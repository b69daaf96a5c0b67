"""How well a discriminator tells real samples from fake ones, as a figure that depends on no loss and no scale of its logits."""

from __future__ import annotations

from torch import Tensor


def auc(real: Tensor, fake: Tensor) -> Tensor:
    """The area under the ROC curve of logits `[n]` of real and `[m]` of fake samples: a scalar in [0, 1].

    It is the share of pairs in which the real sample has the higher logit, ties counting half: 1 where all can be told apart,
    1/2 where a logit says nothing, 0 where all fakes are above all real ones.
    """
    return (1.0 + (real[:, None] - fake[None, :]).sign().mean()) / 2.0
