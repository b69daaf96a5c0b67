"""Whether generated blossoms can be read, and whether their factors are spread as those of real ones are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from pydantic import Field

from gan_image.blossoms.factors import EYE, FACTORS, PETALS, Factor
from gan_image.blossoms.read import READABLE, read
from gan_image.blossoms.spec import BlossomSpec
from gancore.evaluation.records import Figure, Material, Samples
from gancore.options import Options as BaseOptions

Floats = npt.NDArray[np.float64]


class Options(BaseOptions):
    """Options of the metric `factors`."""

    limit: int = Field(
        2000, ge=2, le=1_000_000, description="How many generated and how many real pictures are read, at most."
    )
    bins: int = Field(8, ge=2, le=100, description="Equal parts of a continuous factor's range that can be present.")
    coarse: int = Field(4, ge=2, le=20, description="The same for the distance of pairs of factors.")


def build(options: Options, spec: BlossomSpec) -> Factors:
    """The metric; see `Factors`."""
    return Factors(options, spec)


class Factors:
    """The factors of each picture are read from it; a picture that is not what its factors would be drawn as has none.

    - `readable`: share of pictures whose factors can be read.
    - `as-asked`: share that can be read and has the petals, or the eye, that were asked for, where these are the classes.

    Of pictures that can be read, for each factor `f`:

    - `present/f`: share of its values, or of `bins` equal parts of its range, that at least one picture has.
    - `distance/f`: from the distribution of the real ones: total variation of a discrete factor, Wasserstein-1 in units of the
      range of a continuous one, on the circle where it is one.
    - `distance/joint`: mean over all pairs of factors of the total variation of both together, of continuous ones in `coarse` parts.

    Distances are those of equal numbers, at most half as many as there are real pictures: the mean of both halves. The floor is
    real half against real half. Where no picture can be read, they are the largest possible, and nothing is present.
    """

    def __init__(self, options: Options, spec: BlossomSpec) -> None:
        self.options = options
        # Classes do not say what they are, but what the factors' values are called.
        self.asked = next((place for place in (PETALS, EYE) if FACTORS[place].values == spec.classes), None)

    def __call__(self, material: Material) -> dict[str, Figure]:
        """The figures by their names."""
        ours, theirs = self._look(material.generated), self._look(material.real)
        found = {"readable": Figure(value=ours.readable, real=theirs.readable)}
        if ours.as_asked is not None and theirs.as_asked is not None:
            found["as-asked"] = Figure(value=ours.as_asked, real=theirs.as_asked)
        pairs = halves(ours.factors, theirs.factors)
        for place, factor in enumerate(FACTORS):
            value, real = (present(one.factors[:, place], factor, self.options.bins) for one in (ours, theirs))
            found[f"present/{factor.name}"] = Figure(value=value, real=real)
        for place, factor in enumerate(FACTORS):
            first, second, floor = (distance(one[:, place], other[:, place], factor) for one, other in pairs)
            found[f"distance/{factor.name}"] = Figure(value=(first + second) / 2, floor=floor)
        first, second, floor = (joint_distance(one, other, self.options.coarse) for one, other in pairs)
        found["distance/joint"] = Figure(value=(first + second) / 2, floor=floor)
        return found

    def _look(self, samples: Samples) -> _Seen:
        some = samples.part(slice(self.options.limit))
        factors, off = read(some.x)
        known = off <= READABLE
        as_asked = None
        if self.asked is not None and some.condition is not None:
            as_asked = float((known & (factors[:, self.asked].long() == some.condition)).double().mean())
        return _Seen(factors[known].double().numpy(), float(known.double().mean()), as_asked)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is read from a set of pictures: `factors` `[n, 8]` of those that can be read, and shares of all."""

    factors: Floats
    readable: float
    as_asked: float | None


def halves(ours: Floats, theirs: Floats) -> list[tuple[Floats, Floats]]:
    """Generated rows against the one and the other half of the real ones, and the halves, as many rows each.

    The first generated ones meet the last real ones: those in the same place may have the same class.
    """
    count = min(len(ours) or len(theirs), len(theirs) // 2)
    first, second = theirs[:count], theirs[len(theirs) - count :]
    return [(ours[:count], second), (ours[max(0, len(ours) - count) :], first), (first, second)]


def distance(ours: Floats, theirs: Floats, factor: Factor) -> float:
    """How far the distributions of a factor `[n]` and `[m]` are apart, in [0, 1]; 1 where one of them is empty."""
    if not len(ours) or not len(theirs):
        return 1.0
    if factor.values:
        return total_variation(binned(ours, factor, 1), binned(theirs, factor, 1), len(factor.values))
    return wasserstein(ours, theirs, factor.range, factor.circular)


def joint_distance(ours: Floats, theirs: Floats, coarse: int) -> float:
    """Mean over all pairs of factors `[n, 8]` of the total variation of both together, in [0, 1]; 1 where there are none."""
    if not len(ours) or not len(theirs):
        return 1.0
    counts = [len(factor.values) or coarse for factor in FACTORS]
    one, other = (
        np.stack([binned(rows[:, place], factor, coarse) for place, factor in enumerate(FACTORS)], 1)
        for rows in (ours, theirs)
    )
    found = [
        total_variation(one[:, a] * counts[b] + one[:, b], other[:, a] * counts[b] + other[:, b], counts[a] * counts[b])
        for a, b in combinations(range(len(FACTORS)), 2)
    ]
    return float(np.mean(found))


def present(values: Floats, factor: Factor, bins: int) -> float:
    """Share of a factor's values, or of equal parts of its range, that are among `values` `[n]`."""
    return len(np.unique(binned(values, factor, bins))) / (len(factor.values) or bins)


def binned(values: Floats, factor: Factor, bins: int) -> npt.NDArray[np.int64]:
    """The number of the value, or of the part of the range, of each of `values` `[n]`; what is beyond falls to the last."""
    if factor.values:
        return values.astype(np.int64)
    return np.floor((values - factor.low) / factor.range * bins).astype(np.int64).clip(0, bins - 1)


def total_variation(ours: npt.NDArray[np.int64], theirs: npt.NDArray[np.int64], count: int) -> float:
    """Half the sum of the absolute differences of how often each of `count` values occurs, in [0, 1]."""
    one, other = (np.bincount(values, minlength=count) / len(values) for values in (ours, theirs))
    return float(np.abs(one - other).sum() / 2)


def wasserstein(ours: Floats, theirs: Floats, extent: float, circular: bool) -> float:
    """Wasserstein-1 distance of values `[n]` and `[m]`, in units of `extent`.

    It is the area between the distribution functions; on a circle of this length, of which they may begin anywhere, that after
    their median difference is taken away (Rabin et al. 2011).
    """
    places = np.sort(np.concatenate([ours, theirs]))
    below, beside = (np.searchsorted(np.sort(values), places, "right") / len(values) for values in (ours, theirs))
    apart = below - beside
    gaps = np.diff(places, append=places[0] + extent if circular else places[-1])
    if circular:
        order = np.argsort(apart)
        apart = apart - apart[order][np.searchsorted(np.cumsum(gaps[order]), extent / 2)]
    return float((np.abs(apart) * gaps).sum() / extent)
