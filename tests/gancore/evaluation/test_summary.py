"""What figures are called in words."""

from __future__ import annotations

import pytest

from gancore.evaluation.records import Figure
from gancore.evaluation.summary import Basis, summary, worst


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
    assert summary(figures(), Basis(chance=0.1)) == [
        "Do they seem real? Yes: 83% of the samples lie among real ones, as 84% of other real ones do.",
        "Do they cover what is real? Hardly: 42% of the real samples have one of them near, as 96% have another real one.",
        "Are they copies? No: 0% equal a training sample, 1.2% lie very near one, of real ones 1.0%.",
        "Are they of their class? Hardly: 50% are recognised as the class that was asked for, 92% of real ones as theirs.",
        "How far are they from real ones? MIND by f 20.2, where two sets of real ones have 4.3 (4.7 times as much).",
    ]


def test_what_was_not_measured_is_not_spoken_of():
    assert summary({}, Basis()) == summary({}, Basis(compared=2)) == []
    assert len(summary({"neighbours": figures()["neighbours"]}, Basis())) == 2


def test_of_few_samples_nothing_is_said_but_whether_they_equal_training_samples():
    assert summary(figures(near=Figure(value=0.5, real=0.0)), Basis(compared=12)) == [
        "Are they copies? None is equal: 0% equal a training sample.",
        "More cannot be told from 12 samples in each set: give 30 at least, better some hundreds.",
    ]


def test_of_few_real_samples_that_were_halved_twice_as_many_are_asked_for():
    assert summary(figures(), Basis(compared=10, halved=20))[-1] == (
        "More cannot be told from 10 samples in each set, halves of the 20 real ones: give 60 at least, better some hundreds."
    )


def test_few_samples_that_equal_training_samples_as_often_as_real_ones_are_not_said_to_equal_none():
    assert summary(figures(exact=Figure(value=0.15, real=0.13)), Basis(compared=5))[0] == (
        "Are they copies? Hardly more are equal than of real ones: 15% equal a training sample, of real ones 13%."
    )


def test_copies_that_were_not_looked_for_everywhere_are_not_denied():
    told = summary(figures(), Basis(looked_through=10_000, trained_on=60_000))[2]
    assert told.startswith("Are they copies? None was found: 0% equal")
    assert told.endswith("but only 10,000 of 60,000 training samples were looked through.")
    again = figures(exact=Figure(value=0.1, real=0.12), near=Figure(value=0.11, real=0.13))
    told = summary(again, Basis(looked_through=10_000, trained_on=60_000))[2]
    assert told.startswith(
        "Are they copies? No more were found than among real ones: 10% equal a training sample, of real ones 12%"
    )


def test_where_the_training_set_is_not_known_copies_are_of_the_place_that_was_looked_through():
    near = figures(nearer=Figure(value=0.8, real=0.5))
    told = summary(near, Basis(looked_through=10_000, trained_on=60_000, place="B"))[2]
    assert told.startswith("Are they copies? None was found: 0% equal a sample of B, ")
    assert told.endswith("but only 10,000 of 60,000 samples of B were looked through.")
    assert summary(near, Basis(place="B"))[2].endswith("but they lie closer to B than real ones do.")


@pytest.mark.parametrize(
    ("value", "real", "chance", "words"),
    [
        (0.55, 0.95, 0.5, "Hardly"),  # two classes
        (0.9, 0.98, 0.9, "Hardly"),  # nine in ten are of one class, and so are all that were generated
        (0.93, 0.95, 0.1, "Yes"),
        (
            0.15,
            0.2,
            0.1,
            "That cannot be told: of real samples 20% are recognised as their class, and 10% would be by chance.",
        ),
    ],
)
def test_classes_count_beside_chance(value, real, chance, words):
    told = summary(figures(accuracy=Figure(value=value, real=real)), Basis(chance=chance))[3]
    assert told.startswith(f"Are they of their class? {words}")


def test_classes_are_told_by_the_features_that_know_real_ones_best():
    told = {"class-accuracy-f": Figure(value=0.2, real=0.6), "class-accuracy-g": Figure(value=0.9, real=0.95)}
    found = summary({"class-accuracy": told | {"class-accuracy-g/worst-class": Figure(value=0.0, real=1.0)}}, Basis())
    assert found == [
        "Are they of their class? Nearly: 90% are recognised as the class that was asked for, 95% of real ones as theirs."
    ]


def test_samples_that_are_near_hardly_any_real_one_are_not_called_real():
    told = summary(figures(precision=Figure(value=1.0, floor=0.9), coverage=Figure(value=0.155, floor=0.95)), Basis())[
        0
    ]
    assert told == (
        "Do they seem real? Unclear: 100% of the samples lie among real ones, as 90% of other real ones do, but near 15.5% of them "
        "alone, as averages of real ones would be."
    )
    few = figures(precision=Figure(value=0.1, floor=0.9), coverage=Figure(value=0.05, floor=0.95))
    assert summary(few, Basis())[0].startswith("Do they seem real? Hardly: 10% of the samples")


def test_features_that_disagree_are_named():
    known = figures()
    known["neighbours"] |= {"precision-g": Figure(value=0.3, floor=0.8), "coverage-g": Figure(value=0.1, floor=0.9)}
    first, second, *_ = summary(known, Basis())
    assert first.endswith("as 84% of other real ones do (by f; hardly by g).")
    assert second.endswith("as 96% have another real one.")  # both say hardly


@pytest.mark.parametrize(
    ("value", "floor", "words"),
    [
        (4.5, 4.0, " (about the same)."),
        (2.0, 4.0, " (no more)."),
        (999.0, 4.0, " (250 times as much)."),
        (1.0, 0.0, "two sets of real ones have 0."),
    ],
)
def test_distances_are_told_in_floors(value, floor, words):
    assert summary(figures(mind=Figure(value=value, floor=floor)), Basis())[-1].endswith(words)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"exact": Figure(value=0.9, real=0.0)}, "Many: 90% equal"),
        ({"near": Figure(value=0.2, real=0.01)}, "Some: 0% equal"),
        ({"nearer": Figure(value=0.8, real=0.5)}, "but they lie closer to the training set than real ones do"),
        (
            {"exact": Figure(value=0.5, real=0.5)},
            "No: 50% equal a training sample, of real ones 50%",
        ),  # data in which everything is there twice
    ],
)
def test_copies_are_told_by_the_figure_that_shows_them(changed, words):
    assert words in summary(figures(**changed), Basis())[2]


def test_worst_figures_are_those_farthest_from_what_they_should_be():
    assert worst(figures(), 2) == {("mind", "mind-f"), ("neighbours", "coverage-f")}
    assert worst({"m": {"standard-error/a": Figure(value=9.0, real=1.0)}}) == set()
    assert worst({"m": {"good": Figure(value=1.02, real=1.0), "alone": Figure(value=7.0)}}) == set()


def test_fewer_copies_and_smaller_distances_than_real_samples_have_are_not_among_the_worst():
    assert worst({"nearest": {"nearest-f/near": Figure(value=0.0, real=0.01)}}) == set()
    assert worst({"mind": {"mind-f": Figure(value=1.0, floor=2.0)}}) == set()
    assert worst({"nearest": {"nearest-f/near": Figure(value=0.1, real=0.01)}}) == {("nearest", "nearest-f/near")}
