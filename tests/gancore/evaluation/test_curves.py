"""Figures over steps as a picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from gancore.evaluation.curves import HIGH, WIDE, Curve, draw, ticks


def picture(*curves):
    return np.asarray(Image.open(io.BytesIO(draw(curves))).convert("RGB")).astype(int)


def coloured(pixels, colour):
    return np.argwhere(np.abs(pixels - colour).sum(axis=2) < 60)


def test_a_line_falls_towards_the_dashed_one_of_real_samples():
    pixels = picture(Curve("mind-f", {0: 10.0, 500: 5.0, 1000: 2.0}, {0: 1.0, 500: 1.0, 1000: 1.0}))[:HIGH]
    own, real = coloured(pixels, (50, 80, 160)), coloured(pixels, (200, 60, 40))
    left, right = own[own[:, 1] < 80], own[own[:, 1] > WIDE - 40]
    assert left[:, 0].mean() < right[:, 0].mean() < real[:, 0].mean()
    assert np.ptp(real[:, 0]) <= 3


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (3, 3, 1), (4, 3, 2)])
def test_there_is_a_panel_for_each_figure(count, columns, rows):
    height, width, _ = picture(*[Curve("f", {2: 0.5})] * count).shape
    assert (width, height // HIGH) == (columns * WIDE, rows)


@pytest.mark.parametrize("value", [0.0, -3.0, 1e9, 1e-9])
def test_a_figure_that_never_changes_can_be_drawn(value):
    assert len(coloured(picture(Curve("f", {0: value, 9: value})), (50, 80, 160)))


def test_ticks_are_round_numbers_and_steps_whole():
    assert ticks(0.0, 1.0, 5) == [(pytest.approx(n / 5), f"{n / 5:.1f}") for n in range(6)]
    assert [words for _, words in ticks(0, 3, 5, whole=True)] == ["0", "1", "2", "3"]
    assert [words for _, words in ticks(0, 3000, 5, whole=True)] == ["0", "1,000", "2,000", "3,000"]
