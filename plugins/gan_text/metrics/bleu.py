"""BLEU of whole sets of sentences at once: every hypothesis against all references, exactly as nltk scores one pair.

A sentence is a row of integers, one a word. What references hold is tabulated once, so that a hypothesis costs as much as
its n-grams, however many references there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

EPSILON = 0.1
"""Matches that are counted where there are none: method 1 of Chen and Cherry 2014, "A systematic comparison of smoothing
techniques for sentence-level BLEU"."""


@dataclass(frozen=True, slots=True)
class Sentences:
    """Sentences of integers: number i is `word[first[i] : first[i + 1]]`. `word` `[words]`, `first` `[sentences + 1]`, int64."""

    word: Ints
    first: Ints

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> Sentences:
        """Rows of integers, which may be of different lengths, or empty."""
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        first = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        return cls(np.fromiter((w for row in rows for w in row), np.int64, int(first[-1])), first)

    def __len__(self) -> int:
        return len(self.first) - 1

    @property
    def lengths(self) -> Ints:
        """Words of each sentence `[sentences]`."""
        return np.diff(self.first)

    @property
    def row(self) -> Ints:
        """The sentence of each word `[words]`."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def head(self, count: int) -> Sentences:
        """The first `count` sentences, or all where there are fewer."""
        first = self.first[: count + 1]
        return Sentences(self.word[: first[-1]], first)


@dataclass(frozen=True, slots=True)
class _Order:
    """The n-grams of one length that references have, as sorted `key` `[n-grams]`; an n-gram's number is its place there.

    `best` `[n-grams]` is how often the n-gram is in the sentence that has most of it, and `second` in the sentence after
    that: the same where two have as many, 0 where no other has it.
    """

    key: Ints
    best: Ints
    second: Ints

    def find(self, key: Ints) -> Ints:
        """The numbers of n-grams with keys `[n]`, -1 for those that no reference has and for keys below 0."""
        if not len(self.key):
            return np.full(len(key), -1)
        at = np.searchsorted(self.key, key).clip(max=len(self.key) - 1)
        return np.where(self.key[at] == key, at, -1)


class References:
    """What BLEU up to n-grams of length `order` asks of `sentences`, tabulated."""

    def __init__(self, sentences: Sentences, order: int = 5) -> None:
        if not len(sentences):
            raise ValueError("BLEU needs at least one reference")
        self.sentences = sentences
        self.order = order
        self._orders: list[_Order] = []
        row, number = sentences.row, np.zeros(len(sentences.word), np.int64)
        word = np.zeros(0, np.int64)
        for n, start in enumerate(_starts(sentences, order), 1):
            # A key is made of the number of the n-gram without its last word and of the number of that word.
            key = sentences.word if n == 1 else number[start] * self._words + word[start + n - 1]
            keys, place = np.unique(key, return_inverse=True)
            number[start] = place
            if n == 1:
                word = number.copy()
            self._orders.append(_Order(keys, *_highest(row[start], place, len(keys), len(sentences))))

    @property
    def _words(self) -> int:
        """How many different words there are."""
        return max(1, len(self._orders[0].key))

    @cached_property
    def _lengths(self) -> tuple[Ints, Ints]:
        """The lengths that occur, rising, and how many sentences have each."""
        lengths, counts = np.unique(self.sentences.lengths, return_counts=True)
        return lengths, counts

    def score(self, hypotheses: Sentences) -> Floats:
        """BLEU-1 to BLEU-`order` of each hypothesis against all references: `[hypotheses, order]`, in [0, 1].

        Papineni et al. 2002, "BLEU: a method for automatic evaluation of machine translation", of single sentences with
        uniform weights: what `nltk.translate.bleu_score.sentence_bleu` gives with `SmoothingFunction().method1`. An n-gram
        matches as often as the reference with most of it has it; the brevity penalty takes the reference whose length is
        nearest, the shorter of two. A hypothesis without a common word has 0.
        """
        matches = np.zeros((len(hypotheses), self.order), np.int64)
        for n, (row, number, count) in enumerate(self._matched(hypotheses)):
            clipped = np.minimum(count, self._orders[n].best[number])
            matches[:, n] = np.bincount(row, clipped, len(hypotheses))
        return _bleu(matches, hypotheses.lengths, self._nearest(hypotheses.lengths))

    def score_selves(self) -> Floats:
        """BLEU of each reference against all others: `[sentences, order]`; those equal to it are others too.

        Zhu et al. 2018, "Texygen: a benchmarking platform for text generation models".

        Raises:
            ValueError: there is only one.
        """
        count = len(self.sentences)
        if count < 2:
            raise ValueError("self-BLEU needs at least two sentences")
        matches = np.zeros((count, self.order), np.int64)
        for n, (row, number, own) in enumerate(self._matched(self.sentences)):
            order = self._orders[n]
            # The highest count of the others is the second highest of all where the sentence has the highest itself.
            clipped = np.minimum(own, np.where(own == order.best[number], order.second[number], order.best[number]))
            matches[:, n] = np.bincount(row, clipped, count)
        return _bleu(matches, self.sentences.lengths, self._nearest_other())

    def _matched(self, hypotheses: Sentences) -> Iterator[tuple[Ints, Ints, Ints]]:
        """For each order the n-grams that hypotheses share with references: sentence, number and count, `[different ones]`."""
        row, number = hypotheses.row, np.full(len(hypotheses.word), -1)
        word = np.zeros(0, np.int64)
        for n, start in enumerate(_starts(hypotheses, self.order), 1):
            if n == 1:
                key = hypotheses.word
            else:
                last = word[start + n - 1]
                key = np.where((number[start] < 0) | (last < 0), -1, number[start] * self._words + last)
            order = self._orders[n - 1]
            found = order.find(key)
            number[start] = found
            if n == 1:
                word = number.copy()
            known = found >= 0
            pairs, count = np.unique(row[start][known] * len(order.key) + found[known], return_counts=True)
            yield *np.divmod(pairs, max(1, len(order.key))), count

    def _nearest(self, lengths: Ints) -> Ints:
        """The length of a reference that is nearest to each of `lengths` `[n]`, the shorter of two."""
        known, _ = self._lengths
        at = np.searchsorted(known, lengths)
        return _nearer(known, at - 1, at, lengths)

    def _nearest_other(self) -> Ints:
        """The same for each of the sentences, among all others."""
        known, counts = self._lengths
        lengths = self.sentences.lengths
        at = np.searchsorted(known, lengths)
        alone = counts[at] == 1
        return np.where(alone, _nearer(known, at - 1, at + 1, lengths), lengths)


def _starts(sentences: Sentences, order: int) -> Iterator[Ints]:
    """For n = 1 to `order`, the places at which n-grams begin, rising."""
    rest = np.repeat(sentences.first[1:], sentences.lengths) - np.arange(len(sentences.word))
    start = np.arange(len(sentences.word))
    for n in range(1, order + 1):
        start = start[rest[start] >= n]
        yield start


def _highest(row: Ints, number: Ints, numbers: int, rows: int) -> tuple[Ints, Ints]:
    """How often each of `numbers` n-grams is in the sentence that has most of it, and in the next."""
    pairs, count = np.unique(number * rows + row, return_counts=True)
    number = pairs // rows
    # Rising counts within each n-gram, so that the highest is the last.
    ordered = count[np.lexsort((count, number))]
    ends = np.cumsum(np.bincount(number, minlength=numbers))
    several = np.diff(ends, prepend=0) > 1
    return ordered[ends - 1], np.where(several, ordered[ends - 2], 0)


def _nearer(known: Ints, below: Ints, above: Ints, lengths: Ints) -> Ints:
    """Which of two places in `known` is nearer to each length, the lower where both are; places outside are not looked at."""
    low, high = known[below.clip(min=0)], known[above.clip(max=len(known) - 1)]
    take_low = (above >= len(known)) | ((below >= 0) & (lengths - low <= high - lengths))
    return np.where(take_low, low, high)


def _bleu(matches: Ints, lengths: Ints, nearest: Ints) -> Floats:
    """BLEU-1 to BLEU-N of clipped matches `[hypotheses, N]`, lengths `[hypotheses]` and those of the nearest references."""
    orders = np.arange(1, matches.shape[1] + 1)
    total = np.maximum(1, lengths[:, None] - orders + 1)
    precision = np.where(matches > 0, matches, EPSILON) / total
    geometric = np.exp(np.cumsum(np.log(precision), axis=1) / orders)
    brevity = np.where(lengths > nearest, 1.0, np.exp(1.0 - nearest / np.maximum(1, lengths)))
    return np.where(matches[:, :1] > 0, brevity[:, None] * geometric, 0.0)
