"""Where a generator lies beside a curve of others in a plane of quality over diversity."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

PLACES = 1001
"""Places of each line between neighbours that are looked at."""


class Spot(NamedTuple):
    """A point with the standard errors of its two coordinates: diversity `x` and quality `y`, the higher the better."""

    x: float
    y: float
    x_error: float = 0.0
    y_error: float = 0.0


def lead(own: Spot, others: Sequence[Spot], *, rising: bool) -> float:
    """By how many standard errors `own` is better than the curve through `others`; worse than it where negative.

    The curve is made of straight lines from each of the others to the next, in the order given, such as that of their
    temperatures. Of a curve that turns back, only those places count that no other is better than in both coordinates; between two
    of them it is as good as a step that keeps to the worse of both. `rising` says that a higher x is more diverse.

    What is measured is the distance of `own` to the nearest place where the curve is or might be, each coordinate in standard
    errors of its difference. It might be anywhere beyond its ends where quality falls with diversity: no more can be said of
    an `own` that is more diverse than all of the curve, but not better than its most diverse place, or the other way round.
    Over a straight line this is the height at the same x by the standard error of that height.

    Raises:
        ValueError: there are no others.
    """
    if not others:
        raise ValueError("a lead needs at least one other to lie above")
    lines = [_line(own, low, high) for low, high in itertools.pairwise([others[0], *others])]
    x, y, x_error, y_error = np.concatenate([lines[0], *(line[1:] for line in lines[1:])]).T
    # How much more diverse, and better, than `own` each place is; then in errors.
    across, up = (x - own.x) * (1.0 if rising else -1.0), y - own.y
    front = _best(across, up)
    across, up = across[front], up[front]
    across_errors = _ratio(across, np.hypot(x_error[front], own.x_error))
    up_errors = _ratio(up, np.hypot(y_error[front], own.y_error))
    worse = bool(((across >= 0.0) & (up >= 0.0)).any())
    if worse:
        # Out of what some place is at least as good as in both: to the curve, or into the corner of a step.
        step = (np.abs(np.diff(front)) != 1).nonzero()[0]
        corners = np.hypot(np.maximum(across_errors[step + 1], 0.0), np.maximum(up_errors[step], 0.0))
        distances = np.concatenate([np.hypot(across_errors, up_errors), corners])
    else:
        distances = np.hypot(np.minimum(across_errors, 0.0), np.minimum(up_errors, 0.0))
    beyond = (
        math.hypot(max(float(across_errors[0]), 0.0), min(float(up_errors[0]), 0.0)),
        math.hypot(min(float(across_errors[-1]), 0.0), max(float(up_errors[-1]), 0.0)),
    )
    nearest = min(float(distances.min()), *beyond)
    return -nearest if worse and nearest else nearest


def _line(own: Spot, low: Spot, high: Spot) -> npt.NDArray[np.float64]:
    """Places `[n, 4]` from `low` to `high` with their errors; among them those of the same x, of the same y, and the nearest."""
    target, first, last = np.array(own), np.array(low), np.array(high)
    way = (last - first)[:2]
    same = [(o - a) / w for o, a, w in zip(own[:2], low[:2], way, strict=True) if w]
    # The foot of the perpendicular where coordinates are counted in the errors half-way.
    error = np.hypot(target[2:], 0.5 * np.hypot(first[2:], last[2:]))
    if error.all() and way.any():
        unit = way / error
        same.append(float(unit @ ((target - first)[:2] / error) / (unit @ unit)))
    share = np.unique(np.concatenate([np.linspace(0.0, 1.0, PLACES), np.clip(np.array(same), 0.0, 1.0)]))[:, None]
    errors = np.hypot((1.0 - share) * first[2:], share * last[2:])
    return np.concatenate([first[:2] + share * way, errors], axis=1)


def _best(across: npt.NDArray[np.float64], up: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Which places none is better than in both coordinates, from the most diverse to the best."""
    order = np.argsort(-across)
    highest = np.maximum.accumulate(up[order])
    more_diverse = np.searchsorted(-across[order], -across, side="left")
    front = ((more_diverse == 0) | (up >= highest[more_diverse - 1])).nonzero()[0]
    return front[np.lexsort((up[front], -across[front]))]


def _ratio(difference: npt.NDArray[np.float64], error: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """`difference` in errors, at most a million either way: figures are finite."""
    most = 1e6
    small = error <= np.abs(difference) / most
    found: npt.NDArray[np.float64] = np.where(
        small, np.copysign(most, difference) * (difference != 0.0), difference / np.where(small, 1.0, error)
    )
    return found
