"""Addresses and the codes that they lead to."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toys.latents import CLASSED, SPEC, Bits, Integers, Mapped, Noisy, Plain, Uniform

from gancore.components import Prior
from gancore.errors import UnknownNameError, UsageError
from gancore.latent.address import Address, Around, Between, Code, Mix
from gancore.latent.resolving import arc, codes_of, line
from gancore.latent.space import Space, prior_of
from gancore.random import Draws, derive


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def latents(seed, *positions):
    return Draws(derive(seed, "sample"), torch.tensor(positions)).normal("z", 4)


def codes(space, *addresses, **directions):
    return codes_of(space, addresses, directions)


# --- generators ---------------------------------------------------------------------------------------------------------


def test_a_prior_is_what_a_generator_says_or_what_its_latents_are():
    assert prior_of(Plain()) == Prior(kind="normal")
    assert prior_of(Uniform()).kind == "uniform"
    assert prior_of(Noisy()).smooth == 2
    assert prior_of(Integers()).kind == "none"


def test_a_generator_without_smooth_latents_says_what_it_is_steered_by():
    with pytest.raises(UsageError, match=r"no latent that could be moved by degrees; it can be steered by the prompt"):
        Space(Bits(), SPEC)


def test_without_a_map_the_latent_is_the_code():
    space = Space(Plain(), SPEC)
    assert (space.layers, space.size, space.straight) == (1, 4, False)
    assert torch.equal(codes(space, Address(seed=3, position=5)).w[:, 0], latents(3, 5))


def test_codes_of_a_map_are_those_of_its_layers():
    generator = Mapped()
    space = Space(generator, SPEC)
    assert (space.layers, space.size, space.straight) == (3, 5, True)
    found = codes(space, Address(seed=0), Address(seed=1, position=2))
    z = torch.cat([latents(0, 0), latents(1, 2)])
    assert torch.equal(found.w, generator.map(z, None))
    assert torch.equal(space.samples(found), SPEC.harden(generator(z)))


def test_noise_stays_as_it_is_while_the_rest_is_moved():
    space = Space(Noisy(), SPEC)
    found = codes(space, Address(seed=0), Address(seed=0, edits={"right": 2.0}), right=torch.tensor([[1.0, 0.0]]))
    made = space.synthesise(found)
    torch.testing.assert_close(made[1] - made[0], torch.tensor([2.0, 0.0, 0.0]))
    assert len(set(made[0].tolist())) == 3


# --- classes ------------------------------------------------------------------------------------------------------------


def test_classes_take_turns_by_position_unless_they_are_named():
    space = Space(Plain(3), CLASSED)
    found = codes(space, Address(seed=0, position=4), Address(seed=0, position=4, classes={"hat": 1.0}))
    assert space.condition(found.classes).tolist() == [1, 2]


def test_mixed_classes_are_the_weighted_mean_of_their_embeddings():
    generator = Plain(3)
    space = Space(generator, CLASSED)
    found = codes(space, Address(seed=0, classes={"kick": 0.25, "snare": 0.75}))
    table = generator.latent.embedding.weight
    wanted = generator.linear(torch.cat([latents(0, 0), (0.25 * table[0] + 0.75 * table[1])[None]], dim=1))
    torch.testing.assert_close(space.synthesise(found), wanted)


def test_a_generator_that_takes_classes_by_index_alone_refuses_mixtures():
    generator = Plain(3)
    generator.latent.embedding = torch.nn.Embedding(3, 2)
    space = Space(generator, CLASSED)
    space.samples(codes(space, Address(seed=0, classes={"hat": 1.0})))
    with pytest.raises(UsageError, match="cannot mix classes"):
        space.samples(codes(space, Address(seed=0, classes={"kick": 0.5, "hat": 0.5})))


def test_classes_that_there_are_not_are_refused():
    with pytest.raises(UnknownNameError, match="'tom'"):
        codes(Space(Plain(3), CLASSED), Address(seed=0, classes={"tom": 1.0}))
    with pytest.raises(UsageError, match="without labels"):
        codes(Space(Plain(), SPEC), Address(seed=0, classes={"kick": 1.0}))


# --- truncation, edits, neighbours --------------------------------------------------------------------------------------


def test_truncation_scales_normal_latents():
    space = Space(Plain(), SPEC)
    found = codes(space, Address(seed=0, truncation=0.7), Address(seed=0, position=1))
    torch.testing.assert_close(found.w[0, 0], 0.7 * latents(0, 0)[0])
    assert torch.equal(found.w[1, 0], latents(0, 1)[0])


def test_truncation_draws_mapped_codes_towards_the_mean_of_their_class():
    generator = Mapped(3)
    space = Space(generator, CLASSED)
    whole, none, half = (
        codes(space, Address(seed=0, classes={"snare": 1.0}, truncation=psi)).w[0] for psi in (1.0, 0.0, 0.5)
    )
    z = torch.randn(20_000, 4)
    mean = generator.map(z, torch.ones(len(z), dtype=torch.int64)).mean(dim=0)
    torch.testing.assert_close(none, mean, rtol=0.0, atol=0.1)
    torch.testing.assert_close(half, 0.5 * (whole + none))
    other = codes(space, Address(seed=0, classes={"hat": 1.0}, truncation=0.0)).w[0]
    assert (other - none).abs().max() > 0.1


def test_edits_go_along_directions_and_add_up():
    space = Space(Plain(), SPEC)
    right, up = torch.tensor([[1.0, 0, 0, 0]]), torch.tensor([[0, 2.0, 0, 0]])
    found = codes(space, Address(seed=0, edits={"right": 1.5, "up": -1.0}), right=right, up=up)
    torch.testing.assert_close(found.w[0, 0], latents(0, 0)[0] + torch.tensor([1.5, -2.0, 0.0, 0.0]))
    with pytest.raises(UnknownNameError, match="'down'"):
        codes(space, Address(seed=0, edits={"down": 1.0}), right=right)


def test_edits_of_zero_change_nothing():
    space = Space(Plain(), SPEC)
    found = codes(space, Address(seed=0, edits={"right": 0.0}), right=torch.randn(1, 4))
    assert torch.equal(found.w[0, 0], latents(0, 0)[0])


@pytest.mark.parametrize("generator", [Plain, Mapped, Uniform])
def test_neighbours_reach_from_the_sample_itself_to_a_random_one(generator):
    space = Space(generator(), SPEC)

    def at(spread):
        return Address(seed=0, around=Around(spread=spread, seed=7, position=3))

    found = codes(space, Address(seed=0), at(0.0), at(1.0), at(0.2), Address(seed=7, position=3)).w
    assert torch.equal(found[0], found[1])
    torch.testing.assert_close(found[2], found[4], rtol=1e-5, atol=1e-6)
    assert 0.0 < (found[3] - found[0]).norm() < (found[4] - found[0]).norm()


def test_neighbours_of_normal_latents_are_as_likely_as_any_sample():
    space = Space(Plain(), SPEC)
    rows = [Address(seed=0, position=i, around=Around(spread=0.5, seed=1, position=i)) for i in range(64)]
    assert float(codes(space, *rows).w.std()) == pytest.approx(1.0, abs=0.15)


# --- ways, mixtures, codes ----------------------------------------------------------------------------------------------


def test_a_way_begins_and_ends_exactly_at_its_stations():
    space = Space(Plain(3), CLASSED)
    one, other = Address(seed=0), Address(seed=1, classes={"hat": 1.0})
    found = codes(space, *(Address(between=Between(one=one, other=other, at=at)) for at in (0.0, 1.0, 0.5)), one, other)
    assert torch.equal(found.w[0], found.w[3])
    assert torch.equal(found.w[1], found.w[4])
    assert found.classes.tolist()[:3] == [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.5, 0.0, 0.5]]


def test_half_way_along_an_arc_has_the_mean_length_and_equal_angles():
    one, other = torch.tensor([[[2.0, 0.0]]]), torch.tensor([[[0.0, 4.0]]])
    found = arc(one, other, torch.tensor([0.5], dtype=torch.float64))
    torch.testing.assert_close(found, torch.full((1, 1, 2), 3.0 / math.sqrt(2.0)))


@given(st.floats(0.0, 1.0))
def test_between_latents_of_one_direction_an_arc_is_a_line(at):
    one = torch.tensor([[[1.0, 2.0]]])
    share = torch.tensor([at], dtype=torch.float64)
    torch.testing.assert_close(arc(one, 3.0 * one, share), line(one, 3.0 * one, share))
    assert arc(one, -one, share).isfinite().all()


def test_a_mix_has_some_layers_of_the_other():
    space = Space(Mapped(), SPEC)
    one, other = Address(seed=0), Address(seed=1)
    found = codes(space, Address(mix=Mix(one=one, other=other, first=1, last=1)), one, other).w
    assert torch.equal(found[0], torch.stack([found[1, 0], found[2, 1], found[1, 2]]))
    with pytest.raises(UsageError, match="numbered 0 to 2"):
        codes(space, Address(mix=Mix(one=one, other=other, first=2, last=3)))
    with pytest.raises(UsageError, match="nothing to mix"):
        codes(Space(Plain(), SPEC), Address(mix=Mix(one=one, other=other, first=0, last=1)))


def test_a_code_is_kept_to_the_bit():
    w = torch.randn(3, 5)
    space = Space(Mapped(), SPEC)
    assert torch.equal(codes(space, Address(code=Code.of(w))).w[0], w)
    with pytest.raises(UsageError, match="1 layers of 4 numbers"):
        codes(space, Address(code=Code.of(torch.randn(1, 4))))


def test_an_address_has_the_same_bits_at_its_place_whatever_is_around_it():
    space = Space(Mapped(3), CLASSED)
    w, way = Code.of(torch.randn(3, 5)), Between(one=Address(seed=4), other=Address(seed=5), at=0.3)
    rows = [
        Address(seed=0, position=1, truncation=0.5),
        Address(between=way),
        Address(code=w, around=Around(spread=0.4)),
        Address(mix=Mix(one=Address(seed=2), other=Address(between=way), first=0, last=1)),
        Address(seed=9),
    ]
    together = space.synthesise(codes(space, *rows))
    for number, address in enumerate(rows):
        alone = space.synthesise(codes(space, *[address] * len(rows)))
        assert torch.equal(alone[number], together[number])
