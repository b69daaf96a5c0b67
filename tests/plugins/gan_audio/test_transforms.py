"""Spectrograms against closed forms and libraries, and their inverses."""

from __future__ import annotations

import math

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gan_audio.transforms import (
    griffin_lim,
    instantaneous_frequency,
    inverse_stft,
    invert_mel,
    mel_filters,
    phases,
    stft,
    window,
)
from gancore.errors import UsageError

RATE = 8000


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def tone(frequency: float, length: int = 4096) -> Tensor:
    return torch.sin(2 * math.pi * frequency / RATE * torch.arange(length).double()).float()


@given(bins=st.integers(4, 65), quarter=st.sampled_from([2, 3, 4]), frames=st.integers(2, 12))
@settings(max_examples=30, deadline=None)
def test_a_clip_has_one_frame_a_hop_and_comes_back(bins: int, quarter: int, frames: int) -> None:
    n_fft, hop = 2 * (bins - 1), max(1, 2 * (bins - 1) // quarter)
    x = noise(2, frames * hop)
    if x.shape[1] <= n_fft:
        x = noise(2, (frames + quarter + 1) * hop)
    spectrum = stft(x, n_fft, hop)
    assert spectrum.shape == (2, bins, x.shape[1] // hop)
    again = inverse_stft(spectrum, hop)
    # The last sample is in no frame.
    assert torch.allclose(again[:, :-1], x[:, :-1], atol=1e-4)


def test_frames_are_windowed_fourier_transforms_around_multiples_of_the_hop() -> None:
    x = noise(2048).double().numpy()
    padded = np.pad(x, 128)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)
    wanted = np.stack([np.fft.rfft(padded[at * 64 : at * 64 + 256] * hann) for at in range(30)], axis=1) / 64
    found = stft(torch.from_numpy(x).float(), 256, 64)
    assert torch.allclose(found[:, :30], torch.from_numpy(wanted).to(torch.complex64), atol=1e-5)


def test_sine_of_full_scale_has_magnitude_one_in_its_bin() -> None:
    magnitude = stft(tone(RATE / 256 * 32), 256, 64).abs()
    assert magnitude[32, 10:-10] == pytest.approx(1.0, abs=1e-3)
    assert magnitude[36:, 10:-10].max() < 1e-3


def test_instantaneous_frequency_of_a_tone_is_its_advance_per_hop() -> None:
    hertz, hop = 333.3, 64
    spectrum = stft(tone(hertz), 256, hop)
    turn = instantaneous_frequency(spectrum, torch.ones_like(spectrum, dtype=torch.bool))
    wanted = (2.0 * hertz * hop / RATE + 1.0) % 2.0 - 1.0
    assert turn[10, 8:-8] == pytest.approx(wanted, abs=1e-3)


@given(seed=st.integers(0, 1000), share=st.floats(0.0, 1.0))
@settings(max_examples=30)
def test_phases_that_are_heard_come_back_across_gaps(seed: int, share: float) -> None:
    spectrum = torch.polar(noise(5, 40, seed=seed).abs() + 0.1, noise(5, 40, seed=seed + 1) * 3)
    heard = torch.rand(5, 40, generator=torch.Generator().manual_seed(seed)) < share
    turn = instantaneous_frequency(spectrum, heard)
    assert turn.abs().max() <= 1.0
    assert bool((turn[~heard] == 0).all())
    assert torch.allclose(phases(turn)[heard], (spectrum / spectrum.abs())[heard], atol=1e-4)


@pytest.mark.parametrize("momentum", [0.0, 0.99])
def test_griffin_lim_comes_as_near_as_one_whose_phases_begin_at_zero(momentum: float) -> None:
    x = noise(4096)
    magnitude = stft(x, 256, 64).abs()
    # As librosa and torchaudio have it: with a frame behind the end, too.
    plain = {"n_fft": 256, "hop_length": 64, "window": window(256)}
    aim = torch.stft(x, **plain, return_complex=True, pad_mode="constant").abs()
    phase, before = torch.ones_like(aim, dtype=torch.complex64), torch.zeros_like(aim, dtype=torch.complex64)
    for _ in range(32):
        again = torch.stft(torch.istft(aim * phase, **plain), **plain, return_complex=True, pad_mode="constant")
        phase = again - momentum / (1 + momentum) * before
        phase, before = phase / (phase.abs() + 1e-16), again
    found = torch.istft(aim * phase, **plain)

    def convergence(y: Tensor) -> float:
        return float((stft(y, 256, 64).abs() - magnitude).norm() / magnitude.norm())

    assert convergence(griffin_lim(magnitude, 64, 32, momentum)) <= convergence(found)


def test_griffin_lim_finds_the_magnitudes_of_a_chord() -> None:
    x = tone(440) + 0.5 * tone(660) + 0.3 * tone(1000)
    magnitude = stft(x, 256, 64).abs()
    found = stft(griffin_lim(magnitude, 64, 32), 256, 64).abs()
    assert (found - magnitude).norm() / magnitude.norm() < 0.06


def test_griffin_lim_treats_clips_one_by_one() -> None:
    magnitude = stft(noise(3, 2048), 128, 32).abs()
    assert torch.allclose(griffin_lim(magnitude, 32, 8)[1], griffin_lim(magnitude[1:2], 32, 8)[0], atol=1e-5)


def test_mel_filters_are_librosas_with_rows_that_add_up_to_one() -> None:
    wanted = torch.from_numpy(librosa.filters.mel(sr=RATE, n_fft=512, n_mels=40, norm=None))
    assert torch.allclose(mel_filters(RATE, 512, 40), wanted / wanted.sum(1, keepdim=True), atol=1e-5)


@pytest.mark.parametrize(
    ("rate", "n_fft", "mels", "rows"),
    [
        (8000, 256, 64, [(0, 1, 0.7644176, 1.23558), (32, 39, 0.6060895, 38.95752), (63, 123, 0.2035596, 123.36607)]),
        (22_050, 1024, 80, [(0, 2, 0.5, 1.94915), (40, 94, 0.246874, 94.10035), (79, 491, 0.0475541, 491.05084)]),
        (11_025, 512, 32, [(0, 4, 0.25, 3.77287), (16, 68, 0.1728715, 68.02177), (31, 236, 0.0501949, 236.1754)]),
    ],
)
def test_mel_filters_are_those_of_torchaudio(
    rate: int, n_fft: int, mels: int, rows: list[tuple[int, int, float, float]]
) -> None:
    # Highest bin, its weight and the centre of some rows of torchaudio 2.11.1's melscale_fbanks, each over its sum.
    bank = mel_filters(rate, n_fft, mels)
    centres = (bank * torch.arange(n_fft // 2 + 1)).sum(1)
    for row, highest, weight, centre in rows:
        assert int(bank[row].argmax()) == highest
        assert float(bank[row].max()) == pytest.approx(weight, abs=1e-6)
        assert float(centres[row]) == pytest.approx(centre, abs=1e-3)


def test_too_many_mels_are_refused_with_both_sizes() -> None:
    with pytest.raises(UsageError, match=r"mels=200 are too many for n_fft=256 at 8000 Hz"):
        mel_filters(RATE, 256, 200)


def test_inverted_bands_have_the_same_bands_and_are_not_negative() -> None:
    filters = mel_filters(RATE, 256, 40)
    bands = filters @ stft(noise(4096), 256, 64).abs()
    found = invert_mel(bands, filters)
    assert found.min() >= 0
    assert (filters @ found - bands).norm() / bands.norm() < 0.02
