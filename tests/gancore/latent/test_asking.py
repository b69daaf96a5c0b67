"""What people write, as addresses."""

from __future__ import annotations

import pytest
from toys.latents import CLASSED, SPEC

from gancore.errors import UnknownNameError, UsageError
from gancore.latent import asking
from gancore.latent.address import Address, Around
from gancore.latent.walk import walk


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("kick", {"kick": 1.0}),
        ("1", {"snare": 1.0}),
        ("0.5*kick+0.5*snare", {"kick": 0.5, "snare": 0.5}),
        (" 3 * kick + hat ", {"kick": 0.75, "hat": 0.25}),
        ("kick+kick", {"kick": 1.0}),
        (".25*0+.75*2", {"kick": 0.25, "hat": 0.75}),
    ],
)
def test_classes_are_named_or_mixed(text, weights):
    assert asking.mixture(CLASSED, text) == weights


def test_a_name_may_look_like_a_mixture():
    spec = SPEC.model_copy(update={"classes": ("a+b", "2*c")})
    assert asking.mixture(spec, "a+b") == {"a+b": 1.0}
    assert asking.mixture(spec, "2*c") == {"2*c": 1.0}


@pytest.mark.parametrize("text", ["0.5*tom+0.5*kick", "kick+", "tom"])
def test_classes_that_there_are_not_are_refused(text):
    with pytest.raises((UnknownNameError, UsageError)):
        asking.mixture(CLASSED, text)


def test_weights_that_are_nothing_are_refused():
    with pytest.raises(UsageError, match="add up to 0"):
        asking.mixture(CLASSED, "0*kick+0*hat")
    with pytest.raises(UsageError, match="without labels"):
        asking.mixture(SPEC, "0.5*a+0.5*b")


def test_edits_are_names_and_amounts():
    assert asking.edits(["brightness=+1.5", "fill = -2"]) == {"brightness": 1.5, "fill": -2.0}


@pytest.mark.parametrize(
    "texts", [["brightness"], ["=1"], ["x=nan"], ["x=inf"], ["x=1", "x=2"], ["x=1,5"], ["x=1001"], ["x=-1e308"]]
)
def test_what_is_no_edit_is_refused(texts):
    with pytest.raises(UsageError, match=r"is no edit|is edited twice|goes too far"):
        asking.edits(texts)


def test_layers_are_a_range_or_one():
    assert asking.layers("0-3") == (0, 3)
    assert asking.layers("2") == (2, 2)
    for text in ("3-0", "a", "-1", "1-"):
        with pytest.raises(UsageError, match="are no layers"):
            asking.layers(text)


def test_seeds_have_numbers():
    assert asking.seeded("7") == Address(seed=7)
    assert asking.seeded("7:3") == Address(seed=7, position=3)
    assert asking.seeded("a.png") is None
    with pytest.raises(UsageError, match="too large"):
        asking.seeded(str(2**63))


def test_neighbours_of_a_neighbour_begin_there():
    first = Address(seed=0, around=Around(spread=0.2, seed=5), truncation=0.7, edits={"up": 1.0})
    found = asking.neighbours(first, 2, 0.1, 9)
    assert [a.around.position for a in found] == [0, 1]
    assert found[0].between.one == Address(seed=0, around=Around(spread=0.2, seed=5))
    assert (found[0].truncation, dict(found[0].edits)) == (0.7, {"up": 1.0})
    assert asking.neighbours(Address(seed=0), 1, 0.0, 9) == [Address(seed=0)]


def places(addresses):
    return [(a.between.one.seed, a.between.other.seed, a.between.at) for a in addresses]


def test_a_walk_meets_its_stations_at_equal_distances():
    found = walk([Address(seed=n) for n in (1, 2, 3)], 5)
    assert places(found) == [(1, 2, 0.0), (1, 2, 0.5), (2, 3, 0.0), (2, 3, 0.5), (2, 3, 1.0)]


def test_a_loop_ends_before_its_first_frame_comes_again():
    found = walk([Address(seed=n) for n in (1, 2)], 4, loop=True)
    assert places(found) == [(1, 2, 0.0), (1, 2, 0.5), (2, 1, 0.0), (2, 1, 0.5)]


def test_a_walk_needs_stations_and_frames():
    with pytest.raises(UsageError, match="two stations"):
        walk([Address(seed=0)], 5)
    with pytest.raises(UsageError, match="too few"):
        walk([Address(seed=n) for n in range(5)], 4)
