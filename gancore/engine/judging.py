"""Figures while training: computed when due, the best remembered and kept, and the run ended when it gets no better."""

from __future__ import annotations

import math
import time
import warnings
from typing import Any, Literal

from gancore import checkpoint, distributed
from gancore.blame import describe
from gancore.components import ProgressReport
from gancore.configuration.settings import Settings
from gancore.engine.evaluations import Evaluations, EvaluationsOf, Figures
from gancore.engine.parts import Parts
from gancore.engine.restore import SavedBest
from gancore.errors import CheckpointError, GanError
from gancore.events import Evaluated, HealthAlert
from gancore.run import RunFolder


class Judging:
    """The figures of one session. Rank 0 computes and knows them; the others learn what it decides."""

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        folder: RunFolder,
        evaluations_of: EvaluationsOf,
        progress: ProgressReport,
        best: SavedBest | None,
    ) -> None:
        """`best` is that of the checkpoint that the run goes on from, if any."""
        self.config = settings.run
        self.state_of_run = parts.state
        self.folder = folder
        self.best = best
        """The best evaluation so far."""
        self.last: Evaluated | None = None
        """The newest of this session."""
        self.improved = False
        """Whether that of this step is the best so far."""
        self._how: dict[str, Any] = {
            name: getattr(self.config, name).model_dump(mode="json") for name in ("evaluate", "best")
        }
        self._scalars: dict[str, float] = {}
        self._alerts: list[HealthAlert] = []
        self._told: set[str] = set()
        self._evaluations: Evaluations | None = None

        def begin() -> None:
            self._evaluations = evaluations_of(settings, parts.whole, parts.device, progress)
            self.best = self._still_valid(best)

        if self.config.every.evaluate:
            distributed.on_main(begin)

    def _still_valid(self, best: SavedBest | None) -> SavedBest | None:
        """`best`, where later figures can be compared with it and its checkpoint is there."""
        if best is None:
            return None
        if best.how != self._how:
            why = "figures are now computed or compared in another way"
        # A run that was killed just when its best had been saved had no time to keep it.
        elif not checkpoint.keep_best(self.folder.checkpoints, best.step):
            why = "its checkpoint is gone"
        else:
            try:
                checkpoint.best_at(self.folder.checkpoints, best.step)
                return best
            except CheckpointError as error:
                why = f"its checkpoint is damaged ({error})"
        warnings.warn(f"the best evaluation so far, of step {best.step:,}, no longer counts: {why}", stacklevel=2)
        return None

    def state(self) -> dict[str, Any] | None:
        """For a checkpoint."""
        return None if self.best is None else self.best.model_dump(mode="json")

    @property
    def due(self) -> bool:
        """Whether figures of this step are wanted."""
        every = self.config.every.evaluate
        return bool(every) and self.state_of_run.step % every == 0

    def look(self) -> tuple[Literal["stopped"], str] | None:
        """Compute the figures of this step, if they are due; how and why to end the run, if it is time."""
        self.improved = False
        if not self.due:
            return None
        self.improved, why = distributed.on_main(self._look)
        return ("stopped", why) if why else None

    def _look(self) -> tuple[bool, str]:
        """Whether the figures of this step are the best so far, and why to end."""
        assert self._evaluations is not None
        step, begun = self.state_of_run.step, time.perf_counter()
        try:
            found = self._evaluations.figures(self.state_of_run.ema.module)
        except Exception as error:  # no training ends for a figure
            found = Figures({}, failures={"": str(error) if isinstance(error, GanError) else describe(error)})
        for name, cause in found.failures.items():
            words = f"figures of '{name}'" if name else "figures"
            self._tell(name, f"{words} could not be computed: {cause.rstrip('.')}.")
        if not found.values and not found.failures:
            few = "there are too few real samples for any of the metrics; take more data, or a larger held_out"
            self._tell("", f"there are no figures: {few}.")
        self._scalars = {f"evaluate/{name}": value for name, value in found.values.items()}
        self._scalars |= {f"evaluate-real/{name}": value for name, value in found.real.items()}
        metric = self.config.best.metric or (self.best.metric if self.best else next(iter(found.values), ""))
        if metric not in found.values:
            if found.values and not found.failures:
                words = f"best.metric={metric} is not among the figures, so no checkpoint is kept as the best"
                self._tell("best.metric", f"{words}; there are {', '.join(found.values)}.")
            return False, ""
        value, real = found.values[metric], found.real.get(metric)
        gap, best = self._gap(value, real), self.best
        improved = math.isfinite(gap) and (best is None or gap < self._gap(best.value, best.real))
        if improved:
            best = SavedBest(metric=metric, how=self._how, value=value, real=real, step=step, since=0)
        elif best is not None:
            best = best.model_copy(update={"since": best.since + 1})
        self.best = best
        if best is None:
            return False, ""
        self.last = Evaluated(
            step=step, metric=metric, value=value, real=real, best_step=best.step, best=best.value,
            seconds=time.perf_counter() - begun,
        )  # fmt: skip
        return improved, self._enough(best)

    def _enough(self, best: SavedBest) -> str:
        """Why to end, if it is time."""
        patience = self.config.stop.patience
        if not 0 < patience <= best.since:
            return ""
        times = "the last evaluation" if best.since == 1 else f"the last {best.since} evaluations"
        return (
            f"{best.metric} has not improved in {times} (stop.patience={patience}); it was best at step {best.step:,}, with "
            f"{best.value:.3g}"
        )

    def take(self) -> tuple[dict[str, float], list[HealthAlert]]:
        """What is new for a line of figures: those of this step, and what could not be computed."""
        new = self._scalars, self._alerts
        self._scalars, self._alerts = {}, []
        return new

    def keep(self) -> None:
        """Keep the checkpoint of the best, which may have just been saved."""
        if self.best is not None and self._evaluations is not None:
            checkpoint.keep_best(self.folder.checkpoints, self.best.step)

    def _gap(self, value: float, real: float | None) -> float:
        """How far from perfect a figure is, up to a constant."""
        higher = self.config.best.higher
        if higher is None and real is not None:
            return abs(value - real)
        return -value if higher else value

    def _tell(self, what: str, message: str) -> None:
        """Once in a session."""
        if what not in self._told:
            self._told.add(what)
            advice = "The run continues, and this is tried again at the next evaluation."
            self._alerts.append(
                HealthAlert(kind="evaluation", step=self.state_of_run.step, message=message, advice=advice)
            )
