"""A complete, valid configuration as a value: the engine's own settings, and the chosen components with their options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from gancore.components import (
    Architecture,
    Attribute,
    Augmentation,
    Component,
    Dataset,
    DataSource,
    Features,
    Game,
    Loss,
    Metric,
    Optimizer,
    Penalty,
    ProgressReport,
    Schedule,
    Writer,
)
from gancore.configuration.layers import ATTRIBUTES, FEATURES, METRICS
from gancore.configuration.mistakes import explain
from gancore.configuration.run_config import BY_PLAYER, BY_SETTING, MAPS, NONE, SCHEDULES, SECTIONS, RunConfig
from gancore.data.spec import SampleSpec, misfit, require
from gancore.errors import ConfigError, Mistake, PluginError
from gancore.options import ArchitectureOptions
from gancore.plugins import Found, Registry
from gancore.targets import build, resolve

KIND_OF: dict[str, type[Component]] = {
    "data": Dataset,
    "architecture": Architecture,
    "game": Game,
    "loss": Loss,
    "penalties": Penalty,
    "augmentations": Augmentation,
    "optimizers": Optimizer,
    "schedules": Schedule,
    "writers": Writer,
}
ALL_KINDS: dict[str, type[Component]] = KIND_OF | {METRICS: Metric, FEATURES: Features, ATTRIBUTES: Attribute}
"""The kind of component in each section of a run, and in those of what it is looked at with."""


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
    optimizers: Mapping[str, Chosen]
    """By the player whose weights each moves."""
    schedules: Mapping[str, Chosen]
    """By the dotted name of the setting that each moves."""
    writers: Mapping[str, Chosen]
    removed_writers: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)
    """Sentences on what was chosen for the device."""
    unused_augmentations: tuple[str, ...] = field(default=(), compare=False)
    """Names of the augmentations that the run could have and has not."""

    @property
    def data_path(self) -> Path | None:
        """Where the data lie; None for a data set that is made rather than read."""
        path = getattr(self.data.options, "path", None)
        return None if path is None else Path(path)

    def open_data(self, progress: ProgressReport, *, like: SampleSpec | None = None) -> DataSource:
        """The run's data, by their domains where it translates between them; `like` is the spec of a run for which these are other
        data.

        Raises:
            DataError: nothing usable in the data.
            UsageError: the game translates, and there are no two domains.
        """
        from gancore.data.domains import in_domains  # which imports torch

        chosen = self.data if like is None else self.data.with_unset(like.reading)
        game = self.game.found
        translates = getattr(game.record, "translates", False)
        return in_domains(chosen.build(progress), translating=game.qualified if translates else "", like=like)

    @property
    def training_features(self) -> Mapping[str, Sequence[str]]:
        """Features of the run's plugin that its networks are trained by, each with those to evaluate by instead."""
        options = self.architecture.options
        if not isinstance(options, ArchitectureOptions) or self.architecture.found.plugin != self.run.plugin:
            return {}
        return options.training_features

    def components(self) -> dict[str, Chosen]:
        """Everything that is chosen, by its path in a configuration: `loss`, `penalties.r1`."""
        sections = (*MAPS, *BY_PLAYER, *BY_SETTING)
        several = {f"{section}.{n}": c for section in sections for n, c in getattr(self, section).items()}
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
        for section in BY_PLAYER:
            chosen_by = getattr(self, section).items()
            result[section] = {player: {"name": chosen.name, **chosen.dump()} for player, chosen in chosen_by}
        result[SCHEDULES] = {}
        for path, chosen in self.schedules.items():
            *within, setting = path.split(".")
            section = result[SCHEDULES]
            for part in within:
                section = section.setdefault(part, {})
            section[setting] = {"name": chosen.name, **chosen.dump()}
        result["writers"] |= dict.fromkeys(self.removed_writers, NONE)
        return result

    def updated(self, **changes: Any) -> Settings:
        """The same with other values of the engine's own settings, validated."""
        merged = self.run.model_dump() | {k: v for k, v in changes.items() if v is not None}
        try:
            return replace(self, run=RunConfig.model_validate(merged))
        except ValidationError as error:
            raise ConfigError(explain(error, RunConfig, "")) from error


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
