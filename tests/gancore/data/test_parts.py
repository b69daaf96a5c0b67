"""Named parts in one tensor: values worked out by hand, and nothing lost on the way there and back."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, composite
from pydantic import ValidationError

from gancore.data.parts import MOST_STEPS, Part, PartsSpec
from gancore.data.spec import SampleSpec
from gancore.errors import UnknownNameError, UsageError

PLACE = Part(name="place", shape=(2,), value_range=(-2.0, 2.0))
AGE = Part(name="age", value_range=(0, 100), dtype="uint8")
PETS = Part(name="pets", shape=(2,), categories=("cat", "dog", "none"))
SPEC = PartsSpec(parts=(PLACE, AGE, PETS))
HARD = {
    "place": torch.tensor([[-2.0, 1.0], [0.5, 2.0]]),
    "age": torch.tensor([25, 100], dtype=torch.uint8),
    "pets": torch.tensor([[0, 2], [1, 1]]),
}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return list(one) == list(other) and all(
        one[name].dtype is other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


@composite
def parts_with_values(draw: DrawFn, *, whole: bool) -> tuple[PartsSpec, dict[str, torch.Tensor]]:
    """A spec of some parts, and hard values for a few samples; with `whole`, of whole numbers and categories alone."""
    kinds = ["whole", "categories"] if whole else ["whole", "categories", "float32", "float64"]
    batch = draw(st.integers(1, 4))
    parts, values = [], {}
    for number in range(draw(st.integers(1, 5))):
        name, kind = f"part {number}", draw(st.sampled_from(kinds))
        shape = tuple(draw(st.lists(st.integers(1, 3), max_size=2)))
        count = batch * math.prod(shape)
        if kind == "categories":
            most = draw(st.integers(1, 300))
            part = Part(name=name, shape=shape, categories=most)
            own = draw(st.lists(st.integers(0, most - 1), min_size=count, max_size=count))
        elif kind == "whole":
            dtype = draw(st.sampled_from(["uint8", "int8", "int16", "int32", "int64"]))
            limits = torch.iinfo(getattr(torch, dtype))
            low = draw(st.integers(max(limits.min, -(2**53)), min(limits.max, 2**53) - 1))
            high = draw(st.integers(low + 1, min(limits.max, 2**53, low + MOST_STEPS)))
            part = Part(name=name, shape=shape, value_range=(low, high), dtype=dtype)
            own = draw(st.lists(st.sampled_from([low, high, (low + high) // 2]), min_size=count, max_size=count))
        else:
            part = Part(name=name, shape=shape, value_range=(-3.0, 0.7), dtype=kind)
            low, high = part.limits
            numbers = st.floats(low, high, width=64 if kind == "float64" else 32)
            own = draw(st.lists(numbers, min_size=count, max_size=count))
        parts.append(part)
        values[name] = torch.tensor(own, dtype=part.torch_dtype).reshape(batch, *shape)
    return PartsSpec(parts=tuple(parts)), values


@given(parts_with_values(whole=False))
def test_what_is_joined_is_split_again_bit_for_bit(drawn) -> None:
    spec, values = drawn
    assert same(spec.split(spec.join(values)), values)


@given(parts_with_values(whole=True))
def test_whole_numbers_and_categories_come_back_from_relaxing_bit_for_bit(drawn) -> None:
    spec, values = drawn
    hard = spec.join(values)
    relaxed = spec.relax(hard)
    assert relaxed.dtype is torch.float32
    assert relaxed.shape == (len(hard), *spec.shape)
    assert relaxed.abs().max() <= 1.0
    back = spec.harden(relaxed)
    assert back.dtype is hard.dtype
    assert torch.equal(back, hard)


@given(parts_with_values(whole=False))
def test_floating_point_numbers_come_back_nearly_and_the_others_beside_them_exactly(drawn) -> None:
    spec, values = drawn
    back = spec.split(spec.harden(spec.relax(spec.join(values))))
    for part in spec.parts:
        exact = part.whole or part.count > 0
        difference = (back[part.name].double() - values[part.name].double()).abs().max()
        assert difference <= (0.0 if exact else 3e-7 * 3.7)


@given(parts_with_values(whole=False))
def test_relaxed_parts_are_split_and_joined_too(drawn) -> None:
    spec, values = drawn
    relaxed = spec.relax(spec.join(values))
    split = spec.split(relaxed, relaxed=True)
    assert [tuple(one.shape[1:]) for one in split.values()] == [part.relaxed_shape for part in spec.parts]
    assert torch.equal(spec.join(split, relaxed=True), relaxed)


@given(parts_with_values(whole=False))
def test_a_spec_comes_back_from_json(drawn) -> None:
    spec, _ = drawn
    assert PartsSpec.model_validate_json(spec.model_dump_json()) == spec


@settings(max_examples=3)
@given(st.sampled_from([MOST_STEPS, MOST_STEPS - 1, MOST_STEPS - 3]))
def test_every_whole_number_of_the_widest_ranges_comes_back(steps: int) -> None:
    for dtype, low, others in (("int64", 10**12, ()), ("int32", -(steps // 2), (PLACE,))):
        spec = PartsSpec(parts=(Part(name="n", value_range=(low, low + steps), dtype=dtype), *others))
        every = torch.arange(low, low + steps + 1, 7)
        hard = spec.join({"n": every, "place": torch.zeros(len(every), 2)} if others else {"n": every})
        assert torch.equal(spec.split(spec.harden(spec.relax(hard)))["n"].long(), every)


def test_numbers_are_moved_to_their_range_and_categories_become_one_hot() -> None:
    relaxed = SPEC.relax(SPEC.join(HARD))
    assert relaxed.tolist() == [
        [-1.0, 0.5, -0.5, 1, 0, 0, 0, 0, 1],
        [0.25, 1.0, 1.0, 0, 1, 0, 0, 1, 0],
    ]
    assert SPEC.shape == (9,)
    assert SPEC.slices == {"place": slice(0, 2), "age": slice(2, 3), "pets": slice(3, 9)}
    assert SPEC.hard_slices == {"place": slice(0, 2), "age": slice(2, 3), "pets": slice(3, 5)}
    assert SPEC.split(relaxed, relaxed=True)["pets"][0].tolist() == [[1, 0, 0], [0, 0, 1]]


def test_generated_samples_are_rounded_clamped_and_of_the_likeliest_category() -> None:
    relaxed = torch.tensor([[-1.5, 0.1, 0.013, 0.2, 0.5, 0.3, 0.4, 0.35, 0.25]])
    hard = SPEC.split(SPEC.harden(relaxed))
    # (0.013 + 1) * 50 = 50.65
    assert hard["place"].tolist() == [[-2.0, pytest.approx(0.2)]]
    assert hard["age"].tolist() == [51]
    assert hard["pets"].tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("parts", "dtype", "value_range"),
    [
        ((AGE,), "uint8", (0, 100)),
        ((AGE, PETS), "uint8", (0, 100)),
        ((AGE, Part(name="n", value_range=(-1, 5), dtype="int64")), "int8", (-1, 100)),
        ((Part(name="n", categories=300),), "int16", (0, 299)),
        ((Part(name="n", value_range=(0, 70_000), dtype="int64"),), "int32", (0, 70_000)),
        ((Part(name="n", value_range=(2**40, 2**40 + 1), dtype="int64"),), "int64", (2**40, 2**40 + 1)),
        ((PLACE, AGE), "float32", (-2, 100)),
        ((PLACE, Part(name="n", value_range=(2**24, 2**24 + 1), dtype="int32")), "float64", (-2, 2**24 + 1)),
        ((Part(name="n", value_range=(0.0, 1.0), dtype="float64"), AGE), "float64", (0, 100)),
        ((Part(name="n", categories=1),), "uint8", (0, 1)),
    ],
)
def test_hard_samples_have_the_smallest_type_in_which_all_is_exact(parts, dtype, value_range) -> None:
    spec = PartsSpec(parts=parts)
    assert (spec.dtype, spec.value_range) == (dtype, value_range)


def test_range_of_float32_is_that_of_its_own_numbers() -> None:
    spec = PartsSpec(parts=(Part(name="n", value_range=(0.1, 0.7)),))
    ends = torch.tensor([0.1, 0.7])
    hard = spec.join({"n": ends})
    assert spec.value_range == (float(hard.min()), float(hard.max()))
    assert spec.relax(hard).flatten().tolist() == [-1.0, 1.0]


def test_parts_that_are_given_are_those_that_are_marked_in_their_order() -> None:
    spec = PartsSpec(parts=(PLACE, AGE.model_copy(update={"given": True}), PETS.model_copy(update={"given": True})))
    relaxed = spec.relax(spec.join(HARD))
    assert spec.given_shape == (7,)
    assert spec.given_kept
    assert torch.equal(spec.given_part(relaxed), relaxed[:, 2:])
    hard = spec.around({"age": HARD["age"], "pets": HARD["pets"]})
    assert hard.tolist() == [[-2, -2, 25, 0, 2], [-2, -2, 100, 1, 1]]
    assert torch.equal(spec.given_part(spec.relax(hard)), relaxed[:, 2:])
    with pytest.raises(UsageError, match="part 'place' is not given but made; leave it out"):
        spec.around({"place": HARD["place"]})
    assert SPEC.given_shape is None
    assert SPEC.given_part(relaxed) is None
    assert spec.adopts(SPEC)
    assert not spec.adopts(PartsSpec(parts=(PLACE, AGE)))
    assert not spec.adopts(SampleSpec(shape=(9,)))


def test_of_domains_the_whole_sample_is_given() -> None:
    spec = SPEC.model_copy(update={"domains": ("one", "other")})
    relaxed = SPEC.relax(SPEC.join(HARD))
    assert spec.given_shape == (9,)
    assert torch.equal(spec.given_part(relaxed), relaxed)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": torch.zeros(2)}, "unknown part 'size'"),
        ({"pets": None}, "part 'pets' is missing; give all of place, age, pets"),
        ({"pets": torch.zeros(2, 3).long()}, r"part 'pets' is \[2, 3\]; of 2 samples it must be \[2, 2\]"),
        ({"age": torch.tensor([1, 2, 3])}, r"part 'age' is \[3\]; of 2 samples it must be \[2\]"),
        ({"age": torch.tensor([101, 2])}, "uint8 values in 0 to 100, and was given 101; clamp it, or declare more"),
        ({"age": torch.tensor([-1, 2], dtype=torch.int8)}, "and was given -1"),
        ({"age": torch.tensor([1.0, 2.0])}, "uint8 values, and was given float32; give whole numbers, as int64 say"),
        ({"pets": torch.tensor([[0, 3], [0, 0]])}, "3 categories, by their places from 0 in 0 to 2, and was given 3"),
        ({"place": torch.tensor([[0.0, math.nan], [0.0, 0.0]])}, "float32 values in -2 to 2, and was given nan"),
    ],
)
def test_parts_that_cannot_be_joined_are_refused(change, words: str) -> None:
    parts = {name: value for name, value in {**HARD, **change}.items() if value is not None}
    with pytest.raises(UsageError, match=words):
        SPEC.join(parts)


def test_samples_of_another_form_are_refused() -> None:
    with pytest.raises(UsageError, match=r"hard samples of these parts are \[batch, 5\], not \[2, 9\]; for relaxed"):
        SPEC.split(torch.zeros(2, 9))
    with pytest.raises(UsageError, match="say relaxed=False"):
        SPEC.split(torch.zeros(2, 5), relaxed=True)
    with pytest.raises(UsageError, match="part 'place' is int64; relaxed parts are floating-point numbers"):
        PartsSpec(parts=(PLACE,)).join({"place": torch.zeros(1, 2).long()}, relaxed=True)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": "x"}, "part 'x' needs either value_range, for numbers, or categories"),
        ({"name": "x", "value_range": (0, 1), "categories": 2}, "needs either"),
        ({"name": "x", "value_range": (1, 1)}, "must rise"),
        ({"name": "x", "value_range": (0, math.inf)}, "must rise"),
        ({"name": "x", "value_range": (0, 1), "dtype": "float8"}, "choose one of float32, float64, uint8"),
        ({"name": "x", "value_range": (0, 256), "dtype": "uint8"}, "more than uint8 holds exactly"),
        ({"name": "x", "value_range": (0, 1.5), "dtype": "int16"}, "from one whole number to another"),
        ({"name": "x", "value_range": (0, MOST_STEPS + 1), "dtype": "int32"}, "more than 8,388,608 steps"),
        ({"name": "x", "categories": 0}, "at least one category"),
        ({"name": "x", "categories": 2, "dtype": "uint8"}, "categories are int64, not uint8; leave dtype out"),
        ({"name": "x", "categories": ("a", "a")}, "two categories have one name"),
        ({"name": "x", "shape": (0,), "categories": 2}, "every dimension of its shape must be at least 1"),
    ],
)
def test_impossible_parts_are_refused(wrong, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Part(**wrong)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"parts": ()}, "at least 1 item"),
        ({"parts": (PLACE, AGE, AGE)}, "two parts are called 'age'; give each a name of its own"),
        ({"parts": (AGE.model_copy(update={"given": True}),)}, "every part is given, so nothing is left to make"),
        ({"parts": (AGE, PLACE.model_copy(update={"given": True})), "domains": ("a", "b")}, "mark no part as given"),
        ({"parts": (AGE,), "dtype": "int64"}, "dtype is uint8, not int64; leave it out"),
        ({"parts": (AGE,), "shape": (3,)}, r"shape is \(1,\), not \(3,\); leave it out"),
    ],
)
def test_impossible_specs_are_refused(wrong, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PartsSpec(**wrong)


def test_parts_and_categories_are_found_by_name() -> None:
    assert SPEC.part("pets").index("dog") == 1
    with pytest.raises(UnknownNameError, match="unknown part 'pet'; did you mean 'pets'"):
        SPEC.part("pet")
    with pytest.raises(UnknownNameError, match="unknown category of part 'pets' 'dogs'; did you mean 'dog'"):
        SPEC.part("pets").index("dogs")
