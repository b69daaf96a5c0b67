"""What every image architecture keeps to, and what is particular to each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from toys.nets import assert_apart, assert_penalised, assert_seeded, one_thread, perturb  # noqa: F401

from gan_image.nets import dcgan, fast, r3gan, resnet, style
from gancore.components import GeneratorNet
from gancore.data.spec import SampleSpec
from gancore.engine.transfer import fit
from gancore.errors import UsageError

TINY: Mapping[str, tuple[Any, dict[str, Any]]] = {
    "dcgan": (dcgan, {"latent": 5, "width": 8, "max_width": 16, "embedding": 3}),
    "dcgan-refined": (dcgan, {"latent": 5, "width": 8, "max_width": 16, "embedding": 3, "refine": 1, "norm": "none"}),
    "dcgan-nearest": (dcgan, {"latent": 5, "width": 8, "base_width": 16, "embedding": 3, "upsampling": "nearest"}),
    "resnet": (resnet, {"latent": 5, "width": 8, "max_width": 16, "embedding": 3}),
    "resnet-attention": (resnet, {"latent": 5, "width": 8, "max_width": 16, "blocks": 2, "init": "orthogonal"}),
    "r3gan": (r3gan, {"latent": 5, "width": 8, "max_width": 16, "embedding": 3, "blocks": 1, "group_width": 4}),
    "style": (
        style,
        {"latent": 5, "width": 8, "max_width": 16, "style": 6, "mapping": 2, "noise": True, "minibatch_deviation": 1},
    ),
    "fast": (fast, {"latent": 5, "width": 4, "max_width": 16, "discriminator": "plain", "discriminator_width": 8}),
}
SIZES = [(8, 8), (28, 28), (64, 96), (24, 40), (10, 14)]
every = pytest.mark.parametrize("name", TINY)


def build(name: str, shape: tuple[int, ...] = (1, 12, 20), classes: int = 0, **more: Any) -> tuple[Any, Any]:
    module, options = TINY[name]
    if name == "resnet-attention":
        more = {"attention": shape[1] // 2, **more}
    spec = SampleSpec(shape=shape, classes=tuple(f"class {n}" for n in range(classes)))
    torch.manual_seed(0)
    nets = module.build(module.Options(**(options | more)), spec)
    return nets["generator"], nets["discriminator"]


def images(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 2.0 - 1.0


@every
@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize(("channels", "classes"), [(1, 0), (3, 4), (4, 0)])
def test_shapes_are_those_of_the_contract(name: str, size: tuple[int, int], channels: int, classes: int) -> None:
    generator, discriminator = build(name, (channels, *size), classes)
    condition = torch.tensor([0, 3]) if classes else None
    assert isinstance(generator, GeneratorNet)
    with torch.no_grad():
        x = generator(torch.randn(2, *generator.latent_shape), condition)
        assert x.shape == (2, channels, *size)
        assert discriminator(x, condition).shape == (2,)
        features = discriminator.features(x, condition)
    assert features.dim() == 2
    assert len(features) == 2


@pytest.mark.parametrize("name", ["dcgan", "dcgan-refined", "resnet", "r3gan", "style"])
def test_images_of_512_pixels_pass_through(name: str) -> None:
    generator, discriminator = build(name, (3, 512, 512), 0, width=4, max_width=4)
    with torch.no_grad():
        x = generator.eval()(torch.randn(1, 5), None)
        assert x.shape == (1, 3, 512, 512)
        assert discriminator(x, None).shape == (1,)


@pytest.mark.parametrize("name", ["dcgan", "dcgan-refined", "resnet", "resnet-attention", "fast"])
def test_generated_values_lie_between_minus_one_and_one(name: str) -> None:
    generator, _ = build(name)
    x = generator(torch.randn(4, 5) * 1e4, None)
    assert x.abs().max() <= 1.0


def test_r3gan_has_a_linear_output() -> None:
    generator, _ = build("r3gan")
    z = torch.randn(2, 5)
    with torch.no_grad():
        # At first each block is the identity, so the whole network is linear in z.
        torch.testing.assert_close(generator(100.0 * z, None), 100.0 * generator(z, None), rtol=1e-4, atol=1e-3)


@every
@pytest.mark.parametrize("classes", [0, 3])
def test_gradients_reach_every_parameter(name: str, classes: int) -> None:
    generator, discriminator = build(name, classes=classes)
    condition = torch.arange(6) % classes if classes else None
    z, real = torch.randn(6, 5), images(6, 1, 12, 20)
    optimizer = torch.optim.SGD([*generator.parameters(), *discriminator.parameters()], lr=0.1)
    for step in range(3):
        optimizer.zero_grad()
        fake = generator(z, condition)
        (F.softplus(-discriminator(real, condition)) + F.softplus(discriminator(fake, condition))).mean().backward()
        for network in (generator, discriminator):
            for path, p in network.named_parameters():
                assert p.grad is not None, path
                assert p.grad.isfinite().all(), path
                # Behind a layer that starts at zero gradients appear once that layer has moved.
                assert step < 2 or p.grad.abs().max() > 0.0, path
        optimizer.step()


@every
@pytest.mark.parametrize("classes", [0, 3])
def test_a_gradient_penalty_has_a_gradient_itself(name: str, classes: int) -> None:
    _, discriminator = build(name, classes=classes)
    perturb(discriminator)
    weights = [p for p in discriminator.parameters() if p.dim() > 1]
    assert_penalised(weights, discriminator, images(3, 1, 12, 20), torch.arange(3) if classes else None)


@every
def test_a_sample_and_its_logit_do_not_depend_on_the_rest_of_the_batch(name: str) -> None:
    generator, discriminator = build(name, classes=3)
    assert_apart(generator, discriminator.eval(), torch.tensor([0, 1, 2, 1, 0]), 3)


@every
def test_the_class_changes_samples_and_logits(name: str) -> None:
    generator, discriminator = build(name, classes=3)
    perturb(generator, discriminator)
    z, x = torch.randn(1, 5).expand(3, -1), images(1, 1, 12, 20).expand(3, -1, -1, -1)
    with torch.no_grad():
        samples = generator.eval()(z, torch.arange(3))
        logits = discriminator.eval()(x, torch.arange(3))
    assert (samples[0] - samples[1]).abs().max() > 1e-4
    assert (samples[1] - samples[2]).abs().max() > 1e-4
    assert len({round(v, 5) for v in logits.tolist()}) == 3


@every
def test_a_conditional_network_without_condition_says_what_it_needs(name: str) -> None:
    generator, discriminator = build(name, classes=3)
    with pytest.raises(UsageError, match="conditional on 3 classes"):
        generator(torch.randn(2, 5), None)
    with pytest.raises(UsageError, match="conditional on 3 classes"):
        discriminator(images(2, 1, 12, 20), None)


@every
def test_without_classes_the_condition_is_ignored(name: str) -> None:
    generator, discriminator = build(name)
    x, z, condition = images(2, 1, 12, 20), torch.randn(2, 5), torch.tensor([7, 8])
    assert torch.equal(discriminator(x, condition), discriminator(x, None))
    assert torch.equal(generator(z, condition), generator(z, None))


@every
def test_the_same_torch_seed_gives_the_same_weights(name: str) -> None:
    assert_seeded(partial(build, name, classes=2))


@every
def test_channels_last_changes_nothing_but_the_layout(name: str) -> None:
    generator, discriminator = build(name, (3, 12, 20))
    perturb(generator, discriminator)
    z, x = torch.randn(3, 5), images(3, 3, 12, 20)
    with torch.no_grad():
        samples, logits = generator(z, None), discriminator(x, None)
        generator.to(memory_format=torch.channels_last)
        discriminator.to(memory_format=torch.channels_last)
        torch.testing.assert_close(generator(z, None), samples, rtol=1e-4, atol=1e-5)
        turned = discriminator(x.to(memory_format=torch.channels_last), None)
    torch.testing.assert_close(turned, logits, rtol=1e-4, atol=1e-4)


@every
@pytest.mark.parametrize("classes", [0, 3])
def test_spectral_normalisation_of_every_weight_leaves_all_finite(name: str, classes: int) -> None:
    generator, discriminator = build(name, classes=classes, spectral_norm="both")
    for network in (generator, discriminator):
        for module in list(network.modules()):
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
                spectral_norm(module)
    condition = torch.arange(3) if classes else None
    logits = discriminator(generator(torch.randn(3, 5), condition), condition)
    logits.sum().backward()
    assert logits.isfinite().all()
    for network in (generator, discriminator):
        assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


@every
def test_nobody_can_ask_for_what_is_out_of_bounds(name: str) -> None:
    module, _ = TINY[name]
    with pytest.raises(ValidationError) as refusal:
        module.Options(latent=0, width=0, widht=8)
    assert {e["loc"][0] for e in refusal.value.errors()} == {"latent", "width", "widht"}
    assert all(field.description for field in module.Options.model_fields.values())


# --- dcgan ----------------------------------------------------------------------------------------------------------


def test_dcgan_has_as_many_parameters_as_counted_by_hand() -> None:
    options = dcgan.Options(latent=100, width=64, max_width=1024, norm="batch")
    nets = dcgan.build(options, SampleSpec(shape=(3, 64, 64)))
    count = {name: sum(p.numel() for p in net.parameters()) for name, net in nets.items()}
    pairs = [(512, 256), (256, 128), (128, 64)]
    convolutions = sum(16 * a * b for a, b in pairs)
    # 100 -> 4x4x512, then 256, 128, 64 and the image; gains and biases of batch normalisation; a bias for the image.
    norms = 2 * (512 + 256 + 128 + 64)
    assert count["generator"] == 100 * 512 * 16 + convolutions + norms + 16 * 64 * 3 + 3
    biases = 64 + 128 + 256 + 512
    assert count["discriminator"] == 16 * 3 * 64 + convolutions + biases + (512 * 16 + 1)


@pytest.mark.parametrize(("side", "channels"), [(28, [40, 72]), (32, [32, 64, 128]), (128, [8, 16, 32, 64, 128])])
def test_dcgan_counts_channels_from_a_map_of_four_pixels(side: int, channels: list[int]) -> None:
    options = dcgan.Options(width=4, base_width=128)
    network = dcgan.build(options, SampleSpec(shape=(3, side, side)))["discriminator"]
    assert [m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)] == channels


def test_dcgan_starts_with_the_papers_weights() -> None:
    nets = dcgan.build(dcgan.Options(), SampleSpec(shape=(3, 64, 64)))
    convolutions = [
        m for net in nets.values() for m in net.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
    ]
    for module in convolutions:
        if module.weight.numel() > 1000:
            assert abs(module.weight.std().item() - 0.02) < 0.002
        assert module.bias is None or not module.bias.any()


def test_dcgan_discriminator_normalises_where_it_is_asked_to() -> None:
    _, discriminator = build("dcgan", (1, 32, 32), discriminator_norm="batch")
    kinds = [type(m).__name__ for m in discriminator.layers]
    assert kinds == ["Conv2d", "LeakyReLU"] + ["Conv2d", "BatchNorm", "LeakyReLU"] * 2


# --- resnet ---------------------------------------------------------------------------------------------------------


def test_attention_sits_at_the_asked_heights_in_both_networks() -> None:
    generator, discriminator = build("resnet", (1, 64, 96), attention=[8, 32])
    seen: list[tuple[int, ...]] = []
    for network in (generator, discriminator):
        for module in network.modules():
            if type(module).__name__ == "SelfAttention2d":
                module.register_forward_hook(lambda _m, _x, y: seen.append(tuple(y.shape[2:])))
    discriminator(generator(torch.randn(2, 5), None), None)
    assert seen == [(8, 12), (32, 48), (32, 48), (8, 12)]


def test_attention_at_a_height_that_no_map_has_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"height 16.*height 7, 14"):
        build("resnet", (1, 28, 28), attention=16)


def test_resnet_logits_start_at_a_moderate_size() -> None:
    module, _ = TINY["resnet"]
    for seed in range(5):
        torch.manual_seed(seed)
        discriminator = module.build(module.Options(width=16), SampleSpec(shape=(3, 32, 32)))["discriminator"]
        with torch.no_grad():
            assert discriminator(images(4, 3, 32, 32), None).abs().max() < 5.0


# --- r3gan ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channels", "group_width", "expected"),
    [(1536, 16, 96), (16, 16, 1), (8, 16, 1), (24, 16, 1), (48, 16, 3), (20, 3, 5), (7, 2, 1)],
)
def test_groups_are_as_many_as_the_group_width_allows(channels: int, group_width: int, expected: int) -> None:
    # 1536 channels in 96 groups: the inside of a block of the paper's CIFAR-10 networks.
    assert r3gan.groups(channels, group_width) == expected


def test_r3gan_filters_are_those_of_bilinear_interpolation() -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 6, 10, generator=draw)
    want = F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True)[:, :, 1:-1, 1:-1]
    torch.testing.assert_close(r3gan._Downsample()(x)[:, :, 1:-1, 1:-1], want)
    # A constant stays constant up to its edges, in both directions.
    ones = torch.ones(1, 1, 6, 10)
    torch.testing.assert_close(r3gan._Downsample()(ones), torch.ones(1, 1, 3, 5))
    torch.testing.assert_close(r3gan._Upsample()(ones), torch.ones(1, 1, 12, 20))
    row = torch.tensor([0.0, 0.0, 8.0, 0.0, 0.0]).view(1, 1, 1, 5)
    assert r3gan._Upsample()(row)[0, 0, 0].tolist() == [0, 0, 0, 2, 6, 6, 2, 0, 0, 0]


def test_r3gan_blocks_start_as_the_identity_and_scaled_by_their_number() -> None:
    _, discriminator = build("r3gan", (1, 32, 32), width=64, max_width=64, blocks=2)
    blocks = [m for m in discriminator.modules() if isinstance(m, r3gan._Block)]
    assert len(blocks) == 8
    x = torch.randn(2, 64, 4, 4)
    assert torch.equal(blocks[0](x), x)
    want = math.sqrt(2 / 1.04) / math.sqrt(64) * 8**-0.25
    assert blocks[0].expand.weight.std().item() == pytest.approx(want, rel=0.05)


def test_r3gan_cifar_networks_have_the_papers_number_of_parameters() -> None:
    # Built on the meta device, as the networks of the paper's CIFAR-10 preset have some 40 million parameters.
    options = r3gan.Options(width=768, max_width=768, group_width=16)
    with torch.device("meta"):
        nets = r3gan.build(options, SampleSpec(shape=(3, 32, 32)))
    count = {name: sum(p.numel() for p in net.parameters()) for name, net in nets.items()}
    block = 768 * 1536 + 1536 + 9 * 1536 * 16 + 1536 + 1536 * 768
    assert count["generator"] == 8 * block + 64 * 768 + 768 * 16 + 768 * 3
    assert count["discriminator"] == 8 * block + 3 * 768 + 768 * 16 + 768


# --- networks of another size -----------------------------------------------------------------------------------------


def test_a_dcgan_for_twice_the_side_takes_all_stages_of_one_for_half_of_it() -> None:
    """Of the small one only what depends on the smallest map is left out: a projection, or the head."""
    small, large = (dcgan.build(dcgan.Options(width=4), SampleSpec(shape=(3, side, side))) for side in (16, 32))
    found = {name: fit(large[name], small[name].state_dict(), (), ()) for name in small}
    assert found["generator"].fresh == ("layers.0", "layers.2", "project")
    assert found["generator"].left_out == ("project",)
    assert found["discriminator"].fresh == ("head.linear", "layers.4")
    assert found["discriminator"].left_out == ("head.linear",)
    assert found["discriminator"].layers == {"layers.0": "layers.0", "layers.2": "layers.2"}
