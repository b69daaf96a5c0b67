"""Inception-v3 as FID uses it: its structure, how images come to it, and which files of weights it takes."""

from __future__ import annotations

import hashlib
import re

import pytest
import torch

from gan_image.features import inception
from gan_image.features.inception import Inception, Options
from gan_image.features.inception_v3 import InceptionV3, _Conv, _Mixed
from gan_image.features.preparing import resized_as_tensorflow
from gan_image.spec import ImageSpec
from gancore.errors import DataError

COLOUR = ImageSpec(shape=(3, 64, 64))


@pytest.fixture(scope="module")
def network(inception_weights):
    return Inception(Options(path=inception_weights), COLOUR).eval()


def test_structure_is_the_published_one():
    with torch.device("meta"):
        state = InceptionV3().state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert sum(name.endswith("conv.weight") for name in shapes) == 94
    # As many as Keras says that its Inception-v3, which has no factors of batch normalisation, trains below its classifier.
    trained = sum(v.numel() for n, v in state.items() if n.endswith(("conv.weight", "bn.bias")))
    assert trained == 23_817_352 - 2048 * 1000 - 1000
    assert shapes["Conv2d_1a_3x3.conv.weight"] == (32, 3, 3, 3)
    assert shapes["Mixed_5b.branch_pool.bn.running_var"] == (32,)
    assert shapes["Mixed_6a.branch3x3.conv.weight"] == (384, 288, 3, 3)
    assert shapes["Mixed_6c.branch7x7dbl_5.conv.weight"] == (192, 160, 1, 7)
    assert shapes["Mixed_7a.branch7x7x3_4.conv.weight"] == (192, 192, 3, 3)
    assert shapes["Mixed_7c.branch3x3dbl_3b.conv.weight"] == (384, 384, 3, 1)


def test_averages_are_of_the_pixels_that_there_are_and_the_last_block_has_maxima():
    x = torch.zeros(1, 1, 3, 3)
    x[..., 0, 0] = 12.0
    found = []
    for pool in ("average", "max"):
        block = _Mixed(1, ("branch1x1 1 1x1",), pool, 1).eval()
        torch.nn.init.ones_(block.branch_pool.conv.weight)
        with torch.no_grad():
            found.append((block(x)[0, 1] * 1.001**0.5).round(decimals=4).tolist())
    assert found[0] == [[3.0, 2.0, 0.0], [2.0, pytest.approx(12 / 9, abs=1e-4), 0.0], [0.0] * 3]
    assert found[1] == [[12.0, 12.0, 0.0], [12.0, 12.0, 0.0], [0.0] * 3]


def test_a_folded_convolution_is_the_convolution_and_its_normalisation():
    conv = _Conv(3, 4, "3x3").eval()
    for name, value in conv.state_dict().items():
        if name.startswith("bn.") and value.dim():
            value.uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(len(name)))
    x = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = conv(x)
        conv.fold()
        torch.testing.assert_close(conv(x), expected)


def test_images_are_resized_as_tensorflow_1_did_it():
    x = torch.tensor([[0.0, 10.0], [100.0, 110.0]])[None, None]
    rows = [[0.0, 5.0, 10.0, 10.0], [50.0, 55.0, 60.0, 60.0]]
    rows += [[100.0, 105.0, 110.0, 110.0]] * 2
    assert resized_as_tensorflow(x, 4, 4)[0, 0].tolist() == rows
    assert resized_as_tensorflow(x, 1, 2)[0, 0].tolist() == [[0.0, 10.0]]


def test_features_are_2048_of_each_image_by_itself(network):
    x = torch.randint(0, 256, (2, 3, 64, 64), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    x[1] //= 2
    with torch.no_grad():
        found = network(x)
        alone = network(x[:1])
    assert found.shape == (2, 2048)
    assert (found[0] - found[1]).abs().max() > 0.05 * found.abs().max()
    torch.testing.assert_close(found[:1], alone, rtol=1e-4, atol=1e-4 * float(found.abs().max()))


def test_figures_are_called_fid_where_the_weights_are_those_of_fid_alone(inception_weights, network, monkeypatch):
    assert network.figure_names == {}
    monkeypatch.setattr(inception, "PUBLISHED", hashlib.sha256(inception_weights.read_bytes()).hexdigest()[:8])
    monkeypatch.setattr(InceptionV3, "load_published", lambda *_: None)
    with torch.device("meta"):
        plain, clean = (
            Inception(Options(path=inception_weights, resizing=how), COLOUR) for how in ("tensorflow", "bicubic")
        )
    assert plain.figure_names == {"frechet": "fid", "kernel": "kid", "kernel-deviation": "kid-deviation"}
    assert clean.figure_names["frechet"] == "clean-fid"
    assert len({plain.fingerprint, clean.fingerprint, network.fingerprint}) == 2


def refusal(path):
    with pytest.raises(DataError) as found:
        Inception(Options(path=path), COLOUR)
    return str(found.value)


def test_a_file_that_is_not_what_its_name_says_is_refused(inception_weights, tmp_path):
    path = tmp_path / "weights-inception-2015-12-05-6726825d.pth"
    path.symlink_to(inception_weights)
    digest = hashlib.sha256(inception_weights.read_bytes()).hexdigest()
    assert f"its SHA-256 begins with {digest[:8]}, not 6726825d; download it again" in refusal(path)


def test_a_file_of_anything_else_is_refused(tmp_path):
    path = tmp_path / "weights.pth"
    assert "cannot be read" in refusal(path)
    path.write_bytes(b"no weights")
    assert "holds no weights that torch can load" in refusal(path)
    torch.save({"Conv2d_1a_3x3.conv.weight": torch.zeros(1)}, path)
    assert re.search(r"holds no weights of Inception-v3 as FID uses it: it has no '.*'", refusal(path))
    for content in ([1], torch.zeros(2)):
        torch.save(content, path)
        assert "holds no weights of Inception-v3" in refusal(path)
