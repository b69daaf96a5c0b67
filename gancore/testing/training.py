"""Checks of short trainings: the same seed, the same run; interrupted or not, the same bits; and listeners that hear of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import gancore
from gancore import checkpoint, hookimpl
from gancore.api import resume
from gancore.engine.events import CheckpointSaved, HealthAlert, RunFinished, RunStarted, Tick
from gancore.engine.session import Session
from gancore.engine.sheets import cycle_classes, generate
from gancore.random import derive
from gancore.run import RunFolder
from gancore.testing.check import Mismatch, NotApplicable, check
from gancore.testing.kit import STEPS, Kit, seed_all, silent, tried_on
from gancore.testing.steps import sound

LIFECYCLE = ("gan_run_started", "gan_tick", "gan_should_stop", "gan_checkpoint_saved", "gan_run_finished")


@dataclass(frozen=True, slots=True)
class Trained:
    """A run of the kit: its folder, and what its averaged generator made before it was saved."""

    folder: RunFolder
    samples: Tensor

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


def _train(kit: Kit, subject: str, noise: int, stop: int | None = None) -> Trained:
    """Train a scene, from whatever global random numbers; `stop` ends it there and resumes it."""
    scene = kit.scenes()[subject]
    settings, spec, _ = kit.ready(scene)
    sound(kit, scene)
    folder = kit.folder("run")

    def open_folder() -> RunFolder:
        made = RunFolder.create(folder / "run", settings.run.plugin)
        made.write_config(settings.dump(), "Made by the kit")
        return made

    seed_all(noise)
    listeners = [_StopAt(stop)] if stop else []
    with tried_on(scene), _alone(), _listening(kit, listeners):
        session = Session(settings, kit.registry, open_folder, silent)
        run = session.run()
    if stop:
        if run.step != stop:
            raise Mismatch(f"told to stop at step {stop}, it stopped at {run.step}")
        seed_all(noise + 10)
        with _alone():
            resume(run.folder, registry=kit.registry)
    count = 6
    labels = cycle_classes(spec, count)
    samples = spec.harden(generate(session.state.ema.module, spec, count, derive(0, "sample"), labels))
    return Trained(RunFolder(run.folder), samples)


@contextlib.contextmanager
def _listening(kit: Kit, listeners: list[Any]) -> Iterator[None]:
    for listener in listeners:
        kit.registry.add_listener(listener, "gan-check")
    try:
        yield
    finally:
        for _ in listeners:
            kit.registry.remove_listener("gan-check")


def _whole(kit: Kit, subject: str) -> Trained:
    return kit.once("whole run", subject, make=lambda: _train(kit, subject, 1))


def _halves(kit: Kit, subject: str) -> Trained:
    return kit.once("run in halves", subject, make=lambda: _train(kit, subject, 2, stop=STEPS // 2))


def _scenes(kit: Kit) -> list[str]:
    return list(kit.scenes())


@check(
    "run.trains", "gan_presets", "a few steps of training run to their end, and write samples and checkpoints", _scenes
)
def run_trains(kit: Kit, subject: str) -> None:
    run = _whole(kit, subject)
    steps = {p.name for p in run.folder.checkpoints.glob("step-*")}
    if f"step-{STEPS:08d}" not in steps:
        raise Mismatch(f"after {STEPS} steps the checkpoints are {', '.join(sorted(steps)) or 'none'}")


@check("run.seeded", "gan_architectures", "two runs from the same seed have the same weights bit for bit", _scenes)
def run_seeded(kit: Kit, subject: str) -> None:
    _compare_halves(kit, subject)


@check(
    "run.resumes",
    "gan_architectures",
    "a run that was stopped and resumed equals an uninterrupted one bit for bit",
    _scenes,
)
def run_resumes(kit: Kit, subject: str) -> None:
    _compare_halves(kit, subject, blocked=True)
    _compare(kit, subject, STEPS, "stopped after 2 steps and resumed")


def _compare_halves(kit: Kit, subject: str, blocked: bool = False) -> None:
    """The first half, which both runs trained without interruption."""
    compare = partial(_compare, kit, subject, STEPS // 2, "trained twice from one seed for 2 steps")
    kit.need("run.seeded", compare) if blocked else compare()


def _compare(kit: Kit, subject: str, step: int, what: str) -> None:
    whole = kit.need("run.trains", lambda: _whole(kit, subject)).tensors(step)
    halves = _halves(kit, subject).tensors(step)
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
    _scenes,
)
def run_loads(kit: Kit, subject: str) -> None:
    run = kit.need("run.trains", lambda: _whole(kit, subject))
    loaded = gancore.load(run.folder.path, registry=kit.registry, device="cpu")
    samples = loaded.sample(len(run.samples))
    if not torch.equal(samples, run.samples):
        raise Mismatch(
            "samples of the loaded generator are others: state outside of parameters and persistent buffers is lost"
        )


# --- listeners ------------------------------------------------------------------------------------------------------


def events(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """An event for each lifecycle hook, such as a run with `config` sends."""
    tick = Tick(
        folder=folder,
        step=1,
        steps=2,
        scalars={"discriminator/loss": 0.5, "generator/loss": 0.7},
        samples_per_second=10.0,
        seconds=1.0,
        alerts=(HealthAlert(kind="collapse", step=1, message="mode collapse.", advice="More data."),),
        troubles=("collapse",),
    )
    started = RunStarted(
        folder=folder, config=config, step=0, steps=2, parameters={"generator": 1}, data="8 samples", device="cpu"
    )
    saved = CheckpointSaved(folder=folder, step=2, path=folder / "checkpoints" / "step-00000002")
    ended = RunFinished(folder=folder, step=2, outcome="completed", reason="reached step 2")
    return dict(zip(LIFECYCLE, (started, tick, tick, saved, ended), strict=True))


@check(
    "listener.hears",
    "gan_tick",
    "lifecycle hooks take their events without raising, and gan_should_stop answers with text or None",
    lambda kit: [h for h in LIFECYCLE if hasattr(kit.plugin.module, h)],
)
def listener_hears(kit: Kit, subject: str) -> None:
    # The run's folder as it is when a run begins; hooks may rely on those that came before.
    folder = kit.once("events", make=lambda: kit.folder("events"))
    config = kit.need("preset.complete", lambda: kit.settings(kit.stage())).dump()
    for hook, event in events(folder, config).items():
        implementation = getattr(kit.plugin.module, hook, None)
        if implementation is None:
            continue
        answer = implementation(*([event] if implementation.__code__.co_argcount else []))
        if hook == subject == "gan_should_stop" and not isinstance(answer, str | None):
            raise Mismatch(f"it answered {answer!r}; give a reason in words, or None")
        if hook == subject:
            return
    raise NotApplicable("it is no hook of this plugin")
