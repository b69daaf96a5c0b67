"""Metrics called one after another on the same material: one that fails is told, and takes no other down."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from gancore.blame import describe
from gancore.components import ProgressReport
from gancore.configuration.settings import Chosen
from gancore.data.spec import SampleSpec
from gancore.errors import GanError, MissingPackageError, UsageError
from gancore.evaluation.features import Computed
from gancore.evaluation.records import Failure, Figure, Material, Measured, Samples, faults
from gancore.random import derive

TRAINED_ON = 10_000
"""Training samples that features are computed of, at most: networks take longer than anything else here."""
MetricCall = Callable[[Material], Any]
"""A metric, built."""


@dataclass(frozen=True, slots=True)
class Measurements:
    """What metrics have found: figures by metric and name, pictures by name, sentences, and failures by metric or features."""

    figures: Mapping[str, Mapping[str, Figure]]
    pictures: Mapping[str, bytes]
    notes: Sequence[str]
    failures: Mapping[str, Failure]


@contextmanager
def _kept(failures: dict[str, Failure], name: str, seed: int, *but: type[Exception]) -> Iterator[None]:
    """Keep a failure of the metric `name` in `failures`, all `but` some: it takes no other down."""
    # Metrics should draw from seeds of their own. One that does not is still the same for the same seed.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "evaluate", name))
        try:
            yield
        except but:
            raise
        except (Exception, SystemExit) as error:
            cause = str(error) if isinstance(error, GanError) else describe(error)
            missing = isinstance(error, MissingPackageError)
            failures[name] = Failure(cause, traceback.format_exc(), missing_package=missing)


def build_metrics(
    chosen: Mapping[str, Chosen], spec: SampleSpec, plugin: str, seed: int
) -> tuple[dict[str, MetricCall], dict[str, Failure]]:
    """Every metric, ready to be called, and why others are not.

    Raises:
        UsageError: one of another plugin refuses these samples, which is better told before any are drawn.
    """
    built: dict[str, MetricCall] = {}
    failures: dict[str, Failure] = {}
    for name, metric in chosen.items():
        with _kept(failures, name, seed, *([] if metric.found.plugin == plugin else [UsageError])):
            built[name] = metric.build(spec)
    return built, failures


def build_features(
    chosen: Mapping[str, Chosen],
    spec: SampleSpec,
    *,
    train: Samples,
    keep: Sequence[Samples],
    device: torch.device,
    seed: int,
    progress: ProgressReport,
) -> tuple[dict[str, Computed], dict[str, Failure]]:
    """Every kind of features, of at most the first `TRAINED_ON` training samples, and why others are not to be had.

    Those of `train` and of the sets to `keep` are kept on disk.
    """
    built: dict[str, Computed] = {}
    failures: dict[str, Failure] = {}
    part = train.part(slice(TRAINED_ON))
    for name, one in chosen.items():
        with _kept(failures, name, seed):
            extractor = one.build(spec)
            built[name] = Computed(name, extractor, train=part, keep=[part, *keep], device=device, progress=progress)
    return built, failures


def measure(built: Mapping[str, MetricCall], material: Material, seed: int, progress: ProgressReport) -> Measurements:
    """Call each metric; one that fails, and features that do, are told and take no others down."""
    figures: dict[str, Mapping[str, Figure]] = {}
    pictures: dict[str, bytes] = {}
    failures: dict[str, Failure] = {}
    notes: list[str] = []
    for number, (name, metric) in enumerate(built.items(), 1):
        progress(f"computing {name}", number, len(built))
        answer = None
        while True:
            with _kept(failures, name, seed):
                answer = metric(material)
            bad = failed(material)
            if name not in failures or not bad:
                break
            of_metric = failures.pop(name)
            # Whoever tells of features that failed names them.
            cause = of_metric.cause.replace(f"features '{bad[0]}' gave", "they gave", 1)
            failures[bad[0]] = replace(of_metric, cause=cause)
            material = without(material, bad[:1])
        if name in failures:
            continue
        if wrong := faults(answer):
            failures[name] = Failure("; ".join(wrong))
        if isinstance(answer, Measured):
            pictures |= {} if wrong else answer.pictures
            notes += answer.notes
            answer = answer.figures
        if isinstance(answer, Mapping):
            numbers = {k: f if isinstance(f, Figure) else Figure(value=f) for k, f in answer.items()}
            figures[name] = {k: f for k, f in numbers.items() if isinstance(k, str) and _is_number(f)}
    # What had nothing to say of these samples, such as classes where there are none, has no rows.
    return Measurements({name: found for name, found in figures.items() if found}, pictures, notes, failures)


def failed(material: Material) -> list[str]:
    """The features that have raised something."""
    return [name for name, one in material.features.items() if isinstance(one, Computed) and one.failed]


def without(material: Material, features: Sequence[str]) -> Material:
    """`material` without some of its features."""
    return replace(material, features={n: one for n, one in material.features.items() if n not in features})


def _is_number(figure: Figure) -> bool:
    """Whether it can be shown, even if it is not finite."""
    return all(
        isinstance(v, float) or (isinstance(v, int) and abs(v) <= sys.float_info.max) or (v is None and k != "value")
        for k, v in figure.parts().items()
    )
