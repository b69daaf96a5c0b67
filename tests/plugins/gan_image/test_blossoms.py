"""The built-in blossoms."""

from __future__ import annotations

import pytest
import torch

from gan_image.blossoms.draw import draw
from gan_image.blossoms.factors import FACTORS, FEWEST, HUE, PETALS, ROTATION, SIZE, draw_factors
from gan_image.blossoms.read import READABLE, read
from gan_image.data.blossoms import Options, open_blossoms
from gancore.random import Draws


def fetched(count, **options):
    indices = torch.arange(count)
    return open_blossoms(Options(samples=count, **options), lambda *_: None).fetch(indices, Draws(0, indices))


@pytest.mark.parametrize("size", [16, 32, 64])
def test_blossoms_are_colour_pictures_of_the_size_asked_for(size):
    x, labels = fetched(20, size=size)
    assert x.shape == (20, 3, size, size)
    assert x.dtype == torch.uint8
    assert set(labels.tolist()) <= set(range(6))


def test_first_blossoms_stay_the_same_with_more_samples():
    assert torch.equal(fetched(300)[0], fetched(1500)[0][:300])


def test_another_seed_gives_other_blossoms():
    assert not torch.equal(fetched(20)[0], fetched(20, seed=1)[0])


def test_blossoms_without_labels_have_no_classes():
    assert fetched(2, labels=False)[1] is None


def test_factors_are_uniform_in_their_ranges_and_independent():
    count = 20_000
    found = draw_factors(Draws(0, torch.arange(count))).double()
    for place, factor in enumerate(FACTORS):
        values = found[:, place] + (0.5 if factor.values else 0.0)
        assert values.min() >= factor.low
        assert values.max() < factor.high + 1e-5
        assert values.mean() == pytest.approx((factor.low + factor.high) / 2, abs=0.01 * factor.range)
    off = torch.corrcoef(found.T) - torch.eye(len(FACTORS))
    assert off.abs().max() < 4.5 / count**0.5


# --- reading ----------------------------------------------------------------------------------------------------------

TOLERANCES = torch.tensor([0.1, 0.1, 0.03, 0.06, 0.04, 5.0, 5.0, 0.03])
"""By factor, in its units."""


@pytest.mark.parametrize(("noise", "least"), [(0.0, 0.98), (4.0, 0.95)])
def test_factors_are_read_from_pictures(noise, least):
    factors = draw_factors(Draws(5, torch.arange(400)))
    x = draw(factors).float() + noise * Draws(1, torch.arange(400)).normal("noise", 3, 32, 32)
    found, off = read(x.clamp(0, 255).round().to(torch.uint8))
    apart = (found - factors).abs()
    apart[:, ROTATION] = torch.minimum(apart[:, ROTATION], 1.0 - apart[:, ROTATION])
    assert (apart <= TOLERANCES).double().mean(0).min() >= least
    assert (off <= READABLE).double().mean() >= least


def factors_of_some():
    return draw_factors(Draws(6, torch.arange(400)))


def changed(place, change):
    """Drawings of blossoms with another value of a factor."""
    factors = factors_of_some()
    factors[:, place] = change(factors[:, place])
    return draw(factors).float()


def one_petal(x):
    """Where the first petal is: `[n, 1, 32, 32]`."""
    factors = factors_of_some()
    at = (torch.arange(32) + 0.5) / 16 - 1
    turn = torch.atan2(at[:, None], at) / (2 * torch.pi) * (factors[:, PETALS, None, None] + FEWEST)
    return (turn - factors[:, ROTATION, None, None]).abs()[:, None] < 0.5


SPOILT = {
    "noise": lambda x: torch.randint(0, 256, x.shape, generator=torch.Generator().manual_seed(0)).float(),
    "halves": lambda x: torch.cat([x[..., :16], x[:, :, :1, :1].expand(-1, -1, 32, 16)], 3),
    "mixtures": lambda x: (x + x.roll(1, 0)) / 2,
    "blurred": lambda x: torch.nn.functional.avg_pool2d(x, 15, 1, 7, count_include_pad=False),
    "a petal missing": lambda x: torch.where(one_petal(x), changed(SIZE, lambda size: 0.3 * size), x),
    "half a petal more": lambda x: changed(PETALS, lambda count: count + 0.5),
    "two numbers of petals": lambda x: torch.cat([x[:, :, :16], changed(PETALS, lambda n: (n + 1) % 6)[:, :, 16:]], 2),
    "two colours": lambda x: torch.cat([x[..., :16], changed(HUE, lambda hue: (hue + 215) % 200 - 145)[..., 16:]], 3),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_what_is_no_blossom_cannot_be_read(spoil):
    x = draw(factors_of_some()).float()
    assert (read(spoil(x).round().to(torch.uint8))[1] > READABLE).double().mean() >= 0.95


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("blurred", [True, False], ids=["blurred", "noisy"])
def test_blossoms_that_are_a_little_blurred_or_noisy_can_be_read(size, blurred):
    x = draw(factors_of_some()[:100], size).float()
    side = size // 16 + 1
    if blurred:
        x = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(x, [side // 2] * 4, mode="replicate"), side, 1)
        x = x[..., :size, :size]
    else:
        x = x + 16 * Draws(1, torch.arange(100)).normal("noise", 3, size, size)
    assert (read(x.clamp(0, 255).round().to(torch.uint8))[1] <= READABLE).double().mean() >= 0.95
