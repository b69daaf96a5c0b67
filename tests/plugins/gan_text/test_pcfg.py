"""Grammars: their notation, and likelihood, entropy and drawing held against all derivations, one by one."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch

from gan_text.data.pcfg import Grammar, Rule, parse
from gancore.random import Draws

AGREEING = """
S -> 3 N/{who} that Rel/{who} Verb/{who} {self} | N/{who} Verb/{who}   # weights are shared by both persons
Rel/{who} -> 2 sees N | Verb/{who}
N -> N/{who}
N/he -> 2 king | old king | wizard
N/they -> kings
Verb/he -> likes
    | 2 quietly likes
Verb/they -> like
"""
PERSONS = ({"who": "he", "self": "himself"}, {"who": "they", "self": "themselves"})
AMBIGUOUS = """
S -> 2 A A | 1 B
A -> 3 x | 2 x x | x y
B -> x x x | y B2
B2 -> 1 y | 4 x
"""


def enumerated(rules: list[Rule], symbol: str) -> list[tuple[tuple[str, ...], float]]:
    """The text and the probability of every derivation."""
    by_left = defaultdict(list)
    for rule in rules:
        by_left[rule.left].append(rule)

    def derive(part):
        if part not in by_left:
            return [((part,), 1.0)]
        found = []
        for rule in by_left[part]:
            for parts in itertools.product(*(derive(one) for one in rule.right)):
                text = tuple(word for words, _ in parts for word in words)
                found.append((text, rule.probability * math.prod(p for _, p in parts)))
        return found

    return derive(symbol)


def texts_of(rules, symbol="S"):
    """The probability of every text: the sum over its derivations."""
    found: Counter = Counter()
    for text, probability in enumerated(rules, symbol):
        found[text] += probability
    return found


@pytest.fixture(params=["agreeing", "ambiguous"])
def rules(request):
    return parse(AGREEING, (PERSONS,)) if request.param == "agreeing" else parse(AMBIGUOUS)


# --- notation ---------------------------------------------------------------------------------------------------------


def test_weights_are_made_probabilities_and_variables_values():
    found = {(rule.left, " ".join(rule.right)): rule.probability for rule in parse(AGREEING, (PERSONS,))}
    assert found["S", "N/he that Rel/he Verb/he himself"] == pytest.approx(3 / 8)
    assert found["S", "N/they Verb/they"] == pytest.approx(1 / 8)
    assert found["Rel/they", "sees N"] == pytest.approx(2 / 3)
    assert found["N", "N/they"] == 0.5
    assert found["N/he", "old king"] == 0.25
    assert found["Verb/he", "quietly likes"] == pytest.approx(2 / 3)
    assert len(found) == 4 + 2 + 2 + 2 + 3 + 1 + 2 + 1


def test_alternatives_that_are_equal_are_one():
    assert parse("S -> 2 x | y | x") == [Rule("S", ("x",), 0.75), Rule("S", ("y",), 0.25)]


@pytest.mark.parametrize(
    ("text", "words"),
    [("S x y", "'S x y' is not a rule"), ("S -> {strange} x", "in no table: strange")],
)
def test_text_that_is_no_grammar_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        parse(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("S -> A x\nA -> y S", "'S' derives itself"),
        ("S -> A x", "symbol 'A' has no rules"),
        ("S -> 0 x | y", "has no words or no weight"),
        ("S -> 3 | y", "has no words or no weight"),
        (f"S -> {'A ' * 200}\nA -> x | 99 y", "less probable than e"),
    ],
)
def test_grammar_that_cannot_be_used_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        Grammar(parse(text), "S")


def test_what_cannot_be_reached_is_left_out():
    grammar = Grammar(parse("S -> A x\nA -> y\nB -> A z"), "S")
    assert grammar.symbols == ("S", "A")
    assert grammar.words == ("x", "y")


# --- likelihood -------------------------------------------------------------------------------------------------------


def test_likelihood_is_the_sum_over_all_derivations(rules):
    grammar = Grammar(rules, "S")
    wanted = texts_of(rules)
    likelihood = grammar.log_likelihood(list(wanted), ["S"])[:, 0].exp()
    assert likelihood.tolist() == pytest.approx(list(wanted.values()), rel=1e-12)


def test_ambiguous_texts_are_tried():
    derivations = Counter(text for text, _ in enumerated(parse(AMBIGUOUS), "S"))
    assert derivations["x", "x", "x"] == 3


def test_probabilities_of_all_sentences_add_up_to_one(rules):
    grammar = Grammar(rules, "S")
    assert float(grammar.log_likelihood(list(texts_of(rules)), ["S"]).exp().sum()) == pytest.approx(1.0, abs=1e-12)


def test_probabilities_of_all_there_is_to_say_add_up_to_one():
    grammar = Grammar(parse(AMBIGUOUS), "S")
    every = [text for n in range(1, 6) for text in itertools.product(grammar.words, repeat=n)]
    assert float(grammar.log_likelihood(every, ["S"]).exp().sum()) == pytest.approx(1.0, abs=1e-12)


def test_text_that_does_not_parse_has_no_likelihood(rules):
    grammar = Grammar(rules, "S")
    known = set(texts_of(rules))
    longest = grammar.longest["S"]
    strange = [t for n in range(1, 4) for t in itertools.product(grammar.words, repeat=n) if t not in known]
    strange += [(), ("nonsense",), (grammar.words[0],) * (longest + 5), (*next(iter(known)), "nonsense")]
    assert bool((grammar.log_likelihood(strange, ["S"]) == -math.inf).all())


def test_likelihood_depends_on_no_other_text_and_is_that_of_each_symbol():
    rules = parse(AGREEING, (PERSONS,))
    grammar = Grammar(rules, "S")
    wanted = {symbol: texts_of(rules, symbol) for symbol in ("N", "S", "Verb/he", "Rel/he")}
    texts = [*list(wanted["S"])[::5], *wanted["N"], *wanted["Rel/he"], ("king", "king")]
    together = grammar.log_likelihood(texts, list(wanted)).exp()
    alone = torch.cat([grammar.log_likelihood([text], list(wanted)).exp() for text in texts])
    exact = torch.tensor([[found[text] for found in wanted.values()] for text in texts], dtype=torch.float64)
    np.testing.assert_allclose(together, exact, rtol=1e-12)
    np.testing.assert_allclose(alone, exact, rtol=1e-12)


def test_nothing_to_parse_is_nothing():
    assert Grammar(parse("S -> x"), "S").log_likelihood([], ["S"]).shape == (0, 1)


# --- entropy and sizes ------------------------------------------------------------------------------------------------


def test_entropy_is_that_of_all_derivations(rules):
    grammar = Grammar(rules, "S")
    for symbol in grammar.symbols:
        wanted = -sum(p * math.log(p) for _, p in enumerated(rules, symbol))
        assert grammar.entropy[symbol] == pytest.approx(wanted, rel=1e-12)


def test_entropy_of_derivations_is_that_of_sentences_where_none_has_two():
    rules = parse(AGREEING, (PERSONS,))
    wanted = -sum(p * math.log(p) for p in texts_of(rules).values())
    assert Grammar(rules, "S").entropy["S"] == pytest.approx(wanted, rel=1e-12)


def test_longest_is_that_of_all_texts(rules):
    grammar = Grammar(rules, "S")
    assert dict(grammar.longest) == {s: max(map(len, texts_of(rules, s))) for s in grammar.symbols}


# --- drawing ----------------------------------------------------------------------------------------------------------


def drawn(grammar, count, seed=0, symbol="S"):
    numbers = torch.full((count,), grammar.symbols.index(symbol))
    return [
        tuple(grammar.words[word] for word in row if word >= 0)
        for row in grammar.draw(Draws(seed, torch.arange(count)), numbers).tolist()
    ]


def test_texts_are_drawn_as_often_as_they_are_likely(rules):
    wanted, count = texts_of(rules), 10_000
    found = Counter(drawn(Grammar(rules, "S"), count))
    assert set(found) <= set(wanted)
    # Pearson's statistic: its mean is one less than there are texts, its standard deviation the root of twice that.
    statistic = sum((found[text] - count * p) ** 2 / (count * p) for text, p in wanted.items())
    freedom = len(wanted) - 1
    assert abs(statistic - freedom) < 4.0 * math.sqrt(2.0 * freedom)


def test_text_depends_on_its_own_draws_and_symbol_alone():
    grammar = Grammar(parse(AGREEING, (PERSONS,)), "S")
    symbols = torch.arange(60) % len(grammar.symbols)
    every = grammar.draw(Draws(5, torch.arange(60)), symbols)
    some = torch.tensor([31, 4, 17])
    few = grammar.draw(Draws(5, some), symbols[some])
    assert torch.equal(few, every[some][:, : few.shape[1]])
    assert not torch.equal(every, grammar.draw(Draws(6, torch.arange(60)), symbols))
    assert grammar.draw(Draws(5, torch.arange(0)), torch.arange(0)).shape[0] == 0
