"""Probabilistic context-free grammars without recursion: drawing sentences, their exact likelihood, their exact entropy.

Without recursion a grammar has finitely many sentences, however many those are, and every quantity here is a sum over its
rules, from symbols that derive words up to the start.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import torch
from torch import Tensor

from gancore.random import Draws

Table = Sequence[Mapping[str, str]]
"""Rows that agree: within one rule all variables of a table take their values from one row."""

_VARIABLE = re.compile(r"\{(\w+)\}")
_LEAST = -600.0
"""Logarithm below which the probability of a sentence could be lost in float64."""
_CHUNK = 1 << 16
"""Elements of the span matrices of one symbol that are computed at once, so that they stay in the cache."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`left` is rewritten as the symbols and words `right`, with this probability among the rules of `left`."""

    left: str
    right: tuple[str, ...]
    probability: float


def parse(text: str, tables: Sequence[Table] = ()) -> list[Rule]:
    """The rules in a text; their weights are made probabilities.

    A rule is `Left -> 3 the Noun | Name`: alternatives with their weights, 1 where none is given. Lines that begin with `|`
    go on with the rule above, and `#` begins a remark. A variable `{name}` stands for each value of that column of a table:
    one on the left makes a rule for each, one that is on the right alone makes alternatives that share the weight.

    Raises:
        ValueError: a line is no rule, or a variable is in no table.
    """
    weights: dict[str, dict[tuple[str, ...], float]] = {}
    template = ""
    for raw in text.splitlines():
        line = raw.split("#")[0].strip()
        if "->" in line:
            template, line = (part.strip() for part in line.split("->", 1))
        if line and not template:
            raise ValueError(f"'{raw.strip()}' is not a rule: 'Left -> right | right' is expected")
        for alternative in filter(None, (part.split() for part in line.split("|"))):
            weighted = re.fullmatch(r"\d+(\.\d+)?", alternative[0]) is not None
            weight = float(alternative[0]) if weighted else 1.0
            right = " ".join(alternative[weighted:])
            for outer in _bindings(template, tables, {}):
                found = weights.setdefault(_filled(template, outer), {})
                inner = _bindings(right, tables, outer)
                for binding in inner:
                    symbols = tuple(_filled(right, binding).split())
                    found[symbols] = found.get(symbols, 0.0) + weight / len(inner)
    return [
        Rule(left, right, weight / sum(found.values()))
        for left, found in weights.items()
        for right, weight in found.items()
    ]


def _bindings(text: str, tables: Sequence[Table], bound: Mapping[str, str]) -> list[Mapping[str, str]]:
    """All ways to give the variables of a text their values, beside those that are bound."""
    missing = set(_VARIABLE.findall(text)) - set(bound)
    used = [table for table in tables if missing & set(table[0])]
    if unknown := missing.difference(*(table[0] for table in used)):
        raise ValueError(f"'{text}' has variables that are in no table: {', '.join(sorted(unknown))}")
    # A row that is bound already has brought all its columns.
    return [{**bound, **{k: v for row in rows for k, v in row.items()}} for rows in product(*used)]


def _filled(text: str, binding: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: binding[match[1]], text)


class Grammar:
    """A probabilistic context-free grammar.

    Symbols begin with a capital letter, words do not. `words` are all words in alphabetical order, `symbols` those that can
    be reached from `start`, each before all that it is made of; `rules` are theirs.

    Raises:
        ValueError: a symbol has no rules or derives itself, a rule is empty, or a sentence could be less probable than
            e^-600.
    """

    def __init__(self, rules: Sequence[Rule], start: str) -> None:
        self.start = start
        by_left: dict[str, list[Rule]] = {}
        for rule in rules:
            if not rule.right or not rule.probability > 0.0:
                raise ValueError(f"a rule of '{rule.left}' has no words or no weight")
            by_left.setdefault(rule.left, []).append(rule)
        self.symbols = _ordered(by_left, start)
        self.rules = {symbol: tuple(by_left[symbol]) for symbol in self.symbols}
        self.words = tuple(
            sorted({part for rule in self._all() for part in rule.right if part not in self.rules}),
        )
        if self._over(min, math.log)[start] < _LEAST:
            raise ValueError(f"'{start}' has sentences that are less probable than e^{_LEAST:.0f}")

    def _all(self) -> list[Rule]:
        return [rule for symbol in self.symbols for rule in self.rules[symbol]]

    def _over(
        self,
        choose: Callable[[Iterable[float]], float],
        of_rule: Callable[[float], float] = lambda probability: 0.0,
        of_word: float = 0.0,
    ) -> dict[str, float]:
        """For each symbol the sum of the values of a derivation's rules, by their probabilities, and words: of that derivation
        which `choose`, min or max, would take."""
        found: dict[str, float] = {}
        for symbol in reversed(self.symbols):
            found[symbol] = choose(
                of_rule(rule.probability) + sum(found.get(part, of_word) for part in rule.right)
                for rule in self.rules[symbol]
            )
        return found

    # --- sizes and entropy --------------------------------------------------------------------------------------------

    @cached_property
    def longest(self) -> Mapping[str, int]:
        """Words of the longest text that each symbol derives."""
        return {symbol: int(value) for symbol, value in self._over(max, of_word=1.0).items()}

    @cached_property
    def entropy(self) -> Mapping[str, float]:
        """Entropy of the derivations of each symbol, in nats: of its texts, too, where none has two derivations.

        H(A) = sum over rules A -> X of p (-log p + sum of H(X_i)); Soule 1974, "Entropies of probabilistic grammars".
        """
        found: dict[str, float] = {}
        for symbol in reversed(self.symbols):
            found[symbol] = sum(
                rule.probability * (sum(found.get(part, 0.0) for part in rule.right) - math.log(rule.probability))
                for rule in self.rules[symbol]
            )
        return found

    # --- drawing ------------------------------------------------------------------------------------------------------

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """Symbols are numbered from 0, words after them."""
        return {part: number for number, part in enumerate((*self.symbols, *self.words))}

    @cached_property
    def _choices(self) -> tuple[Tensor, Tensor]:
        """For symbol and alternative: the upper end of its part of [0, 1), and its parts from last to first, -1 for none."""
        most = max(len(rules) for rules in self.rules.values())
        width = max(len(rule.right) for rule in self._all())
        ends = torch.ones(len(self.symbols), most, dtype=torch.float64)
        parts = torch.full((len(self.symbols), most, width), -1, dtype=torch.int64)
        for row, symbol in enumerate(self.symbols):
            rules = self.rules[symbol]
            # The last one has all that is left, whatever sums are rounded to.
            ends[row, : len(rules) - 1] = torch.tensor([r.probability for r in rules[:-1]], dtype=torch.float64).cumsum(
                0
            )
            for column, rule in enumerate(rules):
                parts[row, column, : len(rule.right)] = torch.tensor([self._numbers[p] for p in reversed(rule.right)])
        return ends, parts

    def draw(self, draws: Draws, symbols: Tensor) -> Tensor:
        """A text for each of `symbols` `[n]`, numbers in `self.symbols`: numbers in `self.words` `[n, longest]` int64.

        Texts are filled up with -1. Each depends on its own draws and symbol alone.
        """
        ends, parts = self._choices
        count = len(symbols)
        names = [self.symbols[number] for number in symbols.unique().tolist()]
        expansions = self._over(max, lambda probability: 1.0)
        choices = draws.uniform("choices", int(max((expansions[name] for name in names), default=1)))
        texts = torch.full((count, max((self.longest[name] for name in names), default=1)), -1, dtype=torch.int64)
        # What is still to be rewritten, the next one last.
        stack = torch.empty(count, texts.shape[1] + parts.shape[2], dtype=torch.int64)
        stack[:, 0] = symbols
        height, drawn, written = (torch.full((count,), value, dtype=torch.int64) for value in (1, 0, 0))
        rows = torch.arange(count)
        while len(rows):
            height[rows] -= 1
            top = stack[rows, height[rows]]
            word = top >= len(self.symbols)
            said = rows[word]
            texts[said, written[said]] = top[word] - len(self.symbols)
            written[said] += 1
            grown, symbol = rows[~word], top[~word]
            number = (choices[grown, drawn[grown], None].double() >= ends[symbol]).sum(1)
            drawn[grown] += 1
            new = parts[symbol, number]
            stack[grown[:, None], height[grown, None] + torch.arange(new.shape[1])] = new
            height[grown] += (new >= 0).sum(1)
            rows = rows[height[rows] > 0]
        return texts

    # --- likelihood ---------------------------------------------------------------------------------------------------

    def log_likelihood(self, texts: Sequence[Sequence[str]], symbols: Sequence[str]) -> Tensor:
        """Log-probability of each text (its words) under each of `symbols`: `[texts, symbols]` float64, in nats.

        It sums over all derivations; minus infinity where there is none. By the inside algorithm (Baker 1979, "Trainable
        grammars for speech recognition") on matrices: the probabilities that a symbol derives the words from i to j are a
        matrix, a rule is a product of matrices, and a symbol the sum over its rules. Probabilities need no logarithms here,
        since the least probable text is far from underflow.
        """
        numbers = {word: number for number, word in enumerate(self.words)}
        longest = max(self.longest[symbol] for symbol in symbols)
        # Equal texts are parsed once, and those with strange words not at all.
        places: dict[tuple[int, ...], list[int]] = {}
        for place, text in enumerate(texts):
            ids = tuple(numbers.get(word, -1) for word in text)
            if 0 < len(ids) <= longest and -1 not in ids:
                places.setdefault(ids, []).append(place)
        found = torch.full((len(texts), len(symbols)), -math.inf, dtype=torch.float64)
        # Texts of like length together: little is spent on places that are not there.
        waiting = sorted(places, key=len)
        while waiting:
            size = max(1, _CHUNK // (len(waiting[-1]) + 1) ** 2)
            waiting, part = waiting[:-size], waiting[-size:]
            for ids, values in zip(part, self._inside(part, symbols), strict=True):
                found[places[ids]] = values
        return found

    @cached_property
    def lexicon(self) -> dict[str, Tensor]:
        """For each symbol that has rules to single words: their probabilities `[words + 1]`, the last one 0."""
        numbers = {word: number for number, word in enumerate(self.words)}
        found = {word: torch.zeros(len(numbers) + 1, dtype=torch.float64) for word in (*self.words, *self.symbols)}
        for word, number in numbers.items():
            found[word][number] = 1.0
        for rule in self._all():
            if len(rule.right) == 1 and rule.right[0] in numbers:
                found[rule.left][numbers[rule.right[0]]] = rule.probability
        return {symbol: row for symbol, row in found.items() if bool(row.any())}

    def _inside(self, texts: Sequence[tuple[int, ...]], symbols: Sequence[str]) -> Tensor:
        """Log-probabilities `[texts, symbols]` of texts, numbers of words, of a few lengths."""
        lengths = torch.tensor([len(text) for text in texts])
        longest = int(lengths.max())
        words = torch.tensor([[*text, *[len(self.words)] * (longest - len(text))] for text in texts])
        chart = _Chart(self, words, lengths)
        return torch.stack([chart.endings((symbol,))[:, 0] for symbol in symbols], dim=1).log()


class _Chart:
    """Inside probabilities of some texts, computed where they are asked for.

    Spans are `[texts, words + 1, words + 1]`, from where to where; those of what derives single words only are
    `[texts, words]`. Where a text ends with a symbol, its spans up to the end are enough, its endings `[texts, words + 1]`,
    and these need no products of matrices.
    """

    def __init__(self, grammar: Grammar, words: Tensor, lengths: Tensor) -> None:
        self.grammar = grammar
        self.words = words
        self.end = torch.nn.functional.one_hot(lengths, words.shape[1] + 1).double()
        self._spans: dict[tuple[str, ...], Tensor] = {}
        self._endings: dict[tuple[str, ...], Tensor] = {}

    def spans(self, right: tuple[str, ...]) -> Tensor:
        """How probably `right`, symbols and words in a row, derives the words from one place to another."""
        if right not in self._spans:
            if len(right) > 1:
                total = _joined(self.spans(right[:1]), self.spans(right[1:]))
            else:
                terms = [rule.probability * self.spans(rule.right) for rule in self._longer(right[0])]
                total = _sum([*self._single(right[0]), *terms])
            self._spans[right] = total
        return self._spans[right]

    def endings(self, right: tuple[str, ...]) -> Tensor:
        """How probably `right` derives the words from a place to the end."""
        if right not in self._endings:
            if len(right) > 1:
                total = _before(self.spans(right[:1]), self.endings(right[1:]))
            else:
                terms = [rule.probability * self.endings(rule.right) for rule in self._longer(right[0])]
                total = _sum([*(_before(one, self.end) for one in self._single(right[0])), *terms])
            self._endings[right] = total
        return self._endings[right]

    def _single(self, symbol: str) -> list[Tensor]:
        """Spans by rules to single words, where there are any."""
        row = self.grammar.lexicon.get(symbol)
        return [] if row is None else [row[self.words]]

    def _longer(self, symbol: str) -> list[Rule]:
        """The other rules."""
        rules = self.grammar.rules
        return [rule for rule in rules.get(symbol, ()) if len(rule.right) > 1 or rule.right[0] in rules]


def _matrix(spans: Tensor) -> Tensor:
    return torch.diag_embed(spans, offset=1) if spans.dim() == 2 else spans


def _sum(terms: list[Tensor]) -> Tensor:
    if len({term.dim() for term in terms}) > 1:
        terms = [_matrix(term) for term in terms]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _joined(first: Tensor, second: Tensor) -> Tensor:
    """Spans of the one followed by the other."""
    if first.dim() == 3 and second.dim() == 3:
        return torch.bmm(first, second)
    if first.dim() == 2 and second.dim() == 2:
        return torch.diag_embed(first[:, :-1] * second[:, 1:], offset=2)
    if first.dim() == 2:
        return torch.nn.functional.pad(first[:, :, None] * second[:, 1:], (0, 0, 0, 1))
    return torch.nn.functional.pad(first[:, :, :-1] * second[:, None], (1, 0))


def _before(first: Tensor, endings: Tensor) -> Tensor:
    """Endings of `endings` with the spans `first` before it."""
    if first.dim() == 2:
        return torch.nn.functional.pad(first * endings[:, 1:], (0, 1))
    return torch.bmm(first, endings[:, :, None])[:, :, 0]


def _ordered(rules: Mapping[str, Sequence[Rule]], start: str) -> tuple[str, ...]:
    """The symbols that can be reached from `start`, each before all that it is made of."""
    done: dict[str, bool] = {}

    def visit(symbol: str) -> None:
        if done.get(symbol) is False:
            raise ValueError(f"'{symbol}' derives itself: only grammars without recursion can be used")
        if symbol in done:
            return
        if symbol not in rules:
            raise ValueError(f"symbol '{symbol}' has no rules")
        done[symbol] = False
        for part in (part for rule in rules[symbol] for part in rule.right):
            if part in rules or part[0].isupper():
                visit(part)
        # Moved to the end: all that it is made of is done.
        del done[symbol]
        done[symbol] = True

    visit(start)
    return tuple(reversed(done))
