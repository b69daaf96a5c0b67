"""Attributes of texts: a number of each, such as its length, by which generators of texts are steered.

Words are those of the metrics: punctuation marks are words of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gan_text.data.tokenizers import UNKNOWN
from gan_text.metrics.words import Words, words_of
from gan_text.spec import TextSpec
from gancore.components import Measure


def length(spec: TextSpec) -> Measure:
    """How many tokens of the data set's own kind stand before the end, from 0 to the length of a sample."""
    return lambda x: spec.lengths(x).float()


def variety(spec: TextSpec) -> Measure:
    """Different words / words, above 0 and up to 1; NaN without words. Long texts repeat themselves more than short ones."""
    return _quotient(spec, lambda words: len(set(words)), len)


def punctuation(spec: TextSpec) -> Measure:
    """Words without a letter or digit / words, from 0 to 1; NaN without words. Unknown words count as some with letters."""
    return _quotient(spec, lambda words: sum(not _spelt(word) and word != UNKNOWN for word in words), len)


def word_length(spec: TextSpec) -> Measure:
    """Mean number of characters of the words that have a letter or digit, 1 and up; NaN without such. Unknown words do not count."""
    return _quotient(
        spec, lambda words: sum(len(word) for word in words if _spelt(word)), lambda words: sum(map(_spelt, words))
    )


def _spelt(word: str) -> bool:
    return any(map(str.isalnum, word))


def _quotient(spec: TextSpec, top: Callable[[Words], int], bottom: Callable[[Words], int]) -> Measure:
    def measure(x: Tensor) -> Tensor:
        each = [top(words) / count if (count := bottom(words)) else math.nan for words in words_of(x, spec)]
        return torch.tensor(each, dtype=torch.float32)

    return measure
