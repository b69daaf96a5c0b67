"""The built-in demonstration set: sentences of a probabilistic grammar, whose likelihood and entropy are known exactly.

Since they are, what a generator has learnt can be measured on its own samples: see `gan_text.metrics.grammar`.
"""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from gan_text.data.rules import KIND_SYMBOLS, KINDS, NAME, kind_shares, kingdom
from gan_text.data.source import TokenSource, compact
from gan_text.data.tokenizers import words
from gan_text.spec import TextSpec
from gancore.components import ProgressReport
from gancore.data.report import ScanReport
from gancore.options import Options as BaseOptions
from gancore.random import Draws, derive

_PART = 1 << 14
"""Sentences drawn at once, to bound memory."""


class Options(BaseOptions):
    """Options of the data set `grammar`."""

    count: int = Field(20_000, ge=1, le=1_000_000, description="How many sentences are drawn.")
    labels: bool = Field(
        True, description="Whether the kinds of sentences (statement, question, command, exclamation) are classes."
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Decides the sentences; another gives sentences to hold out.")


def open_grammar(options: Options, progress: ProgressReport) -> TokenSource:
    """Sentences that are a function of the seed and their number: with a larger `count` the first stay the same.

    Some come more than once, as the grammar has it; equal ones have one group, so none that is held out is trained on.
    """
    parts, kinds = [], []
    for start in range(0, options.count, _PART):
        progress("drawing sentences", start, options.count)
        numbers = torch.arange(start, min(start + _PART, options.count))
        part, kind = draw(options.seed, numbers)
        parts.append(part)
        kinds.append(kind)
    progress("drawing sentences", options.count, options.count)

    sentences = torch.cat(parts)
    inside = sentences >= 0
    spec = sentence_spec(labels=options.labels)
    tokens = _ids(spec)[sentences[inside]]
    _, first, which = np.unique(sentences.numpy(), axis=0, return_index=True, return_inverse=True)
    groups = torch.from_numpy(first[which.reshape(-1)])
    return TokenSource(
        compact(tokens, spec.vocabulary),
        torch.nn.functional.pad(inside.sum(1).cumsum(0), (1, 0)),
        spec,
        ScanReport(source="grammar", found=options.count, used=options.count),
        labels=torch.cat(kinds) if options.labels else None,
        groups=groups if len(first) < options.count else None,
    )


def draw(seed: int, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """The sentences with these numbers `[n]`: words of the grammar `[n, longest]` int64, -1 after the last, and kinds `[n]`."""
    grammar = kingdom()
    draws = Draws(derive(seed, "grammar", NAME), numbers)
    ends = torch.tensor(kind_shares(), dtype=torch.float64).cumsum(0)[:-1]
    kinds = (draws.uniform("kind").double()[:, None] >= ends).sum(1)
    places = torch.tensor([grammar.symbols.index(symbol) for symbol in KIND_SYMBOLS])
    return grammar.draw(draws, places[kinds]), kinds


def sentence_spec(*, labels: bool) -> TextSpec:
    """The spec of the grammar's sentences: a token a word, and room for the end after the longest sentence."""
    grammar = kingdom()
    vocabulary = words([[" ".join(grammar.words)]])
    return TextSpec.of(
        vocabulary.tokenizer,
        length=grammar.longest[grammar.start] + 1,
        tokens="words",
        end=vocabulary.end,
        unknown=vocabulary.unknown,
        classes=KINDS if labels else (),
        grammar=NAME,
    )


def _ids(spec: TextSpec) -> Tensor:
    """The token of each word of the grammar, `[words]` int64."""
    ids = spec.token_ids(kingdom().words)
    return torch.tensor([one for (one,) in ids])
