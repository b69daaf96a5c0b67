"""What gancore says when it says no."""

from __future__ import annotations

import pytest

from gancore import errors
from gancore.errors import ConfigError, GanError, Mistake, UnknownNameError, UsageError, nearest


def test_usage_errors_exit_with_2_and_failures_with_1() -> None:
    kinds = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, GanError)]
    usage = {e.__name__ for e in kinds if e.exit_code == 2}
    assert usage == {"UsageError", "UnknownNameError", "ConfigError"}
    assert {e.exit_code for e in kinds if e.__name__ not in usage} == {1}
    assert issubclass(ConfigError, UsageError)


def test_nearest_names_are_the_closest_in_spelling_best_first() -> None:
    known = ["dcgan", "resnet", "r3gan"]
    assert nearest("dcgna", known) == ["dcgan"]
    assert nearest("rgan", known)[0] == "r3gan"
    assert nearest("transformer", known) == []
    assert len(nearest("gan", ["gan1", "gan2", "gan3"], count=2)) == 2


def test_unknown_name_says_what_was_asked_what_is_near_and_what_there_is() -> None:
    error = UnknownNameError("loss", "hing", ["wasserstein", "hinge"], hint="see `gan options`")
    assert str(error) == ("unknown loss 'hing'; did you mean 'hinge'?; known: hinge, wasserstein; see `gan options`")
    assert error.suggestions == ("hinge",)


def test_unknown_name_far_from_all_others_lists_them_without_a_guess() -> None:
    assert str(UnknownNameError("loss", "zzz", ["b", "a"])) == "unknown loss 'zzz'; known: a, b"


def test_unknown_name_where_nothing_is_known_says_so() -> None:
    assert str(UnknownNameError("plugin", "x", [])) == "unknown plugin 'x'; none is known"


@pytest.mark.parametrize(
    ("mistake", "text"),
    [
        (Mistake("steps", "must be positive"), "steps: must be positive"),
        (Mistake("stepz", "no such option", "steps"), "stepz: no such option (did you mean 'steps'?)"),
    ],
)
def test_mistake_is_told_with_its_place(mistake: Mistake, text: str) -> None:
    assert str(mistake) == text


def test_configuration_error_counts_and_lists_its_mistakes() -> None:
    one, two = Mistake("a", "first"), Mistake("b", "second")
    assert str(ConfigError([one])) == "1 mistake in the configuration:\n  a: first"
    assert str(ConfigError([one, two])) == "2 mistakes in the configuration:\n  a: first\n  b: second"
    assert ConfigError([one, two]).mistakes == (one, two)
