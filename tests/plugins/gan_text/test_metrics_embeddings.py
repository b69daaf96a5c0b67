"""Embeddings of sentences: by an encoder in a folder, made here, or by latent semantic analysis."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from toys.texts import compared

from gan_text.metrics.embeddings import Encoder, Latent, Options, build
from gancore.errors import UsageError
from gancore.evaluation.distributions import frechet_distance
from gancore.evaluation.records import faults
from gancore.nets.transformers_loader import load

WORDS = ["a", "b", "c", "d", "e", "f", "g"]


def texts(count, words, seed):
    draws = random.Random(seed)
    return [" ".join(draws.choices(words, k=draws.randrange(1, 7))) for _ in range(count)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A BERT of 8 dimensions with random weights."""
    library = load()
    path = tmp_path_factory.mktemp("encoder")
    vocabulary = {word: n for n, word in enumerate(["[PAD]", "[UNK]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    library.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=12
    ).save_pretrained(path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = library.BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=16,
        )
        library.BertModel(config).save_pretrained(path)
    return path


def test_embedding_is_the_mean_of_the_last_layer_over_the_text(folder):
    some = ["a b c", "d", "a b c d e f g"]
    encoder = Encoder(folder, Options(encoder=folder, device="cpu"))
    embedded = encoder.embed(some)
    for text, row in zip(some, embedded, strict=True):
        ids = torch.tensor([[2 + WORDS.index(word) for word in text.split()]])
        with torch.no_grad():
            alone = encoder.model(input_ids=ids).last_hidden_state[0].mean(dim=0)
        np.testing.assert_allclose(row, alone.double().numpy(), atol=1e-6)


def test_embedding_does_not_depend_on_the_batch(folder):
    some = texts(9, WORDS, 0)
    first, second = (Encoder(folder, Options(batch=n, device="cpu")).embed(some) for n in (1, 4))
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_long_texts_are_cut_and_empty_ones_are_zero(folder):
    encoder = Encoder(folder, Options(longest=4, device="cpu"))
    long, short, empty = encoder.embed(["a b c d e f g", "a b c d", ""])
    np.testing.assert_allclose(long, short, atol=1e-6)
    assert not empty.any()
    assert not encoder.embed(["", ""]).any()


def test_distance_is_that_of_equal_parts_of_both_sets(folder):
    ours, real, train = texts(20, WORDS[:3], 1), texts(20, WORDS, 2), texts(20, WORDS, 3)
    spec, material = compared(ours, real, train, {"mle 1.0": texts(20, WORDS, 4)})
    figure = build(Options(encoder=folder, device="cpu"), spec)(material)["frechet-distance"]
    encoder = Encoder(folder, Options(device="cpu"))
    mine, theirs = encoder.embed(ours), encoder.embed(real)
    wanted = (frechet_distance(mine[:10], theirs[:10]) + frechet_distance(mine[10:], theirs[10:])) / 2
    assert figure.value == pytest.approx(wanted, rel=1e-5)
    assert figure.floor == pytest.approx(frechet_distance(theirs[:10], theirs[10:]), rel=1e-5)
    assert figure.others["mle 1.0"] < figure.value


def test_folder_without_an_encoder_is_refused(tmp_path):
    spec, material = compared(["a"], ["b"], ["c"])
    with pytest.raises(UsageError, match="is not a folder"):
        build(Options(encoder=tmp_path / "missing"), spec)(material)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="cannot be loaded"):
        build(Options(encoder=tmp_path), spec)(material)


def test_other_words_are_farther_than_real_halves_without_an_encoder():
    real, train = texts(60, WORDS[:5], 2), texts(60, WORDS[:5], 3)
    spec, material = compared(texts(60, WORDS[3:], 1), real, train, {"same": texts(60, WORDS[:5], 5)})
    answers = [build(Options(dimensions=8), spec)(material) for _ in range(2)]
    figure = answers[0]["frechet-distance"]
    assert figure.value > 3 * figure.floor
    assert figure.others["same"] < 2 * figure.floor
    assert answers[0] == answers[1]


def test_latent_distances_of_training_texts_are_those_of_their_weights():
    """With as many dimensions as texts, nothing is lost by the projection."""
    some = ["a b c", "b c d", "e f", "a"]
    latent = Latent(some, 64)
    weights = latent.vectorizer.transform(some).toarray()
    np.testing.assert_allclose(latent.embed(some) @ latent.embed(some).T, weights @ weights.T, atol=1e-9)


def test_texts_without_words_have_a_distance_of_nothing():
    spec, material = compared(["", ""], ["", ""], ["", ""])
    figures = build(Options(), spec)(material)
    assert not faults(figures)
    assert figures["frechet-distance"].value == 0.0
