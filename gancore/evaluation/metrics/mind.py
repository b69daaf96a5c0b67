"""The metric `mind`: sliced Wasserstein distance of features, of all samples and within classes."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from gancore.data.spec import SampleSpec
from gancore.evaluation.distances import mind
from gancore.evaluation.matched import by_features
from gancore.evaluation.records import FeatureSets, Figure, Material, Measured
from gancore.options import Options as BaseOptions


class Options(BaseOptions):
    """Options of the metric `mind`."""

    directions: int = Field(1000, ge=1, le=100_000, description="How many random directions are looked along.")
    seed: int = Field(0, ge=0, le=2**63 - 1, description="Decides the directions.")


class Mind:
    """MIND (Berthet et al. 2026), for each kind of features `f`; see `gancore.evaluation.distances.mind`.

    - `mind-f`: 0 for two sets that are alike but for chance, which the floor shows; unlike a Fréchet distance it is hardly larger
      for fewer samples.
    - `mind-f/within-classes`: the mean of the same within each class, where there are classes; it grows when classes are
      mixed up. The floor is that of halves of the real samples of a class.
    """

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        self.options = options

    def __call__(self, material: Material) -> Measured:
        """The figures by their names."""
        found = by_features(material, lambda ours, real: {"mind": self._distance(ours, real)})
        for kind, features in material.features.items():
            if within := self._within(material, features):
                found[f"mind-{kind}/within-classes"] = within
        return Measured(found)

    def _within(self, material: Material, features: FeatureSets) -> Figure | None:
        """Of each class that has four real samples, and as many generated ones as half of them."""
        real, classes = features.of(material.real), material.real.condition
        values: dict[str, list[float]] = {name: [] for name in ("value", "floor", *material.others)}
        sets = {"value": material.generated, **material.others}
        if classes is None or any(one.condition is None for one in sets.values()):
            return None
        for number in torch.unique(classes):
            theirs = real[classes == number]
            ours = {name: features.of(one)[one.condition == number] for name, one in sets.items()}
            count = min(len(theirs) // 2, *map(len, ours.values()))
            if count < 2:
                continue
            first, second = theirs[:count], theirs[len(theirs) - count :]
            values["floor"].append(self._distance(first, second))
            for name, some in ours.items():
                halves = self._distance(some[:count], first), self._distance(some[len(some) - count :], second)
                values[name].append(sum(halves) / 2)
        if not values["floor"]:
            return None
        means = {name: sum(some) / len(some) for name, some in values.items()}
        return Figure(value=means.pop("value"), floor=means.pop("floor"), others=means)

    def _distance(self, ours: Tensor, real: Tensor) -> float:
        return mind(ours, real, directions=self.options.directions, seed=self.options.seed)
