"""Lengths, frequencies and likelihoods of texts, by hand or by another library."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toys.texts import compared

from gan_text.metrics import lengths, likelihood, ngrams
from gan_text.metrics.ngrams import divergence, entropy
from gancore.evaluation.records import faults

TRAIN = ["a b c d", "a b", "e f g", "a b"]
REAL = ["a b", "h i j", "h i j", "e f g d"]
OURS = ["a b c d", "x y", "x y", ""]
OTHERS = {"mle 1.0": ["a b", "e f g", "a", "b"]}


def found(module, *sets, held_out=True, others=None, length=16, more=None, **options):
    spec, material = compared(*sets, others, held_out=held_out, length=length, **(more or {}))
    figures = module.build(module.Options(**options), spec)(material)
    assert not faults(figures)
    return figures


# --- lengths ----------------------------------------------------------------------------------------------------------


def test_lengths_are_those_before_the_end():
    figures = found(lengths, OURS, REAL, TRAIN, others=OTHERS)
    assert figures["mean"].value == 2.0
    assert figures["mean"].real == 3.0
    assert figures["mean"].others == {"mle 1.0": 7 / 4}
    assert figures["deviation"].value == pytest.approx(math.sqrt((4 + 4) / 4))
    assert figures["empty"].value == 0.25
    assert figures["empty"].real == 0.0


def test_limit_leaves_texts_out():
    assert found(lengths, ["a b", "c"], REAL, TRAIN, limit=1)["mean"].value == 2.0


def test_texts_that_fill_all_places_are_unended():
    figures = found(lengths, OURS, REAL, TRAIN, length=3)
    assert figures["unended"].value == 0.25
    assert figures["unended"].real == 0.75


def test_equal_lengths_overlap():
    assert found(lengths, ["a b", "c"], ["c d", "b"], TRAIN)["mean"].overlap > 0.5
    assert found(lengths, ["a b c d"] * 3, ["c", "b"], TRAIN)["mean"].overlap < 0.1


# --- n-grams ----------------------------------------------------------------------------------------------------------


COUNTS = st.lists(st.integers(0, 9), min_size=2, max_size=6).filter(any).map(lambda c: np.array(c, np.float64))


@given(COUNTS)
def test_entropy_is_that_of_scipy(counts):
    stats = pytest.importorskip("scipy.stats")
    assert entropy(counts) == pytest.approx(stats.entropy(counts, base=2), abs=1e-12)


@given(
    st.integers(2, 6).flatmap(
        lambda n: st.tuples(*[st.lists(st.integers(0, 9), min_size=n, max_size=n).filter(any)] * 2)
    )
)
def test_divergence_is_that_of_scipy(pair):
    distance = pytest.importorskip("scipy.spatial.distance")
    first, second = (np.array(one, np.float64) for one in pair)
    wanted = distance.jensenshannon(first, second, base=2) ** 2
    assert divergence(first, second) == pytest.approx(0.0 if math.isnan(wanted) else wanted, abs=1e-9)


def test_divergence_with_nothing_is_whole():
    some, none = np.array([1.0, 2.0]), np.zeros(2)
    assert divergence(some, none) == 1.0
    assert divergence(none, none) == 0.0


def test_words_that_are_as_frequent_diverge_by_nothing():
    figures = found(ngrams, ["b a", "a c", "b a", "a c"], ["a b", "c a", "a b", "c a"], TRAIN)
    assert figures["divergence/unigrams"].value == pytest.approx(0.0)
    assert figures["divergence/unigrams"].floor == pytest.approx(0.0)
    # Pairs with the rims: "|b ba a|" and "|a ac c|" beside "|a ab b|" and "|c ca a|"; "|a" and "a|" are shared.
    assert figures["divergence/bigrams"].value == pytest.approx(1.0 - 2 / 6)
    assert figures["entropy/unigrams"].value == pytest.approx(1.5)


def test_halves_of_real_texts_are_the_floor():
    figures = found(ngrams, ["a", "b", "a", "b"], ["a", "a", "b", "b"], TRAIN, others={"mle": ["a", "a", "b", "b"]})
    figure = figures["divergence/unigrams"]
    assert figure.floor == pytest.approx(1.0)
    assert figure.others["mle"] == pytest.approx(0.0)
    # One half has a and b, one half of the real texts only a.
    assert figure.value == pytest.approx(divergence(np.array([1.0, 1.0]), np.array([2.0, 0.0])))


def test_single_and_empty_texts_have_figures():
    assert found(ngrams, [""], ["a b"], TRAIN)["divergence/unigrams"].value == 1.0
    assert found(ngrams, ["a b"], ["a b"], TRAIN)["divergence/bigrams"].floor == pytest.approx(0.0)


# --- likelihood -------------------------------------------------------------------------------------------------------


def uniform(vocabulary):
    """A generator to which each token, the end among them, has the same probability at all places."""

    def ask(samples):
        return -math.log(vocabulary) * torch.tensor([float((row != 0).sum()) + 1 for row in samples.x])

    return ask


def test_perplexity_of_equal_chances_is_their_number():
    figures = found(likelihood, OURS, REAL, TRAIN, more={"log_likelihood": uniform(7)})
    assert figures["real/perplexity"].value == pytest.approx(7.0)
    assert figures["real/nll-per-token"].value == pytest.approx(math.log(7))
    assert figures["real/nll-per-text"].value == pytest.approx(4 * math.log(7))
    assert figures["own/nll-per-text"].value == pytest.approx(3 * math.log(7))
    assert figures["train/nll-per-token"].value == pytest.approx(math.log(7))
    assert figures["overfitting"].value == pytest.approx(0.0, abs=1e-6)
    assert (figures["tokens"].value, figures["tokens"].real) == (3.0, 4.0)


def test_overfitting_is_the_gap_between_held_out_and_training_texts():
    def ask(samples):
        # Training texts have a mean of 2.75 words, with the end 3.75 tokens; 15 tokens in all.
        return torch.full((len(samples),), -1.0 if torch.equal(samples.x, train) else -8.0)

    spec, material = compared(OURS, REAL, TRAIN, log_likelihood=ask)
    train = material.train.x
    figures = likelihood.build(likelihood.Options(), spec)(material)
    assert figures["train/nll-per-token"].value == pytest.approx(4 / 15)
    assert figures["overfitting"].value == pytest.approx(32 / 16 - 4 / 15)


def surprised_by_unknown(samples):
    """Nothing surprises it but unknown tokens."""
    return -100.0 * (samples.x == 1).any(1).float()


def test_texts_with_words_that_were_never_met_are_left_out():
    more = {"log_likelihood": surprised_by_unknown, "unknown": ["new", "other"]}
    figures = found(likelihood, ["a"], ["a b", "a new", "b", "b a"], ["a b", "b"], more=more)
    assert figures["real/known"].value == 0.75
    assert figures["real/nll-per-text"].value == 0.0
    figures = found(likelihood, ["a"], ["new"], ["a b", "b"], more=more)
    assert figures["real/known"].value == 0.0
    assert not {"real/nll-per-text", "real/perplexity", "overfitting"} & set(figures)


def test_unknown_words_that_were_trained_on_count():
    more = {"log_likelihood": surprised_by_unknown, "unknown": ["new", "other"]}
    figures = found(likelihood, ["a"], ["a b", "a new"], ["a b", "b other"], more=more)
    assert figures["real/known"].value == 1.0
    assert figures["real/nll-per-text"].value == 50.0


def test_others_have_their_own_likelihood():
    more = {"log_likelihood": uniform(7), "others_log_likelihood": {"mle 1.0": uniform(5)}}
    figures = found(likelihood, OURS, REAL, TRAIN, others=OTHERS, more=more)
    assert figures["real/perplexity"].others == pytest.approx({"mle 1.0": 5.0})
    assert figures["own/nll-per-text"].others == pytest.approx({"mle 1.0": (7 / 4 + 1) * math.log(5)})


def test_text_without_an_end_has_none_to_count():
    figures = found(likelihood, ["a b c", "a"], ["a b", "b"], TRAIN, length=3)
    assert (figures["tokens"].value, figures["tokens"].real) == (2.5, 2.5)


def test_generator_that_cannot_tell_gives_no_likelihood():
    assert set(found(likelihood, OURS, REAL, TRAIN)) == {"tokens"}


def test_texts_that_were_trained_on_tell_no_overfitting():
    figures = found(likelihood, OURS, TRAIN, TRAIN, held_out=False, more={"log_likelihood": uniform(7)})
    assert "overfitting" not in figures


def test_limit_of_texts_holds_for_the_generator_that_is_asked():
    asked = []

    def ask(samples):
        asked.append(len(samples))
        return torch.zeros(len(samples))

    found(likelihood, OURS, REAL, TRAIN, more={"log_likelihood": ask}, limit=2)
    assert asked == [2, 2, 2]
