"""Pictures of one's own, read as those of a run that was trained on others."""

from __future__ import annotations

import numpy as np
from PIL import Image

from gan_image.spec import ImageSpec
from gancore.configuration.configure import configure
from gancore.latent import originals
from gancore.plugins import Registry


def test_pictures_are_brought_to_the_size_and_channels_of_the_demo(tmp_path):
    folder = tmp_path / "rose"
    folder.mkdir()
    Image.fromarray(np.full((50, 40), 200, np.uint8)).save(folder / "grey.png")
    (folder / "notes.json").write_text("{}")
    registry = Registry()
    spec = ImageSpec(shape=(3, 32, 32), classes=("lily", "rose"))
    found = originals.read([folder], configure(registry, plugin="image"), spec, registry=registry)
    assert found.x.shape == (1, 3, 32, 32)
    assert found.x.unique().tolist() == [200]
    assert found.names == (str(folder / "grey.png"),)
    assert found.labels.tolist() == [1]
    assert "notes.json" in found.skipped[0]
