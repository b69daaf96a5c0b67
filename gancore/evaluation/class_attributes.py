"""Classes as attributes: how clearly a sample is of each, by a classifier that has learnt the training samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gancore.blame import describe
from gancore.components import Attribute, FeatureExtractor, ProgressReport
from gancore.configuration.configure import choose_metrics
from gancore.configuration.layers import FEATURES
from gancore.configuration.settings import Chosen, Settings
from gancore.data.held_out import split
from gancore.data.report import silent
from gancore.data.spec import SampleSpec
from gancore.errors import GanError, UsageError
from gancore.evaluation.attributes import Attributes, remembered
from gancore.evaluation.classifier import LinearClassifier
from gancore.evaluation.measuring import build_features
from gancore.evaluation.records import Samples
from gancore.evaluation.sets import draw
from gancore.plugins import Registry
from gancore.random import derive

PREFIX = "class:"
"""Attributes of classes are called this and `class-NAME`."""
ALL = "all"
LEARNT = 2000
"""Training samples that are looked at, at most: three quarters are learnt, and the others tell how well."""
STRENGTH = 0.1
"""Of the classifier, as that of the metric `class-accuracy`."""
FEWEST = 20
"""Samples that there must be of a class, at least."""
TOLD_APART = 0.75
"""Of pairs of a sample of the class and another, the classifier must tell this share, or the class is no attribute."""


def class_attributes(
    registry: Registry,
    settings: Settings,
    spec: SampleSpec,
    classes: Sequence[str],
    *,
    features: Any = None,
    device: torch.device | str = "cpu",
    progress: ProgressReport = silent,
) -> Attributes:
    """Attributes `class:class-NAME` of samples of `spec`, for `classes` of the training data of `settings`, `ALL` for every one.

    Each is the logarithm of the odds of its class, by logistic regression on the first features of the plugin or on `features`, the
    section of an evaluation's options; on relaxed samples where there are none. It is no probability, because those are 0 or 1 for
    most samples, and nothing linear follows them. Data that a run has read without labels are read with them, where their option
    `labels` has them unless told otherwise. What cannot be had is left out.

    Raises:
        UsageError: there is no such class.
        ConfigError: a mistake in `features`.
    """
    chosen = choose_metrics(registry, settings.run.plugin, settings.data, [{FEATURES: features}] if features else [])[1]
    try:
        source = _labelled(settings.data).build(progress)
        rows = split(source, settings.run.held_out).train
        seed = derive(0, "class attributes")
        learnt = draw(source, rows, min(len(rows), LEARNT), seed, progress, "reading training data")
    except GanError as error:
        return _none(f"the training data cannot be read: {error}")
    known = source.spec.classes
    if len(known) < 2 or not spec.adopts(source.spec):
        return _none("the training data have no classes")
    if unknown := [name for name in classes if name not in known and name != ALL]:
        raise UsageError(f"there is no class '{unknown[0]}' in the training data; there are {', '.join(known)}")
    learnt = Samples(spec.adopt(learnt.x, source.spec), learnt.condition)
    asked = known if ALL in classes and ALL not in known else tuple(dict.fromkeys(classes))
    labelled = spec.model_copy(update={"classes": known})
    try:
        return _learn(chosen, labelled, learnt, asked, device, progress)
    except (Exception, SystemExit) as error:
        return _none(f"its classifier failed: {error if isinstance(error, GanError) else describe(error)}")


def _learn(
    chosen: dict[str, Chosen],
    spec: SampleSpec,
    learnt: Samples,
    asked: Sequence[str],
    device: torch.device | str,
    progress: ProgressReport,
) -> Attributes:
    """Attributes of the classes `asked` for by a classifier of `learnt`, by the first features of `chosen`."""
    first = dict(list(chosen.items())[:1])
    built, failures = build_features(
        first, spec, train=learnt, keep=[], device=torch.device(device), seed=0, progress=progress
    )
    if failures:
        return _none("; ".join(f"features {name}: {failure.cause}" for name, failure in failures.items()))
    extractor: Callable[[Tensor], Tensor] = lambda x: spec.relax(x).flatten(1)  # noqa: E731
    values = extractor(learnt.x)
    for computed in built.values():
        values, extractor = computed.of(learnt), _plain(computed.extractor)
    labels = learnt.condition
    if labels is None or len(labels[: len(labels) * 3 // 4].unique()) < 2:
        return _none("the training data are of one class")
    part = len(labels) * 3 // 4
    classifier = LinearClassifier(values[:part], labels[:part], STRENGTH)
    odds = classifier.log_odds(values[part:])
    read = remembered(lambda x: classifier.log_odds(extractor(x)))
    records: dict[str, Attribute] = {}
    measures: dict[str, Callable[[Tensor], Tensor]] = {}
    left_out: dict[str, str] = {}
    for name in asked:
        number, short = spec.classes.index(name), f"class-{name.replace(':', '-')}"
        own = labels[part:] == number
        count = int((labels == number).sum())
        if count < FEWEST or number not in classifier.learnt or own.all() or not own.any():
            left_out[short] = f"only {count:,} of {len(labels):,} training samples are of it"
            continue
        column = classifier.learnt.index(number)
        if (told := _told_apart(odds[:, column], own)) < TOLD_APART:
            left_out[short] = f"the classifier hardly tells it from others: area under the curve {told:.2f}"
            continue
        records[PREFIX + short] = Attribute(
            name=short,
            summary=f"How clearly a sample is of class {name}",
            target=f"{__name__}:class_attributes",
            unit="log-odds",
            less=f"less {name}",
            more=f"more {name}",
        )
        measures[PREFIX + short] = _column(read, column)
    return Attributes(records, measures, left_out)


def _labelled(data: Chosen) -> Chosen:
    """The same data with classes, where an option `labels` has turned them off that has them unless told otherwise."""
    options = data.options
    field = None if options is None else type(options).model_fields.get("labels")
    if options is None or field is None or getattr(options, "labels", None) not in (False, "none"):
        return data
    return replace(data, options=options.model_copy(update={"labels": field.get_default(call_default_factory=True)}))


def _plain(extractor: FeatureExtractor) -> Callable[[Tensor], Tensor]:
    def features(x: Tensor) -> Tensor:
        with torch.no_grad():
            return extractor(x).detach().float().cpu()

    return features


def _column(read: Callable[[Tensor], Tensor], column: int) -> Callable[[Tensor], Tensor]:
    return lambda x: read(x)[:, column].clone()


def _told_apart(values: Tensor, own: Tensor) -> float:
    """The area under the ROC curve: the share of pairs in which the sample that is `own` has the greater of `values`, `[n]` each."""
    apart = values[own][:, None] - values[~own]
    return float((apart > 0.0).double().mean() + (apart == 0.0).double().mean() / 2.0)


def _none(why: str) -> Attributes:
    return Attributes({}, {}, {"classes": why})
