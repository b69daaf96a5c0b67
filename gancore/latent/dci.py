"""DCI (Eastwood & Williams 2018): how well the numbers of codes account for attributes one by one, by lasso regression."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gancore.random import Draws

PENALTIES = np.geomspace(1.0, 1e-3, 40)
"""Of the lasso, as shares of the least one with which all coefficients are 0; those of least error are taken."""
FEWEST_OF_EACH = 20
"""Samples that a regression has to learn from, to choose its penalty by and to be tested on, at least."""


@dataclass(frozen=True, slots=True)
class DCI:
    """Scores of codes of `k` numbers against `m` factors.

    `importance` `[k, m]` are absolute coefficients of the lasso, all standardised. `errors` `[m]` are root mean squared errors on
    samples that no regression has seen, in standard deviations of the factor there: 0 where it is told exactly, 1 where its mean
    is as good a guess.
    """

    importance: Tensor
    errors: Tensor

    @property
    def disentanglement(self) -> float:
        """See `disentanglement`."""
        return disentanglement(self.importance)

    @property
    def completeness(self) -> float:
        """See `completeness`."""
        return completeness(self.importance)


def dci(codes: Tensor, factors: Tensor) -> DCI:
    """That of `codes` `[n, k]` and `factors` `[n, m]` in random order, NaN where a sample is without a factor, by a lasso for each.

    Half of the samples that have a factor are learnt from, a quarter chooses the penalty, and a quarter tests. Of a factor with
    less than `FEWEST_OF_EACH` samples in each part nothing is learnt: it has no importance, and an error of 1.
    """
    importance = torch.zeros(codes.shape[1], factors.shape[1], dtype=torch.float64)
    errors = torch.ones(factors.shape[1], dtype=torch.float64)
    for number, values in enumerate(factors.double().T):
        known = ~values.isnan()
        x, y = codes[known].double(), values[known]
        half, quarter = len(y) // 2, len(y) // 4
        if quarter < FEWEST_OF_EACH:
            continue
        learnt = slice(half)
        x = (x - x[learnt].mean(dim=0)) / _deviation(x[learnt])
        y = (y - y[learnt].mean()) / _deviation(y[learnt])
        paths = lasso(x[learnt], y[learnt])
        chooses, tests = slice(half, half + quarter), slice(half + quarter, None)
        best = int((x[chooses] @ paths - y[chooses, None]).square().mean(dim=0).argmin())
        importance[:, number] = paths[:, best].abs()
        error = (x[tests] @ paths[:, best] - y[tests]).square().mean().sqrt()
        errors[number] = error / _deviation(y[tests])
    return DCI(importance, errors)


def lasso(x: Tensor, y: Tensor) -> Tensor:
    """Coefficients `[k, PENALTIES]` of the lasso of `y` `[n]` on `x` `[n, k]`, both of mean 0, by falling penalties."""
    from sklearn.exceptions import ConvergenceWarning  # slow to import
    from sklearn.linear_model import lasso_path

    largest = float((x.T @ y).abs().max()) / len(y)
    if largest <= 1e-12:
        return torch.zeros(x.shape[1], len(PENALTIES), dtype=x.dtype)
    with warnings.catch_warnings():
        # Correlated codes converge slowly to coefficients that tell the same.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = lasso_path(x.numpy(), y.numpy(), alphas=largest * PENALTIES, precompute=True)[1]
    return torch.from_numpy(found)


def turned(codes: Tensor, seed: int) -> Tensor:
    """Standardised `codes` `[n, k]` in other coordinates, turned at random: what they tell is the same, but not number by number."""
    scaled = (codes - codes.mean(dim=0)) / _deviation(codes)
    rotation = torch.linalg.qr(Draws(seed, torch.arange(codes.shape[1])).normal("turn", codes.shape[1]).to(codes))[0]
    return scaled @ rotation


def disentanglement(importance: Tensor) -> float:
    """D: 1 where each number of the codes is important for one factor alone, 0 where all are so for all factors alike.

    For number i with shares `p_ij` of its importance it is 1 less the entropy of these to the base of how many factors there are;
    the mean weighs each number by its part of all importance. NaN without importance, or of a single factor.
    """
    weights = importance.sum(dim=1)
    return float(((1.0 - _entropy(importance.T)) * weights / weights.sum()).sum())


def completeness(importance: Tensor) -> float:
    """C: 1 where for each factor one number of the codes alone is important, 0 where all are alike.

    For factor j it is 1 less the entropy of the shares to the base of how many numbers there are. The mean is that of the factors
    for which something is important; NaN without such, or of codes of a single number.
    """
    return float((1.0 - _entropy(importance))[importance.sum(dim=0) > 0.0].mean())


def _entropy(importance: Tensor) -> Tensor:
    """That of each column `[m]` of `[k, m]` when it is made to add up to 1, to the base k; 0 of a column of zeros."""
    shares = importance / importance.sum(dim=0).clamp_min(1e-300)
    return -torch.special.xlogy(shares, shares).sum(dim=0) / math.log(len(shares))


def _deviation(values: Tensor) -> Tensor:
    """The standard deviation over the first dimension; 1 where nothing varies."""
    found = values.std(dim=0, correction=0)
    return torch.where(found > 1e-9 * values.abs().amax(dim=0), found, 1.0)
