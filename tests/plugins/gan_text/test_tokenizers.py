"""Tokenizers that are made of the data: what they encode comes back, and words are what people call words."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, trainers

from gan_text.data.encoding import Encoder
from gan_text.data.tokenizers import END, UNKNOWN, bpe, characters, make, pretrained, words
from gan_text.spec import TextSpec, parsed
from gancore.errors import DataError, UsageError

KINDS = ("characters", "words", "bpe")

CORPORA = {
    "latin": [
        "The wheel squeaks.",
        "wheel . wheels , don't \u201cstop\u201d \u2014 na\u00efve caf\u00e9s, e\u0301te\u0301!",
        " leading, and  double   spaces ",
        "3.14 is 22/7; e-mail a_b@c.org ... #1 (really?)",
    ],
    "chinese": [
        "\u8f66\u8f6e\u5728\u54cd\uff0c\u5f88\u5927\u58f0\u3002",
        "\u6211 \u7231Python3\u7f16\u7a0b",
        "\u3072\u3089\u304c\u306a\u3068\u30ab\u30bf\u30ab\u30ca\u3000\u5168\u89d2",
    ],
    "arabic": [
        "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645\u060c \u0643\u064a\u0641\u061f",
        "\u0642\u064e\u0631\u064e\u0623\u064e \u200f(\u0661\u0662\u0663)\u200f",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u0600\u0661 \u06dd \u0662",
    ],
    "emoji": [
        "\U0001f44d\U0001f3fd ok \U0001f44d\U0001f3fd\U0001f44d",
        "family: \U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466!",
        "\u2764\ufe0f\u200d\U0001f525 \U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7 1\ufe0f\u20e3",
    ],
    "code": [
        "def f(x):\n    if x:\n\treturn {'a': x[0] ** 2}\r\n\n\n    # done\n",
        "\tfor (i = 0; i < n; ++i) {\n\t\tp->q[i] |= 0x1F;  /* \\n */\n\t}\n",
        "<end of text> <unk> <end> </s> <|endoftext|> [UNK]",
    ],
}
ODD = st.sampled_from(
    "    \t\n\r.,'\u2019ab"
    "\u4e2d\u3042\u0e01\u0e33\u0301\u200d\u200c\ufe0f\U0001f44d\U0001f3fd\U0001f1e9\u0600\u06dd\u00a0\x1c\x85\u2028"
)
EVERYTHING = [text for corpus in CORPORA.values() for text in corpus]


def spec_of(vocabulary, kind, length=256):
    return TextSpec.of(vocabulary.tokenizer, length=length, tokens=kind, end=vocabulary.end, unknown=vocabulary.unknown)


def pieces(texts, **options):
    """The words of texts as the tokenizer names them."""
    tokenizer = parsed(words([texts], **options).tokenizer)
    return [one.tokens for one in tokenizer.encode_batch(texts, add_special_tokens=False)]


@pytest.mark.parametrize("corpus", CORPORA)
@pytest.mark.parametrize("kind", KINDS)
def test_text_comes_back_exactly(kind, corpus):
    spec = spec_of(make(kind, [CORPORA[corpus]]), kind)
    assert spec.decode(spec.encode(CORPORA[corpus])) == CORPORA[corpus]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=100)
@given(
    texts=st.lists(st.text(st.one_of(ODD, ODD, st.characters(codec="utf-8")), max_size=30), min_size=1, max_size=3),
    lowercase=st.booleans(),
)
def test_any_text_comes_back_and_is_encoded_fast_as_it_is_one_by_one(kind, texts, lowercase):
    vocabulary = make(kind, [texts], lowercase=lowercase)
    spec = spec_of(vocabulary, kind)
    if not lowercase:
        assert spec.decode(spec.encode(texts)) == texts
    want = [parsed(vocabulary.tokenizer).encode(text).ids for text in texts]
    ids, lengths = Encoder(vocabulary.tokenizer, kind)(texts)
    assert ids.tolist() == [number for row in want for number in row]
    assert lengths.tolist() == [len(row) for row in want]


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_texts_with_and_without_odd_white_space_are_encoded_alike_together(kind, lowercase):
    # As many words as spaces and one more, but not one after the other.
    texts = ["a\tb", "c  d", "e f", "see\nthe\n  the", "a  \nb", " \t x", "\n"]
    vocabulary = make(kind, [texts], lowercase=lowercase)
    want = [one.ids for one in parsed(vocabulary.tokenizer).encode_batch(texts, add_special_tokens=False)]
    ids, lengths = Encoder(vocabulary.tokenizer, kind)(texts)
    assert lengths.tolist() == [len(row) for row in want]
    assert ids.tolist() == [number for row in want for number in row]


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_many_texts_are_encoded_as_the_library_does(kind, lowercase):
    texts = EVERYTHING * 40 + [" ".join(EVERYTHING)]
    vocabulary = make(kind, [EVERYTHING[:10]], lowercase=lowercase)
    encode = Encoder(vocabulary.tokenizer, kind)
    want = [one.ids for one in parsed(vocabulary.tokenizer).encode_batch(texts, add_special_tokens=False)]
    for _ in range(2):
        ids, lengths = encode(texts)
        assert lengths.tolist() == [len(row) for row in want]
        assert ids.tolist() == [number for row in want for number in row]


def test_encoding_does_not_change_when_what_is_known_is_forgotten(monkeypatch):
    monkeypatch.setattr("gan_text.data.encoding.MOST_KEPT", 20)
    vocabulary = words([EVERYTHING])
    encode = Encoder(vocabulary.tokenizer, "words")
    first = encode(EVERYTHING)
    again = encode(EVERYTHING)
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert len(encode.stretches) <= sum(len(text.split()) + 1 for text in EVERYTHING)


# --- words ------------------------------------------------------------------------------------------------------------


def test_glued_sign_is_a_token_without_space_and_one_after_a_space_is_another():
    assert pieces(["a wheel.", "a wheel ."]) == [[" a", " wheel", "."], [" a", " wheel", " ."]]


def test_word_is_the_same_token_at_the_beginning_of_text_and_line_and_after_a_space():
    assert pieces(["the dog", "see the", "see\nthe\n  the"]) == [
        [" the", " dog"],
        [" see", " the"],
        [" see", "\n", " the", "\n  ", " the"],
    ]


def test_one_plain_space_costs_nothing_and_other_white_space_is_a_token():
    assert pieces(["a b", "a  b", "a\tb", "a\u00a0b"]) == [
        [" a", " b"],
        [" a", " ", " b"],
        [" a", "\t", " b"],
        [" a", "\u00a0", " b"],
    ]


def test_each_character_of_a_script_without_spaces_is_a_word():
    assert pieces(["\u4e2d\u6587\uff0cOK \u4e2d"]) == [["\u4e2d", "\u6587", "\uff0c", "OK", " \u4e2d"]]


def test_emoji_with_all_that_is_joined_to_it_is_one_token():
    family, thumb, heart = "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd", "\u2764\ufe0f"
    flag = "\U0001f1e9\U0001f1ea"
    assert pieces([f"{family}{thumb} {heart}{flag}"]) == [[f" {family}", thumb, f" {heart}", flag]]


def test_apostrophe_inside_a_word_belongs_to_it():
    assert pieces(["don't 'say' it's"]) == [[" don't", " '", "say", "'", " it's"]]


def test_words_are_numbered_by_count_and_then_by_code_points():
    vocabulary = json.loads(words([["b a c", "c a"], ["\u00e9 Z c"]]).tokenizer)["model"]["vocab"]
    # c is there three times, a twice, Z, b and é once.
    assert sorted(vocabulary, key=vocabulary.get) == [END, UNKNOWN, " c", " a", " Z", " b", " \u00e9"]


@pytest.mark.parametrize("lowercase", [False, True])
def test_words_are_counted_as_the_library_counts_them(lowercase):
    texts = [*EVERYTHING, "The the wheel", "wheel.", "\u0130 \u00c9t\u00e9 \u03a3\u0391\u03a3", "a  the\nwheel."] * 3
    made = words([texts], lowercase=lowercase).tokenizer
    tokenizer = Tokenizer.from_str(made)
    tokenizer.train_from_iterator(
        texts, trainers.WordLevelTrainer(special_tokens=[END, UNKNOWN], min_frequency=1, show_progress=False)
    )
    assert tokenizer.get_vocab() == json.loads(made)["model"]["vocab"]


def test_counts_are_those_of_all_texts_when_they_are_kept_in_parts(monkeypatch):
    texts = [f"w{number % 7} w{number % 3}, x{number}" for number in range(300)]
    whole = words([texts])
    monkeypatch.setattr("gan_text.data.encoding.MOST_KEPT", 80)
    assert words([texts[:120], texts[120:]]) == whole


def test_rare_words_are_unknown_and_come_back_as_such():
    spec = spec_of(words([["a a b b c"]], min_count=2), "words")
    assert spec.vocabulary == 4
    assert spec.encode(["a c b"])[0, :4].tolist() == [2, 1, 3, 0]
    assert spec.decode(spec.encode(["a c b"])) == ["a \u2047 b"]


def test_largest_vocabulary_counts_end_and_unknown():
    for make_one in (words, characters):
        spec = spec_of(make_one([["a b c a b a"]], most=4), "words")
        assert spec.vocabulary == 4


def test_lowercase_is_part_of_the_tokenizer():
    for kind in KINDS:
        spec = spec_of(make(kind, [["The THE \u00c9"]], lowercase=True), kind)
        assert spec.decode(spec.encode(["THE \u00c9"])) == ["the \u00e9"]


def test_characters_are_code_points():
    spec = spec_of(characters([["e\u0301\n "]]), "characters")
    assert spec.lengths(spec.encode(["e\u0301\n "])).tolist() == [4]


# --- byte pairs -------------------------------------------------------------------------------------------------------


def test_byte_pairs_know_every_text():
    spec = spec_of(bpe([["low lower lowest"]], most=300), "bpe")
    assert spec.unknown is None
    strange = "\U0001f44d \u4e2d\x00\x7f"
    assert spec.decode(spec.encode([strange])) == [strange]


def test_byte_pairs_merge_the_most_frequent_pair_first():
    # All bytes and the end are 257 tokens, so there is room for one merge.
    spec = spec_of(bpe([["zw", "xy", "xy"]], most=258), "bpe")
    assert [list(pair) for pair in json.loads(spec.tokenizer)["model"]["merges"]] == [["x", "y"]]
    assert spec.lengths(spec.encode(["xy", "zw"])).tolist() == [1, 2]


def test_byte_pairs_need_room_for_all_bytes():
    with pytest.raises(UsageError, match=r"at least 257 tokens .* not 256"):
        bpe([["a"]], most=256)


def test_tokenizers_are_the_same_in_another_process(tmp_path):
    program = (
        "import sys, json\n"
        "from gan_text.data.tokenizers import make\n"
        "texts = json.load(open(sys.argv[1]))\n"
        "for kind in ('characters', 'words', 'bpe'): print(json.dumps(make(kind, [texts]).tokenizer))\n"
    )
    (tmp_path / "texts.json").write_text(json.dumps(EVERYTHING))
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "texts.json")], capture_output=True, text=True, check=True
    )
    theirs = [json.loads(line) for line in done.stdout.splitlines()]
    assert theirs == [make(kind, [EVERYTHING]).tokenizer for kind in KINDS]


# --- folders ----------------------------------------------------------------------------------------------------------


def saved(folder, **special):
    from transformers import PreTrainedTokenizerFast

    raw = json.loads(words([["a b c."]]).tokenizer)
    raw["model"]["unk_token"] = UNKNOWN
    tokenizer = Tokenizer.from_str(json.dumps(raw))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    return folder


def test_stored_tokenizer_gives_its_end_and_unknown(tmp_path):
    found = pretrained(saved(tmp_path, eos_token=".", unk_token=UNKNOWN))
    spec = spec_of(found, "pretrained", length=4)
    ids = json.loads(found.tokenizer)["model"]["vocab"]
    assert (found.end, found.unknown) == (ids["."], ids[UNKNOWN])
    assert spec.encode(["a c ."])[0].tolist() == [ids[" a"], ids[" c"], found.unknown, found.end]
    assert spec.decode(spec.encode(["a c"])) == ["a c"]


def test_stored_tokenizer_without_end_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"no eos_token.*name one of its tokens as eos_token"):
        pretrained(saved(tmp_path, unk_token=UNKNOWN))


def test_folder_that_is_missing_or_holds_no_tokenizer_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        pretrained(tmp_path / "missing")
    with pytest.raises(DataError, match=r"no tokenizer could be read there .*tokenizer\.json"):
        pretrained(tmp_path)


def test_stored_tokenizer_can_make_letters_small(tmp_path):
    spec = spec_of(pretrained(saved(tmp_path, eos_token="."), lowercase=True), "pretrained")
    assert spec.decode(spec.encode(["A C"])) == ["a c"]
