"""The time that training takes: how long its steps last, how long the rest will, and what is due by the clock.

Nothing here changes what is computed: a step is the same whatever the time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from gancore.events import Estimate

if TYPE_CHECKING:
    from gancore.configuration.run_config import RunConfig
    from gancore.games.player import Phase

T = TypeVar("T")

STEPS_MEASURED, SECONDS_MEASURED = 5, 15.0
"""An estimate is made after so many steps, or where the next one would end after so much time."""
REMEMBERED = 200
"""Older steps count for less: a machine is not equally busy at all times."""
LOOKED_AT = 512
"""Steps that stand for those that are left: a millisecond at each tick."""
GOLDEN = (5**0.5 - 1) / 2


class Pace:
    """Seconds a step, by which phases take part in it: lazy penalties and warm-ups make steps unlike.

    The first step of a session is a warm-up, of which nothing is used once a step like it has been measured.
    """

    def __init__(self, phases: Sequence[Phase]) -> None:
        self._phases = phases
        self._means: dict[tuple[bool, ...], float] = {}
        self._counts: dict[tuple[bool, ...], int] = {}
        self._between = 0.0
        self.measured = 0
        """Steps of this session, the first included."""
        self.spent = 0.0
        """Seconds of these."""

    def pattern(self, step: int) -> tuple[bool, ...]:
        """Which phases are due in `step`."""
        return tuple(phase.due(step) for phase in self._phases)

    def add(self, pattern: tuple[bool, ...], seconds: float) -> None:
        """A step in which these phases were due has taken so long."""
        count = self._counts.get(pattern, 0)
        weight = 1.0 / min(count + 1, REMEMBERED)
        mean = self._means.get(pattern, 0.0)
        self._means[pattern] = mean + weight * (seconds - mean)
        # Whatever is next of its kind takes the place of the warm-up.
        self._counts[pattern] = count + 1 if self.measured else 0
        self.measured += 1
        self.spent += seconds

    def between(self, seconds: float) -> None:
        """What was due after a step (figures, a sheet, a checkpoint) has taken so long."""
        self._between += seconds

    def usual(self) -> float:
        """Seconds that the steps so far took on average; 0 before the first."""
        return self.spent / self.measured if self.measured else 0.0

    def left(self, step: int, steps: int) -> tuple[float, int | None]:
        """Seconds from `step` to `steps`, and the first step there that is unlike any so far, which is taken for the usual one."""
        rest = steps - step
        if rest <= 0 or not self.measured:
            return 0.0, None
        if rest <= LOOKED_AT:
            chosen: Sequence[int] = range(step, steps)
        else:  # evenly, and in step with no period
            chosen = sorted(step + int(i * GOLDEN % 1.0 * rest) for i in range(LOOKED_AT))
        usual, total, strange = self.usual(), 0.0, None
        for number in chosen:
            seconds = self._means.get(self.pattern(number))
            if seconds is None:
                strange = number if strange is None else strange
                seconds = usual
            total += seconds
        return (total / len(chosen) + self._between / self.measured) * rest, strange


class Clock:
    """The clock of one session: times its steps, and says what is due by it."""

    def __init__(
        self, config: RunConfig, phases: Sequence[Phase], minutes: float | None, *, scheduled: float = 0.0
    ) -> None:
        """`scheduled` is the step in which the last schedule comes to its end."""
        self.began = time.perf_counter()
        self.pace = Pace(phases)
        self._steps = config.steps
        self._scheduled = scheduled
        self._minutes = minutes
        self._end = None if minutes is None else self.began + minutes * 60.0
        self._figures = config.every.log_seconds
        self._sheet = config.every.sample_seconds if config.every.sample else 0.0
        self._last_figures = self._last_sheet = self.began
        self._told: int | None = -1
        """Up to which step the last estimate was good, None for all; -1 before there is one."""
        self._measured_then = 0

    def timed(self, outcomes: Iterator[T], step: int) -> Iterator[T]:
        """`outcomes` of the steps from `step` on, each measured as it is made."""
        ended = time.perf_counter()
        while True:
            pattern = self.pace.pattern(step)
            begun = time.perf_counter()
            if self.pace.measured:
                self.pace.between(begun - ended)
            try:
                outcome = next(outcomes)
            except StopIteration:
                return
            ended = time.perf_counter()
            self.pace.add(pattern, ended - begun)
            step += 1
            yield outcome

    def figures_told(self) -> None:
        """Figures have just been told, because of the step or of the time."""
        self._last_figures = time.perf_counter()

    def sheet_made(self) -> None:
        """A sheet has just been written, because of the step or of the time."""
        self._last_sheet = time.perf_counter()

    def figures_due(self) -> bool:
        """Whether the next step would end too late for figures."""
        return 0.0 < self._figures < time.perf_counter() + self.pace.usual() - self._last_figures

    def sheet_due(self) -> bool:
        """Whether the next step would end too late for a sheet; the one after is due when twice as much time has passed."""
        due = 0.0 < self._sheet < time.perf_counter() + self.pace.usual() - self._last_sheet
        self._sheet *= 2.0 if due else 1.0
        return due

    @property
    def over(self) -> bool:
        """Whether the minutes of this session end before the middle of the next step."""
        return self._end is not None and time.perf_counter() + self.pace.usual() / 2 >= self._end

    def end(self, step: int) -> str:
        """The reason of an end after `step` because the minutes are over."""
        time_given = f"{self._minutes:g} minute{'' if self._minutes == 1 else 's'}"
        reason = f"stopped after {time_given}, as requested, at step {step:,} of {self._steps:,}"
        if step < self._scheduled:
            reason += f", so its schedules had not yet come to their end at step {math.ceil(self._scheduled):,}"
        return reason

    def left(self, step: int) -> float:
        """Seconds from `step` to the last, or to the end of the session's minutes if that comes first."""
        left = self.pace.left(step, self._steps)[0]
        return left if self._end is None else min(left, max(0.0, self._end - time.perf_counter()))

    def estimate(self, step: int) -> Estimate | None:
        """How long the rest will take, once that can be said, and again where other phases have come in since; else None."""
        pace, told = self.pace, self._told
        if told is None or step < told:
            return None
        if told == -1:
            late = time.perf_counter() - self.began + pace.usual() >= SECONDS_MEASURED
            enough = pace.measured >= STEPS_MEASURED or late
        else:
            self._measured_then += 1
            enough = self._measured_then >= STEPS_MEASURED
        if not enough:
            return None
        seconds, strange = pace.left(step, self._steps)
        hasty = pace.measured < STEPS_MEASURED and strange is None
        self._told, self._measured_then = (step if hasty else strange), 0
        rest = max(1, self._steps - step)
        allowed = None if self._end is None else max(0.0, self._end - time.perf_counter())
        fits = allowed is None or seconds <= allowed
        return Estimate(
            seconds=seconds,
            seconds_per_step=seconds / rest,
            measured=pace.measured,
            first_unlike=strange,
            last_step=self._steps if fits or allowed is None else step + int(rest * allowed / seconds),
        )
