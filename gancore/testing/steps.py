"""Checks of what training does in one step: gradients where they belong, for every loss, penalty and game, on one process or two."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gancore import distributed
from gancore.components import Architecture, Augmentation, Game, GameRule, Loss, Penalty
from gancore.data.batch import Batch
from gancore.data.loader import Loader
from gancore.engine.loop import seed_layers, update
from gancore.engine.optimizers import build_optimizer
from gancore.games.player import Phase, Player
from gancore.plugins import BUILTIN
from gancore.random import Draws, derive
from gancore.settings import Settings
from gancore.testing.check import Mismatch, NotApplicable, check
from gancore.testing.kit import BATCH, Kit, Scene, tried_on

ENGINE_PENALTIES = ("r1", "r2", "gradient-penalty", "dragan")
"""Those of the engine that differentiate twice; an architecture must bear them all."""


def _players(settings: Settings, game: GameRule) -> tuple[dict[str, Player], list[Phase]]:
    optimizers = settings.run.optimizers
    players = {
        n: Player(n, m.train(), build_optimizer(optimizers[n], m.parameters()))
        for n, m in game.networks.items()
        if n in optimizers
    }
    for player in players.values():
        player.set_rivals(players)
    return players, list(game.phases(players))


def _batch(kit: Kit, settings: Settings, step: int = 0) -> Batch:
    """This process's part of the relaxed batch of a step."""
    loader = Loader(
        kit.source(settings),
        batch_size=BATCH,
        seed=settings.run.seed,
        rank=distributed.rank(),
        world=distributed.world_size(),
    )
    batch = loader.batch(step)
    return replace(batch, x=kit.source(settings).spec.relax(batch.x))


def _one_step(kit: Kit, settings: Settings, game: GameRule) -> None:
    """Run every phase once, in a step in which it is due, and look at all gradients after each."""
    players, phases = _players(settings, game)
    idle = [n for n in players if not any(p.player is players[n] for p in phases)]
    if idle:
        raise Mismatch(f"no phase moves the player {', '.join(idle)}")
    everybody = [(n, k, p) for n, m in game.networks.items() for k, p in m.named_parameters()]
    moved: dict[str, set[int]] = {n: set() for n in players}
    for phase in phases:
        owner = phase.player.name
        for _, _, p in everybody:
            p.grad = None
        batch = _batch(kit, settings, phase.start)
        draws = Draws(derive(settings.run.seed, "phases"), batch.positions)
        seed_layers(settings.run.seed, phase.start, phase.name)
        norm, scalars = update(phase.player, [phase], [batch], [draws])
        _scalars(phase, [values for values, _ in scalars])
        strays = {
            n: k for n, k, p in everybody if p.grad is not None and id(p) not in set(map(id, phase.player.parameters))
        }
        if strays:
            told = ", ".join(f"{k} of the {n}" for n, k in strays.items())
            raise Mismatch(f"phase {phase.name} of the {owner} leaves a gradient at {told}")
        if not bool(torch.isfinite(norm)):
            bad = [k for n, k, p in everybody if p.grad is not None and not bool(torch.isfinite(p.grad).all())]
            raise Mismatch(f"phase {phase.name} gives gradients that are not finite, first at {bad[0]}")
        moved[owner] |= {id(p) for p in phase.player.parameters if p.grad is not None}
        if not any(p.grad is not None for p in phase.player.parameters) and scalars and scalars[0][0]:
            raise Mismatch(
                f"phase {phase.name} gives the {owner} no gradient: something on the way is detached, rounded or under no_grad"
            )
        phase.after_step()
    for name, player in players.items():
        without = [k for k, p in player.module.named_parameters() if p.requires_grad and id(p) not in moved[name]]
        if without:
            raise Mismatch(
                f"no phase gives a gradient to {', '.join(without[:3])}{' ...' if len(without) > 3 else ''} of the {name}; "
                "use it in forward, or do not make it a parameter"
            )
    _alive(kit, settings, players, phases)


def _alive(kit: Kit, settings: Settings, players: Mapping[str, Player], phases: Sequence[Phase]) -> None:
    """Every player gets a gradient that is not zero throughout, by the second step at the latest."""
    for step in range(2):
        for player in players.values():
            due = [p for p in phases if p.player is player]
            batch = _batch(kit, settings, step)
            draws = Draws(derive(settings.run.seed, "phases"), batch.positions)
            norm, _ = update(player, due, [batch], [draws])
            player.optimizer.step()
            if step and not float(norm):
                raise Mismatch(
                    f"the gradients of the {player.name} are all zero: something on the way is rounded or constant"
                )


def _scalars(phase: Phase, parts: Sequence[Mapping[str, Any]]) -> None:
    for scalars in parts:
        for name, value in scalars.items():
            if not isinstance(value, Tensor) or value.dim() or value.requires_grad:
                raise Mismatch(f"phase {phase.name} reports {name} as {value!r}; give detached scalars")
            if not bool(torch.isfinite(value)):
                raise Mismatch(f"phase {phase.name} reports {name}={float(value)}, which is not finite")
    if "/" not in phase.name:
        raise Mismatch(f"a phase is called '{phase.name}'; call it player/what, such as {phase.player.name}/main")


def sound(kit: Kit, scene: Scene) -> None:
    """Block a check where the scene as it stands cannot do a step: one fault is told once."""
    kit.need("step.scene", lambda: kit.once("step", repr(scene), make=lambda: _try(kit, scene)))


def _try(kit: Kit, scene: Scene, **changes: Any) -> None:
    if changes:
        sound(kit, scene)
    settings, _, game = kit.ready(scene, **changes)
    with tried_on(scene):
        _one_step(kit, settings, game)


def _qualified(kit: Kit, subject: str) -> str:
    return f"{kit.name}:{subject.partition(' ')[2]}"


# --- one step of everything -----------------------------------------------------------------------------------------


@check(
    "step.scene",
    "gan_architectures",
    "in one step every trainable parameter of the acting player gets a finite gradient, and no other player's does",
    lambda kit: list(kit.scenes()),
)
def step_scene(kit: Kit, subject: str) -> None:
    _try(kit, kit.scenes()[subject])


def _combinations(kit: Kit) -> list[str]:
    """Every loss and penalty of the engine, with every architecture of the plugin, in the first scene that has it."""
    firsts: dict[str, str] = {}
    for scene in kit.scenes().values():
        firsts.setdefault(str(kit.declared(scene, "architecture").get("name", "")), scene.name)
    parts = [f"loss {n}" for n in kit.registry.load(BUILTIN).of_kind(Loss)] + [f"penalty {n}" for n in ENGINE_PENALTIES]
    return [f"{scene}, {part}" for scene in firsts.values() for part in parts] if kit.records(Architecture) else []


@check(
    "step.engine",
    "gan_architectures",
    "the architecture trains with every loss and every gradient penalty of the engine, differentiated twice",
    _combinations,
)
def step_engine(kit: Kit, subject: str) -> None:
    scene, _, part = subject.rpartition(", ")
    kind, _, name = part.partition(" ")
    engine = f"{BUILTIN}:{name}"
    if kind == "loss":
        _try(kit, kit.scenes()[scene], loss={"name": engine}, penalties="none")
    else:
        _try(
            kit,
            kit.scenes()[scene],
            loss={"name": f"{BUILTIN}:non-saturating"},
            penalties={"*": "none", engine: {"every": 1}},
        )


@check(
    "step.loss",
    "gan_losses",
    "a step with the loss runs and gives every trainable parameter of the acting player a finite gradient",
    lambda kit: kit.subjects(Loss),
)
def step_loss(kit: Kit, subject: str) -> None:
    _try(kit, kit.stage(), loss={"name": _qualified(kit, subject)})


@check(
    "step.penalty",
    "gan_penalties",
    "a step with the penalty runs, double backward included, and gives the discriminator finite gradients",
    lambda kit: kit.subjects(Penalty),
)
def step_penalty(kit: Kit, subject: str) -> None:
    _try(kit, kit.stage(), penalties={"*": "none", _qualified(kit, subject): {"every": 1}})


@check(
    "step.augmentation",
    "gan_augmentations",
    "a step with the augmentation runs, under a gradient penalty too",
    lambda kit: kit.subjects(Augmentation),
)
def step_augmentation(kit: Kit, subject: str) -> None:
    _try(
        kit,
        kit.stage(),
        augmentations={"*": "none", _qualified(kit, subject): {}},
        penalties={"*": "none", "r1": {"every": 1}},
    )


@check(
    "step.game",
    "gan_games",
    "every player has a network and a phase; each phase gives its own player, and nobody else, finite gradients",
    lambda kit: kit.subjects(Game),
)
def step_game(kit: Kit, subject: str) -> None:
    record, scene = kit.record(subject), kit.stage()
    changes = {"game": {"name": _qualified(kit, subject)}}
    settings = kit.need("preset.complete", lambda: kit.settings(scene, **changes))
    kit.need("data.opens", lambda: kit.source(settings))
    with tried_on(scene):
        game = kit.game(settings)
    extra = [n for n, m in game.networks.items() if n not in record.players and any(True for _ in m.parameters())]
    if extra:
        raise Mismatch(f"it brings networks for {', '.join(extra)} and declares players {', '.join(record.players)}")
    _try(kit, scene, **changes)


# --- two processes --------------------------------------------------------------------------------------------------


@check(
    "step.processes",
    "gan_architectures",
    "two processes that share a batch come to the gradients of one that has all of it",
    lambda kit: [*kit.scenes(), *kit.subjects(Loss), *kit.subjects(Penalty), *kit.subjects(Game)],
)
def step_processes(kit: Kit, subject: str) -> None:
    scene, changes = _setting(kit, subject)
    kit.ready(scene, **changes)  # or this is blocked
    alone = kit.need("step.scene", lambda: gradients(kit, subject))
    if not same(alone, kit.need("step.scene", lambda: gradients(kit, subject, seed=2)), 1e-6):
        raise NotApplicable("random numbers are drawn on the way (dropout), and each process has its own")
    shared = kit.once("processes", make=lambda: _two_processes(kit))
    if subject not in shared:
        raise Mismatch("the processes did not come to an end; their last words: " + shared[""])
    if isinstance(shared[subject], str):
        raise Mismatch(f"one of two processes failed: {shared[subject]}")
    for player, grads in alone.items():
        scale = max((float(g.abs().max()) for g in grads.values()), default=0.0)
        for name, grad in grads.items():
            error = float((grad - shared[subject][player][name]).abs().max()) / max(scale, 1e-12)
            if error > 1e-3:
                raise Mismatch(
                    f"the gradient of {name} of the {player} differs by {error:.2g} of the largest; normalise with "
                    "gancore.nets.norm.BatchNorm, average losses over samples, or set couples_batch"
                )


def _setting(kit: Kit, subject: str) -> tuple[Scene, dict[str, Any]]:
    scenes = kit.scenes()
    if subject in scenes:
        return scenes[subject], {}
    kind = subject.partition(" ")[0]
    name = _qualified(kit, subject)
    return kit.stage(), {"penalties": {"*": "none", name: {"every": 1}}} if kind == "penalty" else {
        kind: {"name": name}
    }


Gradients = dict[str, dict[str, Tensor]]


def gradients(kit: Kit, subject: str, seed: int = 1) -> Gradients:
    """Gradients of every player after the phases of the first step, of this process's part of it, averaged over processes."""
    scene, changes = _setting(kit, subject)
    settings = kit.settings(scene, **changes)
    game = kit.game(settings)
    _, phases = _players(settings, game)
    batch = _batch(kit, settings)
    draws = Draws(derive(settings.run.seed, "phases"), batch.positions)
    result: Gradients = {}
    for player in {id(p.player): p.player for p in phases}.values():
        torch.manual_seed(seed)
        update(player, [p for p in phases if p.player is player and p.due(0)], [batch], [draws])
        named = player.module.named_parameters()
        result[player.name] = {k: (torch.zeros_like(p) if p.grad is None else p.grad.clone()) for k, p in named}
    return result


def same(a: Gradients, b: Gradients, tolerance: float) -> bool:
    """Whether two sets of gradients agree to a share of the largest."""
    for player, grads in a.items():
        scale = max((float(g.abs().max()) for g in grads.values()), default=0.0)
        if any(float((g - b[player][k]).abs().max()) > tolerance * max(scale, 1e-12) for k, g in grads.items()):
            return False
    return True


def _two_processes(kit: Kit) -> dict[str, Any]:
    """What two processes come to, for every subject: gradients, or the words of an error. "" has what they printed."""
    folder = kit.folder("processes")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = os.environ | {
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    arguments = [kit.name, str(folder / "gradients.pt"), kit.host, "" if kit.data is None else str(kit.data.absolute())]
    command = [sys.executable, "-m", "gancore.testing.rank", *arguments]
    ranks = [
        subprocess.Popen(
            command, env=common | {"RANK": str(r)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for r in range(2)
    ]
    words = []
    for process in ranks:
        try:
            words.append(process.communicate(timeout=300)[0])
        except subprocess.TimeoutExpired:
            for other in ranks:
                other.kill()
            words.append(process.communicate()[0])
    told = {"": " ".join(" ".join(words).split())[-300:] or "nothing"}
    if not (folder / "gradients.pt").exists():
        return told
    return told | torch.load(folder / "gradients.pt", weights_only=True)
