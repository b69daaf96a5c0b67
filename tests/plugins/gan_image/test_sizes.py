"""Which image sizes are taken, and what is said of the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_image.nets.sizes import channel_ladder, image_shape, nearest, plan
from gancore.data.spec import SampleSpec
from gancore.errors import UsageError


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((64, 96), (4, 4, 6)),
        ((28, 28), (2, 7, 7)),
        ((8, 8), (1, 4, 4)),
        ((512, 512), (7, 4, 4)),
        ((1024, 1024), (8, 4, 4)),
        ((48, 48), (4, 3, 3)),
        ((24, 40), (3, 3, 5)),
        ((8, 16), (1, 4, 8)),
        ((10, 14), (1, 5, 7)),
        ((256, 512), (6, 4, 8)),
    ],
)
def test_known_sizes_come_down_as_worked_out_by_hand(size: tuple[int, int], expected: tuple[int, int, int]) -> None:
    assert plan(*size) == expected


@given(st.integers(3, 8), st.integers(3, 8), st.integers(1, 8))
def test_every_size_made_by_doubling_a_small_map_has_a_plan(a: int, b: int, doublings: int) -> None:
    height, width = a * 2**doublings, b * 2**doublings
    if min(height, width) < 8 or max(height, width) > 1024:
        return
    halvings, base_height, base_width = plan(height, width)
    assert (base_height * 2**halvings, base_width * 2**halvings) == (height, width)
    assert halvings >= doublings


@given(st.integers(1, 1200), st.integers(1, 1200))
def test_a_plan_is_exact_and_cannot_be_halved_once_more_or_it_is_an_error(height: int, width: int) -> None:
    try:
        halvings, base_height, base_width = plan(height, width)
    except UsageError:
        fits = [
            k
            for k in range(1, 10)
            if not (height % 2**k or width % 2**k) and 3 <= height // 2**k <= 8 and 3 <= width // 2**k <= 8
        ]
        assert not fits or min(height, width) < 8 or max(height, width) > 1024
        return
    assert (base_height << halvings, base_width << halvings) == (height, width)
    assert 3 <= base_height <= 8
    assert 3 <= base_width <= 8
    assert base_height % 2 or base_width % 2 or min(base_height, base_width) < 6


@given(st.integers(1, 2000), st.integers(1, 2000))
def test_whatever_is_suggested_works(height: int, width: int) -> None:
    suggested = nearest(height, width)
    assert suggested
    for size in suggested:
        plan(*size)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((100, 100), ("100x100", "96x96", "112x112")),
        ((4, 4), ("4x4", "8x8")),
        ((2048, 2048), ("2048x2048", "1024x1024")),
        ((64, 512), ("64x512", "to 8")),
    ],
)
def test_an_impossible_size_is_refused_with_what_was_found_and_what_works(
    size: tuple[int, int], words: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError) as refusal:
        plan(*size)
    assert all(word in str(refusal.value) for word in words)


def test_samples_that_are_no_images_are_refused() -> None:
    with pytest.raises(UsageError, match=r"\(12, 128\)"):
        image_shape(SampleSpec(shape=(12, 128)))


def test_channels_double_at_each_halving_up_to_the_most() -> None:
    assert channel_ladder(8, 48, 4) == [48, 48, 32, 16, 8]
    assert channel_ladder(64, 32, 1) == [32, 32]
