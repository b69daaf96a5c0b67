"""One training from its settings to its folder: builds the parts, runs the loop, and does what is due between steps."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from gancore import checkpoint, distributed
from gancore.components import DataSource, ProgressReport
from gancore.configuration.settings import Settings
from gancore.data.batch import Batch
from gancore.data.classes import classes_in_words
from gancore.data.fingerprint import Fingerprint, fingerprint
from gancore.data.first_look import look_at
from gancore.data.held_out import both_parts
from gancore.data.loader import Loader
from gancore.data.report import silent
from gancore.data.sampler import spread
from gancore.devices import pick_device, pick_memory_format
from gancore.engine.build import build_game, check_writers
from gancore.engine.cheaper import MANY, Trial, at_first_sight, with_cheaper
from gancore.engine.clock import Clock
from gancore.engine.ema import MovingAverage
from gancore.engine.ending import in_words, report_of, with_the_rest
from gancore.engine.giving_up import after_bad_steps, after_bad_update, bad_numbers, before_bad_save
from gancore.engine.health import HealthMonitor, spread_ratio
from gancore.engine.loop import Outcome, TrainState, train_steps
from gancore.engine.optimizers import build_optimizer
from gancore.engine.restore import Expected, SavedData, restore
from gancore.engine.sheets import SheetsOf
from gancore.engine.stopping import StopSignals, tell_on_stderr
from gancore.errors import NonFiniteError, ToldElsewhereError, UsageError
from gancore.events import CheckpointSaved, HealthAlert, Progress, RunFinished, RunStarted, Tick
from gancore.finite import oddities
from gancore.games.player import Phase, Player
from gancore.plugins import Registry
from gancore.random import Draws, derive
from gancore.run import RunFolder, plain

End = Literal["completed", "stopped", "interrupted", "failed"]


@dataclass(frozen=True, slots=True)
class Run:
    """A training that has ended: where it lies, how it ended, and its last figures."""

    folder: Path
    step: int
    outcome: End
    reason: str
    scalars: Mapping[str, float]
    files: tuple[Path, ...] = ()
    needs_given: bool = False
    """Whether its generator is given a part of each sample."""


class Session:
    """A training in progress. `run` is the only thing to do with it, once."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        open_folder: Callable[[], RunFolder],
        progress: ProgressReport,
        sheets_of: SheetsOf,
        minutes: float | None = None,
        stopping: Callable[[str], None] = tell_on_stderr,
        changed_data: bool = False,
        going_on: Callable[[], object] = lambda: None,
    ) -> None:
        """`open_folder` is called on rank 0 once the data and the networks are known to fit, so a failure leaves nothing behind.
        `sheets_of` makes what draws and writes samples.

        `minutes` after its first step has begun, this session ends, whatever has been trained before. `stopping` is called by
        a signal's handler with what will happen. `going_on` is called on rank 0 once it is known that the run can go on.
        """
        self.settings = settings
        self.config = settings.run
        self.registry = registry
        self.open_folder = open_folder
        self.progress = progress
        self.sheets_of = sheets_of
        self.minutes = minutes
        self.changed_data = changed_data
        self.going_on = going_on
        self.device = pick_device(self.config.device)
        self.signals = StopSignals(stopping)
        self.alerts: list[HealthAlert] = []

    def run(self) -> Run:
        """Train to the end, or until somebody or something says stop.

        Raises:
            DataError: nothing usable in the data.
            CheckpointError: there is nothing to resume from.
            NonFiniteError: too many non-finite steps in a row; the last good checkpoint is intact.
        """
        with ExitStack() as stack:
            stack.enter_context(distributed.process_group(self.device))
            if self.config.batch_size % distributed.world_size():
                raise UsageError(
                    f"batch_size={self.config.batch_size} cannot be shared by {distributed.world_size()} processes; "
                    "choose a multiple"
                )
            if self.device.type == "cuda" and distributed.active():
                self.device = torch.device("cuda", torch.cuda.current_device())
            # Layers that draw for themselves are seeded step by step; the caller's random numbers stay what they were.
            cards = [self.device] if self.device.type == "cuda" else []
            stack.enter_context(torch.random.fork_rng(devices=cards))
            self._build()
            # Only now: while data are read there is nothing to save, and Ctrl-C should end it at once.
            stack.enter_context(self.signals.listening())
            self.folder = RunFolder(Path(distributed.on_main(lambda: str(self.open_folder().path))))
            if distributed.is_main():
                checkpoint.clean(self.folder.checkpoints)
            if checkpoint.any_in(self.folder.checkpoints):
                self._restore()
            else:  # what a run that was killed before its first checkpoint has written
                distributed.on_main(lambda: self.folder.forget_after(0))
            self._open()
            stack.callback(self.loader.close)
            distributed.on_main(lambda: self.going_on() and None)
            return self._train()

    # --- building ---------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        report = self.progress if distributed.is_main() else silent
        whole: DataSource = self.settings.data.build(report)
        self.source, held_out = both_parts(whole, self.config.held_out)
        self.spec = self.source.spec
        check_writers(self.settings, self.spec)
        self.game = build_game(self.settings, self.spec, self.source, held_out)
        memory_format = pick_memory_format(self.config.memory_format, self.spec)
        for module in self.game.networks.values():
            module.to(self.device).train()
            if memory_format == torch.channels_last:
                module.to(memory_format=memory_format)  # type: ignore[call-overload]
            distributed.broadcast_module(module)
        self.oddities = {name: oddities(module) for name, module in self.game.networks.items()}
        self.oddities["ema"] = self.oddities["generator"]
        self.memory_format = memory_format
        self.players = {
            name: Player(name, module, build_optimizer(self.config.optimizers[name], module.parameters()))
            for name, module in self.game.networks.items()
            if name in self.config.optimizers
        }
        for player in self.players.values():
            player.set_rivals(self.players)
        ema = MovingAverage(self.game.networks["generator"], self.config.ema)
        self.state = TrainState(self.players, ema, HealthMonitor(self.config.health))
        # Rank 0 looks for all: they were given the same data.
        seen = distributed.on_main(lambda: asdict(fingerprint(whole)))
        self.data = SavedData.of(Fingerprint(**seen), self.config)

    def _open(self) -> None:
        """Get ready to draw batches and write sheets, from the step that has been reached."""
        self.loader = Loader(
            self.source,
            batch_size=self.config.batch_size,
            seed=self.config.seed,
            workers=self._workers(),
            rank=distributed.rank(),
            world=distributed.world_size(),
            start=self.state.step,
            stop=self.config.steps,
        )
        self.sheets = self.sheets_of(self.settings, self.spec, self.folder, self.source)

    def _workers(self) -> int:
        if self.config.workers >= 0:
            return self.config.workers
        return 0 if self.source.in_memory else min(4, os.cpu_count() or 1)

    def _restore(self) -> None:
        expected = Expected(
            self.game.networks, self.state, self.spec, self.config, self.data, changed_data=self.changed_data
        )
        restored = restore(self.folder, expected)
        self.alerts, self.seconds_before = list(restored.alerts), restored.seconds

    # --- training ---------------------------------------------------------------------------------------------------

    seconds_before = 0.0
    saved = -1
    """The step of the last checkpoint of this session."""
    unwritten: Mapping[str, Any] | None = None
    """A line of figures that a full disk did not take, for the checkpoint to keep."""

    @property
    def seconds(self) -> float:
        """Time spent training, over all sessions of this run."""
        return self.seconds_before + time.perf_counter() - self.started

    def _train(self) -> Run:
        self.started = time.perf_counter()
        self.last: dict[str, float] = {}
        self.last_tick = (self.state.step, self.started)
        outcome: End = "completed"
        reason = f"reached step {self.config.steps:,}"
        try:
            self._announce()
            self._guess()
            phases = self.game.phases(self.players)
            self.clock = Clock(self.config, phases, self.minutes)
            for done in self.clock.timed(self._steps(phases), self.state.step):
                stop = self._after(done)
                if stop:
                    outcome, reason = stop
                    break
            return self._finish(outcome, reason)
        except (Exception, KeyboardInterrupt) as error:
            told = self._rescued(error)
            reason = str(told) or type(told).__name__
            self._notify("gan_run_finished", RunFinished(
                folder=self.folder.path, step=self.state.step, outcome="failed", reason=reason
            ))  # fmt: skip
            if told is error:
                raise
            raise told from error

    def _rescued(self, error: BaseException) -> BaseException:
        """`error` as what is told, after saving what can be saved."""
        if isinstance(error, KeyboardInterrupt | NonFiniteError | ToldElsewhereError):
            return error
        between_steps = self.state.whole and 0 < self.state.step != self.saved
        if between_steps and distributed.is_main() and self.folder.path.is_dir():
            with suppress(Exception):  # the first failure is the one to tell
                self._write_checkpoint()
        told = in_words(error, self.folder)
        return error if told is None else with_the_rest(told, self.folder)

    def _steps(self, phases: Sequence[Phase]) -> Iterator[Outcome]:
        return train_steps(self.config, self.state, phases, self.loader, self.spec, self.device, self.memory_format)

    def _announce(self) -> None:
        if not distributed.is_main():
            return
        self.folder.write_environment(str(self.device))
        path = getattr(self.settings.data.options, "path", None)
        doubts = look_at(self.source, self.config.batch_size, path if isinstance(path, Path) else None)
        report = replace(self.source.report, warnings=doubts)
        self.folder.write_data_report(report, self.data.fingerprint)
        counts = {n: sum(p.numel() for p in player.parameters) for n, player in self.players.items()}
        self._notify("gan_run_started", RunStarted(
            folder=self.folder.path, config=self.settings.dump(), step=self.state.step, steps=self.config.steps,
            parameters=counts, data="; ".join(filter(None, (report.summary(), classes_in_words(self.spec.classes)))),
            device=str(self.device), warnings=doubts, notes=self.settings.notes,
        ))  # fmt: skip
        for doubt in doubts:
            warnings.warn(doubt, stacklevel=2)
        if self.config.every.sample and self.state.step % self.config.every.sample == 0:
            # The first; or after a checkpoint, that of its step, which an end may have come before.
            self.sheets.make(self.state.ema.module, self.state.step)

    def _after(self, done: Outcome) -> tuple[End, str] | None:
        """What is due after a step; how and why to end, if so."""
        step, every, health = self.state.step, self.config.every, self.state.health
        last = step == self.config.steps
        if done.spoiled:
            self.alerts += health.spoiled(step, *done.spoiled)
            self._tick()
            raise after_bad_update(self.folder, step, *done.spoiled)
        self.alerts += health.step_was(not done.culprit, step, done.culprit)
        if health.exhausted:
            self._tick()  # or the last alerts would be lost
            player = self.players[done.culprit]
            raise after_bad_steps(self.folder, step, player, self.config.health.max_bad_steps)
        comparable = not done.culprit and len(done.batch) > 1
        if every.health and step % every.health == 0 and comparable and distributed.is_main():
            self.alerts += health.look_at_spread(self._spread(done), step)
        stop: tuple[End, str] | None = None
        if step % every.log == 0 or last:
            stop = self._tick()
        if every.checkpoint and step % every.checkpoint == 0 and not last:
            self._save()  # before the sheet, which other people's code draws and writes
        if distributed.is_main() and not last:
            if (every.sample and step % every.sample == 0) or self.clock.sheet_due():
                self.sheets.make(self.state.ema.module, step)
                self.clock.sheet_made()
            self._look(done.batch)
        wish = self._agree(self.signals.received)
        if wish and not last:
            return "interrupted", wish
        if self.minutes is not None and not last and not stop and self._agree("over" if self.clock.over else ""):
            return "stopped", self.clock.end(step)
        return None if last else stop

    def _trial(self, batch: Batch) -> Trial | None:
        """What can be tried beside the training; nothing on a GPU, where it may not fit, or where other ranks would wait."""
        if self.device.type != "cpu" or distributed.active():
            return None
        networks = {**self.game.networks, "generator": self.state.ema.module}
        return Trial(networks, self.spec, batch, self.memory_format)

    def _guess(self) -> None:
        """Tell before the first step about how long all will take, where steps are slow."""
        if self.device.type != "cpu" or distributed.active():
            return
        positions = spread(len(self.source), MANY)
        hard, condition = self.source.fetch(positions, Draws(derive(self.config.seed, "real"), positions))
        batch = Batch(hard=hard, condition=condition, positions=torch.arange(len(hard)), step=0, relax=self.spec.relax)
        trial = self._trial(batch.giving(self.spec.given_part(batch.x)))
        guess = None if trial is None else at_first_sight(self.settings, trial, self.state.step)
        if guess is not None:
            self._notify("gan_progress", Progress(
                folder=self.folder.path, step=self.state.step, steps=self.config.steps, scalars={}, estimate=guess,
                samples_per_second=self.config.batch_size / guess.seconds_per_step, seconds=self.seconds,
                seconds_left=guess.seconds, last_sheet=self.sheets.last,
            ))  # fmt: skip

    def _look(self, batch: Batch) -> None:
        """Tell what the clock says is due: means so far, which nothing takes, and how long the rest will take."""
        estimate = self.clock.estimate(self.state.step)
        if estimate is None and not self.clock.figures_due():
            return
        if estimate is not None and (trial := self._trial(batch)) is not None:
            estimate = with_cheaper(estimate, self.settings, trial)
        self.clock.figures_told()
        self._notify("gan_progress", Progress(
            folder=self.folder.path, step=self.state.step, steps=self.config.steps, scalars=self.state.means.look(),
            samples_per_second=self._speed(), seconds=self.seconds, seconds_left=self.clock.left(self.state.step),
            troubles=tuple(self.state.health.active), last_sheet=self.sheets.last, estimate=estimate,
        ))  # fmt: skip

    def _speed(self) -> float:
        """Samples a second since the last tick."""
        steps = self.state.step - self.last_tick[0]
        return steps * self.config.batch_size / max(1e-9, time.perf_counter() - self.last_tick[1])

    def _agree(self, wish: str) -> str:
        """A stop that any rank has received, on every rank."""
        if not distributed.active():
            return wish
        asked = distributed.mean_scalars({"stop": float(bool(wish))})["stop"] > 0
        return (wish or "another process was told to stop") if asked else ""

    def _spread(self, done: Outcome) -> float:
        """Spread of generated against real samples of this step's classes."""
        generator = self.game.networks["generator"]
        discriminator = self.game.networks.get("discriminator")
        modules = [m for m in (generator, discriminator) if m is not None]
        for module in modules:
            module.eval()
        real, condition = done.batch.x[:256], done.batch.condition
        condition = None if condition is None else condition[:256]
        given = done.batch.given
        fake = self.sheets.generate(generator, len(real), condition, None if given is None else given.__getitem__)
        ratio = spread_ratio(discriminator, real, fake, condition)
        for module in modules:
            module.train()
        self.state.means.add({"health/spread": ratio})
        return ratio

    def _tick(self) -> tuple[End, str] | None:
        speed = self._speed()
        spread = self.state.means.sums.pop("health/spread", None)
        weight = self.state.means.weights.pop("health/spread", 1.0)
        self.last = self.state.means.take()
        if spread is not None:
            self.last["health/spread"] = float(spread) / weight
        self.alerts += self.state.health.look_at_scalars(self.last, self.state.step)
        event = Tick(
            folder=self.folder.path, step=self.state.step, steps=self.config.steps, scalars=self.last,
            samples_per_second=speed, seconds=self.seconds, alerts=tuple(self.alerts),
            troubles=tuple(self.state.health.active), last_sheet=self.sheets.last,
            seconds_left=self.clock.left(self.state.step) if distributed.is_main() else None,
        )  # fmt: skip
        reasons = distributed.on_main(lambda: self._tell(event, speed))
        self.alerts = []
        self.clock.figures_told()
        self.last_tick = (self.state.step, time.perf_counter())
        return ("stopped", reasons[0]) if reasons else None

    def _tell(self, event: Tick, speed: float) -> list[str]:
        """Write figures down and tell listeners of them; their reasons to stop."""
        self._write_figures(speed)
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

    def _save(self) -> None:
        distributed.on_main(self._write_checkpoint)
        self.saved = self.state.step

    def _write_checkpoint(self) -> None:
        modules = {**self.game.networks, "ema": self.state.ema.module}
        optimizers = {n: p.optimizer.state_dict() for n, p in self.players.items()}
        if bad := bad_numbers(modules, self.oddities, optimizers):
            raise before_bad_save(self.folder, self.state.step, bad)
        state = {
            "spec": self.spec.model_dump(mode="json"),
            "data": self.data.model_dump(),
            "health": self.state.health.state(),
            "means": self.state.means.state(),
            "alerts": [asdict(alert) for alert in self.alerts],
            "seconds": self.seconds,
            "unwritten": self.unwritten,
        }
        self.folder.sync()
        path = checkpoint.save(self.folder.checkpoints, self.state.step, modules, optimizers, state, self.config.keep)
        self.saved = self.state.step
        self._notify("gan_checkpoint_saved", CheckpointSaved(
            folder=self.folder.path, step=self.state.step, path=path
        ))  # fmt: skip

    def _finish(self, outcome: End, reason: str) -> Run:
        if self.saved != self.state.step:
            self._save()
        files: tuple[Path, ...] = ()
        if distributed.is_main():
            if self.last_tick[0] != self.state.step:  # the next session writes the figures of whole windows again
                self.last = self.state.means.look()
                self._write_figures(self._speed(), interim=True)
            self.sheets.make(self.state.ema.module, self.state.step)
            if outcome != "interrupted":  # nobody who presses Ctrl-C wants to wait for an animation
                files = (*self.sheets.make_progress(),)
            files = (*files, *report_of(self.folder, self.settings, reason))
            self._notify("gan_run_finished", RunFinished(
                folder=self.folder.path, step=self.state.step, outcome=outcome, reason=reason, files=files
            ))  # fmt: skip
        needs_given = self.spec.given_shape is not None
        return Run(self.folder.path, self.state.step, outcome, reason, self.last, files, needs_given)

    def _notify(self, hook: str, event: object) -> list[Any]:
        return self.registry.notify(hook, event) if distributed.is_main() else []
