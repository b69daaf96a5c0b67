"""Figures of blossoms whose factors are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance
from toys.material import material

from gan_image.blossoms.draw import draw
from gan_image.blossoms.factors import EYE, FACTORS, NAMES, PETALS, ROTATION, SIZE, draw_factors
from gan_image.blossoms.spec import BlossomSpec
from gan_image.metrics.factors import Options, build, distance, joint_distance, present, wasserstein
from gancore.random import Draws

COUNT = 300
NOISE = torch.randint(0, 256, (COUNT, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def some(seed):
    factors = draw_factors(Draws(seed, torch.arange(COUNT)))
    return draw(factors), factors


def figures(generated, real, labels=(None, None, None), place=None):
    spec = BlossomSpec(shape=(3, 32, 32), classes=FACTORS[place].values if place is not None else ())
    return build(Options(), spec)(material(generated, real, labels=labels))


@pytest.fixture(scope="module")
def real():
    return some(1)


def test_other_real_blossoms_have_every_value_and_are_as_far_as_halves_of_real_ones_are(real):
    found = figures(some(2)[0], real[0])
    assert found["readable"].value >= 0.98
    for name in NAMES:
        assert found[f"present/{name}"].value == 1.0
        assert found[f"distance/{name}"].value < 0.13
    joint = found["distance/joint"]
    assert joint.value == pytest.approx(joint.floor, abs=0.03)


def test_petals_that_never_occur_are_missing_and_as_far_as_their_share(real):
    x, factors = some(2)
    without = x[factors[:, PETALS] != 2]
    found = figures(without, real[0])
    assert found["present/petals"].value == pytest.approx(5 / 6)
    assert found["distance/petals"].value == pytest.approx(1 / 6, abs=0.06)
    assert found["present/petals"].real == 1.0


def test_half_noise_is_half_readable_and_tells_nothing_of_distances(real):
    x, _ = some(2)
    mixed = torch.cat([x[: COUNT // 2], NOISE[: COUNT // 2]])
    found = figures(mixed, real[0])
    assert found["readable"].value == pytest.approx(0.5, abs=0.01)
    assert found["distance/petals"].value < 0.13


def test_nothing_of_noise_is_present_and_it_is_farthest(real):
    found = figures(NOISE, real[0])
    assert {found[name].value for name in found if name.startswith(("readable", "present"))} == {0.0}
    assert {found[name].value for name in found if name.startswith("distance")} == {1.0}


def test_single_picture_of_each_kind_has_figures(real):
    found = figures(real[0][:1], real[0][:1])
    assert all(math.isfinite(number) for one in found.values() for number in (one.value, one.real or 0, one.floor or 0))


@pytest.mark.parametrize("place", [PETALS, EYE])
def test_share_that_is_as_asked_falls_with_swapped_labels(real, place):
    x, factors = real
    asked = factors[:, place].long()
    swapped = asked.clone()
    swapped[:75] = (asked[:75] + 1) % len(FACTORS[place].values)
    found = figures(x, x, (swapped, asked, asked), place)
    assert found["as-asked"].real >= 0.98
    assert found["as-asked"].value == pytest.approx(found["as-asked"].real - 75 / COUNT, abs=0.005)


def test_without_labels_nothing_was_asked_for(real):
    assert "as-asked" not in figures(real[0], real[0])


def test_at_most_limit_pictures_are_read(real):
    spec = BlossomSpec(shape=(3, 32, 32))
    mixed = torch.cat([real[0][:50], NOISE])
    assert build(Options(limit=50), spec)(material(mixed, real[0]))["readable"].value >= 0.96


# --- distances --------------------------------------------------------------------------------------------------------


def uniform(count, seed):
    return np.random.default_rng(seed).uniform(size=count)


@pytest.mark.parametrize("counts", [(50, 50), (30, 70)])
def test_distance_on_a_line_is_scipys(counts):
    one, other = uniform(counts[0], 0), uniform(counts[1], 1) ** 2
    assert wasserstein(one, other, 2.0, False) == pytest.approx(wasserstein_distance(one, other) / 2.0)


def test_distance_on_a_circle_is_that_of_the_best_cut():
    one, other = uniform(40, 0) * 0.3, (uniform(40, 1) * 0.3 + 0.8) % 1.0
    # Mass that moves on a circle leaves some point uncrossed, where it can be cut.
    cuts = np.linspace(0.0, 1.0, 2001)
    best = min(wasserstein_distance((one - cut) % 1.0, (other - cut) % 1.0) for cut in cuts)
    assert wasserstein(one, other, 1.0, True) == pytest.approx(best, abs=1e-9)


def test_turn_past_the_end_of_a_circle_is_a_short_way():
    factor = FACTORS[ROTATION]
    assert distance(np.full(5, 0.98), np.full(7, 0.03), factor) == pytest.approx(0.05)


def test_continuous_factor_that_is_moved_is_so_far_away_in_units_of_its_range():
    sizes = uniform(100, 0) * 0.1 + 0.65
    assert distance(sizes + 0.08, sizes, FACTORS[SIZE]) == pytest.approx(0.25)


def test_parts_of_a_range_that_have_no_value_are_not_present():
    lower_half = np.linspace(0.6, 0.7599, 100)
    assert present(lower_half, FACTORS[SIZE], 8) == 0.5


def test_factors_that_depend_on_each_other_are_apart_only_together():
    factors = draw_factors(Draws(0, torch.arange(20_000))).double().numpy()
    tied = factors.copy()
    # Six numbers of petals decide three eyes, whose own distribution stays the same.
    tied[:, EYE] = tied[:, PETALS] // 2
    assert distance(tied[:, EYE], factors[:, EYE], FACTORS[EYE]) < 0.02
    # Of 18 pairs 6 are left, a third of the mass: a distance of 2/3 in one pair of 28.
    assert joint_distance(tied, factors, 4) == pytest.approx(2 / 3 / 28, abs=0.006)
