"""`gan options`: every setting with its meaning, bounds and default, read off the models that validate it."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from gan_cli.errors import say, tell
from gan_cli.listing import table
from gancore.components import Architecture
from gancore.configuration.run_config import MAPS, SECTIONS, Optimizer, RunConfig
from gancore.configuration.settings import ALL_KINDS, KIND_OF
from gancore.errors import UnknownNameError
from gancore.options import cpu_default
from gancore.plugins import BUILTIN, Registry, options_model


def rows_of(model: type[BaseModel], prefix: str = "") -> list[dict[str, Any]]:
    """One row per option, sub-models unfolded."""
    schema = model.model_json_schema()
    shared = schema.get("$defs", {})
    rows: list[dict[str, Any]] = []
    for name, field in schema.get("properties", {}).items():
        info = model.model_fields[name]
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            rows += rows_of(inner, f"{prefix}{name}.")
            continue
        default = "required" if info.is_required() else info.get_default(call_default_factory=True)
        slow = cpu_default(model, name)
        rows.append(
            {
                "option": prefix + name,
                "default": _plain(default),
                "values": _values(field, shared),
                "description": (info.description or "") + ("" if slow is None else f" Default on a CPU: {slow}."),
            }
        )
    return rows


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, (tuple, list)):
        return ",".join(map(_plain, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else "" if value == {} else str(value)


def _values(field: dict[str, Any], shared: dict[str, Any]) -> str:
    """Type and bounds in words: `1 to 4096`, `fp32 | bf16`."""
    if "$ref" in field:
        field = shared.get(field["$ref"].rpartition("/")[2], {})
    if "anyOf" in field:
        return " | ".join(dict.fromkeys(_values(f, shared) for f in field["anyOf"]))
    if "enum" in field:
        return " | ".join(map(_plain, field["enum"]))
    if "const" in field:
        return _plain(field["const"])
    kind = field.get("type", "")
    if kind == "array":
        return "list of " + _values(field["items"], shared) if "items" in field else "list"
    if kind == "object":
        return "sections by name"
    if "pattern" in field:
        return field["pattern"].strip("^$()").replace(r"(:\d+)?", "[:N]").replace("|", " | ")
    low = field.get("minimum", field.get("exclusiveMinimum"))
    high = field.get("maximum", field.get("exclusiveMaximum"))
    if isinstance(high, int | float) and high >= 2**53:
        high = None
    words = {"integer": "whole number", "number": "number", "boolean": "true | false", "string": "text", "null": "none"}
    name = words.get(kind, kind)
    if low is not None and high is not None:
        above = "above " if "exclusiveMinimum" in field else ""
        below = "below " if "exclusiveMaximum" in field else ""
        return f"{above}{_number(low)} to {below}{_number(high)}"
    if low is not None:
        return f"{name} {'>' if 'exclusiveMinimum' in field else '>='} {_number(low)}"
    return f"{name} <= {_number(high)}" if high is not None else name


def _number(bound: float) -> str:
    """`1,048,576`, `0.01`, `1e+12`."""
    return f"{int(bound):,}" if bound == int(bound) and abs(bound) < 1e9 else f"{bound:g}"


def _sampling(registry: Registry, plugin: str) -> list[dict[str, Any]]:
    """How samples can be drawn from generators of the plugin's architectures, each option once."""
    rows: dict[str, dict[str, Any]] = {}
    for found in registry.known(Architecture, plugin).values():
        model = options_model(found.record)
        inner = model.model_fields["sampling"].annotation if model and "sampling" in model.model_fields else None
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            rows = {row["option"]: row for row in rows_of(inner, "sampling.")} | rows
    return list(rows.values())


def describe(plugin: str, section: str | None, as_json: bool) -> None:
    """Print the options that `section` names; without it the engine's own and what can be chosen."""
    registry = Registry()
    head, _, name = (section or "").partition(".")
    if not section:
        result = rows_of(RunConfig)
        choices = [
            {
                "option": key,
                "values": ", ".join(registry.known(KIND_OF[key], plugin)),
                "description": text,
                "default": "",
            }
            for key, text in (SECTIONS | MAPS).items()
        ]
        result += choices
    elif head in ALL_KINDS and not name:
        found = registry.known(ALL_KINDS[head], plugin)
        result = [{"option": f"{head}.{n}", "description": f.record.summary} for n, f in found.items()]
    elif head in ALL_KINDS:
        model = options_model(registry.find(ALL_KINDS[head], name, plugin).record)
        result = rows_of(model) if model else []
    elif section == "sampling":
        result = _sampling(registry, plugin)
    elif head == "optimizers":
        result = rows_of(Optimizer)
    else:
        result = [r for r in rows_of(RunConfig) if r["option"] == section or r["option"].startswith(f"{section}.")]
        if not result:
            raise UnknownNameError("section", section, [*RunConfig.model_fields, *ALL_KINDS, "sampling"])
    if as_json:
        print(json.dumps(result))
        return
    if not result:
        tell(f"{section} has no options")
        return
    columns = {"option": "option", "default": "default", "values": "values", "description": "what it does"}
    table(result, {k: v for k, v in columns.items() if any(k in r for r in result)})
    if plugin == BUILTIN and not section:
        say(
            "with --plugin NAME, that plugin's components too; one component's options: gan options --plugin image architecture.dcgan"
        )
