"""Building: from the seed and from nothing else, and mistakes of components in words."""

from __future__ import annotations

import sys
from textwrap import dedent
from types import ModuleType

import pytest
import torch
from torch import nn
from toys import pictures as toys

from gancore.api import train
from gancore.configuration.configure import configure
from gancore.data.spec import SampleSpec
from gancore.devices import pick_memory_format
from gancore.engine.build import Chain, build_game
from gancore.errors import PluginError, UsageError
from gancore.random import Draws

CHOSEN = {"loss": "mine:l", "penalties": "mine:p", "augmentations": "mine:a"}


def settings_of(registry, **options):
    layer = {"data": {"name": "toy"}, "architecture": {"name": "pair"}, **options}
    return configure(registry, plugin="toy", layers=[layer])


def built(registry, **options):
    return build_game(settings_of(registry, **options), toys.ToySpec())


def weights(game):
    return torch.cat([p.detach().flatten() for m in game.networks.values() for p in m.parameters()])


def test_building_leaves_the_global_random_state_as_it_was(toys_registry):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    built(toys_registry)
    assert torch.equal(torch.get_rng_state(), before)


def test_networks_depend_on_the_seed_and_not_on_the_global_random_state(toys_registry):
    torch.manual_seed(1)
    first = weights(built(toys_registry, seed=5))
    torch.manual_seed(2)
    assert torch.equal(weights(built(toys_registry, seed=5)), first)
    assert not torch.equal(weights(built(toys_registry, seed=6)), first)


@pytest.mark.parametrize(("where", "expected"), [("none", []), ("discriminator", ["discriminator"]),
                                                 ("both", ["discriminator", "generator"])])  # fmt: skip
def test_spectral_norm_goes_where_the_option_says(toys_registry, where, expected):
    game = built(toys_registry, architecture={"name": "pair", "spectral_norm": where})
    normed = [n for n, m in game.networks.items() if nn.utils.parametrize.is_parametrized(m.layers[0])]
    assert sorted(normed) == expected


def test_a_game_gets_the_networks_that_it_names(toys_registry):
    game = built(toys_registry, architecture={"name": "three"}, game={"name": "trio"})
    assert set(game.networks) == {"generator", "discriminator", "encoder"}


def test_an_architecture_that_lacks_a_player_is_named_in_the_error(toys_registry):
    with pytest.raises(PluginError, match=r"toy:trio' needs a network for encoder; architecture 'toy:pair' brought"):
        built(toys_registry, game={"name": "trio"})


def test_an_architecture_that_returns_no_mapping_is_named_in_the_error(toys_registry, monkeypatch):
    monkeypatch.setattr(toys, "build_pair", lambda options, spec: [nn.Linear(1, 1)])
    with pytest.raises(
        PluginError, match=r"'toy:pair' must return its networks by name, nn.Module objects, not a list"
    ):
        built(toys_registry)


def test_augmentations_follow_one_another_with_draws_of_their_own():
    seen = []

    def add(x, draws):
        seen.append(draws.uniform("u").tolist())
        return x + 1

    def double(x, draws):
        seen.append(draws.uniform("u").tolist())
        return x * 2

    draws = Draws(0, torch.arange(2))
    assert Chain({"add": add, "double": double})(torch.tensor([1.0, 2.0]), draws).tolist() == [4.0, 6.0]
    assert seen[0] != seen[1]
    x = torch.ones(2)
    assert Chain({})(x, draws) is x


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("auto", (3, 32, 32), torch.channels_last), ("auto", (16000,), torch.contiguous_format),
        ("auto", (3, 8, 8), torch.contiguous_format), ("auto", (1, 8, 64), torch.contiguous_format),
        ("auto", (4, 16), torch.contiguous_format), ("contiguous", (3, 8, 8), torch.contiguous_format),
        ("channels_last", (3, 8, 8), torch.channels_last),
    ],
)  # fmt: skip
def test_large_images_are_laid_out_channels_last_unless_told_otherwise(name, shape, expected):
    assert pick_memory_format(name, SampleSpec(shape=shape)) == expected


# --- what components work on ------------------------------------------------------------------------------------------


def plugin_of(source):
    """A registry with the toys and a plugin `mine` out of `source`, whose parts are in the module itself."""
    module = ModuleType("my_parts")
    sys.modules["my_parts"] = module  # taken out by the fixture
    exec(dedent(source), vars(module))
    return toys.new_registry(mine=module)


@pytest.fixture
def mine(monkeypatch):
    monkeypatch.setitem(sys.modules, "my_parts", None)
    return plugin_of


PARTS = """
    from gancore import hookimpl
    from gancore.components import *
    from gancore.errors import UsageError
    from gancore.losses.adversarial import LogitLoss
    from gancore.losses.penalties import PenaltyTerm

    SEEN = []

    @hookimpl
    def gan_plugin_info():
        return PluginInfo(summary="Mine", api_version=1)

    @hookimpl
    def gan_losses():
        yield Loss(name="l", summary="L", target="my_parts:loss")

    @hookimpl
    def gan_penalties():
        yield Penalty(name="p", summary="P", target="my_parts:penalty", options="gancore.options:PenaltyOptions")

    @hookimpl
    def gan_augmentations():
        yield Augmentation(name="a", summary="A", target="my_parts:augment")

    class Half(LogitLoss):
        def discriminator(self, real, fake): ...
        def generator(self, fake, real): ...

    def loss(spec):
        SEEN.append(spec)
        return Half(spec)

    class Term(PenaltyTerm):
        def penalty(self, critic, real, fake, draws): ...

    def penalty(options, spec):
        SEEN.append(spec)
        return Term(options, spec)

    def augment(spec):
        SEEN.append(spec)
        if spec.note == "flat":
            raise UsageError("augmentation 'a' needs relief, and these are flat")
        return lambda x, draws: x
"""


def test_loss_penalty_and_augmentation_are_given_the_spec_of_the_samples(mine):
    registry = mine(PARTS)
    spec = toys.ToySpec(note="hilly")
    build_game(settings_of(registry, **CHOSEN), spec)
    assert [spec] * 3 == sys.modules["my_parts"].SEEN


def test_component_that_refuses_the_samples_does_so_before_the_run_has_a_folder(mine, tmp_path):
    registry = mine(PARTS)
    with pytest.raises(UsageError, match="needs relief"):
        train(
            plugin="toy", out=tmp_path / "run", registry=registry, options={**toys.SMALL, **CHOSEN, "data.note": "flat"}
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("old", "words"),
    [
        ("return Half(spec)", "loss 'mine:l': its target returned None; is a `return` missing"),
        ("return Term(options, spec)", "penalty 'mine:p': its target returned None"),
        ("return lambda x, draws: x", "augmentation 'mine:a': its target returned None"),
    ],
)
def test_target_without_a_return_is_named(mine, old, words):
    with pytest.raises(PluginError, match=words):
        build_game(settings_of(mine(PARTS.replace(old, "pass")), **CHOSEN), toys.ToySpec())


def test_target_that_returns_something_else_is_told_what_it_lacks(mine):
    registry = mine(PARTS.replace("return Half(spec)", "return spec"))
    with pytest.raises(
        PluginError, match="returned a ToySpec without discriminator, generator, needs_real, couples_batch"
    ):
        build_game(settings_of(registry, **CHOSEN), toys.ToySpec())
