"""The residual networks: any size, attention, classes through conditional batch normalisation, and what they refuse."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys.nets import (
    assert_apart,
    assert_classes_differ,
    assert_penalised,
    assert_seeded,
    one_thread,  # noqa: F401
    perturb,
    without_effect,
)

from gan_audio.nets import resnet2d
from gan_audio.nets.frequency import RowBias
from gan_audio.nets.sizes import plan
from gan_audio.spec import AudioSpec
from gancore.components import GeneratorNet
from gancore.data.spec import SampleSpec
from gancore.errors import UsageError
from gancore.losses.spectral import apply_spectral_norm
from gancore.nets.attention import SelfAttention2d

SMALL: dict[str, Any] = {"latent": 5, "width": 8, "max_width": 16, "embedding": 3}


def build(shape: tuple[int, ...] = (1, 24, 43), classes: int = 0, **options: Any) -> tuple[Any, Any]:
    spec = SampleSpec(shape=shape, classes=tuple(f"class {n}" for n in range(classes)))
    torch.manual_seed(0)
    nets = resnet2d.build(resnet2d.Options(**(SMALL | options)), spec)
    return nets["generator"], nets["discriminator"]


@settings(max_examples=25, deadline=None)
@given(
    channels=st.integers(1, 2),
    rows=st.integers(1, 100),
    frames=st.integers(1, 100),
    classes=st.sampled_from([0, 2]),
    blocks=st.integers(1, 2),
    attention=st.sampled_from([0, 64]),
    stem=st.sampled_from([4, 16]),
)
def test_every_size_comes_out_as_asked(
    channels: int, rows: int, frames: int, classes: int, blocks: int, attention: int, stem: int
) -> None:
    shape = (channels, rows, frames)
    generator, discriminator = build(shape, classes, blocks=blocks, attention=attention, stem=stem)
    condition = torch.tensor([0, 1]) if classes else None
    assert isinstance(generator, GeneratorNet)
    with torch.no_grad():
        x = generator(torch.randn(2, 5), condition)
        assert x.shape == (2, *shape)
        assert x.abs().max() <= 1.0
        assert discriminator(x, condition).shape == (2,)
        assert discriminator.features(x, condition).dim() == 2


@pytest.mark.parametrize("options", [{}, {"blocks": 2, "attention": 100}, {"rows": False, "stem": 16}])
@pytest.mark.parametrize("classes", [0, 3])
def test_gradients_reach_every_parameter(options: dict[str, Any], classes: int) -> None:
    networks = build((2, 24, 43), classes, **options)
    perturb(*networks)  # Constants in front of a batch normalisation have no effect but in rounding.
    condition = torch.arange(6) % classes if classes else None
    assert without_effect(*networks, torch.rand(6, 2, 24, 43) * 2 - 1, condition) == set()


def test_a_gradient_penalty_has_a_gradient_itself() -> None:
    _, discriminator = build(classes=3, attention=100)
    perturb(discriminator)
    weights = [p for p in discriminator.parameters() if p.dim() == 4 and p.shape[-1] > 1]
    assert_penalised(weights, discriminator, torch.rand(3, 1, 24, 43) * 2 - 1, torch.arange(3))


def test_a_sample_and_its_logit_do_not_depend_on_the_rest_of_the_batch() -> None:
    assert_apart(*build(classes=3, attention=100), torch.tensor([0, 1, 2, 1, 0]), 3)


def test_the_class_changes_samples_and_logits() -> None:
    assert_classes_differ(*build(classes=2))


def test_the_same_seed_builds_the_same_networks() -> None:
    assert_seeded(partial(build, classes=2))


def test_attention_looks_at_the_largest_map_that_is_small_enough() -> None:
    way = plan(64, 32)
    assert way.sizes() == [(64, 32), (32, 32), (16, 16), (8, 8), (4, 4)]
    chosen = {most: resnet2d.attended(way, most) for most in (0, 15, 16, 63, 64, 10**6)}
    assert chosen == {0: 0, 15: 0, 16: 4, 63: 4, 64: 3, 10**6: 1}


def test_both_networks_have_attention_where_it_is_asked_for() -> None:
    for networks, count in ((build(attention=64), 1), (build(attention=0), 0)):
        for network in networks:
            assert sum(isinstance(m, SelfAttention2d) for m in network.modules()) == count


def test_attention_is_computed_on_the_map_that_was_chosen() -> None:
    generator, discriminator = build((1, 64, 64), attention=64)
    seen = []
    for network in (generator, discriminator):
        for module in network.modules():
            if isinstance(module, SelfAttention2d):
                module.register_forward_hook(lambda _m, inputs, _out: seen.append(tuple(inputs[0].shape[2:])))
    with torch.no_grad():
        discriminator(generator(torch.randn(2, 5), None), None)
    assert seen == [(8, 8), (8, 8)]


def test_every_map_behind_the_spectrogram_has_biases_by_row() -> None:
    generator, discriminator = build((1, 64, 64))
    assert [m.bias.shape[2] for m in discriminator.modules() if isinstance(m, RowBias)] == [32, 16, 8, 4]
    assert {m.bias.shape[2] for m in generator.modules() if isinstance(m, RowBias)} == {32, 16, 8, 4}
    assert not [m for network in build(rows=False) for m in network.modules() if isinstance(m, RowBias)]


def test_features_are_summed_under_spectral_normalisation_and_averaged_without() -> None:
    for norm, summed in (("none", False), ("discriminator", True)):
        _, discriminator = build((1, 32, 32), spectral_norm=norm)
        x = torch.randn(2, 1, 32, 32)
        with torch.no_grad():
            maps = discriminator.layers(x)
            expected = maps.sum((2, 3)) if summed else maps.mean((2, 3))
            torch.testing.assert_close(discriminator.features(x), expected)


def test_spectral_normalisation_can_be_put_on_both_networks() -> None:
    networks = build(classes=2, attention=100, spectral_norm="both")
    for network in networks:
        apply_spectral_norm(network)
    generator, discriminator = networks
    condition = torch.tensor([0, 1])
    logits = discriminator(generator(torch.randn(2, 5), condition), condition)
    assert logits.isfinite().all()


def test_the_discriminator_sees_every_number_of_an_odd_size() -> None:
    _, discriminator = build((1, 27, 43))
    perturb(discriminator)
    x = torch.randn(1, 1, 27, 43, requires_grad=True)
    (slope,) = torch.autograd.grad(discriminator(x).sum(), x)
    assert (slope != 0).all()


def test_waveforms_are_refused_with_the_option_to_change() -> None:
    with pytest.raises(UsageError, match=r"resnet2d.*data\.representation=log-stft.*wavegan"):
        resnet2d.build(resnet2d.Options(), AudioSpec.of(representation="waveform"))
