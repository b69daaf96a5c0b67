"""The way from a small map to a spectrogram or waveform of any size."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_audio.nets.sizes import halvings, kernel_and_padding, plan, spectrogram_shape, wave_plan, wave_shape
from gancore.data.spec import SampleSpec
from gancore.errors import UsageError


@pytest.mark.parametrize(
    ("size", "expected"),
    [(1, (0, 1)), (7, (0, 7)), (8, (1, 4)), (43, (3, 6)), (80, (4, 5)), (100, (4, 7)), (128, (5, 4)), (256, (6, 4))],
)
def test_a_side_is_halved_with_the_least_padding(size: int, expected: tuple[int, int]) -> None:
    assert halvings(size) == expected


def test_both_sides_of_a_square_are_halved_together() -> None:
    way = plan(128, 128)
    assert way.base == (4, 4)
    assert way.strides == ((2, 2),) * 5
    assert way.sizes() == [(128, 128), (64, 64), (32, 32), (16, 16), (8, 8), (4, 4)]


def test_the_longer_side_is_halved_alone_next_to_the_spectrogram() -> None:
    # 256 needs six halvings and 32 three: three of rows alone, the first two of which are one step.
    assert plan(256, 32).strides == ((4, 1), (2, 1), (2, 2), (2, 2), (2, 2))
    assert plan(64, 128).strides == ((1, 2), (2, 2), (2, 2), (2, 2), (2, 2))
    assert plan(256, 32, stem=16).strides == ((8, 1), (2, 2), (2, 2), (2, 2))
    assert plan(128, 128, stem=16).strides == ((4, 4), (2, 2), (2, 2), (2, 2))


def test_channels_grow_with_the_square_root_of_what_a_map_shrinks_by() -> None:
    assert plan(128, 128).channels(24, 256) == [24, 48, 96, 192, 256]
    # 24 * sqrt(2) = 33.9, the nearest multiple of 8 of which is 32; then 24 * sqrt(8) = 67.9.
    assert plan(256, 32).channels(24, 1024) == [24, 32, 64, 136, 272]
    assert plan(16, 16).channels(5, 100) == [5, 8]


@given(rows=st.integers(1, 4096), columns=st.integers(1, 4096), stem=st.sampled_from([4, 16]))
def test_every_size_is_reached_with_little_padding(rows: int, columns: int, stem: int) -> None:
    way = plan(rows, columns, stem)
    for side, size in enumerate((rows, columns)):
        assert way.base[side] * math.prod(s[side] for s in way.strides) == way.padded[side]
        assert size <= way.padded[side] < 1.25 * size + 1
        assert way.base[side] <= 8
    assert way.sizes()[-1] == way.base
    assert math.prod(way.strides[0]) <= stem


@given(length=st.integers(1, 300_000))
def test_every_waveform_is_reached_with_little_padding(length: int) -> None:
    steps, base = wave_plan(length)
    assert steps >= 1
    assert length <= base * 4**steps < 8 / 7 * length + 4


@pytest.mark.parametrize(("length", "expected"), [(16384, (5, 16)), (65536, (6, 16)), (8192, (5, 8)), (1000, (3, 16))])
def test_a_waveform_is_quartered_down_to_8_or_more(length: int, expected: tuple[int, int]) -> None:
    assert wave_plan(length) == expected


@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (1, 2), (2, 2), (4, 4), (8, 1)])
def test_a_step_divides_and_multiplies_exactly(stride: tuple[int, int]) -> None:
    for kernel, padding, by in zip(*kernel_and_padding(stride), stride, strict=True):
        size = 8 * by
        assert (size + 2 * padding - kernel) // by + 1 == 8
        assert (8 - 1) * by - 2 * padding + kernel == size


def test_shapes_of_another_kind_are_refused() -> None:
    assert spectrogram_shape(SampleSpec(shape=(2, 5, 7)), "specgan") == (2, 5, 7)
    assert wave_shape(SampleSpec(shape=(1, 77)), "wavegan") == (1, 77)
    with pytest.raises(UsageError, match="specgan makes spectrograms"):
        spectrogram_shape(SampleSpec(shape=(1, 77)), "specgan")
    with pytest.raises(UsageError, match="wavegan makes waveforms"):
        wave_shape(SampleSpec(shape=(1, 5, 7)), "wavegan")
