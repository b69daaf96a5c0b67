"""Ways from sample to sample in small steps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from gancore.errors import UsageError
from gancore.latent.address import Address, Between
from gancore.latent.on_demand import OnDemand


def walk(stations: Sequence[Address], frames: int, *, loop: bool = False) -> Sequence[Address]:
    """Addresses of `frames` samples at equal distances of time on the way from station to station.

    The first is at the first station, the last at the last one; in a loop the way leads back to the first, and the last frame is the
    one before it, so that the loop can be repeated.

    Raises:
        UsageError: fewer than two stations, or fewer frames than stations.
    """
    if len(stations) < 2:
        raise UsageError("a walk needs at least two stations")
    if frames < len(stations):
        raise UsageError(f"{frames} frames are too few for {len(stations)} stations; take at least one for each")
    legs = list(pairwise([*stations, stations[0]] if loop else stations))
    steps = frames if loop else frames - 1

    def at(frame: int) -> Address:
        # In whole numbers, so that stations are met exactly.
        place, rest = divmod(frame * len(legs), steps)
        if place == len(legs):
            place, rest = len(legs) - 1, steps
        one, other = legs[place]
        return Address(between=Between(one=one, other=other, at=rest / steps))

    return OnDemand(frames, at)
