"""Drawing: each sample from its own latent, classes in turn, and classes by name or number."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toys import one_step
from toys import pictures as toys

from gancore.data.spec import SampleSpec
from gancore.errors import UnknownNameError, UsageError
from gancore.random import Draws
from gancore.sampling.drawing import CHUNK, check_class, cycle_classes, generate

DIGITS = SampleSpec(shape=(1,), classes=("7", "1", "0"))


@given(st.integers(0, 2))
def test_a_number_is_an_index_though_classes_are_called_by_other_numbers(index):
    assert check_class(DIGITS, index) == index


@pytest.mark.parametrize(("text", "index"), [("7", 0), ("1", 1), ("0", 2), ("2", 2)])
def test_text_is_a_name_first_and_an_index_else(text, index):
    assert check_class(DIGITS, text) == index


@pytest.mark.parametrize("wanted", ["8", 3, -1, "-1", "cat", ""])
def test_a_class_that_does_not_exist_is_an_error_with_those_that_do(wanted):
    with pytest.raises(UnknownNameError, match="known: 0, 1, 7"):
        check_class(DIGITS, wanted)


def test_classes_of_an_unlabelled_set_are_an_error():
    with pytest.raises(UsageError, match="without labels"):
        check_class(SampleSpec(shape=(1,)), 0)


def test_classes_take_turns():
    assert cycle_classes(DIGITS, 7).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert cycle_classes(SampleSpec(shape=(1,)), 7) is None


@pytest.mark.parametrize("count", [1, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
def test_as_many_samples_are_generated_as_asked_for_each_from_its_own_latent(count):
    networks = one_step.double_networks(labels=True)
    generator = networks["generator"].eval()
    classes = torch.arange(count) % 3
    samples = generate(generator, toys.ToySpec(), count, 5, classes)
    assert samples.shape == (count, 1, 4, 4)
    assert not samples.requires_grad
    draws = Draws(5, torch.arange(count))
    expected = generator(draws.normal("z", toys.LATENT).double(), classes).float()
    torch.testing.assert_close(samples, expected.detach(), rtol=1e-6, atol=1e-6)
