"""Figures of sounds that are known: faults, spectra and kinds, by hand and by other libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from toys.material import material
from toys.sounds import RATE, noise, tone

from gan_audio.metrics import alarms, ndb, spectrum
from gan_audio.metrics.levels import Bands, decibels, pooled
from gan_audio.spec import AudioSpec
from gancore.evaluation.records import faults

BANDS = Bands.of(RATE)
SPEC = AudioSpec.of(length=4096)


def found(metric, generated, real=None, train=None, held_out=True, **options):
    figures = metric.build(metric.Options(**options), SPEC)(material(generated, real, train, held_out=held_out))
    assert not faults(figures)
    return figures


# --- levels -----------------------------------------------------------------------------------------------------------


def test_sine_at_full_scale_has_0_db_in_its_bin():
    assert float(decibels(BANDS.magnitudes(tone(1000.0)[None])).amax()) == pytest.approx(0.0, abs=0.1)


def test_relative_levels_do_not_depend_on_volume():
    x = noise(3)
    levels = BANDS.relative(x, 64, 64, -40.0)
    assert torch.allclose(BANDS.relative(x * 0.01, 64, 64, -40.0), levels, atol=1e-5)
    assert float(levels.amax()) == 1.0
    assert not torch.allclose(BANDS.averages(x * 0.1, 64, 64), BANDS.averages(x, 64, 64), atol=0.1)


@pytest.mark.parametrize("rate", [1000, 8000, 16_000, 44_100, 96_000])
@pytest.mark.parametrize("length", [16, 1000, 8192])
def test_sounds_of_any_rate_and_length_have_levels(rate, length):
    bands = Bands.of(rate)
    levels = bands.levels(noise(2, length))
    assert levels.shape == (2, bands.mels, bands.frames(length))
    assert bool(torch.isfinite(levels).all())
    assert pooled(levels, 32, 64).shape == (2, min(32, bands.mels), min(64, bands.frames(length)))


# --- alarms -----------------------------------------------------------------------------------------------------------


def alarm(name, *clips, **options):
    """Share of the clips that have this fault."""
    return found(alarms, torch.stack(clips), **options)[name].value


def test_silent_clips_are_counted():
    soft = tone(500.0, amplitude=0.0016)  # -58.9 dB in the root mean square
    assert alarm("silent", torch.zeros(1, 4096), soft, tone(500.0), tone(600.0)) == 0.25
    assert alarm("silent", torch.zeros(1, 4096), soft, tone(500.0), tone(600.0), silence_db=-58.0) == 0.5


def test_clip_is_clipped_where_neighbours_are_at_full_scale():
    flat = torch.zeros(3, 1, 64)
    flat[0, 0, 10:14] = 1.0
    flat[1, 0, 10:13] = -1.0
    flat[2, 0, 10:14] = torch.tensor([1.0, -1.0, 1.0, -1.0])
    assert alarms.clipped(flat[:, 0], 0.999, 4).tolist() == [True, False, False]
    assert alarms.clipped(flat[:, 0], 0.999, 3).tolist() == [True, True, False]
    assert alarms.clipped(-flat[:, 0], 0.999, 4).tolist() == [True, False, False]
    assert alarms.clipped(flat[:, 0, 10:12], 0.999, 4).tolist() == [False] * 3


def test_loud_tone_is_not_clipped_and_one_that_was_cut_off_is():
    assert alarm("clipped", tone(440.0), (2.0 * tone(440.0)).clamp(-1.0, 1.0)) == 0.5


def test_flatness_is_the_geometric_over_the_arithmetic_mean():
    stats = pytest.importorskip("scipy.stats")
    magnitudes = torch.rand(4, 9, 5, generator=torch.Generator().manual_seed(0)) + 0.1
    power = (magnitudes.double().numpy() ** 2)[:, 1:-1].mean(axis=2)
    assert alarms.flatness(magnitudes).numpy() == pytest.approx(stats.gmean(power, axis=1) / power.mean(axis=1))


def test_noise_is_told_from_tones_and_from_silence():
    assert alarm("noise", noise(1)[0], tone(500.0), torch.zeros(1, 4096), 1e-6 * noise(1)[0]) == 0.25


def test_offset_is_a_mean_that_is_not_zero():
    assert alarm("offset", noise(1)[0] + 0.05, noise(1)[0] - noise(1)[0].mean()) == 0.5


def test_hum_sounds_below_everything():
    # Bursts of noise, with silence between them.
    bursts = noise(1)[0] * (torch.arange(4096) % 2048 < 512)
    assert alarm("hum", bursts, bursts + tone(100.0, amplitude=0.05)) == 0.5
    assert alarm("hum", bursts, bursts + tone(100.0, amplitude=0.05), hum_db=-20.0) == 0.0
    assert alarm("hum", bursts + 0.1, noise(1)[0]) == 0.0


def test_repeated_sounds_are_counted_after_their_first_time():
    one, other = tone(500.0), noise(1)[0]
    assert alarm("repeated", one, other, one, 0.5 * one) == 0.5
    assert alarm("repeated", one, other) == 0.0


def test_sounds_that_are_no_numbers_are_told_and_break_nothing():
    broken = noise(4)
    broken[1, 0, 5], broken[2, 0, 6] = math.nan, math.inf
    assert alarm("broken", *broken) == 0.5
    for metric in (spectrum, ndb):
        found(metric, broken, noise(4, seed=1))


# --- spectrum ---------------------------------------------------------------------------------------------------------


def test_features_of_a_sine():
    sine = found(spectrum, tone(1000.0, amplitude=0.5)[None].repeat(4, 1, 1))
    assert sine["loudness"].value == pytest.approx(20 * math.log10(0.5 / math.sqrt(2)), abs=0.01)
    assert sine["centroid"].value == pytest.approx(1000.0, abs=5.0)
    assert sine["duration"].value == pytest.approx(4096 / RATE, abs=BANDS.hop / RATE)


def test_centroid_and_bandwidth_of_two_tones_are_their_weighted_mean_and_deviation():
    both = tone(1000.0, amplitude=0.6) + tone(2500.0, amplitude=0.3)
    figures = found(spectrum, both[None].repeat(4, 1, 1))
    share = 0.3**2 / (0.6**2 + 0.3**2)
    assert figures["centroid"].value == pytest.approx(1000.0 + 1500.0 * share, abs=5.0)
    assert figures["bandwidth"].value == pytest.approx(1500.0 * math.sqrt(share * (1 - share)), rel=0.02)


def test_duration_is_that_of_the_sounding_part():
    sound = torch.cat([tone(1000.0, 2048), torch.zeros(1, 2048)], dim=1)
    found_duration = found(spectrum, sound[None].repeat(2, 1, 1))["duration"].value
    assert found_duration == pytest.approx(2048 / RATE, abs=2 * BANDS.hop / RATE)


def test_softer_sounds_are_apart_by_what_they_are_softer():
    x = noise(8)
    figures = found(spectrum, x / 2, x)
    assert figures["average-spectrum"].value == pytest.approx(20 * math.log10(2), abs=0.01)
    assert figures["band-levels"].value == pytest.approx(20 * math.log10(2), abs=0.1)
    assert figures["loudness"].real - figures["loudness"].value == pytest.approx(20 * math.log10(2), abs=1e-4)
    assert figures["loudness"].overlap < 0.1 < figures["centroid"].overlap


def test_level_distance_is_the_wasserstein_distance_of_each_band():
    stats = pytest.importorskip("scipy.stats")
    draws = torch.Generator().manual_seed(0)
    first, second = torch.randn(40, 3, 50, generator=draws), 2.0 * torch.randn(60, 3, 50, generator=draws) + 1.0
    by_band = [stats.wasserstein_distance(first[:, b].flatten(), second[:, b].flatten()) for b in range(3)]
    assert spectrum.level_distance(first, second) == pytest.approx(np.mean(by_band), rel=0.02)


def test_silence_has_figures_too():
    figures = found(spectrum, torch.zeros(4, 1, 4096), noise(4))
    assert figures["loudness"].value == -100.0
    assert figures["centroid"].overlap == 0.0


# --- number of statistically different bins ---------------------------------------------------------------------------


@pytest.mark.parametrize(("inside", "other"), [(10, 30), (1, 3), (50, 52), (0, 9)])
def test_test_of_proportions_is_the_chi_square_test(inside, other):
    stats = pytest.importorskip("scipy.stats")
    first, second = np.array([inside, 100 - inside]), np.array([other, 300 - other])
    wanted = stats.chi2_contingency([first, second], correction=False).pvalue
    assert ndb.p_values(first, second) == pytest.approx([wanted, wanted])


def test_bins_that_neither_set_is_in_are_no_different():
    assert ndb.p_values(np.array([5, 0]), np.array([9, 0])).tolist() == [1.0, 1.0]


def test_jensen_shannon_divergence_is_that_of_scipy():
    distance = pytest.importorskip("scipy.spatial.distance")
    first, second = np.array([3, 0, 7, 10]), np.array([1, 4, 5, 0])
    assert ndb.jensen_shannon(first, second) == pytest.approx(distance.jensenshannon(first, second, base=2) ** 2)
    assert ndb.jensen_shannon(np.array([1, 0]), np.array([0, 1])) == 1.0


def test_kind_that_is_never_generated_is_a_different_bin():
    def kinds(count, seed):
        tones = torch.stack([tone(500.0, phase=float(n + seed)) for n in range(count)])
        return torch.cat([tones, noise(count, seed=seed)])

    train, real = kinds(30, 0), kinds(20, 100)
    half = found(ndb, noise(40, seed=5), real, train, bins=2)
    assert (half["ndb"].value, half["ndb"].floor) == (1.0, 0.0)
    assert half["jensen-shannon"].value == pytest.approx(0.3113, abs=1e-4)  # of (0, 1) and (1/2, 1/2)
    assert half["jensen-shannon"].floor == 0.0
    assert found(ndb, kinds(20, 200), real, train, bins=2)["ndb"].value == 0.0


def test_without_held_out_clips_the_floor_is_half_of_the_training_set():
    x = torch.cat([torch.stack([tone(500.0, phase=float(n)) for n in range(40)]), noise(40)])
    # Real clips of one kind alone are not what the floor is made of.
    figures = found(ndb, x, noise(8), x, held_out=False, bins=2)
    assert figures["ndb"].floor == 0.0


def test_one_clip_is_enough_for_figures():
    for metric in (alarms, spectrum, ndb):
        for held_out in (True, False):
            found(metric, noise(1), noise(1, seed=1), noise(1, seed=2), held_out)
