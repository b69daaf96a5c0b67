"""What option models have from their base."""

from __future__ import annotations

from typing import Annotated

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
