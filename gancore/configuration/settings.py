"""How defaults < preset < file < key=value become one validated value, with all mistakes told at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from gancore.components import (
    Architecture,
    Augmentation,
    Component,
    Dataset,
    Game,
    Loss,
    Metric,
    Penalty,
    Preset,
    Writer,
)
from gancore.configuration.by_device import suit
from gancore.configuration.layers import METRICS, NONE, REST, merge, section_of
from gancore.configuration.mistakes import explain
from gancore.configuration.run_config import DEFAULT_CHOICES, MAPS, SECTIONS, Optimizer, RunConfig
from gancore.data.spec import SampleSpec, misfit, require
from gancore.errors import ConfigError, GanError, Mistake, PluginError, UnknownNameError, UsageError, nearest
from gancore.options import LARGEST
from gancore.plugins import Found, Registry, build, options_model, resolve
from gancore.text import brief, check_path

KIND_OF: dict[str, type[Component]] = {
    "data": Dataset,
    "architecture": Architecture,
    "game": Game,
    "loss": Loss,
    "penalties": Penalty,
    "augmentations": Augmentation,
    "writers": Writer,
}
ALL_KINDS: dict[str, type[Component]] = KIND_OF | {METRICS: Metric}
"""The kind of component in each section of a run, and in that of an evaluation."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A component with its validated options, ready to be built."""

    name: str
    found: Found
    options: BaseModel | None

    def build(self, *arguments: Any) -> Any:
        """Call the component's target.

        Raises:
            UsageError: it is made for other samples than those of the spec among `arguments`.
            PluginError: it returned something that is no component of its kind.
        """
        record = self.found.record
        for spec in (getattr(argument, "spec", argument) for argument in arguments if record.spec):
            if isinstance(spec, SampleSpec):
                require(spec, resolve(record.spec), f"{record.kind} '{self.found.qualified}'")
        answer = build(record, self.options, *arguments)
        if missing := [name for name in record.returns if not hasattr(answer, name)]:
            what = (
                "None; is a `return` missing?"
                if answer is None
                else f"a {type(answer).__name__} without {', '.join(missing)}"
            )
            raise PluginError(f"{record.kind} '{self.found.qualified}': its target returned {what}")
        return answer

    def misfit(self, data: Chosen) -> str:
        """Why it cannot work on the samples of the data set `data`, without reading any; empty where it can."""
        own, given = self.found.record.spec, data.found.record.spec
        return misfit(resolve(own), resolve(given)) if own not in ("", given) else ""

    def with_unset(self, values: Mapping[str, Any]) -> Chosen:
        """The same with `values` for those of its options that are None."""
        if self.options is None:
            return self
        update = {name: value for name, value in values.items() if getattr(self.options, name, self) is None}
        return replace(self, options=self.options.model_copy(update=update))

    def dump(self) -> dict[str, Any]:
        """Its options as plain values, without those that are not set."""
        return {} if self.options is None else self.options.model_dump(mode="json", exclude_none=True)


@dataclass(frozen=True, slots=True)
class Settings:
    """A complete, valid configuration: the engine's part and the chosen components."""

    run: RunConfig
    data: Chosen
    architecture: Chosen
    game: Chosen
    loss: Chosen
    penalties: Mapping[str, Chosen]
    augmentations: Mapping[str, Chosen]
    writers: Mapping[str, Chosen]
    removed_writers: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)
    """Sentences on what was chosen for the device."""
    unused_augmentations: tuple[str, ...] = field(default=(), compare=False)
    """Names of the augmentations that the run could have and has not."""

    def components(self) -> dict[str, Chosen]:
        """Everything that is chosen, by its path in a configuration: `loss`, `penalties.r1`."""
        several = {f"{section}.{n}": c for section in MAPS for n, c in getattr(self, section).items()}
        return {section: getattr(self, section) for section in SECTIONS} | several

    def dump(self) -> dict[str, Any]:
        """The whole configuration as nested plain values: what `config.toml` holds, and enough to run again."""
        result: dict[str, Any] = self.run.model_dump(mode="json", exclude_none=True)
        result["complete"] = True
        for section in SECTIONS:
            chosen: Chosen = getattr(self, section)
            result[section] = {"name": chosen.name, **chosen.dump()}
        for section in MAPS:
            result[section] = {name: chosen.dump() for name, chosen in getattr(self, section).items()}
        result["writers"] |= dict.fromkeys(self.removed_writers, NONE)
        return result

    def updated(self, **changes: Any) -> Settings:
        """The same with other values of the engine's own settings, validated."""
        merged = self.run.model_dump() | {k: v for k, v in changes.items() if v is not None}
        try:
            return replace(self, run=RunConfig.model_validate(merged))
        except ValidationError as error:
            raise ConfigError(explain(error, RunConfig, "")) from error


# --- from layers to settings ----------------------------------------------------------------------------------------


def configure(
    registry: Registry,
    *,
    plugin: str | None = None,
    data: str | Path | None = None,
    preset: str | None = None,
    layers: Sequence[Mapping[str, Any]] = (),
) -> Settings:
    """One validated configuration out of a preset and `layers`, later ones on top.

    Without `preset`, a layer's own `preset` is the base, else the plugin's preset for its demo set, or for other data
    where some are given. Where a layer says that it is complete, the preset is only the name of where it came from.

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
    wanted = preset or top.get("preset") or (info.data_preset if has_data else info.demo_preset) or NONE

    base: dict[str, Any] = DEFAULT_CHOICES | {
        "writers": {n: {} for n in registry.load(str(name)).of_kind(Writer)},
    }
    complete = top.get("complete") is True
    if wanted != NONE and not complete:
        base = merge(base, registry.find(Preset, str(wanted), str(name)).record.config)
    if data is None and "name" not in source:
        data = source.get("path")
    if data is not None and not isinstance(data, bool):  # it outranks what the layers say of another place
        usual = source.get("name") or section_of(base.get("data")).get("name")
        found = _data_layer(registry, str(name), str(data), str(usual))
        kept = source if source.get("name") in (None, found["name"]) else {}
        top = top | {"data": kept | found}
    base = _without_absent_players(registry, str(name), base, top)
    merged = merge(base, top) | {"plugin": name, "preset": wanted}
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
    return _Validator(registry, str(name)).settings(merged)


def _whole(text: str) -> str:
    """The path of data from the root, as a run keeps it."""
    check_path(text, "data")
    path = Path(text).expanduser().absolute()
    check_path(path, "data")  # the folder that we are in may be called what cannot be kept
    return str(path)


def choose_metrics(registry: Registry, plugin: str, layers: Sequence[Mapping[str, Any]] = ()) -> dict[str, Chosen]:
    """What to evaluate a run of `plugin` with: all its metrics, with `layers` of a section `metrics` on top.

    Raises:
        ConfigError: every mistake at once.
    """
    top: dict[str, Any] = {METRICS: {n: {} for n in registry.load(plugin).of_kind(Metric)}}
    for layer in layers:
        top = merge(top, layer)
    validator = _Validator(registry, plugin)
    words = f"no such option of an evaluation; there are those of metrics, such as {METRICS}.NAME.option=value"
    validator.mistakes += [Mistake(key, words) for key in top if key != METRICS]
    chosen = validator._map(METRICS, top[METRICS])
    if validator.mistakes:
        raise ConfigError(validator.mistakes)
    return chosen


def check_samples(data: Chosen, chosen: Mapping[str, Chosen]) -> None:
    """Refuse components, by their path in a configuration, that are made for other samples than those of `data`.

    Raises:
        ConfigError: all of them at once.
    """
    mistakes = []
    for path, one in chosen.items():
        if words := one.misfit(data):
            way = f"leave it out ({path}={NONE})" if "." in path else "choose one that is made for them"
            mistakes.append(Mistake(path, f"{one.found.record.kind} '{one.found.qualified}' {words}; {way}"))
    if mistakes:
        raise ConfigError(mistakes)


def usable(registry: Registry, kind: type[Component], plugin: str, data: Chosen) -> list[str]:
    """Names of the components of a kind that a run of `plugin` can have for `data` without naming another plugin."""
    return [n for n, found in registry.known(kind, plugin).items() if not Chosen(n, found, None).misfit(data)]


def _without_absent_players(
    registry: Registry, plugin: str, base: dict[str, Any], top: Mapping[str, Any]
) -> dict[str, Any]:
    """A preset without the optimizers of players that another game, chosen on top, does not have."""
    game = top.get("game")
    chosen = game if isinstance(game, str) else section_of(game).get("name")
    if not isinstance(chosen, str) or "optimizers" not in base:
        return base
    try:
        players = registry.find(Game, chosen, plugin).record.players
    except GanError:
        return base  # told with all other mistakes
    return base | {"optimizers": {n: o for n, o in section_of(base["optimizers"]).items() if n in players}}


def _data_layer(registry: Registry, plugin: str, text: str, usual: str) -> dict[str, Any]:
    """The data set of `plugin` that reads the file or folder `text`: `usual` if that does, else the first."""
    path = Path(_whole(text))
    if not path.exists():
        raise UsageError(f"data '{text}': there is no such file or folder")
    takes = {n: f.record for n, f in registry.known(Dataset, plugin).items()}
    for name, record in sorted(takes.items(), key=lambda item: item[0] != usual):
        if record.directories if path.is_dir() else path.suffix.lower() in record.suffixes:
            return {"name": name, "path": str(path)}
    forms = {n: (["a folder"] if r.directories else []) + list(r.suffixes) for n, r in takes.items()}
    taken = "; ".join(f"{', '.join(form)} ({n})" for n, form in forms.items() if form) or "none at all"
    raise UsageError(f"data '{text}': plugin '{plugin}' reads no such file; it takes {taken}")


class _Validator:
    """Collects every mistake of a merged configuration before any is told."""

    def __init__(self, registry: Registry, plugin: str) -> None:
        self.registry = registry
        self.plugin = plugin
        self.mistakes: list[Mistake] = []

    def settings(self, merged: dict[str, Any]) -> Settings:
        own = {k: v for k, v in merged.items() if k not in SECTIONS and k not in MAPS}
        run: RunConfig | None = None
        try:
            run = RunConfig.model_validate(own)
        except ValidationError as error:
            self.mistakes += explain(error, RunConfig, "", extra=[*SECTIONS, *MAPS])
        single = {section: self._section(section, merged.get(section)) for section in SECTIONS}
        several = {section: self._map(section, merged.get(section, {})) for section in MAPS}
        if (game := single["game"]) is not None:
            run = self._optimizers(run, merged.get("optimizers"), game.found.record)
        if self.mistakes or run is None or any(c is None for c in single.values()):
            raise ConfigError(self.mistakes)
        removed = tuple(n for n, v in merged.get("writers", {}).items() if v == NONE and n != REST)
        chosen = {f.name: (single | several)[f.name] for f in fields(Settings) if f.name in KIND_OF}
        settings = Settings(run=run, removed_writers=removed, **chosen)  # type: ignore[arg-type]
        check_samples(settings.data, settings.components())
        known = usable(self.registry, Augmentation, self.plugin, settings.data)
        settings = replace(settings, unused_augmentations=tuple(n for n in known if n not in settings.augmentations))
        architecture = settings.architecture
        if architecture.options is None:
            return settings
        options, notes = suit(architecture.options, run.device, "architecture")
        return replace(settings, architecture=replace(architecture, options=options), notes=notes)

    def _optimizers(self, run: RunConfig | None, given: Any, game: Game) -> RunConfig | None:
        for name in section_of(given):
            if name not in game.players:
                hint = (nearest(name, game.players) or [""])[0]
                known = ", ".join(game.players)
                self.mistakes.append(
                    Mistake(f"optimizers.{name}", f"the game has no such player; it has {known}", hint)
                )
        if run is None:
            return None
        complete = {p: run.optimizers.get(p, Optimizer()) for p in game.players}
        return run.model_copy(update={"optimizers": complete})

    def _section(self, section: str, value: Any) -> Chosen | None:
        if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
            self.mistakes.append(Mistake(section, f"choose one by name, such as {section}=NAME"))
            return None
        options = {k: v for k, v in value.items() if k != "name"}
        return self._choose(section, value["name"], options, section, f"{section}.name")

    def _map(self, section: str, value: Any) -> dict[str, Chosen]:
        if not isinstance(value, Mapping):
            self.mistakes.append(Mistake(section, f"must be sections by name, such as {section}.NAME.option=value"))
            return {}
        result: dict[str, Chosen] = {}
        for name, options in value.items():
            path = f"{section}.{name}"
            if options == NONE:
                if name != REST:  # a misspelt name would take out nothing
                    self._find(section, name, path)
                continue
            chosen = self._choose(section, name, options, path, path)
            if chosen is not None:
                result[name] = chosen
        return result

    def _find(self, section: str, name: str, name_path: str) -> Found | None:
        try:
            return self.registry.find(ALL_KINDS[section], name, self.plugin)
        except UnknownNameError as error:
            self.mistakes.append(Mistake(name_path, str(error).split("; did you mean")[0], *error.suggestions[:1]))
            return None

    def _choose(self, section: str, name: str, options: Any, path: str, name_path: str) -> Chosen | None:
        found = self._find(section, name, name_path)
        if found is None:
            return None
        if not isinstance(options, Mapping):
            self.mistakes.append(Mistake(path, f"must be a section of options, not {brief(options)}"))
            return None
        model = options_model(found.record)
        if model is None:
            self.mistakes += [Mistake(f"{path}.{k}", f"{found.record.kind} '{name}' has no options") for k in options]
            return Chosen(name, found, None)
        try:
            return Chosen(name, found, model.model_validate(dict(options)))
        except ValidationError as error:
            self.mistakes += explain(error, model, path)
            return None
