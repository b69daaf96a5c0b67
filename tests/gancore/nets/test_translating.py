"""Translators and their discriminator: shapes, what is told of domains, and networks that share nothing."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gancore.data.spec import SampleSpec
from gancore.errors import UsageError
from gancore.nets.translating import Directions, PatchDiscriminator, StyleTranslator, Translator
from gancore.nets.translator import Options, build

NAMES = ("a", "b", "c")
TINY = {"width": 4, "blocks": 2, "discriminator_width": 4, "code": 8}


def spec(*shape):
    return SampleSpec(shape=shape, domains=NAMES, classes=NAMES)


def excited(network):
    """Weights that are large enough for differences to show."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=0.3)
    return network.eval()


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 24), (2, 13, 30)])
@pytest.mark.parametrize("options", [{}, {"separate": True}, {"style": 5}])
def test_samples_of_any_size_come_out_as_they_went_in_and_go_where_they_are_told(shape, options):
    torch.manual_seed(0)
    networks = build(Options(**TINY, **options), spec(*shape))
    generator, judge = excited(networks["generator"]), networks["discriminator"]
    given, to = torch.rand(3, *shape) * 2 - 1, torch.tensor([0, 1, 2])
    z = torch.randn(3, *generator.latent_shape)
    made = generator(z, to, given)
    assert made.shape == given.shape
    assert float(made.abs().max()) <= 1.0
    assert not torch.allclose(made, generator(z, to.roll(1), given), atol=1e-3)
    assert not torch.allclose(made, generator(z, to, given.flip(2)), atol=1e-3)
    apart = torch.cat([generator(z[n : n + 1], to[n : n + 1], given[n : n + 1]) for n in range(3)])
    assert torch.allclose(made, apart, atol=1e-5)
    if options.get("style"):
        assert not torch.allclose(made, generator(-z, to, given), atol=1e-3)
    for head in judge(made, to):
        assert head.shape[0] == 3
        assert not torch.allclose(head, judge(made, to.roll(1))[0])


def test_every_weight_takes_part_and_maps_of_what_is_given_are_led_back_to_it():
    torch.manual_seed(0)
    for options in ({}, {"separate": True}):
        generator = build(Options(**TINY, **options), spec(2, 12, 12))["generator"]
        given, to = torch.rand(3, 2, 12, 12, requires_grad=True), torch.tensor([2, 0, 1])
        generator(torch.zeros(3, 0), to, given).square().sum().backward()
        assert [n for n, p in generator.named_parameters() if p.grad is None] == []
        maps = generator.encode(given, to)
        assert torch.equal(maps[0], given)
        assert len(maps) > 2
        for one in maps:
            (slope,) = torch.autograd.grad(one.sum(), given, retain_graph=True)
            assert slope.shape == given.shape


def test_styles_are_read_for_the_domain_that_is_asked_for_and_may_be_mixed():
    torch.manual_seed(0)
    generator = StyleTranslator((1, 8, 8), 3, latent=4, width=4, blocks=2, halvings=1, code=6)
    x, z = torch.rand(2, 1, 8, 8), torch.randn(2, 4)
    codes = [generator.read(x, torch.full((2,), n)) for n in range(3)]
    assert codes[0].shape == (2, 1, 6) == generator.map(z, torch.tensor([0, 1])).shape
    assert not torch.allclose(codes[0], codes[1])
    mixed = generator.read(x, torch.tensor([[0.25, 0.0, 0.75]] * 2))
    assert torch.allclose(mixed, 0.25 * codes[0] + 0.75 * codes[2], atol=1e-6)
    whole = generator(z, torch.tensor([0, 1]), x)
    assert torch.equal(whole, generator.synthesise(generator.map(z, torch.tensor([0, 1])), None, x))


def test_directions_call_each_generator_for_its_domain_alone():
    class Constant(nn.Module):
        latent_shape = (2,)

        def __init__(self, value):
            super().__init__()
            self.value = value

        def forward(self, z, condition, given):
            assert condition is None
            return given + self.value + z[:, :1]

    both = Directions([Constant(10.0), Constant(20.0)])
    z, given = torch.tensor([[0.1, 0], [0.2, 0], [0.3, 0]]), torch.tensor([[1.0], [2.0], [3.0]])
    made = both(z, torch.tensor([1, 0, 1]), given)
    assert made[:, 0].tolist() == pytest.approx([21.1, 12.2, 23.3])
    assert both.latent_shape == (2,)


def test_patches_are_as_large_as_they_are_said_to_be():
    judge = PatchDiscriminator((1, 64, 64), 2, width=4, patches=1, scales=2, norm=False)
    x = torch.rand(1, 1, 64, 64, requires_grad=True)
    first, second = judge(x, torch.tensor([0]))
    assert first.shape[1] > second.shape[1]
    (slope,) = torch.autograd.grad(first[0, 16, 16], x)
    seen = slope.abs()[0, 0].nonzero()
    assert 8 <= int((seen.amax(0) - seen.amin(0) + 1).max()) <= 16


@pytest.mark.parametrize(
    ("made_for", "options", "words"),
    [
        (SampleSpec(shape=(1, 16, 16)), {}, "these data have no domains; take a game that translates"),
        (SampleSpec(shape=(2,), domains=NAMES, classes=NAMES), {}, r"these samples are \[2\]"),
        (spec(1, 16, 4), {}, r"these samples are \[1, 16, 4\]"),
        (spec(1, 16, 16), {"separate": True, "style": 2}, "leave one of them out"),
    ],
)
def test_what_cannot_be_translated_is_refused(made_for, options, words):
    with pytest.raises(UsageError, match=words):
        build(Options(**TINY, **options), made_for)


def test_maps_are_halved_no_more_often_than_leaves_four_places():
    assert Translator((1, 8, 8), 2, width=4, blocks=2, halvings=6).factor == 2
