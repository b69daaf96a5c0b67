"""Where a generator lies beside a curve of others in a plane of quality over diversity."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple


class Spot(NamedTuple):
    """A point with the standard errors of its two coordinates: diversity `x` and quality `y`, the higher the better."""

    x: float
    y: float
    x_error: float = 0.0
    y_error: float = 0.0


def lead(own: Spot, others: Sequence[Spot], *, rising: bool) -> float:
    """By how many standard errors `own` lies above the curve through `others` at the same x; below it where negative.

    The curve is made of straight lines from each of the others to the next, in the order given, such as that of their
    temperatures. It may come by an x more than once, for neither plane needs to be monotone: then the highest counts. What
    is divided by is the standard error of the height of `own` over the line through the two neighbours: their errors of y by
    their shares, its own, and the errors of x by the line's slope. `rising` says that a higher x is more diverse.

    Beyond the ends of the curve the nearest of the others takes its place, and only what would be true of any curve that goes
    on from there, where quality falls with diversity, is said: that `own` is better where it is more diverse and above, that
    it is worse where it is less diverse and below; else 0.

    Raises:
        ValueError: there are no others.
    """
    if not others:
        raise ValueError("a lead needs at least one other to lie above")
    lines = [
        (low, high) for low, high in map(sorted, itertools.pairwise([others[0], *others])) if low.x <= own.x <= high.x
    ]
    if lines:
        return _over_line(own, *max(lines, key=lambda line: _height(own.x, *line)))
    beyond = min(others, key=lambda spot: (abs(spot.x - own.x), -spot.y))
    height = _ratio(own.y - beyond.y, math.hypot(own.y_error, beyond.y_error))
    return max(0.0, height) if (own.x > beyond.x) == rising else min(0.0, height)


def _height(x: float, low: Spot, high: Spot) -> float:
    """Of the line through two spots, at x; of the upper one where they stand above each other."""
    if low.x == high.x:
        return high.y
    return low.y + (x - low.x) / (high.x - low.x) * (high.y - low.y)


def _over_line(own: Spot, low: Spot, high: Spot) -> float:
    width = high.x - low.x
    share = (own.x - low.x) / width if width else 1.0
    slope = (high.y - low.y) / width if width else 0.0
    # Errors of x move a neighbour's line by its share of the slope, and `own` by the whole.
    parts = (
        own.y_error,
        slope * own.x_error,
        (1.0 - share) * math.hypot(low.y_error, slope * low.x_error),
        share * math.hypot(high.y_error, slope * high.x_error),
    )
    return _ratio(own.y - _height(own.x, low, high), math.hypot(*parts))


def _ratio(height: float, error: float) -> float:
    """`height` in errors, at most a million either way: figures are finite."""
    most = 1e6
    if error <= abs(height) / most:
        return math.copysign(most, height) if height else 0.0
    return height / error
