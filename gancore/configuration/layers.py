"""Layers of a configuration: a file, `key=value` arguments, a preset; what each says, and how one comes on top of another."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from datetime import date, time
from pathlib import Path
from typing import Any

from gancore.configuration.run_config import BY_PLAYER, MAPS, NONE, REST, SCHEDULES, SECTIONS
from gancore.errors import UsageError
from gancore.options import OptimizerOptions, Options, ScheduleOptions
from gancore.text import LONGEST, brief, decoded

METRICS, FEATURES, ATTRIBUTES = "metrics", "features", "attributes"
"""Sections of what a trained run is looked at with. No run has them but within `evaluate`: that can be done in more than one way."""
EVALUATE = "evaluate"
"""The section of what is computed while a run is trained."""
PATHS = {"data.path": "--data", "start.run": "--from"}
"""Settings that are text whatever they look like, and the arguments that say the same."""
DEEPEST = 16
"""How many sections and lists may stand in one another: twice what any option needs."""
TOO_DEEP = f"nested more than {DEEPEST} deep, which no option is"


def read_file(path: Path) -> dict[str, Any]:
    """The layer that a TOML file holds, in UTF-8 with a byte-order mark or without.

    Raises:
        UsageError: it is missing or is not TOML; the message has the line.
    """
    try:
        layer = tomllib.loads(decoded(path.read_bytes()))
    except OSError as error:
        raise UsageError(f"configuration file '{path}' cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise UsageError(f"configuration file '{path}' is {TOO_DEEP}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"configuration file '{path}' is not valid TOML: {error}") from error
    except ValueError as error:  # no text, or a number too long for Python
        raise UsageError(f"configuration file '{path}' is {_why(error)}") from error
    if _too_deep(layer):
        raise UsageError(f"configuration file '{path}' is {TOO_DEEP}")
    return layer


def _why(error: ValueError) -> str:
    return "holding a number of too many digits" if "digits" in str(error) else str(error)


def _too_deep(layer: Mapping[str, Any]) -> bool:
    level: list[Any] = [layer]
    for _ in range(DEEPEST):
        level = [inner for one in level for inner in (one.values() if isinstance(one, Mapping) else one)]
        level = [inner for inner in level if isinstance(inner, Mapping | list | tuple)]
    return bool(level)


def parse_assignments(assignments: Iterable[str], *, path_option: str = "") -> dict[str, Any]:
    """The layer that `key=value` arguments make; values are TOML where they parse as it, else plain text.

    Dates, which no option takes, and paths of data are text: a folder may be called 2024 or 2024-05-01. A path where a setting
    belongs is told to be one for `path_option`, where the command has such.

    Raises:
        UsageError: an argument has no `=`, or its value is more than any option could take.
    """
    pairs: list[tuple[str, Any]] = []
    for text in assignments:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not key:
            hint = f"; data are given as {path_option} {text}" if path_option and _is_there(text) else ""
            raise UsageError(f"'{text}' is not of the form key=value, such as loss=hinge or every.sample=100{hint}")
        try:
            parsed = tomllib.loads(f"v = {value}")["v"]
        except RecursionError:
            raise UsageError(f"the value of {key} is {TOO_DEEP}") from None
        except ValueError:
            parsed = value
        if not isinstance(parsed, str) and (isinstance(parsed, date | time) or key in PATHS):
            parsed = value
        pairs.append((key, parsed))
    return _layer(pairs)


def _is_there(text: str) -> bool:
    """Whether `text` is the path of something."""
    try:
        return bool(text) and Path(text).expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # too long a name, a NUL in it, an unknown home
        return False


def check_agreement(named: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Refuse what is asked for twice and differently, by arguments of their own and among `options`, the layer of `key=value`.

    `named` are values, None where not given, by the dotted name of the same option: `{"steps": 5, "data.path": "photos"}`.

    Raises:
        UsageError: two of them contradict each other; the message names both.
    """
    for key, value in named.items():
        if value is None:
            continue
        other: Any = options
        for part in key.split("."):
            other = other.get(part) if isinstance(other, Mapping) else None
        same = brief(value) == brief(other) or str(value) == other
        if key in PATHS and isinstance(other, str | Path):
            same = Path(str(value)).expanduser().absolute() == Path(other).expanduser().absolute()
        if other is not None and not same:
            flag = PATHS.get(key, f"--{key.rpartition('.')[2]}")
            raise UsageError(f"{flag} {value} and {key}={_plain(other)} contradict each other; leave one of them out")


def _plain(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= LONGEST else brief(value)


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """`{"every.log": 5}` as `{"every": {"log": 5}}`, and `{"loss": "hinge"}` as `{"loss": {"name": "hinge"}}`."""
    return _layer(flat.items())


def _layer(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """One layer out of dotted keys, later ones on top. Components are chosen first: `a.width=8 a=mlp` sets mlp's width."""

    def chooses(key: str, value: Any) -> bool:
        return key.removesuffix(".name") in SECTIONS and not isinstance(value, Mapping)

    layer: dict[str, Any] = {}
    for key, value in sorted(pairs, key=lambda pair: not chooses(*pair)):
        if key.count(".") >= DEEPEST or _too_deep({key: value}):
            raise UsageError(f"the option {brief(key)} is {TOO_DEEP}")
        layer = merge(layer, _unfold(key, value))
    return layer


def _unfold(key: str, value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        inner: dict[str, Any] = {}
        for k, v in value.items():
            inner = _deep(inner, _unfold(k, v))
        value = inner
    for name in reversed(key.split(".")):
        value = {name: value}
    return value


def merge(base: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `layer` on top.

    A section that chooses another component drops the options of the one before. A section of several takes a list or a
    comma-separated text of names as "these and no others", and `none` for one of them as "not this one". Another schedule of a
    setting keeps from what value to what, and when; another optimizer of a player its learning rate and clipping.
    """
    result: dict[str, Any] = deepcopy(dict(base))
    for key, value in layer.items():
        if key in SECTIONS:
            new = {"name": value} if isinstance(value, str) else value
            old = result.get(key, {})
            if isinstance(new, Mapping) and isinstance(old, Mapping):
                renamed = "name" in new and new["name"] != old.get("name")
                result[key] = dict(new) if renamed else _deep(old, new)
            else:
                result[key] = new
        elif key in (*MAPS, METRICS, FEATURES, ATTRIBUTES) and isinstance(value, (str, list, tuple)):
            names = [n.strip() for n in value.split(",")] if isinstance(value, str) else [str(n) for n in value]
            result[key] = _several(result.get(key), {REST: NONE} | {n: {} for n in names if n and n != NONE})
        elif key in (*MAPS, METRICS, FEATURES, ATTRIBUTES) and isinstance(value, Mapping):
            result[key] = _several(result.get(key), value)
        elif key in BY_PLAYER and isinstance(value, Mapping):
            old = section_of(result.get(key))
            result[key] = old | {n: _another(old.get(n), v, OptimizerOptions) for n, v in value.items()}
        elif key == SCHEDULES:
            result[key] = _schedules(section_of(result.get(key)), value)
        elif key == EVALUATE and isinstance(value, Mapping):  # within, there are the sections of an evaluation
            result[key] = merge(section_of(result.get(key)), value)
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = _deep(result[key], value)
        else:
            result[key] = deepcopy(value)
    return result


def _several(base: Any, layer: Mapping[str, Any]) -> dict[str, Any]:
    old = section_of(base)
    new = {n: v if v == NONE else _deep(section_of(old.get(n)), v) for n, v in layer.items()}
    if layer.get(REST) == NONE:  # these and no others, in this order
        return {n: NONE for n in old if n not in new} | new
    return old | new


def by_setting(value: Any, within: str = "") -> dict[str, Any]:
    """Schedules by the dotted names of the settings that they move, however their sections are nested in `value`."""
    if within.count(".") == (1 if within.startswith(("ema.", "game.")) else 2):  # not penalties.r1.weight
        return {within: {"name": value} if isinstance(value, str) and value != NONE else value}
    if not isinstance(value, Mapping):
        return {within: value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        head, _, rest = str(key).partition(".")
        for path, one in by_setting({rest: inner} if rest else inner, f"{within}.{head}".lstrip(".")).items():
            found[path] = _deep(section_of(found.get(path)), one)
    return found


def _schedules(base: Mapping[str, Any], layer: Any) -> dict[str, Any]:
    layer = by_setting({REST: NONE} if layer == NONE else layer)
    result = dict.fromkeys(base, NONE) if layer.get(REST) == NONE else dict(base)
    return result | {path: _another(result.get(path), new, ScheduleOptions) for path, new in layer.items()}


def _another(base: Any, layer: Any, common: type[Options]) -> Any:
    """`layer` on top of `base`, of which another component leaves the options that are `common` to all of the kind."""
    old = section_of(base)
    if isinstance(layer, Mapping) and layer.get("name", old.get("name")) != old.get("name"):
        old = {name: option for name, option in old.items() if name in common.model_fields}
    return _deep(old, layer)


def section_of(value: Any) -> dict[str, Any]:
    """`value` where it is a section; an empty one for all else, which validation tells of later."""
    return dict(value) if isinstance(value, Mapping) else {}


def _deep(base: Mapping[str, Any], layer: Any) -> Any:
    if not isinstance(layer, Mapping):
        return layer
    result = dict(base)
    for key, value in layer.items():
        old = result.get(key)
        result[key] = _deep(old, value) if isinstance(old, Mapping) else deepcopy(value)
    return result
