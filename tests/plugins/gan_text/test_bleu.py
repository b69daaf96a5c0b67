"""BLEU of whole sets is what nltk finds for each sentence."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from gan_text.metrics.bleu import References, Sentences

SENTENCES = st.lists(st.lists(st.integers(0, 4), max_size=9), min_size=2, max_size=7)
WEIGHTS = [(1.0 / n,) * n for n in range(1, 6)]


def by_nltk(hypothesis, references):
    return sentence_bleu(references, hypothesis, WEIGHTS, SmoothingFunction().method1)


def close(found, wanted):
    np.testing.assert_allclose(found, np.array(wanted, np.float64), rtol=0.0, atol=1e-12)


@given(SENTENCES, SENTENCES)
def test_bleu_of_each_hypothesis_is_that_of_nltk(hypotheses, references):
    found = References(Sentences.of(references)).score(Sentences.of(hypotheses))
    close(found, [by_nltk(one, references) for one in hypotheses])


@given(SENTENCES)
def test_self_bleu_is_that_of_nltk_with_all_others_as_references(sentences):
    found = References(Sentences.of(sentences)).score_selves()
    close(found, [by_nltk(one, sentences[:i] + sentences[i + 1 :]) for i, one in enumerate(sentences)])


@given(SENTENCES, st.integers(1, 4))
def test_lower_orders_do_not_depend_on_the_highest(sentences, order):
    some = Sentences.of(sentences)
    close(References(some, order).score_selves(), References(some).score_selves()[:, :order])


def test_words_that_no_reference_has_match_nothing():
    hypotheses = [[7, 8, 9], [-5, 0, 1], [0, 9**12, 1], []]
    references = [[0, 1, 2], [1, 0]]
    found = References(Sentences.of(references)).score(Sentences.of(hypotheses))
    close(found, [by_nltk(one, references) for one in hypotheses])


def test_bleu_by_hand():
    # "a b b" beside "a b c" and "b b": unigrams 3 of 3 (b twice in the second), bigrams 2 of 2.
    both = References(Sentences.of([[0, 1, 2], [1, 1]]), 2)
    assert both.score(Sentences.of([[0, 1, 1]])).tolist() == [[1.0, 1.0]]
    # Without the second: unigrams 2 of 3, bigrams 1 of 2.
    one = References(Sentences.of([[0, 1, 2]]), 2).score(Sentences.of([[0, 1, 1]]))
    close(one, [[2 / 3, math.sqrt(2 / 3 * 1 / 2)]])


def test_orders_without_a_match_count_a_tenth():
    found = References(Sentences.of([[0, 1, 2, 3]]), 2).score(Sentences.of([[0, 2, 1, 3]]))
    close(found, [[1.0, math.sqrt(0.1 / 3)]])


def test_sentence_without_a_common_word_has_nothing():
    assert not References(Sentences.of([[0, 1]])).score(Sentences.of([[2, 3], []])).any()


@pytest.mark.parametrize(("references", "nearest"), [((2, 4), 2), ((1, 4), 4), ((4, 9), 4), ((3, 9), 3)])
def test_brevity_penalty_takes_the_nearest_length_and_the_shorter_of_two(references, nearest):
    found = References(Sentences.of([[0] * n for n in references]), 1).score(Sentences.of([[0] * 3]))
    close(found, [[min(1.0, math.exp(1.0 - nearest / 3))]])


def test_equal_sentences_are_each_others_references():
    found = References(Sentences.of([[0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [5, 6, 7, 8, 9]])).score_selves()
    close(found, [[1.0] * 5, [1.0] * 5, [0.0] * 5])


def test_without_references_there_is_no_bleu():
    with pytest.raises(ValueError, match="at least one reference"):
        References(Sentences.of([]))
    with pytest.raises(ValueError, match="at least two sentences"):
        References(Sentences.of([[0]])).score_selves()


def test_references_without_a_word_are_compared_too():
    found = References(Sentences.of([[], []])).score(Sentences.of([[0], []]))
    assert found.shape == (2, 5)
    assert not found.any()
    assert not References(Sentences.of([[], []])).score_selves().any()


def test_head_of_sentences_is_a_part():
    some = Sentences.of([[0, 1], [], [2]])
    assert some.head(2).first.tolist() == [0, 2, 2]
    assert some.head(2).word.tolist() == [0, 1]
    assert len(some.head(9)) == 3
