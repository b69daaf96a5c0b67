"""The features `lsa`: latent semantic analysis of the texts trained on, which needs no network and no one else's data."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from gan_text.features import pairs
from gan_text.metrics.words import Words, texts_of, words_of
from gan_text.spec import TextSpec
from gancore.evaluation.distances import Floats
from gancore.evaluation.records import Samples
from gancore.options import Options as BaseOptions

_LONGEST = {"words": 2, "characters": 3}
"""Of n-grams, by what they are made of."""
_RIM = ""
"""What stands before and after a text in its n-grams, and is equal to no part of one."""
_VERSION = 2
"""Of what is made of a text; another makes all kept features unknown."""


class Options(BaseOptions):
    """Options of the features `lsa`."""

    unit: Literal["auto", "words", "characters"] = Field(
        "auto",
        description="What n-grams are made of: words and pairs of them, or up to three characters. auto: characters where those are "
        "the tokens of the data set. Figures of different units cannot be compared.",
    )
    components: int = Field(32, ge=1, le=1024, description="Singular vectors of the training texts that are kept.")


class Latent:
    """Latent semantic analysis (Deerwester et al. 1990), and one number for what was never met in training.

    A text is its n-grams, beginning and end among them, weighted by TF-IDF with logarithmic counts and brought to length 1. Its
    features are the projection on the first singular vectors of the training texts, and the lengths of what no other training text
    has: of new words, and of new pairs of known ones. The mean of the training texts is taken away, and all are multiplied by the
    root of the number of components, so that they are around 1. A training text is weighted as if it had not been there: otherwise
    only the others would have anything new. Nor has it any share in the directions that it is projected on, which fit the texts
    that they are of better than any others.

    They know which words stand beside each other, and nothing of what they mean. Distances to training texts are those
    of `gan_text.features.pairs`.
    """

    near = 0.3
    """One other word in eleven."""
    same = -1.0

    def __init__(self, options: Options, spec: TextSpec) -> None:
        self.options = options
        self.spec = spec
        usual = "characters" if spec.tokens == "characters" else "words"
        self.unit = usual if options.unit == "auto" else options.unit
        self.fingerprint = ""
        self._trained: frozenset[Words] = frozenset()
        self._known: dict[Words, int] = {}
        self._texts_with: Counter[Words] = Counter()
        self._directions: Floats = np.zeros((0, 0))
        self._squares: Floats = np.zeros(0)
        self._mean: Floats = np.zeros(0)

    def fit(self, train: Samples) -> None:
        """Find the n-grams and singular vectors of the texts of `train`."""
        from sklearn.utils.extmath import randomized_svd  # slow to import

        # Equal ones are one: each would know all n-grams of the other.
        texts = list(dict.fromkeys(self._split(train.x)))
        self._trained = frozenset(texts)
        self._texts_with = Counter(term for text in texts for term in set(self._terms(text)))
        self._known = {term: at for at, term in enumerate(sorted(self._texts_with))}
        weights = self._weights(texts)
        known = weights[:, : len(self._known)]
        _, values, directions = randomized_svd(known, min(self.options.components, *known.shape), random_state=0)
        self._directions, self._squares = directions.T, values**2
        self._mean = self._project(weights, np.ones(len(texts), dtype=bool)).mean(axis=0)
        digest = hashlib.sha256(f"{_VERSION} {self.unit} {self.spec.end} {self.spec.tokenizer}".encode())
        digest.update(repr(texts).encode())
        digest.update(self._directions.tobytes() + self._mean.tobytes())
        self.fingerprint = f"lsa {digest.hexdigest()}"

    def __call__(self, x: Tensor) -> Tensor:
        """Features float32 `[n, components + 2]` of words or `[n, components + 3]` of characters, of texts int32 `[n, length]`."""
        texts = self._split(x)
        own = np.array([text in self._trained for text in texts], dtype=bool)
        rows = self._project(self._weights(texts), own) - self._mean
        return torch.from_numpy(rows * math.sqrt(self._directions.shape[1])).float()

    def keys(self, samples: Tensor) -> list[bytes]:
        """The words, or characters, of each of texts int32 `[n, length]`, in their order."""
        return ["\0".join(parts).encode() for parts in self._split(samples)]

    def nearest(self, samples: Tensor, train: Tensor, leave_out: Tensor | None) -> Tensor:
        """Distance float64 `[n]`, in [0, 1], of texts `[n, length]` to the nearest of `train`; see `pairs.nearest`."""
        return pairs.nearest(self._split(samples), self._split(train), leave_out)

    def _split(self, x: Tensor) -> list[Words]:
        return words_of(x, self.spec) if self.unit == "words" else [tuple(text) for text in texts_of(x, self.spec)]

    def _terms(self, text: Words) -> list[Words]:
        padded = (_RIM, *text, _RIM)
        longer = (padded[at : at + n] for n in range(2, _LONGEST[self.unit] + 1) for at in range(len(padded) - n + 1))
        return [*((part,) for part in text), *longer]

    def _weights(self, texts: Sequence[Words]) -> Any:
        """Sparse rows `[texts, n-grams + longest]` of length 1; the last columns are for those that no other training text has.

        Of these, each n-gram belongs to the shortest part of it that is new: pairs with a new word to new words.
        """
        from scipy.sparse import csr_array  # slow to import

        longest = _LONGEST[self.unit]
        values: list[float] = []
        columns: list[int] = []
        first = [0]
        for text in texts:
            own = text in self._trained
            begin = len(values)
            new: dict[Words, int] = {}
            squares = [0.0] * longest
            for term, count in Counter(self._terms(text)).items():  # shorter ones first
                others = self._texts_with[term] - own
                idf = math.log((1 + len(self._trained) - own) / (1 + others)) + 1.0
                weight = (1.0 + math.log(count)) * idf
                if others:
                    values.append(weight)
                    columns.append(self._known[term])
                else:
                    new[term] = min(new.get(term[:-1], len(term)), new.get(term[1:], len(term)))
                    squares[new[term] - 1] += weight**2
            values += map(math.sqrt, squares)
            columns += range(len(self._known), len(self._known) + longest)
            length = math.sqrt(sum(value**2 for value in values[begin:]))
            values[begin:] = [value / length for value in values[begin:]]
            first.append(len(values))
        return csr_array((values, columns, first), shape=(len(texts), len(self._known) + longest))

    def _project(self, weights: Any, own: np.ndarray) -> Floats:
        """Rows `[texts, components + longest]`; those that `own` `[texts]` marks were trained on.

        Were such a text left out, a direction with the singular value s would turn away from the part of it, of length r, that lies
        in none of the directions: to the first order its projection is smaller by the factor 1 - r^2 / s^2.
        """
        known = weights[:, : len(self._known)]
        found: Floats = known @ self._directions
        if own.any():
            rest = (known.multiply(known).sum(axis=1) - (found**2).sum(axis=1)).clip(min=0.0)[own, None]
            found[own] *= (1.0 - rest / self._squares.clip(min=1e-12)).clip(min=0.0)
        return np.concatenate([found, weights[:, len(self._known) :].toarray()], axis=1)
