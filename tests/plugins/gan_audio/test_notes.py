"""The set of synthesised notes: what it is told to hold, and that each note is the one its label names."""

from __future__ import annotations

import tracemalloc
from collections import Counter

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from support.fetching import fetch

from gan_audio.data import notes
from gan_audio.data.notes import Options, open_notes
from gan_audio.data.pitches import hertz, midi, note_name, pitch_of
from gan_audio.data.synthesis import TIMBRES
from gancore.data.report import silent
from gancore.random import Draws


def opened(**options):
    return open_notes(Options(**{"count": 96, **options}), silent)


def fetched(source):
    """All waveforms `[n, length]` and labels."""
    x, labels = fetch(source)
    return x[:, 0].numpy(), labels


def pitch_heard(wave, rate):
    """MIDI pitch by autocorrelation, from 60 Hz to a fifth of the sample rate; nothing is assumed of which note it is."""
    finer, count = 16, 2 * len(wave)
    power = np.abs(np.fft.rfft(wave, count)) ** 2
    likeness = np.fft.irfft(power, finer * count)  # interpolated between samples, as power ends at half the sample rate
    first, last = 5 * finer, int(finer * rate / 60)
    # Two periods are nearly as like as one: the first peak counts that is about as high as any.
    begin = first + (likeness[first:last] > 0.97 * likeness[first:last].max()).argmax()
    period = begin + likeness[begin : begin + begin // 4].argmax()
    # The peak some twenty periods on says it more exactly. Steps are few enough for each to end at the peak meant.
    at = period
    for many in (2, 4, 8, 16, 20):
        near, half = round(period * many), int(period / 4)
        at = near - half + likeness[near - half : near + half].argmax()
        period = at / many
    below, peak, above = likeness[at - 1 : at + 2]
    return float(midi(rate * finer * 20 / (at + 0.5 * (below - above) / (below - 2 * peak + above))))


@pytest.fixture(scope="module")
def source():
    return opened(count=192, labels="both")


# --- notes and their labels -------------------------------------------------------------------------------------------


def test_every_note_has_the_pitch_of_its_class_within_ten_cents(source):
    waves, labels = fetched(source)
    wanted = np.array([pitch_of(source.spec.classes[label]) for label in labels])
    heard = np.array([pitch_heard(wave, 8000) for wave in waves])
    assert np.abs(heard - wanted).max() < 0.1


def test_notes_are_a_little_out_of_tune(source):
    waves, labels = fetched(source)
    plain = [n for n, label in enumerate(labels) if "struck" in source.spec.classes[label]]
    off = [pitch_heard(waves[n], 8000) - pitch_of(source.spec.classes[labels[n]]) for n in plain]
    assert 0.02 < np.ptp(off) < 0.11  # of +-5 cents, and the error of measurement


def test_lowest_notes_and_octaves_are_those_asked_for():
    waves, labels = fetched(opened(lowest=45, octaves=1, count=12))
    heard = [round(pitch_heard(wave, 8000)) for wave in waves]
    assert heard == (45 + labels).tolist()
    assert sorted(heard) == list(range(45, 57))


@pytest.mark.parametrize("labels", ["pitch", "timbre", "both"])
def test_classes_are_balanced(labels):
    source = opened(labels=labels, count=192, length=512)
    counts = Counter(fetched(source)[1].tolist())
    assert counts == dict.fromkeys(range(len(source.spec.classes)), 192 // len(source.spec.classes))


def test_class_names_are_notes_and_timbres():
    assert opened(count=1).spec.classes[:3] == ("C4", "C#4", "D4")
    assert opened(count=1).spec.classes[-1] == "B5"
    assert opened(count=1, labels="timbre").spec.classes == ("plucked", "bowed", "blown", "struck")
    both = opened(count=1, labels="both").spec.classes
    assert (len(both), both[0], both[5]) == (96, "C4 plucked", "C#4 bowed")


def test_kinds_of_labels_agree(source):
    pitches, timbres = (fetched(opened(count=192, labels=kind, length=512))[1] for kind in ("pitch", "timbre"))
    names = [f"{note_name(60 + int(p))} {TIMBRES[int(t)]}" for p, t in zip(pitches, timbres, strict=True)]
    assert names == [source.spec.classes[label] for label in fetched(source)[1]]


def test_without_labels_there_are_no_classes():
    source = opened(labels="none")
    assert source.spec.classes == ()
    assert fetched(source)[1] is None


def test_notes_change_in_pitch_and_timbre_from_one_to_the_next():
    for kind in ("pitch", "timbre"):
        labels = fetched(opened(labels=kind, length=512))[1]
        assert (labels[1:] != labels[:-1]).all()


# --- what a note depends on -------------------------------------------------------------------------------------------


def test_note_depends_on_its_number_and_the_seed_alone(monkeypatch):
    first = opened(count=100).waves
    monkeypatch.setattr(notes, "_PART_SAMPLES", 7 * 4096)
    assert torch.equal(opened(count=131, labels="none").waves[:100], first)
    assert not torch.equal(opened(count=100, seed=1).waves, first)


def test_no_note_is_there_twice():
    waves, labels = fetched(opened(count=480, labels="both"))
    spread = np.stack([waves[labels.numpy() == label] for label in range(96)])
    likeness = [np.corrcoef(group)[np.triu_indices(5, 1)].max() for group in spread]
    assert max(likeness) < 0.9999


def test_memory_beyond_the_notes_does_not_grow_with_their_count():
    def peak(count):
        tracemalloc.start()
        try:
            opened(count=count, length=1024, hop=64, n_fft=256)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak(4096), peak(8192)
    assert many - few < 1.2 * 4096 * 1024 * 2


def test_progress_ends_with_all_notes():
    told = []
    open_notes(Options(count=700, n_fft=256, hop=64), lambda words, done, total: told.append((done, total)))
    assert told == [(0, 700), (512, 700), (700, 700)]


# --- what networks see ------------------------------------------------------------------------------------------------


def test_samples_are_waveforms_that_keep_below_full_scale(source):
    x, _ = source.fetch(torch.tensor([5, 0]), Draws(0, torch.arange(2)))
    assert (x.dtype, x.shape) == (torch.float32, (2, 1, 4096))
    waves, _ = fetched(source)
    assert np.abs(waves).max(axis=1).min() > 0.25
    assert np.abs(waves).max() < 0.7085  # -3 dB


def test_spec_is_fitted_to_the_notes(source):
    assert source.spec.shape == (1, 256, 32)
    assert len(source.spec.mean) == len(source.spec.scale) == 256
    relaxed = source.spec.relax(torch.from_numpy(fetched(source)[0])[:, None])[:, 0]
    assert relaxed.mean(dim=(0, 2)).abs().max() < 1e-3
    assert relaxed.max() == pytest.approx(1.0, abs=1e-4)


def test_notes_come_back_from_magnitude_and_instantaneous_frequency():
    source = opened(count=48, representation="stft-if")
    x = torch.from_numpy(fetched(source)[0])[:, None]
    error = source.spec.harden(source.spec.relax(x)) - x
    assert (10 * torch.log10(x.square().sum((1, 2)) / error.square().sum((1, 2)))).min() > 40.0


@pytest.mark.parametrize("representation", ["waveform", "stft-if", "log-mel"])
def test_other_sizes_and_representations_are_obeyed(representation):
    source = opened(
        count=8, sample_rate=16_000, length=8192, n_fft=1024, hop=256, mels=32, representation=representation
    )
    waves, labels = fetched(source)
    assert waves.shape == (8, 8192)
    assert source.spec.relax(torch.from_numpy(waves)[:, None]).shape == (8, *source.spec.shape)
    heard = [pitch_heard(wave, 16_000) for wave in waves]
    np.testing.assert_allclose(heard, 60 + labels, atol=0.1)


def test_notes_given_by_their_mel_have_no_labels():
    source = opened(representation="waveform", given="mel", n_fft=256, hop=64)
    assert source.spec.classes == ()
    assert fetched(source)[1] is None


@pytest.mark.parametrize(
    "options",
    [
        {"length": 16, "n_fft": 16, "hop": 4},
        {"lowest": 21, "octaves": 1, "sample_rate": 1000, "length": 64, "n_fft": 16, "hop": 4},
        {"lowest": 21, "octaves": 8, "sample_rate": 96_000, "length": 2048, "hop": 64, "n_fft": 256},
    ],
)
def test_extreme_sizes_give_finite_notes(options):
    waves, _ = fetched(opened(count=400, **options))
    assert np.isfinite(waves).all()
    assert np.abs(waves).max() < 0.7085
    assert np.abs(waves).max(axis=1).min() > 0.2


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lowest": 108, "octaves": 2, "sample_rate": 384_000}, "go up to MIDI pitch 131"),
        ({"octaves": 3}, "B6, has its third harmonic above half of sample_rate=8000; take sample_rate=12000"),
        ({"count": 100_000, "length": 2**15}, "at most 2,147,483,648 are held"),
    ],
)
def test_what_cannot_be_played_is_refused(options, words):
    with pytest.raises(ValidationError, match=words):
        Options(**options)


def test_sample_rate_that_a_refusal_names_is_accepted():
    assert Options(octaves=3, sample_rate=12_000).pitches == 36
    assert float(hertz(60 + 35)) * 3 < 6000
