"""Pitches are those that sounds were made with; levels are those of librosa."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from toys.material import material
from toys.sounds import RATE, noise, tone

from gan_audio.data.pitches import hertz, note_name
from gan_audio.metrics import pitch
from gan_audio.metrics.levels import Bands
from gan_audio.spec import AudioSpec
from gancore.errors import MissingPackageError
from gancore.evaluation.records import Samples, faults

librosa = pytest.importorskip("librosa")

BANDS = Bands.of(RATE)
NOTES = (57, 60, 64, 69)
SPEC = AudioSpec.of(length=4096, classes=tuple(note_name(number) for number in NOTES))


def notes(*numbers):
    """Tones of MIDI pitches, with harmonics: `[n, 1, 4096]`."""
    return torch.stack([tone(float(hertz(n)), amplitude=0.5, harmonics=(0.5, 0.3, 0.2)) for n in numbers])


def found(generated, asked, spec=SPEC, **options):
    """Figures of generated clips; the real ones are a note of each class."""
    labels = (asked and torch.tensor(asked), torch.arange(len(NOTES)), torch.arange(len(NOTES)))
    labels = labels if asked else (None, None, None)
    figures = pitch.build(pitch.Options(**options), spec)(material(generated, notes(*NOTES), labels=labels))
    assert not faults(figures)
    return figures


def test_levels_are_those_of_librosa_in_decibels():
    librosa = pytest.importorskip("librosa")
    x = noise(2) * torch.linspace(0.0, 1.0, 4096)
    bank = librosa.filters.mel(sr=RATE, n_fft=BANDS.n_fft, n_mels=BANDS.mels, norm=None, htk=False)
    bank /= bank.sum(axis=1, keepdims=True)
    stft = librosa.stft(x[:, 0, :-1].numpy(), n_fft=BANDS.n_fft, hop_length=BANDS.hop, pad_mode="constant")
    levels = 20.0 * np.log10(np.maximum(bank @ np.abs(stft) * 4.0 / BANDS.n_fft, 1e-3))
    assert BANDS.levels(x).numpy() * 60.0 - 60.0 == pytest.approx(levels, abs=0.02)


def test_notes_that_were_asked_for_are_in_tune():
    figures = found(notes(*NOTES), [0, 1, 2, 3])
    assert figures["in-tune"].value == figures["in-tune"].real == 1.0
    assert figures["error-cents"].value <= 12.0
    assert figures["unvoiced"].value == 0.0
    assert figures["median-pitch"].value == pytest.approx(np.mean(NOTES), abs=0.12)


def test_error_is_how_far_clips_are_from_the_pitch_asked_for():
    figures = found(notes(57.3, 60.0, 64.8), [0, 1, 2])
    assert figures["in-tune"].value == pytest.approx(2 / 3)
    assert figures["error-cents"].value == pytest.approx((30 + 0 + 80) / 3, abs=12.0)
    assert found(notes(57.3, 60.0, 64.8), [0, 1, 2], tolerance=100.0)["in-tune"].value == 1.0


def test_octaves_are_told_from_other_errors():
    figures = found(notes(69, 57, 62), [0, 3, 1])
    assert figures["in-tune"].value == 0.0
    assert figures["octave-off"].value == pytest.approx(2 / 3)
    assert figures["error-cents"].value == pytest.approx((1200 + 1200 + 200) / 3, abs=12.0)


def test_sounds_without_a_pitch_are_not_in_tune():
    figures = found(torch.cat([notes(57), torch.zeros(1, 1, 4096)]), [0, 1])
    assert figures["unvoiced"].value == 0.5
    assert figures["in-tune"].value == 0.5
    assert figures["error-cents"].value <= 12.0
    silent = found(torch.zeros(2, 1, 4096), [0, 1])
    assert (silent["unvoiced"].value, silent["error-cents"].value) == (1.0, pitch.FARTHEST)


def test_noise_has_no_pitch_that_was_asked_for():
    assert found(noise(6), [0, 1, 2, 3, 0, 1])["in-tune"].value < 0.2


def test_classes_that_name_no_notes_have_no_figures_of_what_was_asked_for():
    spec = SPEC.changed(classes=("zero", "one", "two", "three"))
    assert set(found(notes(*NOTES), [0, 1, 2, 3], spec)) == {"unvoiced", "median-pitch"}
    assert set(found(notes(*NOTES), None, SPEC.changed(classes=()))) == {"unvoiced", "median-pitch"}


def test_only_classes_named_after_notes_count():
    spec = SPEC.changed(classes=("A3", "C4 bowed", "drum", "A4"))
    figures = found(torch.cat([notes(57, 60), noise(1)]), [0, 1, 2], spec)
    assert figures["in-tune"].value == 1.0


def test_clips_that_are_listened_to_are_evenly_of_all_classes():
    condition = torch.tensor([0] * 50 + [1] * 10 + [2] * 40)[
        torch.randperm(100, generator=torch.Generator().manual_seed(0))
    ]
    rows = pitch.spread(Samples(torch.zeros(100, 1, 8), condition), 20)
    assert condition[rows].bincount().tolist() == [10, 2, 8]
    assert pitch.spread(Samples(torch.zeros(3, 1, 8)), 20).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("rate", "length"), [(4000, 1024), (44_100, 4096)])
def test_other_rates_and_short_clips_can_be_listened_to(rate, length):
    spec = AudioSpec.of(sample_rate=rate, length=length)
    x = torch.stack([tone(220.0, length, rate=rate)] * 2)
    figures = pitch.build(pitch.Options(), spec)(material(x))
    assert not faults(figures)
    assert figures["median-pitch"].value == pytest.approx(57.0, abs=0.3)


def test_without_librosa_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "librosa", None)
    with pytest.raises(MissingPackageError, match="needs librosa, which is not installed; run: pip install librosa"):
        found(notes(57), [0])
