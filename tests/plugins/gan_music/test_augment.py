"""ADA for music: transposition, shifts and velocities, of all tracks alike."""

from __future__ import annotations

import pytest
import torch

from gan_music.augment import MusicAda, MusicAdaOptions
from gan_music.spec import MusicSpec, Track
from gancore.random import Draws


def spec(velocities=3):
    tracks = (Track(name="lead"), Track(name="drums", drums=True), Track(name="bass"))
    return MusicSpec.of(tracks, bars=1, steps_per_beat=4, lowest=40, pitches=24, velocities=velocities)


def augmented(x, *policy, velocities=3, strength=1.0, **options):
    t = MusicAda(MusicAdaOptions(policy=policy, strength=strength, **options), spec(velocities))
    return t(x, Draws(5, torch.arange(len(x))))


def phrases(n, velocities=3):
    return torch.rand(n, *spec(velocities).shape, generator=torch.Generator().manual_seed(0)).double()


def test_all_tracks_but_drums_are_transposed_by_the_same_number_of_semitones():
    x = phrases(60)
    y = augmented(x, "transpose", transpose=3)
    assert torch.equal(y[:, 3:6], x[:, 3:6])
    found = set()
    for before, after in zip(x[:, [0, 1, 2, 6, 7, 8]], y[:, [0, 1, 2, 6, 7, 8]], strict=True):
        (semitones,) = [k for k in range(-3, 4) if torch.equal(before.roll(k, -1), after)]
        found.add(semitones)
    assert found == set(range(-3, 4))


def test_all_tracks_are_shifted_by_the_same_number_of_steps():
    x = phrases(60)
    found = set()
    for before, after in zip(x, augmented(x, "shift"), strict=True):
        (steps,) = [k for k in range(-2, 3) if torch.equal(before.roll(k, 1), after)]
        found.add(steps)
    assert found == {-2, -1, 0, 1, 2}


def test_velocities_are_multiplied_and_onsets_and_lengths_stay():
    x = phrases(400)
    y = augmented(x, "velocity")
    kept = [0, 1, 3, 4, 6, 7]
    assert torch.equal(y[:, kept], x[:, kept])
    factor = y[:, [2, 5, 8]] / x[:, [2, 5, 8]]
    torch.testing.assert_close(factor, factor[:, :1, :1, :1].expand_as(factor))
    assert float(factor[:, 0, 0, 0].log2().std()) == pytest.approx(0.25, rel=0.1)


def test_phrases_without_velocities_have_none_to_change():
    x = phrases(8, velocities=1)
    assert torch.equal(augmented(x, "velocity", velocities=1), x)


def test_derivatives_match_finite_differences_and_strength_0_gives_back_the_samples():
    x = phrases(1)[:, :, :3, :2].contiguous()
    policy = ("transpose", "shift", "velocity")
    assert augmented(x, *policy, strength=0.0) is x
    x.requires_grad_()
    assert torch.autograd.gradcheck(lambda v: augmented(v, *policy, shift=0.5), (x,))
    assert torch.autograd.gradgradcheck(lambda v: augmented(v, *policy, shift=0.5).pow(3), (x,))


def test_some_phrases_stay_as_they_are_bit_by_bit():
    x = phrases(1000)
    same = (augmented(x, "transpose", "shift", "velocity", strength=0.8) == x).flatten(1).all(1)
    # Neither transposed (or by 0: 7 of 49), nor shifted (or by 0: 3 of 9), nor louder.
    expected = (0.2 + 0.8 / 7) * (0.2 + 0.8 / 3) * 0.2
    assert float(same.double().mean()) == pytest.approx(expected, abs=0.02)
