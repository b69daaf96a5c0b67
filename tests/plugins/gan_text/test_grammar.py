"""The built-in grammar and the data set of its sentences: what agrees, that nothing is ambiguous, what a sentence depends on."""

from __future__ import annotations

import math
import re
from collections import defaultdict

import pytest
import torch
from pydantic import ValidationError
from support.fetching import fetch

from gan_text.data import grammar as module
from gan_text.data.grammar import Options, draw, open_grammar, sentence_spec
from gan_text.data.pcfg import Grammar, parse
from gan_text.data.rules import (
    FORMS,
    KIND_SYMBOLS,
    KINDS,
    PERSONS,
    RULES,
    SINGULAR,
    SOUNDS,
    START,
    kind_shares,
    kingdom,
)
from gancore.data.held_out import split
from gancore.data.report import silent


def opened(**options):
    return open_grammar(Options(**{"count": 1000, **options}), silent)


@pytest.fixture(scope="module")
def source():
    return opened(count=2000)


@pytest.fixture(scope="module")
def texts(source):
    return source.spec.decode(fetch(source)[0])


@pytest.fixture(scope="module")
def likelihood(texts):
    """Of each text under the start and under each kind: `[texts, 5]`."""
    return kingdom().log_likelihood([text.split(" ") for text in texts], [START, *KIND_SYMBOLS])


def ambiguity(grammar: Grammar) -> str | None:
    """The beginning of a text with two derivations, or None: a proof, for all derivations are followed at once.

    A derivation from left to right is, after each word, a row of symbols that is still to be rewritten. Of an unambiguous
    grammar no two derivations have the same words behind them and the same row before them; two of an ambiguous one end so,
    with an empty row. The sets of rows that some words lead to are finitely many.
    """
    rules = {symbol: [rule.right for rule in grammar.rules[symbol]] for symbol in grammar.symbols}
    # Words that occur in the same rules take part in the same ambiguities: one of them stands for all.
    uses = defaultdict(list)
    for symbol, rights in rules.items():
        for right in rights:
            for word in {part for part in right if part not in rules}:
                uses[word].append((symbol, tuple(None if part == word else part for part in right)))
    first: dict = {}
    for word in sorted(uses):
        first.setdefault(tuple(sorted(uses[word], key=repr)), word)
    spoken = set(first.values())
    known: dict[tuple[str, ...], list] = {}

    def words_from(row):
        """The next word and the row after it, for each way to go on."""
        if row not in known:
            head, rest = row[0], row[1:]
            if head in rules:
                known[row] = [found for right in rules[head] for found in words_from(right + rest)]
            else:
                known[row] = [(head, rest)] if head in spoken else []
        return known[row]

    start = frozenset({(grammar.start,)})
    behind = {start: ""}
    waiting = [start]
    while waiting:
        rows = waiting.pop()
        after = defaultdict(list)
        for row in rows:
            if row:
                for word, rest in words_from(row):
                    after[word].append(rest)
        for word, found in after.items():
            text = f"{behind[rows]} {word}"
            if len(set(found)) < len(found):
                return text
            if (new := frozenset(found)) not in behind:
                behind[new] = text
                waiting.append(new)
    return None


# --- the grammar ------------------------------------------------------------------------------------------------------


def test_no_sentence_has_two_derivations():
    assert ambiguity(kingdom()) is None


@pytest.mark.parametrize(
    "text",
    [
        "S -> A | B\nA -> x y\nB -> x B2\nB2 -> y | z",
        "S -> x Tail | y\nTail -> A A\nA -> x | x x",
        "S -> N V N2 | N V N2 P\nN -> x\nV -> y\nN2 -> x | x P\nP -> z x",
    ],
)
def test_ambiguous_grammars_are_found_out(text):
    assert ambiguity(Grammar(parse(text), "S")) is not None


def test_one_more_rule_would_make_sentences_ambiguous():
    # "ada loves the king near the owl": who is near the owl?
    rules = f"{RULES}\nBare/{{who}}/{{form}} -> Doing/to/{{form}} Someone Where"
    assert ambiguity(Grammar(parse(rules, (PERSONS, SINGULAR, SOUNDS, FORMS)), START)) is not None


def test_grammar_that_is_ambiguous_only_for_a_while_is_not():
    assert ambiguity(Grammar(parse("S -> A y | B z\nA -> x x\nB -> x C\nC -> x"), "S")) is None


@pytest.mark.parametrize("symbol", [START, *KIND_SYMBOLS])
def test_mean_likelihood_of_drawn_sentences_is_the_entropy(symbol, likelihood):
    nll = -likelihood[:, (START, *KIND_SYMBOLS).index(symbol)]
    nll = nll[nll.isfinite()]
    error = float(nll.std()) / math.sqrt(len(nll))
    assert error < 0.3
    assert abs(float(nll.mean()) - kingdom().entropy[symbol]) < 4.0 * error


def test_entropy_of_sentences_is_that_of_their_kinds_and_within_them():
    shares, within = kind_shares(), [kingdom().entropy[symbol] for symbol in KIND_SYMBOLS]
    assert sum(shares) == pytest.approx(1.0)
    wanted = sum(p * (h - math.log(p)) for p, h in zip(shares, within, strict=True))
    assert kingdom().entropy[START] == pytest.approx(wanted)
    assert kingdom().entropy[START] > 15.0


def test_every_drawn_sentence_parses_as_its_kind_alone(source, likelihood):
    assert bool(likelihood[:, 0].isfinite().all())
    assert torch.equal(likelihood[:, 1:].isfinite(), torch.nn.functional.one_hot(fetch(source)[1]).bool())


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("the dragons behind the king sing .", "the dragons behind the king sings ."),
        ("the king that fears the owls sings .", "the king that fears the owls sing ."),
        ("the witch that the kings fear sings .", "the witch that the kings fear sing ."),
        ("the queen behind the wizard admires herself .", "the queen behind the wizard admires himself ."),
        ("the owls near the aunt tease their robot .", "the owls near the aunt tease her robot ."),
        ("otto dances because he loves ada .", "otto dances because she loves ada ."),
        ("does the king near the owls love ada ?", "do the king near the owls love ada ?"),
        ("do the onions dance ?", "do the onions dances ?"),
        ("the robot paints ada , does it not ?", "the robot paints ada , do they not ?"),
        ("there is an invisible dragon under an owl .", "there is a invisible dragon under an owl ."),
        ("how sleepy the owls behind the witch are !", "how sleepy the owls behind the witch is !"),
        ("never tease an owl !", "never teases an owl !"),
    ],
)
def test_what_must_agree_agrees_at_a_distance(right, wrong):
    likelihood = kingdom().log_likelihood([right.split(), wrong.split()], [START])[:, 0]
    assert likelihood[0] > -40.0
    assert likelihood[1] == -math.inf


def test_articles_agree_with_the_sound_that_follows(texts):
    for text in texts:
        assert not re.search(r"\ba [aeiou]", text), text
        assert not re.search(r"\ban [^aeiou]", text), text


def test_sentences_are_of_many_lengths_and_nearly_all_distinct(texts):
    counts = torch.tensor([len(text.split(" ")) for text in texts]).float()
    assert counts.quantile(torch.tensor([0.05, 0.95])).tolist() == pytest.approx([5.0, 14.0], abs=1.0)
    assert len(set(texts[:1000])) > 950


# --- the data set -----------------------------------------------------------------------------------------------------


def test_samples_are_words_up_to_the_end(source, texts):
    x, labels = fetch(source)
    assert (x.dtype, labels.dtype) == (torch.int32, torch.int64)
    assert x.shape == (2000, source.spec.length)
    assert source.spec.length == kingdom().longest[START] + 1
    assert source.spec.vocabulary == len(kingdom().words) + 2
    assert bool((x[:, -1] == source.spec.end).all())
    assert torch.equal(source.spec.encode(texts), x)
    assert all(text[-1] in ".?!" and text == " ".join(text.split()) for text in texts)


def test_every_word_of_the_grammar_is_a_token():
    spec = sentence_spec(labels=False)
    ids = spec.token_ids(kingdom().words)
    assert sorted(one for (one,) in ids) == list(range(2, spec.vocabulary))
    assert spec.grammar


def test_classes_are_kinds_in_the_shares_of_the_grammar(source):
    assert source.spec.classes == KINDS
    found = fetch(source)[1].bincount(minlength=4) / len(source)
    shares = torch.tensor(kind_shares())
    assert bool(((found - shares).abs() < 4.0 * (shares * (1.0 - shares) / len(source)).sqrt()).all())


def test_without_labels_the_same_sentences_have_no_classes(source):
    plain = opened(count=2000, labels=False)
    assert plain.spec.classes == ()
    assert fetch(plain)[1] is None
    assert torch.equal(fetch(plain)[0], fetch(source)[0])


def test_sentence_depends_on_its_number_and_the_seed_alone(source, monkeypatch):
    monkeypatch.setattr(module, "_PART", 300)
    assert torch.equal(fetch(opened(count=1000))[0], fetch(source)[0][:1000])
    assert not torch.equal(fetch(opened(seed=1))[0], fetch(source)[0][:1000])
    some = torch.tensor([31, 4, 17])
    few, kinds = draw(0, some)
    width = source.spec.length
    every, all_kinds = draw(0, torch.arange(40))
    assert torch.equal(few, every[some][:, :width][:, : few.shape[1]])
    assert torch.equal(kinds, all_kinds[some])


def test_equal_sentences_are_held_out_together(source, texts):
    parts = split(source, 0.2)
    kept = {texts[row] for row in parts.train.tolist()}
    out = {texts[row] for row in parts.held_out.tolist()}
    assert len(set(texts)) < len(texts)
    assert out
    assert not kept & out


def test_progress_ends_with_all_sentences(monkeypatch):
    monkeypatch.setattr(module, "_PART", 40)
    told = []
    open_grammar(Options(count=100), lambda words, done, total: told.append((done, total)))
    assert told == [(0, 100), (40, 100), (80, 100), (100, 100)]


@pytest.mark.parametrize("options", [{"count": 0}, {"count": 10_000_000}, {"seed": -1}, {"labels": "kind"}])
def test_options_that_cannot_be_are_refused(options):
    with pytest.raises(ValidationError):
        Options(**options)


def test_one_sentence_is_a_data_set():
    assert fetch(opened(count=1))[0].shape[0] == 1
