"""How near projections are to what they are of, beside the training samples that are nearest to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gancore.components import ProgressReport
from gancore.configuration.configure import choose_metrics
from gancore.configuration.layers import FEATURES
from gancore.configuration.settings import Chosen
from gancore.data.held_out import split
from gancore.data.report import silent
from gancore.errors import GanError
from gancore.evaluation.live import SEED, check_evaluation
from gancore.evaluation.measuring import build_features
from gancore.evaluation.neighbours import nearest
from gancore.evaluation.records import Samples
from gancore.evaluation.sets import affordable, draw
from gancore.plugins import Registry
from gancore.random import derive
from gancore.sampling.generator import Generator

VALUES = "values"
"""The name of the distance of relaxed samples themselves: the root of their mean squared difference."""
_ROWS = 256


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Distances `[n]` float64 of projections to originals, and of the nearest training samples, by features, `VALUES` first.

    What cannot be computed is left out, and `notes` say why.
    """

    projected: Mapping[str, Tensor]
    nearest: Mapping[str, Tensor]
    notes: tuple[str, ...] = ()


def fidelity(
    generator: Generator,
    originals: Tensor,
    projected: Tensor,
    features: Mapping[str, Chosen],
    *,
    progress: ProgressReport = silent,
) -> Fidelity:
    """How near hard samples `projected` are to `originals`, `[n, ...]` each, by themselves and by `features`."""
    settings, spec = generator.settings, generator.spec
    ours, theirs = (spec.relax(x).flatten(1) for x in (originals, projected))
    unit = ours.shape[1] ** 0.5
    found = {VALUES: (ours - theirs).double().norm(dim=1) / unit}
    closest: dict[str, Tensor] = {}
    try:
        source = settings.open_data(progress)
        rows = split(source, settings.run.held_out).train
        count = min(len(rows), affordable(source))
        # As an evaluation draws them, so that features that are kept serve both.
        seed = derive(SEED, "evaluate", "train")
        train = draw(source, rows, count, seed, progress, "reading training data")
    except GanError as error:
        return Fidelity(
            found, closest, (f"the training data cannot be read, so that there is nothing to compare with: {error}",)
        )
    best = torch.full((len(ours),), torch.inf, dtype=torch.float64)
    for some in train.x.split(_ROWS):
        best = torch.minimum(best, nearest(ours, spec.relax(some).flatten(1)).distances[:, 0])
    closest[VALUES] = best / unit
    device = next(generator.module.parameters()).device
    built, failures = build_features(features, spec, train=train, keep=[], device=device, seed=0, progress=progress)
    notes = [f"without features {name}: {failure.cause}" for name, failure in failures.items()]
    for name, one in built.items():
        try:
            away = (one.of(Samples(originals)) - one.of(Samples(projected))).double().norm(dim=1)
            closest[name] = nearest(one.of(Samples(originals)), one.of(train)).distances[:, 0]
        except (Exception, SystemExit) as error:
            notes.append(f"without features {name}: {error}")
        else:
            found[name] = away
    return Fidelity(found, closest, tuple(notes))


def features_of(generator: Generator, features: Any = None, registry: Registry | None = None) -> Mapping[str, Chosen]:
    """Those of the section `features` of an evaluation's options; without, of the figures while training, or the first of the plugin.

    Raises:
        ConfigError: a mistake in the options.
    """
    registry, settings = registry or Registry(), generator.settings
    plugin = settings.run.plugin
    if features is None:
        choice = check_evaluation(settings, registry)
        if choice is not None:
            return choice.features
        usual = choose_metrics(registry, plugin, settings.data)[1]
        return dict(list(usual.items())[:1])
    return choose_metrics(registry, plugin, settings.data, [{FEATURES: features}])[1]
