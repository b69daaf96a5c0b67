"""Colours, axes, ticks and words of the pictures of sounds."""

from __future__ import annotations

import numpy as np
import pytest

from gan_audio.spec import AudioSpec
from gan_audio.writers.colours import colour_scale, coloured
from gan_audio.writers.drawing import (
    Axis,
    decibels,
    fitting,
    frame_sizes,
    number_text,
    round_ticks,
    spectrogram,
    waveform,
    wrapped,
)
from gancore.drawing import font, printable

RATE, LENGTH = 8000, 8192


def spec(representation="log-stft", **more):
    return AudioSpec.of(representation=representation, **more)


def tone(frequency, amplitude=1.0, rate=RATE, length=LENGTH):
    return (amplitude * np.sin(2 * np.pi * frequency * np.arange(length) / rate)).astype(np.float32)[None]


def lightness(rgb):
    """L* of CIE 1976 from sRGB of 8 bits, another measure than the one that the scale was made by."""
    part = rgb / 255.0
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    y = linear @ [0.2126, 0.7152, 0.0722]
    return np.where(y > 216 / 24389, 116 * np.cbrt(y) - 16, y * 24389 / 27)


# --- colours ----------------------------------------------------------------------------------------------------------


def test_lightness_rises_from_colour_to_colour_without_leaps():
    steps = np.diff(lightness(colour_scale()))
    assert steps.min() > 0.0
    assert steps.max() < 2.5 * steps.mean()


def test_colours_go_from_nearly_black_to_nearly_white():
    ends = lightness(colour_scale())[[0, -1]]
    assert ends[0] < 5.0
    assert ends[1] > 95.0


def test_levels_beyond_both_ends_have_the_colours_of_the_ends():
    found = coloured(np.array([-3.0, 0.0, 1.0, 9.0]))
    assert np.array_equal(found, colour_scale()[[0, 0, 255, 255]])


# --- levels and axes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("representation", ["waveform", "log-stft", "log-mel"])
def test_a_sine_at_half_of_full_scale_is_6_db_below_0(representation):
    data = spec(representation)
    levels, hop = decibels(tone(1000.0, 0.5), data)
    assert hop == 64
    assert levels.shape == (1, 129, 128)
    middle = levels[0, :, 64]
    assert middle.argmax() == 32  # 1,000 Hz in bins of 31.25 Hz
    assert middle.max() == pytest.approx(20 * np.log10(0.5), abs=0.05)


def test_frames_are_those_of_the_generator_and_32_ms_of_waveforms():
    assert frame_sizes(spec(n_fft=128, hop=32)) == (128, 32)
    assert frame_sizes(spec("waveform", n_fft=128, hop=32)) == (256, 64)
    assert frame_sizes(spec("waveform", sample_rate=16_000)) == (512, 128)
    assert frame_sizes(spec("waveform", sample_rate=44_100)) == (1024, 256)
    assert frame_sizes(spec(), n_fft=1024) == (1024, 256)


def test_a_length_that_is_no_multiple_of_the_hop_is_drawn_to_its_end():
    data = spec("waveform", length=8320, hop=64, n_fft=256)
    levels, hop = decibels(tone(500.0, length=8320), data, 1024)
    assert (hop, levels.shape) == (256, (1, 513, 33))


@pytest.mark.parametrize(
    ("kind", "places"),
    # In mel by O'Shaughnessy's formula 1,000 Hz are 1,000 mel and 4,000 Hz are 2,146; in octaves 50 to 4,000 Hz are 6.32.
    [("linear", {0: 0.0, 1000: 0.25, 4000: 1.0}), ("mel", {0: 0.0, 1000: 0.46597}), ("log", {50: 0.0, 100: 0.15820})],
)
def test_frequencies_stand_where_the_axis_says(kind, places):
    axis = Axis.of(kind, spec(), 256)
    for frequency, place in places.items():
        assert axis.place(frequency) == pytest.approx(place, abs=1e-4)
    there = np.linspace(axis.low, axis.high, 50)
    assert np.allclose(axis.frequency(axis.place(there)), there)


@pytest.mark.parametrize(
    ("kind", "ticks"),
    [
        ("linear", [0, 1000, 2000, 3000, 4000]),
        ("mel", [0, 200, 500, 1000, 2000, 4000]),
        ("log", [50, 100, 200, 500, 1000, 2000, 4000]),
    ],
)
def test_axes_of_frequency_have_round_ticks(kind, ticks):
    assert Axis.of(kind, spec(), 256).ticks(7) == pytest.approx(ticks)


@pytest.mark.parametrize("kind", ["linear", "mel", "log"])
@pytest.mark.parametrize("frequency", [250.0, 1000.0, 3100.0])
@pytest.mark.parametrize("height", [48, 96, 256, 700])
def test_a_tone_lights_the_row_of_its_frequency(kind, frequency, height):
    data = spec()
    axis = Axis.of(kind, data, 256)
    levels, hop = decibels(tone(frequency), data)
    pixels = spectrogram(levels, hop, data, axis, 40, height)[0, :, 20]
    edges = axis.frequency(1.0 - np.arange(height + 1) / height)
    brightest = int(pixels.argmax())
    # Within the row, or half of a bin from it.
    assert edges[brightest + 1] - 16.0 <= frequency <= edges[brightest] + 16.0


def test_no_tone_is_lost_where_there_are_fewer_rows_than_bins():
    data = spec(n_fft=1024, hop=256)
    levels, hop = decibels(tone(1007.8125), data)  # exactly bin 129
    pixels = spectrogram(levels, hop, data, Axis.of("linear", data, 1024), 16, 24)[0, :, 8]
    assert pixels.max() == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("width", [20, 128, 640])
def test_a_click_lights_the_column_of_its_time(width):
    wave = np.zeros((1, LENGTH), np.float32)
    wave[0, 2048] = 1.0  # a quarter of the clip
    levels, hop = decibels(wave, spec())
    columns = spectrogram(levels, hop, spec(), Axis.of("linear", spec(), 256), width, 32)[0].mean(axis=0)
    assert abs((columns.argmax() + 0.5) / width - 0.25) <= 0.5 / width + 0.5 / 128


# --- waveforms --------------------------------------------------------------------------------------------------------


def inked(strip):
    """Rows of each column in which the wave is, `[height, width]`."""
    return strip[..., 2].astype(int) - strip[..., 0] > 20


def test_a_waveform_fills_its_columns_between_lowest_and_highest_value():
    wave = np.zeros((1, 400), np.float32)
    wave[0, 100:200:2], wave[0, 101:200:2] = 0.5, -1.0
    found = inked(waveform(wave, 40, 20)[0])
    assert found[:, 15].nonzero()[0].tolist() == list(range(5, 20))
    assert set(found[:, 35].nonzero()[0].tolist()) <= {9, 10}
    assert found[:, 35].any()


def test_a_steep_waveform_has_no_gaps():
    wave = np.repeat(np.array([[-0.9, 0.9]], np.float32), 50, axis=1)
    found = inked(waveform(wave, 10, 20)[0])
    assert found[:, 5].sum() >= 18


def test_a_waveform_of_fewer_samples_than_columns_is_drawn_in_all_of_them():
    found = inked(waveform(np.array([[0.5, -0.5, 0.5, -0.5]], np.float32), 40, 20)[0])
    assert found.any(axis=0).all()


def test_a_waveform_above_full_scale_stays_in_its_strip():
    found = inked(waveform(np.full((1, 100), 3.0, np.float32), 10, 20)[0])
    assert found[0].all()
    assert not found[2:].any()


# --- ticks and words --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "most", "ticks"),
    [
        (0.0, 1.024, 9, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.0, 4.0, 5, [0, 1, 2, 3, 4]),
        (0.0, 0.512, 2, [0, 0.5]),  # a step of 1 would leave one tick alone
        (-83.5, -3.5, 7, [-80, -60, -40, -20]),
        (0.0, 0.0512, 6, [0, 0.02, 0.04]),
        (0.0, 11025.0, 7, [0, 2000, 4000, 6000, 8000, 10000]),
    ],
)
def test_ticks_are_round_and_as_many_as_fit(low, high, most, ticks):
    assert round_ticks(low, high, most) == pytest.approx(ticks)


def test_numbers_have_the_decimals_that_ticks_need():
    assert [number_text(v, 0.2) for v in (0.0, 0.4)] == ["0.0", "0.4"]
    assert number_text(0.04, 0.02) == "0.04"
    assert number_text(12000, 2000) == "12,000"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("kick", "kick"),
        ("Flöte", "Flote"),
        ("a/b", "a/b"),
        ("鼓", "class 4"),
        ("鼓 1", "class 4"),
        (" a\nb ", "a b"),
        ("", "class 4"),
    ],
)
def test_class_names_are_shown_in_letters_that_the_font_has(name, shown):
    assert printable(name, 4) == shown


def test_text_is_cut_to_its_room():
    assert fitting("short", 200, 12) == "short"
    cut = fitting("a name that is much too long for this", 80, 12)
    assert cut.endswith("...")
    assert cut.startswith("a name")
    assert font(12).getlength(cut) <= 80


def test_words_go_on_in_another_line_where_one_is_full():
    room = font(12).getlength("first, second") + 1
    assert wrapped(["first", "second", "third"], room, 12) == ["first, second", "third"]
