"""Distances of features against closed forms, and against other libraries' implementations."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gancore.evaluation.distances import Moments, PrincipalComponents, frechet, frechet_at_infinity, kernel, mind


def normal(count, size, seed, *, mean=0.0, scale=1.0):
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(count, size, generator=draws) * scale + mean


def exactly(mean, covariance, count=4000):
    """Features whose mean and covariance are exactly these."""
    x = np.random.default_rng(0).standard_normal((count, len(mean)))
    x -= x.mean(axis=0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
    return torch.from_numpy(x @ np.linalg.cholesky(np.array(covariance)).T + np.array(mean))


def test_frechet_distance_of_gaussians_with_diagonal_covariances():
    first = exactly([0.0, 0.0, 1.0], np.diag([1.0, 4.0, 9.0]))
    second = exactly([3.0, 0.0, 1.0], np.diag([4.0, 4.0, 1.0]))
    # 3^2 + (1 - 2)^2 + (2 - 2)^2 + (3 - 1)^2
    assert frechet(first, second) == pytest.approx(14.0, rel=1e-9)


def test_frechet_distance_of_gaussians_whose_covariances_do_not_commute():
    from scipy.linalg import sqrtm

    one, other = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([[1.0, -0.8], [-0.8, 3.0]])
    expected = 1.0 + np.trace(one + other - 2 * sqrtm(one @ other).real)
    found = frechet(exactly([1.0, 0.0], one), exactly([0.0, 0.0], other))
    assert found == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_equals_torchmetrics_with_the_same_features():
    fid = importlib.import_module("torchmetrics.image.fid")
    first, second = normal(300, 24, 0).double(), normal(250, 24, 1, mean=0.3, scale=1.2).double()
    moments = [(x.mean(dim=0), torch.cov(x.T)) for x in (first, second)]
    (m1, s1), (m2, s2) = moments
    assert frechet(first, second) == pytest.approx(float(fid._compute_fid(m1, s1, m2, s2)), rel=1e-6)


def test_frechet_distance_with_fewer_samples_than_features_is_that_of_their_covariances():
    from scipy.linalg import sqrtm

    first, second = normal(20, 30, 0).double(), normal(25, 30, 1, mean=0.5).double()
    s1, s2 = np.cov(first.numpy(), rowvar=False), np.cov(second.numpy(), rowvar=False)
    root = sqrtm(s1 + 1e-12 * np.eye(30))
    middle = sqrtm(root @ s2 @ root + 1e-18 * np.eye(30)).real
    expected = (
        float((first.mean(0) - second.mean(0)).square().sum()) + np.trace(s1) + np.trace(s2) - 2 * np.trace(middle)
    )
    assert frechet(first, second) == pytest.approx(expected, rel=1e-4)
    assert frechet(second, first) == pytest.approx(frechet(first, second), rel=1e-6)


def test_frechet_distance_of_single_samples_is_that_of_points():
    x = normal(2, 8, 3)
    assert frechet(x[:1], x[1:]) == pytest.approx(float((x[0] - x[1]).square().sum()))


def test_a_set_is_at_frechet_distance_zero_from_itself():
    assert frechet(normal(50, 80, 3), normal(50, 80, 3)) == pytest.approx(0.0, abs=1e-6)


def test_moments_are_those_of_numpy_whatever_the_blocks(monkeypatch):
    monkeypatch.setattr("gancore.evaluation.distances._ROWS", 7)
    x = normal(100, 5, 0, mean=100.0)
    moments = Moments.of(x)
    np.testing.assert_allclose(moments.mean, x.double().mean(0))
    np.testing.assert_allclose(moments.covariance, np.cov(x.double().numpy(), rowvar=False), rtol=1e-9)


def test_extrapolated_distance_is_nearer_to_the_truth_than_that_of_all_samples():
    real = Moments(np.zeros(30), np.eye(30), 10**6)
    few = normal(400, 30, 0)
    plain, extrapolated = frechet(few, real), frechet_at_infinity(few, real)
    assert plain > 0.5
    assert abs(extrapolated) < plain / 3


def test_kernel_distance_equals_torchmetrics_estimate_on_whole_sets():
    kid = importlib.import_module("torchmetrics.image.kid")
    first, second = normal(60, 10, 0).double(), normal(60, 10, 1, mean=0.4).double()
    mean, deviation = kernel(first, second, subsets=3, subset_size=1000)
    assert mean == pytest.approx(float(kid.poly_mmd(first, second)), rel=1e-9)
    assert deviation == pytest.approx(0.0, abs=1e-9)


def test_kernel_distance_of_whole_sets_does_not_deviate():
    assert kernel(normal(20, 3, 0), normal(20, 3, 1), subsets=3)[1] == 0.0


def test_kernel_distance_of_four_points_by_hand():
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [2.0]])
    # k(0,1) = 1, k(1,2) = 27; cross: k(0,1) = 1, k(0,2) = 1, k(1,1) = 8, k(1,2) = 27
    assert kernel(x, y, subsets=1)[0] == pytest.approx(1.0 + 27.0 - 2 * (1 + 1 + 8 + 27) / 4)


def test_kernel_distance_draws_the_subsets_of_torch_fidelity():
    first, second = normal(40, 3, 0).double(), normal(50, 3, 1, mean=1.0).double()
    draws = np.random.RandomState(2020)
    expected = []
    for _ in range(4):
        parts = [one.numpy()[draws.choice(len(one), 10, replace=False)] for one in (first, second)]
        xx, yy, xy = ((a @ b.T / 3 + 1) ** 3 for a, b in ((parts[0],) * 2, (parts[1],) * 2, parts))
        expected.append((xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)) / 90 - 2 * xy.mean())
    found = kernel(first, second, subsets=4, subset_size=10)
    assert found == (pytest.approx(np.mean(expected), rel=1e-9), pytest.approx(np.std(expected), rel=1e-9))


def test_kernel_distance_of_one_distribution_is_around_zero():
    mean, deviation = kernel(normal(500, 8, 0), normal(500, 8, 1), subset_size=200)
    assert abs(mean) < 2 * deviation


def test_sliced_distance_of_a_shift_is_three_times_its_square():
    x = normal(500, 6, 0)
    shift = torch.tensor([1.0, 2.0, 0.0, 0.0, -2.0, 0.0])
    assert mind(x, x + shift, directions=20_000) == pytest.approx(3 * 9.0, rel=0.03)


def test_sliced_distance_equals_that_of_optimal_transport_along_the_same_directions():
    ot = importlib.import_module("ot")
    first, second = normal(200, 12, 0), normal(200, 12, 1, scale=1.5)
    draws = torch.Generator().manual_seed(5)
    along = torch.randn(12, 64, generator=draws)
    along /= along.norm(dim=0)
    expected = (
        3
        * 12
        * ot.sliced_wasserstein_distance(
            first.double().numpy(), second.double().numpy(), projections=along.double().numpy(), p=2
        )
        ** 2
    )

    class Fixed:
        def randn(self, *_, **__):
            return along.clone()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gancore.evaluation.distances._AT_ONCE", 64)
        patch.setattr("gancore.evaluation.distances.torch.randn", Fixed().randn)
        assert mind(first, second, directions=64) == pytest.approx(float(expected), rel=1e-6)


@given(st.integers(2, 60), st.integers(1, 8), st.integers(0, 5))
def test_sliced_distance_is_symmetric_and_zero_for_the_same_set_in_another_order(count, size, seed):
    x, y = normal(count, size, seed), normal(count, size, seed + 100, mean=0.5)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    assert mind(x, x[order], directions=20) == pytest.approx(0.0, abs=1e-6)
    assert mind(x, y, directions=20) == pytest.approx(mind(y, x, directions=20), rel=1e-6)


def test_principal_components_keep_the_distances_of_what_varies():
    x = torch.cat([normal(200, 3, 0, scale=5.0), normal(200, 17, 1, scale=1e-4)], dim=1)
    along = PrincipalComponents.of(x, 3)
    assert along(x).shape == (200, 3)
    torch.testing.assert_close(torch.pdist(along(x)), torch.pdist(x), rtol=1e-4, atol=1e-3)


def test_principal_components_are_no_more_than_there_can_be():
    assert PrincipalComponents.of(normal(5, 20, 0), 64)(normal(7, 20, 1)).shape == (7, 4)
    assert PrincipalComponents.of(normal(50, 3, 0), 64)(normal(0, 3, 1)).shape == (0, 3)
