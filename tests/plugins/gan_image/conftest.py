"""A folder for pictures, a cache of its own for each test that reads them, and weights for a large network."""

import pytest
import torch

from gan_image.features.inception_v3 import InceptionV3


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "images"


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


@pytest.fixture(scope="session")
def inception_weights(tmp_path_factory):
    """Random weights under the published names, and a classifier that is not needed."""
    with torch.device("meta"):
        shapes = {n: v.shape for n, v in InceptionV3().state_dict().items() if not n.endswith("batches_tracked")}
    draws = torch.Generator().manual_seed(0)
    # As He et al. 2015 for convolutions, so that values neither vanish nor explode; others around 1.
    state = {
        n: torch.randn(s, generator=draws) * (2.0 / s[1:].numel()) ** 0.5
        if len(s) == 4
        else torch.rand(s, generator=draws) + 0.5
        for n, s in shapes.items()
    } | {"fc.weight": torch.zeros(1008, 1)}
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(state, path)
    return path
