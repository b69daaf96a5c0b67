"""Codes of samples that the generator itself has made, which are there to be found."""

from __future__ import annotations

import pytest
import torch
from toys.latents import CLASSED, SPEC, Bits, Mapped, Noisy, Plain, Uniform

from gancore.errors import UsageError
from gancore.latent import projecting
from gancore.latent.projecting import Projector, addresses
from gancore.latent.resolving import codes_of
from gancore.latent.space import Space


def space_of(network, spec=SPEC):
    torch.manual_seed(0)
    return Space(network(spec.class_count).eval().requires_grad_(False) if network is not Noisy else Noisy(), spec)


def made(space, count, labels=None):
    classes = None if labels is None else torch.nn.functional.one_hot(labels, space.spec.class_count).float()
    return space.synthesise(space.drawn([7] * count, torch.arange(count), classes)).detach()


@pytest.mark.parametrize("network", [Plain, Mapped, Uniform])
def test_a_sample_of_the_generator_is_found_again(network):
    space = space_of(network)
    wanted = made(space, 3)
    found = Projector(space, own=128, steps=120).find(wanted)
    assert float(found.distances.max()) < 1e-3
    torch.testing.assert_close(space.synthesise(found.codes), wanted, atol=0.1, rtol=0.0)


def test_its_class_is_found_where_nobody_says_it():
    space = space_of(Plain, CLASSED)
    with torch.no_grad():
        space.generator.linear.weight.mul_(torch.tensor([0.1] * 4 + [20.0] * 2))  # so that classes are far apart
    labels = torch.tensor([2, 0, 1, 2])
    found = Projector(space, own=128, steps=40).find(made(space, 4, labels), torch.tensor([-1, -1, 1, -1]))
    assert found.codes.classes.argmax(dim=1).tolist() == labels.tolist()


def test_codes_are_of_the_class_that_is_named():
    space = space_of(Plain, CLASSED)
    found = Projector(space, own=128, steps=8).find(made(space, 2, torch.tensor([0, 1])), torch.tensor([2, 2]))
    assert found.codes.classes.argmax(dim=1).tolist() == [2, 2]


def test_only_what_can_be_moved_by_degrees_is_looked_for():
    space = space_of(Noisy)
    found = Projector(space, own=128, steps=20).find(torch.zeros(1, 3))
    assert found.codes.w.shape == (1, 1, 2)
    assert found.codes.noise.shape == (1, 1)


def test_codes_stay_as_likely_as_those_of_random_samples(monkeypatch):
    space, far = space_of(Plain), torch.full((1, 3), 50.0)  # beyond all that it makes

    def length():
        return float(Projector(space, own=128, steps=60).find(far).codes.w.square().mean().sqrt())

    assert 0.8 < length() < 1.5  # 1 for standard normal numbers, more or less with four of them
    monkeypatch.setattr(projecting, "LIKELY", 0.0)
    assert length() > 5.0  # which is where the nearest samples are


def test_the_same_seed_finds_the_same_codes_and_their_address_leads_there():
    space = space_of(Mapped, CLASSED)
    wanted, labels = made(space, 2, torch.tensor([0, 1])), torch.tensor([0, -1])
    one, same = (Projector(space, own=128, steps=8, seed=3).find(wanted, labels).codes for _ in range(2))
    assert torch.equal(one.w, same.w)
    found = codes_of(space, addresses(one, CLASSED), {})
    assert torch.equal(found.w, one.w)
    assert torch.equal(found.classes, one.classes)


def test_a_generator_without_codes_is_refused():
    with pytest.raises(UsageError, match="the prompt"):
        Space(Bits(), SPEC)
