"""What a discriminator minds of a sample."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gancore.data.spec import SampleSpec
from gancore.explaining.saliency import as_sample, found_false, heatmap, plane


class Linear(nn.Module):
    """Two heads, whose weights are w and 3 w."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x, condition):
        logit = (x * self.weight).flatten(1).sum(1)
        return [logit, 3 * logit]


def test_the_map_is_the_slope_times_the_spread_of_the_sample():
    spec = SampleSpec(shape=(2, 3), dtype="float32", value_range=(-1.0, 1.0))
    weight, x = torch.tensor([[1.0, -2.0, 0.0], [0.5, 0.0, 1.0]]), torch.linspace(-1, 1, 6).view(1, 2, 3)
    logit, values = found_false(Linear(weight), spec, x, None)
    assert logit == pytest.approx(float(2 * (x * weight).sum()))
    assert torch.allclose(values, 2 * weight.abs() * x.std())


@pytest.mark.parametrize(
    ("shape", "hard", "rows"),
    [
        ((3, 4, 5), (3, 4, 5), (4, 5)),
        ((6, 9), (6,), (1, 6)),
        ((2, 4, 5), (70,), (4, 5)),
        ((7,), (7,), (1, 7)),
        ((2, 7), (2, 7), (2, 7)),
    ],
)
def test_a_map_is_summed_over_channels_and_over_the_vocabulary(shape, hard, rows):
    values = torch.rand(shape)
    made = plane(values, hard)
    assert made.shape == rows
    assert made.sum() == pytest.approx(float(values.sum()), rel=1e-5)


def test_pictures_show_a_map_and_notes_that_are_on_or_off_do_not():
    class Pictures(SampleSpec):
        def relax(self, hard):
            return hard.float() / 127.5 - 1

        def harden(self, relaxed):
            return ((relaxed + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)

    class Notes(SampleSpec):
        def relax(self, hard):
            return hard.float() * 2 - 1

        def harden(self, relaxed):
            return (relaxed > 0).to(torch.uint8)

    values = torch.tensor([[0.0, 0.2], [0.1, 0.4]])
    shown = as_sample(values, Pictures(shape=(3, 2, 2), dtype="uint8", value_range=(0, 255)))
    assert shown is not None
    assert shown[0, 1].tolist() == [[0, 128], [64, 255]]
    assert as_sample(values, Notes(shape=(3, 2, 2), dtype="uint8", value_range=(0, 1))) is None


def test_a_heatmap_is_white_for_nothing_and_dark_for_the_most():
    picture = heatmap(torch.tensor([[0.0, 1.0]]))
    assert picture.getpixel((0, 0)) == (255, 255, 255)
    assert picture.getpixel((picture.width - 1, 0)) == (80, 10, 40)
    assert heatmap(torch.zeros(2, 2)).getpixel((0, 0)) == (255, 255, 255)
