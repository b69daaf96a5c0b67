"""Spectrograms and sheets on disk, read back with Pillow and looked at where their axes say that something is."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from gan_audio.spec import AudioSpec
from gan_audio.writers.drawing import INK, PAPER
from gan_audio.writers.sheet import CAPTION, GAP, SheetOptions, SheetWriter, columns_of, layout
from gan_audio.writers.spectrogram import BETWEEN, LEFT, STRIP, TOP, SpectrogramOptions, SpectrogramWriter
from gancore.errors import UsageError

FOOTER = 32
"""Rows at the lower edge in which words tell the scales."""
SPEC = AudioSpec.of(length=4096, classes=("low", "middle", "high"))


def tones(*frequencies, amplitude=0.5):
    t = torch.arange(SPEC.length) / SPEC.sample_rate
    return torch.stack([amplitude * torch.sin(2 * math.pi * f * t) for f in frequencies])[:, None]


def read(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.mode == "RGB"
        return np.asarray(image).astype(int)


def picture(folder, samples, labels=None, **options):
    (path,) = SpectrogramWriter(SpectrogramOptions(**options), SPEC).write(samples, folder, "sample", labels)
    return read(path)


def light(pixels):
    return pixels @ [0.2126, 0.7152, 0.0722]


# --- single spectrograms ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "below"),
    # Ticks from the bottom: which of them is that of 1,000 Hz.
    [("linear", 1), ("mel", 3), ("log", 4)],
)
def test_a_tone_of_1000_hz_lights_the_row_of_its_tick(tmp_path, kind, below):
    pixels = picture(tmp_path, tones(1000.0), frequency=kind, width=300, height=256)
    plot = pixels[TOP : TOP + 256, LEFT : LEFT + 300]
    ticks = np.flatnonzero((pixels[TOP : TOP + 256, LEFT - 1] == INK).all(axis=-1))
    brightest = int(light(plot)[:, 150].argmax())
    bin_rows = 3  # half of a bin, 16 Hz, is at most that here
    assert abs(ticks[::-1][below] - brightest) <= bin_rows
    assert min(abs(t - brightest) for n, t in enumerate(ticks[::-1]) if n != below) > 2 * bin_rows


def test_seconds_are_marked_below_the_waveform(tmp_path):
    samples = torch.zeros(1, 1, SPEC.length)
    samples[0, 0, 1600] = 1.0  # 0.2 seconds
    pixels = picture(tmp_path, samples, width=512)
    strip = TOP + 256 + BETWEEN
    below = pixels[strip + STRIP, LEFT : LEFT + 512]
    ticks = np.flatnonzero((below == INK).all(axis=-1))
    assert ticks.tolist() == [0, 100, 200, 300, 400, 500]  # 0, 0.1 ... 0.5 of 0.512 seconds
    click = light(pixels[TOP : TOP + 256, LEFT : LEFT + 512]).mean(axis=0).argmax()
    assert abs(click - 200) <= 4  # half a hop
    wave = pixels[strip, LEFT : LEFT + 512]
    assert abs(int((wave[:, 2] - wave[:, 0]).argmax()) - 200) <= 1


def test_colours_tell_levels_in_db(tmp_path):
    """With the top given, a tone 40 dB down is half-way down a range of 80 dB, wherever the loudest point is."""
    pixels = picture(tmp_path, tones(1000.0, amplitude=0.01), top_db=0.0, range_db=80.0, width=300)
    brightest = pixels[TOP : TOP + 256, LEFT + 150].max(axis=0)
    scale = pixels[TOP : TOP + 256, LEFT + 300 + 22]
    assert abs(int(np.abs(scale - brightest).sum(axis=1).argmin()) - 128) <= 2


def test_silence_is_dark_and_its_noise_is_not_blown_up(tmp_path):
    samples = torch.randn(1, 1, SPEC.length, generator=torch.Generator().manual_seed(0)) * 2e-7
    assert light(picture(tmp_path, samples)[TOP : TOP + 256, LEFT : LEFT + 640]).max() < 20


def test_pictures_are_of_the_size_asked_for_with_margins_of_paper(tmp_path):
    small = picture(tmp_path, tones(500.0), width=200, height=100)
    large = picture(tmp_path, tones(500.0), width=300, height=180)
    assert [a - b for a, b in zip(large.shape, small.shape, strict=True)] == [80, 100, 0]
    for corner in (small[0, 0], small[-1, -1], small[0, -1], small[-1, 0]):
        assert tuple(corner) == PAPER


def test_a_picture_for_each_sample_is_named_after_its_class(tmp_path):
    writer = SpectrogramWriter(SpectrogramOptions(), SPEC.changed(classes=("a/b", "鼓")))
    paths = writer.write(tones(200.0, 300.0), tmp_path / "new", "sample", [0, 1])
    assert [p.name for p in paths] == ["sample-00000-a_b.png", "sample-00001-鼓.png"]
    assert sorted((tmp_path / "new").iterdir()) == paths


def test_a_sample_that_is_not_finite_is_drawn_as_silence(tmp_path):
    samples = tones(500.0)
    samples[0, 0, 9] = float("nan")
    with pytest.warns(UserWarning, match="not finite"):
        pixels = picture(tmp_path, samples)
    assert light(pixels[TOP : TOP + 256, LEFT : LEFT + 640]).max() < 20


@pytest.mark.parametrize("writer", [SpectrogramWriter(SpectrogramOptions(), SPEC), SheetWriter(SheetOptions(), SPEC)])
def test_samples_of_another_form_are_refused(tmp_path, writer):
    with pytest.raises(UsageError, match=r"\[n, 1, 4096\]"):
        writer.write(torch.zeros(1, 2, 4096), tmp_path, "sample")


# --- sheets -----------------------------------------------------------------------------------------------------------


def sheet(folder, samples, labels=None, spec=SPEC, **options):
    (path,) = SheetWriter(SheetOptions(**options), spec).write(samples, folder / "new", "step-000010", labels)
    assert path == folder / "new" / "step-000010.png"
    return read(path)


def cell(pixels, row, column, width=144, height=96, strip=24):
    """The spectrogram and the waveform of a cell."""
    top = GAP + row * (CAPTION + height + 1 + strip + GAP) + CAPTION
    left = GAP + column * (width + GAP)
    return pixels[top : top + height, left : left + width], pixels[top + height + 1 :][:strip, left : left + width]


def frequency(spectrogram):
    return 4000.0 * (1.0 - (light(spectrogram)[:, 72].argmax() + 0.5) / len(spectrogram))


def test_a_sheet_shows_samples_row_by_row(tmp_path):
    heights = [500.0, 1000.0, 1500.0, 2000.0, 2500.0, 3000.0]
    pixels = sheet(tmp_path, tones(*heights), columns=3)
    found = [frequency(cell(pixels, n // 3, n % 3)[0]) for n in range(6)]
    assert found == pytest.approx(heights, abs=40.0)
    assert (pixels[:, : GAP - 1] == PAPER).all()
    assert (pixels[:-FOOTER, GAP + 144 : GAP + 144 + GAP] == PAPER).all()


def test_classes_are_columns_where_all_have_as_many_samples(tmp_path):
    samples = tones(3000.0, 3100.0, 500.0, 600.0, 1500.0, 1600.0)
    pixels = sheet(tmp_path, samples, [2, 2, 0, 0, 1, 1])
    found = [frequency(cell(pixels, n // 3, n % 3)[0]) for n in range(6)]
    assert found == pytest.approx([500.0, 1500.0, 3000.0, 600.0, 1600.0, 3100.0], abs=40.0)


def test_levels_are_shared_unless_each_has_its_own(tmp_path):
    samples = tones(1000.0, 1000.0)
    samples[1] *= 0.01
    shared, own = (sheet(tmp_path, samples, columns=2, levels=levels) for levels in ("shared", "own"))
    (loud, loud_wave), (quiet, quiet_wave) = (cell(shared, 0, n) for n in range(2))
    assert light(quiet).max() < 0.6 * light(loud).max()
    assert (quiet_wave[0] != loud_wave[0]).any()
    (loud, loud_wave), (quiet, quiet_wave) = (cell(own, 0, n) for n in range(2))
    assert light(quiet).max() == pytest.approx(light(loud).max(), abs=2.0)
    assert np.abs(quiet_wave - loud_wave).max() <= 2


def test_a_long_class_name_keeps_to_its_cell(tmp_path):
    pixels = sheet(tmp_path, tones(500.0, 900.0), [0, 1], SPEC.changed(classes=("w" * 200, "x")), columns=2)
    assert (pixels[:-FOOTER, GAP + 144 + 1 : GAP + 144 + GAP - 1] == PAPER).all()


def test_one_broken_sample_leaves_the_others_on_the_sheet(tmp_path):
    samples = tones(500.0, 1000.0, 2000.0)
    samples[1, 0, 0] = float("inf")
    with pytest.warns(UserWarning, match="1 of 3 sounds"):
        pixels = sheet(tmp_path, samples, columns=3)
    assert light(cell(pixels, 0, 1)[0]).max() < 20
    assert frequency(cell(pixels, 0, 2)[0]) == pytest.approx(2000.0, abs=40.0)


@pytest.mark.parametrize(
    ("count", "turn", "columns"),
    [
        (1, 0, 1),
        (16, 0, 4),
        (12, 0, 4),
        (60, 10, 10),  # a column a class
        (64, 2, 8),  # four columns a class
        (20, 10, 10),
        (61, 61, 8),  # 61 in a row would be far too wide
        (128, 64, 16),
        (8, 8, 4),
    ],
)
def test_sheets_are_nearly_square_with_classes_in_columns(count, turn, columns):
    assert columns_of(count, turn, 1.0) == columns


def test_large_sheets_have_smaller_samples_and_stay_within_their_limit():
    options = SheetOptions(width=600, height=400)
    assert layout(4, 0, options)[1:3] == (600, 400)
    columns, width, height, strip = layout(400, 0, options)
    assert width < 600
    assert columns * (width + GAP) + GAP <= 4096
    assert math.ceil(400 / columns) * (CAPTION + height + 1 + strip + GAP) + GAP <= 4096
