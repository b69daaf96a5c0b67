"""A walk of sounds, read back with soundfile: one sound without gaps, clicks or changes of power."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from gan_audio.spec import AudioSpec
from gan_audio.writers.walk import WalkOptions, WalkWriter

RATE, LENGTH = 8000, 4096
TIME = np.arange(LENGTH) / RATE


def samples(*waves: np.ndarray) -> Tensor:
    return torch.from_numpy(np.stack(waves)).float()[:, None]


def walk(folder: Path, sounds: Tensor, **options: object) -> np.ndarray:
    spec = AudioSpec.of(sample_rate=RATE, length=LENGTH, representation="waveform")
    writer = WalkWriter(WalkOptions.model_validate({"format": "float32", **options}), spec)
    (path,) = writer.write(sounds, folder, "walk")
    assert path == folder / "walk.wav"
    wave, rate = soundfile.read(path)
    assert (rate, wave.ndim) == (RATE, 1)
    return wave


def struck(pitch: float) -> np.ndarray:
    """A tone that begins at once and has not ended at the end."""
    return 0.8 * np.cos(2 * np.pi * pitch * TIME) * np.exp(-3.0 * TIME)


def test_neighbours_overlap_and_nothing_else_changes(tmp_path):
    sounds = samples(struck(200), struck(310), struck(470))
    wave = walk(tmp_path, sounds, crossfade=0.05)
    assert len(wave) == 3 * LENGTH - 2 * 400
    for number in range(3):
        begin = number * (LENGTH - 400)
        inside = slice(0 if number == 0 else 400, LENGTH if number == 2 else LENGTH - 400)
        np.testing.assert_array_equal(wave[begin:][inside], sounds[number, 0].numpy()[inside])


@pytest.mark.parametrize("crossfade", [0.005, 0.01, 0.1])
def test_no_step_at_a_seam_is_larger_than_inside_the_sounds(tmp_path, crossfade):
    sounds = samples(*(struck(pitch) for pitch in (200, 310, 470, 250)))
    overlap = round(crossfade * RATE)
    steps = np.abs(np.diff(walk(tmp_path, sounds, crossfade=crossfade)))
    seams = [number * (LENGTH - overlap) for number in (1, 2, 3)]
    at_seams = max(steps[seam - 1 : seam + overlap + 1].max() for seam in seams)
    assert at_seams <= sounds.diff(dim=2).abs().max()
    # Put together without a fade, they would click.
    assert (sounds[1:, 0, 0] - sounds[:-1, 0, -1]).abs().max() > 2 * sounds.diff(dim=2).abs().max()


def test_power_stays_where_unlike_sounds_meet_and_equal_sounds_stay_themselves(tmp_path):
    noise = np.random.default_rng(0).normal(0.0, 0.1, (9, LENGTH))
    wave = walk(tmp_path, samples(*noise), crossfade=0.25)  # half a sample: all is fade
    assert wave.std() == pytest.approx(0.1, rel=0.03)
    parts = wave[: len(wave) // 500 * 500].reshape(-1, 500).std(axis=1)
    assert parts.min() > 0.08
    tone = 0.9 * np.sin(2 * np.pi * 250 * TIME)  # whole periods, as the overlaps are: it goes on in the next
    for crossfade in (0.004, 0.1):
        steady = walk(tmp_path, samples(tone, tone, tone), crossfade=crossfade)
        np.testing.assert_allclose(steady, np.resize(tone, len(steady)), atol=1e-4)


def test_overlap_is_at_most_half_a_sound_and_one_sound_is_a_walk(tmp_path):
    assert len(walk(tmp_path, samples(struck(200), struck(300)), crossfade=10.0)) == 2 * LENGTH - LENGTH // 2
    np.testing.assert_array_equal(walk(tmp_path, samples(struck(200))), struck(200).astype(np.float32))


def test_sums_above_full_scale_are_turned_down_as_a_whole(tmp_path):
    loud = np.where(np.arange(LENGTH) % 2, 1.0, -1.0)
    unlike = np.where(np.arange(LENGTH) // 2 % 2, 1.0, -1.0)
    wave = walk(tmp_path, samples(loud, unlike), crossfade=0.1)
    assert np.abs(wave).max() == pytest.approx(1.0)
    assert np.abs(wave[:100]).max() == pytest.approx(0.5**0.5, abs=0.01)
