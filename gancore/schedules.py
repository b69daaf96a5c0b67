"""The engine's own schedules: curves from a first value to a last one. Imports no torch."""

from __future__ import annotations

import math

from gancore.options import ScheduleOptions


class Linear:
    """A straight line."""

    def __init__(self, options: ScheduleOptions | None = None) -> None:
        """Keep nothing: from what value to what, and when, is the engine's to know."""

    def __call__(self, first: float, last: float, progress: float) -> float:
        return first * (1.0 - progress) + last * progress


class Cosine(Linear):
    """Half a period of a cosine, slow at both ends (Loshchilov and Hutter 2017, without restarts)."""

    def __call__(self, first: float, last: float, progress: float) -> float:
        return super().__call__(first, last, 0.5 - 0.5 * math.cos(math.pi * progress))
