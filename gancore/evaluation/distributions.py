"""For metrics: whether features of generated samples are spread as those of real ones, and which of two sets has lower values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gancore.evaluation.distances import Floats

_BINS = 512
_AT_MOST = 1000


def overlap(generated: Floats, real: Floats) -> float | None:
    """Overlapping area, in [0, 1], of a feature `[samples]` of both sets; NaN where a sample has none.

    Yang and Lerch 2020, "On the evaluation of generative models in music": the absolute differences of all pairs of real
    samples (intra-set) are held against those of each generated sample with each real one (inter-set). Both densities are
    estimated with Gaussian kernels, and the area under both is taken. Unlike there the two share one bandwidth, by Scott's
    rule on both sets of distances together, so that a set without any spread can be held against one that has some.

    Distances are counted on a grid of 512 steps from the lowest to the highest value. None where fewer than two real
    samples have the feature; 0 where they have it and not a single generated one does.
    """
    generated, real = generated[np.isfinite(generated)], real[np.isfinite(real)]
    if len(real) < 2:
        return None
    if not len(generated):
        return 0.0
    low = min(generated.min(), real.min())
    width = max(generated.max(), real.max()) - low
    # Rounding of sums is no spread.
    if width <= 1e-9 * max(1.0, abs(low)):
        return 1.0
    ours, theirs = (_counts((values - low) / width) for values in (generated, real))
    # How many pairs lie so many bins apart is the correlation of the counts.
    inter = np.correlate(ours, theirs, "full")
    intra = np.correlate(theirs, theirs, "full")
    intra[_BINS - 1] -= len(real)
    return _area(_folded(intra), _folded(inter))


def overlap_of_vectors(generated: Floats, real: Floats) -> float | None:
    """The same for features `[samples, size]`, whose distance is Euclidean; at most 1,000 evenly spaced samples of a set.

    Samples with a NaN in them have no such feature.
    """
    ours, theirs = (_thinned(rows[np.isfinite(rows).all(axis=1)]) for rows in (generated, real))
    if len(theirs) < 2:
        return None
    if not len(ours):
        return 0.0
    inter, intra = _distances(ours, theirs).ravel(), _distances(theirs, theirs)[np.triu_indices(len(theirs), 1)]
    width = max(inter.max(), intra.max())
    if width <= 1e-6:
        return 1.0
    return _area(_counts(intra / width), _counts(inter / width))


def shared(generated: Floats, real: Floats) -> float:
    """Overlap, in [0, 1], of two histograms of equal bins, whose counts need not add up to 1: the sum of the lower shares.

    1 where both are empty, 0 where one is.
    """
    totals = generated.sum(), real.sum()
    if not min(totals) > 0:
        return float(max(totals) <= 0)
    return min(1.0, float(np.minimum(generated / totals[0], real / totals[1]).sum()))


def nearer(ours: Floats, theirs: Floats) -> float:
    """Share of the pairs in which `ours` is the lower one, ties counting half; 0.5 without pairs."""
    if not len(ours) or not len(theirs):
        return 0.5
    ordered = np.sort(theirs)
    above = len(theirs) - np.searchsorted(ordered, ours, side="right")
    tied = len(theirs) - np.searchsorted(ordered, ours, side="left") - above
    return float((above + 0.5 * tied).sum() / (len(ours) * len(theirs)))


def _counts(shares: Floats) -> Floats:
    """How many of some values in [0, 1] fall to each place of the grid."""
    return np.bincount(np.rint(shares * (_BINS - 1)).astype(np.int64), minlength=_BINS).astype(np.float64)


def _folded(correlation: Floats) -> Floats:
    """Differences, -511 to 511, to their absolute values."""
    middle = len(correlation) // 2
    folded = correlation[middle:].copy()
    folded[1:] += correlation[:middle][::-1]
    return folded


def _area(first: Floats, second: Floats) -> float:
    """Area under both of two densities, which kernels make of counts of distances on the grid."""
    together = first + second
    places = np.arange(_BINS)
    mean = np.average(places, weights=together)
    spread = np.sqrt(np.average((places - mean) ** 2, weights=together))
    bandwidth = max(1.0, spread * together.sum() ** -0.2)
    reach = int(np.ceil(4 * bandwidth))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / bandwidth) ** 2)
    densities = [np.convolve(counts / counts.sum(), kernel / kernel.sum()) for counts in (first, second)]
    return min(1.0, float(np.minimum(*densities).sum()))


def _thinned(rows: Floats) -> Floats:
    every = np.linspace(0, len(rows) - 1, min(len(rows), _AT_MOST)).astype(np.int64)
    return rows[every]


def _distances(first: Floats, second: Floats) -> npt.NDArray[np.float64]:
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2.0 * first @ second.T
    return np.sqrt(np.maximum(squares, 0.0))
