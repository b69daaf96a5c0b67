"""Mistakes in options are told one by one, in plain English with bounds, however many types a value could have had."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError, field_validator

from gancore.configuration.mistakes import explain
from gancore.configuration.words import values_of
from gancore.options import Options, each_once

Side = Annotated[int, Field(ge=8, le=512)]


class Inner(Options):
    rate: float = Field(0.5, gt=0.0, lt=1.0, description="Open on both sides.")


class Sample(Options):
    size: Side | tuple[Side, Side] = Field(64, description="One or two.")
    labels: bool | Literal["auto"] = Field("auto", description="A switch or a word.")
    scale: Literal["auto"] | Annotated[float, Field(gt=0.0, le=2.0)] = Field("auto", description="A word or a number.")
    device: str = Field("cpu", pattern=r"^(cpu|cuda(:\d+)?)$", description="Names, the last with a number.")
    meter: str = Field("4/4", pattern=r"^\d/\d$", description="A form.")
    steps: int | None = Field(None, ge=1, lt=2**63, description="Or none.")
    tiny: float = Field(0.1, ge=1.2e-38, le=1.0, description="As near to 0 as a number comes.")
    width: int = Field(8, ge=2, le=1000, multiple_of=2, description="Even.")
    range: tuple[float, float] = Field((0.0, 1.0), description="Two.")
    pair: tuple[int, str] = Field((0, "a"), description="Two of different types.")
    kinds: tuple[Literal["a", "b"], ...] = Field(("a",), min_length=1, max_length=2, description="Some of these.")
    name: str = Field("x", min_length=1, max_length=9, description="Short.")
    inner: Inner = Field(default_factory=lambda: Inner(), description="A section.")
    others: Mapping[str, Inner] = Field(default_factory=dict, description="Sections by name.")


def told(options: Mapping[str, Any], model: type[BaseModel] = Sample) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(options)
    return [str(m) for m in explain(caught.value, model, "data")]


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("size", 3, "must be a whole number, 8 to 512, or a list of 2 whole numbers, each 8 to 512, not 3"),
        ("size", [9, 3], "must be a whole number, 8 to 512, or a list of 2 whole numbers, each 8 to 512, not [9, 3]"),
        ("labels", "x", "must be true, false or auto, not 'x'"),
        ("labels", "aut", "must be true, false or auto, not 'aut' (did you mean 'auto'?)"),
        ("scale", 3, "must be auto, or a number, above 0 and at most 2, not 3"),
        ("device", "tpu", "must be cpu or cuda[:N], not 'tpu'"),
        ("meter", "3", "must be text such as 4/4, not '3'"),
        ("steps", 0, "must be a whole number, at least 1, not 0"),
        ("steps", 1.5, "must be a whole number, at least 1, not 1.5"),
        ("tiny", 0, "must be a number, 1.2e-38 to 1, not 0"),
        ("width", 3, "must be a whole number, 2 to 1,000, a multiple of 2, not 3"),
        ("range", "1", "must be a list of 2 numbers, not ('1',)"),
        ("name", "", "must be text, 1 to 9 characters, not ''"),
        ("kinds", [], "must be a list of 1 to 2 of a, b, not []"),
    ],
)
def test_mistake_is_told_once_with_what_the_option_takes(option: str, value: Any, words: str) -> None:
    assert told({option: value}) == [f"data.{option}: {words}"]


def test_item_of_a_list_is_told_and_the_list_that_lacks_it_is_not() -> None:
    assert told({"kinds": ["c"]}) == ["data.kinds.0: must be one of a, b, not 'c'"]


def test_options_in_sections_are_told_at_their_places() -> None:
    assert told({"inner": {"rate": 1}, "others": {"one": {"rate": "x"}, "two": 3}}) == [
        "data.inner.rate: must be a number, above 0 and below 1, not 1",
        "data.others.one.rate: must be a number, above 0 and below 1, not 'x'",
        "data.others.two: must be a section, with options of its own, not 3",
    ]


def test_names_in_sections_are_compared_with_those_there() -> None:
    assert told({"inner": {"rat": 1}, "others": {"one": {"zzz": 1}}, "sze": 1}) == [
        "data.inner.rat: no such option (did you mean 'rate'?)",
        "data.others.one.zzz: no such option; there are rate",
        "data.sze: no such option (did you mean 'size'?)",
    ]


class Careful(BaseModel, extra="forbid"):
    odd: int = Field(1, description="A check of its own.")
    make: Callable[[], int] = Field(int, description="Of this there is no JSON schema.")

    @field_validator("odd")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("Must be odd")
        return value


def test_own_words_of_a_component_are_kept_and_a_type_without_schema_is_no_crash() -> None:
    assert told({"odd": 2}, Careful) == ["data.odd: must be odd, not 2"]
    assert told({"odd": "x"}, Careful)[0].startswith("data.odd: input should be a valid integer")
    assert told({"od": 1}, Careful) == ["data.od: no such option (did you mean 'odd'?)"]


def test_types_and_bounds_are_listed_in_plain_english() -> None:
    schema = Sample.model_json_schema()
    assert {name: values_of(field, schema["$defs"]) for name, field in schema["properties"].items()} == {
        "size": "whole number, 8 to 512, or list of 2 whole numbers, each 8 to 512",
        "labels": "true, false or auto",
        "scale": "auto, or number, above 0 and at most 2",
        "device": "cpu or cuda[:N]",
        "meter": "text such as 4/4",
        "steps": "whole number, at least 1, or none",
        "tiny": "number, 1.2e-38 to 1",
        "width": "whole number, 2 to 1,000, a multiple of 2",
        "range": "list of 2 numbers",
        "pair": "list of whole number, text",
        "kinds": "list of 1 to 2 of a, b",
        "name": "text, 1 to 9 characters",
        "inner": "section of options",
        "others": "sections by name",
    }


def test_a_name_that_stands_twice_is_told_of_without_repeating_the_value() -> None:
    class Policy(Options):
        steps: Annotated[tuple[str, ...], each_once("step")] = Field(("a",), description="Some.")

    assert told({"steps": "a,a"}, Policy) == ["data.steps: each step may be named once, not ['a', 'a']"]
