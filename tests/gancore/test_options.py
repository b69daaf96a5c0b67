"""What option models have from their base."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from gancore.options import Options


class Several(Options):
    names: tuple[str, ...] = Field((), description="Names.")
    sides: tuple[Annotated[int, Field(ge=1)], ...] = Field((4,), description="Sides.")
    one: str = Field("a", description="A text that may hold commas.")
    either: int | tuple[int, int] = Field(1, description="A number or two.")


@pytest.mark.parametrize(
    ("given", "kept"),
    [("a,b", ("a", "b")), (" a , b ,", ("a", "b")), ("a", ("a",)), ("none", ()), ("", ()), (["a"], ("a",))],
)
def test_a_tuple_takes_text_with_commas(given: object, kept: tuple[str, ...]) -> None:
    assert Several.model_validate({"names": given}).names == kept


def test_numbers_in_text_are_numbers_with_their_bounds() -> None:
    assert Several.model_validate({"sides": "8,16"}).sides == (8, 16)
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        Several.model_validate({"sides": "8,0"})


def test_other_fields_take_text_as_it_is() -> None:
    assert Several.model_validate({"one": "a,b"}).one == "a,b"
    with pytest.raises(ValidationError):
        Several.model_validate({"either": "1,2"})


@pytest.mark.parametrize("wrong", [{"nmes": "a"}, {"sides": [float("nan")]}, {"names": 3}])
def test_unknown_and_wrong_values_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Several.model_validate(wrong)


class Plain(Options):
    count: int = Field(1, description="A whole number.")
    share: float = Field(0.5, description="A number.")
    size: Literal[2, 4] = Field(2, description="One of two numbers.")
    most: int | None = Field(None, description="A number or nothing.")
    several: tuple[float, ...] = Field((), description="Numbers.")
    flag: bool = Field(False, description="Yes or no.")
    either: bool | int = Field(False, description="Yes, no or how many.")
    name: str = Field("", description="A text.")
    place: Path | None = Field(None, description="A file.")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("count", True, "must be a number, not true"),
        ("share", False, "must be a number, not false"),
        ("size", True, "must be a number, not true"),
        ("most", True, "must be a number, not true"),
        ("several", [1.0, True], "must be a number, not true"),
        ("flag", 1, "must be true or false, not 1"),
        ("flag", 0.0, "must be true or false, not 0.0"),
        ("flag", "1", "must be true or false, not '1'"),
        ("name", True, "must be text, not true"),
        ("place", True, "must be text, not true"),
        ("count", 10**400, "not a number of about 401 digits"),
        ("share", -(10**400), "not a number of about 401 digits"),
        pytest.param("count", 10**5000, "not a number of about 5,001 digits", id="5000-digits"),
        ("share", float("inf"), "finite number"),
        ("several", [float("nan")], "finite number"),
        ("name", "a\0b", "contains a NUL character"),
        ("name", "caf\udce9", "is not text in UTF-8"),
        ("place", "a\0b", "contains a NUL character, which no file name can"),
        ("place", "caf\udce9", "rename it"),
        ("place", "", "is empty; give a file or folder"),
    ],
)
def test_value_of_another_kind_or_that_no_code_can_use_is_refused(field: str, value: object, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Plain.model_validate({field: value})
    assert words in str(caught.value)


def test_values_of_their_kind_are_kept() -> None:
    given = {
        "count": 5.0,
        "share": 1,
        "size": 4,
        "most": None,
        "several": "1,2.5",
        "flag": True,
        "either": 3,
        "name": "",
    }
    made = Plain.model_validate(given | {"place": "here"})
    assert (made.count, made.share, made.size, made.most, made.several) == (5, 1.0, 4, None, (1.0, 2.5))
    assert (made.flag, made.either, made.name, made.place) == (True, 3, "", Path("here"))
