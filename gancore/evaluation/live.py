"""Figures of a run while it is trained: what is chosen for them, refused early, and computed from the same samples each time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from gancore.components import DataSource, Features, ProgressReport
from gancore.configuration.layers import EVALUATE, FEATURES, METRICS, section_of
from gancore.configuration.run_config import NONE, REST, RunConfig
from gancore.configuration.settings import Settings, usable
from gancore.engine.evaluations import Figures
from gancore.errors import ConfigError, Mistake
from gancore.evaluation.comparison import Choice, Comparison, Made, choose
from gancore.evaluation.records import called
from gancore.evaluation.reference import Reference, reference_of_run
from gancore.evaluation.sets import generate, given_for, log_likelihood
from gancore.plugins import BUILTIN, Registry
from gancore.random import derive
from gancore.sampling.generator import Generator

USUAL = ("mind", "neighbours")
"""Metrics of a run that names none: they need few samples."""
SEED = 0
"""Which real samples are drawn: those that `gan evaluate` draws, whatever the run's seed, so that kept features serve both."""


def check_evaluation(settings: Settings, registry: Registry) -> Choice | None:
    """The metrics and the features that a run computes; None where it computes no figures.

    Raises:
        UsageError: what is asked for cannot be computed, or needs figures and there are none.
    """
    config = settings.run
    if not config.every.evaluate:
        words = "waits for figures, which are not computed; say how often, such as every.evaluate=500, or leave it out"
        _check_idle(config, words)
        return None
    if config.every.evaluate > config.steps:
        words = f"waits for figures, and the first would come at step {config.every.evaluate:,}"
        _check_idle(config, f"{words}; name fewer steps than the run's {config.steps:,}, such as {_often(config)}")
    metrics, features = config.evaluate.metrics, config.evaluate.features
    names = [name for name, how in metrics.items() if how != NONE] or [n for n in USUAL if n not in metrics]
    there = usable(registry, Features, config.plugin, settings.data)
    chosen = {name: how for name, how in features.items() if how != NONE}
    if not chosen:  # the first alone: others may have to be trained before anything can be computed
        own = registry.load(config.plugin).of_kind(Features)
        usual = [name for name, record in own.items() if record.default]
        usual = [other for name in usual for other in settings.training_features.get(name, [name])]
        chosen = {name: {} for name in [n for n in usual if n in there and n not in features][:1]}
    try:
        asked = {METRICS: metrics, FEATURES: {REST: NONE, **features, **chosen}}
        choice = choose(registry, config.plugin, settings.data, metrics=names, options=asked)
    except ConfigError as error:
        raise ConfigError([replace(one, path=f"{EVALUATE}.{one.path}") for one in error.mistakes]) from error
    if not choice.features and all(metric.found.plugin == BUILTIN for metric in choice.metrics.values()):
        how = f", unless some are named: {EVALUATE}.{FEATURES}={','.join(there)}" if there else " to compare"
        words = f"plugin '{config.plugin}' has no features of such samples{how}; or name a metric of its own"
        raise ConfigError([Mistake("every.evaluate", f"{words} (evaluate.metrics=NAME), or leave it out")])
    if (best := config.best.metric) and not _computed(best, choice):
        known = f"metrics are {', '.join(choice.metrics)}, features {', '.join(choice.features) or 'none'}"
        words = f"'{best}' is not computed ({known}); name a figure of theirs, or add to evaluate.metrics or evaluate.features"
        raise ConfigError([Mistake("best.metric", words)])
    return choice


def check_often(settings: Settings, layers: Iterable[Mapping[str, Any]]) -> None:
    """Refuse `every.evaluate` of more steps than the run has, where one of `layers` names it: a preset's is for longer runs.

    Raises:
        ConfigError: it does.
    """
    config = settings.run
    named = any("evaluate" in section_of(one.get("every")) for one in layers if one.get("complete") is not True)
    if named and config.every.evaluate > config.steps:
        words = f"is more than the {config.steps:,} steps of the run, so that no figures would be computed; take fewer, such as"
        raise ConfigError([Mistake("every.evaluate", f"{words} {_often(config)}, or 0 for never")])


def _often(config: RunConfig) -> str:
    return f"every.evaluate={max(1, config.steps // 4)}"


def _check_idle(config: RunConfig, words: str) -> None:
    """Refuse what has no effect without figures, saying `words` of it."""
    idle = {"stop.patience": config.stop.patience > 0, "best.metric": bool(config.best.metric)}
    if mistakes := [Mistake(name, words) for name, named in idle.items() if named]:
        raise ConfigError(mistakes)


def _computed(figure: str, choice: Choice) -> bool:
    """Whether a metric may give a figure of that name, as far as it shows before it has given any."""
    named = any(f"-{kind}" in figure for kind in choice.features)
    return any(figure.startswith(name) and (named or m.found.plugin != BUILTIN) for name, m in choice.metrics.items())


class LiveEvaluations:
    """See `gancore.engine.evaluations.Evaluations`. Real samples are read, and their features computed, for the first figures."""

    def __init__(
        self, registry: Registry, settings: Settings, source: DataSource, device: torch.device, progress: ProgressReport
    ) -> None:
        """`source` is all data of the run, with what it holds out.

        Raises:
            UsageError: a metric of another plugin refuses these samples.
        """
        self.settings = settings
        self.source = source
        self.progress: ProgressReport = lambda words, done, total: progress(f"evaluating: {words}", done, total)
        choice = check_evaluation(settings, registry)
        assert choice is not None
        self.comparison = Comparison(choice, source.spec, seed=SEED, device=str(device), progress=self.progress)
        self._reference: Reference | None = None

    def figures(self, generator: nn.Module) -> Figures:
        """Those of `generator` as it is now."""
        run = self.settings.run
        seed = derive(run.seed, EVALUATE)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # for networks that draw for themselves
            if (reference := self._reference) is None:
                count = run.evaluate.samples
                reference = self._reference = reference_of_run(
                    self.source, run.held_out, usual=count, count=count, shown=2 * count,  # as many again for the floor
                    seed=SEED, progress=self.progress,
                )  # fmt: skip
            self.progress("generating samples", 0, len(reference.real))
            drawn = Generator(generator, self.source.spec, self.settings, 0)
            made = Made(
                generated=generate(drawn, reference.real, reference.train, len(reference.real), seed),
                given=given_for(drawn.spec, reference.real, reference.train, len(reference.real)),
                run="",
                log_likelihood=log_likelihood(drawn),
            )
            found = self.comparison.compare(made, reference)
        values: dict[str, float] = {}
        beside: dict[str, float] = {}
        for metric, figures in found.figures.items():
            for name, figure in figures.items():
                values[called(metric, name)] = figure.value
                known = figure.floor if figure.real is None else figure.real
                beside |= {} if known is None else {called(metric, name): known}
        return Figures(values, beside, {name: failure.cause for name, failure in found.failures.items()})
