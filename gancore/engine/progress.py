"""What a training tells as it goes: lines of figures in the run's folder, and events for those who listen."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from gancore import distributed
from gancore.configuration.settings import Settings
from gancore.data.batch import Batch
from gancore.data.classes import classes_in_words
from gancore.data.domains import with_given
from gancore.data.first_look import look_at
from gancore.data.sampler import spread
from gancore.engine.cheaper import MANY, Trial, at_first_sight, with_cheaper
from gancore.engine.clock import Clock
from gancore.engine.judging import Judging
from gancore.engine.parts import Parts
from gancore.engine.restore import Restored
from gancore.engine.sheets import Sheets
from gancore.engine.transfer import frozen
from gancore.events import CheckpointSaved, Progress, RunFinished, RunStarted, Tick
from gancore.plugins import Registry
from gancore.random import Draws, derive
from gancore.run import RunFolder, plain

End = Literal["completed", "stopped", "interrupted", "failed"]
"""How a run ends."""


class Announcer:
    """Tells of one session, on rank 0; `tick` is for all ranks, as their figures are averaged and all have to stop together."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        folder: RunFolder,
        parts: Parts,
        sheets: Sheets,
        judging: Judging,
        before: Restored,
    ) -> None:
        self.settings = settings
        self.config = settings.run
        self.registry = registry
        self.folder = folder
        self.parts = parts
        self.state = parts.state
        self.sheets = sheets
        self.judging = judging
        self.alerts = list(before.alerts)
        """Those that no line of figures has told yet."""
        self.begun = before.begun
        """What was taken from another run, in words, where this one begins with it."""
        self.last: dict[str, float] = {}
        """The figures of the last tick."""
        self.unwritten: Mapping[str, Any] | None = None
        """A line of figures that a full disk did not take, for the checkpoint to keep."""
        self._seconds_before, self._started = before.seconds, time.perf_counter()
        self._last_tick = (self.state.step, self._started)

    @property
    def seconds(self) -> float:
        """Time spent training, over all sessions of this run."""
        return self._seconds_before + time.perf_counter() - self._started

    # --- at the beginning -------------------------------------------------------------------------------------------

    def started(self) -> None:
        """Write down the environment and what the data are, and tell that the run begins."""
        self.folder.write_environment(str(self.parts.device))
        source = self.parts.source
        doubts = look_at(source, self.config.batch_size, self.settings.data_path)
        report = replace(source.report, warnings=doubts)
        self.folder.write_data_report(report, self.parts.data.fingerprint)
        counts = {n: sum(p.numel() for p in player.parameters) for n, player in self.state.players.items()}
        words = filter(None, (report.summary(), classes_in_words(self.parts.spec.classes)))
        self._notify("gan_run_started", RunStarted(
            folder=self.folder.path, config=self.settings.dump(), step=self.state.step, steps=self.config.steps,
            parameters=counts, data="; ".join(words), device=str(self.parts.device), warnings=doubts,
            notes=(*self.settings.notes, *self.begun, *frozen(self.parts.game.networks, self.settings)),
        ))  # fmt: skip
        for doubt in doubts:
            warnings.warn(doubt, stacklevel=2)

    def guess(self) -> None:
        """Tell before the first step about how long all will take, where steps are slow."""
        if not self.can_try:
            return
        spec, source = self.parts.spec, self.parts.source
        positions = spread(len(source), MANY)
        hard, condition = source.fetch(positions, Draws(derive(self.config.seed, "real"), positions))
        batch = Batch(hard=hard, condition=condition, positions=torch.arange(len(hard)), step=0, relax=spec.relax)
        try:
            guess = at_first_sight(self.settings, self._trial(with_given(batch, spec, 0)), self.state.step)
        except Exception:
            # Networks that take whole batches only, or are out of memory beside the training, can be trained all the same; what
            # is wrong with them otherwise is told by the first step, which calls them as they are meant to be.
            guess = None
        if guess is not None:
            self._notify("gan_progress", Progress(
                folder=self.folder.path, step=self.state.step, steps=self.config.steps, scalars={}, estimate=guess,
                samples_per_second=self.config.batch_size / guess.seconds_per_step, seconds=self.seconds,
                seconds_left=guess.seconds, last_sheet=self.sheets.last,
            ))  # fmt: skip

    @property
    def can_try(self) -> bool:
        """Whether something can be tried beside the training: not on a GPU, where it may not fit, or where other ranks would wait."""
        return self.parts.device.type == "cpu" and not distributed.active()

    def _trial(self, batch: Batch) -> Trial:
        networks = {**self.parts.game.networks, "generator": self.state.ema.module}
        return Trial(networks, self.parts.spec, batch, self.parts.memory_format)

    # --- between steps ----------------------------------------------------------------------------------------------

    def look(self, clock: Clock, batch: Batch) -> None:
        """Tell what the clock says is due: means so far, which nothing takes, and how long the rest will take."""
        estimate = clock.estimate(self.state.step)
        if estimate is None and not clock.figures_due():
            return
        if estimate is not None and self.can_try:
            with suppress(Exception):  # as in `guess`: other people's code, tried in another size than it is trained in
                estimate = with_cheaper(estimate, self.settings, self._trial(batch))
        clock.figures_told()
        self._notify("gan_progress", Progress(
            folder=self.folder.path, step=self.state.step, steps=self.config.steps, scalars=self.state.means.look(),
            samples_per_second=self._speed(), seconds=self.seconds, seconds_left=clock.left(self.state.step),
            troubles=tuple(self.state.health.active), last_sheet=self.sheets.last, estimate=estimate,
            evaluated=self.judging.last,
        ))  # fmt: skip

    def tick(self, clock: Clock, scheduled: Mapping[str, float]) -> str | None:
        """Write down the means since the last tick, and what is `scheduled`, and tell of them; a listener's reason to stop, if one
        has any."""
        speed = self._speed()
        spread = self.state.means.sums.pop("health/spread", None)
        weight = self.state.means.weights.pop("health/spread", 1.0)
        self.last = self.state.means.take()
        if spread is not None:
            self.last["health/spread"] = float(spread) / weight
        self.alerts += self.state.health.look_at_scalars(self.last, self.state.step)
        figures, alerts = self.judging.take()
        self.last |= {**scheduled, **figures}
        self.alerts += alerts
        event = Tick(
            folder=self.folder.path, step=self.state.step, steps=self.config.steps, scalars=self.last,
            samples_per_second=speed, seconds=self.seconds, alerts=tuple(self.alerts),
            troubles=tuple(self.state.health.active), last_sheet=self.sheets.last,
            seconds_left=clock.left(self.state.step) if distributed.is_main() else None,
            evaluated=self.judging.last,
        )  # fmt: skip
        reasons = distributed.on_main(lambda: self._tell(event))
        self.alerts = []
        clock.figures_told()
        self._last_tick = (self.state.step, time.perf_counter())
        return reasons[0] if reasons else None

    def _tell(self, event: Tick) -> list[str]:
        self._write_figures(event.samples_per_second)
        self._notify("gan_tick", event)
        return [str(r) for r in self._notify("gan_should_stop", event) if r]

    def _write_figures(self, speed: float, **more: Any) -> None:
        row: dict[str, Any] = {"step": self.state.step, "seconds": round(self.seconds, 3)}
        row |= {"samples_per_second": round(speed, 2), **self.last, **more}
        row |= {"alerts": [str(a) for a in self.alerts]} if self.alerts else {}
        self.alerts = []
        self.unwritten = plain(row)
        self.folder.append_metrics(row)
        self.unwritten = None

    def _speed(self) -> float:
        """Samples a second since the last tick."""
        steps = self.state.step - self._last_tick[0]
        return steps * self.config.batch_size / max(1e-9, time.perf_counter() - self._last_tick[1])

    def saved(self, path: Path) -> None:
        """The checkpoint at `path` is complete."""
        self._notify("gan_checkpoint_saved", CheckpointSaved(folder=self.folder.path, step=self.state.step, path=path))

    # --- at the end -------------------------------------------------------------------------------------------------

    def write_the_rest(self) -> None:
        """Write down the means since the last tick, marked as such: the next session writes figures of whole windows again."""
        if self._last_tick[0] != self.state.step:
            self.last = self.state.means.look()
            self._write_figures(self._speed(), interim=True)

    def finished(self, outcome: End, reason: str, files: Sequence[Path] = ()) -> None:
        """The run has ended."""
        self._notify("gan_run_finished", RunFinished(
            folder=self.folder.path, step=self.state.step, outcome=outcome, reason=reason, files=tuple(files)
        ))  # fmt: skip

    def _notify(self, hook: str, event: object) -> list[Any]:
        return self.registry.notify(hook, event) if distributed.is_main() else []
