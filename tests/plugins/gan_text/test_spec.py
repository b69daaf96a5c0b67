"""Texts as samples: ids up to the first end, one-hot when relaxed, the same again when made final."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from gan_text.data.tokenizers import characters, words
from gan_text.spec import TextSpec, parsed
from gancore.data.spec import SampleSpec
from gancore.errors import DataError

VOCABULARY = words([["a b b c c c"]])
"""Ids: 0 end, 1 unknown, 2 c, 3 b, 4 a."""


@pytest.fixture
def spec():
    return TextSpec.of(VOCABULARY.tokenizer, length=5, tokens="words")


def test_shape_type_and_range_follow_from_length_and_tokenizer(spec):
    assert spec.shape == (5, 5)
    assert (spec.length, spec.vocabulary) == (5, 5)
    assert (spec.dtype, spec.value_range) == ("int32", (0.0, 4.0))


def test_text_is_ids_then_end_and_a_longer_one_is_cut(spec):
    hard = spec.encode(["a b", "", "c c c c c b", "d"])
    assert hard.dtype is torch.int32
    assert hard.tolist() == [[4, 3, 0, 0, 0], [0, 0, 0, 0, 0], [2, 2, 2, 2, 2], [1, 0, 0, 0, 0]]


def test_no_texts_are_no_samples(spec):
    assert spec.encode([]).shape == (0, 5)
    assert spec.decode(spec.encode([])) == []


def test_decoding_stops_at_the_first_end(spec):
    hard = torch.tensor([[4, 0, 3, 3, 3], [0, 4, 4, 4, 4], [2, 2, 2, 2, 2]], dtype=torch.int32)
    assert spec.decode(hard) == ["a", "", "c c c c c"]
    assert spec.lengths(hard).tolist() == [1, 0, 5]
    assert spec.lengths(hard).dtype is torch.int64


def test_relaxed_is_one_hot(spec):
    relaxed = spec.relax(torch.tensor([[4, 3, 0, 0, 0]], dtype=torch.int32))
    assert relaxed.dtype is torch.float32
    assert relaxed.tolist() == [[[0, 0, 0, 0, 1], [0, 0, 0, 1, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0]]]


def test_hardened_is_the_likeliest_and_end_after_the_first_end(spec):
    relaxed = torch.nn.functional.one_hot(torch.tensor([[2, 0, 3, 1, 0], [4, 4, 4, 4, 4]]), 5).float()
    assert spec.harden(0.6 * relaxed + 0.08).tolist() == [[2, 0, 0, 0, 0], [4, 4, 4, 4, 4]]


def test_hardening_undoes_relaxing(spec):
    hard = spec.encode(["a b c", "c c c c c", ""])
    assert torch.equal(spec.harden(spec.relax(hard)), hard)


def test_end_may_be_any_token():
    spec = TextSpec.of(VOCABULARY.tokenizer, length=3, tokens="pretrained", end=4, unknown=None)
    hard = spec.encode(["b a c", "c"])
    # The end is no part of a text, so the word that has its id is left out.
    assert hard.tolist() == [[3, 2, 4], [2, 4, 4]]
    assert torch.equal(spec.harden(spec.relax(hard)), hard)


def test_shapes_are_known_without_values(spec):
    hard = torch.zeros(7, 5, dtype=torch.int32, device="meta")
    assert spec.relax(hard).shape == (7, 5, 5)
    assert spec.harden(spec.relax(hard)).shape == (7, 5)
    assert spec.harden(spec.relax(hard)).dtype is torch.int32


def test_spec_comes_back_from_json(spec):
    assert TextSpec.model_validate_json(spec.model_dump_json()) == spec


def test_name_of_the_end_in_a_text_is_text():
    text = "<end of text>"
    spec = TextSpec.of(characters([[text]]).tokenizer, length=20, tokens="characters")
    assert spec.decode(spec.encode([text])) == [text]


def test_json_that_is_no_tokenizer_is_refused():
    for broken in ("{", "{}", "[]"):
        with pytest.raises(DataError, match="cannot be read"):
            TextSpec.of(broken, length=3, tokens="words")


def test_contradictions_are_refused(spec):
    facts = spec.model_dump()
    for wrong in (
        {"end": 5},
        {"unknown": 9},
        {"unknown": 0},
        {"shape": (5,)},
        {"value_range": (0, 9)},
        {"dtype": "int16"},
    ):
        with pytest.raises(ValidationError):
            TextSpec(**(facts | wrong))


def test_tokenizer_is_parsed_once(spec):
    assert parsed(spec.tokenizer) is parsed(VOCABULARY.tokenizer)


def test_texts_of_another_vocabulary_are_adopted_by_what_they_say():
    own = TextSpec.of(words([["a red dog sleeps ."]]).tokenizer, length=5, tokens="words")
    other = TextSpec.of(words([["a dog sleeps and sleeps and sleeps ."]]).tokenizer, length=8, tokens="words")
    assert own.adopts(other)
    adopted = own.adopt(other.encode(["a dog sleeps .", "a dog and sleeps and sleeps and"]), other)
    assert adopted.shape == (2, 5)
    assert own.decode(adopted) == ["a dog sleeps .", "a dog \u2047 sleeps \u2047"]
    assert own.adopt(adopted, own) is adopted
    assert not own.adopts(SampleSpec(shape=(5, 8)))
