"""How alike two sounds are, whatever their volume, and which of many is the nearest one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toys.sounds import RATE, tone

from gan_audio.metrics.levels import Bands
from gan_audio.metrics.likeness import distances, moved, nearest, nearest_before, pictures


def random_pictures(count, seed=0):
    draws = torch.Generator().manual_seed(seed)
    return torch.rand(count, 4, 6, generator=draws) * (torch.rand(count, 4, 6, generator=draws) < 0.5)


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
    assert torch.allclose(nearest(clips, train), every.amin(dim=1).double())
    left_out = every.argmin(dim=1)
    rest = every.clone()
    rest[torch.arange(20), left_out] = 1.0
    assert torch.allclose(nearest(clips, train, leave_out=left_out), rest.amin(dim=1).double())
    assert nearest(clips[:1], train[:1], leave_out=torch.tensor([0])).tolist() == [float("inf")]
    own = distances(clips, clips)
    before = torch.stack([own[n, :n].amin() if n else torch.tensor(1.0) for n in range(20)])
    assert torch.allclose(nearest_before(clips), before)


def test_pictures_of_short_and_silent_clips_can_be_compared():
    short = pictures(torch.stack([tone(500.0, 128), torch.zeros(1, 128)]), Bands.of(RATE))
    assert short.shape == (2, 32, 1)
    assert distances(short, short).diagonal().tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
