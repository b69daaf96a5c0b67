"""Sample specs: hard and relaxed samples as each other's inverse, and specs on disk."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, composite
from pydantic import ValidationError

from gancore.data.spec import SampleSpec, require
from gancore.errors import UsageError

INTEGERS = {"uint8": (0, 255), "int8": (-128, 127), "int16": (-32768, 32767)}


@composite
def specs_with_samples(draw: DrawFn):
    """A spec of integers whose range lies within its type, and samples within the range."""
    dtype = draw(st.sampled_from(sorted(INTEGERS)))
    low = draw(st.integers(INTEGERS[dtype][0], INTEGERS[dtype][1] - 1))
    high = draw(st.integers(low + 1, INTEGERS[dtype][1]))
    values = draw(st.lists(st.integers(low, high), min_size=1, max_size=20))
    spec = SampleSpec(shape=(1,), dtype=dtype, value_range=(low, high))
    return spec, torch.tensor([low, high, *values], dtype=getattr(torch, dtype)).view(-1, 1)


@given(specs_with_samples())
def test_integers_survive_relaxing_and_hardening(drawn):
    spec, hard = drawn
    back = spec.harden(spec.relax(hard))
    assert back.dtype == hard.dtype
    assert torch.equal(back, hard)


@given(specs_with_samples())
def test_relaxed_samples_lie_between_minus_one_and_one_with_the_range_at_the_ends(drawn):
    spec, hard = drawn
    relaxed = spec.relax(hard)
    assert relaxed.dtype == torch.float32
    # The offset costs digits where a narrow range lies far from zero.
    slack = 1e-6 * (1 + sum(map(abs, spec.value_range)) / (spec.value_range[1] - spec.value_range[0]))
    assert relaxed.abs().max() <= 1 + slack
    assert relaxed[:2].flatten().tolist() == pytest.approx([-1, 1], abs=slack)


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=20))
def test_floating_point_samples_survive_hardening_and_relaxing(values):
    spec = SampleSpec(shape=(1,), dtype="float32", value_range=(-3.0, 5.0))
    relaxed = torch.tensor(values).view(-1, 1)
    torch.testing.assert_close(spec.relax(spec.harden(relaxed)), relaxed, rtol=0, atol=1e-6)


def test_bytes_are_relaxed_by_the_usual_formula():
    spec = SampleSpec(shape=(3,))
    relaxed = spec.relax(torch.tensor([[0, 51, 255]], dtype=torch.uint8))
    assert relaxed.tolist()[0] == pytest.approx([-1.0, -0.6, 1.0], abs=1e-6)


def test_what_a_generator_overshoots_is_clamped_and_the_rest_rounded():
    spec = SampleSpec(shape=(4,))
    relaxed = torch.tensor([[-1.7, 2.0, 0.0, 2 * 10.6 / 255 - 1]])
    assert spec.harden(relaxed).tolist() == [[0, 255, 128, 11]]
    assert spec.harden(relaxed).dtype == torch.uint8


def test_half_precision_samples_are_hardened_in_full_precision():
    spec = SampleSpec(shape=(1,), dtype="int16", value_range=(-32768, 32767))
    assert spec.harden(torch.tensor([[1.0]], dtype=torch.bfloat16)).tolist() == [[32767]]


@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    low=st.floats(-1e6, 1e6),
    width=st.floats(1e-3, 1e6),
    classes=st.lists(st.text(max_size=5), max_size=4),
)
def test_a_spec_survives_json(shape, low, width, classes):
    spec = SampleSpec(shape=tuple(shape), dtype="float32", value_range=(low, low + width), classes=tuple(classes))
    assert SampleSpec.model_validate_json(spec.model_dump_json()) == spec
    assert SampleSpec.model_validate(spec.model_dump(mode="json")) == spec
    assert spec.class_count == len(classes)


@pytest.mark.parametrize(
    "wrong",
    [{"shape": ()}, {"shape": (1, 0)}, {"value_range": (1.0, 1.0)}, {"value_range": (2, 1)}, {"sample_rate": 1}],
)
def test_an_impossible_spec_is_refused(wrong):
    with pytest.raises(ValidationError):
        SampleSpec(**{"shape": (2,), **wrong})


class Waves(SampleSpec):
    called = "waves"


class Ripples(Waves):
    """A kind of waves."""


def test_component_for_one_kind_of_samples_takes_that_kind_and_kinds_of_it():
    for spec in (Waves(shape=(2,)), Ripples(shape=(2,))):
        assert require(spec, Waves, "metric 'swell'") is spec


def test_component_for_one_kind_of_samples_refuses_another_by_the_names_of_both():
    with pytest.raises(UsageError, match=r"^metric 'swell' is for waves, which these data are not; leave it out"):
        require(SampleSpec(shape=(2,)), Waves, "metric 'swell'")
