"""Checks of short trainings: the same seed, the same run; interrupted or not, the same bits; and listeners that hear of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import gancore
from gancore import checkpoint, hookimpl
from gancore.components import DataSource
from gancore.configuration.settings import Chosen, Settings
from gancore.data.fingerprint import Fingerprint, fingerprint
from gancore.data.report import silent
from gancore.engine.session import Session
from gancore.evaluation.live import LiveEvaluations
from gancore.events import CheckpointSaved, HealthAlert, Progress, RunFinished, RunStarted, Tick
from gancore.plugins import Plugin, Registry
from gancore.random import derive
from gancore.run import RunFolder
from gancore.sampling.drawing import cycle_classes, draw, parts_of
from gancore.sampling.sheets import SheetMaker
from gancore.testing import points
from gancore.testing.bench import seed_all
from gancore.testing.check import Mismatch, check, describe
from gancore.testing.kit import STEPS, Kit, Scene, only_cheapest, scenes, tried_on
from gancore.testing.steps import FEW, block, parts_and_scenes, same, setting

LIFECYCLE = (
    "gan_run_started",
    "gan_tick",
    "gan_progress",
    "gan_should_stop",
    "gan_checkpoint_saved",
    "gan_run_finished",
)


COUNT = 6
"""Samples that are compared."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A run of the kit: its folder, and what its averaged generator made before it was saved."""

    folder: RunFolder
    samples: Tensor
    given: Tensor | None
    """Hard samples that a part was given of, where one is."""

    def tensors(self, step: int) -> dict[str, Tensor]:
        """Everything saved at a step: weights, average, and the optimizers' state."""
        found = checkpoint.at(self.folder.checkpoints, step)
        modules = sorted(p.stem for p in found.path.glob("*.safetensors"))
        tensors = {f"{m} {k}": t for m in modules for k, t in found.tensors(m).items()}
        for path in sorted(found.path.glob("*.pt")):
            state = torch.load(path, weights_only=True)
            tensors |= {
                f"{path.stem} {i} {k}": v
                for i, s in state["state"].items()
                for k, v in s.items()
                if isinstance(v, Tensor)
            }
        return tensors


class _StopAt:
    """Ends a run early, as a person would."""

    def __init__(self, step: int) -> None:
        self.step = step

    @hookimpl
    def gan_should_stop(self, event: Tick) -> str | None:
        return "half of it" if event.step == self.step else None


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """As if started by hand: under torchrun a process would look for its group."""
    kept = {k: os.environ.pop(k) for k in ("RANK", "WORLD_SIZE", "LOCAL_RANK") if k in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


class _Quiet(Registry):
    """Knows the plugins of another, and calls no hooks but those of listeners."""

    def __init__(self, other: Registry) -> None:
        self.other = other
        super().__init__([])

    def load(self, name: str) -> Plugin:
        return self.other.load(name)


@dataclass(frozen=True)
class _Opened(Chosen):
    """A data set that is open already, where opening it again would tell nothing more."""

    source: DataSource

    def build(self, *arguments: Any) -> DataSource:
        return self.source


def _session(kit: Kit, settings: Settings, path: Path, listener: object | None) -> Session:
    """A training into `path`, new or resumed, that nobody hears but `listener`: to the plugin's own hooks it is none."""
    quiet = _Quiet(kit.registry)
    if listener is not None:
        quiet.add_listener(listener, "gan-check")

    def open_folder() -> RunFolder:
        return RunFolder(path) if path.exists() else _folder(path, settings)

    def fingerprint_of(source: DataSource) -> Fingerprint:
        if not isinstance(settings.data, _Opened):
            return fingerprint(source)
        # The kit keeps what it has opened, so that no other source has this id.
        return kit.once("fingerprint", id(source), make=lambda: fingerprint(source))

    evaluations_of = partial(LiveEvaluations, kit.registry)
    return Session(settings, quiet, open_folder, silent, SheetMaker, evaluations_of, fingerprint_of=fingerprint_of)


def _train(kit: Kit, subject: str, noise: int, stop: int | None = None) -> Trained:
    """Train a subject, from whatever global random numbers; `stop` ends it there and resumes it."""
    scene, changes = setting(kit, subject)
    settings, path = kit.settings(scene, **changes, batch_size=FEW), kit.folder("run") / "run"
    data = settings.data
    opened = replace(settings, data=_Opened(data.name, data.found, data.options, kit.source(settings)))
    seed_all(noise)
    with _alone(), tried_on(scene):
        # What is interrupted opens the data anew to begin with, once for all subjects that are tried on the same: were that to
        # make a difference, the two runs would differ.
        data_key = repr((data.found.qualified, data.dump()))
        anew = stop and kit.once("data opened anew", data_key, make=lambda: subject) == subject
        first = _session(kit, settings if anew else opened, path, _StopAt(stop) if stop else None)
        run = first.run()
        if stop:
            if run.step != stop:
                raise Mismatch(f"told to stop at step {stop}, it stopped at {run.step}: {run.reason}")
            seed_all(noise + 10)
            _session(kit, opened, path, None).run()
    labels = cycle_classes(first.spec, COUNT)
    spec, given = first.spec, None
    if spec.given_shape is not None:
        x, _ = kit.batch(kit.source(settings), COUNT)
        given = spec.harden(spec.relax(x))
    parts = None if given is None else parts_of(spec, given)
    samples = draw(first.state.ema.module, spec, COUNT, derive(0, "sample"), labels, parts)
    return Trained(RunFolder(path), samples, given)


def _folder(path: Path, settings: Settings) -> RunFolder:
    made = RunFolder.create(path, settings.run.plugin)
    made.write_config(settings.dump(), "Made by the kit")
    return made


def _whole(kit: Kit, subject: str) -> Trained:
    block(kit, subject)
    return kit.once("whole run", *same(kit, subject), make=lambda: _train(kit, subject, 1))


def _halves(kit: Kit, subject: str) -> Trained:
    block(kit, subject)
    return kit.once("run in halves", *same(kit, subject), make=lambda: _train(kit, subject, 2, stop=STEPS // 2))


@check(
    "run.trains", "gan_presets", "a few steps of training run to their end, and write samples and checkpoints", scenes
)
def run_trains(kit: Kit, subject: str) -> None:
    only_cheapest(kit, subject)
    run = _whole(kit, subject)
    steps = {p.name for p in run.folder.checkpoints.glob("step-*")}
    if f"step-{STEPS:08d}" not in steps:
        raise Mismatch(f"after {STEPS} steps the checkpoints are {', '.join(sorted(steps)) or 'none'}")


@check(
    "run.seeded", "gan_architectures", "two runs from the same seed have the same weights bit for bit", parts_and_scenes
)
def run_seeded(kit: Kit, subject: str) -> None:
    _compare(kit, subject, STEPS // 2, f"trained twice from one seed, after step {STEPS // 2}")


@check(
    "run.resumes",
    "gan_architectures",
    "a run that was stopped and resumed equals an uninterrupted one bit for bit",
    parts_and_scenes,
)
def run_resumes(kit: Kit, subject: str) -> None:
    kit.passed("run.seeded", subject)
    _compare(kit, subject, STEPS, f"stopped after step {STEPS // 2} and resumed")


def _compare(kit: Kit, subject: str, step: int, what: str) -> None:
    only_cheapest(kit, subject)
    if subject in kit.scenes():
        kit.passed("run.trains", subject)
    scene, changes = setting(kit, subject)
    data = kit.settings(scene, **changes).data.found
    if data.plugin == kit.name:
        kit.passed("data.counted", f"dataset {data.record.name}")
    whole, halves = _whole(kit, subject).tensors(step), _halves(kit, subject).tensors(step)
    different = [k for k in whole if k not in halves or not torch.equal(whole[k], halves[k])]
    if different:
        raise Mismatch(
            f"{what}, {len(different)} of {len(whole)} tensors differ, first {different[0]}: random numbers from elsewhere "
            "than torch and `draws`, or state outside of parameters and buffers"
        )


@check(
    "run.loads",
    "gan_architectures",
    "the generator loaded from the run makes, bit for bit, the samples that it made at the end of training",
    scenes,
)
def run_loads(kit: Kit, subject: str) -> None:
    kit.passed("run.trains", subject)
    kit.passed("networks.noise", kit.cheapest(kit.scenes()[subject]).name)
    run = _whole(kit, subject)
    # Without a choice by the discriminator, which the samples at the end of training are without, too.
    plain = {"candidates.count": 1}
    loaded = gancore.load(run.folder.path, registry=kit.registry, device="cpu", options=plain)
    if not torch.equal(loaded.sample(COUNT, given=run.given), run.samples):
        raise Mismatch(
            "samples of the loaded generator are others: state outside of parameters and persistent buffers is lost"
        )


# --- listeners ------------------------------------------------------------------------------------------------------


class _Recorder:
    """Keeps what a run tells."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    @hookimpl
    def gan_run_started(self, event: RunStarted) -> None:
        self.heard.append(("gan_run_started", event))

    @hookimpl
    def gan_tick(self, event: Tick) -> None:
        # A short run makes no other progress than from tick to tick.
        shared = {f.name: getattr(event, f.name) for f in fields(Progress) if hasattr(event, f.name)}
        self.heard += [("gan_tick", event), ("gan_should_stop", event), ("gan_progress", Progress(**shared))]

    @hookimpl
    def gan_checkpoint_saved(self, event: CheckpointSaved) -> None:
        self.heard.append(("gan_checkpoint_saved", event))

    @hookimpl
    def gan_run_finished(self, event: RunFinished) -> None:
        self.heard.append(("gan_run_finished", event))


def _story(kit: Kit) -> list[tuple[str, Any]]:
    """All events of a short run of points in the plane, in order; its folder is there as it was at the end."""
    scene = Scene("listened to", points.NAME, "demo", borrowed=True)
    settings, recorder = kit.settings(scene), _Recorder()
    with _alone():
        _session(kit, settings, kit.folder("events") / "run", recorder).run()
    alert = HealthAlert(kind="collapse", step=1, message="mode collapse.", advice="More data.")
    return [(h, replace(e, alerts=(alert,)) if isinstance(e, Tick) else e) for h, e in recorder.heard]


@check(
    "listener.hears",
    "gan_tick",
    "lifecycle hooks take the events of a run without raising, and gan_should_stop answers with text or None",
    lambda kit: [h for h in LIFECYCLE if kit.registry.implementations(h, kit.name)],
)
def listener_hears(kit: Kit, subject: str) -> None:
    # Each hook hears the whole run up to its own events, as later hooks may rely on what earlier ones did.
    for hook, event in kit.once("story", make=lambda: _story(kit)):
        for implementation in kit.registry.implementations(hook, kit.name):
            try:
                answer = implementation.function(*([event] if implementation.argnames else []))
            except (Exception, SystemExit) as error:
                if hook == subject:
                    raise Mismatch(f"it raised {describe(error)}") from error
                continue
            if hook == subject == "gan_should_stop" and not isinstance(answer, str | None):
                raise Mismatch(f"it answered {answer!r}; give a reason in words, or None")
