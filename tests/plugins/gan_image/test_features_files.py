"""Every kind of features takes pictures of every kind, from files as they come."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from support.fetching import fetch
from toys.vision import SMALL, save

from gan_image.data.folder import Options as FolderOptions
from gan_image.data.folder import open_folder
from gan_image.features import inception, judge, lite, pixels, transformer
from gancore.evaluation.features import Computed
from gancore.evaluation.records import Samples
from gancore.nets.transformers_loader import load

SIZES = {"lite0": 1280, "inception": 2048, "judge": 128, "pixels": 3, "transformers": 8}
COUNT = 2


@pytest.fixture(scope="module")
def builders(inception_weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    save(folder, "Dinov2Model", load().Dinov2Config(**SMALL))
    return {
        "lite0": lambda spec: lite.lite0(lite.Options(size=32), spec),
        "inception": lambda spec: inception.Inception(inception.Options(path=inception_weights), spec),
        "judge": lambda spec: judge.Judge(judge.Options(passes=1), spec),
        "pixels": lambda spec: pixels.Pixels(pixels.Options(), spec),
        "transformers": lambda spec: transformer.Encoder(transformer.Options(path=folder), spec),
    }


def written(folder, kind):
    """A bright and a dark class of pictures of 64 by 64 pixels, in one folder each."""
    draws = np.random.default_rng(0)
    channels = {"RGB": 3, "RGBA": 4}.get(kind)
    for number in range(2 * COUNT):
        values = draws.integers(0, 128, (64, 64, channels) if channels else (64, 64)) + 127 * (number % 2)
        if channels == 4:
            values[..., 3] = 255 - values[..., 3] // 4
        place = folder / ("dark", "bright")[number % 2] / f"{number}.png"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray((values * 257).astype(np.uint16) if kind == "16 bits" else values.astype(np.uint8)).save(place)


@pytest.mark.parametrize("kind", ["RGB", "RGBA", "grey", "16 bits"])
@pytest.mark.parametrize("name", SIZES)
def test_features_tell_bright_pictures_from_dark_ones(builders, photos, name, kind):
    written(photos, kind)
    source = open_folder(
        FolderOptions(path=photos, size=64, mode="rgba" if kind == "RGBA" else "auto"), lambda *_: None
    )
    assert source.spec.shape == ({"RGB": 3, "RGBA": 4}.get(kind, 1), 64, 64)
    x, labels = fetch(source)
    train = Samples(x, labels)
    found = Computed(name, builders[name](source.spec), train=train).of(train)
    assert found.shape == (2 * COUNT, SIZES[name])
    first, second = found[labels == 0], found[labels == 1]
    apart = (first.mean(dim=0) - second.mean(dim=0)).norm()
    assert apart > max((one - one.mean(dim=0)).norm(dim=1).mean() for one in (first, second))
