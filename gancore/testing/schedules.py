"""Checks of schedules."""

from __future__ import annotations

from gancore.components import Schedule
from gancore.testing.check import Mismatch, check
from gancore.testing.kit import Kit

ENDS = ((0.0, 1.0), (2e-4, 5e-5), (0.9, 0.99), (150.0, 15.0))
"""From what to what schedules are tried: learning rates, betas and weights are so."""
STEPS = 10


@check(
    "schedule.contract",
    "gan_schedules",
    "the curve leads from the first value to the last, stays between them, and gives the same for the same arguments",
    lambda kit: kit.subjects(Schedule),
)
def schedule_contract(kit: Kit, subject: str) -> None:
    curve = kit.built(subject)
    for first, last in ENDS:
        low, high = sorted((first, last))
        way = [curve(first, last, step / STEPS) for step in range(STEPS + 1)]
        for value in way:
            if not isinstance(value, float | int) or not low - 1e-9 * high <= value <= high + 1e-9 * high:
                raise Mismatch(f"on the way from {first:g} to {last:g} it gives {value!r:.40}; stay between the two")
        for place, wanted, value in (("beginning", first, way[0]), ("end", last, way[-1])):
            if abs(value - wanted) > 1e-6 * high:
                raise Mismatch(
                    f"at the {place} of the way from {first:g} to {last:g} it gives {value:g}, not {wanted:g}"
                )
        if way != [curve(first, last, step / STEPS) for step in range(STEPS + 1)]:
            raise Mismatch("called again it gives other values: what it keeps between calls is in no checkpoint")
