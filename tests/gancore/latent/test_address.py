"""Addresses as values: what can be written down, and what is refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gancore.latent.address import Address, Around, Between, Code, Mix


def addresses():
    plain = st.builds(
        Address,
        seed=st.integers(0, 2**63 - 1),
        position=st.integers(0, 10**6),
        truncation=st.floats(0.0, 2.0),
        edits=st.dictionaries(st.text(max_size=5), st.floats(-9.0, 9.0), max_size=2),
        around=st.none() | st.builds(Around, spread=st.floats(0.0, 1.0), seed=st.integers(0, 99)),
        classes=st.none() | st.just({"kick": 0.25, "snare": 0.75}),
    )
    return st.recursive(
        plain,
        lambda inner: (
            st.builds(
                lambda one, other, at: Address(between=Between(one=one, other=other, at=at)),
                inner,
                inner,
                st.floats(0.0, 1.0),
            )
            | st.builds(lambda one, other: Address(mix=Mix(one=one, other=other, first=0, last=1)), inner, inner)
        ),
        max_leaves=4,
    )


@given(addresses())
def test_an_address_is_the_same_after_it_was_written_down(address):
    assert Address.model_validate_json(address.model_dump_json()) == address
    assert Address.model_validate_json(address.model_dump_json(exclude_defaults=True)) == address


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False), min_size=1, max_size=12)
)
def test_a_code_keeps_every_bit(numbers):
    w = torch.tensor(numbers)[:, None]
    code = Code.model_validate_json(Code.of(w, w[0]).model_dump_json())
    found, noise = code.tensors()
    assert torch.equal(found, w)
    assert torch.equal(noise, w[0])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "one of seed, code, between and mix; here are none"),
        ({"seed": 1, "code": {"w": "AAAAAA==", "layers": 1}}, "one of seed, code"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"seed": 1, "truncation": float("nan")}, "finite"),
        ({"seed": 1, "edits": {"up": float("inf")}}, "finite"),
        ({"seed": 1, "classes": {"kick": 0.5}}, "add up to 1, not 0.5"),
        ({"seed": 1, "classes": {"kick": 2.0, "snare": -1.0}}, "at least 0"),
        ({"seed": 1, "classes": {}}, "must be some"),
        ({"seed": 1, "colour": 3}, "Extra inputs"),
        ({"code": {"w": "?", "layers": 1}}, "base64"),
        ({"code": {"w": "AAAA", "layers": 1}}, "base64"),
        ({"code": {"w": "AADAfw==", "layers": 1}}, "finite float32"),
        ({"code": {"w": "AAAAAA==", "layers": 2}}, "1 numbers are no code of 2 layers"),
        ({"mix": {"one": {"seed": 1}, "other": {"seed": 2}, "first": 2, "last": 1}}, "must not be after"),
    ],
)
def test_what_is_no_address_is_refused(fields, words):
    with pytest.raises(ValidationError, match=words):
        Address.model_validate(fields)


def test_addresses_stand_only_so_deep_within_another():
    address, other = Address(seed=0), Address(seed=1)
    for _ in range(15):
        address = Address(between=Between(one=address, other=other, at=0.5))
    with pytest.raises(ValidationError, match="more than 16"):
        Address(between=Between(one=address, other=other, at=0.5))


def test_an_address_is_made_of_only_so_many_others():
    address = Address(seed=0)
    for _ in range(7):
        address = Address(between=Between(one=address, other=address, at=0.5))  # 255 in all
    with pytest.raises(ValidationError, match="made of more than 500 addresses"):
        Address(mix=Mix(one=address, other=address, first=0, last=0))


def test_plain_addresses_are_samples_as_they_are_drawn():
    assert Address(seed=1, classes={"kick": 1.0}).plain
    assert not Address(seed=1, classes={"kick": 0.5, "snare": 0.5}).plain
    assert not Address(seed=1, truncation=0.9).plain
    assert not Address(seed=1, edits={"up": 0.0}).plain
