"""Figures of texts by the grammar, for sentences whose standing is known."""

from __future__ import annotations

import pytest
import torch
from toys.texts import compared

from gan_text.data.grammar import Options as DataOptions
from gan_text.data.grammar import open_grammar
from gan_text.data.rules import KIND_SYMBOLS, KINDS, START, kind_shares, kingdom
from gan_text.metrics import grammar
from gancore.data.report import silent
from gancore.errors import UsageError
from gancore.evaluation.records import Material, Samples, faults

GOOD = {
    "the king sings .": 0,
    "do the owls near ada love themselves ?": 1,
    "never tease a dragon !": 2,
    "how sleepy the witches are !": 3,
}
BAD = ["the king sing .", "sings the king .", "the king sings", "", "king"]


def opened(count=300, **options):
    return open_grammar(DataOptions(count=count, **options), silent)


def found(generated, asked=None, *, others=None, spec=None, real=None, **options):
    """Figures of texts, or samples; the real ones are drawn."""
    source = opened()
    spec = spec or source.spec
    numbers = torch.arange(len(source))
    real = real or Samples(*source.fetch(numbers, None))

    def samples(texts, condition=None):
        return texts if isinstance(texts, Samples) else Samples(spec.encode(texts), condition)

    condition = None if asked is None else torch.tensor(asked)
    material = Material(
        generated=samples(generated, condition),
        real=real,
        train=real,
        others={name: samples(texts, condition) for name, texts in (others or {}).items()},
    )
    figures = grammar.build(grammar.Options(**options), spec)(material)
    assert not faults(figures)
    return figures


def likelihood(texts, symbol):
    return kingdom().log_likelihood([text.split() for text in texts], [symbol])[:, 0]


def test_figures_count_what_parses_and_is_as_asked():
    texts = [*GOOD, *BAD[:4]]
    figures = found(texts, [0, 1, 3, 3, 0, 1, 2, 3])
    assert figures["parses"].value == 0.5
    assert figures["as-asked"].value == 3 / 8


def test_real_sentences_parse_and_have_the_entropy():
    figures = found(list(GOOD), list(GOOD.values()))
    assert figures["parses"].real == figures["as-asked"].real == 1.0
    assert figures["nll-over-entropy"].real == pytest.approx(1.0, abs=0.1)
    assert figures["nll"].real / figures["entropy"].real == pytest.approx(figures["nll-over-entropy"].real)


def test_likelihood_is_that_within_the_kind_where_kinds_are_classes():
    figures = found([*GOOD, *BAD], [0] * 9)
    wanted = [-float(likelihood([text], KIND_SYMBOLS[kind])[0]) for text, kind in GOOD.items()]
    assert figures["nll"].value == pytest.approx(sum(wanted) / 4)
    assert figures["entropy"].value == pytest.approx(sum(kingdom().entropy[symbol] for symbol in KIND_SYMBOLS) / 4)
    assert figures["nll-over-entropy"].value == pytest.approx(figures["nll"].value / figures["entropy"].value)


def test_likelihood_is_that_of_the_whole_grammar_without_classes():
    source = opened(labels=False)
    real = Samples(*source.fetch(torch.arange(len(source)), None))
    figures = found([*GOOD, *BAD], spec=source.spec, real=real)
    assert set(figures) == {"parses", "nll", "entropy", "nll-over-entropy"}
    assert figures["nll"].value == pytest.approx(-float(likelihood(list(GOOD), START).mean()))
    assert figures["entropy"].value == figures["entropy"].real == pytest.approx(kingdom().entropy[START])


def test_entropy_is_that_of_the_kinds_of_the_sentences():
    question = kingdom().entropy["Question"]
    assert found([list(GOOD)[1]] * 3, [0, 1, 2])["entropy"].value == pytest.approx(question)
    figures = found(list(GOOD), list(GOOD.values()))
    source = opened()
    shares = source.fetch(torch.arange(300), None)[1].bincount(minlength=4) / 300
    wanted = sum(float(p) * kingdom().entropy[symbol] for p, symbol in zip(shares, KIND_SYMBOLS, strict=True))
    assert figures["entropy"].real == pytest.approx(wanted, rel=1e-6)
    assert sum(kind_shares()) == pytest.approx(1.0)


def test_where_nothing_parses_there_is_no_likelihood():
    figures = found(BAD, [1] * 5, others={"better": list(GOOD), "worse": BAD})
    assert set(figures) == {"parses", "entropy", "as-asked"}
    assert figures["parses"].value == figures["as-asked"].value == 0.0
    assert figures["entropy"].value == pytest.approx(kingdom().entropy["Question"])


def test_others_have_the_same_figures():
    texts, asked = [*GOOD, *BAD[:4]], [0, 1, 3, 3, 0, 1, 2, 3]
    alone = found(texts, asked)
    figures = found(list(GOOD) * 2, asked, others={"first": texts, "worse": BAD})
    assert {name: figure.others["first"] for name, figure in figures.items()} == {
        name: figure.value for name, figure in alone.items()
    }
    assert "worse" not in figures["nll"].others
    assert figures["parses"].others["worse"] == 0.0


def test_sentence_without_its_end_or_with_more_after_it_does_not_parse():
    spec = opened().spec
    x = spec.encode(["the king sings .", "the king sings . .", "the king sings . <unk>"])
    assert found(Samples(x, torch.tensor([0, 0, 0])))["parses"].value == pytest.approx(1 / 3)
    x[0, 4:] = x[0, 3]
    assert found(Samples(x[:1], torch.tensor([0])))["parses"].value == 0.0


def test_samples_that_are_parsed_are_the_first_ones():
    figures = found([*GOOD, *BAD], [0] * 9, limit=5)
    assert figures["parses"].value == 4 / 5


def test_texts_of_no_grammar_have_no_figures():
    spec, material = compared(["a b", "a b", "b"], ["a", "b"], ["a"], {"mle 1.0": ["a", "a"]})
    assert grammar.build(grammar.Options(), spec)(material) == {}


def test_unknown_grammar_is_refused():
    spec = opened(2).spec
    with pytest.raises(UsageError, match="a grammar 'strange', which is not known"):
        grammar.build(grammar.Options(), spec.model_copy(update={"grammar": "strange"}))


def test_samples_are_left_as_they_are():
    samples = Samples(opened(4).spec.encode(list(GOOD)), torch.arange(4))
    before = samples.x.clone()
    found(samples)
    assert torch.equal(samples.x, before)


def test_kinds_are_named_in_the_order_of_the_spec():
    spec = opened(2).spec.model_copy(update={"classes": tuple(reversed(KINDS))})
    assert found(
        list(GOOD), [3, 2, 1, 0], spec=spec, real=Samples(spec.encode(list(GOOD)), torch.tensor([3, 2, 1, 0]))
    )["as-asked"].value == pytest.approx(1.0)
    assert found(list(GOOD), [0, 1, 2, 3], spec=spec)["as-asked"].value == 0.0
