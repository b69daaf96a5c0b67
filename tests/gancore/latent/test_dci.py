"""Scores of codes whose importance for each factor is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso

from gancore.latent.dci import PENALTIES, completeness, dci, disentanglement, lasso


def test_codes_of_one_factor_each_are_disentangled_and_complete() -> None:
    importance = torch.tensor([[3.0, 0.0], [0.0, 0.5], [0.0, 0.0]], dtype=torch.float64)
    assert (disentanglement(importance), completeness(importance)) == (1.0, 1.0)


def test_codes_that_are_alike_for_all_factors_have_no_score() -> None:
    importance = torch.full((3, 2), 0.7, dtype=torch.float64)
    assert disentanglement(importance) == pytest.approx(0.0, abs=1e-12)
    assert completeness(importance) == pytest.approx(0.0, abs=1e-12)


def test_scores_are_those_worked_out_by_hand() -> None:
    importance = torch.tensor([[3.0, 1.0], [2.0, 2.0], [0.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    # Both numbers weigh a half: one has shares of 3/4 and 1/4 to the base 2, the other is alike for both factors.
    entropy = 0.75 * math.log2(4 / 3) + 0.25 * math.log2(4)
    assert disentanglement(importance) == pytest.approx((1.0 - entropy) / 2.0)
    one = (0.6 * math.log(5 / 3) + 0.4 * math.log(5 / 2)) / math.log(4)
    other = (1 / 3 * math.log(3) + 2 / 3 * math.log(3 / 2)) / math.log(4)
    assert completeness(importance) == pytest.approx(1.0 - (one + other) / 2.0)


def test_a_factor_that_no_code_tells_of_has_no_completeness() -> None:
    assert completeness(torch.tensor([[1.0, 0.0], [1.0, 0.0], [2.0, 0.0]])) == pytest.approx(
        1.0 - 1.5 / math.log2(3), abs=1e-6
    )


def test_what_cannot_be_said_is_not_a_number() -> None:
    assert math.isnan(disentanglement(torch.zeros(3, 2)))
    assert math.isnan(completeness(torch.zeros(3, 2)))
    assert math.isnan(disentanglement(torch.ones(3, 1)))
    assert math.isnan(completeness(torch.ones(1, 3)))


def test_coefficients_are_those_of_scikit_learn() -> None:
    torch.manual_seed(0)
    x = torch.randn(60, 5, dtype=torch.float64)
    y = x @ torch.tensor([2.0, -1.0, 0.0, 0.0, 0.3], dtype=torch.float64) + torch.randn(60, dtype=torch.float64)
    x, y = x - x.mean(dim=0), y - y.mean()
    paths = lasso(x, y)
    largest = np.abs(x.numpy().T @ y.numpy()).max() / 60
    for number in (0, 10, 39):
        wanted = (
            Lasso(alpha=largest * PENALTIES[number], fit_intercept=False, tol=1e-10).fit(x.numpy(), y.numpy()).coef_
        )
        np.testing.assert_allclose(paths[:, number], wanted, atol=2e-3)


def test_factors_that_are_codes_are_found_whatever_their_scale() -> None:
    torch.manual_seed(0)
    codes = torch.randn(2000, 4)
    factors = torch.stack([7.0 + 100.0 * codes[:, 1], -0.01 * codes[:, 3]], dim=1)
    factors[::3, 1] = torch.nan
    found = dci(codes * torch.tensor([1.0, 5.0, 1.0, 0.1]), factors)
    torch.testing.assert_close(
        found.importance, torch.tensor([[0, 0], [1, 0], [0, 0], [0, 1.0]]).double(), atol=0.02, rtol=0
    )
    assert found.disentanglement > 0.95
    assert found.completeness > 0.95
    assert float(found.errors.max()) < 0.02


def test_error_is_the_share_of_the_deviation_that_codes_do_not_tell() -> None:
    torch.manual_seed(0)
    codes = torch.randn(8000, 2)
    factors = torch.stack([4.0 * codes[:, 0] + 3.0 * torch.randn(8000), torch.randn(8000)], dim=1)
    torch.testing.assert_close(dci(codes, factors).errors, torch.tensor([0.6, 1.0]).double(), atol=0.03, rtol=0)


def test_a_factor_of_few_samples_is_not_learnt() -> None:
    torch.manual_seed(0)
    codes = torch.randn(400, 2)
    factors = codes.clone()
    factors[79:, 1] = torch.nan
    found = dci(codes, factors)
    assert found.importance[:, 1].tolist() == [0.0, 0.0]
    assert float(found.errors[1]) == 1.0
