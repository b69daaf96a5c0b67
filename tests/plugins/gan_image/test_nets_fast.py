"""FastGAN's generator and the projected discriminator: their formulas, and weights that are looked through and never moved."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from toys.nets import assert_penalised, one_thread  # noqa: F401

from gan_image.features.lite import Lite
from gan_image.features.lite import Options as LiteOptions
from gan_image.nets import fast, projected
from gan_image.spec import ImageSpec
from gancore import checkpoint
from gancore.api import plan, resume, train
from gancore.configuration.configure import configure
from gancore.errors import UsageError
from gancore.evaluation.comparison import choose
from gancore.evaluation.live import check_evaluation
from gancore.losses.spectral import apply_spectral_norm
from gancore.plugins import Registry

TINY = {"latent": 5, "width": 4, "max_width": 16, "discriminator_width": 4, "feature_size": 32}


def judge(shape=(3, 12, 20), classes=0, **more):
    spec = ImageSpec(shape=shape, classes=tuple(map(str, range(classes))))
    torch.manual_seed(0)
    return fast.build(fast.Options(**(TINY | more)), spec)["discriminator"]


def images(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 2.0 - 1.0


def test_excitation_scales_channels_by_the_papers_formula():
    torch.manual_seed(0)
    skip = fast.Excitation(2, 3)
    small, x = torch.randn(1, 2, 8, 8), torch.randn(1, 3, 5, 7)
    means = torch.stack(
        [small[0, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean((1, 2)) for i in range(4) for j in range(4)]
    )
    squeezed = torch.einsum("oipq,pqi->o", skip.squeeze.weight, means.view(4, 4, 2))
    swish = squeezed / (1.0 + torch.exp(-squeezed))
    gain = 1.0 / (1.0 + torch.exp(-skip.excite.weight[:, :, 0, 0] @ swish))
    torch.testing.assert_close(skip(small, x), x * gain[None, :, None, None])


@pytest.mark.parametrize(
    ("side", "pairs"),
    [(8, [(8, 4)]), (32, [(16, 4)]), (64, [(16, 4)]), (256, [(16, 16), (16, 8), (16, 4)])],
)
def test_maps_are_excited_by_those_that_are_sixteen_times_smaller(side, pairs):
    with torch.device("meta"):
        nets = fast.build(fast.Options(**TINY, discriminator="plain"), ImageSpec(shape=(3, side, side)))
    skips = [(s.squeeze.in_channels, s.squeeze.out_channels) for s in nets["generator"].skips]
    assert skips == pairs


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (64, 96), (10, 14)], ids=str)
@pytest.mark.parametrize(("channels", "classes"), [(1, 0), (3, 3)])
def test_projected_discriminator_gives_a_logit_of_each_of_four_levels(size, channels, classes):
    discriminator = judge((channels, *size), classes)
    x, condition = images(2, channels, *size), torch.tensor([0, 2]) if classes else None
    with torch.no_grad():
        logits = discriminator(x, condition)
        features = discriminator.features(x, condition)
        assert [head.shape for head in logits] == [(2,)] * 4
        assert features.shape == (2, 4 + 8 + 16 + 32)
        if classes:
            assert all(
                not torch.equal(a, b) for a, b in zip(logits, discriminator(x, torch.tensor([1, 0])), strict=True)
            )


def test_pictures_larger_than_the_published_size_are_made_smaller(monkeypatch):
    monkeypatch.setattr(projected, "PUBLISHED", 48)
    discriminator, x = judge((3, 64, 96)), images(2, 3, 64, 96)
    small = F.interpolate(x, (48, 72), mode="bilinear", antialias=True)
    with torch.no_grad():
        found, wanted = discriminator.mixed(x), discriminator.mixed(small)
    assert found[0].shape[2:] == (12, 18)
    assert all(map(torch.equal, found, wanted))


def test_gradients_pass_through_the_pretrained_network_and_change_nothing_in_it():
    discriminator = apply_spectral_norm(judge())
    before = {name: value.clone() for name, value in discriminator.network.named_buffers()}
    x = images(4, 3, 12, 20).requires_grad_()
    optimizer = torch.optim.SGD(discriminator.parameters(), lr=1.0)
    sum(head.mean() for head in discriminator(x)).backward()
    optimizer.step()
    assert x.grad.flatten(1).norm(dim=1).min() > 0.0
    assert before
    assert not list(discriminator.network.parameters())
    assert all(torch.equal(before[name], value) for name, value in discriminator.network.named_buffers())
    assert all(p.grad is not None and p.grad.abs().max() > 0.0 for p in discriminator.parameters())


def test_a_gradient_penalty_passes_through_the_pretrained_network():
    discriminator = judge(feature_size=64)

    class Sum(torch.nn.Module):
        def forward(self, x, condition):
            return sum(discriminator(x, condition))

    weights = [p for p in discriminator.parameters() if p.dim() > 1]
    assert_penalised(weights, Sum(), images(3, 3, 12, 20), None)


def test_saved_are_mixing_weights_and_not_the_published_ones():
    discriminator = judge()
    saved = discriminator.state_dict()
    assert not [name for name in saved if name.startswith("network.")]
    mixing = [name for name in saved if name.startswith("mix_")]
    assert len(mixing) == 4 + 3
    assert not {name for name, _ in discriminator.named_parameters()} & set(mixing)
    torch.manual_seed(7)
    other = fast.build(fast.Options(**TINY), ImageSpec(shape=(3, 12, 20)))["discriminator"]
    other.load_state_dict(saved)
    x = images(2, 3, 12, 20)
    with torch.no_grad():
        for one, two in zip(discriminator.eval()(x), other.eval()(x), strict=True):
            assert torch.equal(one, two)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_shown_to_the_network_as_features_lite0_show_them(channels):
    pixels = torch.randint(0, 256, (2, channels, 64, 64), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    spec = ImageSpec(shape=(channels, 64, 64))
    discriminator, features = judge(spec.shape), Lite("lite0", LiteOptions(size=64))
    seen = []
    for network in (discriminator.network, features.network):
        network.stem.register_forward_hook(lambda _module, x, _y: seen.append(x[0]))
    with torch.no_grad():
        discriminator(spec.relax(pixels))
        features(pixels)
    torch.testing.assert_close(seen[0], seen[1])


def test_levels_are_a_quarter_to_a_thirty_second_of_the_picture_and_end_as_the_features_do():
    network = Lite("lite0", LiteOptions()).eval().network
    x = images(1, 3, 64, 96)
    with torch.no_grad():
        levels = network.levels(x)
        torch.testing.assert_close(network.head(levels[-1]).mean(dim=(2, 3)), network(x))
    assert [tuple(level.shape[1:]) for level in levels] == [(24, 16, 24), (40, 8, 12), (112, 4, 6), (320, 2, 3)]


def test_mixed_maps_are_the_random_convolutions_added_up_from_the_smallest():
    discriminator = judge((3, 64, 64))
    x = images(2, 3, 64, 64)
    with torch.no_grad():
        levels = discriminator.network.levels((x * 127.5 + 0.5) / 128.0)
        weights = [conv.weight for conv in discriminator.mix_channels]
        last = F.conv2d(levels[3] / 3.0, weights[3])
        third = F.conv2d(levels[2] / 7.0, weights[2])
        deeper = F.conv2d(last, discriminator.mix_scales[2].weight, padding=1)
        wanted = (third + F.interpolate(deeper, scale_factor=2.0, mode="bilinear")) / 2.0**0.5
        found = discriminator.mixed(x)
    torch.testing.assert_close(found[3], last)
    torch.testing.assert_close(found[2], wanted)


def test_transparent_pictures_are_refused_with_the_discriminator_that_takes_them():
    with pytest.raises(
        UsageError, match=r"grey and colour images, and these have 4 channels: say architecture.discrim"
    ):
        judge((4, 16, 16))


def test_resumed_run_equals_uninterrupted_run(tmp_path):
    options = {"preset": "fast", "data": "digits", "batch_size": 4, "every.evaluate": 0, "samples": 2, "device": "cpu"}
    options |= {f"architecture.{name}": value for name, value in TINY.items()}
    train(plugin="image", out=tmp_path / "whole", steps=3, options=options)
    train(plugin="image", out=tmp_path / "parts", steps=2, options=options)
    resume(tmp_path / "parts", steps=3)
    one, other = (checkpoint.verify(tmp_path / name / "checkpoints" / "step-00000003") for name in ("whole", "parts"))
    for network in ("generator", "discriminator", "ema"):
        tensors, others = one.tensors(network), other.tensors(network)
        assert tensors.keys() == others.keys()
        assert [name for name in tensors if not torch.equal(tensors[name], others[name])] == []


@pytest.mark.parametrize(
    ("asked", "features", "note"),
    [
        ({}, ["pixels", "lite2"], "left out: the generator was trained by features lite0"),
        ({"features": "lite0"}, ["lite0"], "lite0: the generator was trained by features lite0"),
        ({"features.pixels.components": 8}, ["pixels", "lite2"], "left out: "),
    ],
)
def test_no_figures_are_of_the_features_that_a_generator_was_trained_by_unless_asked_for(asked, features, note):
    registry = Registry()
    settings = configure(registry, plugin="image", layers=[{"architecture": "fast"}])
    trained = settings.training_features
    choice = choose(registry, "image", settings.data, options=asked, training_features=trained)
    assert list(choice.features) == features
    assert choice.notes[0].startswith(note)
    plain = configure(registry, plugin="image", layers=[{"architecture": {"name": "fast", "discriminator": "plain"}}])
    assert plain.training_features == {}


def test_figures_while_training_are_of_other_features_too():
    registry = Registry()
    settings = plan(plugin="image", options={"architecture": "fast", "every.evaluate": 5, "evaluate.features": {}})
    assert list(check_evaluation(settings, registry).features) == ["pixels"]
