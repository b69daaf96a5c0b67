"""Whether generated texts are copies: their distance to the nearest text that was trained on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor

from gan_text.metrics.bleu import Ints, Sentences
from gan_text.metrics.words import coded, ngrams, words_of
from gan_text.spec import TextSpec
from gancore.evaluation.distances import Floats
from gancore.evaluation.distributions import nearer, overlap
from gancore.evaluation.records import Figure, Material
from gancore.options import Options as BaseOptions

_COLUMNS = 512
"""Training texts that are looked at together, to bound memory."""


class Options(BaseOptions):
    """Options of the metric `copying`."""

    below: float = Field(
        0.3,
        ge=0.0,
        le=1.0,
        description="A text nearer than this to one trained on counts as a near copy: 0.3 is one other word in eleven.",
    )
    limit: int = Field(
        1000, ge=2, le=100_000, description="How many generated and how many real texts are looked at, at most."
    )


def build(options: Options, spec: TextSpec) -> Copying:
    """The metric; see `Copying`."""
    return Copying(options, spec)


class Copying:
    """Distances between texts are 1 - Jaccard index of their pairs of neighbouring words, beginning and end among them.

    - `exact`: share of texts whose words are those of a training text, in their order.
    - `near`: share of texts at a distance below `below` from some training text, copies among them.
    - `distance`: median distance to the nearest training text, in [0, 1]; its overlap is that of the distributions.
    - `nearer`: share of the pairs of a generated and a real text in which the generated one lies nearer to the training set,
      ties counting half: 0.5 where they are alike, 1 where all generated are nearer.

    Where the real texts are not held out, each is compared with the training set without itself.
    """

    def __init__(self, options: Options, spec: TextSpec) -> None:
        self.options = options
        self.spec = spec

    def __call__(self, material: Material) -> dict[str, Figure]:
        """The figures by their names."""
        limit, names = self.options.limit, list(material.others)
        sets = [material.generated, material.real, *(material.others[name] for name in names)]
        train, *all_sets = coded(
            words_of(material.train.x, self.spec), *(words_of(one.x, self.spec, limit) for one in sets)
        )
        same = [places(one, train) for one in all_sets]
        if not material.held_out:
            itself = same[1]
            # A text that was trained on twice is a copy of the other one.
            same[1] = places(all_sets[1], train, leave_out=itself)
        else:
            itself = None
        pairs, *rest = _pairs([train, *all_sets])
        distances = [nearest(one, pairs, leave_out=itself if number == 1 else None) for number, one in enumerate(rest)]
        ours, theirs, *others = distances
        exact, exact_real, *exact_others = (_share(one >= 0) for one in same)
        below = self.options.below
        return {
            "exact": Figure(value=exact, real=exact_real, others=dict(zip(names, exact_others, strict=True))),
            "near": Figure(
                value=_share(ours < below),
                real=_share(theirs < below),
                others={name: _share(one < below) for name, one in zip(names, others, strict=True)},
            ),
            "distance": Figure(
                value=_median(ours),
                real=_median(theirs),
                overlap=overlap(ours, theirs),
                others={name: _median(one) for name, one in zip(names, others, strict=True)},
            ),
            "nearer": Figure(
                value=nearer(ours, theirs),
                real=0.5,
                others={name: nearer(one, theirs) for name, one in zip(names, others, strict=True)},
            ),
        }


class _Pairs:
    """The different pairs of each text: those of text i are `number[first[i] : first[i + 1]]`, rising."""

    def __init__(self, row: Ints, number: Ints, count: int) -> None:
        width = int(number.max(initial=0)) + 1
        different = np.unique(row * width + number)
        self.number = different % width
        self.first = np.searchsorted(different // width, np.arange(count + 1))

    def __len__(self) -> int:
        return len(self.first) - 1


def _pairs(sets: list[Sentences]) -> list[_Pairs]:
    found = ngrams(sets, 2, padded=True)
    return [_Pairs(row, number, len(one)) for (row, number), one in zip(found, sets, strict=True)]


def nearest(texts: _Pairs, train: _Pairs, *, leave_out: Ints | None = None) -> Floats:
    """Distance `[texts]` of each text to the nearest of `train`; 1 where it shares nothing with any.

    `leave_out` `[texts]` numbers a text of `train` that is not looked at, -1 for none.
    """
    best = torch.ones(len(texts))
    number, first = torch.from_numpy(texts.number), torch.from_numpy(texts.first)
    for begin in range(0, len(train), _COLUMNS):
        end = min(begin + _COLUMNS, len(train))
        distances = _distances(number, first, train, begin, end)
        if leave_out is not None:
            mine = np.flatnonzero((leave_out >= begin) & (leave_out < end))
            distances[torch.from_numpy(mine), torch.from_numpy(leave_out[mine] - begin)] = 1.0
        best = torch.minimum(best, distances.amin(dim=1))
    found: Floats = best.double().numpy()
    return found


def _distances(number: Tensor, first: Tensor, train: _Pairs, begin: int, end: int) -> Tensor:
    """Distances `[texts, end - begin]` to some training texts, side by side."""
    sizes = torch.from_numpy(np.diff(train.first[begin : end + 1]))
    kinds, row = np.unique(train.number[train.first[begin] : train.first[end]], return_inverse=True)
    held = torch.zeros(len(kinds) + 1, end - begin)
    held[torch.from_numpy(row), torch.arange(end - begin).repeat_interleave(sizes)] = 1.0
    known = torch.from_numpy(kinds)
    at = torch.searchsorted(known, number).clamp(max=len(kinds) - 1)
    # Pairs that none of these texts has are at the empty row.
    at[known[at] != number] = len(kinds)
    # A sum of the rows of its pairs is how many of them each training text shares.
    shared = torch.nn.functional.embedding_bag(at, held, first, mode="sum", include_last_offset=True)
    union = first.diff()[:, None] + sizes - shared
    return 1.0 - shared / union


def places(texts: Sentences, train: Sentences, *, leave_out: Ints | None = None) -> Ints:
    """For each text the number of the first training text with the same words, other than that in `leave_out`; -1 without."""
    known: dict[bytes, list[int]] = {}
    for number, key in enumerate(_keys(train)):
        known.setdefault(key, []).append(number)
    out = np.full(len(texts), -1) if leave_out is None else leave_out
    found = [next((n for n in known.get(key, ()) if n != o), -1) for key, o in zip(_keys(texts), out, strict=True)]
    return np.array(found, np.int64)


def _keys(sentences: Sentences) -> list[bytes]:
    return [sentences.word[a:b].tobytes() for a, b in zip(sentences.first[:-1], sentences.first[1:], strict=True)]


def _median(distances: Floats) -> float:
    return float(np.median(distances)) if len(distances) else 1.0


def _share(chosen: npt.NDArray[np.bool_]) -> float:
    return float(chosen.mean()) if len(chosen) else 0.0
