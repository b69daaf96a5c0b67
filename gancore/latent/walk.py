"""Ways from sample to sample in small steps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from gancore.errors import UsageError
from gancore.latent.address import Address, Between


def walk(stations: Sequence[Address], frames: int, *, loop: bool = False) -> list[Address]:
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
    made = []
    for frame in range(frames):
        # In whole numbers, so that stations are met exactly.
        place, rest = divmod(frame * len(legs), frames if loop else frames - 1)
        if place == len(legs):
            place, rest = len(legs) - 1, frames - 1
        one, other = legs[place]
        made.append(Address(between=Between(one=one, other=other, at=rest / (frames if loop else frames - 1))))
    return made
