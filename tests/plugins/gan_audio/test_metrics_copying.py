"""Copies are found, softer and later ones too, and sounds that are alike by chance are told from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toys.material import material
from toys.sounds import RATE, noise, tone

from gan_audio.metrics import copying
from gan_audio.metrics.levels import Bands
from gan_audio.metrics.likeness import distances, diversity, moved, nearest, nearest_before, pictures
from gan_audio.spec import AudioSpec

SPEC = AudioSpec.of(length=4096)
HOP = Bands.of(RATE).hop


def found(generated, real, train=None, held_out=True, **options):
    metric = copying.build(copying.Options(**options), SPEC)
    return metric(material(generated, real, train, held_out=held_out))


def random_pictures(count, seed=0):
    draws = torch.Generator().manual_seed(seed)
    return torch.rand(count, 4, 6, generator=draws) * (torch.rand(count, 4, 6, generator=draws) < 0.5)


def bursts(count, seed=0):
    """Chords of three tones, from a random time on for an eighth of a second, all different."""
    draws = torch.Generator().manual_seed(seed)
    begin = torch.randint(512, 2048, (count, 1), generator=draws)
    frequency = 100.0 + 3000.0 * torch.rand(count, 3, 1, generator=draws)
    place = torch.arange(4096)
    chords = torch.sin(2.0 * torch.pi * frequency / RATE * place).mean(dim=1)
    return (chords * ((place >= begin) & (place < begin + 1024)))[:, None]


def test_distance_is_one_less_tanimotos_coefficient():
    first, second = random_pictures(3), random_pictures(4, seed=1)

    def by_hand(a, b):
        a, b = a.flatten().double().numpy(), b.flatten().double().numpy()
        return 1.0 - a @ b / (a @ a + b @ b - a @ b)

    wanted = np.array([[by_hand(a, b) for b in second] for a in first])
    assert distances(first, second).numpy() == pytest.approx(wanted, abs=1e-6)


def test_distance_of_sets_is_one_less_their_jaccard_index():
    first, second = torch.tensor([[[1.0, 1.0, 1.0, 0.0]]]), torch.tensor([[[0.0, 1.0, 1.0, 1.0]]])
    assert float(distances(first, second)) == pytest.approx(0.5)
    assert float(distances(first, second, lags=(-1, 0, 1))) == pytest.approx(0.0, abs=1e-6)


def test_silence_is_like_silence_alone():
    silent, sounding = torch.zeros(1, 4, 6), random_pictures(1)
    assert float(distances(silent, silent)) == 0.0
    assert float(distances(silent, sounding)) == 1.0


def test_moved_pictures_are_later_or_earlier_with_silence_after_the_edge():
    picture = torch.tensor([[[1.0, 2.0, 3.0]]])
    assert moved(picture, 1).flatten().tolist() == [0.0, 1.0, 2.0]
    assert moved(picture, -2).flatten().tolist() == [3.0, 0.0, 0.0]
    assert moved(picture, 0).flatten().tolist() == [1.0, 2.0, 3.0]
    assert moved(picture, 7).flatten().tolist() == [0.0, 0.0, 0.0]


def test_many_clips_are_all_looked_at(monkeypatch):
    monkeypatch.setattr("gan_audio.metrics.likeness._COLUMNS", 7)
    clips, train = random_pictures(20), random_pictures(30, seed=1)
    every = distances(clips, train)
    assert torch.allclose(nearest(clips, train), every.amin(dim=1))
    left_out = every.argmin(dim=1)
    rest = every.clone()
    rest[torch.arange(20), left_out] = 1.0
    assert torch.allclose(nearest(clips, train, leave_out=left_out), rest.amin(dim=1))
    own = distances(clips, clips)
    before = torch.stack([own[n, :n].amin() if n else torch.tensor(1.0) for n in range(20)])
    assert torch.allclose(nearest_before(clips), before)
    assert diversity(clips) == pytest.approx(float(own.fill_diagonal_(0.0).sum() / (20 * 19)), rel=1e-5)


def test_planted_copies_are_counted():
    train, own = bursts(60), bursts(20, seed=1)
    figures = found(torch.cat([train[:5], own[:15]]), own, train)
    assert figures["nearest/exact"].value == 0.25
    assert figures["nearest/exact"].real == 0.0
    assert figures["nearest/nearer"].value > 0.5


@pytest.mark.parametrize("change", [lambda x: 0.3 * x, lambda x: (x * 32767).round() / 32767, lambda x: -x])
def test_volume_rounding_and_sign_make_no_other_sound(change):
    train = bursts(20)
    assert found(change(train[:10]), bursts(5, seed=1), train)["nearest/exact"].value == 1.0


def test_copies_that_begin_later_are_found_within_the_shift():
    train = bursts(20)
    later = train[:10].roll(2 * HOP, dims=2)
    figures = found(later, bursts(5, seed=1), train)
    assert figures["nearest/exact"].value == 1.0
    assert found(later, bursts(5, seed=1), train, shift=0.0)["nearest/near"].value == 0.0


def test_near_copies_are_those_below_the_bound():
    train = bursts(20)
    close = train[:10] + 0.1 * noise(10, seed=3)
    figures = found(close, bursts(5, seed=1), train, below=0.4)
    assert figures["nearest/exact"].value == 0.0
    assert figures["nearest/near"].value == 1.0
    assert found(close, bursts(5, seed=1), train)["nearest/near"].value < 0.5


def test_real_clips_that_were_trained_on_are_not_held_against_themselves():
    train = bursts(30)
    figures = found(train[:10], train[:10], train, held_out=False)
    assert figures["nearest/exact"].value == 1.0
    assert figures["nearest/exact"].real == 0.0
    assert found(train[:10], train[:10], train)["nearest/exact"].real == 1.0


def test_a_second_copy_in_the_training_set_still_counts():
    train = bursts(30)
    twice = torch.cat([train, train[:1]])
    assert found(train, train[:2], twice, held_out=False)["nearest/exact"].real == 0.5


def test_collapsed_generator_has_one_distinct_sound_and_no_diversity():
    figures = found(bursts(1).repeat(10, 1, 1), bursts(10, seed=1), bursts(20, seed=2))
    assert figures["distinct"].value == 0.1
    assert figures["distinct"].real == 1.0
    assert figures["diversity"].value == pytest.approx(0.0, abs=1e-5)
    assert figures["diversity"].real > 0.1


def test_no_more_clips_are_looked_at_than_asked_for():
    train = bursts(10)
    figures = found(torch.cat([train[:5], bursts(5, seed=1)]), train, train, limit=5)
    assert figures["nearest/exact"].value == 1.0


def test_pictures_of_short_and_silent_clips_can_be_compared():
    short = pictures(torch.stack([tone(500.0, 128), torch.zeros(1, 128)]), Bands.of(RATE))
    assert short.shape == (2, 32, 1)
    assert distances(short, short).diagonal().tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
