"""The metric `vendi`: how many different samples there are, whatever the real ones are."""

from __future__ import annotations

import torch

from gancore.data.spec import SampleSpec
from gancore.evaluation.records import FeatureSets, Figure, Material, Measured, Samples
from gancore.evaluation.variety import vendi


class Vendi:
    """Of generated samples and of as many real ones, each by itself.

    - `distinct-f`: share of different samples, as features `f` define it.
    - `vendi-f`: Vendi score (Friedman and Dieng 2023) of features `f`, the number of samples that differ in effect; where all
      sets have classes, the mean over them. It grows with noise too: only beside precision does it say that variety is real.
    """

    def __init__(self, spec: SampleSpec) -> None: ...

    def __call__(self, material: Material) -> Measured:
        """The figures by their names."""
        count = min(len(material.generated), len(material.real))
        others = material.others
        classes = all(one.condition is not None for one in (material.generated, material.real, *others.values()))
        found: dict[str, Figure] = {}
        for kind, features in material.features.items():
            found[f"distinct-{kind}"] = Figure(
                value=_distinct(features, material.generated, count),
                real=_distinct(features, material.real, count),
                others={name: _distinct(features, one, count) for name, one in others.items()},
            )
            found[f"vendi-{kind}"] = Figure(
                value=_score(features, material.generated, count, classes),
                real=_score(features, material.real, count, classes),
                others={name: _score(features, one, count, classes) for name, one in others.items()},
            )
        return Measured(found)


def _score(features: FeatureSets, samples: Samples, count: int, classes: bool) -> float:
    rows = features.of(samples)[:count]
    if samples.condition is None or not classes:
        return vendi(rows)
    of = samples.condition[:count]
    scores = [vendi(rows[of == number]) for number in torch.unique(of)]
    return sum(scores) / max(1, len(scores))


def _distinct(features: FeatureSets, samples: Samples, count: int) -> float:
    keys = features.keys(samples, count)
    return len(set(keys)) / max(1, len(keys))
