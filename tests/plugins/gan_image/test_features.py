"""Features of images: the published network as it is, what is done to images before, and figures of them on real pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from gan_image.features import lite
from gan_image.features.lite import Lite, Options, lite0
from gan_image.features.pixels import Options as PixelOptions
from gan_image.features.pixels import Pixels
from gan_image.features.preparing import coloured, resized
from gan_image.spec import ImageSpec
from gancore.errors import DataError, MissingPackageError, UsageError
from gancore.evaluation.features import Computed
from gancore.evaluation.metrics.mind import Mind
from gancore.evaluation.metrics.mind import Options as MindOptions
from gancore.evaluation.metrics.neighbours import Neighbours
from gancore.evaluation.metrics.neighbours import Options as NeighbourOptions
from gancore.evaluation.records import Material, Samples

GREY = ImageSpec(shape=(1, 8, 8))


def noise(*shape, seed=0):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


@pytest.fixture(scope="module")
def network():
    return lite0(Options(size=64), GREY).eval()


@pytest.mark.parametrize("size", [(20, 31), (64, 64), (128, 96)])
def test_images_are_resized_as_pillow_does_it(size):
    x = noise(2, 3, 50, 70).float()
    found = resized(x, *size)
    for image, expected in zip(found, x, strict=True):
        for channel, plane in zip(image, expected, strict=True):
            by_pillow = Image.fromarray(plane.numpy(), mode="F").resize(size[::-1], Image.Resampling.BICUBIC)
            np.testing.assert_allclose(channel.numpy(), np.asarray(by_pillow).clip(0, 255), atol=0.05)


def test_grey_is_shown_in_every_channel_and_transparent_on_white():
    grey = noise(2, 1, 3, 3)
    assert (coloured(grey, "it") == grey.float()).all()
    assert coloured(grey, "it").shape == (2, 3, 3, 3)
    clear = torch.tensor([200, 100, 0, 0, 200, 100, 0, 255]).view(2, 4, 1, 1).to(torch.uint8)
    assert coloured(clear, "it").flatten(1).tolist() == [[255.0] * 3, [200.0, 100.0, 0.0]]


def test_images_of_other_channels_are_refused():
    with pytest.raises(UsageError, match="'lite0' looks at grey and colour images, and these have 5 channels"):
        lite0(Options(size=32), GREY)(noise(1, 5, 8, 8))


def test_network_knows_what_is_on_photographs(network):
    from sklearn.datasets import load_sample_images

    module, file, _ = lite.WEIGHTS["lite0"]
    path = next(iter(__import__(module).__path__))
    last = torch.load(f"{path}/models/{file}", weights_only=True)
    whole = Lite("lite0", Options(size=224)).eval()
    found = []
    for image in load_sample_images().images:
        x = torch.tensor(image).permute(2, 0, 1)[None]
        with torch.no_grad():
            found.append((whole(x) @ last["_fc.weight"].T + last["_fc.bias"]).topk(5).indices[0].tolist())
    temple, flower = found
    assert 985 in flower  # daisy
    assert {442, 663, 698} & set(temple)  # bell cote, monastery, palace


def test_features_of_an_image_do_not_depend_on_the_others(network):
    x = noise(5, 3, 40, 40)
    with torch.no_grad():
        torch.testing.assert_close(network(x)[3:4], network(x[3:4]), atol=1e-4, rtol=1e-4)


def test_fingerprint_names_weights_and_size():
    prints = {lite0(Options(size=size), GREY).fingerprint for size in (32, 64, 64)}
    assert len(prints) == 2
    assert all(lite.WEIGHTS["lite0"][2] in one for one in prints)


def test_other_weights_than_the_published_are_refused(monkeypatch):
    module, file, _ = lite.WEIGHTS["lite0"]
    monkeypatch.setitem(lite.WEIGHTS, "lite0", (module, file, "0" * 64))
    with pytest.raises(DataError, match="not the file that figures of 'lite0' are defined by"):
        lite0(Options(), GREY)


def test_missing_package_is_named_with_what_to_install(monkeypatch):
    monkeypatch.setitem(lite.WEIGHTS, "lite2", ("no_such_module", "x", ""))
    with pytest.raises(MissingPackageError, match=r"features 'lite2' needs no-such-module.*gancore\[lite2\]"):
        Lite("lite2", Options())


def test_pixels_are_the_principal_components_of_what_was_trained_on():
    from sklearn.decomposition import PCA

    train = noise(200, 1, 8, 8)
    pixels = Pixels(PixelOptions(components=5), GREY)
    pixels.fit(Samples(train))
    expected = (
        PCA(5, svd_solver="full").fit(train.flatten(1).numpy() / 255.0).transform(train.flatten(1).numpy() / 255.0)
    )
    np.testing.assert_allclose(pixels(train).abs().numpy(), np.abs(expected), atol=1e-4)


def test_fingerprint_of_pixels_is_that_of_the_training_images():
    one, other = Pixels(PixelOptions(), GREY), Pixels(PixelOptions(), GREY)
    one.fit(Samples(noise(50, 3, 40, 50)))
    other.fit(Samples(noise(50, 3, 40, 50, seed=1)))
    assert one.fingerprint != other.fingerprint
    assert one(noise(2, 3, 40, 50)).shape == (2, 49)


# --- what figures say of real pictures that are made worse, step by step -------------------------------------------------


@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.images))
    x = torch.from_numpy((found.images[order] * 255 / 16).round().astype(np.uint8))[:, None]
    return Samples(x, torch.from_numpy(found.target[order]))


@pytest.fixture(scope="module")
def measured(digits, network):
    """Figures of any samples against the digits from 300 to 600, the first 300 being the training set."""
    train, real = digits.part(slice(300)), digits.part(slice(300, 600))
    features = Computed("lite0", network, train=train)
    spec = GREY.model_copy(update={"classes": tuple("0123456789")})
    metrics = Mind(MindOptions(directions=200), spec), Neighbours(NeighbourOptions(), spec)

    def figures(generated):
        material = Material(generated=generated, real=real, train=train, held_out=True, features={"lite0": features})
        return {name: figure.value for metric in metrics for name, figure in metric(material).figures.items()}

    return figures


def blurred(x, strength):
    kernel = torch.exp(-0.5 * (torch.arange(-3, 4) / max(strength, 1e-3)) ** 2)
    kernel = (kernel / kernel.sum())[None, None, None]
    padded = torch.nn.functional.pad(x.float(), (3, 3, 3, 3), mode="replicate")
    return torch.nn.functional.conv2d(torch.nn.functional.conv2d(padded, kernel), kernel.transpose(2, 3)).to(
        torch.uint8
    )


def worse(digits, how, strength):
    good = digits.part(slice(600, 900))
    draws = torch.Generator().manual_seed(0)
    if how == "noise":
        more = torch.randn(good.x.shape, generator=draws) * 60.0 * strength
        return Samples((good.x.float() + more).clamp(0, 255).to(torch.uint8), good.condition)
    if how == "blur":
        return Samples(blurred(good.x, 0.3 + 1.2 * strength), good.condition)
    if how == "classes":  # 10, 8, 6, 4, 2 of them
        rest = digits.part(slice(600, 1797))
        return rest.part(rest.condition < 10 - round(8 * strength)).part(slice(190))
    kept = [300, 100, 30, 10, 3][round(4 * strength)]  # fewer modes
    return good.part(torch.arange(300) % kept)


@pytest.mark.parametrize(
    ("how", "rises", "falls"),
    [
        ("noise", "mind-lite0", "precision-lite0"),
        ("blur", "mind-lite0", "coverage-lite0"),
        ("classes", "mind-lite0", "coverage-lite0"),
        ("modes", "mind-lite0", "recall-lite0"),
    ],
)
def test_figures_of_real_pictures_move_as_these_get_worse(digits, measured, how, rises, falls):
    found = [measured(worse(digits, how, strength)) for strength in (0.0, 0.25, 0.5, 0.75, 1.0)]
    up, down = [one[rises] for one in found], [one[falls] for one in found]
    assert up == sorted(up)
    assert down == sorted(down, reverse=True)
    assert up[-1] > 1.5 * up[0]
    assert down[-1] < 0.8 * down[0]
