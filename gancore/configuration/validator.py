"""From one merged configuration to settings, with all mistakes told at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from inspect import isclass
from typing import Any

from pydantic import BaseModel, ValidationError

from gancore.components import Augmentation, Game
from gancore.configuration.by_device import suit
from gancore.configuration.layers import section_of
from gancore.configuration.mistakes import explain
from gancore.configuration.run_config import (
    BY_PLAYER,
    BY_SETTING,
    MAPS,
    NONE,
    OPTIMIZERS,
    REST,
    SCHEDULES,
    SECTIONS,
    USUAL_OPTIMIZER,
    RunConfig,
)
from gancore.configuration.schedules import movable, not_movable, out_of_bounds
from gancore.configuration.settings import ALL_KINDS, KIND_OF, Chosen, Settings, check_samples, usable
from gancore.errors import ConfigError, Mistake, UnknownNameError, nearest
from gancore.options import OptimizerOptions, ScheduleOptions
from gancore.plugins import Found, Registry
from gancore.targets import options_model
from gancore.text import brief


class Validator:
    """Collects every mistake of a merged configuration before any is told."""

    def __init__(self, registry: Registry, plugin: str) -> None:
        self.registry = registry
        self.plugin = plugin
        self.mistakes: list[Mistake] = []

    def settings(self, merged: dict[str, Any]) -> Settings:
        own = {k: v for k, v in merged.items() if k not in {**SECTIONS, **MAPS, **BY_PLAYER, **BY_SETTING}}
        run: RunConfig | None = None
        try:
            run = RunConfig.model_validate(own)
        except ValidationError as error:
            self.mistakes += explain(error, RunConfig, "", extra=[*SECTIONS, *MAPS, *BY_PLAYER, *BY_SETTING])
        single = {section: self._section(section, merged.get(section)) for section in SECTIONS}
        several = {section: self.several(section, merged.get(section, {})) for section in MAPS}
        chosen_by_path = {path: one for path, one in single.items() if one is not None}
        chosen_by_path |= {f"{section}.{name}": one for section in MAPS for name, one in several[section].items()}
        self.mistakes = [self._with_section(mistake, own, chosen_by_path) for mistake in self.mistakes]
        game = single["game"]
        several[OPTIMIZERS] = {} if game is None else self._optimizers(merged.get(OPTIMIZERS, {}), game.found.record)
        several[SCHEDULES] = self._schedules(merged.get(SCHEDULES, {}), run if game else None, several, game)
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

    def _with_section(self, mistake: Mistake, own: Mapping[str, Any], chosen: Mapping[str, Chosen]) -> Mistake:
        """A mistake that names the option of some section without it, with the whole name as suggestion; else the same."""
        key = mistake.path
        if key not in own or mistake.suggestion or not mistake.message.startswith("no such option"):
            return mistake
        inner = f".{next(iter(own[key]))}" if isinstance(own[key], Mapping) and own[key] else ""
        for section, kind in KIND_OF.items():  # it is the name of a component
            if key in self.registry.known(kind, self.plugin) and (inner or section in SECTIONS):
                whole = (
                    f"{section}={key}" if not inner else f"{section}{'' if section in SECTIONS else f'.{key}'}{inner}"
                )
                return replace(mistake, message="no such option", suggestion=whole)
        models = {path: one.options for path, one in chosen.items()}
        fields = {path: type(options).model_fields for path, options in models.items() if options is not None}
        parts = {name: field.annotation for name, field in RunConfig.model_fields.items()}
        engine = {n: part.model_fields for n, part in parts.items() if isclass(part) and issubclass(part, BaseModel)}
        for path, known in (fields | engine | {f"{OPTIMIZERS}.generator": OptimizerOptions.model_fields}).items():
            if key in known:
                return replace(mistake, message="no such option", suggestion=f"{path}.{key}")
        return mistake

    def _optimizers(self, given: Any, game: Game) -> dict[str, Chosen]:
        """The optimizer of every player."""
        if not isinstance(given, Mapping):
            self.mistakes.append(
                Mistake(OPTIMIZERS, f"must be sections by player, such as {OPTIMIZERS}.generator.lr=1e-4")
            )
            return {}
        known = ", ".join(game.players)
        for name in given:
            if name not in game.players:
                hint = (nearest(name, game.players) or [""])[0]
                self.mistakes.append(
                    Mistake(f"{OPTIMIZERS}.{name}", f"the game has no such player; it has {known}", hint)
                )
        chosen = {
            p: self._named(OPTIMIZERS, given.get(p, {}), USUAL_OPTIMIZER, f"{OPTIMIZERS}.{p}") for p in game.players
        }
        return {player: one for player, one in chosen.items() if one is not None}

    def _named(self, section: str, value: Any, usual: str, path: str) -> Chosen | None:
        """The component of a section of options and a `name`, `usual` where none is given."""
        options = section_of(value)
        name = options.pop("name", usual)
        if isinstance(value, str) and value in self.registry.known(ALL_KINDS[section], self.plugin):
            hint = f"{path}.name={value}"
            self.mistakes.append(Mistake(path, f"must be a section of options, not {brief(value)}", hint))
            return None
        return self._choose(section, str(name), options if isinstance(value, Mapping) else value, path, f"{path}.name")

    def _section(self, section: str, value: Any) -> Chosen | None:
        if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
            self.mistakes.append(Mistake(section, f"choose one by name, such as {section}=NAME"))
            return None
        options = {k: v for k, v in value.items() if k != "name"}
        return self._choose(section, value["name"], options, section, f"{section}.name")

    def several(self, section: str, value: Any) -> dict[str, Chosen]:
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

    def _schedules(
        self,
        given: Mapping[str, Any],
        run: RunConfig | None,
        several: Mapping[str, Mapping[str, Chosen]],
        game: Chosen | None,
    ) -> dict[str, Chosen]:
        chosen: dict[str, Chosen] = {}
        known: Mapping[str, tuple[BaseModel, str]] = {}
        if run is not None:
            known = movable(run, several[OPTIMIZERS], several["penalties"], several["augmentations"], game)
        told = {mistake.path for mistake in self.mistakes}
        faulty = told | {path.rpartition(".")[0] for path in told}
        for path, value in given.items():
            if path == REST:
                continue
            at = f"{SCHEDULES}.{path}" if path else SCHEDULES
            owner, section = path.rpartition(".")[0], path.partition(".")[0]
            if run is not None and path not in known and owner not in faulty and section not in told:
                self.mistakes.append(not_movable(path, known))
            elif value != NONE:
                one = self._named(SCHEDULES, value, "linear", at)
                if one is None:
                    continue
                chosen[path] = one
                if path in known and isinstance(one.options, ScheduleOptions):
                    self.mistakes += out_of_bounds(path, one.options, *known[path])
        return chosen

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
