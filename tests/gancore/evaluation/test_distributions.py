"""The overlapping area is that of the densities which kernels make of all distances."""

from __future__ import annotations

import numpy as np
import pytest

from gancore.evaluation.distributions import (
    nearer,
    overlap,
    overlap_of_vectors,
    shared,
)


def by_scipy(intra, inter):
    """The area by another library's density estimate at every point, with the one bandwidth of both sets."""
    stats = pytest.importorskip("scipy.stats")
    together = np.concatenate([intra, inter])
    bandwidth = together.std() * len(together) ** -0.2
    at = np.linspace(together.min() - 5 * bandwidth, together.max() + 5 * bandwidth, 4001)
    first, second = (stats.gaussian_kde(one, bw_method=bandwidth / one.std(ddof=1))(at) for one in (intra, inter))
    return np.trapezoid(np.minimum(first, second), at)


@pytest.mark.parametrize(("mean", "spread"), [(0.0, 1.0), (1.5, 1.0), (0.0, 0.2), (4.0, 2.0)])
def test_overlap_is_the_area_under_both_densities(mean, spread):
    rng = np.random.default_rng(0)
    generated, real = rng.normal(mean, spread, 80), rng.normal(0.0, 1.0, 90)
    intra = np.abs(real[:, None] - real)[np.triu_indices(90, 1)]
    inter = np.abs(generated[:, None] - real).ravel()
    assert overlap(generated, real) == pytest.approx(by_scipy(intra, inter), abs=0.01)


def test_overlap_of_vectors_is_that_of_their_distances():
    rng = np.random.default_rng(0)
    generated, real = rng.normal(0.5, 1.0, (60, 3)), rng.normal(0.0, 1.0, (70, 3))
    apart = np.linalg.norm(real[:, None] - real, axis=2)[np.triu_indices(70, 1)]
    inter = np.linalg.norm(generated[:, None] - real, axis=2).ravel()
    assert overlap_of_vectors(generated, real) == pytest.approx(by_scipy(apart, inter), abs=0.01)


def test_sets_that_are_far_apart_do_not_overlap():
    rng = np.random.default_rng(0)
    assert overlap(rng.normal(100.0, 1.0, 50), rng.normal(0.0, 1.0, 50)) < 0.01


def test_sets_without_spread_overlap_where_they_are_the_same():
    assert overlap(np.full(20, 0.3), np.full(30, 0.3)) == 1.0
    assert overlap(np.full(20, 0.4), np.full(30, 0.3)) < 0.01
    assert overlap_of_vectors(np.ones((4, 3)), np.ones((5, 3))) == 1.0


def test_few_generated_that_differ_from_constant_real_ones_lower_it_by_their_share():
    generated = np.where(np.arange(200) < 10, 0.5, 1.0)
    assert overlap(generated, np.ones(100)) == pytest.approx(0.95, abs=0.01)


def test_samples_without_the_feature_are_left_out():
    rng = np.random.default_rng(0)
    generated, real = rng.normal(size=50), rng.normal(size=60)
    gaps = np.full(7, np.nan)
    assert overlap(np.append(generated, gaps), np.append(real, gaps)) == overlap(generated, real)
    assert overlap(gaps, real) == 0.0
    assert overlap(generated, gaps) is None
    assert overlap(generated, real[:1]) is None


def test_overlap_does_not_depend_on_the_unit():
    rng = np.random.default_rng(0)
    generated, real = rng.normal(size=50), rng.normal(0.5, 2.0, 60)
    assert overlap(1000.0 * generated - 7.0, 1000.0 * real - 7.0) == pytest.approx(overlap(generated, real), abs=1e-3)


def test_histograms_share_the_lower_of_their_shares():
    assert shared(np.array([3.0, 1.0]), np.array([1.0, 1.0])) == 0.75
    assert shared(np.zeros(2), np.zeros(2)) == 1.0
    assert shared(np.array([1.0, 0.0]), np.zeros(2)) == 0.0


def test_nearer_is_the_share_of_pairs_with_half_of_the_ties():
    assert nearer(np.array([0.1, 0.5]), np.array([0.5, 0.9])) == (2 + 1.5) / 4
    assert nearer(np.array([0.9]), np.array([0.1])) == 0.0
    assert nearer(np.array([0.3, 0.3]), np.array([0.3])) == 0.5
