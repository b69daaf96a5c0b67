"""What figures are called in words."""

from __future__ import annotations

import pytest

from gancore.evaluation.records import Figure
from gancore.evaluation.summary import summary, worst


def figures(**changed):
    values = {
        "precision": Figure(value=0.83, floor=0.84),
        "coverage": Figure(value=0.42, floor=0.96),
        "exact": Figure(value=0.0, real=0.0),
        "near": Figure(value=0.012, real=0.01),
        "nearer": Figure(value=0.51, real=0.5),
        "accuracy": Figure(value=0.5, real=0.92),
        "mind": Figure(value=20.2, floor=4.3),
    } | changed
    return {
        "mind": {"mind-f": values["mind"], "mind-f/within-classes": Figure(value=0.0, floor=1.0)},
        "neighbours": {"precision-f": values["precision"], "coverage-f": values["coverage"]},
        "nearest": {
            "nearest-f/exact": values["exact"],
            "nearest-f/near": values["near"],
            "nearest-f/nearer": values["nearer"],
        },
        "class-accuracy": {"class-accuracy-f": values["accuracy"]},
    }


def test_five_sentences_tell_the_figures_beside_real_ones():
    assert summary(figures()) == [
        "Do they seem real? Yes: 83% of the samples lie among real ones, as 84% of other real ones do.",
        "Are they varied? Hardly: 42% of the real samples have one of them near, as 96% have another real one.",
        "Are they copies? No: 0% equal a training sample, 1.2% lie very near one, of real ones 1.0%.",
        "Are they of their class? Partly: 50% are recognised as the class that was asked for, 92% of real ones as theirs.",
        "How far are they from real ones? MIND 20.2, where two sets of real ones have 4.3 (4.7 times as much).",
    ]


def test_what_was_not_measured_is_not_spoken_of():
    assert summary({}) == []
    assert len(summary({"neighbours": figures()["neighbours"]})) == 2


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"exact": Figure(value=0.9, real=0.0)}, "Many: 90% equal"),
        ({"near": Figure(value=0.2, real=0.01)}, "Some: 0% equal"),
        ({"nearer": Figure(value=0.8, real=0.5)}, "but they lie closer to the training set than real ones do"),
        ({"exact": Figure(value=0.5, real=0.5)}, "No: 50% equal"),  # data in which everything is there twice
    ],
)
def test_copies_are_told_by_the_figure_that_shows_them(changed, words):
    assert words in summary(figures(**changed))[2]


def test_worst_figures_are_those_farthest_from_what_they_should_be():
    assert worst(figures(), 2) == {("mind", "mind-f/within-classes"), ("mind", "mind-f")}
    assert worst({"m": {"good": Figure(value=1.02, real=1.0), "alone": Figure(value=7.0)}}) == set()
