"""Whether texts are sentences of the built-in grammar, and how likely they are under it: exactly, not by a model of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field

from gan_text.data.rules import KIND_SYMBOLS, KINDS, NAME, START, kind_shares, kingdom
from gan_text.metrics.words import texts_of
from gan_text.spec import TextSpec
from gancore.errors import UsageError
from gancore.evaluation.distances import Floats
from gancore.evaluation.records import Figure, Material, Samples
from gancore.options import Options as BaseOptions

_ORDER = ("parses", "nll", "entropy", "nll-over-entropy", "as-asked")


class Options(BaseOptions):
    """Options of the metric `grammar`."""

    limit: int = Field(10_000, ge=1, le=1_000_000, description="How many texts of each set are parsed, at most.")


def build(options: Options, spec: TextSpec) -> GrammarMetric:
    """The metric; see `GrammarMetric`.

    Raises:
        UsageError: the spec names a grammar that is not there.
    """
    return GrammarMetric(options, spec)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What the grammar says of a set of texts.

    `nll` `[n]` in nats, infinite for a text that does not parse; `kind` `[n]` numbers `KINDS`, -1 for such a text; `entropy`
    is the grammar's, in nats a sentence.
    """

    nll: Floats
    kind: np.ndarray
    asked: np.ndarray | None
    entropy: float


class GrammarMetric:
    """Texts are parsed, and their true negative log-likelihood (NLL) is computed with the inside algorithm.

    - `parses`: share of texts that are sentences of the grammar.
    - `nll`: mean NLL in nats of those that parse; given their kind, where kinds are classes.
    - `entropy`: that of the grammar in nats a sentence, which is the mean NLL of its own sentences. Where kinds are classes,
      it is the mean over the kinds of the texts that parse, or of those that were asked for where none does.
    - `nll-over-entropy`: the one by the other: below 1, common sentences are too common.
    - `as-asked`: share of texts that are sentences of the kind that was asked for, where kinds are classes.

    Without a single text that parses there is no `nll`. Of texts that are not of the grammar there are no figures.
    """

    def __init__(self, options: Options, spec: TextSpec) -> None:
        if spec.grammar not in ("", NAME):
            raise UsageError(f"these texts are of a grammar '{spec.grammar}', which is not known; known: {NAME}")
        self.options = options
        self.spec = spec
        self.conditional = set(spec.classes) == set(KINDS)
        """Whether classes are kinds of sentences."""
        self.entropies = np.array([kingdom().entropy[symbol] for symbol in KIND_SYMBOLS])

    def __call__(self, material: Material) -> dict[str, Figure]:
        """The figures by their names."""
        if not self.spec.grammar:
            return {}
        sets = (material.generated, material.real, *material.others.values())
        return _side_by_side([_figures(self._parse(one)) for one in sets], material.others)

    def _parse(self, samples: Samples) -> Parsed:
        texts = texts_of(samples.x[: self.options.limit], self.spec)
        by_kind = kingdom().log_likelihood([text.split(" ") for text in texts], KIND_SYMBOLS)
        likeliest, kind = by_kind.max(1)
        if self.conditional:
            nll = -likeliest
        else:
            nll = -torch.logsumexp(by_kind + torch.tensor(kind_shares(), dtype=torch.float64).log(), 1)
        kind = kind.masked_fill(likeliest.isinf(), -1)
        asked = None
        if self.conditional and samples.condition is not None:
            numbers = torch.tensor([KINDS.index(name) for name in self.spec.classes])
            asked = numbers[samples.condition[: len(texts)]].numpy()
        return Parsed(nll.numpy(), kind.numpy(), asked, self._entropy(kind[kind >= 0].numpy(), asked))

    def _entropy(self, kinds: np.ndarray, asked: np.ndarray | None) -> float:
        """Entropy of sentences of these kinds in the mean; without any, of the kinds asked for."""
        known = kinds if len(kinds) else asked
        if self.conditional and known is not None and len(known):
            return float(self.entropies[known].mean())
        return kingdom().entropy[START]


def _figures(parsed: Parsed) -> dict[str, float]:
    parses = parsed.kind >= 0
    found = {"parses": _mean(parses), "entropy": parsed.entropy}
    if parses.any():
        nll = _mean(parsed.nll[parses])
        found |= {"nll": nll, "nll-over-entropy": nll / parsed.entropy}
    if parsed.asked is not None:
        found["as-asked"] = _mean(parsed.kind == parsed.asked)
    return {name: found[name] for name in _ORDER if name in found}


def _side_by_side(sets: Sequence[Mapping[str, float]], others: Iterable[str]) -> dict[str, Figure]:
    """Figures of generated texts, of real ones, and of those of `others`."""
    ours, theirs, *more = sets
    named = dict(zip(others, more, strict=True))
    return {
        name: Figure(
            value=value,
            real=theirs.get(name),
            others={other: figures[name] for other, figures in named.items() if name in figures},
        )
        for name, value in ours.items()
    }


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0
