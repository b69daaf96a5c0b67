"""Features of texts: latent semantic analysis and distances by hand or by another library, and figures of texts that get worse."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toys.texts import compared, spec_of_texts

from gan_text.data.grammar import Options as GrammarOptions
from gan_text.data.grammar import open_grammar
from gan_text.features import pairs
from gan_text.features.lsa import Latent, Options
from gan_text.metrics.words import split
from gancore.data.report import silent
from gancore.evaluation.distances import mind
from gancore.evaluation.features import Computed
from gancore.evaluation.metrics.mind import Mind
from gancore.evaluation.metrics.mind import Options as MindOptions
from gancore.evaluation.metrics.nearest import NearestSamples
from gancore.evaluation.metrics.nearest import Options as NearestOptions
from gancore.evaluation.metrics.neighbours import Neighbours
from gancore.evaluation.metrics.neighbours import Options as NeighbourOptions
from gancore.evaluation.records import Material, Samples
from gancore.random import Draws


def fitted(train, *others, tokens="words", **options):
    """The features that learnt these texts, and a function from texts to hard samples."""
    spec = spec_of_texts([*train, *others]).model_copy(update={"tokens": tokens})
    latent = Latent(Options(**options), spec)
    latent.fit(Samples(spec.encode(train)))
    return latent, spec.encode


# --- latent semantic analysis -----------------------------------------------------------------------------------------


def terms(text):
    words = ["|", *text.split(), "|"]
    return [*words[1:-1], *(f"{a} {b}" for a, b in itertools.pairwise(words))]


def weights(texts, train):
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(analyzer=terms, sublinear_tf=True).fit(train).transform(texts).toarray()


@pytest.fixture(scope="module")
def short():
    """All texts of one to five words of two, which have all n-grams that longer ones have, so that nothing is lost by projection."""
    found = [" ".join(text) for n in range(1, 6) for text in itertools.product("ab", repeat=n)]
    random.Random(0).shuffle(found)
    return found


def test_distances_of_new_texts_are_those_of_the_weights_of_scikit_learn(short):
    latent, encode = fitted(short)
    new = [" ".join(text) for text in itertools.product("ab", repeat=6)]
    found, wanted = latent(encode(new)).numpy(), weights(new, short)
    ours, theirs = (((rows[:, None] - rows) ** 2).sum(-1) for rows in (found, wanted))
    kept = found.shape[1] - 2
    assert kept < 32  # all that there are
    np.testing.assert_allclose(ours, kept * theirs, atol=1e-4)


def test_training_text_is_weighted_as_if_it_had_not_been_there(short):
    latent, encode = fitted(short)
    rest, new = [text for text in short if text != short[0]], "a b b a a b"
    found = latent(encode([short[0], new])).numpy()
    wanted = weights([short[0]], rest)[0] - weights([new], short)[0]
    assert ((found[0] - found[1]) ** 2).sum() == pytest.approx((found.shape[1] - 2) * (wanted**2).sum(), rel=1e-4)


def test_what_no_training_text_has_are_new_words_and_new_pairs_of_known_ones():
    latent, encode = fitted(["a b", "b a", "b c", "c a", "a c"], "x y", "y y z", "a x", "b b", "c c")
    x, y, both, b, c = latent(encode(["x y", "y y z", "a x", "b b", "c c"])).double()
    assert torch.equal(x, y)  # nothing is known of either
    assert x[-2] > both[-2] > b[-2] == c[-2]  # words
    assert b[-1] > x[-1] == both[-1]  # pairs, and none that only a new word makes new
    assert not torch.allclose(b[:-2], c[:-2])


def test_features_of_training_texts_are_around_nothing(short):
    latent, encode = fitted(short)
    torch.testing.assert_close(latent(encode(short)).mean(dim=0), torch.zeros(12), atol=1e-5, rtol=0.0)


def test_texts_of_characters_are_their_characters():
    latent, encode = fitted(["ab ba", "ba ab", "b"], "ab", tokens="characters")
    assert latent.unit == "characters"
    assert fitted(["a"])[0].unit == "words"
    assert fitted(["a"], unit="characters")[0].unit == "characters"
    assert len(set(latent.keys(encode(["ab ba", "ba ab", "ab ba"])))) == 2
    # One character of four pairs: "|a ab b|" and "|b b|" share one of four.
    assert latent.nearest(encode(["ab"]), encode(["b"]), None).tolist() == [0.75]


def test_fingerprint_is_that_of_what_was_learnt():
    texts = ["a b", "c", "b c", "a c"]
    learnt = [
        (texts, {}),
        (texts, {}),
        ([*texts[:3], "a"], {}),
        (texts, {"unit": "characters"}),
        (texts, {"components": 1}),
    ]
    prints = [fitted(train, **options)[0].fingerprint for train, options in learnt]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 4


@pytest.mark.parametrize("train", [[""], ["", ""], ["a"], ["a", "a b"]])
def test_few_and_empty_texts_have_features(train):
    latent, encode = fitted(train, "c")
    found = latent(encode(["", "a", "c"]))
    assert found.shape[0] == 3
    assert torch.isfinite(found).all()


# --- figures of texts that get worse ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sentences():
    source = open_grammar(GrammarOptions(count=1500), silent)
    x, _ = source.fetch(torch.arange(1500), Draws(0, torch.arange(1500)))
    return source.spec, source.spec.decode(x)


@pytest.fixture(scope="module")
def measured(sentences):
    """Figures of any texts against 300 real ones, others having been trained on."""
    spec, texts = sentences
    real, train = (Samples(spec.encode(some)) for some in (texts[:300], texts[600:]))
    features = {"lsa": Computed("lsa", Latent(Options(), spec), train=train)}
    metrics = Mind(MindOptions(directions=100), spec), Neighbours(NeighbourOptions(), spec)

    def figures(generated):
        made = Samples(spec.encode([" ".join(words) for words in generated]))
        material = Material(generated=made, real=real, train=train, held_out=True, features=features)
        return {name: figure for metric in metrics for name, figure in metric(material).figures.items()}

    return figures


def worse(texts, how, strength):
    draws = random.Random(0)
    good = [list(split(text)) for text in texts]
    vocabulary = [word for words in good for word in words]
    if how == "words":
        return [[draws.choice(vocabulary) if draws.random() < strength else word for word in words] for words in good]
    if how == "order":
        return [draws.sample(words, len(words)) if draws.random() < strength else words for words in good]
    if how == "cut":
        return [words[: max(1, round(len(words) * (1.0 - 0.8 * strength)))] for words in good]
    return [good[number % [300, 100, 30, 10, 3][round(4 * strength)]] for number in range(len(good))]  # fewer texts


@pytest.mark.parametrize(
    ("how", "falls"), [("words", "precision"), ("order", "precision"), ("cut", "coverage"), ("fewer", "coverage")]
)
def test_figures_of_real_texts_move_as_these_get_worse(sentences, measured, how, falls):
    found = [measured(worse(sentences[1][300:600], how, strength)) for strength in (0.0, 0.25, 0.5, 1.0)]
    up, down = ([one[name].value for one in found] for name in ("mind-lsa", f"{falls}-lsa"))
    assert up == sorted(up)
    assert down == sorted(down, reverse=True)
    assert up[0] < 1.5 * found[0]["mind-lsa"].floor
    assert up[-1] > 20 * up[0]
    assert down[-1] < 0.5 * down[0]


@pytest.mark.parametrize("part", [slice(0, 500), slice(250, 500)])
def test_training_texts_are_hardly_farther_from_real_ones_than_other_real_ones_are(sentences, part):
    spec, texts = sentences
    latent = Latent(Options(), spec)
    train, real, others = (spec.encode(texts[begin : begin + 500]) for begin in (0, 500, 1000))
    latent.fit(Samples(train))
    ours, wanted = (mind(latent(x[part]), latent(real[part]), directions=100) for x in (train, others))
    assert ours < 2.0 * wanted


# --- copies -----------------------------------------------------------------------------------------------------------


TRAIN = ["a b c d", "a b", "e f g", "a b"]
OURS = ["a b c d", "x y", "x y", ""]


def copies(ours, real, train, *, held_out=True, **options):
    spec, material = compared(ours, real, train, {"mle": real}, held_out=held_out)
    features = {"lsa": Computed("lsa", Latent(Options(), spec), train=material.train)}
    given = Material(
        generated=material.generated, real=material.real, train=material.train, held_out=held_out,
        others=material.others, features=features,
    )  # fmt: skip
    found = NearestSamples(NearestOptions(**options), spec)(given).figures
    return {name.removeprefix("nearest-lsa/"): figure for name, figure in found.items()}


def pairs_of(text):
    return set(itertools.pairwise(["|", *text.split(), "|"]))


def by_hand(text, train):
    return min(1 - len(pairs_of(text) & pairs_of(one)) / len(pairs_of(text) | pairs_of(one)) for one in train)


TEXTS = st.lists(st.lists(st.sampled_from("abc"), max_size=5).map(" ".join), min_size=1, max_size=6)


@given(TEXTS, TEXTS)
def test_distances_are_those_of_sets_of_pairs(ours, train):
    found = pairs.nearest(*([tuple(text.split()) for text in texts] for texts in (ours, train)))
    np.testing.assert_allclose(found.numpy(), [by_hand(text, train) for text in ours], atol=1e-6)


def test_distances_are_the_same_in_parts(monkeypatch):
    sets = [[tuple(text.split()) for text in texts] for texts in (OURS, TRAIN)]
    whole = pairs.nearest(*sets)
    monkeypatch.setattr(pairs, "_COLUMNS", 1)
    assert torch.equal(pairs.nearest(*sets), whole)


def test_text_that_is_left_out_is_not_looked_at():
    same = [("a", "b")]
    assert pairs.nearest(same, same, torch.tensor([-1])).tolist() == [0.0]
    assert pairs.nearest(same, same, torch.tensor([0])).tolist() == [float("inf")]
    assert pairs.nearest(same, [*same, ("a", "c")], torch.tensor([0])).tolist() == pytest.approx([0.8])


def test_copies_and_near_copies_are_told():
    figures = copies(["a b c d", "a b", "x"], ["h i j", "a b"], TRAIN, below=0.5)
    assert figures["exact"].value == pytest.approx(2 / 3)
    assert figures["exact"].real == figures["exact"].others["mle"] == 0.5
    assert figures["near"].value == pytest.approx(2 / 3)
    assert copies(TRAIN, ["h i j", "k l m"], TRAIN)["nearer"].value == 1.0


def test_same_pairs_in_another_order_are_no_exact_copy():
    figures = copies(["a b a c a", "x"], ["h i j", "e f g d"], ["a c a b a"])
    assert figures["exact"].value == 0.0
    assert figures["near"].value == 0.5


def test_real_text_that_was_trained_on_is_compared_with_the_others():
    left = [by_hand(text, TRAIN[:i] + TRAIN[i + 1 :]) for i, text in enumerate(TRAIN[:3])]
    figures = copies(OURS, TRAIN[:3], TRAIN, held_out=False)
    assert figures["distance"].real == pytest.approx(np.median(left))


def test_authenticity_is_left_to_features_without_a_distance_of_their_own():
    assert set(copies(OURS, ["h i j"], TRAIN)) == {"exact", "near", "distance", "nearer"}
