"""The metric `kernel`: maximum mean discrepancy of features with a cubic kernel."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from gancore.data.spec import SampleSpec
from gancore.evaluation.distances import kernel
from gancore.evaluation.matched import by_features
from gancore.evaluation.records import Material, Measured
from gancore.options import Options as BaseOptions


class Options(BaseOptions):
    """Options of the metric `kernel`."""

    subsets: int = Field(100, ge=1, le=10_000, description="Random subsets that the mean and deviation are of.")
    subset_size: int = Field(1000, ge=2, le=100_000, description="Samples of each set in a subset, at most.")


class Kernel:
    """Kernel distance (Bińkowski et al. 2018) for each kind of features `f`; see `gancore.evaluation.distances.kernel`.

    - `kernel-f`: mean over the subsets; about 0, and at times a little below, where both sets are alike. It does not depend on
      the number of samples.
    - `kernel-deviation-f`: standard deviation over the subsets.
    """

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        self.options = options

    def __call__(self, material: Material) -> Measured:
        """The figures by their names."""
        return Measured(by_features(material, self._distance))

    def _distance(self, ours: Tensor, real: Tensor) -> dict[str, float]:
        mean, deviation = kernel(ours, real, subsets=self.options.subsets, subset_size=self.options.subset_size)
        return {"kernel": mean, "kernel-deviation": deviation}
