"""Mode-specific normalisation, against numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from gan_tabular.data import TableSource
from gan_tabular.modes import fit_modes
from gan_tabular.spec import REACH, Category, Mode, Number, TableSpec

TWO = (Mode(centre=10, spread=2.0, weight=0.5), Mode(centre=50, spread=5.0, weight=0.5))


def spec_of(*columns: Number | Category) -> TableSpec:
    return TableSpec.of(columns)


def number(modes: tuple[Mode, ...] = TWO, highest: int = 70, missing: int = 0) -> Number:
    return Number(name="n", digits=0, lowest=100, highest=highest, modes=modes, missing=missing)


def test_number_becomes_its_place_in_the_mode_and_which_mode() -> None:
    spec = spec_of(number())
    # (12 - 10) / (4 * 2) = 0.25 in the first mode, (45 - 50) / (4 * 5) = -0.25 in the second.
    assert spec.relax(torch.tensor([[12], [45]], dtype=torch.int32)).tolist() == [[0.25, 1.0, 0.0], [-0.25, 0.0, 1.0]]


def test_mode_is_the_most_probable_one() -> None:
    modes = (Mode(centre=0, spread=10.0, weight=0.7), Mode(centre=12, spread=3.0, weight=0.3))
    spec = spec_of(number(modes, highest=30))
    codes = np.arange(0, 31)
    densities = [m.weight * stats.norm.pdf(codes, m.centre, m.spread) for m in modes]
    within = [np.abs(codes - m.centre) <= REACH * m.spread for m in modes]
    expected = np.argmax([np.where(w, d, 0.0) for d, w in zip(densities, within, strict=True)], axis=0)
    relaxed = spec.relax(torch.from_numpy(codes).int()[:, None])
    assert relaxed[:, 1:].argmax(1).tolist() == expected.tolist()
    assert set(expected.tolist()) == {0, 1}


def test_category_becomes_a_one_hot_vector_and_columns_stand_side_by_side() -> None:
    spec = spec_of(
        Category(name="c", values=("x", "y", "z")), number(), Category(name="d", values=("u", "v"), missing=4)
    )
    relaxed = spec.relax(torch.tensor([[1, 50, -1], [2, 10, 0]], dtype=torch.int32))
    assert relaxed.tolist() == [[0, 1, 0, 0, 0, 1, 0, 0, 1], [0, 0, 1, 0, 1, 0, 1, 0, 0]]
    assert relaxed.dtype == torch.float32


def test_hardening_takes_the_likeliest_choices_and_rounds_numbers() -> None:
    spec = spec_of(number(missing=1), Category(name="c", values=("x", "y")))
    relaxed = torch.tensor(
        [[0.3, 0.2, 0.7, 0.1, 0.4, 0.6], [-0.19, 0.9, 0.1, 0.0, 0.6, 0.4], [0.5, 0.1, 0.1, 0.8, 1.0, 0.0]]
    )
    # 50 + 0.3 * 20 = 56 and y; 10 - 0.19 * 8 = 8.48, rounded to 8, and x; missing and x.
    assert spec.harden(relaxed).tolist() == [[56, 1], [8, 0], [-1, 0]]


def test_generated_numbers_stay_within_the_range_of_the_data() -> None:
    spec = spec_of(number(highest=60))
    assert spec.harden(torch.tensor([[1.0, 0.0, 1.0], [-1.0, 0.0, 1.0], [-1.0, 1.0, 0.0]])).tolist() == [
        [60],
        [30],
        [2],
    ]


def test_every_row_comes_back_from_relaxing(mixed: Path, opened: Callable[..., TableSource]) -> None:
    source = opened(mixed)
    relaxed = source.spec.relax(source.rows)
    assert relaxed.abs().max() <= 1.0
    assert relaxed.shape[1:] == source.spec.shape
    assert source.spec.harden(relaxed).equal(source.rows)


@pytest.mark.parametrize("seed", range(4))
def test_modes_reach_every_value_and_none_is_light(seed: int) -> None:
    draw = np.random.default_rng(seed)
    codes = np.concatenate([draw.normal(200, 5, 800), draw.normal(900, 60, 800), draw.lognormal(7, 1.0, 50)])
    codes = np.round(codes - codes.min()).astype(np.int64)
    modes = fit_modes(codes, 10)
    reach = [np.abs(codes - m.centre) <= REACH * m.spread for m in modes]
    assert np.any(reach, axis=0).all()
    assert len(modes) <= 11
    assert all(m.weight > 0.005 for m in modes[:-1])


def test_modes_find_two_separate_gaussians() -> None:
    draw = np.random.default_rng(0)
    codes = np.round(np.concatenate([draw.normal(1000, 20, 3000), draw.normal(3000, 50, 1000)])).astype(np.int64)
    near = [[m for m in fit_modes(codes, 10) if abs(m.centre - c) < 300] for c in (1000, 3000)]
    assert [sum(m.weight for m in part) for part in near] == pytest.approx([0.75, 0.25], abs=0.02)


@pytest.mark.parametrize("codes", [[0, 0, 0], [0, 1], [0, 2**31 - 2], list(range(30))])
def test_odd_columns_have_modes_that_bring_their_values_back(codes: list[int]) -> None:
    values = np.array(codes, np.int64)
    spec = spec_of(number(fit_modes(values, 10), highest=int(values.max())))
    back = spec.harden(spec.relax(torch.from_numpy(values).int()[:, None]))[:, 0].numpy()
    assert np.abs(back - values).max() <= values.max() * 2.0**-23
