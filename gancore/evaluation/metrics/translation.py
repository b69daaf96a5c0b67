"""The metric `translation`: what becomes of samples that are translated from domain to domain."""

from __future__ import annotations

import torch
from torch import Tensor

from gancore.data.spec import SampleSpec
from gancore.evaluation.distances import mind
from gancore.evaluation.neighbours import squared_distances
from gancore.evaluation.records import Figure, Material, Measured, Samples

MOST = 1000
"""Samples that are looked at."""


class Translation:
    """Of samples that were translated; nothing of others. Distances of samples are `SampleSpec.distance`, of relaxed values.

    For each kind of features `f`:

    - `content-f`: the mean Euclidean distance between a sample and its translation, as a share of that between translations and other
      samples of the same domain: 0 where translations are what they were, 1 where they have nothing to do with it.
    - `found-f`: the share of translations that are nearer to their own sample than to any other of its domain; by chance it is
      one by their number.
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
