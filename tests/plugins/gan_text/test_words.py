"""Words are those of nltk's tokenizer, and n-grams of several sets have the same numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.tokenize import NLTKWordTokenizer
from toys.texts import spec_of_texts as spec_of

from gan_text.metrics import words
from gan_text.metrics.words import coded, ngrams, split, words_of

NLTK = NLTKWordTokenizer()
PARTS = [
    "a",
    "B",
    "cat",
    "9",
    "3.5",
    " ",
    "  ",
    ".",
    ",",
    "...",
    "'",
    "n't",
    "'s",
    '"',
    "cannot",
    "Gonna",
    "wanna",
    "\t",
    "\x1c",
]
PARTS += ["\xa0", "(", "-", "--", "etc.", "lemme", "gimme", "gotta", "can't", "$", "%", "é", "?", ":", ";"]


@given(st.lists(st.sampled_from(PARTS), max_size=10).map("".join))
def test_words_are_those_of_nltk(text):
    assert list(split(text)) == NLTK.tokenize(text)


@given(st.lists(st.sampled_from(["a", "Cat", "can", "not", "9", " ", ".", ","]), max_size=12).map("".join))
def test_plain_words_are_those_of_nltk(text):
    assert list(split(text)) == NLTK.tokenize(text)


@given(st.text(max_size=12))
def test_words_of_any_text_are_those_of_nltk(text):
    assert list(split(text)) == NLTK.tokenize(text)


def test_final_stop_and_clitics_are_words():
    assert split("a man's dog.") == ("a", "man", "'s", "dog", ".")
    assert split("I cannot.") == ("I", "can", "not", ".")


@pytest.fixture
def counted(monkeypatch):
    """The texts that were split."""
    seen = []
    monkeypatch.setattr(words, "split", lambda text: seen.append(text) or split(text))
    return seen


def test_samples_are_split_once(counted):
    spec = spec_of(["a b", "c"])
    x = spec.encode(["a b", "c", "a"])
    assert words_of(x, spec, 2) == [("a", "b"), ("c",)]
    assert words_of(x, spec, 1) == [("a", "b")]
    assert len(counted) == 2
    assert words_of(x, spec) == [("a", "b"), ("c",), ("a",)]


def test_samples_that_were_changed_are_split_again():
    spec = spec_of(["a b", "c"])
    x = spec.encode(["a b", "c"])
    words_of(x, spec)
    x[1] = x[0]
    assert words_of(x, spec) == [("a", "b")] * 2


def test_equal_words_have_equal_numbers_in_all_sets():
    first, second = coded([("a", "b"), ()], [("b", "c", "a")])
    assert first.word.tolist() == [0, 1]
    assert first.first.tolist() == [0, 2, 2]
    assert second.word.tolist() == [1, 2, 0]


SETS = st.lists(
    st.lists(st.lists(st.integers(0, 3).map("abcd".__getitem__), max_size=6), max_size=5), min_size=1, max_size=3
)


@given(SETS, st.integers(1, 4), st.booleans())
def test_ngrams_have_the_same_number_exactly_where_they_are_the_same(sets, n, padded):
    known = {}
    for one, (row, number) in zip(sets, ngrams(coded(*sets), n, padded=padded), strict=True):
        rims = ["|"] * (n - 1) if padded else []
        wanted = []
        for i, sentence in enumerate(one):
            whole = [*rims, *sentence, *rims]
            wanted += [(i, tuple(whole[at : at + n])) for at in range(len(whole) - n + 1)]
        assert row.tolist() == [i for i, _ in wanted]
        for gram, value in zip((gram for _, gram in wanted), number.tolist(), strict=True):
            assert known.setdefault(gram, value) == value
    assert len(set(known.values())) == len(known)
