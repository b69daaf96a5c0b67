"""Which preset suits somebody's data, where none is named: by rules of the presets, and a glance at the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gancore.blame import describe
from gancore.components import DataFacts, Dataset, Preset
from gancore.configuration.by_device import device_type
from gancore.errors import PluginError
from gancore.plugins import Registry
from gancore.targets import options_model, resolve


def suited(registry: Registry, plugin: str, data: Mapping[str, Any], device: str) -> tuple[str, str] | None:
    """The preset of `plugin` that suits best, and a sentence on why; None where no rule fits, or nothing is known before reading.

    `data` is the section of the data set that was asked for, with its `name`.

    Raises:
        PluginError: the rule of a preset fails.
    """
    rules = {name: p.suits for name, p in registry.load(plugin).of_kind(Preset).items() if p.suits is not None}
    facts = _glance(registry, plugin, data) if rules else None
    if facts is None or not facts.count:
        return None
    facts = replace(facts, device=device_type(device))
    scores: dict[str, float] = {}
    for name, suits in rules.items():
        try:
            scores[name] = float(suits(facts))
        except Exception as error:
            raise PluginError(
                f"preset '{plugin}:{name}': its rule `suits` failed ({describe(error)}); name a preset with --preset"
            ) from error
    best = max(scores, key=lambda name: scores[name])
    if not scores[best] > 0:
        return None
    return best, f"at a glance {in_words(facts)}: preset '{best}' was chosen; --preset NAME overrides that"


def _glance(registry: Registry, plugin: str, data: Mapping[str, Any]) -> DataFacts | None:
    """What the data set tells before it is read; None where it tells nothing. What is wrong with it, reading will tell."""
    try:
        record = registry.find(Dataset, str(data["name"]), plugin).record
        model = options_model(record)
        if not record.glance or model is None:
            return None
        options = model.model_validate({name: value for name, value in data.items() if name != "name"})
        facts: DataFacts = resolve(record.glance)(options)
        return facts
    except Exception:
        return None


def in_words(facts: DataFacts) -> str:
    """`600 samples of 3x64x64 in 4 classes, no GPU`."""
    form = f" of {'x'.join(map(str, facts.shape))}" if facts.shape else ""
    classes = f" in {facts.classes:,} classes" if facts.classes else ""
    device = "no GPU" if facts.device == "cpu" else f"a GPU ({facts.device})"
    return f"{facts.count:,} sample{'' if facts.count == 1 else 's'}{form}{classes}, {device}"
