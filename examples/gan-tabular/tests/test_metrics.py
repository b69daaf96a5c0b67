"""The metrics, against libraries and against what is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from gancore.errors import UsageError
from gancore.evaluation.records import Material, Samples
from scipy import stats

from gan_tabular.metrics import (
    Columns,
    TwoSample,
    TwoSampleOptions,
    correlation_ratio,
    cramers_v,
    total_variation,
    wasserstein,
)
from gan_tabular.spec import Category, Mode, Number, TableSpec


def _number(name: str) -> Number:
    return Number(name=name, digits=0, lowest=0, highest=2000, modes=(Mode(centre=500, spread=100.0, weight=1.0),))


SPEC = TableSpec.of((_number("a"), _number("b"), Category(name="c", values=("no", "yes"), missing=1)))


def table(count: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    """A number, a number that depends on it, a category that depends on it."""
    draw = np.random.default_rng(seed)
    a = draw.normal(500, 100, count)
    b = a + draw.normal(shift, 30, count)
    return torch.tensor(np.stack([a, b, a > 520], 1).round().astype(np.int32))


def test_wasserstein_is_scipys() -> None:
    draw = np.random.default_rng(0)
    a, b = draw.normal(0, 1, 300), draw.exponential(2, 170)
    assert wasserstein(a, b) == pytest.approx(stats.wasserstein_distance(a, b), rel=1e-9)


def test_total_variation_by_hand() -> None:
    # Shares 2/4, 1/4, 1/4 (missing) against 1/2, 1/2, 0: half of 0 + 1/4 + 1/4.
    assert total_variation(np.array([0, 0, 1, np.nan]), np.array([0.0, 1.0])) == pytest.approx(0.25)


def test_cramers_v_is_scipys() -> None:
    draw = np.random.default_rng(0)
    x = draw.integers(0, 4, 500)
    y = np.where(draw.random(500) < 0.5, x % 3, draw.integers(0, 3, 500))
    counts = stats.contingency.crosstab(x, y).count
    assert cramers_v(x, y) == pytest.approx(stats.contingency.association(counts, method="cramer"))


def test_correlation_ratio_by_hand() -> None:
    # Means 2 and 6 about 4: 4 * 4 = 16 between; 16 + 4 * 1 = 20 in all.
    ratio = correlation_ratio(np.array([0, 0, 1, 1]), np.array([1.0, 3.0, 5.0, 7.0]))
    assert ratio == pytest.approx(np.sqrt(16 / 20))


def test_columns_of_the_same_rows_have_no_distance() -> None:
    rows = table(400, 0)
    found = Columns(SPEC).compare(rows, rows)
    assert set(found) == {"column/a", "column/b", "column/c", "numbers", "categories", "association"}
    assert set(found.values()) == {0.0}


def test_columns_find_the_one_that_was_moved_and_the_dependence_that_was_broken() -> None:
    real, fake = table(2000, 0), table(2000, 1)
    fake[:, 1] += 50
    moved = Columns(SPEC).compare(fake, real)
    assert moved["column/b"] == pytest.approx(50 / float(real[:, 1].double().std()), abs=0.1)
    assert moved["column/a"] < 0.1
    fake[:, 1] = fake[torch.randperm(2000, generator=torch.Generator().manual_seed(0)), 1]
    broken = Columns(SPEC).compare(fake, real)
    assert broken["column/b"] == pytest.approx(moved["column/b"])
    assert broken["association"] > moved["association"] + 0.3


def test_share_of_missing_cells_is_compared() -> None:
    real, fake = table(100, 0), table(100, 1)
    fake[:25, 0] = -1
    found = Columns(SPEC).compare(fake, real)
    assert found["missing/a"] == pytest.approx(0.25)
    assert "missing/b" not in found


def test_rows_of_one_distribution_cannot_be_told_apart() -> None:
    found = TwoSample(TwoSampleOptions(), SPEC).compare(table(1500, 0), table(1500, 1))
    assert found["accuracy"] == pytest.approx(0.5, abs=0.04)
    assert found["auc"] == pytest.approx(0.5, abs=0.04)


def test_rows_of_another_distribution_are_told_apart() -> None:
    found = TwoSample(TwoSampleOptions(), SPEC).compare(table(1500, 0, shift=100.0), table(1500, 1))
    # The best rule cuts the difference of the columns half-way: Phi(50 / 30) = 95.2% are right.
    assert 0.9 < found["accuracy"] < 0.96


def test_same_seed_gives_the_same_accuracy() -> None:
    metric = TwoSample(TwoSampleOptions(seed=3), SPEC)
    assert metric.compare(table(200, 0), table(200, 1)) == metric.compare(table(200, 0), table(200, 1))


def test_rows_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(UsageError, match="equally many columns"):
        Columns(SPEC).compare(table(10, 0)[:, :2], table(10, 0))
    with pytest.raises(UsageError, match="nothing to compare"):
        Columns(SPEC).compare(table(0, 0), table(10, 0))
    with pytest.raises(UsageError, match="at least 10 rows"):
        TwoSample(TwoSampleOptions(), SPEC).compare(table(9, 0), table(10, 0))
    with pytest.raises(UsageError, match="rows of 2 columns are to be compared, and the table has 3"):
        Columns(SPEC).compare(table(9, 0)[:, :2], table(10, 0)[:, :2])


def test_figures_have_those_of_training_rows_as_floor_where_real_rows_are_others() -> None:
    generated, real, train = (Samples(table(200, seed)) for seed in (0, 1, 2))
    material = Material(generated=generated, real=real, train=train, held_out=True)
    columns = Columns(SPEC)
    found = columns(material)
    assert {k: f.value for k, f in found.items()} == columns.compare(generated.x, real.x)
    assert {k: f.floor for k, f in found.items()} == columns.compare(train.x, real.x)
    assert {f.floor for f in columns(replace(material, held_out=False)).values()} == {None}


def test_the_class_of_samples_is_compared_as_a_column() -> None:
    spec = SPEC.model_copy(update={"label": "tier", "classes": ("low", "high")})
    zeros, ones = torch.zeros(100, dtype=torch.int64), torch.ones(100, dtype=torch.int64)
    low, high = Samples(table(100, 0), zeros), Samples(table(100, 0), ones)
    found = Columns(spec)(Material(generated=low, real=high, train=low, held_out=True))
    assert (found["column/tier"].value, found["column/tier"].floor, found["column/a"].value) == (1.0, 1.0, 0.0)


def test_the_class_of_each_row_is_one_more_category() -> None:
    spec = SPEC.model_copy(update={"label": "tier", "classes": ("low", "high")})
    real = torch.cat([table(400, 0), (table(400, 0)[:, :1] > 500).int()], dim=1)
    fake = torch.cat([table(400, 1), torch.zeros(400, 1, dtype=torch.int32)], dim=1)
    found = Columns(spec).compare(fake, real)
    assert found["column/tier"] == pytest.approx(float(real[:, 3].float().mean()))
    assert TwoSample(TwoSampleOptions(), spec).compare(fake, real)["accuracy"] > 0.7
