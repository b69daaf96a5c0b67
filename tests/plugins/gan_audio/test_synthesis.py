"""The instruments: how exact their pitch is, what their spectra hold, and how notes begin and end."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gan_audio.data.synthesis import INSTRUMENTS, LOUDEST_DB, QUIETEST_DB, TIMBRES, VIBRATO_CENTS, Notes, play, struck
from gancore.random import Draws

RATE, LENGTH = 8000, 4096


def notes(frequency, *, rate=RATE, length=LENGTH, seed=3):
    frequency = np.asarray(frequency, dtype=np.float64)
    return Notes(frequency, Draws(seed, torch.arange(len(frequency))), rate, length)


def cents_off(waves, frequency, rate=RATE):
    """How far the fundamentals of `waves` `[n, length]` are from `frequency` `[n]`, by the turn of phase between two windows."""
    length = waves.shape[1]
    size, first, second = length // 4, length // 8, length // 8 + length // 16
    carrier = np.exp(-2j * math.pi * frequency[:, None] * np.arange(length) / rate)
    low = waves * carrier
    parts = [(low[:, at : at + size] * np.blackman(size)).sum(axis=1) for at in (first, second)]
    turn = np.angle(parts[1] / parts[0]) / (2 * math.pi) * rate / (second - first)
    return 1200 * np.log2(1 + turn / frequency)


def spectrum(wave, rate=RATE):
    """Power by frequency of the middle of a clip, with a window whose side lobes are 92 dB down (Harris 1978)."""
    part = wave[len(wave) // 8 : len(wave) * 5 // 8]
    x = 2 * math.pi * np.arange(len(part)) / len(part)
    window = 0.35875 - 0.48829 * np.cos(x) + 0.14128 * np.cos(2 * x) - 0.01168 * np.cos(3 * x)
    return np.abs(np.fft.rfft(part * window)) ** 2, np.fft.rfftfreq(len(part), 1 / rate)


def harmonic_power(wave, frequency, rate=RATE):
    """Power near each harmonic below half the sample rate, and that of all other frequencies."""
    power, at = spectrum(wave, rate)
    nearest = np.maximum(np.rint(at / frequency), 1)
    # The window's main lobe is 8 bins wide; vibrato widens the lines of high harmonics.
    near = np.abs(at - nearest * frequency) < 5 * at[1] + 0.01 * at
    count = int(rate / 2 / frequency)
    return np.array([power[near & (nearest == k)].sum() for k in range(1, count + 1)]), power[~near].sum()


# --- pitch ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timbre", ["plucked", "blown", "struck"])
@pytest.mark.parametrize("rate", [8000, 11_025, 44_100])
def test_steady_tones_are_tuned_within_half_a_cent(timbre, rate):
    length = rate // 2 // 128 * 128
    frequency = np.geomspace(130.0, 1300.0, 24)
    waves = play(timbre, notes(frequency, rate=rate, length=length))
    assert np.abs(cents_off(waves, frequency, rate)).max() < 0.5


def test_string_is_tuned_at_periods_of_any_fraction():
    # Without its correction the interpolator is off by up to 0.19 cents here.
    period = np.linspace(6.05, 9.0, 60)
    waves = play("plucked", notes(RATE / period))
    assert np.abs(cents_off(waves, RATE / period)).max() < 0.05


def test_vibrato_swings_by_at_most_its_cents_and_five_times_a_second():
    # A period of 32 samples: means over 32, taken twice, have nearly nothing of the harmonics.
    count, rate, length = 24, 8000, 16_384
    wave = INSTRUMENTS["bowed"](notes([250.0] * count, rate=rate, length=length))
    low = wave * np.exp(-2j * math.pi * 250.0 * np.arange(length) / rate)
    for _ in range(2):
        total = np.cumsum(low, axis=1)
        low = total[:, 32:] - total[:, :-32]
    angle = np.unwrap(np.angle(low), axis=1)[:, 800:]
    hertz = (angle[:, 64:] - angle[:, :-64]) * rate / 64 / (2 * math.pi)
    cents = 1200 * np.log2(1 + hertz / 250.0)
    swing = np.abs(cents).max(axis=1)
    assert swing.max() < VIBRATO_CENTS * 1.05
    assert swing.min() > 0.3 * VIBRATO_CENTS * 0.9
    assert swing.std() > 1.0
    turns = (np.diff(np.signbit(cents), axis=1)).sum(axis=1) / 2 / (cents.shape[1] / rate)
    assert turns.min() > 4.0
    assert turns.max() < 7.0


# --- spectra ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timbre", ["plucked", "bowed", "struck"])
@pytest.mark.parametrize("frequency", [262.0, 487.0, 910.0, 1290.0])
def test_nothing_sounds_between_the_harmonics(timbre, frequency):
    # What is folded back at half the sample rate would: 5 * 910 Hz comes back at 3450 Hz.
    for wave in play(timbre, notes([frequency] * 6)):
        lines, rest = harmonic_power(wave, frequency)
        assert rest < 1e-5 * lines.sum()


def test_sawtooth_of_a_bowed_string_falls_off_by_its_slope():
    for wave in play("bowed", notes([262.0] * 12)):
        lines, _ = harmonic_power(wave, 262.0)
        fall = np.polyfit(np.log(np.arange(1, 13)), 0.5 * np.log(lines[:12]), 1)[0]
        assert -1.7 < fall < -0.7


def test_pipe_has_odd_harmonics_and_breath():
    for wave in play("blown", notes([262.0] * 12)):
        lines, rest = harmonic_power(wave, 262.0)
        share = lines / lines.sum()
        assert share[0] > 0.7
        assert share[2] > share[1]
        assert share[2] > 0.01
        assert 1e-5 < rest / lines.sum() < 0.02


def test_string_loses_its_high_harmonics_first():
    for wave in play("plucked", notes([262.0] * 12)):
        early, _ = harmonic_power(wave[:2048], 262.0)
        late, _ = harmonic_power(wave[1024:3072], 262.0)
        assert early[3] / early[0] > 2 * late[3] / late[0]


def test_strings_differ_in_brightness():
    lines = np.sqrt([harmonic_power(wave[:2048], 262.0)[0] for wave in play("plucked", notes([262.0] * 24))])
    centroid = (lines * np.arange(1, lines.shape[1] + 1)).sum(axis=1) / lines.sum(axis=1)
    assert np.ptp(centroid) > 0.5


def test_struck_bar_has_the_sidebands_of_its_modulation():
    # Carrier 1, modulator 3: the third, sixth and ninth harmonic are missing.
    for wave in play("struck", notes([262.0] * 6)):
        lines, _ = harmonic_power(wave[:1024], 262.0)
        assert lines[[2, 5, 8]].max() < 1e-5 * lines[0]
        assert lines[[1, 3]].min() > 1e-2 * lines[0]


def test_struck_bar_is_frequency_modulation_where_all_sidebands_fit():
    bars = notes([220.0, 233.0, 247.0], rate=48_000, length=24_000)
    theta = bars.phase().astype(np.float64)
    index = bars.between("index", 0.6, 1.4) * np.exp(-bars.time / (0.5 * bars.between("mellow", 0.08, 0.2)))
    expected = np.sin(theta + index * np.sin(3 * theta)) * bars.rise(0.001, 0.004) * bars.decay("fade", 1.0, 2.5)
    error = struck(bars) - expected
    # The fourth sideband is the first that is left out: J_4(1.4) = 0.0091, two of them.
    assert np.abs(error).max() < 0.02
    assert np.abs(error[:, 4800:]).max() < 1e-3


# --- envelopes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timbre", TIMBRES)
@pytest.mark.parametrize(("rate", "length"), [(8000, 4096), (16_000, 16_384), (8000, 512)])
def test_notes_begin_at_nothing_end_in_silence_and_have_their_level(timbre, rate, length):
    waves = play(timbre, notes(np.geomspace(262.0, 988.0, 32), rate=rate, length=length))
    assert waves.dtype == np.float32
    assert np.abs(waves[:, 0]).max() == 0.0
    assert np.abs(waves[:, -int(0.03 * length) :]).max() == 0.0
    peaks = 20 * np.log10(np.abs(waves).max(axis=1))
    assert peaks.max() < LOUDEST_DB + 1e-3
    assert peaks.min() > QUIETEST_DB - 1e-3
    assert np.ptp(peaks) > 4.0


@pytest.mark.parametrize("timbre", TIMBRES)
def test_no_note_clicks_at_its_end(timbre):
    waves = play(timbre, notes(np.geomspace(262.0, 988.0, 32)))
    for wave in waves:
        end = np.flatnonzero(wave)[-1]
        assert np.abs(wave[end - 40 : end]).max() < 0.01 * np.abs(wave).max()


@pytest.mark.parametrize(
    ("timbre", "least", "most"), [("plucked", 0, 8), ("bowed", 12, 80), ("blown", 5, 30), ("struck", 0, 8)]
)
def test_attacks_are_those_of_the_instrument(timbre, least, most):
    waves = play(timbre, notes([500.0] * 32))
    loudest = np.abs(waves[:, : LENGTH // 16 * 16]).reshape(32, -1, 16).max(axis=2)  # over one period
    begins = (loudest > 0.5 * loudest.max(axis=1, keepdims=True)).argmax(axis=1) * 16 / RATE * 1000
    assert begins.min() >= least
    assert begins.max() <= most


# --- each note by itself ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timbre", TIMBRES)
def test_note_does_not_depend_on_those_it_is_computed_with(timbre):
    frequency = np.array([262.0, 988.0, 440.0, 311.0, 700.0])
    together = play(timbre, notes(frequency))
    for place in range(5):
        one = Notes(frequency[place : place + 1], Draws(3, torch.tensor([place])), RATE, LENGTH)
        np.testing.assert_array_equal(play(timbre, one)[0], together[place])


@pytest.mark.parametrize("timbre", TIMBRES)
def test_notes_of_one_pitch_differ(timbre):
    waves = play(timbre, notes([440.0] * 8))
    likeness = np.corrcoef(waves)[np.triu_indices(8, 1)]
    assert likeness.max() < 0.999
