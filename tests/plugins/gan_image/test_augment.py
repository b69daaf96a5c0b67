"""DiffAugment: what each step does to pixels, its independence of the batch, and its derivatives."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import gan_image
from gan_image.augment import DiffAugment, DiffAugmentOptions
from gan_image.spec import ImageSpec
from gancore.data.spec import SampleSpec
from gancore.errors import UsageError
from gancore.losses.penalties import R1, R1Options
from gancore.random import Draws

STEPS = ["colour", "translation", "cutout"]


def augment(*policy, **options):
    return DiffAugment(DiffAugmentOptions(policy=policy or tuple(STEPS), **options), ImageSpec(shape=(3, 8, 8)))


def draws(n, seed=5, start=0):
    return Draws(seed, torch.arange(start, start + n))


def images(*shape, dtype=torch.float64):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype) * 2 - 1


def slid(image, down, right):
    """The image `[channels, height, width]` moved by whole pixels, with 0 where nothing is left."""
    out = torch.zeros_like(image)
    height, width = image.shape[1:]
    for i in range(height):
        for j in range(width):
            if 0 <= i - down < height and 0 <= j - right < width:
                out[:, i, j] = image[:, i - down, j - right]
    return out


def test_translation_moves_each_image_by_whole_pixels_within_the_ratio():
    x = images(40, 2, 8, 16)
    y = augment("translation")(x, draws(40))
    found = set()
    for before, after in zip(x, y, strict=True):
        shifts = [(i, j) for i in range(-1, 2) for j in range(-2, 3) if torch.equal(slid(before, i, j), after)]
        assert len(shifts) == 1
        found |= set(shifts)
    # All rows and columns shifts, of which 1/8 of 8 and of 16 pixels are the largest, do occur.
    assert {i for i, _ in found} == {-1, 0, 1}
    assert {j for _, j in found} == {-2, -1, 0, 1, 2}


def test_translation_keeps_the_sum_of_what_cannot_leave():
    x = torch.zeros(20, 1, 16, 16)
    x[:, :, 4:12, 4:12] = images(20, 1, 8, 8, dtype=torch.float32)
    y = augment("translation")(x, draws(20))
    torch.testing.assert_close(y.sum(dim=(1, 2, 3)), x.sum(dim=(1, 2, 3)))


def test_cutout_blanks_one_box_and_touches_nothing_else():
    x = torch.ones(200, 3, 8, 12)
    y = augment("cutout")(x, draws(200))
    blank = y[:, 0] == 0
    assert torch.equal(y, torch.where(blank[:, None], 0.0, 1.0).expand_as(y))
    rows, columns = blank.any(2), blank.any(1)
    assert torch.equal(blank, rows[:, :, None] & columns[:, None, :])
    for sides, size in ((rows, 8), (columns, 12)):
        lengths = sides.sum(1)
        # Contiguous: one rise and one fall at most; at least half of the box lies inside.
        assert int((sides[:, 1:] != sides[:, :-1]).sum(1).max()) <= 2
        assert int(lengths.max()) == size // 2
        assert int(lengths.min()) == size // 4


def test_cutout_blanks_the_expected_share():
    """A box of 4 on a side of 8 has its centre at 0..8, so it covers 2, 3, 4, 4, 4, 4, 4, 3 or 2: 30/9 on average."""
    y = augment("cutout")(torch.ones(4000, 1, 8, 8), draws(4000))
    assert float((y == 0).float().mean()) == pytest.approx((30 / 9 / 8) ** 2, rel=0.02)


def test_cutout_of_odd_length_is_centred_on_a_pixel():
    """A box of 3 on a side of 6 has its centre at 0..5, so it covers 2, 3, 3, 3, 3 or 2."""
    y = augment("cutout")(torch.ones(4000, 1, 6, 6), draws(4000))
    assert float((y == 0).float().mean()) == pytest.approx((16 / 6 / 6) ** 2, rel=0.02)


def test_cutout_as_large_as_the_image_still_lies_partly_outside():
    """A box of 8 on a side of 8 has its centre at 0..8, so it covers 4, 5, 6, 7, 8, 7, 6, 5 or 4."""
    y = augment("cutout", cutout=1.0)(torch.ones(4000, 1, 8, 8), draws(4000))
    assert float((y == 0).float().mean()) == pytest.approx((52 / 9 / 8) ** 2, rel=0.02)


@pytest.mark.parametrize(("policy", "options"), [("translation", {"translation": 0.0}), ("cutout", {"cutout": 0.0})])
def test_ratio_zero_changes_nothing(policy, options):
    x = images(6, 3, 8, 8)
    assert torch.equal(augment(policy, **options)(x, draws(6)), x)


def test_colour_changes_brightness_saturation_and_contrast_as_in_the_paper():
    x = images(5, 3, 4, 6, dtype=torch.float32)
    d = draws(5)
    y = augment("colour")(x, d)
    for n in range(5):
        brightness, saturation, contrast = (
            float(d.uniform(name, 1)[n]) for name in ("brightness", "saturation", "contrast")
        )
        bright = x[n] + brightness - 0.5
        grey = bright.mean(0, keepdim=True)
        vivid = (bright - grey) * (2 * saturation) + grey
        expected = (vivid - vivid.mean()) * (contrast + 0.5) + vivid.mean()
        torch.testing.assert_close(y[n], expected)


def test_colour_of_a_single_channel_is_brightness_and_contrast_only():
    x = images(5, 1, 4, 4)
    d = draws(5)
    y = augment("colour")(x, d)
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    expected = mean + (x - mean) * (d.uniform("contrast", 1, 1, 1) + 0.5) + d.uniform("brightness", 1, 1, 1) - 0.5
    torch.testing.assert_close(y, expected)


def test_colour_shifts_the_mean_of_an_image_by_less_than_one_half():
    x = images(300, 3, 4, 4)
    shift = augment("colour")(x, draws(300)).mean(dim=(1, 2, 3)) - x.mean(dim=(1, 2, 3))
    assert -0.5 <= float(shift.min()) < -0.45
    assert 0.45 < float(shift.max()) < 0.5


def test_steps_are_taken_in_the_order_of_the_policy():
    x, d = images(8, 3, 8, 8), draws(8)
    one_by_one = x
    for step in ("cutout", "colour"):
        one_by_one = augment(step)(one_by_one, d)
    assert torch.equal(augment("cutout", "colour")(x, d), one_by_one)
    assert not torch.equal(augment("colour", "cutout")(x, d), one_by_one)


def test_real_and_fake_samples_are_changed_alike_under_the_same_draws():
    """For given draws the change is affine, so the difference of two results is that of any other such pair."""
    real, fake = images(6, 3, 8, 8), images(12, 3, 8, 8)[6:]
    t, d = augment(), draws(6)
    torch.testing.assert_close(t(real, d) - t(fake, d), t(real - fake, d) - t(torch.zeros_like(real), d))
    assert torch.equal(t(real, d), t(real, draws(6)))


def test_other_draws_give_other_results():
    x = images(6, 3, 8, 8)
    assert not torch.equal(augment()(x, draws(6)), augment()(x, draws(6, seed=6)))


@settings(max_examples=25, deadline=None)
@given(
    channels=st.integers(1, 4),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    policy=st.permutations(STEPS),
    row=st.integers(0, 4),
)
def test_result_for_a_sample_does_not_depend_on_its_batch(channels, height, width, policy, row):
    x = images(5, channels, height, width)
    t = augment(*policy, translation=0.3, cutout=0.4)
    alone = t(x[row : row + 1], draws(1, start=row))
    torch.testing.assert_close(t(x, draws(5))[row : row + 1], alone)
    assert alone.shape == (1, channels, height, width)


@pytest.mark.parametrize("policy", [*[(s,) for s in STEPS], tuple(STEPS)], ids="+".join)
def test_first_and_second_derivatives_match_finite_differences(policy):
    x = images(2, 2, 4, 3).requires_grad_()
    t, d = augment(*policy, translation=0.3), draws(2)
    assert torch.autograd.gradcheck(lambda v: t(v, d), (x,))
    assert torch.autograd.gradgradcheck(lambda v: t(v, d).pow(3), (x,))


def test_r1_goes_through_to_the_weights():
    """With critic w . T(x) and T a translation, the gradient is w moved back, without what fell off the edge."""
    x, d = images(3, 1, 8, 8), draws(3)
    w = images(1, 1, 8, 8).requires_grad_()
    t = augment("translation")
    value = R1(R1Options()).penalty(lambda v: (t(v, d) * w).sum(dim=(1, 2, 3)), x, x, d)
    inside = t(torch.ones_like(x), d)
    expected = 0.5 * (w.square() * inside).sum(dim=(1, 2, 3)).mean()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(torch.autograd.grad(value, w)[0], (w * inside.mean(0)).detach())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_type_of_the_samples_is_kept_and_half_precision_is_computed_in_float32(dtype):
    x = images(4, 3, 8, 8, dtype=torch.float32).to(dtype)
    y = augment()(x, draws(4))
    assert y.dtype == dtype
    wide = x if dtype == torch.float64 else x.float()
    assert torch.equal(y, augment()(wide, draws(4)).to(dtype))


def test_channels_last_images_give_the_same_result():
    x = images(4, 3, 8, 6)
    y = augment()(x.contiguous(memory_format=torch.channels_last), draws(4))
    torch.testing.assert_close(y, augment()(x, draws(4)))


@pytest.mark.parametrize("shape", [(4, 8), (4, 1, 16), (4, 3, 2, 8, 8)], ids=str)
def test_samples_that_are_not_images_are_an_error_in_words(shape):
    with pytest.raises(UsageError, match=r"diffaugment.*images.*leave it out"):
        DiffAugment(DiffAugmentOptions(), SampleSpec(shape=shape[1:]))


@pytest.mark.parametrize(
    "values",
    [
        {"policy": ["colour", "colour"]},
        {"policy": []},
        {"policy": ["rotation"]},
        {"translation": 0.6},
        {"translation": -0.1},
        {"cutout": 1.1},
    ],
    ids=str,
)
def test_impossible_options_are_refused(values):
    with pytest.raises(ValidationError):
        DiffAugmentOptions(**values)


def test_declared_augmentation_points_here():
    (record,) = (r for r in gan_image.gan_augmentations() if r.name == "diffaugment")
    assert record.target == f"{DiffAugment.__module__}:DiffAugment"
    assert record.options == f"{DiffAugmentOptions.__module__}:DiffAugmentOptions"
