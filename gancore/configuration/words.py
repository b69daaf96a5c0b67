"""What options take, in plain English: types and bounds, as lists of options and messages on mistakes tell them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_NUMBERS = {"integer": "whole number", "number": "number"}
_CHOICES = re.compile(r"\^\(([^()\[\]]+?(?:\(:\\d\+\)\?)?)\)\$")
"""A pattern that is a list of names, the last of which may have a number behind it, as in `cuda:1`."""
_FAR = 2**53
"""Numbers beyond this are no bound that anybody meets."""

Schema = Mapping[str, Any]
"""A part of a JSON schema, as pydantic writes them."""


def values_of(field: Schema, shared: Schema) -> str:
    """What an option takes: `whole number, 1 to 1,000`, `true, false or auto`, `list of 2 numbers`.

    `field` is the part of a JSON schema that says so, and `shared` its `$defs`.
    """
    return _joined(_alternatives(field, shared))


def demand_of(field: Schema, shared: Schema) -> str:
    """The same as the end of a sentence: "must be" ... `a whole number, 1 to 1,000`, `one of fp32, bf16`, `true or false`."""
    field = resolved(field, shared)
    if "enum" in field:
        return f"one of {', '.join(map(plain, field['enum']))}"
    words = [name for name in _alternatives(field, shared) if name != "none"]
    return _joined([f"a {w}" if re.match(r"(whole number|number|list|path|section)\b", w) else w for w in words])


def choices_of(field: Schema, shared: Schema) -> list[str]:
    """The names among which an option chooses; empty for one that takes anything else only."""
    field = resolved(field, shared)
    parts = [resolved(part, shared) for part in field.get("anyOf", [field])]
    return [plain(name) for part in parts for name in (part.get("enum") or [part[k] for k in ("const",) if k in part])]


def resolved(field: Schema, shared: Schema) -> Schema:
    """`field` itself, without a reference to a definition in `shared` and without the None that it may also be."""
    if "$ref" in field:
        return resolved(shared[field["$ref"].rpartition("/")[2]], shared)
    others = [part for part in field.get("anyOf", ()) if part.get("type") != "null"]
    return resolved({**field, **others[0], "anyOf": ()}, shared) if len(others) == 1 else field


def plain(value: Any) -> str:
    """A value as it is typed behind `key=`."""
    if value is None:
        return "none"
    if isinstance(value, tuple | list):
        return ",".join(map(plain, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else "" if value == {} else str(value)


def _alternatives(field: Schema, shared: Schema) -> list[str]:
    if "$ref" in field:
        return _alternatives(shared[field["$ref"].rpartition("/")[2]], shared)
    if field.get("anyOf"):
        return list(dict.fromkeys(words for part in field["anyOf"] for words in _alternatives(part, shared)))
    if "enum" in field or "const" in field:
        return [plain(name) for name in field.get("enum", [field.get("const")])]
    kind = field.get("type", "")
    if kind == "array":
        return [_list(field, shared)]
    if kind == "object":
        return ["section of options" if "properties" in field else "sections by name"]
    if kind == "string":
        return _text(field)
    if kind == "boolean":
        return ["true", "false"]
    return ["none"] if kind == "null" else [_with_bounds(_NUMBERS.get(kind, "any value"), _bounds(field))]


def _text(field: Schema) -> list[str]:
    if found := _CHOICES.fullmatch(field.get("pattern", "")):
        return found[1].replace(r"(:\d+)?", "[:N]").split("|")
    if "pattern" in field:  # what it means is in the description of the option
        return [f"text such as {field['default']}" if field.get("default") else "text"]
    lengths = _range(field.get("minLength"), field.get("maxLength"), most="up to")
    unit = "character" if lengths.endswith(" 1") else "characters"
    return ["path" if field.get("format") == "path" else _with_bounds("text", lengths and f"{lengths} {unit}")]


def _list(field: Schema, shared: Schema) -> str:
    places = field.get("prefixItems", [])
    item = resolved(places[0] if places else field.get("items", {}), shared)
    if any(resolved(place, shared) != item for place in places):
        return f"list of {', '.join(values_of(place, shared) for place in places)}"
    low, high = field.get("minItems"), field.get("maxItems")
    count = f"{low} " if low is not None and low == high else f"{many} " if (many := _range(low, high, "up to")) else ""
    if names := choices_of(item, shared):
        return f"list of {count}{'of ' if count else ''}{', '.join(names)}"
    name, _, bounds = values_of(item, shared).partition(", ")
    plural = name if count == "1 " or name == "any value" else f"{name}s"
    return f"list of {count}{plural}" + (f", each {bounds}" if bounds else "")


def _bounds(field: Schema) -> str:
    low, high = (_chosen(field.get(bound)) for bound in ("minimum", "maximum"))
    above, below = (_chosen(field.get(bound)) for bound in ("exclusiveMinimum", "exclusiveMaximum"))
    words = _range(low, high)
    if above is not None or below is not None:
        lower = f"above {_number(above)}" if above is not None else _range(low, None)
        upper = f"below {_number(below)}" if below is not None else _range(None, high)
        words = " and ".join(filter(None, (lower, upper)))
    unit = field.get("multipleOf")
    return ", ".join(filter(None, (words, unit and f"a multiple of {_number(unit)}")))


def _chosen(bound: float | None) -> float | None:
    return None if bound is None or abs(bound) >= _FAR else bound


def _range(low: float | None, high: float | None, most: str = "at most") -> str:
    if low is not None and high is not None:
        return f"{_number(low)} to {_number(high)}"
    return f"at least {_number(low)}" if low is not None else f"{most} {_number(high)}" if high is not None else ""


def _number(bound: float) -> str:
    """`1,048,576`, `0.01`, `1e+12`."""
    return f"{int(bound):,}" if bound == int(bound) and abs(bound) <= 1e9 else f"{bound:g}"


def _with_bounds(name: str, bounds: str) -> str:
    return f"{name}, {bounds}" if bounds else name


def _joined(words: Sequence[str]) -> str:
    """`a, b or c`; with a comma before "or" where there are commas within."""
    *most, last = words or ["any value"]
    return f"{', '.join(most)}{',' if any(',' in w for w in words) else ''} or {last}" if most else last
