"""What metrics may say, and what an evaluation makes of it."""

from __future__ import annotations

import json
import math

import pytest
import torch

from gancore.evaluation.records import Evaluation, EvaluationProtocol, Failure, Figure, Samples, faults

PROTOCOL = EvaluationProtocol(
    generated=10, real=8, reference="held-out part", reference_source="rows", reference_size=8, compared=8, train=90,
    train_source="rows", train_size=90, held_out=0.1, seed=3, ema_half_life=5000.0, sampling=None,
    candidates={"count": 1, "sharpness": 1.0}, device="cpu",
    features={},
    metrics={"gap": {"power": 2}},
    versions={"torch": "2.0"},
)  # fmt: skip
FOUND = Evaluation(
    run="runs/rows-001",
    step=50,
    plugin="rows",
    figures={
        "gap": {"gap": Figure(value=0.5, floor=0.1)},
        "share": {"of a": Figure(value=math.nan, real=math.inf), "of b": Figure(value=1.0, overlap=0.75)},
    },
    failures={"share": Failure("'of a' is nan"), "broken": Failure("ValueError: no", "Traceback ...")},
    notes=("real: few",),
    protocol=PROTOCOL,
)


def test_samples_count_themselves():
    assert len(Samples(torch.zeros(5, 2))) == 5


@pytest.mark.parametrize("rows", [torch.tensor([3, 1]), torch.tensor([True, False, True, False]), slice(3)])
def test_a_part_of_samples_keeps_their_classes(rows):
    x, classes = torch.arange(4.0)[:, None], torch.arange(4)
    part = Samples(x, classes).part(rows)
    assert part.x[:, 0].tolist() == part.condition.tolist() == classes[rows].tolist()
    assert Samples(x).part(rows).condition is None


@pytest.mark.parametrize(
    "figures",
    [
        {"a": 1},
        {"a": 0.5},
        {"a": Figure(value=-3.0)},
        {"a": Figure(value=1, real=2.0, overlap=0.0, floor=7.0), "b": 1.0},
    ],
)
def test_finite_numbers_under_names_are_no_fault(figures):
    assert faults(figures) == []


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({}, "not figures by name"),
        (None, "it gave None"),
        ([("a", 1.0)], "not figures by name"),
        ({"a": math.nan}, "'a' is nan"),
        ({"a": 10**5000}, "'a' is too large a number"),
        ({"a": Figure(value=1.0, real=-math.inf)}, "real of 'a' is -inf"),
        ({"a": Figure(value=1.0, overlap=1.01)}, r"overlap of 'a' is 1.01, not in \[0, 1\]"),
        ({"a": Figure(value=1.0, overlap=-0.5)}, r"overlap of 'a' is -0.5, not in \[0, 1\]"),
        ({"a": torch.tensor(1.0)}, r"'a' is tensor\(1.\), not a number"),
        ({"a": Figure(value=None)}, "'a' is None, not a number"),
        ({1: 1.0}, "'1' is 1.0, not a number under a name"),
    ],
)
def test_anything_else_is_a_fault_in_words(figures, words):
    [fault] = faults(figures)
    assert __import__("re").search(words, fault)


def test_each_fault_is_told():
    assert len(faults({"a": math.nan, "b": 1.0, "c": Figure(value=math.inf, floor=math.nan)})) == 3


def test_rows_are_named_by_metric_and_figure_and_once_where_both_are_the_same():
    assert FOUND.rows()[0] == {"figure": "gap", "generated": 0.5, "real": None, "overlap": None, "floor": 0.1}
    assert [row["figure"] for row in FOUND.rows()] == ["gap", "share/of a", "share/of b"]


def test_json_has_every_part_null_for_what_is_not_finite_and_no_key_for_what_is_not_there():
    told = json.loads(FOUND.to_json())
    assert told["figures"] == {
        "gap": {"gap": {"value": 0.5, "floor": 0.1}},
        "share": {"of a": {"value": None, "real": None}, "of b": {"value": 1.0, "overlap": 0.75}},
    }
    assert told["failures"] == {"share": "'of a' is nan", "broken": "ValueError: no"}
    assert (told["run"], told["step"], told["plugin"], told["notes"]) == ("runs/rows-001", 50, "rows", ["real: few"])
    assert told["protocol"]["reference"] == "held-out part"
    assert told["protocol"]["metrics"] == {"gap": {"power": 2}}
    assert len(told["protocol"]) == len(PROTOCOL.__slots__)
