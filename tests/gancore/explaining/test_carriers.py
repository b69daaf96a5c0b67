"""Which units of a generator carry an attribute."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gancore.explaining.carriers import carriers


class Two(nn.Module):
    """The first number of a sample is made by one layer, the second by another."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.one = nn.Linear(2, 3)
        self.other = nn.Linear(2, 3)
        self.idle = nn.Linear(2, 3)  # never called

    def forward(self, z, condition=None):
        return torch.stack([self.one(z[:, :2])[:, 2], self.other(z[:, 2:])[:, 1]], dim=1)


@pytest.fixture
def found():
    net, z = Two(), torch.randn(40, 4, generator=torch.Generator().manual_seed(1))

    def draw():
        with torch.no_grad():
            return torch.cat([net(part) for part in z.split(16)])

    def measure(x):
        some = torch.where(torch.arange(40) < 30, x[:, 0], torch.nan)
        return {
            "first": x[:, 0],
            "second": x[:, 1],
            "some": some,
            "constant": torch.ones(40),
            "none": x[:, 0] * torch.nan,
        }

    before = draw()
    yield carriers(net, draw, measure)
    assert torch.equal(draw(), before)


def test_the_unit_that_makes_an_attribute_is_found_and_nothing_is_left_of_it_without(found):
    stages, by_name = found
    assert [stage.name for stage in stages] == ["one", "other"]
    for name, stage, unit in (("first", 0, 2), ("second", 1, 1)):
        one = by_name[name]
        assert (one.stage, one.units[stage]) == (stage, unit)
        assert one.correlations[stage] == pytest.approx(1.0)
        assert one.effect == pytest.approx(1.0, abs=1e-4)


def test_samples_without_an_attribute_do_not_count_and_what_does_not_vary_is_left_out(found):
    _, by_name = found
    assert by_name["some"].units[0] == 2
    assert not {"constant", "none"} & set(by_name)


def test_channels_of_convolutions_are_units_and_a_stage_of_more_rows_is_left_out():
    class Pictures(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.rows = nn.Linear(1, 4)
            self.conv = nn.Conv2d(2, 5, 1)

        def forward(self, z):
            return self.conv(self.rows(z.reshape(-1, 1)).view(len(z), 2, -1, 4))[:, 3]

    net, z = Pictures(), torch.randn(32, 4, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        stages, found = carriers(net, lambda: net(z), lambda x: {"mean": x.flatten(1).mean(1)})
    assert [stage.name for stage in stages] == ["conv"]
    assert found["mean"].units == (3,)
    assert found["mean"].effect == pytest.approx(1.0, abs=1e-4)
