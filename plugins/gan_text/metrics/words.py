"""Texts and their words, as published figures count them: a sample is decoded, and split by the tokenizer of nltk."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from gan_text.metrics.bleu import Ints, Sentences
from gan_text.spec import TextSpec

Words = tuple[str, ...]

_PLAIN = re.compile(r"[A-Za-z0-9]+|[.,]").fullmatch
_SPLIT = frozenset({"cannot", "gimme", "gonna", "gotta", "lemme", "wanna"})
"""Plain words that the tokenizer makes two of."""

_READ = WeakTensorKeyDictionary()
"""Of tensors that are still in use, the words of their first samples: several metrics ask for the same."""


def texts_of(x: Tensor, spec: TextSpec) -> list[str]:
    """The texts of hard samples `[n, length]`."""
    return spec.decode(x)


def words_of(x: Tensor, spec: TextSpec, limit: int | None = None) -> list[Words]:
    """The words of the first `limit` of hard samples `[n, length]`, in the case in which they are written."""
    count = len(x) if limit is None else min(limit, len(x))
    key = (x._version, spec.tokenizer, spec.end)
    known: tuple[object, list[Words]] | None = _READ.get(x)
    if known is None or known[0] != key or len(known[1]) < count:
        known = key, [split(text) for text in texts_of(x[:count], spec)]
        _READ[x] = known
    return known[1][:count]


def split(text: str) -> Words:
    """`text` as `nltk.word_tokenize` splits a single sentence: punctuation and clitics are words of their own."""
    parts = text.split()
    if parts and len(parts[-1]) > 1 and parts[-1][-1] == "." and parts[-1][-2].isalnum():
        parts[-1:] = parts[-1][:-1], "."
    # Where there are no more than plain words, commas and full stops, none of the tokenizer's rules finds anything to do.
    if text.isprintable() and all(map(_PLAIN, parts)) and _SPLIT.isdisjoint(map(str.lower, parts)):
        return tuple(map(sys.intern, parts))
    return tuple(map(sys.intern, _tokenizer().tokenize(text)))


def coded(*sets: Sequence[Words]) -> list[Sentences]:
    """Each of several sets of sentences in integers, the same for the same word in all of them."""
    number: dict[str, int] = {}
    return [Sentences.of([[number.setdefault(w, len(number)) for w in words] for words in one]) for one in sets]


def ngrams(sets: Sequence[Sentences], n: int, *, padded: bool = False) -> list[tuple[Ints, Ints]]:
    """The n-grams of several sets: of each the sentence and the number, `[n-grams]`, the same for the same n-gram in all.

    `padded` puts `n - 1` places before and after every sentence that are equal to each other and to no word.
    """
    if padded:
        sets = [_padded(one, n - 1) for one in sets]
    starts = [_starts(one, n) for one in sets]
    words = [one.word[start[:, None] + np.arange(n)] for one, start in zip(sets, starts, strict=True)]
    stacked = np.concatenate(words)
    number = np.zeros(len(stacked), np.int64)
    for place in range(n):
        # Two numbers become one, which stays small.
        width = int(stacked[:, place].max(initial=0)) + 2
        number = np.unique(number * width + stacked[:, place] + 1, return_inverse=True)[1]
    parts = np.split(number, np.cumsum([len(one) for one in words])[:-1])
    return [(one.row[start], part) for one, start, part in zip(sets, starts, parts, strict=True)]


@lru_cache(maxsize=1)
def _tokenizer() -> Any:
    from nltk.tokenize import NLTKWordTokenizer  # slow to import

    return NLTKWordTokenizer()


def _starts(sentences: Sentences, n: int) -> Ints:
    """The places at which n-grams begin."""
    rest = np.repeat(sentences.first[1:], sentences.lengths) - np.arange(len(sentences.word))
    return np.flatnonzero(rest >= n)


def _padded(sentences: Sentences, places: int) -> Sentences:
    """The same with -1 at so many places before and after each sentence."""
    first = sentences.first + 2 * places * np.arange(len(sentences) + 1)
    word = np.full(first[-1], -1, np.int64)
    word[np.arange(len(sentences.word)) + places * (2 * sentences.row + 1)] = sentences.word
    return Sentences(word, first)
