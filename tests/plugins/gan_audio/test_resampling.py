"""Resampling, against torchaudio's filter and scipy, in blocks and at odd rates."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import resample_poly

from gan_audio.data import resampling
from gan_audio.data.resampling import ratio, resampled


def noise(seed, count):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, count).astype(np.float32)


@pytest.mark.parametrize(
    ("old", "new", "count", "wanted"),
    [
        (44_100, 8000, 363, {0: 0.0002543, 1: 0.0601442, 121: 1e-06, 181: -1.7e-06, 362: -0.039314}),
        (8000, 44_100, 11_025, {0: 3.4e-06, 1: 0.000151, 3675: 0.060621, 5512: 0.8284503, 11_024: 0.0351863}),
        (48_000, 16_000, 667, {0: 0.0001516, 1: 0.0180101, 222: 3.3e-05, 333: -0.0001147, 666: -0.1502552}),
        (22_050, 16_000, 1452, {0: 3.71e-05, 1: 0.0038151, 484: -0.0437828, 726: 0.3228061, 1451: 0.0381657}),
    ],
)
def test_sweep_is_resampled_as_by_torchaudio(old, new, count, wanted):
    # What torchaudio.functional.resample of torchaudio 2.11.1 makes of the same sweep.
    sweep = np.sin(0.002 * np.arange(2000.0) ** 2).astype(np.float32)
    found = np.concatenate(list(resampled([sweep], old, new)))
    assert len(found) == count
    assert found[list(wanted)] == pytest.approx(list(wanted.values()), abs=5e-6)


@pytest.mark.parametrize(("old", "new"), [(44_100, 8000), (8000, 44_100), (3, 2)])
def test_every_sample_is_the_sum_that_the_filter_says(old, new):
    x, low = noise(1, 700), 0.99 * min(old, new)
    found = np.concatenate(list(resampled([x], old, new)))
    apart = np.clip((np.arange(len(found))[:, None] / new - np.arange(len(x)) / old) * low, -6, 6)
    wanted = (np.sinc(apart) * np.cos(np.pi * apart / 12) ** 2 * low / old) @ x
    assert found == pytest.approx(wanted, abs=1e-5)


def test_rates_that_are_nearly_the_same_leave_the_samples_alone():
    x = noise(2, 900)
    assert np.array_equal(np.concatenate(list(resampled([x], 8001, 8000))), x)


def test_resampling_agrees_with_scipy_on_a_band_limited_sound():
    rng = np.random.default_rng(3)
    spectrum = np.zeros(22_051, dtype=complex)
    spectrum[10:2500] = rng.standard_normal(2490) + 1j * rng.standard_normal(2490)
    x = np.fft.irfft(spectrum)  # one second at 44,100 Hz without anything above 2,500 Hz
    x = (x / np.abs(x).max()).astype(np.float32)
    found = np.concatenate(list(resampled([x], 44_100, 8000)))
    wanted = resample_poly(x.astype(np.float64), 80, 441)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted)[200:-200].max() < 0.01


@pytest.mark.parametrize(("old", "new"), [(44_100, 8000), (8000, 44_100), (48_000, 16_000), (22_050, 16_000)])
def test_resampling_in_blocks_equals_resampling_at_once(monkeypatch, old, new):
    x = noise(4, 100_000)
    whole = np.concatenate(list(resampled([x], old, new)))
    monkeypatch.setattr(resampling, "_BLOCK", 5000)
    parts = list(resampled(np.split(x, [1, 300, 20_000, 20_100, 50_001, 70_000]), old, new))
    assert len(parts) >= 5
    assert np.concatenate(parts).shape == whole.shape == (-(-len(x) * new // old),)
    assert np.abs(np.concatenate(parts) - whole).max() < 1e-4


@pytest.mark.parametrize(("old", "new"), [(47_999, 8000), (999_983, 1000), (8000, 8001), (8001, 384_000)])
def test_odd_rates_need_no_large_filter_and_keep_the_pitch(old, new):
    near = ratio(old, new)
    assert max(near.numerator, near.denominator) <= 1000
    assert abs(1200 * np.log2(float(near) / (new / old))) < 1.0
