"""Features of texts by an encoder in a folder, made here."""

from __future__ import annotations

import random
import shutil

import pytest
import torch
from pydantic import ValidationError
from tokenizers import Tokenizer, models, pre_tokenizers
from toys.texts import spec_of_texts

from gan_text.features.encoder import Encoder, Options
from gancore.errors import UsageError
from gancore.nets.transformers_loader import load

WORDS = ["a", "b", "c", "d", "e", "f", "g"]
SPEC = spec_of_texts([" ".join(WORDS)])


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


def features(folder, some, **options):
    with torch.no_grad():
        return Encoder(Options(path=folder, **options), SPEC)(SPEC.encode(some))


def test_features_are_the_mean_of_the_last_layer_over_the_text(folder):
    some = ["a b c", "d", "a b c d e f g"]
    model = Encoder(Options(path=folder), SPEC).model
    for text, row in zip(some, features(folder, some), strict=True):
        ids = torch.tensor([[2 + WORDS.index(word) for word in text.split()]])
        with torch.no_grad():
            alone = model(input_ids=ids).last_hidden_state[0].mean(dim=0)
        torch.testing.assert_close(row, alone, atol=1e-6, rtol=0.0)


def test_features_of_a_text_do_not_depend_on_the_others(folder):
    some = texts(9, WORDS, 0)
    together, apart = features(folder, some), [features(folder, [text]) for text in some]
    torch.testing.assert_close(together, torch.cat(apart), atol=1e-6, rtol=0.0)


def test_long_texts_are_cut_and_empty_ones_are_zero(folder):
    long, short, empty = features(folder, ["a b c d e f g", "a b c d", ""], longest=4)
    torch.testing.assert_close(long, short, atol=1e-6, rtol=0.0)
    assert not empty.any()
    assert not features(folder, ["", ""]).any()


def test_fingerprint_is_that_of_what_is_in_the_folder(folder, tmp_path):
    same, other = (shutil.copytree(folder, tmp_path / name) for name in ("same", "other"))
    (other / "tokenizer.json").write_text((other / "tokenizer.json").read_text().replace('"a"', '"z"'))
    prints = {Encoder(Options(path=path), SPEC).fingerprint for path in (folder, same)}
    assert len(prints) == 1
    assert not prints & {
        Encoder(Options(path=other), SPEC).fingerprint,
        Encoder(Options(path=same, longest=4), SPEC).fingerprint,
    }


def test_folder_without_an_encoder_is_refused(tmp_path):
    with pytest.raises(ValidationError, match="path"):
        Options()
    with pytest.raises(UsageError, match="is not a folder"):
        Encoder(Options(path=tmp_path / "missing"), SPEC)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="cannot be loaded"):
        Encoder(Options(path=tmp_path), SPEC)
