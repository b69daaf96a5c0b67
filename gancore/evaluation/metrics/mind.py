"""The metric `mind`: sliced Wasserstein distance of features, of all samples and within classes."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from gancore.data.spec import SampleSpec
from gancore.evaluation.distances import mind
from gancore.evaluation.matched import ClassOptions, by_classes, by_features
from gancore.evaluation.records import Material, Measured


class Options(ClassOptions):
    """Options of the metric `mind`."""

    directions: int = Field(1000, ge=1, le=100_000, description="How many random directions are looked along.")
    seed: int = Field(0, ge=0, le=2**63 - 1, description="Decides the directions.")


class Mind:
    """MIND (Berthet et al. 2026), for each kind of features `f`; see `gancore.evaluation.distances.mind`.

    - `mind-f`: 0 for two sets that are alike but for chance, which the floor shows; unlike a Fréchet distance it is hardly larger
      for fewer samples.
    - `mind-f/within-classes`: the mean of the same within each class, where there are classes; it grows when classes are
      mixed up. `mind-f/c`: within class `c`, where there are few.
    """

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        self.options = options
        self.spec = spec

    def __call__(self, material: Material) -> Measured:
        """The figures by their names."""
        within = by_classes(material, self._compare, self.spec.classes, self.options.listed)
        return Measured(by_features(material, self._compare) | within)

    def _compare(self, ours: Tensor, real: Tensor) -> dict[str, float]:
        return {"mind": mind(ours, real, directions=self.options.directions, seed=self.options.seed)}
