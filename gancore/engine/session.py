"""One training from its settings to its folder: builds the parts, runs the loop, and does what is due between steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from gancore import checkpoint, distributed
from gancore.blame import explain, explaining, left
from gancore.components import DataSource, ProgressReport
from gancore.configuration.settings import Settings
from gancore.data.fingerprint import Fingerprint, fingerprint
from gancore.devices import pick_device
from gancore.engine import contract
from gancore.engine.clock import Clock
from gancore.engine.ending import in_words, report_of, with_the_rest
from gancore.engine.evaluations import EvaluationsOf
from gancore.engine.giving_up import after_bad_steps, after_bad_update, bad_numbers, before_bad_save
from gancore.engine.health import spread_ratio
from gancore.engine.judging import Judging
from gancore.engine.loop import Outcome, train_steps
from gancore.engine.memory import keeping_freed
from gancore.engine.parts import build_parts, loader_of
from gancore.engine.progress import Announcer, End
from gancore.engine.restore import Expected, Restored, restore
from gancore.engine.schedules import build_schedules
from gancore.engine.sheets import SheetsOf
from gancore.engine.stopping import StopSignals, tell_on_stderr
from gancore.engine.transfer import begin_with
from gancore.errors import BreachError, NonFiniteError, PluginError, ToldElsewhereError, UsageError
from gancore.events import Evaluated
from gancore.games.player import Phase
from gancore.optimizer_file import remembered
from gancore.plugins import Registry
from gancore.run import RunFolder


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
    evaluated: Evaluated | None = None
    """The last evaluation of this session, and the best of the run."""
    domains: tuple[str, ...] = ()
    """Names of the domains between which its generator translates."""


class Session:
    """A training in progress. `run` is the only thing to do with it, once."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        open_folder: Callable[[], RunFolder],
        progress: ProgressReport,
        sheets_of: SheetsOf,
        evaluations_of: EvaluationsOf,
        minutes: float | None = None,
        stopping: Callable[[str], None] = tell_on_stderr,
        changed_data: bool = False,
        going_on: Callable[[], object] = lambda: None,
        fingerprint_of: Callable[[DataSource], Fingerprint] = fingerprint,
    ) -> None:
        """`open_folder` is called on rank 0 once the data and the networks are known to fit, so a failure leaves nothing behind.
        `sheets_of` makes what draws and writes samples, `evaluations_of` what compares them with real ones.

        `minutes` after its first step has begun, this session ends, whatever has been trained before. `stopping` is called by
        a signal's handler with what will happen. `going_on` is called on rank 0 once it is known that the run can go on.
        `fingerprint_of` is as for `build_parts`.
        """
        self.settings = settings
        self.config = settings.run
        self.registry = registry
        self.open_folder = open_folder
        self.progress = progress
        self.sheets_of = sheets_of
        self.evaluations_of = evaluations_of
        self.minutes = minutes
        self.changed_data = changed_data
        self.going_on = going_on
        self.fingerprint_of = fingerprint_of
        self.device = pick_device(self.config.device)
        self.signals = StopSignals(stopping)

    def run(self) -> Run:
        """Train to the end, or until somebody or something says stop.

        Raises:
            DataError: nothing usable in the data.
            CheckpointError: there is nothing to resume from.
            NonFiniteError: too many non-finite steps in a row; the last good checkpoint is intact.
        """
        with ExitStack() as stack:
            stack.enter_context(explaining(self.registry, self._used()))
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
            self.parts = build_parts(self.settings, self.device, self.progress, self.fingerprint_of)
            self.spec, self.game, self.state = self.parts.spec, self.parts.game, self.parts.state
            # Only now: while data are read there is nothing to save, and Ctrl-C should end it at once.
            stack.enter_context(self.signals.listening())
            self.folder = RunFolder(Path(distributed.on_main(lambda: str(self.open_folder().path))))
            before = self._restored()
            self.loader = loader_of(self.parts, self.settings)
            self.sheets = self.sheets_of(self.settings, self.spec, self.folder, self.parts.source)
            stack.callback(self.loader.close)
            self.judging = Judging(
                self.settings, self.parts, self.folder, self.evaluations_of, self.progress, before.best
            )
            distributed.on_main(lambda: self.going_on() and None)
            self.announcer = Announcer(
                self.settings, self.registry, self.folder, self.parts, self.sheets, self.judging, before
            )
            if self.device.type == "cpu":
                stack.enter_context(keeping_freed())
            return self._train()

    def _restored(self) -> Restored:
        """Go back to the newest checkpoint, or to the beginning where there is none."""
        if distributed.is_main():
            checkpoint.clean(self.folder.checkpoints)
        if not checkpoint.any_in(self.folder.checkpoints):
            # What a run that was killed before its first checkpoint has written.
            distributed.on_main(lambda: self.folder.forget_after(0))
            begun = begin_with(self.settings, self.game.networks, self.state.ema, self.spec, self.folder)
            return Restored((), 0.0, begun=begun)
        parts = self.parts
        expected = Expected(
            parts.game.networks, parts.state, parts.spec, self.settings, parts.data, changed_data=self.changed_data
        )
        return restore(self.folder, expected)

    # --- training ---------------------------------------------------------------------------------------------------

    saved = -1
    """The step of the last checkpoint of this session."""

    def _train(self) -> Run:
        outcome: End = "completed"
        reason = f"reached step {self.config.steps:,}"
        try:
            if distributed.is_main():
                self.announcer.started()
            if self.announcer.begun:
                self._save()  # from here on the run needs nothing of the one that it began with
            if distributed.is_main() and self.config.every.sample and self.state.step % self.config.every.sample == 0:
                # The first; or after a checkpoint, that of its step, which an end may have come before.
                self.sheets.make(self.state.ema.module, self.state.step)
            self.announcer.guess()
            phases = self.game.phases(self.state.players)
            state = self.state
            augmentations = self.parts.augmentations
            self.schedules = build_schedules(self.settings, state.players, state.ema, phases, augmentations)
            self.clock = Clock(self.config, phases, self.minutes, scheduled=self.schedules.end)
            for done in self.clock.timed(self._steps(phases), state.step):
                stop = self._after(done)
                if stop:
                    outcome, reason = stop
                    break
            return self._finish(outcome, reason)
        except (Exception, KeyboardInterrupt, SystemExit) as error:
            told = self._rescued(error)
            reason = str(told) or type(told).__name__
            self.announcer.finished("failed", reason)
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
        if isinstance(error, BreachError):
            error = contract.in_words(self.settings, error)
        told = in_words(error, self.folder)
        if told is None and (why := explain(error, self.registry, self._used())):
            if isinstance(error, SystemExit):
                return with_the_rest(left(error, why), self.folder)
            error.add_note(str(with_the_rest(PluginError(why), self.folder)))
        return error if told is None else with_the_rest(told, self.folder)

    def _used(self) -> set[str]:
        return {chosen.found.qualified for chosen in self.settings.components().values()}

    def _steps(self, phases: Sequence[Phase]) -> Iterator[Outcome]:
        layout = self.parts.memory_format
        return train_steps(self.config, self.state, phases, self.loader, self.spec, self.device, layout, self.schedules)

    def _after(self, done: Outcome) -> tuple[End, str] | None:
        """What is due after a step; how and why to end, if so."""
        step, every, health = self.state.step, self.config.every, self.state.health
        last = step == self.config.steps
        if done.spoiled:
            self.announcer.alerts += health.spoiled(step, *done.spoiled)
            self._tick()
            raise after_bad_update(self.folder, step, *done.spoiled)
        self.announcer.alerts += health.step_was(not done.culprit, step, done.culprit)
        if health.exhausted:
            self._tick()  # or the last alerts would be lost
            player = self.state.players[done.culprit]
            raise after_bad_steps(self.folder, step, player, self.config.health.max_bad_steps)
        comparable = not done.culprit and len(done.batch) > 1
        if every.health and step % every.health == 0 and comparable and distributed.is_main():
            self.announcer.alerts += health.look_at_spread(self._spread(done), step)
        stop: tuple[End, str] | None = None
        enough = self.judging.look()
        if step % every.log == 0 or last or self.judging.due:
            stop = self._tick() or enough
        if (every.checkpoint and step % every.checkpoint == 0 and not last) or self.judging.improved:
            self._save()  # before the sheet, which other people's code draws and writes
        if distributed.is_main() and not last:
            if (every.sample and step % every.sample == 0) or self.clock.sheet_due():
                self.sheets.make(self.state.ema.module, step)
                self.clock.sheet_made()
            self.announcer.look(self.clock, done.batch)
        wish = self._agree(self.signals.received)
        if wish and not last:
            return "interrupted", wish
        if self.minutes is not None and not last and not stop and self._agree("over" if self.clock.over else ""):
            return "stopped", self.clock.end(step)
        return None if last else stop

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
        reason = self.announcer.tick(self.clock, self.schedules.figures(self.state.step - 1))
        return None if reason is None else ("stopped", reason)

    def _save(self) -> None:
        distributed.on_main(self._write_checkpoint)
        distributed.on_main(self.judging.keep)
        self.saved = self.state.step

    def _write_checkpoint(self) -> None:
        modules = {**self.game.networks, "ema": self.state.ema.module}
        optimizers = {n: p.optimizer.state_dict() for n, p in self.state.players.items()}
        if bad := bad_numbers(modules, self.parts.oddities, optimizers):
            raise before_bad_save(self.folder, self.state.step, bad)
        state = {
            "spec": self.spec.model_dump(mode="json"),
            "data": self.parts.data.model_dump(),
            "health": self.state.health.state(),
            "means": self.state.means.state(),
            "strengths": self.state.strengths.state(),
            "alerts": [asdict(alert) for alert in self.announcer.alerts],
            "optimizers": {name: remembered(state) for name, state in optimizers.items()},
            "trained_with": {name: self.settings.optimizers[name].found.qualified for name in optimizers},
            "seconds": self.announcer.seconds,
            "unwritten": self.announcer.unwritten,
            "best": self.judging.state(),
        }
        self.folder.sync()
        path = checkpoint.save(self.folder.checkpoints, self.state.step, modules, optimizers, state, self.config.keep)
        self.saved = self.state.step
        self.announcer.saved(path)

    def _finish(self, outcome: End, reason: str) -> Run:
        if self.saved != self.state.step:
            self._save()
        files: tuple[Path, ...] = ()
        if distributed.is_main():
            self.announcer.write_the_rest()
            self.sheets.make(self.state.ema.module, self.state.step)
            if outcome != "interrupted":  # nobody who presses Ctrl-C wants to wait for an animation
                files = (*self.sheets.make_progress(),)
            files = (*files, *report_of(self.folder, self.settings, reason))
            self.announcer.finished(outcome, reason, files)
        needs_given = self.spec.given_shape is not None
        last, evaluated = self.announcer.last, self.judging.last
        domains = self.spec.domains if needs_given else ()
        return Run(self.folder.path, self.state.step, outcome, reason, last, files, needs_given, evaluated, domains)
