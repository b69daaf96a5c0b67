"""ADA: what each transform does, by hand or by other libraries; how often; derivatives; and that a generator does not learn it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

import gan_image
from gan_image.ada import GROUPS, TRANSFORMS, Ada, AdaOptions, _bands, _halved, _Picked, _places
from gan_image.spec import ImageSpec
from gancore.data.spec import SampleSpec
from gancore.errors import UsageError
from gancore.losses.adversarial import NonSaturating
from gancore.random import Draws


def augment(*policy, strength=1.0):
    given = {"policy": policy} if policy else {}
    return Ada(AdaOptions(strength=strength, **given), ImageSpec(shape=(3, 8, 8)))


def draws(n, seed=5, start=0):
    return Draws(seed, torch.arange(start, start + n))


def images(*shape, dtype=torch.float64):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype) * 2 - 1


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (2, 1, 7, 12), (1, 5, 1, 3)], ids=str)
def test_strength_0_gives_back_the_samples_themselves(shape):
    x = images(*shape)
    assert augment(*GROUPS, strength=0.0)(x, draws(len(x))) is x


# --- how often --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [0.2, 0.7])
def test_each_transform_is_drawn_with_the_strength_and_rotation_twice_with_as_much_in_all(strength):
    share = _Picked(draws(6000), strength, torch.zeros(1)).on.double().mean(0)
    for name, found in zip(TRANSFORMS, share.tolist(), strict=True):
        expected = 1 - math.sqrt(1 - strength) if name.startswith("rotate") else strength
        assert found == pytest.approx(expected, abs=0.025), name


def test_a_sample_that_is_changed_is_changed_alike_at_any_greater_strength():
    weak, strong = (_Picked(draws(100), strength, torch.zeros(1)) for strength in (0.3, 0.6))
    assert bool((strong.on | ~weak.on).all())
    for name in ("scale", "hue"):
        one, other = weak.normal(name, 1.0), strong.normal(name, 1.0)
        assert torch.equal(one, torch.where(weak.on[:, TRANSFORMS.index(name)], other, 0.0))


def test_samples_that_nothing_happens_to_are_the_same_bit_by_bit():
    x = images(200, 3, 8, 8, dtype=torch.float32)
    y = augment("blit", "geometric", "cutout", strength=0.1)(x, draws(200))
    on = _Picked(draws(200), 0.1, x).on[
        :, [TRANSFORMS.index(n) for g in ("blit", "geometric", "cutout") for n in GROUPS[g]]
    ]
    same = (y == x).flatten(1).all(1)
    assert int((~on.any(1)).sum()) > 40
    assert bool(same[~on.any(1)].all())


# --- what moves pixels ------------------------------------------------------------------------------------------------


def test_blit_flips_turns_and_shifts_by_whole_pixels_with_reflection():
    x = images(90, 1, 8, 8)
    found = set()
    for before, after in zip(x.numpy(), augment("blit")(x, draws(90)).numpy(), strict=True):
        matches = []
        for flip in (0, 1):
            flipped = before[:, :, ::-1] if flip else before
            for turn in range(4):
                wide = np.pad(np.rot90(flipped, turn, (1, 2)), ((0, 0), (1, 1), (1, 1)), mode="symmetric")
                for down, right in itertools.product((-1, 0, 1), (-1, 0, 1)):
                    if np.abs(wide[:, 1 - down : 9 - down, 1 - right : 9 - right] - after).max() < 1e-5:
                        matches.append((flip, turn, down, right))
        assert len(matches) == 1
        found |= set(matches)
    assert {m[:2] for m in found} == {(f, t) for f in (0, 1) for t in range(4)}
    assert {m[2:] for m in found} == {(d, r) for d in (-1, 0, 1) for r in (-1, 0, 1)}


def forward(picked, n, height, width):
    """The matrix of everything that moves the pixels of sample `n`, from coordinates (x, y, 1) in pixels from the centre."""

    def number(value):
        return float(value[n])

    def turned(angle):
        return np.array([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]])

    def scaled(x, y):
        return np.diag([x, y, 1.0])

    def moved(x, y):
        return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])

    scale, stretch = number(picked.normal("scale", 0.2)), number(picked.normal("stretch", 0.2))
    in_order = [
        scaled(-1 if number(picked.chosen("flip", 2)) else 1, 1),
        turned(-math.pi / 2 * number(picked.chosen("turn", 4))),
        moved(-round(number(picked.uniform("shift", 0)) * width / 8), -round(number(picked.uniform("shift", 1)) * height / 8)),
        scaled(2**scale, 2**scale),
        turned(-math.pi * number(picked.uniform("rotate"))),
        scaled(2**stretch, 2**-stretch),
        turned(-math.pi * number(picked.uniform("rotate-again"))),
        moved(-number(picked.normal("move", 1 / 8, 0)) * width, -number(picked.normal("move", 1 / 8, 1)) * height),
    ]  # fmt: skip
    whole = np.eye(3)
    for step in in_order:
        whole = step @ whole
    return whole


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 20)])
def test_one_map_is_the_inverse_of_all_transforms_in_their_order(height, width):
    picked = _Picked(draws(12), 0.7, torch.zeros(1, dtype=torch.float64))
    places = _places(torch.zeros(12, 3, height, width, dtype=torch.float64), picked, ["blit", "geometric"]).numpy()
    halves = np.diag([width / 2, height / 2, 1.0])
    for n in range(12):
        whole = halves @ np.vstack([places[n], [0, 0, 1]]) @ np.linalg.inv(halves)
        inverse = np.linalg.inv(forward(picked, n, height, width))
        # A shift after a flip or a turn is along other axes, of which each sign is as likely.
        assert whole[:2, :2] == pytest.approx(inverse[:2, :2], abs=1e-6)


def test_pictures_between_pixels_are_as_scipy_interpolates_them():
    rows, columns = torch.meshgrid(torch.arange(20.0), torch.arange(28.0), indexing="ij")
    x = (
        torch.stack([(rows / 5).sin() + (columns / 6).cos(), (rows * columns / 90).sin()])[None]
        .double()
        .repeat(10, 1, 1, 1)
    )
    y = augment("geometric")(x, draws(10)).numpy()
    places = _places(x, _Picked(draws(10), 1.0, x), ["geometric"]).numpy()
    halves, flip = np.diag([14.0, 10.0, 1.0]), np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1.0]])
    for n in range(10):
        inverse = flip @ halves @ np.vstack([places[n], [0, 0, 1]]) @ np.linalg.inv(halves) @ flip
        centre = np.array([9.5, 13.5])
        offset = inverse[:2, 2] + centre - inverse[:2, :2] @ centre
        for channel in range(2):
            expected = scipy.ndimage.affine_transform(
                x[n, channel].numpy(), inverse[:2, :2], offset, order=3, mode="reflect"
            )
            assert np.abs(expected - y[n, channel]).max() < 0.04  # of 2


def test_halving_keeps_values_and_puts_a_cubic_between_them():
    finer = _halved(9).double() @ (torch.arange(9.0).double()[:, None] / 4) ** 3
    assert torch.equal(finer[1::2, 0], (torch.arange(9.0).double() / 4) ** 3)
    torch.testing.assert_close(finer[4:-4:2, 0], ((torch.arange(2.0, 8.0).double() - 0.5) / 4) ** 3)


# --- what changes values ----------------------------------------------------------------------------------------------


def test_colours_of_three_channels_are_changed_by_the_papers_matrices():
    x, d = images(20, 3, 4, 6), draws(20)
    y = augment("colour", strength=0.7)(x, d)
    picked = _Picked(d, 0.7, x)
    axis = np.ones(3) / math.sqrt(3)
    for n in range(20):
        vivid, angle = 2 ** float(picked.normal("saturation", 1.0)[n]), math.pi * float(picked.uniform("hue")[n])
        cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
        turn = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
        mirror = np.eye(3) - 2 * np.outer(axis, axis) * float(picked.chosen("invert", 2)[n])
        along = np.outer(axis, axis)
        matrix = (along + (np.eye(3) - along) * vivid) @ turn @ mirror * 2 ** float(picked.normal("contrast", 0.5)[n])
        bright = x[n].flatten(1).numpy() + float(picked.normal("brightness", 0.2)[n])
        assert y[n].flatten(1).numpy() == pytest.approx(matrix @ bright, abs=1e-6)


def test_one_channel_has_brightness_contrast_and_inversion():
    x = images(200, 1, 4, 4)
    y = augment("colour")(x, draws(200))
    factor = (y[:, 0, 0, 1] - y[:, 0, 0, 0]) / (x[:, 0, 0, 1] - x[:, 0, 0, 0])
    shift = y[:, 0, 0, 0] / factor - x[:, 0, 0, 0]
    torch.testing.assert_close(y, factor.view(-1, 1, 1, 1) * (x + shift.view(-1, 1, 1, 1)))
    assert float((factor < 0).double().mean()) == pytest.approx(0.5, abs=0.1)
    assert float(factor.abs().log2().std()) == pytest.approx(0.5, abs=0.1)
    assert float(shift.std()) == pytest.approx(0.2, abs=0.04)


def test_opacity_is_left_alone_and_the_colours_beside_it_change_as_without():
    x, d = images(6, 4, 5, 5), draws(6)
    y = augment("colour")(x, d)
    assert torch.equal(y[:, 3], x[:, 3])
    torch.testing.assert_close(y[:, :3], augment("colour")(x[:, :3], d))


def test_channels_of_another_number_are_changed_each_for_itself():
    x = images(300, 2, 3, 3)
    y = augment("colour")(x, draws(300))
    factor = (y[:, :, 0, 1] - y[:, :, 0, 0]) / (x[:, :, 0, 1] - x[:, :, 0, 0])
    assert bool((factor > 0).all())
    assert abs(float(torch.corrcoef(factor.log2().T)[0, 1])) < 0.2


def test_bands_are_those_of_the_wavelet_and_add_up_to_everything():
    """The square of sym2's low-pass passes cos^4(w / 2) (1 + 2 sin^2(w / 2)) of frequency w (Daubechies 1992, chapter 6)."""
    bands, places = _bands(16).double(), torch.arange(16).double() + 0.5
    torch.testing.assert_close(bands.sum(0), torch.eye(16).double(), atol=1e-6, rtol=0)

    def low(w):
        return math.cos(w / 2) ** 4 * (1 + 2 * math.sin(w / 2) ** 2)

    for k in range(16):
        w = math.pi * k / 16
        wave = (w * places).cos()  # which reflection at both ends leaves as it is
        passed = [
            low(w) * low(2 * w) * low(4 * w),
            low(w) * low(2 * w) * (1 - low(4 * w)),
            low(w) * (1 - low(2 * w)),
            1 - low(w),
        ]
        for band, share in zip(bands, passed, strict=True):
            torch.testing.assert_close(band @ wave, share * wave, atol=1e-6, rtol=0)


def test_filtering_multiplies_a_flat_picture_by_the_gain_of_its_lowest_band_along_both_sides():
    gain = augment("filter", strength=0.5)(torch.ones(60, 1, 8, 6).double(), draws(60))
    picked, power = _Picked(draws(60), 0.5, gain), [10 / 13, 1 / 13, 1 / 13, 1 / 13]
    for n in range(60):
        expected = 1.0
        for band, name in enumerate(GROUPS["filter"]):
            own = [2 ** float(picked.normal(name, 1.0)[n]) if k == band else 1.0 for k in range(4)]
            expected *= own[0] / math.sqrt(sum(p * g * g for p, g in zip(power, own, strict=True)))
        torch.testing.assert_close(gain[n], torch.full((1, 8, 6), expected**2).double(), atol=1e-5, rtol=0)


def test_noise_has_a_size_of_its_own_for_each_sample():
    y = augment("noise")(torch.zeros(400, 3, 8, 8), draws(400))
    sizes = y.flatten(1).std(1)
    assert float(sizes.mean()) == pytest.approx(0.1 * math.sqrt(2 / math.pi), rel=0.1)
    assert float(y.mean()) == pytest.approx(0.0, abs=0.005)


def test_cutout_blanks_a_box_of_half_the_sides_anywhere():
    y = augment("cutout")(torch.ones(300, 2, 8, 12), draws(300))
    blank = y[:, 0] == 0
    assert torch.equal(y, torch.where(blank[:, None], 0.0, 1.0).expand_as(y))
    rows, columns = blank.any(2), blank.any(1)
    assert torch.equal(blank, rows[:, :, None] & columns[:, None, :])
    assert (int(rows.sum(1).max()), int(columns.sum(1).max())) == (4, 6)
    assert bool(rows[:, 0].any() & rows[:, -1].any() & columns[:, 0].any() & columns[:, -1].any())


# --- what holds for all -----------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(
    channels=st.integers(1, 5),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    policy=st.sets(st.sampled_from(sorted(GROUPS)), min_size=1),
    row=st.integers(0, 4),
)
def test_result_for_a_sample_does_not_depend_on_its_batch(channels, height, width, policy, row):
    x = images(5, channels, height, width)
    t = augment(*sorted(policy), strength=0.6)
    y = t(x, draws(5))
    torch.testing.assert_close(y[row : row + 1], t(x[row : row + 1], draws(1, start=row)))
    assert y.shape == x.shape
    assert bool(y.isfinite().all())


def test_first_and_second_derivatives_match_finite_differences():
    x = images(1, 3, 3, 2).requires_grad_()
    t, d = augment(*GROUPS), draws(1)
    assert torch.autograd.gradcheck(lambda v: t(v, d), (x,))
    assert torch.autograd.gradgradcheck(lambda v: t(v, d).pow(3), (x,))


def test_real_and_fake_samples_are_changed_alike_under_the_same_draws():
    real, fake = images(6, 3, 8, 8), images(12, 3, 8, 8)[6:]
    t, d = augment(*GROUPS), draws(6)
    torch.testing.assert_close(t(real, d) - t(fake, d), t(real - fake, d) - t(torch.zeros_like(real), d))
    assert torch.equal(t(real, d), t(real, draws(6)))
    assert not torch.equal(t(real, d), t(real, draws(6, seed=6)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels", [1, 3])
def test_type_and_layout_of_the_samples_are_kept(dtype, channels):
    x = images(4, channels, 8, 6, dtype=torch.float32).to(dtype)
    plain = augment(*GROUPS)(x, draws(4))
    assert (plain.dtype, plain.stride()) == (dtype, x.stride())
    last = x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    y = augment(*GROUPS)(last, draws(4))
    assert y.stride() == last.stride()
    assert torch.equal(y, plain)


def test_samples_that_are_not_images_are_an_error_in_words():
    with pytest.raises(UsageError, match=r"augmentation 'ada'.*images"):
        Ada(AdaOptions(), SampleSpec(shape=(3, 8)))


@pytest.mark.parametrize("policy", [["blit", "blit"], [], ["rotation"]], ids=str)
def test_impossible_policies_are_refused(policy):
    with pytest.raises(ValidationError):
        AdaOptions(policy=policy)


def test_declared_augmentation_points_here():
    record = next(r for r in gan_image.gan_augmentations() if r.name == "ada")
    assert record.target == f"{Ada.__module__}:Ada"
    assert record.options == f"{AdaOptions.__module__}:AdaOptions"


# --- what a generator learns of it ------------------------------------------------------------------------------------


def upright_after_training(strength, steps=100, batch=32):
    """The share of upright pictures that a generator makes that may make one in four orientations, and began with another."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        picture = torch.zeros(8, 8)
        picture[:3] = torch.linspace(1.0, 0.5, 8)
        turns = torch.stack([torch.rot90(picture, k) for k in range(4)])
        preference = nn.Parameter(torch.tensor([0.0, 0.0, 2.0, 0.0]))  # upside down
        judge = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    movers = torch.optim.Adam(judge.parameters(), 1e-2, (0.5, 0.9)), torch.optim.Adam([preference], 0.1, (0.5, 0.9))
    t, loss = augment("blit", strength=strength), NonSaturating()
    for step in range(steps):
        d = Draws(1, torch.arange(step * batch, (step + 1) * batch))
        noise = -(-d.uniform("gumbel", 4).clamp(min=1e-6).log()).log()
        fake = torch.einsum("nk,khw->nhw", ((preference + noise) / 0.3).softmax(1), turns)[:, None]
        real = turns[:1].expand(batch, 1, 8, 8)
        for mover, side in zip(movers, ("discriminator", "generator"), strict=True):
            mover.zero_grad()
            logits = judge(t(fake if side == "generator" else fake.detach(), d.within("fake")))
            if side == "discriminator":
                loss.discriminator(judge(t(real, d.within("real"))), logits).backward()
            else:
                loss.generator(logits).backward()
            mover.step()
    return float(preference.detach().softmax(0)[0])


def test_a_generator_does_not_learn_orientations_that_only_augmentation_has():
    assert upright_after_training(0.8) > 0.9


def test_a_generator_learns_any_orientation_where_augmentation_makes_all_alike():
    """The control: at strength 1 every orientation is as likely whatever a picture was, and nothing can be told apart."""
    assert upright_after_training(1.0) < 0.6
