"""`gan options`: every setting with its meaning, bounds and default, read off the models that validate it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from pydantic import BaseModel

from gan_cli.errors import say, tell
from gan_cli.listing import table
from gancore.components import Architecture
from gancore.configuration.run_config import BY_PLAYER, BY_SETTING, MAPS, SECTIONS, RunConfig
from gancore.configuration.settings import ALL_KINDS, KIND_OF
from gancore.configuration.words import plain, values_of
from gancore.errors import PluginError, UnknownNameError
from gancore.options import ScheduleOptions, cpu_default
from gancore.plugins import BUILTIN, Registry
from gancore.targets import options_model


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
                "default": plain(default),
                "values": values_of(field, shared),
                "description": (info.description or "") + ("" if slow is None else f" Default on a CPU: {slow}."),
            }
        )
    return rows


def _sampling(registry: Registry, plugin: str) -> list[dict[str, Any]]:
    """How samples can be drawn from generators of the plugin's architectures, each option once."""
    rows: dict[str, dict[str, Any]] = {}
    for found in registry.known(Architecture, plugin).values():
        model = options_model(found.record)
        inner = model.model_fields["sampling"].annotation if model and "sampling" in model.model_fields else None
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            rows = {row["option"]: row for row in rows_of(inner, "sampling.")} | rows
    return list(rows.values())


def _meant(registry: Registry, plugin: str, name: str) -> list[str]:
    """Components, as `architecture.dcgan`, that are called `name` or have an option of that name: three at most."""
    found = []
    for section, kind in ALL_KINDS.items():
        for own, component in registry.known(kind, plugin).items():
            with suppress(PluginError):  # whoever asks for it is told
                model = options_model(component.record)
                if name == own or (model and name in model.model_fields):
                    found.append(f"{section}.{own}")
    return found[:3]


def _under(rows: list[dict[str, Any]], option: str, of: str) -> list[dict[str, Any]]:
    """Of the options of `of`, that called `option` or those in it; all where it is empty."""
    found = [r for r in rows if not option or r["option"] == option or r["option"].startswith(f"{option}.")]
    if rows and not found:
        raise UnknownNameError(f"option of {of}", option, [r["option"] for r in rows])
    return found


def _component(registry: Registry, plugin: str, section: str, name: str) -> list[dict[str, Any]]:
    """Options of a component of a section, `dcgan`, or of what is called as a setting is: `r1.weight`, `width`, `generator.lr`."""
    known = registry.known(ALL_KINDS[section], plugin)
    own, _, option = name.partition(".")
    if section in BY_SETTING and own not in known and option:
        last = name.rpartition(".")[2]
        return _under(rows_of(ScheduleOptions), last if last in ScheduleOptions.model_fields else "", section)
    asked = name if section in SECTIONS else option if section in BY_PLAYER else ""
    if asked and own not in known:  # of one that is not named
        models = {n: options_model(found.record) for n, found in known.items()}
        having = {n: m for n, m in models.items() if m and asked.partition(".")[0] in m.model_fields}
        if having:
            rows = {n: _under(rows_of(m), asked, n) for n, m in having.items()}
            return [row | {"option": f"{n}: {row['option']}"} for n in rows for row in rows[n]]
    model = options_model(registry.find(ALL_KINDS[section], own, plugin).record)
    return _under(rows_of(model) if model else [], option, own)


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
            for key, text in (SECTIONS | MAPS | BY_PLAYER | BY_SETTING).items()
        ]
        result += choices
    elif head in ALL_KINDS and not name:
        found = registry.known(ALL_KINDS[head], plugin)
        result = [{"option": f"{head}.{n}", "description": f.record.summary} for n, f in found.items()]
    elif head in ALL_KINDS:
        result = _component(registry, plugin, head, name)
    elif section == "sampling":
        result = _sampling(registry, plugin)
    else:
        result = [r for r in rows_of(RunConfig) if r["option"] == section or r["option"].startswith(f"{section}.")]
        if not result:
            known = [*RunConfig.model_fields, *ALL_KINDS, "sampling"]
            raise UnknownNameError("section", section, known, others=_meant(registry, plugin, section))
    if as_json:
        print(json.dumps(result))
        return
    if not result:
        tell(f"{section} has no options")
        return
    columns = {"option": "option", "default": "default", "values": "values", "description": "what it does"}
    table(result, {k: v for k, v in columns.items() if any(k in r for r in result)})
    if section in BY_SETTING:
        say(BY_SETTING[section])
    if section:
        return
    if plugin == BUILTIN:
        say(
            "with --plugin NAME, that plugin's components too; one component's options: gan options --plugin image architecture.dcgan"
        )
    elif own := list(registry.load(plugin).of_kind(Architecture)):
        say(f"the options of one component: gan options --plugin {plugin} architecture.{own[0]}")
