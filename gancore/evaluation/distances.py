"""How far apart the distributions of two sets of features lie."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gancore.random import derive

Floats = npt.NDArray[np.float64]

_ROWS = 4096
"""Rows that are made float64 at once, to bound memory."""
_SIZES = 15
"""Numbers of samples at which the Fréchet distance is extrapolated from."""
_KERNEL_VALUES = 30_000_000
"""Values of a kernel that are kept at once: 240 MB."""
_DIRECTIONS = 1000
_AT_ONCE = 50
"""Directions that are looked along at once."""
FEW = 10
"""Fewer samples than this for each dimension, and most of a Fréchet distance is the error of the covariances."""


@dataclass(frozen=True)
class Moments:
    """Mean `[size]` and covariance `[size, size]` of features, float64, and of how many samples they are."""

    mean: Floats
    covariance: Floats
    count: int

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """Those of `features` `[n, size]`; the covariance is divided by n - 1, and 0 for a single sample."""
        count, size = features.shape
        mean = features.double().mean(dim=0)
        product = torch.zeros(size, size, dtype=torch.float64)
        for rows in features.split(_ROWS):
            centred = rows.double() - mean
            product.addmm_(centred.T, centred)
        return cls(mean.numpy(), (product / max(1, count - 1)).numpy(), count)

    @cached_property
    def root(self) -> Floats:
        """A factor `[size, rank]` whose product with its own transpose is the covariance."""
        values, vectors = np.linalg.eigh(self.covariance)
        kept = values > 1e-14 * max(values[-1], 1e-300)
        factor: Floats = vectors[:, kept] * np.sqrt(values[kept])
        return factor


def frechet(first: Tensor | Moments, second: Tensor | Moments) -> float:
    """Squared Fréchet distance of the Gaussians with the means and covariances of features `[n, size]` and `[m, size]`.

    `|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))` (Dowson and Landau 1982; Heusel et al. 2017 for Inception's features). The trace
    of the root is the sum of the roots of the eigenvalues of `R^T S1 R` for `S2 = R R^T`, which is symmetric, so that it is real
    and no root of a near-singular product is taken. Moments of the second set are best made once where it is compared often.
    """
    one, other = (part if isinstance(part, Moments) else Moments.of(part) for part in (first, second))
    shared = np.sqrt(np.linalg.eigvalsh(other.root.T @ one.covariance @ other.root).clip(min=0.0)).sum()
    apart = ((one.mean - other.mean) ** 2).sum()
    return max(0.0, float(apart + np.trace(one.covariance) + np.trace(other.covariance) - 2.0 * shared))


def frechet_at_infinity(generated: Tensor, real: Tensor | Moments) -> float:
    """The Fréchet distance that endlessly many generated samples would have (Chong and Forsyth 2020, "Effectively unbiased FID").

    The distance to `real` is taken for 15 numbers of samples, from a tenth of those that there are, or 5,000, to all; it grows
    in proportion to 1/n, and the line through them is followed to 0. It can fall below 0 where both are alike. Rows of
    `generated` `[n, size]` are expected in random order, n at least 20.
    """
    count = len(generated)
    whole = real if isinstance(real, Moments) else Moments.of(real)
    sizes = np.unique(np.linspace(min(5000, max(10, count // 10)), count, _SIZES).astype(np.int64))
    order = torch.randperm(count, generator=torch.Generator().manual_seed(derive(0, "frechet-at-infinity")))
    found = [frechet(generated[order[:size]], whole) for size in sizes]
    _, intercept = np.polyfit(1.0 / sizes, found, 1)
    return float(intercept)


def kernel(
    first: Tensor, second: Tensor, *, subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> tuple[float, float]:
    """Kernel distance: mean and standard deviation, over random subsets, of the squared maximum mean discrepancy.

    The unbiased estimate with the kernel `(x.y / size + 1)^3` (Bińkowski et al. 2018, "Demystifying MMD GANs"), which is near 0, and
    may lie below, for two sets of one distribution whatever their size. Subsets have `subset_size` samples, or as many as
    the smaller set; the draws are those of torch-fidelity. Where that is all of both, one subset is looked at, and 0 is the deviation.
    """
    size = min(subset_size, len(first), len(second))
    if size < 2:
        return math.nan, math.nan
    if size == len(first) == len(second):
        subsets = 1  # others hold the same samples, and would differ by rounding
    draws = np.random.RandomState(seed)
    chosen = [
        [torch.from_numpy(draws.choice(len(x), size, replace=False)) for x in (first, second)] for _ in range(subsets)
    ]
    found = np.zeros(subsets)
    for one, other in ((0, 0), (1, 1), (0, 1)):
        x, y = (first, second)[one], (first, second)[other]
        # Where subsets overlap much, all values at once are fewer.
        whole = _cubic(x, y) if len(x) * len(y) <= min(_KERNEL_VALUES, subsets * size * size) else None
        for number, rows in enumerate(chosen):
            some = _cubic(x[rows[one]], y[rows[other]]) if whole is None else whole[rows[one][:, None], rows[other]]
            if one == other:
                found[number] += float(some.sum() - some.diagonal().sum()) / (size * (size - 1))
            else:
                found[number] -= 2.0 * float(some.mean())
    return float(np.mean(found)), float(np.std(found))


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    return (x.double() @ y.double().T).div_(x.shape[1]).add_(1.0).pow_(3)


def mind(first: Tensor, second: Tensor, *, directions: int = _DIRECTIONS, seed: int = 0) -> float:
    """Sliced Wasserstein distance: `3 size` times the mean over random directions of the squared Wasserstein-2 distance along each.

    MIND (Berthet et al. 2026, "MIND: Monge Inception Distance for generative models evaluation", there of Inception's features). It
    needs no covariances, so that a few thousand samples say what Fréchet distances need ten times as many for. Along a
    direction, the distance is that of the sorted values; of a larger set the first rows are taken. A shift of all features by `v`
    gives `3 |v|^2` on average.
    """
    count, size = min(len(first), len(second)), first.shape[1]
    draws = torch.Generator().manual_seed(derive(seed, "mind"))
    total = 0.0
    for begin in range(0, directions, _AT_ONCE):
        along = torch.randn(size, min(_AT_ONCE, directions - begin), generator=draws)
        along /= along.norm(dim=0)
        one, other = ((part[:count].float() @ along).sort(dim=0).values for part in (first, second))
        total += float((one - other).double().square().mean(dim=0).sum())
    return 3.0 * size * total / directions


@dataclass(frozen=True, slots=True)
class PrincipalComponents:
    """The directions in which features vary most: their `mean` `[size]` and `directions` `[size, count]`, float64."""

    mean: Tensor
    directions: Tensor

    @classmethod
    def of(cls, features: Tensor, count: int) -> PrincipalComponents:
        """The first `count` of `features` `[n, size]`, or as many as there can be."""
        from scipy.linalg import eigh  # slow to import

        kept = max(1, min(count, features.shape[1], len(features) - 1))
        if len(features) < features.shape[1]:
            # Those of the products of samples, which are fewer than features, are the same directions.
            mean = features.double().mean(dim=0)
            centred = features.double() - mean
            last = len(features) - 1
            _, vectors = eigh((centred @ centred.T).numpy(), subset_by_index=(last - kept + 1, last))
            directions = centred.T @ torch.from_numpy(vectors[:, ::-1].copy())
            return cls(mean, directions / directions.norm(dim=0).clamp_min(1e-300))
        moments, last = Moments.of(features), features.shape[1] - 1
        _, vectors = eigh(moments.covariance, subset_by_index=(last - kept + 1, last))
        return cls(torch.from_numpy(moments.mean), torch.from_numpy(vectors[:, ::-1].copy()))

    def first(self, count: int) -> PrincipalComponents:
        """The first `count` of them, or all where there are fewer."""
        return PrincipalComponents(self.mean, self.directions[:, :count])

    def __call__(self, features: Tensor) -> Tensor:
        """`features` `[n, size]` along them: float32 `[n, count]`."""
        parts = [((rows.double() - self.mean) @ self.directions).float() for rows in features.split(_ROWS)]
        return torch.cat(parts) if parts else features.new_zeros(0, self.directions.shape[1])
