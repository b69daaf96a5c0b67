"""Samples out of a data set, as tests look at them."""

from __future__ import annotations

import torch
from torch import Tensor

from gancore.components import DataSource
from gancore.random import Draws


def fetch(source: DataSource, *indices: int, seed: int = 0) -> tuple[Tensor, Tensor | None]:
    """Samples and labels at `indices`, or all there are, each drawn for its index."""
    at = torch.tensor(indices or range(len(source)))
    return source.fetch(at, Draws(seed, at))
