"""Targets: the texts by which records name their parts, so that these are imported only when they are used."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

from gancore.components import Component, Preset
from gancore.errors import PluginError


def resolve(target: str) -> Any:
    """What `"package.module:attribute"` names.

    Raises:
        PluginError: the module cannot be imported or lacks the attribute.
    """
    module_name, _, attribute = target.partition(":")
    if not attribute:
        raise PluginError(f"target '{target}' must read 'package.module:attribute'")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except Exception as error:  # a module may raise anything while it is imported
        raise PluginError(f"target '{target}' cannot be loaded: {type(error).__name__}: {error}") from error


def options_model(record: Component) -> type[Any] | None:
    """The pydantic model of a component's options; None where it has none."""
    return resolve(record.options) if record.options else None


def build(record: Component, options: Any, *arguments: Any) -> Any:
    """Call a component's target: options first where it has a model, then what its kind is given."""
    target = resolve(record.target)
    return target(options, *arguments) if record.options else target(*arguments)


def fault_of(record: Component | Preset) -> str:
    """What is wrong with where a record says its parts are; empty where nothing is."""
    for field in ("target", "options", "spec"):
        value = getattr(record, field, "")
        if not isinstance(value, str):
            name, code = getattr(value, "__name__", ""), getattr(value, "__code__", None)
            try:
                line = code.co_firstlineno if code else inspect.getsourcelines(value)[1]
                told = f"{name}, at {Path(inspect.getfile(value)).name}:{line}"
            except (OSError, TypeError):  # neither a function nor a class
                told = repr(value)
            place = f"{getattr(value, '__module__', 'package.module')}:{name if name.isidentifier() else 'attribute'}"
            local = "<locals>" in getattr(value, "__qualname__", "")
            move = "; define it at the top level of its module" if local else ""
            return f'has {field}={told}, which must be text, so that it is imported when used: {field}="{place}"{move}'
    return ""
