"""What is wrong with the options of a configuration, in this project's words and not in pydantic's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, PydanticUserError, ValidationError
from pydantic_core import ErrorDetails

from gancore.configuration.words import Schema, choices_of, demand_of, resolved
from gancore.errors import Mistake, nearest
from gancore.options import RefusedValueError
from gancore.text import brief


def explain(error: ValidationError, model: type[BaseModel], path: str, extra: Sequence[str] = ()) -> list[Mistake]:
    """pydantic's errors in this project's words, one for each option, however many types its value could have had."""
    schema = _schema(model)
    found: dict[tuple[str, ...], list[Any]] = {}
    for item in error.errors(include_url=False):
        found.setdefault(_place(schema, item), []).append(item)
    mistakes = []
    for place, items in found.items():
        if any(other[: len(place)] == place for other in found if other != place):
            continue  # a list is too short for what is wrong with its items
        # The shortest is of the value as a whole; but what a check of the component's own says, it says best.
        item = min(items, key=lambda one: (one["type"] != "value_error", len(one["loc"])))
        field, given, hint = _field(schema, place), item.get("input"), ""
        if item["type"] == "extra_forbidden":
            known = [*_field(schema, place[:-1]).get("properties", ()), *(extra if len(place) == 1 else ())]
            hint = (nearest(place[-1], known) or [""])[0]
            words = "no such option" if hint else f"no such option; there are {', '.join(sorted(known))}"
        elif item["type"] == "missing" and isinstance(item["loc"][-1], str):
            words = "is required"
        elif item["type"] in ("model_type", "dict_type"):
            words = f"must be a section, with options of its own, not {brief(given)}"
        elif item["type"] != "value_error" and field:
            hint = (nearest(str(given), choices_of(field, schema["$defs"])) or [""])[0]
            words = f"must be {demand_of(field, schema['$defs'])}, not {brief(given)}"
        else:
            message = item["msg"].removeprefix("Value error, ")
            told = isinstance(item.get("ctx", {}).get("error"), RefusedValueError) or isinstance(given, Mapping)
            words = message[:1].lower() + message[1:] + ("" if told else f", not {brief(given)}")
        mistakes.append(Mistake(".".join(filter(None, (path, *place))), words, hint))
    return mistakes


def _schema(model: type[BaseModel]) -> Schema:
    """The JSON schema of a model; only the names of its options where it has a type of which there is none."""
    try:
        return {"$defs": {}, **model.model_json_schema()}
    except PydanticUserError:
        return {"$defs": {}, "properties": {name: {} for name in model.model_fields}}


def _place(schema: Schema, item: ErrorDetails) -> tuple[str, ...]:
    """The option that one of pydantic's errors is about: it also says which of the types of a value was tried."""
    loc = item["loc"][: -1 if item["type"] == "missing" and isinstance(item["loc"][-1], int) else None]
    for n in range(len(loc)):
        if _field(schema, loc[:n]).get("anyOf"):
            return tuple(map(str, loc[:n]))
    return tuple(map(str, loc))


def _field(schema: Schema, place: Sequence[int | str]) -> Schema:
    """The part of a schema on the option at `place`; an empty one where there is none."""
    shared = schema["$defs"]
    field: Schema = schema
    for part in place:
        field = resolved(field, shared)
        if field.get("type") == "array":
            places = field.get("prefixItems", [])
            field = places[int(part)] if int(part) < len(places) else field.get("items", {})
        else:
            others = field.get("additionalProperties")
            field = field.get("properties", {}).get(part, others if isinstance(others, Mapping) else {})
    return resolved(field, shared)
