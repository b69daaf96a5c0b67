"""How varied samples are by themselves, whatever the real ones are."""

from __future__ import annotations

import torch
from torch import Tensor


def vendi(features: Tensor) -> float:
    """Vendi score: how many different samples there are, in effect; from 1 to n (Friedman and Dieng 2023).

    The exponential of the entropy of the eigenvalues of `K / n`, where K holds the cosines of the angles between features
    `[n, size]`. The eigenvalues other than 0 are those of the `[size, size]` matrix of the same vectors, so that n may be large.
    Features of length 0 count as alike, and as unlike any other.
    """
    if not len(features):
        return 0.0
    rows = features.double()
    rows = rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-300)
    empty = int((rows.norm(dim=1) < 0.5).sum())
    matrix = rows.T @ rows if len(rows) > rows.shape[1] else rows @ rows.T
    values = torch.linalg.eigvalsh(matrix / len(rows)).clamp(min=0.0)
    values = torch.cat([values, torch.tensor([empty / len(rows)], dtype=torch.float64)])
    values = values[values > 1e-15]
    return float(torch.exp(-(values * values.log()).sum()))
