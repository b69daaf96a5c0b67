"""Samples of addresses from a run, and the same again from their recipes."""

from __future__ import annotations

import json

import pytest
import torch
from toys import pictures as toys
from toys.latents import predictor
from toys.runs import begin, load

from gancore.errors import ConfigError, UsageError
from gancore.latent import recipe as recipes
from gancore.latent.address import Address, Around, Between
from gancore.latent.curves import Curve
from gancore.latent.recipe import Recipe
from gancore.latent.steering import Steering, seeds


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A conditional toy run."""
    path = tmp_path_factory.mktemp("trained") / "run"
    begin(path, 2, data={"name": "toy", "labels": True}, architecture={"name": "pair", "norm": "batch"})
    return path


@pytest.fixture(scope="module")
def steering(folder):
    generator = load(folder)
    size = Steering(generator).space.size
    curve = Curve(predictor(2, len(toys.CLASSES), layers=1, size=size), 1, 1.0, 1.0, 3.0)
    return Steering(generator, {"up": torch.linspace(-1, 1, size)[None], "turning": curve})


def various():
    plain = [address.changed(classes={toys.CLASSES[0]: 1.0}) for address in seeds(3, 5)]
    return [
        *plain,
        Address(seed=5, truncation=0.5),
        Address(seed=5, edits={"up": 1.0, "turning": -0.7}),
        Address(seed=2, around=Around(spread=0.3, seed=1, position=4)),
        Address(between=Between(one=plain[0], other=Address(seed=8, position=3), at=0.25)),
        Address(seed=6),
    ]


def test_plain_addresses_are_the_samples_of_the_generator(steering):
    assert torch.equal(steering.sample(seeds(70, 3)), steering.generator.sample(70, seed=3))


def test_recipes_give_the_same_bits_in_any_order_and_alone(steering, folder):
    addresses = [*seeds(66, 1), *various()]
    samples, written = steering.sample(addresses), steering.recipes(addresses)
    read = [Recipe.model_validate_json(one.text()) for one in written]
    again = Steering(load(folder), steering.directions)
    picked = [71, 3, 65, 68, 69, 3, 70, 0, 64, 72, 3, 72]
    assert torch.equal(again.repeat([read[n] for n in picked]), samples[picked])
    for number in (2, 70, 73):
        assert torch.equal(again.repeat([read[number]])[0], samples[number])


def test_recipes_of_other_weights_or_directions_are_refused(steering, folder):
    written = steering.recipes(various())
    with pytest.raises(UsageError, match=r"of other weights than those of step 2"):
        steering.repeat([written[0].model_copy(update={"weights": "0" * 64})])
    other = Steering(load(folder), {"up": torch.ones(1, steering.space.size)})
    with pytest.raises(UsageError, match="direction 'up' is another one"):
        other.repeat([written[4]])


def test_what_is_chosen_among_candidates_is_repeated_and_not_steered(folder):
    chosen = Steering(load(folder, options={"candidates.count": 3}))
    addresses = seeds(5, 1)
    samples, written = chosen.sample(addresses), chosen.recipes(addresses)
    assert not torch.equal(samples, Steering(load(folder)).sample(addresses))
    assert torch.equal(chosen.repeat([written[3]])[0], samples[3])
    assert written[3].candidates["count"] == 3
    for options, words in (({"candidates.count": 4}, r"candidates\.count=3"), ({}, r"candidates\.count=3")):
        with pytest.raises(UsageError, match=f"drawn otherwise than this generator does; load it with {words}"):
            Steering(load(folder, options=options)).repeat([written[3]])
    with pytest.raises(UsageError, match=r"load it with candidates\.count=1"):
        chosen.repeat(Steering(load(folder)).recipes(addresses))
    with pytest.raises(UsageError, match="chosen by a discriminator of other weights"):
        chosen.repeat([written[3].model_copy(update={"judge": "0" * 64})])
    with pytest.raises(UsageError, match=r"candidates\.count=1"):
        chosen.sample([Address(seed=0, truncation=0.5)])


def test_recipes_are_read_alone_as_a_list_or_by_name(steering):
    written = steering.recipes(seeds(2, 1))
    listed = json.dumps([json.loads(one.text()) for one in written])
    several = recipes.sidecar(["a.wav", 'b"\n.wav', "a.png", "b.png"], [*written, *written])
    for text in (listed, "".join(recipes.sidecar(["a", 'b"\n'], written)), "".join(several)):
        assert recipes.parse(text, "it") == list(written)
    assert recipes.parse(written[0].text(), "it") == [written[0]]


@pytest.mark.parametrize("text", ["", "[", "[]", "3", "[" * 100_000, '{"a": 1}', "null"])
def test_what_holds_no_recipe_is_refused_in_words(text):
    with pytest.raises((UsageError, ConfigError), match="it"):
        recipes.parse(text, "it")


def test_mistakes_in_a_recipe_are_told_with_their_place(steering):
    found = json.loads(steering.recipes(seeds(1))[0].text())
    with pytest.raises(ConfigError, match=r"truncation"):
        recipes.parse(json.dumps(found | {"address": {"seed": 0, "truncation": 5}}), "it")
    with pytest.raises(UsageError, match="at place 9 of a batch of 1"):
        recipes.parse(json.dumps(found | {"row": 9}), "it")


def test_directions_of_other_codes_are_refused(folder, steering):
    for step in (torch.ones(1, steering.space.size + 1), torch.ones(2, steering.space.size)):
        with pytest.raises(UsageError, match="direction 'up' is one of another generator"):
            Steering(load(folder), {"up": step}).sample([Address(seed=0, edits={"up": 1.0})])
