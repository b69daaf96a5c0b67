"""The parts of the style-based networks, against what is worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim
from toys.nets import one_thread  # noqa: F401

from gan_image.nets import style
from gan_image.nets.equalised import EqualConv2d, EqualLinear, Filter, MinibatchDeviation, ModulatedConv2d, StyledConv
from gan_image.spec import ImageSpec
from gancore.random import Draws

SMALL: dict[str, Any] = {"latent": 5, "style": 6, "mapping": 2, "width": 4, "max_width": 8}


def build(size: int = 16, classes: int = 0, **more: Any) -> tuple[Any, Any]:
    spec = ImageSpec(shape=(3, size, size), classes=tuple(f"class {n}" for n in range(classes)))
    torch.manual_seed(0)
    nets = style.build(style.Options(**(SMALL | more)), spec)
    return nets["generator"], nets["discriminator"]


def test_the_networks_of_256_pixels_have_the_papers_number_of_parameters() -> None:
    # As the authors' program prints them for its configuration `paper256`.
    with torch.device("meta"):
        nets = style.build(style.Options(noise=True), ImageSpec(shape=(3, 256, 256)))
    count = {name: sum(p.numel() for p in net.parameters()) for name, net in nets.items()}
    assert count == {"generator": 24_767_458, "discriminator": 24_001_089}


# --- layers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [EqualLinear(300, 400, gain=1.5), EqualConv2d(30, 400, 3, gain=1.5)])
def test_an_equalised_layer_stores_unit_weights_and_multiplies_variances_by_its_gain(layer: nn.Module) -> None:
    assert layer.weight.std().item() == pytest.approx(1.0, abs=0.02)
    torch.manual_seed(1)
    x = torch.randn(64, 300) if isinstance(layer, nn.Linear) else torch.randn(4, 30, 8, 8)
    y = layer(x) if isinstance(layer, nn.Linear) else layer(x)[:, :, 1:-1, 1:-1]
    assert y.std().item() == pytest.approx(1.5, rel=0.03)


def test_an_optimizer_moves_a_layer_of_a_hundredth_of_the_rate_a_hundredth_as_far() -> None:
    x = torch.ones(1, 4)
    moved = []
    for rate in (1.0, 0.01):
        torch.manual_seed(0)
        layer = EqualLinear(4, 1, rate=rate, bias=3.0)
        before = layer(x).item()
        optimizer = optim.Adam(layer.parameters(), lr=0.1)
        layer(x).sum().backward()
        optimizer.step()
        moved.append(before - layer(x).item())
    # Each of four weights goes 0.1 down, times 1 / sqrt(4), and the bias 0.1.
    assert moved == pytest.approx([0.3, 0.003], rel=1e-3)


@pytest.mark.parametrize("up", [False, True])
def test_a_modulated_convolution_is_one_with_weights_of_each_sample(up: bool) -> None:
    torch.manual_seed(0)
    layer = ModulatedConv2d(3, 4, 3, 6, up=up).double()
    x, w = torch.randn(2, 3, 5, 7, dtype=torch.float64), torch.randn(2, 6, dtype=torch.float64)
    y, demodulation = layer(x, w)
    for i in range(2):
        weight = layer.weight * layer.style(w[i : i + 1])[0][:, None, None]
        weight = weight / weight.flatten(1).norm(dim=1)[:, None, None, None]
        if up:
            spread = F.conv_transpose2d(x[i : i + 1], weight.transpose(0, 1), stride=2)
            row = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64) / 4.0
            wanted = F.conv2d(spread.transpose(0, 1), (row[:, None] * row)[None, None], padding=1).transpose(0, 1)
        else:
            wanted = F.conv2d(x[i : i + 1], weight, padding=1)
        torch.testing.assert_close(y[i] * demodulation[i][:, None, None], wanted[0])


def test_what_is_demodulated_has_unit_variance_whatever_the_style() -> None:
    torch.manual_seed(0)
    layer = ModulatedConv2d(8, 16, 3, 6)
    y, demodulation = layer(torch.randn(32, 8, 12, 12), 3.0 * torch.randn(32, 6))
    inner = (y * demodulation[:, :, None, None])[:, :, 1:-1, 1:-1]
    assert inner.var().item() == pytest.approx(1.0, rel=0.03)


def test_the_filters_are_those_of_bilinear_interpolation() -> None:
    x = torch.randn(2, 3, 6, 10, generator=torch.Generator().manual_seed(0))
    small = F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True)[:, :, 1:-1, 1:-1]
    torch.testing.assert_close(Filter(stride=2)(x)[:, :, 1:-1, 1:-1], small)
    # A pixel in the middle of a transposed convolution's nine, doubled.
    spread = F.conv_transpose2d(x.view(6, 1, 6, 10), F.pad(torch.ones(1, 1, 1, 1), (1, 1, 1, 1)), stride=2)
    large = F.interpolate(x, scale_factor=2.0, mode="bilinear")
    torch.testing.assert_close(Filter(4.0)(spread).view(2, 3, 12, 20)[:, :, 1:-1, 1:-1], large[:, :, 1:-1, 1:-1])


def test_the_deviation_within_groups_is_one_more_channel() -> None:
    x = torch.tensor([0.0, 1.0, 4.0, 9.0]).view(4, 1, 1, 1).expand(4, 2, 3, 3)
    with_deviation = MinibatchDeviation(2)(x)
    assert torch.equal(with_deviation[:, :2], x)
    # Sample 0 with 2, 1 with 3: half the differences.
    wanted = torch.tensor([2.0, 4.0, 2.0, 4.0]).view(4, 1, 1).expand(4, 3, 3)
    torch.testing.assert_close(with_deviation[:, 2], wanted)


@pytest.mark.parametrize(("batch", "group"), [(4, 4), (6, 3), (5, 1), (1, 1), (2, 2)])
def test_groups_are_the_largest_up_to_four_that_divide_the_batch(batch: int, group: int) -> None:
    x = torch.arange(float(batch)).view(batch, 1, 1, 1) * batch
    found = MinibatchDeviation(4)(x)[:, 1, 0, 0]
    members = [[i for i in range(batch) if i % (batch // group) == j % (batch // group)] for j in range(batch)]
    wanted = [torch.tensor([float(i) * batch for i in one]).std(correction=0) for one in members]
    torch.testing.assert_close(found, torch.stack(wanted), atol=2e-4, rtol=1e-4)


def test_noise_of_learnt_strength_is_added_before_the_activation() -> None:
    torch.manual_seed(0)
    layer = StyledConv(4, 4, 6, up=False, noise=True)
    x, w, draws = torch.randn(2, 4, 8, 8), torch.randn(2, 6), Draws(0, torch.arange(2))
    without = layer(x, w, draws)
    assert torch.equal(without, layer(x, w, None))  # its strength begins at zero
    nn.init.constant_(layer.strength, 0.5)
    before = torch.where(without > 0, without, without / 0.2) + 0.5 * math.sqrt(2.0) * draws.normal("noise", 1, 8, 8)
    torch.testing.assert_close(layer(x, w, draws), F.leaky_relu(before, 0.2))


# --- networks -------------------------------------------------------------------------------------------------------


def test_a_latent_counts_by_its_direction_alone() -> None:
    generator = build()[0].eval()
    z = torch.randn(3, 5)
    torch.testing.assert_close(generator(2.0 * z, None), generator(z, None), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(generator(-z, None), generator(z, None), atol=1e-3)


def test_the_smallest_map_is_a_constant_or_follows_the_style() -> None:
    z, seen = torch.randn(2, 5), []
    for start in ("constant", "style"):
        generator, _ = build(start=start)
        generator.blocks[0].convs[0].register_forward_hook(lambda _m, inputs, _y: seen.append(inputs[0]))
        assert generator(z, None).shape == (2, 3, 16, 16)
    assert torch.equal(seen[0][0], seen[0][1])
    weight, bias = generator.start.weight / math.sqrt(6), generator.start.bias
    torch.testing.assert_close(seen[1].flatten(1), generator.mapping(z, None) @ weight.T + bias)


def test_every_latent_has_noise_of_its_own_in_training_and_all_the_same_in_evaluation() -> None:
    generator, _ = build(noise=True)
    z = torch.randn(3, 5)
    z[1] = z[0].flip(0)
    without = generator(z, None)
    strengths = [m.strength for m in generator.modules() if isinstance(m, StyledConv)]
    for strength in strengths:
        nn.init.constant_(strength, 0.3)
    whole = generator(z, None)
    assert len(strengths) == 5
    assert (whole - without).abs().amax(dim=(1, 2, 3)).min() > 1e-2
    torch.testing.assert_close(generator(z[1:2], None), whole[1:2], rtol=1e-4, atol=1e-5)
    number = style._positions(z)
    assert len(set(number.tolist())) == 3
    assert torch.equal(style._positions(z.flip(0)), number.flip(0))
    seen: list[Tensor] = []
    styled = [m for m in generator.modules() if isinstance(m, StyledConv)]
    for module in styled:
        module.register_forward_hook(lambda _m, inputs, _y: seen.append(inputs[2].positions))
    generator.eval()(z, None)
    assert all(not positions.any() for positions in seen)
    assert len(seen) == len(styled)


def test_a_sample_is_made_of_a_code_for_each_layer() -> None:
    generator = build(classes=3)[0].eval()
    z, classes = torch.randn(3, 5), torch.arange(3)
    w = generator.map(z, classes)
    assert w.shape == (3, generator.layers, 6) == (3, 6, 6)
    assert torch.equal(generator.synthesise(w, classes), generator(z, classes))
    other = w.clone()
    other[:, -1] += 1.0
    assert not torch.equal(generator.synthesise(other), generator(z, classes))
    rows = [len(weights) for weights in generator.first_weights()]
    scaled = [m.style.out_features for m in generator.modules() if isinstance(m, ModulatedConv2d)]
    assert sum(rows) == sum(scaled) + (0 if generator.start is None else generator.start.out_features)
    assert all(weights.shape[1] == 6 for weights in generator.first_weights())


@pytest.mark.parametrize("mixing", [0.0, 1.0])
def test_mixing_gives_finer_layers_another_style_in_training_alone(mixing: float) -> None:
    generator, _ = build(32, mixing=mixing)
    seen: list[Tensor] = []
    for module in generator.modules():
        if isinstance(module, StyledConv):
            module.register_forward_hook(lambda _m, inputs, _y: seen.append(inputs[1].detach()))
    z = torch.randn(16, 5)
    own = generator.mapping(z, None)
    generator(z, None)
    assert len(seen) == 7
    same = torch.stack([(w == own).all(dim=1) for w in seen])
    assert same[0].all()
    assert same.all() == (mixing == 0.0)
    # Coarse layers first: once it is another style it stays so.
    assert torch.equal(same, same.cummin(dim=0).values)
    assert len(set(same.sum(dim=0).tolist())) > 1 or not mixing
    seen.clear()
    generator.eval()(z, None)
    assert all(torch.equal(w, own) for w in seen)


def test_a_discriminator_that_compares_samples_says_that_it_mixes_them() -> None:
    x = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2.0 - 1.0
    for group in (1, 4):
        _, discriminator = build(minibatch_deviation=group)
        assert discriminator.mixes_batch == (group > 1)
        with torch.no_grad():
            among_others, among_its_like = discriminator(x)[0], discriminator(x[:1].expand(4, -1, -1, -1))[0]
        assert torch.isclose(among_others, among_its_like, atol=1e-6) == (group == 1)
