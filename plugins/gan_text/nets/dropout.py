"""Dropout of sequences, at each place anew or locked: the same entries at every place of a sample."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Dropout(nn.Dropout):
    """Leaves out a share `p` of the entries of `[batch, places, features]` in training (Srivastava et al. 2014).

    `locked` draws one mask a sample for all of its places, which in recurrent networks keeps what is remembered (Gal and
    Ghahramani 2016).
    """

    def __init__(self, p: float, locked: bool) -> None:
        super().__init__(p)
        self.locked = locked

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.p == 0.0:
            return input
        if not self.locked:
            return F.dropout(input, self.p)
        return input * F.dropout(input.new_ones(len(input), 1, input.shape[2]), self.p)
