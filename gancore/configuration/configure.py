"""How defaults < preset < file < key=value become one validated value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gancore.components import Attribute, Component, Dataset, Features, Game, Metric, Preset, Writer
from gancore.configuration.choosing import suited
from gancore.configuration.layers import ATTRIBUTES, FEATURES, METRICS, merge, section_of
from gancore.configuration.run_config import (
    DEFAULT_CHOICES,
    MAPS,
    NONE,
    OPTIMIZERS,
    SCHEDULES,
    USUAL_OPTIMIZER,
    RunConfig,
)
from gancore.configuration.settings import Chosen, Settings, check_samples, usable
from gancore.configuration.validator import Validator
from gancore.errors import ConfigError, GanError, Mistake, UsageError
from gancore.options import LARGEST, OptimizerOptions
from gancore.plugins import BUILTIN, Registry
from gancore.text import brief, check_path


def configure(
    registry: Registry,
    *,
    plugin: str | None = None,
    data: str | Path | None = None,
    preset: str | None = None,
    layers: Sequence[Mapping[str, Any]] = (),
) -> Settings:
    """One validated configuration out of a preset and `layers`, later ones on top.

    Without `preset`, a layer's own `preset` is the base, else for data that are given the one whose rule suits them best, else the
    plugin's preset for its demo set, or for other data. Where a layer says that it is complete, the preset is only the name of
    where it came from.

    Raises:
        UsageError: no plugin is named, or nothing of the plugin reads `data`.
        UnknownNameError: no such plugin or preset.
        ConfigError: every other mistake, all at once.
    """
    top: dict[str, Any] = {}
    for layer in layers:
        top = merge(top, layer)
    if wrong := [key for key in ("plugin", "preset") if not isinstance(top.get(key) or "", str)]:
        raise ConfigError([Mistake(key, f"must be text, not {brief(top[key])}") for key in wrong])
    if isinstance(path := section_of(top.get("data")).get("path"), int) and not 0 <= path <= LARGEST:
        raise ConfigError([Mistake("data.path", f"must be text, not {brief(path)}")])
    name = plugin or top.get("plugin")
    if not name:
        # Which of them bring something to train is told without importing any: these only listen.
        listening = RunConfig.model_fields["listeners"].default
        names = ", ".join(p.name for p in registry.installed() if p.name not in listening) or "none is installed"
        raise UsageError(f"no plugin was named; choose one with --plugin NAME ({names})")
    info = registry.load(str(name)).info
    source = section_of(top.get("data"))
    has_data = data is not None or bool(source.get("name") or source.get("path"))
    if "" in (preset, top.get("preset")):
        raise UsageError("the preset is empty; name one, or leave it out")
    complete = top.get("complete") is True
    wanted, notes = str(preset or top.get("preset") or ""), list[str]()
    own = (info.data_preset if has_data else info.demo_preset) or NONE
    if not wanted and has_data and not complete:
        wanted, notes = _suited(registry, str(name), data, source, str(top.get("device", "auto")), own)
    wanted = wanted or own

    base: dict[str, Any] = DEFAULT_CHOICES | {
        "writers": {n: {} for n in registry.load(str(name)).of_kind(Writer)},
    }
    if wanted != NONE and not complete:
        base = merge(base, registry.find(Preset, wanted, str(name)).record.config)
    if data is None and "name" not in source:
        data = source.get("path")
    if data is not None and not isinstance(data, bool):  # it outranks what the layers say of another place
        usual = source.get("name") or section_of(base.get("data")).get("name")
        found = _data_layer(registry, str(name), str(data), str(usual))
        kept = source if source.get("name") in (None, found["name"]) else {}
        top = top | {"data": kept | found}
    base = _without_absent_players(registry, str(name), base, top)
    base = _without_idle_schedules(base, top)
    merged = merge(base, top) | {"plugin": name, "preset": wanted}
    merged["writers"] = _fitting_writers(registry, str(name), merged, top)
    if complete:
        merged["complete"] = False  # it was said of what was read; whatever is written from now on is complete
    chosen_path = merged.get("data", {})
    if (
        isinstance(chosen_path, dict)
        and isinstance(chosen_path.get("path"), str | int | Path)
        and not isinstance(chosen_path["path"], bool)
    ):
        # A folder called 2024 reads as a number in TOML.
        chosen_path["path"] = _whole(str(chosen_path["path"]))
    settings = Validator(registry, str(name)).settings(merged)
    return replace(settings, notes=(*notes, *settings.notes))


def _fitting_writers(registry: Registry, plugin: str, merged: Mapping[str, Any], top: Mapping[str, Any]) -> Any:
    """The section of writers without those of the plugin that are made for other samples, unless somebody named them."""
    writers, data = merged["writers"], section_of(merged.get("data")).get("name")
    if not isinstance(writers, Mapping) or data not in registry.known(Dataset, plugin):
        return writers  # which is told as a mistake
    named, found = section_of(top.get("writers")), Chosen(data, registry.find(Dataset, data, plugin), None)
    own = registry.known(Writer, plugin)
    return {
        n: v
        for n, v in writers.items()
        if v != {} or n in named or n not in own or not Chosen(n, own[n], None).misfit(found)
    }


def _suited(
    registry: Registry, plugin: str, data: str | Path | None, source: Mapping[str, Any], device: str, usual: str
) -> tuple[str, list[str]]:
    """The preset whose rule fits the data best, and a sentence on it; an empty name where none does."""
    place = source.get("path") if data is None else data
    section = dict(source)
    if place is not None and not isinstance(place, bool) and not (data is None and "name" in source):
        base = {} if usual == NONE else registry.find(Preset, usual, plugin).record.config
        section |= _data_layer(registry, plugin, str(place), str(section_of(base.get("data")).get("name")))
    found = suited(registry, plugin, section, device)
    return ("", []) if found is None else (found[0], [found[1]])


def _whole(text: str) -> str:
    """The path of data from the root, as a run keeps it."""
    check_path(text, "data")
    path = Path(text).expanduser().absolute()
    check_path(path, "data")  # the folder that we are in may be called what cannot be kept
    return str(path)


def choose_metrics(
    registry: Registry, plugin: str, data: Chosen, layers: Sequence[Mapping[str, Any]] = ()
) -> tuple[dict[str, Chosen], dict[str, Chosen]]:
    """What to evaluate samples like those of the data set `data` with: metrics, and features that they share.

    These are all default metrics and features of `plugin` that are for such samples and, where there are features, the
    engine's metrics; `layers` of the sections `metrics` and `features` come on top.

    Raises:
        ConfigError: every mistake at once.
    """
    validator = Validator(registry, plugin)
    own = registry.load(plugin)
    usual = [name for name, record in own.of_kind(Features).items() if record.default]
    features = validator.several(FEATURES, _section(FEATURES, _for(registry, Features, usual, plugin, data), layers))
    engine = registry.load(BUILTIN).of_kind(Metric) if features else {}
    usual = [name for name, record in {**engine, **own.of_kind(Metric)}.items() if record.default]
    usual = _for(registry, Metric, usual, plugin, data)
    metrics = validator.several(METRICS, _section(METRICS, usual, layers))
    words = (
        f"no such option of an evaluation; there are those of metrics and features, such as {METRICS}.NAME.option=value"
    )
    _check_sections(validator, {METRICS: metrics, FEATURES: features}, data, layers, words)
    return metrics, features


def choose_attributes(
    registry: Registry, plugin: str, data: Chosen, layers: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Chosen]:
    """The attributes of samples like those of the data set `data`: all of `plugin` that are for such.

    `layers` of the section `attributes` come on top: another plugin's (`attributes=brightness,other:glow`), and options.

    Raises:
        ConfigError: every mistake at once.
    """
    validator = Validator(registry, plugin)
    usual = usable(registry, Attribute, plugin, data)
    chosen = validator.several(ATTRIBUTES, _section(ATTRIBUTES, usual, layers))
    words = f"no such option; there are those of attributes, such as {ATTRIBUTES}.NAME.option=value"
    _check_sections(validator, {ATTRIBUTES: chosen}, data, layers, words)
    return chosen


def _check_sections(
    validator: Validator,
    named: Mapping[str, Mapping[str, Chosen]],
    data: Chosen,
    layers: Sequence[Mapping[str, Any]],
    words: str,
) -> None:
    """Refuse, all at once, what is wrong in the sections `named`, and with `words` what of `layers` is in none of them."""
    unknown = dict.fromkeys(key for layer in layers for key in layer if key not in named)
    validator.mistakes += [Mistake(key, words) for key in unknown]
    if validator.mistakes:
        raise ConfigError(validator.mistakes)
    check_samples(data, {f"{section}.{name}": one for section, chosen in named.items() for name, one in chosen.items()})


def _for(registry: Registry, kind: type[Component], names: Iterable[str], plugin: str, data: Chosen) -> list[str]:
    """Those of `names` that are not made for other samples than those of `data`."""
    return [name for name in names if not Chosen(name, registry.find(kind, name, plugin), None).misfit(data)]


def _section(section: str, names: Iterable[str], layers: Sequence[Mapping[str, Any]]) -> Any:
    """A section that holds `names`, with what `layers` have of it on top."""
    top: dict[str, Any] = {section: {name: {} for name in names}}
    for layer in layers:
        top = merge(top, {key: value for key, value in layer.items() if key == section})
    return top[section]


def _without_absent_players(
    registry: Registry, plugin: str, base: dict[str, Any], top: Mapping[str, Any]
) -> dict[str, Any]:
    """A preset without the optimizers, and their schedules, of players that another game, chosen on top, does not have."""
    game = top.get("game")
    chosen = game if isinstance(game, str) else section_of(game).get("name")
    if not isinstance(chosen, str) or "optimizers" not in base:
        return base
    try:
        players = registry.find(Game, chosen, plugin).record.players
    except GanError:
        return base  # told with all other mistakes
    optimizers = {n: o for n, o in section_of(base["optimizers"]).items() if n in players}
    schedules = section_of(base.get(SCHEDULES)).items()
    kept = {p: s for p, s in schedules if not p.startswith("optimizers.") or p.split(".")[1] in players}
    return base | {"optimizers": optimizers, SCHEDULES: kept}


def _without_idle_schedules(base: dict[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """A preset without schedules of penalties and augmentations that are taken out on top, or of options of another optimizer."""
    whole = merge(base, top)

    def optimizer(of: Mapping[str, Any], player: str) -> Any:
        return section_of(section_of(of.get(OPTIMIZERS)).get(player)).get("name", USUAL_OPTIMIZER)

    def idle(path: str) -> bool:
        section, _, rest = path.partition(".")
        if section == OPTIMIZERS:
            player, _, name = rest.rpartition(".")
            return name not in OptimizerOptions.model_fields and optimizer(whole, player) != optimizer(base, player)
        return section in MAPS and not isinstance(section_of(whole.get(section)).get(rest.rpartition(".")[0]), Mapping)

    schedules = section_of(base.get(SCHEDULES)).items()
    return base | {SCHEDULES: {path: one for path, one in schedules if not idle(path)}}


def _data_layer(registry: Registry, plugin: str, text: str, usual: str) -> dict[str, Any]:
    """The data set of `plugin` that reads the file or folder `text`: `usual` if that does, else the first of the same conditioning
    input, pairs say, else the first."""
    path = Path(_whole(text))
    if not path.exists():
        raise UsageError(f"data '{text}': there is no such file or folder")
    takes = {n: f.record for n, f in registry.known(Dataset, plugin).items()}
    given = takes[usual].given if usual in takes else None
    for name, record in sorted(takes.items(), key=lambda item: (item[0] != usual, item[1].given != given)):
        if record.directories if path.is_dir() else path.suffix.lower() in record.suffixes:
            return {"name": name, "path": str(path)}
    forms = {n: (["a folder"] if r.directories else []) + list(r.suffixes) for n, r in takes.items()}
    taken = "; ".join(f"{', '.join(form)} ({n})" for n, form in forms.items() if form) or "none at all"
    raise UsageError(f"data '{text}': plugin '{plugin}' reads no such file; it takes {taken}")
