"""Attributes of texts, counted by hand."""

from __future__ import annotations

import math

import pytest
from toys.texts import spec_of_texts, words_spec

from gan_text import gan_attributes
from gan_text.data.tokenizers import END, UNKNOWN
from gancore.evaluation.attributes import fault
from gancore.targets import build

RECORDS = {record.name: record for record in gan_attributes()}
TEXTS = ["the cat sees the dog .", "well , well !", "a", ""]


def measured(name, texts, spec=None):
    """An attribute of texts whose tokens are between spaces, one number each."""
    spec = spec or spec_of_texts(texts)
    values = build(RECORDS[name], None, spec)(spec.encode(texts))
    assert fault(values, len(texts)) == ""
    return values.tolist()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("length", [6.0, 4.0, 1.0, 0.0]),
        ("variety", [5 / 6, 3 / 4, 1.0, math.nan]),
        ("punctuation", [1 / 6, 2 / 4, 0.0, math.nan]),
        ("word-length", [(3 + 3 + 4 + 3 + 3) / 5, 4.0, 1.0, math.nan]),
    ],
)
def test_attributes_of_texts(name, values):
    assert measured(name, TEXTS) == pytest.approx(values, nan_ok=True)


def test_words_are_those_of_the_metrics_and_length_that_of_tokens():
    assert measured("length", ["don't!"]) == [1.0]
    assert measured("punctuation", ["don't!"]) == pytest.approx([1 / 3])  # do, n't and !
    assert measured("word-length", ["don't!"]) == [2.5]


def test_letters_of_any_script_and_digits_make_words():
    assert measured("punctuation", ["два 42 日本 … ( -"]) == [0.5]
    assert math.isnan(*measured("word-length", ["… -"]))


def test_unknown_words_are_no_punctuation_and_have_no_length():
    spec = words_spec([END, UNKNOWN, "cats", "."], 8)
    spec = spec.model_copy(update={"tokenizer": spec.tokenizer.replace("<unknown>", UNKNOWN)})
    assert measured("punctuation", ["cats dogs ."], spec) == pytest.approx([1 / 3])
    assert measured("word-length", ["cats dogs ."], spec) == [4.0]


def test_no_texts_have_no_numbers():
    spec = spec_of_texts(TEXTS)
    for record in RECORDS.values():
        assert build(record, None, spec)(spec.encode(TEXTS)[:0]).tolist() == []
