"""Walks of images, read back with Pillow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from gan_image.spec import ImageSpec
from gan_image.walk import WalkOptions, WalkWriter


def walk(tmp_path, samples, **options):
    """Frames and durations of the GIF and of the animated PNG of `samples`."""
    writer = WalkWriter(WalkOptions(**options), ImageSpec(shape=tuple(samples.shape[1:])))
    paths = writer.write(samples, tmp_path, "walk", [0] * len(samples))
    assert paths == [tmp_path / "walk.gif", tmp_path / "walk.png"]
    found = []
    for path, mode in zip(paths, ("RGB", None), strict=True):
        with Image.open(path) as image:
            frames = [(f.convert(mode or f.mode), f.info["duration"]) for f in ImageSequence.Iterator(image)]
            assert image.info["loop"] == 0
        found.append(([np.asarray(frame) for frame, _ in frames], [duration for _, duration in frames]))
    return found


def film(channels, count=12, side=16):
    """On the left noise that stays, on the right a slope that moves."""
    still = np.random.default_rng(0).integers(0, 256, (channels, side, side // 2))
    slope = np.arange(side // 2) * 9 + np.arange(side)[:, None] * 5
    moving = np.stack([slope + 3 * n + 10 * c for n in range(count) for c in range(channels)])
    moving = moving.reshape(count, channels, side, side // 2)
    return torch.from_numpy(np.concatenate([np.broadcast_to(still, moving.shape), moving], axis=3).astype(np.uint8))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_animated_png_has_every_frame_as_it_is_enlarged_by_a_whole_number(tmp_path, channels):
    samples = film(channels)
    _, (frames, durations) = walk(tmp_path, samples, side=40, frame_ms=33)
    assert durations == [33] * 12
    wanted = samples.permute(0, 2, 3, 1).numpy().repeat(2, axis=1).repeat(2, axis=2)
    assert np.array_equal(np.stack(frames), wanted[..., 0] if channels == 1 else wanted)


def test_gif_of_grey_images_is_exact(tmp_path):
    samples = film(1)
    (frames, durations), _ = walk(tmp_path, samples, side=16, frame_ms=33)
    assert durations == [30] * 12
    assert np.array_equal(np.stack(frames)[..., 0], samples[:, 0].numpy())


def test_what_stays_does_not_flicker_in_a_gif_and_colours_are_near(tmp_path):
    samples = film(3)
    (frames, durations), _ = walk(tmp_path, samples, side=16)
    shown = np.stack(frames)
    assert durations == [50] * 12
    assert (shown[:, :, :8] == shown[0, :, :8]).all()
    assert np.abs(shown.astype(int) - samples.permute(0, 2, 3, 1).numpy()).mean() < 10


def test_transparency_is_white_in_a_gif(tmp_path):
    samples = torch.tensor([[9, 9, 9, 0], [255, 0, 0, 255]], dtype=torch.uint8)[:, :, None, None].expand(2, 4, 8, 8)
    (frames, _), _ = walk(tmp_path, samples)
    assert [tuple(frame[5, 5].tolist()) for frame in frames] == [(255, 255, 255), (255, 0, 0)]


def test_equal_frames_in_a_row_are_shown_as_long_as_all_of_them(tmp_path):
    first, second = film(3, 2)
    for frames, durations in walk(tmp_path, torch.stack([first, first, second])):
        assert len(frames) == 2
        assert durations == [100, 50]


def test_walk_carries_a_text_in_both_files(tmp_path):
    writer = WalkWriter(WalkOptions(side=16), ImageSpec(shape=(3, 16, 16)))
    gif, png = writer.write(film(3), tmp_path, "walk")
    for path in (gif, png):
        writer.attach(path, '{"seed": 1}')
        assert writer.text_of(path) == '{"seed": 1}'
    with Image.open(png) as image:
        assert image.n_frames == 12
        assert image.text == {"gancore": '{"seed": 1}'}
