"""Whether words and pairs of words are as frequent as in real texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from gan_text.metrics.bleu import Floats, Sentences
from gan_text.metrics.words import coded, ngrams, words_of
from gan_text.spec import TextSpec
from gancore.evaluation.records import Figure, Material
from gancore.options import Options as BaseOptions

_NAMES = {1: "unigrams", 2: "bigrams"}


class Options(BaseOptions):
    """Options of the metric `ngrams`."""

    limit: int = Field(
        10_000,
        ge=2,
        le=1_000_000,
        description="How many texts of each set are looked at, at most; more are less biased.",
    )


def build(options: Options, spec: TextSpec) -> Ngrams:
    """The metric; see `Ngrams`."""
    return Ngrams(options, spec)


class Ngrams:
    """Distributions of words, and of pairs of neighbours with the beginning and the end of a text among them.

    - `divergence/unigrams` and `/bigrams`: Jensen-Shannon divergence in bits, 0 to 1 (Lin 1991), of the generated and the real
      distribution; the floor is that of one half of the real texts and the other. Sets of equal size are compared, since
      divergences of samples are the larger the smaller these are: both halves of the generated and of the real texts, the
      mean of two.
    - `entropy/unigrams` and `/bigrams`: in bits, of equally many texts of all sets.
    """

    def __init__(self, options: Options, spec: TextSpec) -> None:
        self.options = options
        self.spec = spec

    def __call__(self, material: Material) -> dict[str, Figure]:
        """The figures by their names."""
        names = list(material.others)
        sets = [material.generated, material.real, *(material.others[name] for name in names)]
        coded_sets = coded(*(words_of(one.x, self.spec, self.options.limit) for one in sets))
        count = min(map(len, coded_sets))
        # Parts of one size: a set's first and second half; where there is one text alone, that for both.
        half = max(1, count // 2)
        found = {}
        for n, name in _NAMES.items():
            first, second, whole = (
                _counts(coded_sets, n, part) for part in (slice(0, half), slice(half, 2 * half), slice(count))
            )
            if count < 2:
                second = first
            floor = divergence(first[1], second[1])
            ours, _, *others = (
                (divergence(a, first[1]) + divergence(b, second[1])) / 2 for a, b in zip(first, second, strict=True)
            )
            found[f"divergence/{name}"] = Figure(value=ours, floor=floor, others=dict(zip(names, others, strict=True)))
            mine, theirs, *rest = map(entropy, whole)
            found[f"entropy/{name}"] = Figure(value=mine, real=theirs, others=dict(zip(names, rest, strict=True)))
        return dict(sorted(found.items()))


def divergence(first: Floats, second: Floats) -> float:
    """Jensen-Shannon divergence in bits, in [0, 1], of counts `[kinds]` and `[kinds]`: 0 where both are empty, 1 where one is."""
    if not first.sum() or not second.sum():
        return float(first.sum() != second.sum())
    p, q = first / first.sum(), second / second.sum()
    return min(1.0, max(0.0, entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2))


def entropy(counts: Floats) -> float:
    """Entropy in bits of the distribution that is proportional to counts `[kinds]`; 0 where there are none."""
    some = counts[counts > 0]
    if not len(some):
        return 0.0
    p = some / some.sum()
    return max(0.0, float(-(p * np.log2(p)).sum()))


def _counts(sets: Sequence[Sentences], n: int, part: slice) -> list[Floats]:
    """How often each n-gram of any set occurs in each set's sentences of a part: `[n-grams]`."""
    found = ngrams(sets, n, padded=True)
    kinds = 1 + max(int(number.max(initial=0)) for _, number in found)
    chosen = []
    for (row, number), one in zip(found, sets, strict=True):
        begin, end, _ = part.indices(len(one))
        chosen.append(np.bincount(number[(row >= begin) & (row < end)], minlength=kinds).astype(np.float64))
    return chosen
