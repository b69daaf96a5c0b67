"""Neighbours in features against brute force, and figures of them against small cases and another library."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gancore.evaluation.neighbours import authenticity, manifolds, nearest, radii
from gancore.evaluation.variety import vendi


def normal(count, size, seed, *, mean=0.0):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed)) + mean


def on_a_line(*places):
    return torch.tensor(places)[:, None]


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 6), st.integers(1, 5), st.integers(1, 9))
def test_nearest_are_those_of_a_full_sort_whatever_the_blocks(count, others, size, k, block):
    x, y = normal(count, size, count), normal(others, size, others + 50, mean=100.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gancore.evaluation.neighbours._BLOCK", block)
        found = nearest(x, y, k)
    expected = (
        torch.cdist(x.double(), y.double(), compute_mode="donot_use_mm_for_euclid_dist").sort(dim=1).values[:, :k]
    )
    torch.testing.assert_close(found.distances[:, : expected.shape[1]], expected)
    assert torch.isinf(found.distances[:, others:]).all()


def test_what_is_left_out_is_not_found():
    x = on_a_line(0.0, 1.0, 3.0)
    found = nearest(x, x, leave_out=torch.tensor([0, -1, 2]))
    assert found.places[:, 0].tolist() == [1, 1, 1]
    assert found.distances[:, 0].tolist() == [1.0, 0.0, 2.0]


def test_radius_reaches_to_the_kth_other_sample():
    assert radii(on_a_line(0.0, 1.0, 3.0, 7.0), 2).tolist() == [3.0, 2.0, 3.0, 6.0]


def test_manifolds_of_points_on_a_line():
    real, generated = on_a_line(0.0, 1.0, 2.0, 10.0), on_a_line(0.5, 2.0, 5.0, 30.0)
    found = manifolds(generated, real, k=1, k_density=1)
    # Radii of the real ones: 1, 1, 1, 8; of the generated ones: 1.5, 1.5, 3, 25.
    assert found.precision == pytest.approx(3 / 4)  # 5.0 lies 5 from 10.0, 30.0 lies in no ball
    assert found.recall == pytest.approx(4 / 4)
    # 0.5 lies in the balls of 0 and 1; 2.0 in that of 2, not in that of 1, whose border it is; that of 10 ends there too.
    assert found.density == pytest.approx((2 + 1 + 1) / 4)
    assert found.coverage == pytest.approx(4 / 4)


@pytest.mark.parametrize("mean", [0.0, 0.3, 1.0])
def test_manifolds_equal_those_of_prdc(mean):
    prdc = importlib.import_module("prdc")
    real, generated = normal(300, 8, 0), normal(280, 8, 1, mean=mean)
    expected = prdc.compute_prdc(
        real_features=real.double().numpy(), fake_features=generated.double().numpy(), nearest_k=5
    )
    found = manifolds(generated, real, k=5, k_density=5)
    for name, value in expected.items():
        assert getattr(found, name) == pytest.approx(value, abs=1e-9), name


def test_manifolds_do_not_depend_on_the_blocks(monkeypatch):
    real, generated = normal(50, 4, 0), normal(45, 4, 1)
    whole = manifolds(generated, real)
    monkeypatch.setattr("gancore.evaluation.neighbours._BLOCK", 7)
    assert manifolds(generated, real) == whole


def test_copies_are_not_authentic_and_distant_samples_are():
    train = normal(200, 5, 0)
    assert authenticity(train[:50], train) == 0.0
    assert authenticity(train[:50] + 100.0, train) == 1.0


def test_authenticity_of_points_on_a_line():
    train = on_a_line(0.0, 1.0, 5.0)
    # Distances of the nearest ones to their own neighbours: 1, 1, 4.
    assert authenticity(on_a_line(0.4, -2.0, 7.0, 10.0), train) == pytest.approx(2 / 4)


def test_vendi_score_counts_what_is_different():
    one_of_each = torch.eye(4)
    assert vendi(one_of_each) == pytest.approx(4.0)
    assert vendi(one_of_each.repeat(5, 1)) == pytest.approx(4.0)
    assert vendi(torch.ones(9, 3)) == pytest.approx(1.0)
    # Shares of 3/4 and 1/4.
    assert vendi(one_of_each[[0, 0, 0, 1]]) == pytest.approx(np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25))))


def test_vendi_score_is_that_of_the_similarity_matrix():
    x = normal(30, 12, 0).double()
    unit = (x / x.norm(dim=1, keepdim=True)).numpy()
    values = np.linalg.eigvalsh(unit @ unit.T / 30)
    values = values[values > 1e-12]
    assert vendi(x) == pytest.approx(np.exp(-(values * np.log(values)).sum()), rel=1e-9)


def test_samples_without_features_are_one_kind():
    assert vendi(torch.zeros(6, 3)) == pytest.approx(1.0)
    assert vendi(torch.cat([torch.zeros(2, 3), torch.eye(3)[:2]])) == pytest.approx(
        np.exp(0.5 * np.log(2) + 0.5 * np.log(4))
    )
