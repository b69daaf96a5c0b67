"""The metric `neighbours`: precision, recall, density and coverage of features."""

from __future__ import annotations

from dataclasses import asdict

from pydantic import Field
from torch import Tensor

from gancore.data.spec import SampleSpec
from gancore.evaluation.matched import ClassOptions, by_classes, by_features
from gancore.evaluation.neighbours import manifolds
from gancore.evaluation.records import Material, Measured


class Options(ClassOptions):
    """Options of the metric `neighbours`."""

    k: int = Field(3, ge=1, le=1000, description="Neighbours that the balls of precision and recall reach to.")
    k_density: int = Field(5, ge=1, le=1000, description="Neighbours that the balls of density and coverage reach to.")


class Neighbours:
    """For each kind of features `f`, by the balls around samples that reach to their k-th neighbour of the same set.

    - `precision-f`: share of generated samples in the ball of a real one: do they seem real?
    - `recall-f`: share of real samples in the ball of a generated one: is everything there that is real?
    - `density-f`: how many balls of real samples a generated one lies in, divided by k; unlike precision it does not count
      what lies near a single outlier. Above 1 where generated samples gather where real ones are densest.
    - `coverage-f`: share of real samples with a generated one in their ball; unlike recall it does not count stray samples.
      `coverage-f/within-classes`: the mean of the same within each class, where there are classes; `coverage-f/c`: within class `c`,
      where there are few: a class that has collapsed shows there.

    Precision and recall are those of Kynkäänniemi et al. 2019, density and coverage those of Naeem et al. 2020. The floor is
    what real samples have among each other: the best that can be expected.
    """

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        self.options = options
        self.spec = spec

    def __call__(self, material: Material) -> Measured:
        """The figures by their names."""
        within = by_classes(material, self._coverage, self.spec.classes, self.options.listed)
        return Measured(by_features(material, self._compare) | within)

    def _compare(self, ours: Tensor, real: Tensor) -> dict[str, float]:
        most = max(1, min(len(ours), len(real)) - 1)
        options = self.options
        return asdict(manifolds(ours, real, k=min(options.k, most), k_density=min(options.k_density, most)))

    def _coverage(self, ours: Tensor, real: Tensor) -> dict[str, float]:
        return {"coverage": self._compare(ours, real)["coverage"]}
