"""Samples to look at: which are chosen, in which order, and what stands above them."""

from __future__ import annotations

import pytest
import torch

from gancore.data.spec import SampleSpec
from gancore.evaluation.exhibits import exhibits
from gancore.evaluation.features import Computed
from gancore.evaluation.records import Material, Samples

SPEC = SampleSpec(shape=(1,), dtype="float32", value_range=(-1e3, 1e3), classes=("even", "odd"))


class Same:
    fingerprint = ""

    def __call__(self, x):
        return x


def line(values, classes=True):
    x = torch.as_tensor(values, dtype=torch.float32)[:, None]
    return Samples(x, torch.arange(len(x)) % 2 if classes else None)


def shown(generated, classes=True):
    """Held against 0, 10, ..., 290, which were trained on, and 5, 15, ..., 295."""
    train, real = line(range(0, 300, 10), classes), line(range(5, 300, 10), classes)
    own = line(generated, classes)
    features = {"f": Computed("f", Same(), train=train), "g": Computed("g", Same(), train=train)}
    return exhibits(Material(generated=own, real=real, train=train, held_out=True, features=features), SPEC)


def test_nearest_copies_come_first_then_usual_ones_each_beside_its_neighbours():
    # Distances to the nearest multiple of ten: 4 for all but the last ones.
    copies, *_ = shown([4.0] * 12 + [14.0, 100.5, 50.25, 201.0])
    assert (copies.name, copies.columns, len(copies.samples)) == ("nearest", 4, 32)
    rows = copies.samples.x.reshape(8, 4)
    assert rows[:3].tolist() == [[50.25, 50, 60, 40], [100.5, 100, 110, 90], [201, 200, 210, 190]]
    assert rows[4:, 0].tolist() == [4.0] * 4
    assert copies.captions[:4] == ("even: generated", "odd: 0.25 away", "even: 9.75 away", "even: 10.2 away")
    assert copies.samples.condition[:4].tolist() == [0, 1, 0, 0]
    assert "by f" in copies.title


def test_best_lie_in_the_most_neighbourhoods_and_worst_in_none():
    _, best = shown([150.0 + n for n in range(16)] + [1000.0 + n for n in range(8)], classes=False)
    assert (best.name, best.columns) == ("best-and-worst", 8)
    assert best.samples.condition is None
    assert all(150 <= x < 166 for x in best.samples.x[:8, 0].tolist())
    assert best.samples.x[8:, 0].tolist() == [1000.0 + n for n in range(8)]
    assert best.captions[8:] == ("in 0",) * 8
    # Balls reach 25 or 30 to either side: 150 lies in those of 125, 135, ..., 175 but for the borders.
    assert best.captions[0] in ("in 5", "in 6")


def test_samples_that_lie_in_no_neighbourhood_are_ordered_by_distance():
    _, best = shown([1000.0 + n for n in range(24)][::-1], classes=False)
    assert best.samples.x[:, 0].tolist() == [1000.0 + n for n in (*range(8), *range(16, 24))]
    assert best.captions[:2] == ("705 away", "706 away")
    assert best.captions[-1] == "728 away"
    assert "none of 24 generated samples lies in the neighbourhood of any of 30 real ones" in best.title


@pytest.mark.parametrize("count", [1, 7])
def test_too_few_samples_show_nothing(count):
    assert shown([1.0] * count) == []
