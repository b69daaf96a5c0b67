"""The metric `translation`: what becomes of samples that are translated from domain to domain."""

from __future__ import annotations

import torch
from torch import Tensor

from gancore.data.spec import SampleSpec
from gancore.evaluation.classifier import LinearClassifier
from gancore.evaluation.distances import mind
from gancore.evaluation.neighbours import squared_distances
from gancore.evaluation.records import FeatureSets, Figure, Material, Measured, Samples

MOST = 1000
"""Samples that are looked at."""
LEARNT = 5000
"""Training samples that classifiers learn from, at most ..."""
STRENGTH = 0.1
"""... and the inverse weight of the penalty on their squared weights, as in the metric `class-accuracy`."""


class Translation:
    """Of samples that were translated; nothing of others. Distances of samples are `SampleSpec.distance`, of relaxed values.

    For each kind of features `f`:

    - `content-f`: the mean Euclidean distance between a sample and its translation, as a share of that between translations and other
      samples of the same domain: 0 where translations are what they were, 1 where they have nothing to do with it.
    - `found-f`: the share of translations that are nearer to their own sample than to any other of its domain; by chance it is
      one by their number.
    - `kept-f/d`: the share of translations to domain `d` that show what their sources show, by a classifier that is linear in features
      and has learnt training samples of `d`, where the data say what samples show (see `gancore.powers.HasContent`). The real row is
      that of real samples of `d` that it has not learnt.
    - `kept-left-f/d`: the same of the sources as they are.
    - `left-f/d`: MIND of the samples that were to be translated to domain `d`, as they were, from real ones of `d`: what `mind-f/d`
      would be if they were left as they are.

    And where the generator is at hand:

    - `change`: the mean distance between a sample and its translation.
    - `round-trip`: the mean distance between a sample and what it has become there and back.
    - `identity`: the mean distance between a real sample and its translation to its own domain.
    """

    def __init__(self, spec: SampleSpec) -> None:
        self.spec = spec

    def __call__(self, material: Material) -> Measured:
        """The figures by their names."""
        given, made = material.given, material.generated
        if not self.spec.domains or given is None or given.condition is None or made.condition is None:
            return Measured({})
        rows = slice(MOST)
        given, made = given.part(rows), made.part(rows)
        figures: dict[str, Figure] = {}
        for kind, features in material.features.items():
            source, result = features.of(given), features.of(made)
            figures |= {
                f"{name}-{kind}": Figure(value=value) for name, value in self._kept(source, result, given).items()
            }
            figures |= self._recognised(material, kind, features, given, made)
            for number, name in enumerate(self.spec.domains):
                left = source[made.condition == number]
                assert material.real.condition is not None
                wanted = features.of(material.real)[material.real.condition == number]
                count = min(len(left), len(wanted))
                if count >= 2:
                    figures[f"left-{kind}/{name}"] = Figure(value=mind(left[:count], wanted[:count]))
        figures["change"] = Figure(value=self._distance(given.x, made.x))
        if material.generator is not None:
            back = material.generator.translate(made.x, given.condition)
            figures["round-trip"] = Figure(value=self._distance(given.x, back))
            real = material.real.part(rows)
            same = material.generator.translate(real.x, real.condition)
            figures["identity"] = Figure(value=self._distance(real.x, same))
        return Measured(figures)

    def _recognised(
        self, material: Material, kind: str, features: FeatureSets, given: Samples, made: Samples
    ) -> dict[str, Figure]:
        """`kept` and `kept-left` of each domain whose training samples show two things or more."""
        values = features.of(material.train)[:LEARNT]
        train, real, found = material.train.part(slice(len(values))), material.real, dict[str, Figure]()
        if given.content is None or train.content is None or train.condition is None:
            return {}
        for number, name in enumerate(self.spec.domains):
            assert made.condition is not None
            own, rows = train.condition == number, (made.condition == number).nonzero()[:, 0]
            if len(train.content[own].unique()) < 2:
                continue
            judge = LinearClassifier(values[own], train.content[own], STRENGTH)
            rows = rows[torch.isin(given.content[rows], torch.tensor(judge.learnt))]
            if not len(rows):
                continue

            def share(of: Samples, rows: Tensor, content: Tensor, judge: LinearClassifier = judge) -> float:
                return float((judge(features.of(of)[rows]) == content[rows]).double().mean())

            unseen = None
            if material.held_out and real.content is not None and real.condition is not None:
                others = (real.condition == number).nonzero()[:, 0]
                unseen = share(real, others, real.content) if len(others) else None
            found[f"kept-{kind}/{name}"] = Figure(value=share(made, rows, given.content), real=unseen)
            found[f"kept-left-{kind}/{name}"] = Figure(value=share(given, rows, given.content))
        return found

    def _distance(self, one: Tensor, other: Tensor) -> float:
        parts = zip(one.split(64), other.split(64), strict=True)
        return float(torch.cat([self.spec.distance(*map(self.spec.relax, pair)) for pair in parts]).mean())

    def _kept(self, source: Tensor, result: Tensor, given: Samples) -> dict[str, float]:
        """`content` and `found` of features `[n, size]`."""
        assert given.condition is not None
        own, others, found = [], [], []
        for number in given.condition.unique().tolist():
            rows = (given.condition == number).nonzero()[:, 0]
            if len(rows) < 2:
                continue
            distances = squared_distances(result[rows].double(), source[rows].double()).clamp(min=0.0).sqrt()
            diagonal = distances.diagonal()
            own.append(diagonal)
            others.append((distances.sum(dim=1) - diagonal) / (len(rows) - 1))
            apart = distances + torch.diag(torch.full_like(diagonal, torch.inf))
            found.append((diagonal < apart.min(dim=1).values).double())
        if not own or not float(torch.cat(others).mean()):
            return {}
        return {
            "content": float(torch.cat(own).mean() / torch.cat(others).mean()),
            "found": float(torch.cat(found).mean()),
        }
