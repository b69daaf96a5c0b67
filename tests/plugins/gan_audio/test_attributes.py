"""Attributes of sounds that are known, by hand and by librosa."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from toys.sounds import RATE, noise, tone

from gan_audio import gan_attributes
from gan_audio.data.notes import DETUNED_CENTS, kinds, open_notes
from gan_audio.data.notes import Options as NoteOptions
from gan_audio.data.pitches import hertz
from gan_audio.data.synthesis import VIBRATO_CENTS
from gan_audio.metrics.levels import Bands
from gan_audio.spec import AudioSpec
from gancore.evaluation.attributes import fault
from gancore.random import Draws
from gancore.targets import build

RECORDS = {record.name: record for record in gan_attributes()}
SPEC = AudioSpec.of(length=4096)
SILENCE = torch.zeros(1, 1, 4096)
RICH = (0.5, 0.3, 0.2)
"""Shares of harmonics."""


def measured(name, x, spec=SPEC):
    """An attribute of waveforms `[n, 1, length]`, one number each."""
    values = build(RECORDS[name], None, spec)(x)
    assert fault(values, len(x)) == ""
    return values.tolist()


def notes(*numbers, rate=RATE, length=4096, harmonics=RICH):
    """Tones of MIDI pitches: `[n, 1, length]`."""
    tones = [tone(float(hertz(n)), length, amplitude=0.5, harmonics=harmonics, rate=rate) for n in numbers]
    return torch.stack(tones)


@pytest.fixture
def power():
    """Power of each bin `[n, bins]` of waveforms, the mean over frames, by librosa."""
    librosa = pytest.importorskip("librosa")
    bands = Bands.of(RATE)

    def of(x):
        frames = librosa.stft(x[:, 0, :-1].numpy(), n_fft=bands.n_fft, hop_length=bands.hop, pad_mode="constant")
        return (np.abs(frames.astype(np.complex128)) ** 2).mean(axis=2)

    return of


def test_loudness_of_a_sine_is_three_decibels_below_its_amplitude():
    sines = torch.stack([tone(1000.0, amplitude=1.0), tone(1000.0, amplitude=0.1)])
    assert measured("loudness", torch.cat([sines, SILENCE])) == pytest.approx([-3.01, -23.01, -100.0], abs=0.01)


def test_brightness_is_in_octaves_above_1_khz():
    assert measured("brightness", tone(500.0)[None]) == pytest.approx([-1.0], abs=0.02)
    both = tone(1000.0, amplitude=0.6) + tone(2500.0, amplitude=0.3)
    centroid = 1.0 + 1.5 * 0.3**2 / (0.6**2 + 0.3**2)  # kHz
    assert measured("brightness", both[None]) == pytest.approx([math.log2(centroid)], abs=0.01)


def test_brightness_and_noisiness_are_those_of_librosa(power):
    librosa = pytest.importorskip("librosa")
    x = torch.cat([noise(2), notes(57, 81), 0.01 * noise(1, seed=1) + notes(60)])
    bins = power(x)[:, :, None]
    centroid = librosa.feature.spectral_centroid(S=bins, sr=RATE)[:, 0, 0]
    assert measured("brightness", x) == pytest.approx(np.log2(centroid / 1000.0), abs=1e-3)
    flatness = librosa.feature.spectral_flatness(S=bins[:, 1:-1], amin=1e-12, power=1.0)[:, 0, 0]
    assert measured("noisiness", x) == pytest.approx(np.maximum(10.0 * np.log10(flatness), -60.0), abs=0.01)


def test_attack_is_the_time_in_which_the_envelope_rises():
    time = torch.arange(4096) / RATE
    swell = tone(1000.0) * (time / 0.2).clamp(max=1.0)
    late = tone(1000.0) * (time > 0.1)
    # From a tenth to nine tenths of 0.2 s; and of the ten milliseconds of the envelope, whose power grows evenly, 0.01 to 0.81.
    seconds = [10**value for value in measured("attack", torch.stack([swell, late]))]
    assert seconds == pytest.approx([0.16, 0.008], abs=0.001)


def test_duration_is_that_of_the_sounding_part():
    half = torch.cat([tone(1000.0, 2048), torch.zeros(1, 2048)], dim=1)
    frame = Bands.of(RATE).hop / RATE
    assert measured("duration", torch.stack([half, tone(1000.0)])) == pytest.approx([0.256, 0.512], abs=2 * frame)


def test_silence_has_a_loudness_alone():
    for name in set(RECORDS) - {"loudness"}:
        assert math.isnan(*measured(name, SILENCE)), name


def test_sounds_that_are_no_numbers_break_nothing():
    broken = noise(3)
    broken[0, 0, 5], broken[1, 0, 6] = math.nan, math.inf
    for name in RECORDS:
        assert measured(name, broken)[2] == pytest.approx(measured(name, noise(3)[2:])[0], nan_ok=True)


# --- pitch ------------------------------------------------------------------------------------------------------------


def test_pitch_is_found_to_a_few_cents():
    low, high = [36.4, 48.0, 57.31, 60.0, 69.77, 81.2], [88.5, 95.9]
    assert measured("pitch", notes(*low)) == pytest.approx(low, abs=0.03)
    assert measured("pitch", notes(*low, *high, harmonics=(0.5,))) == pytest.approx(low + high, abs=0.03)


def test_every_built_in_note_is_found_far_nearer_than_a_quarter_tone():
    options = NoteOptions(count=96, length=2048)
    source, numbers = open_notes(options, lambda *_: None), torch.arange(96)
    found = measured("pitch", source.fetch(numbers, Draws(0, numbers))[0], source.spec)
    written = options.lowest + kinds(options, numbers)[0].numpy()
    assert np.abs(found - written).max() < (DETUNED_CENTS + VIBRATO_CENTS) / 100.0


def test_pitch_is_that_of_the_fundamental_even_where_it_is_weak_or_missing():
    assert measured("pitch", notes(60, harmonics=(0.0, 0.5, 0.3, 0.2))) == pytest.approx([60.0], abs=0.05)
    assert measured("pitch", notes(60, harmonics=(0.3, 0.7))) == pytest.approx([60.0], abs=0.05)


def test_offset_and_volume_do_not_change_the_pitch():
    assert measured("pitch", 0.001 * notes(62) + 0.2) == pytest.approx([62.0], abs=0.05)


def test_noise_has_no_pitch():
    assert all(map(math.isnan, measured("pitch", noise(20))))


def test_pitch_is_the_median_over_what_has_one():
    parts = torch.cat([notes(60)[..., :3000], noise(1)[..., :1000], notes(67)[..., :96]], dim=2)
    assert measured("pitch", parts) == pytest.approx([60.0], abs=0.05)


def test_pitches_are_looked_for_about_the_notes_that_classes_are_named_after():
    low = AudioSpec.of(length=4096, classes=("C1", "C2 plucked"))
    assert measured("pitch", notes(30), low) == pytest.approx([30.0], abs=0.06)
    assert math.isnan(*measured("pitch", notes(30)))


@pytest.mark.parametrize(("rate", "length"), [(4000, 256), (16_000, 1024), (44_100, 4096)])
def test_other_rates_and_short_clips_have_pitches(rate, length):
    spec = AudioSpec.of(sample_rate=rate, length=length)
    found = measured("pitch", notes(69, 72.5, rate=rate, length=length), spec)
    assert found == pytest.approx([69.0, 72.5], abs=0.1)


@pytest.mark.parametrize("representation", ["waveform", "log-stft", "stft-if", "log-mel"])
def test_sounds_of_every_representation_have_attributes(representation):
    spec = SPEC.changed(representation=representation)
    x = notes(60, 69.5)
    made = spec.harden(spec.relax(x))
    assert measured("pitch", made, spec) == pytest.approx([60.0, 69.5], abs=0.3)
    assert measured("brightness", made, spec) == pytest.approx(measured("brightness", x), abs=0.3)
