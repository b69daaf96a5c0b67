"""Whether generated sounds are spread over all kinds of real ones: the number of statistically different bins."""

from __future__ import annotations

import math
import warnings

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor

from gan_audio.metrics.levels import Bands, Floats, shuffled
from gan_audio.spec import AudioSpec
from gancore.evaluation.records import Figure, Material
from gancore.options import Options as BaseOptions

_LEAST = 10
"""Real clips a bin, in the mean: with fewer, the test says nothing."""


class Options(BaseOptions):
    """Options of the metric `ndb`."""

    bins: int = Field(50, ge=2, le=1000, description="Bins; fewer where there are not ten training clips for each.")
    significance: float = Field(
        0.05, gt=0.0, lt=1.0, description="A bin is different where chance alone gives such a difference more seldom."
    )


def build(options: Options, spec: AudioSpec) -> Bins:
    """The metric; see `Bins`."""
    return Bins(options, spec)


class Bins:
    """Richardson and Weiss 2018, "On GANs and GMMs": bins are the cells of k-means over training clips, by their levels.

    - `ndb`: share of the bins in which generated clips are more, or fewer, than training clips, by the two-proportion z test.
    - `jensen-shannon`: divergence in bits of both histograms, in [0, 1].

    The floor is that of real clips, as many as there are generated ones that are compared: the held-out clips, or, without
    such, half of the training clips, which then have no part in the bins.
    """

    def __init__(self, options: Options, spec: AudioSpec) -> None:
        self.options = options
        self.bands = Bands.of(spec.sample_rate)

    def __call__(self, material: Material) -> dict[str, Figure]:
        """The figures by their names."""
        train, generated = (self._vectors(one.x) for one in (material.train, material.generated))
        if material.held_out:
            real = self._vectors(material.real.x)
        else:
            train = train[shuffled(len(train)).numpy()]
            half = max(1, len(train) // 2)
            train, real = train[:half], train[-half:]
        count = min(len(generated), len(real))
        ours, theirs = (one[shuffled(len(one)).numpy()[:count]] for one in (generated, real))
        from sklearn.cluster import KMeans  # slow to import
        from sklearn.exceptions import ConvergenceWarning

        bins = max(1, min(self.options.bins, len(train) // _LEAST))
        with warnings.catch_warnings():
            # Fewer different clips than bins: some stay empty, and are like each other in both sets.
            warnings.simplefilter("ignore", ConvergenceWarning)
            means = KMeans(bins, n_init=3, random_state=0).fit(train)
        base, fake, true = (np.bincount(means.predict(one), minlength=bins) for one in (train, ours, theirs))
        return {
            "ndb": Figure(value=self._different(fake, base), floor=self._different(true, base)),
            "jensen-shannon": Figure(value=jensen_shannon(fake, base), floor=jensen_shannon(true, base)),
        }

    def _vectors(self, x: Tensor) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = self.bands.averages(x, 32, 16).flatten(1).numpy()
        return found

    def _different(self, counts: npt.NDArray[np.int64], base: npt.NDArray[np.int64]) -> float:
        return float((p_values(counts, base) < self.options.significance).mean())


def p_values(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> Floats:
    """Of each bin `[bins]`, how probable a difference of the shares of two sets, `counts` `[bins]`, is by chance.

    The two-sided z test of two proportions with a pooled variance; 1 where neither set is in a bin, or both only there.
    """
    n, m = int(first.sum()), int(second.sum())
    share, other = first / max(1, n), second / max(1, m)
    pooled = (first + second) / max(1, n + m)
    deviation = np.sqrt(pooled * (1.0 - pooled) * (1.0 / max(1, n) + 1.0 / max(1, m)))
    z = np.divide(np.abs(share - other), deviation, out=np.zeros(len(share)), where=deviation > 0)
    found: Floats = torch.special.erfc(torch.from_numpy(z) / math.sqrt(2.0)).numpy()
    return found


def jensen_shannon(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> float:
    """Divergence in bits, in [0, 1], of two histograms `[bins]` of counts."""
    shares = [torch.from_numpy(one / max(1, int(one.sum()))) for one in (first, second)]
    middle = (shares[0] + shares[1]) / 2.0
    both = [torch.special.xlogy(p, p).sum() - torch.special.xlogy(p, middle).sum() for p in shares]
    return min(1.0, max(0.0, float(both[0] + both[1]) / (2.0 * math.log(2.0))))
