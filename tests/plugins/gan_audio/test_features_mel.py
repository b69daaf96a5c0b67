"""Features of sounds: figures of them move as sounds get worse, and copies are found, softer and later ones too."""

from __future__ import annotations

import pytest
import torch
from toys.material import material
from toys.sounds import RATE, noise

from gan_audio.data.notes import Options as NoteOptions
from gan_audio.data.notes import open_notes
from gan_audio.features.mel import Mel
from gan_audio.features.mel import Options as MelOptions
from gan_audio.metrics.levels import Bands
from gan_audio.spec import AudioSpec
from gancore.data.report import silent
from gancore.evaluation.distances import PrincipalComponents, frechet, mind
from gancore.evaluation.features import Computed
from gancore.evaluation.metrics.nearest import NearestSamples
from gancore.evaluation.metrics.nearest import Options as NearestOptions
from gancore.evaluation.neighbours import manifolds
from gancore.evaluation.records import Samples, faults
from gancore.evaluation.variety import vendi
from gancore.random import Draws

SPEC = AudioSpec.of(length=4096)
HOP = Bands.of(RATE).hop


# --- sets that are worse and worse, each against real notes -----------------------------------------------------------


@pytest.fixture(scope="module")
def notes():
    """Two sets of 192 notes of 24 pitches and four timbres, with their classes."""
    source = open_notes(NoteOptions(count=384), silent)
    numbers = torch.randperm(384, generator=torch.Generator().manual_seed(0))
    x, classes = source.fetch(numbers, Draws(0, numbers))
    return Samples(x[:192], classes[:192]), Samples(x[192:], classes[192:])


def noisy(x, decibels):
    """Noise so far below each clip."""
    level = x.square().mean(dim=2, keepdim=True).sqrt() * 10 ** (-decibels / 20)
    return x + noise(len(x), x.shape[2], amplitude=1.0) * level


def low_passed(x, hertz):
    spectrum = torch.fft.rfft(x)
    return torch.fft.irfft(spectrum * (torch.fft.rfftfreq(x.shape[2], 1 / RATE) < hertz), n=x.shape[2])


WORSE = {
    "noise": lambda x, classes: [noisy(x, below) for below in (25, 15, 5)],
    "low-pass": lambda x, classes: [low_passed(x, hertz) for hertz in (2000, 1000, 500)],
    "fewer classes": lambda x, classes: [x[(classes < count).nonzero()[:, 0]] for count in (16, 8, 2)],
    "copies of each other": lambda x, classes: [x[torch.arange(len(x)) % count] for count in (64, 16, 4)],
}


@pytest.mark.parametrize("kind", WORSE)
def test_distances_grow_as_sounds_get_worse(notes, kind):
    real, other = notes
    features = Mel(MelOptions(), SPEC)
    theirs = features(real.x)
    components = PrincipalComponents.of(theirs, 16)
    sets = [features(x) for x in (other.x, *WORSE[kind](other.x, other.condition))]
    for distances in (
        [mind(ours, theirs, directions=200) for ours in sets],
        [frechet(components(ours), components(theirs)) for ours in sets],
    ):
        assert distances == sorted(distances)
        assert distances[-1] > 4.0 * distances[0]


def test_other_notes_are_as_near_as_halves_of_the_same_are(notes):
    features = Mel(MelOptions(), SPEC)
    real, other = (features(one.x) for one in notes)
    floor = mind(real[96:], real[:96], directions=200)
    assert 0.5 * floor < mind(other[:96], real[:96], directions=200) < 2.0 * floor
    assert mind(features(noisy(notes[1].x[:96], 20)), real[:96], directions=200) > 2.0 * floor


def test_notes_are_among_notes_and_noise_is_not(notes):
    features = Mel(MelOptions(), SPEC)
    real, other, hiss = (features(x) for x in (notes[0].x, notes[1].x, noise(192)))
    good, bad = manifolds(other, real), manifolds(hiss, real)
    assert (good.precision, good.coverage) > (0.8, 0.8)
    assert (bad.precision, bad.coverage) == (0.0, 0.0)
    assert vendi(other) > 5.0 > 1.5 > vendi(hiss)


# --- vectors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "length", "size"), [(8000, 4096, 64 * 16), (44_100, 70_016, 64 * 16), (1000, 64, 32 * 4)]
)
def test_sounds_of_any_rate_and_length_have_features_whatever_their_volume(rate, length, size):
    features = Mel(MelOptions(), AudioSpec.of(length=length, sample_rate=rate, n_fft=64, hop=16))
    x = noise(3, length)
    found = features(x)
    assert found.shape == (3, size)
    assert torch.allclose(features(0.1 * x), found, atol=1e-4)
    assert features(torch.zeros(1, 1, length)).abs().max() == 0.0


# --- copies -----------------------------------------------------------------------------------------------------------


def bursts(count, seed=0):
    """Chords of three tones, from a random time on for an eighth of a second, all different."""
    draws = torch.Generator().manual_seed(seed)
    begin = torch.randint(512, 2048, (count, 1), generator=draws)
    frequency = 100.0 + 3000.0 * torch.rand(count, 3, 1, generator=draws)
    place = torch.arange(4096)
    chords = torch.sin(2.0 * torch.pi * frequency / RATE * place).mean(dim=1)
    return (chords * ((place >= begin) & (place < begin + 1024)))[:, None]


def found(generated, real, train, held_out=True, shift=0.05, **options):
    features = Computed("mel", Mel(MelOptions(shift=shift), SPEC), train=Samples(train))
    compared = material(generated, real, train, held_out=held_out, features={"mel": features})
    measured = NearestSamples(NearestOptions(**options), SPEC)(compared)
    assert not faults(measured)
    return {name.removeprefix("nearest-mel/"): figure for name, figure in measured.figures.items()}


def test_planted_copies_are_counted():
    train, own = bursts(60), bursts(20, seed=1)
    figures = found(torch.cat([train[:5], own[:15]]), own, train)
    assert figures["exact"].value == 0.25
    assert figures["exact"].real == 0.0
    assert figures["nearer"].value > 0.5


@pytest.mark.parametrize("change", [lambda x: 0.3 * x, lambda x: (x * 32767).round() / 32767, lambda x: -x])
def test_volume_rounding_and_sign_make_no_other_sound(change):
    train = bursts(20)
    assert found(change(train[:10]), bursts(5, seed=1), train)["exact"].value == 1.0


def test_copies_that_begin_later_are_found_within_the_shift():
    train = bursts(20)
    later = train[:10].roll(2 * HOP, dims=2)
    assert found(later, bursts(5, seed=1), train)["exact"].value == 1.0
    assert found(later, bursts(5, seed=1), train, shift=0.0)["near"].value == 0.0


def test_near_copies_are_those_below_the_bound():
    train = bursts(20)
    close = train[:10] + 0.1 * noise(10, seed=3)
    figures = found(close, bursts(5, seed=1), train, below=0.4)
    assert figures["exact"].value == 0.0
    assert figures["near"].value == 1.0
    assert found(close, bursts(5, seed=1), train)["near"].value < 0.5


def test_real_clips_that_were_trained_on_are_not_held_against_themselves():
    train = bursts(30)
    figures = found(train[:10], train[:10], train, held_out=False)
    assert figures["exact"].value == 1.0
    assert figures["distance"].real > 0.0
    assert found(train[:10], train[:10], train)["exact"].real == 1.0


def test_a_second_copy_in_the_training_set_still_counts():
    train = bursts(30)
    twice = torch.cat([train, train[:1]])
    assert found(train, train[:2], twice, held_out=False)["near"].real == 0.5


def test_no_more_clips_are_looked_at_than_asked_for():
    train = bursts(10)
    figures = found(torch.cat([train[:5], bursts(5, seed=1)]), train, train, limit=5)
    assert figures["exact"].value == 1.0
