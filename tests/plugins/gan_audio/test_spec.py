"""Sounds as networks see them: sizes, normalisation, and the way back."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from gan_audio.data.options import SoundOptions
from gan_audio.spec import AudioSpec, Representation
from gan_audio.transforms import stft
from gancore.evaluation.sets import compare

SPECTROGRAMS = ["log-stft", "stft-if", "log-mel"]


def chirps(count: int = 4, length: int = 4096, rate: int = 8000) -> Tensor:
    """Rising tones that fade, `[count, 1, length]`, with silence behind."""
    t = torch.arange(length) / rate
    first = torch.linspace(200, 700, count)[:, None]
    phase = 2 * math.pi * (first * t + 400 * t.square())
    wave = torch.sin(phase) + 0.4 * torch.sin(2 * phase)
    envelope = torch.exp(-6 * t) * (t < 0.8 * length / rate) * (t / 0.01).clamp(max=1)
    return (0.5 * wave * envelope)[:, None]


@given(
    representation=st.sampled_from(["waveform", *SPECTROGRAMS]),
    half=st.integers(16, 100),
    parts=st.integers(3, 5),
    frames=st.integers(12, 40),
    count=st.integers(1, 3),
)
@settings(max_examples=40, deadline=None)
def test_shapes_follow_from_the_sizes(
    representation: Representation, half: int, parts: int, frames: int, count: int
) -> None:
    hop = max(1, 2 * half // parts)
    spec = AudioSpec.of(representation=representation, n_fft=2 * half, hop=hop, length=frames * hop, mels=4)
    x = 0.1 * torch.randn(count, 1, spec.length, generator=torch.Generator().manual_seed(1))
    relaxed = spec.relax(x)
    assert relaxed.shape == (count, *spec.shape)
    assert relaxed.abs().max() <= 1.0 or representation == "waveform"
    hard = spec.harden(relaxed)
    assert hard.shape == x.shape
    assert hard.abs().max() <= 1.0


def test_waveform_is_itself() -> None:
    spec = AudioSpec.of(representation="waveform", length=4096)
    assert torch.equal(spec.harden(spec.relax(chirps())), chirps())


def test_stft_if_comes_back_but_for_what_is_below_the_floor() -> None:
    spec = AudioSpec.of(representation="stft-if", length=4096).fitted(chirps())
    found = spec.harden(spec.relax(chirps()))
    error = 10 * torch.log10(chirps().square().sum() / (found - chirps()).square().sum())
    assert error > 30.0


@pytest.mark.parametrize("representation", SPECTROGRAMS)
def test_spectrogram_of_what_comes_back_is_near(representation: Representation) -> None:
    spec = AudioSpec.of(representation=representation, length=4096).fitted(chirps())
    relaxed = spec.relax(chirps())[:, :1]
    again = spec.relax(spec.harden(spec.relax(chirps())))[:, :1]
    loud = relaxed > relaxed.mean() + relaxed.std()
    assert (again - relaxed)[loud].abs().mean() < 0.1 * relaxed.std()


def test_rows_of_a_fitted_spectrogram_have_mean_zero_and_are_nowhere_cut_off() -> None:
    spec = AudioSpec.of(length=4096).fitted(chirps())
    relaxed = spec.relax(chirps())
    assert relaxed.mean(dim=(0, 1, 3)).abs().max() < 1e-3
    # Somewhere each row reaches 1 above its mean, or its floor is 1 below it; rows that are always near the floor do neither.
    reach = relaxed.abs().amax(dim=(0, 1, 3))
    assert reach.max() <= 1.0
    assert reach[5:30] == pytest.approx(1.0, abs=1e-4)


def test_level_without_fit_is_decibels_from_the_floor_to_full_scale() -> None:
    spec = AudioSpec.of(length=4096, floor_db=-60)
    full = torch.sin(2 * math.pi * 32 / 256 * torch.arange(4096))[None, None]
    relaxed = spec.relax(torch.cat([full, full / 1000**0.5, full * 0]))[:, 0, 32, 32]
    assert relaxed.tolist() == pytest.approx([1.0, 0.0, -1.0], abs=1e-3)


@pytest.mark.parametrize("representation", ["log-stft", "stft-if"])
def test_level_of_a_steady_tone_comes_back_at_the_largest_hop(representation: Representation) -> None:
    tone = 0.5 * torch.sin(0.35 * torch.arange(2040))[None, None]
    spec = AudioSpec.of(representation=representation, n_fft=255 * 2, hop=170, length=2040).fitted(tone)
    again = spec.harden(spec.relax(tone))
    assert float(again.square().mean().sqrt()) == pytest.approx(float(tone.square().mean().sqrt()), rel=0.1)


def test_silence_comes_back_as_silence() -> None:
    for representation in SPECTROGRAMS:
        spec = AudioSpec.of(representation=representation, length=4096).fitted(chirps())  # type: ignore[arg-type]
        assert spec.harden(spec.relax(torch.zeros(2, 1, 4096))).abs().max() < 1e-3


@pytest.mark.parametrize("representation", ["waveform", *SPECTROGRAMS])
def test_sound_that_would_clip_is_turned_down_and_keeps_its_form(representation: Representation) -> None:
    spec = AudioSpec.of(representation=representation, length=4096).fitted(chirps())
    spec = spec.fitted(3.0 * chirps())
    hard = spec.harden(spec.relax(3.0 * chirps()))
    assert hard.abs().amax(-1) == pytest.approx(1.0)
    if representation == "waveform":
        assert torch.allclose(hard, chirps() / chirps().abs().amax(-1, keepdim=True), atol=1e-6)


def test_samples_are_inverted_one_by_one() -> None:
    for representation in SPECTROGRAMS:
        spec = AudioSpec.of(representation=representation, length=4096).fitted(chirps())  # type: ignore[arg-type]
        relaxed = spec.relax(chirps())
        assert torch.allclose(spec.harden(relaxed)[2], spec.harden(relaxed[2:3])[0], atol=1e-4)


def test_gradient_reaches_a_waveform_through_its_spectrogram() -> None:
    x = chirps().requires_grad_()
    AudioSpec.of(length=4096).relax(x).sum().backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())


def test_spec_is_read_back_from_what_a_checkpoint_keeps() -> None:
    spec = AudioSpec.of(representation="log-mel", mels=20, length=4096, classes=("a", "b")).fitted(chirps())
    assert AudioSpec.model_validate(spec.model_dump()) == spec
    assert AudioSpec.model_validate_json(spec.model_dump_json()) == spec


def test_change_of_representation_drops_what_was_fitted() -> None:
    spec = AudioSpec.of(length=4096).fitted(chirps())
    assert spec.changed(classes=("a",)).mean == spec.mean
    assert spec.changed(representation="log-mel").mean == ()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"length": 5000}, "length=5000 must be a multiple of hop=64 .* take length=4992"),
        ({"n_fft": 255}, "n_fft must be even, not 255"),
        ({"hop": 200}, "hop=200 must be at most a third of n_fft=256; take hop=64"),
        ({"length": 128}, "at least n_fft=256; take length=256"),
        ({"hop": 0}, "greater than or equal to 1"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_with_both_values(options: dict[str, int], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SoundOptions.model_validate(options)


def test_floor_is_that_of_the_magnitude() -> None:
    spec = AudioSpec.of(length=4096, floor_db=-40)
    level = spec.log_magnitude(stft(chirps(), 256, 64))
    assert math.exp(level.min()) == pytest.approx(0.01)


def test_ranges_that_two_data_sets_were_fitted_with_are_no_difference_in_kind() -> None:
    one, other = (AudioSpec.of(length=4096).fitted(x) for x in (chirps(), 0.1 * chirps()))
    assert one.mean != other.mean
    assert compare(one, other, "other") == []
    assert compare(one, other.changed(sample_rate=16_000), "other") == [
        "real: other differs from the training data in sample_rate"
    ]
