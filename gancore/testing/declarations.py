"""Checks of what a plugin says of itself: metadata, declarations, option models, presets."""

from __future__ import annotations

import importlib.metadata
import inspect
import json
import math
import os
import re
import subprocess
import sys
import tomllib
from collections import deque
from collections.abc import (
    Collection,
    Iterator,
    Mapping,
    MutableMapping,
    MutableSequence,
    MutableSet,
    Sequence,
    Set,
)
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import tomli_w
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from gancore import hookspecs
from gancore.components import Architecture, Component, Dataset, Features, Optimizer, Penalty, Preset, Schedule
from gancore.configuration.configure import configure
from gancore.configuration.run_config import SECTIONS
from gancore.configuration.settings import KIND_OF
from gancore.data.spec import SampleSpec
from gancore.errors import GanError
from gancore.options import ArchitectureOptions, OptimizerOptions, Options, PenaltyOptions, ScheduleOptions
from gancore.plugins import GROUP
from gancore.targets import options_model, resolve
from gancore.testing import points
from gancore.testing.check import Mismatch, NotApplicable, check, describe
from gancore.testing.kit import Kit, scenes
from gancore.testing.places import defined

HEAVY = ("torch", "torchaudio", "transformers", "librosa", "numba", "scipy", "sklearn", "pandas", "tensorflow", "jax")
"""What nobody should wait for who only lists plugins."""

BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
"""What JSON Schema calls ge, le, gt and lt."""

_CHANGEABLE = (list, dict, set, bytearray, deque, MutableSequence, MutableMapping, MutableSet)
_ABSTRACT = (Sequence, Collection, Mapping, Set)
"""Of these pydantic makes lists, dicts and sets."""

BASES: dict[type[Component], type[Options]] = {
    Architecture: ArchitectureOptions,
    Optimizer: OptimizerOptions,
    Penalty: PenaltyOptions,
    Schedule: ScheduleOptions,
}


def _plugin(kit: Kit) -> list[str]:
    return [kit.name]


def _components(kit: Kit) -> list[str]:
    return list(kit.components())


def _with_options(kit: Kit) -> list[str]:
    return [subject for subject, record in kit.components().items() if record.options]


# --- the plugin -----------------------------------------------------------------------------------------------------


@check(
    "plugin.loads",
    "gan_plugin_info",
    "the module imports, and its hooks are known and yield records of their kinds",
    _plugin,
)
def plugin_loads(kit: Kit, subject: str) -> None:
    try:
        module = kit.plugin.module
    except GanError as error:
        raise Mismatch(str(error)) from error
    hooks = [n for n in vars(hookspecs) if n.startswith("gan_")]
    idle = [n for n in hooks if inspect.isfunction(f := getattr(module, n, None)) and not hasattr(f, "gancore_impl")]
    if idle:
        raise Mismatch(f"{', '.join(idle)} is never called: mark it with @hookimpl")


@check(
    "plugin.package",
    "gan_plugin_info",
    "the package has a summary and names gancore among its dependencies, so that pip installs both",
    _plugin,
)
def plugin_package(kit: Kit, subject: str) -> None:
    entries = [e for e in importlib.metadata.entry_points(group=GROUP) if e.name == kit.name]
    if not entries or entries[0].dist is None:
        raise NotApplicable("it is registered in this process and not installed as a package")
    dist = entries[0].dist
    if not (dist.metadata["Summary"] or "").strip():
        raise Mismatch(f"'{dist.name}' has no summary; put a description into its pyproject.toml")
    needs = [re.split(r"[^A-Za-z0-9._-]", r, maxsplit=1)[0].lower() for r in dist.requires or []]
    if dist.name != "gancore" and "gancore" not in needs:
        raise Mismatch(f"'{dist.name}' requires {', '.join(needs) or 'nothing'}; add gancore to its dependencies")


@check(
    "plugin.light",
    "gan_plugin_info",
    "listing what the plugin brings imports no torch and nothing else that takes long, and prints nothing",
    _plugin,
)
def plugin_light(kit: Kit, subject: str) -> None:
    module = kit.plugin.module.__name__
    if not kit.installed or kit.name == points.NAME:
        raise NotApplicable("it is registered in this process and not installed as a package")
    folder = kit.folder("listing")
    code = (
        "import json, pathlib, sys\nfrom gancore.plugins import Registry\n"
        f"Registry().load({kit.name!r})\n"
        f"pathlib.Path('answer').write_text(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        cwd=folder,
    )
    if not (folder / "answer").exists():
        lines = ran.stderr.strip().splitlines()
        raise Mismatch(f"in a new interpreter it does not load: {lines[-1] if lines else 'no message'}")
    heavy = json.loads((folder / "answer").read_text())
    if heavy:
        raise Mismatch(f"importing {module} imports {', '.join(heavy)}; name targets as strings and import inside them")
    if said := f"{ran.stdout} {ran.stderr}".strip():
        raise Mismatch(f"importing {module} prints: {said[:200]}")


@check(
    "plugin.presets",
    "gan_plugin_info",
    "demo_preset and data_preset are presets of the plugin, and the demo names its data",
    _plugin,
)
def plugin_presets(kit: Kit, subject: str) -> None:
    presets, info = kit.records(Preset), kit.plugin.info
    for role in ("demo_preset", "data_preset"):
        name = getattr(info, role)
        if name and name not in presets:
            there = ", ".join(presets) or "none at all"
            raise Mismatch(f"{role} is '{name}', and the presets are {there}")
    demo = presets.get(info.demo_preset)
    if demo is not None and not demo.config.get("data"):
        raise Mismatch(f"preset '{demo.name}' is the demo and has no section `data`: it could not train alone")


# --- components -----------------------------------------------------------------------------------------------------


@check("component.summary", "gan_plugin_info", "a summary of one line, which lists show", _components)
def component_summary(kit: Kit, subject: str) -> None:
    summary = kit.record(subject).summary
    if not summary.strip() or "\n" in summary or len(summary) > 160:
        raise Mismatch(f"its summary is {summary!r}; say in at most 160 characters what it is")


@check(
    "component.resolves",
    "gan_plugin_info",
    "target, options and spec name something that can be imported: a callable, an option model, a SampleSpec",
    _components,
)
def component_resolves(kit: Kit, subject: str) -> None:
    record = kit.record(subject)
    target = resolve(record.target)
    if not callable(target):
        raise Mismatch(f"target '{record.target}' is a {type(target).__name__}, which cannot be called")
    if record.options:
        model = options_model(record)
        base = BASES.get(type(record), Options)
        if not (isinstance(model, type) and issubclass(model, base)):
            raise Mismatch(
                f"options '{record.options}' is {model!r}, not a class derived from gancore.options.{base.__name__}"
            )
    elif type(record) in BASES:
        raise Mismatch(
            f"it has no options; every {record.kind} has a model derived from {BASES[type(record)].__name__}"
        )
    if record.spec:
        spec = resolve(record.spec)
        if not (isinstance(spec, type) and issubclass(spec, SampleSpec)):
            raise Mismatch(f"spec '{record.spec}' is {spec!r}, not a class derived from gancore.data.spec.SampleSpec")


@check(
    "component.options",
    "gan_plugin_info",
    "option models are frozen and refuse unknown names; every field has a description, every number a bound",
    _with_options,
)
def component_options(kit: Kit, subject: str) -> None:
    model = _model(kit, subject)
    if model.model_config.get("extra") != "forbid" or not model.model_config.get("frozen"):
        raise Mismatch(f"{model.__name__} overrides model_config; keep extra='forbid' and frozen=True")
    schema = model.model_json_schema()
    faults = list(_faults(schema, schema.get("$defs", {}), ""))
    if faults:
        raise Mismatch(f"{model.__name__}: {'; '.join(faults)}")


@check(
    "options.immutable",
    "gan_plugin_info",
    "no option holds what can be changed in place: tuples rather than lists, frozen models rather than dicts",
    _with_options,
)
def options_immutable(kit: Kit, subject: str) -> None:
    model = _model(kit, subject)
    mutable = [f"{n} holds a {kind}" for n, f in model.model_fields.items() for kind in _mutable(f.annotation)]
    if mutable:
        raise Mismatch(
            f"of {model.__name__}, {'; '.join(mutable)}: whoever is given the options could change them for all others; "
            f"take a tuple or a frozen model{defined(model)}"
        )


def _mutable(annotation: Any) -> Iterator[str]:
    """The types in an annotation whose values can be changed in place."""
    kind = get_origin(annotation) or annotation
    if isinstance(kind, type):
        if issubclass(kind, _CHANGEABLE) or kind in _ABSTRACT:
            yield kind.__name__
        elif issubclass(kind, BaseModel) and not kind.model_config.get("frozen"):
            yield f"{kind.__name__}, which is not frozen"
        elif issubclass(kind, BaseModel):
            for name, field in kind.model_fields.items():
                yield from (f"{kind.__name__}.{name}: {inner}" for inner in _mutable(field.annotation))
    for argument in get_args(annotation):
        yield from _mutable(argument)


def _faults(schema: Mapping[str, Any], shared: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """Options without description, and numbers without a bound, in a model and the models inside of it."""
    for name, field in schema.get("properties", {}).items():
        if not str(field.get("description", "")).strip():
            yield f"{prefix}{name} has no description"
        for node in _nodes(field, shared):
            if node.get("type") in ("integer", "number") and not any(k in node for k in (*BOUNDS, "enum", "const")):
                yield f"{prefix}{name} is a number without bounds (ge, gt, le, lt)"
                break
            if "properties" in node:
                yield from _faults(node, shared, f"{prefix}{name}.")


def _nodes(field: Mapping[str, Any], shared: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A field's schema, its alternatives and its items, with references followed."""
    if "$ref" in field:
        yield from _nodes(shared[field["$ref"].rpartition("/")[2]], shared)
        return
    yield field
    items = field.get("items")
    inner = [*field.get("anyOf", ()), *field.get("allOf", ()), *field.get("prefixItems", ())]
    for node in [*inner, *([items] if isinstance(items, Mapping) else [])]:
        yield from _nodes(node, shared)


@check(
    "component.defaults",
    "gan_plugin_info",
    "options build from their defaults; only a data set may require one, the `path` that --data fills in, and features theirs",
    _with_options,
)
def component_defaults(kit: Kit, subject: str) -> None:
    record, model = kit.record(subject), _model(kit, subject)
    required = [n for n, f in model.model_fields.items() if f.is_required()]
    reads = isinstance(record, Dataset) and bool(record.suffixes or record.directories)
    if reads and "path" not in model.model_fields:
        raise Mismatch(f"the data set takes files, and {model.__name__} has no field `path` for them")
    given: dict[str, Any] = {}
    if (reads or isinstance(record, Features)) and "path" in model.model_fields:
        required = [n for n in required if n != "path"]
        given = {"path": Path("x")}
    if required:
        raise Mismatch(f"{model.__name__} has no default for {', '.join(required)}")
    try:
        options = model(**given)
    except ValidationError as error:
        raise Mismatch(f"its own defaults are refused: {' '.join(str(error).split())[:300]}") from error
    lost = [
        n for n, f in model.model_fields.items() if f.default is not None and not f.is_required() and _takes_none(f)
    ]
    if lost:
        raise Mismatch(
            f"{', '.join(lost)} may be None, which config.toml cannot hold, and is not None by default; use a word"
        )
    # What config.toml holds must read back as the same.
    try:
        written = tomli_w.dumps(options.model_dump(mode="json", exclude_none=True))
        again = model.model_validate(tomllib.loads(written))
    except Exception as error:
        raise Mismatch(f"its defaults cannot be kept in config.toml: {describe(error)}") from error
    if again != options:
        raise Mismatch(f"written to config.toml and read back, {options!r} became {again!r}")


@check(
    "component.nonsense",
    "gan_plugin_info",
    "values of a wrong type, outside of the bounds, not finite, or under an unknown name are refused",
    _with_options,
)
def component_nonsense(kit: Kit, subject: str) -> None:
    record, model = kit.record(subject), _model(kit, subject)
    given: dict[str, Any] = {}
    if isinstance(record, Dataset) and "path" in model.model_fields:
        given = {"path": "x"}
    for name, value in _nonsense(model):
        try:
            model.model_validate(given | {name: value})
        except ValidationError:
            continue
        except Exception as error:
            raise Mismatch(f"{name}={value!r} raised {describe(error)} instead of being refused") from error
        raise Mismatch(f"{name}={value!r} was accepted")


def _model(kit: Kit, subject: str) -> type[BaseModel]:
    kit.passed("component.resolves", subject)
    model: type[BaseModel] = options_model(kit.record(subject))  # type: ignore[assignment]
    return model


def _takes_none(field: FieldInfo) -> bool:
    return get_origin(field.annotation) in (Union, UnionType) and NoneType in get_args(field.annotation)


def _is_number(field: FieldInfo) -> bool:
    """Whether a field holds one number, or one or nothing."""
    union = get_origin(field.annotation) in (Union, UnionType)
    parts = set(get_args(field.annotation) if union else (field.annotation,)) - {NoneType}
    return bool(parts) and parts <= {int, float}


def _nonsense(model: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    """Options that no model should take."""
    yield "no_such_option_of_anything", 1
    schema = model.model_json_schema()
    for name, field in model.model_fields.items():
        key = field.alias or name
        if not _is_number(field):
            yield key, object()
            continue
        yield key, "not a number"
        for node in _nodes(schema["properties"][key], schema.get("$defs", {})):
            for bound in [b for b in BOUNDS if b in node]:
                step = 1 if isinstance(node[bound], int) else max(1.0, abs(node[bound]))
                outside = {"minimum": node[bound] - step, "maximum": node[bound] + step}
                yield key, outside.get(bound, node[bound])
        if float in (field.annotation, *get_args(field.annotation)):
            yield from ((key, math.nan), (key, math.inf), (key, -math.inf))


# --- presets --------------------------------------------------------------------------------------------------------


@check(
    "preset.complete",
    "gan_presets",
    "with its data the preset is a whole configuration without mistakes, and config.toml reads back as the same",
    scenes,
)
def preset_complete(kit: Kit, subject: str) -> None:
    scene = kit.scenes()[subject]
    for section, kind in KIND_OF.items():
        part = f"{kind.kind} {str(kit.declared(scene, section).get('name', '')).removeprefix(f'{kit.name}:')}"
        if section in SECTIONS and part in kit.components() and kit.record(part).options:
            kit.passed("component.defaults", part)
    if scene.preset != "none" and scene.plugin == kit.name:
        preset = kit.records(Preset)[scene.preset]
        gaps = [s for s in ("architecture",) if not preset.config.get(s) and s not in scene.layer]
        if gaps:
            raise Mismatch(f"preset '{preset.name}' has no section {', '.join(gaps)}; it must choose all but the data")
        overruled = [
            s for s in SECTIONS if isinstance(preset.config.get(s), Mapping) and "name" not in preset.config[s]
        ]
        if overruled:
            raise Mismatch(f"preset '{preset.name}' gives options for {', '.join(overruled)} without a `name`")
        # As it stands, without what the kit makes smaller.
        configure(kit.registry, plugin=kit.name, preset=scene.preset, data=kit.data_for(scene), layers=[scene.layer])
    settings = kit.settings(scene)
    dumped = settings.dump()
    again = configure(kit.registry, layers=[tomllib.loads(tomli_w.dumps(dumped))]).dump()
    if again != dumped:
        changed = [k for k in dumped if dumped[k] != again.get(k)]
        raise Mismatch(f"written to config.toml and read back, the sections {', '.join(changed)} are different")
