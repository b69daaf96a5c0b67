"""Attributes of pictures against values computed by hand, and those of blossoms against the factors that these were drawn from."""

from __future__ import annotations

from math import nan, sqrt

import pytest
import torch

from gan_image import gan_attributes
from gan_image.blossoms import attributes as blossoms
from gan_image.blossoms.draw import draw
from gan_image.blossoms.factors import EYE_SIZE, FEWEST, GROUND, HUE, PETALS, SIZE, WIDTH, draw_factors
from gan_image.blossoms.read import READABLE, read
from gan_image.blossoms.spec import BlossomSpec
from gan_image.spec import ImageSpec
from gancore.configuration.configure import configure
from gancore.evaluation.attributes import attributes_of, fault
from gancore.plugins import Registry
from gancore.random import Draws
from gancore.targets import build, options_model

RECORDS = {record.name: record for record in gan_attributes()}
BLACK, WHITE, GREY = (0, 0, 0), (255, 255, 255), (120, 120, 120)
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
YELLOW, CYAN, MAGENTA = (255, 255, 0), (0, 255, 255), (255, 0, 255)
HALF = [[0, 0, 255, 255]] * 4
ROWS = [[0] * 4, [80] * 4, [160] * 4, [240] * 4]
CHESS = [[0, 255, 0, 255], [255, 0, 255, 0]] * 2
FLAT = [[77] * 4] * 4


def measured(name, x, **options):
    """An attribute of pictures uint8 `[n, channels, height, width]`."""
    model = options_model(RECORDS[name])
    values = build(RECORDS[name], model and model(**options), ImageSpec(shape=tuple(x.shape[1:])))(x)
    assert fault(values, len(x)) == ""
    return values


def of_grey(name, picture, **options):
    """An attribute of one picture of grey values, rows of columns."""
    return measured(name, torch.tensor([[picture]], dtype=torch.uint8), **options).item()


def of_colour(name, *pixels, **options):
    """An attribute of a picture of one row of colours."""
    return measured(name, torch.tensor([pixels], dtype=torch.uint8).mT[:, :, None], **options).item()


def approx(value, within=1e-5):
    return pytest.approx(value, abs=within, nan_ok=True)


@pytest.mark.parametrize(
    ("name", "picture", "value"),
    [
        ("brightness", HALF, 0.5),
        ("brightness", FLAT, 77 / 255),
        ("contrast", HALF, 0.5),
        ("contrast", FLAT, 0.0),
        ("contrast", ROWS, 80 * sqrt(1.25) / 255),
        (
            "sharpness",
            HALF,
            sqrt(4 / 24 / (2 * 0.25)),
        ),  # 4 of 24 pairs of neighbours differ by 1, and the variance is 1/4
        ("sharpness", CHESS, sqrt(2)),
        ("sharpness", FLAT, nan),
        ("symmetry", HALF, -1.0),
        ("symmetry", ROWS, 1.0),
        ("symmetry", [[0, 255, 255, 0], [255, 0, 0, 255]] * 2, 1.0),
        ("symmetry", [[0, 0, 0, 255]] * 4, -1 / 3),
        ("symmetry", FLAT, nan),
        ("fill", [[9, 9, 9, 9], [9, 200, 0, 9], [9, 200, 12, 9], [9, 9, 9, 255]], 3 / 16),
        ("fill", FLAT, 0.0),
    ],
)
def test_attribute_of_a_grey_picture_is_as_computed_by_hand(name, picture, value):
    assert of_grey(name, picture) == approx(value)


def test_sharpness_does_not_depend_on_contrast():
    x = torch.randint(0, 100, (3, 1, 9, 7), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    torch.testing.assert_close(measured("sharpness", 2 * x + 30), measured("sharpness", x))


def test_noise_is_as_sharp_as_noise_and_has_no_symmetry():
    x = torch.randint(0, 256, (1, 1, 200, 200), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    assert measured("sharpness", x).item() == approx(1.0, within=0.02)
    assert measured("symmetry", x).item() == approx(0.0, within=0.02)


def test_fill_counts_what_differs_by_more_than_the_tolerance():
    picture = [[0, 0, 0], [0, 51, 0], [0, 0, 0]]
    assert of_grey("fill", picture, tolerance=0.19) == approx(1 / 9)
    assert of_grey("fill", picture, tolerance=0.21) == 0.0


@pytest.mark.parametrize(
    ("name", "pixels", "value"),
    [
        ("brightness", [RED], 0.299),
        ("brightness", [GREEN, BLACK], 0.587 / 2),
        ("saturation", [RED, GREY], 0.5),
        ("saturation", [WHITE, BLACK], 0.0),
        ("redness", [RED], 1.0),
        ("redness", [GREEN, GREEN, BLUE, WHITE], -0.5),
        ("warmth", [YELLOW], 1.0),
        ("warmth", [BLUE], -1.0),
        ("warmth", [RED, GREY], 0.25),
        ("hue", [RED], 0.0),
        ("hue", [YELLOW], 60.0),
        ("hue", [GREEN, WHITE], 120.0),
        ("hue", [CYAN], 180.0),
        ("hue", [BLUE, BLACK], 240.0),
        ("hue", [MAGENTA], -60.0),
        ("hue", [RED, GREEN], 60.0),
        ("hue", [RED, CYAN], nan),
        ("hue", [GREY], nan),
        ("fill", [RED, RED, (255, 255, 0)], 1 / 3),
    ],
)
def test_attribute_of_colours_is_as_computed_by_hand(name, pixels, value):
    assert of_colour(name, *pixels) == approx(value, within=1e-3 if name == "hue" else 1e-5)


def test_circle_of_hues_is_cut_open_where_it_is_asked_to_be():
    assert of_colour("hue", MAGENTA, begin=0.0) == approx(300.0, within=1e-3)
    assert of_colour("hue", BLUE, begin=-180.0) == approx(-120.0, within=1e-3)


def test_transparent_pictures_lie_on_white():
    clear, red = (255, 0, 0, 0), (255, 0, 0, 255)
    assert of_colour("brightness", clear, red) == approx((1.0 + 0.299) / 2)
    assert of_colour("saturation", clear, red) == approx(0.5)


def test_grey_pictures_have_no_colours_and_are_no_blossoms():
    registry = Registry()
    settings = configure(registry, plugin="image", preset="digits")
    built = attributes_of(registry, settings, ImageSpec(shape=(1, 8, 8)))
    assert [name.partition(":")[2] for name in built.measures] == [
        "brightness",
        "contrast",
        "sharpness",
        "symmetry",
        "fill",
    ]
    assert built.left_out["image:hue"] == "hue is of colour pictures, and these have 1 channel"
    assert set(built.left_out) == {f"image:{name}" for name in ("hue", "saturation", "redness", "warmth")}


@pytest.mark.parametrize("channels", [2, 5])
@pytest.mark.parametrize("name", ["brightness", "contrast", "sharpness", "symmetry", "fill"])
def test_what_needs_no_colour_is_that_of_a_grey_picture_in_any_number_of_equal_channels(name, channels):
    x = torch.randint(0, 256, (5, 1, 6, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    torch.testing.assert_close(measured(name, x.expand(-1, channels, -1, -1)), measured(name, x))


# --- blossoms ---------------------------------------------------------------------------------------------------------

FACTORS = {
    "petals": (PETALS, 0.1),
    "blossom-size": (SIZE, 0.03),
    "petal-width": (WIDTH, 0.06),
    "petal-hue": (HUE, 5.0),
    "ground-hue": (GROUND, 5.0),
    "eye-size": (EYE_SIZE, 0.03),
}
"""By attribute the factor, and how near it counts as right."""


def measured_blossoms(x):
    registry = Registry()
    built = attributes_of(registry, configure(registry, plugin="image"), BlossomSpec(shape=(3, 32, 32)))
    found = built.measure(x)
    return {name: found[f"image:{name}"] for name in FACTORS}


def shares_right(x, factors):
    """Of each attribute the share of pictures drawn from `factors` `[n, 8]` in which it is right."""
    drawn, found = factors.clone(), measured_blossoms(x)
    drawn[:, PETALS] += FEWEST
    return [
        float(((found[name] - drawn[:, place]).abs() <= near).double().mean())
        for name, (place, near) in FACTORS.items()
    ]


def test_attributes_of_blossoms_are_the_factors_that_they_were_drawn_from():
    factors = draw_factors(Draws(5, torch.arange(100)))
    assert min(shares_right(draw(factors), factors)) >= 0.97


def test_blossoms_that_the_metric_finds_unreadable_still_have_attributes():
    factors = draw_factors(Draws(5, torch.arange(100)))
    noise = 40 * Draws(1, torch.arange(100)).normal("noise", 3, 32, 32)
    x = (draw(factors) + noise).clamp(0, 255).to(torch.uint8)
    assert (read(x)[1] > READABLE).double().mean() > 0.9
    assert min(shares_right(x, factors)) >= 0.5


def test_what_has_nothing_of_a_blossom_has_no_attributes_of_blossoms():
    x = torch.randint(0, 256, (20, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    assert all(values.isnan().all() for values in measured_blossoms(x).values())


def test_each_picture_is_read_once_for_all_its_factors(monkeypatch):
    counts = []
    monkeypatch.setattr(blossoms, "read", lambda x: counts.append(len(x)) or read(x))
    measured_blossoms(draw(draw_factors(Draws(8, torch.arange(10)))))
    assert counts == [10]
