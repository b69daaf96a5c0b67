"""Checks that a batch may be shared: cut into parts on one process, or divided between two."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn, optim
from torch.nn.modules.batchnorm import _BatchNorm

from gancore.engine.loop import update
from gancore.games.player import Player
from gancore.powers import MixesBatch
from gancore.testing.check import Mismatch, NotApplicable, check
from gancore.testing.kit import Kit, only_cheapest
from gancore.testing.steps import block, parts_and_scenes, parts_of, same, setting

FORKS = sys.platform == "linux"
"""Whether the second of two processes is forked from the first, which saves importing everything again; elsewhere, what torch
has loaded may not outlast a fork."""
TOLERANCE = 1e-3
"""Of the largest gradient: sums are rounded otherwise in another order."""


def _alone(kit: Kit, subject: str) -> Gradients:
    """Gradients of one process on the whole batch, where they can be compared with others."""
    only_cheapest(kit, subject)
    block(kit, subject)
    alone = gradients(kit, subject)
    if difference(alone, gradients(kit, subject, seed=2))[0] > 1e-6:
        raise NotApplicable("random numbers are drawn on the way (dropout), and each part has its own")
    return alone


def _networks(kit: Kit, subject: str) -> list[nn.Module]:
    scene, changes = setting(kit, subject)
    return list(kit.game(kit.settings(scene, **changes)).networks.values())


def _mixes(network: nn.Module) -> bool:
    return isinstance(network, MixesBatch) and network.mixes_batch


@check(
    "step.parts",
    "gan_games",
    "a batch cut into micro-batches gives the gradients of the whole: each phase multiplies its part by batch.weight",
    parts_and_scenes,
)
def step_parts(kit: Kit, subject: str) -> None:
    alone = _alone(kit, subject)
    networks = _networks(kit, subject)
    if any(map(_mixes, networks)):
        raise NotApplicable("the discriminator looks at a whole batch, as it says")
    if any(isinstance(m, _BatchNorm) for n in networks for m in n.modules()):
        raise NotApplicable("batch normalisation takes its statistics over each part")
    error, where = difference(alone, gradients(kit, subject, micro_batches=4))
    if error > TOLERANCE and not _rounding(kit, subject):
        raise Mismatch(
            f"in four parts the gradient of {where} differs by {error:.2g} of the largest; average over samples and multiply "
            "by batch.weight before backward(), or set couples_batch on the loss"
        )


def _rounding(kit: Kit, subject: str) -> bool:
    """Whether parts come to the gradients of the whole in double precision, as far as networks can be computed in it.

    In deep networks that normalise, differences of the last digit may grow to a hundredth of the gradient.
    """
    try:
        torch.set_default_dtype(torch.float64)
        whole, parts = (_gradients(kit, subject, 1, n, exact=True) for n in (1, 4))
        return difference(whole, parts)[0] < TOLERANCE
    except Exception:  # they cannot
        return False
    finally:
        torch.set_default_dtype(torch.float32)


@check(
    "step.processes",
    "gan_architectures",
    "two processes that share a batch come to the gradients of one that has all of it",
    parts_and_scenes,
)
def step_processes(kit: Kit, subject: str) -> None:
    if not kit.installed:
        raise NotApplicable("it is registered in this process and not installed as a package")
    alone = _alone_of_two(kit, subject)
    shared = kit.once("processes", make=lambda: _two_processes(kit))
    if subject not in shared:
        raise Mismatch("the processes did not come to an end; their last words: " + shared[""])
    if isinstance(shared[subject], str):
        raise Mismatch(f"one of two processes failed: {shared[subject]}")
    error, where = difference(alone, shared[subject])
    if error > TOLERANCE:
        raise Mismatch(
            f"the gradient of {where} differs by {error:.2g} of the largest; normalise with gancore.nets.norm.BatchNorm, "
            "average losses over samples, or set couples_batch"
        )


def _alone_of_two(kit: Kit, subject: str) -> Gradients:
    """Gradients of one process, where two that share its batch must come to them."""
    alone = _alone(kit, subject)
    if any(map(_mixes, _networks(kit, subject))):
        raise NotApplicable("the discriminator looks at a whole batch, as it says, which here is that of its process")
    return alone


class _Still:
    """In the place of an optimizer, where nothing is to move: importing torch's takes longer than all the gradients."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.param_groups: list[dict[str, Any]] = []

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.module.zero_grad(set_to_none)


def _still(module: nn.Module) -> optim.Optimizer:
    return cast("optim.Optimizer", _Still(module))


Gradients = dict[str, dict[str, Tensor]]


def gradients(kit: Kit, subject: str, seed: int = 1, micro_batches: int = 1) -> Gradients:
    """Gradients of every player after the phases of the first step, of this process's part of it, averaged over processes."""
    key = (*same(kit, subject), seed, micro_batches)
    return kit.once("gradients", *key, make=lambda: _gradients(kit, subject, seed, micro_batches))


def _gradients(kit: Kit, subject: str, seed: int, micro_batches: int, *, exact: bool = False) -> Gradients:
    scene, changes = setting(kit, subject)
    settings = kit.settings(scene, **changes, micro_batches=micro_batches)
    game = kit.game(settings)
    players = {n: Player(n, m.train(), _still(m)) for n, m in game.networks.items() if n in settings.optimizers}
    for player in players.values():
        player.set_rivals(players)
    phases = game.phases(players)
    parts, draws = parts_of(kit, settings)
    if exact:
        parts = [
            replace(p, hard=p.x.double(), relax=None, given=None if p.given is None else p.given.double())
            for p in parts
        ]
    result: Gradients = {}
    for player in {id(p.player): p.player for p in phases}.values():
        torch.manual_seed(seed)
        update(player, [p for p in phases if p.player is player and p.due(0)], parts, draws)
        named = player.module.named_parameters()
        result[player.name] = {k: (torch.zeros_like(p) if p.grad is None else p.grad.clone()) for k, p in named}
    return result


def difference(a: Gradients, b: Gradients) -> tuple[float, str]:
    """The largest difference, as a share of the largest gradient of its player, and where it is."""
    worst, where = 0.0, ""
    for player, grads in a.items():
        scale = max((float(g.abs().max()) for g in grads.values()), default=0.0)
        for name, grad in grads.items():
            error = float((grad - b[player][name]).abs().max()) / max(scale, 1e-12)
            if error > worst:
                worst, where = error, f"{name} of the {player}"
    return worst, where


def _two_processes(kit: Kit) -> dict[str, Any]:
    """What two processes come to, for subjects that can be compared: gradients, or words of an error. "" has what they printed."""
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
    subjects = []
    for subject in parts_and_scenes(kit):
        with contextlib.suppress(Exception, SystemExit):
            _alone_of_two(kit, subject)
            subjects.append(subject)
    data = "" if kit.data is None else str(kit.data.absolute())
    arguments = [kit.name, str(folder / "gradients.pt"), json.dumps(subjects), kit.host, data]
    command = [sys.executable, "-m", "gancore.testing.rank", *arguments]
    ranks = [
        subprocess.Popen(
            command,
            env=common | {"RANK": str(r)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=FORKS,
        )
        for r in range(1 if FORKS else 2)
    ]
    words = []
    try:
        for process in ranks:
            words.append(process.communicate(timeout=300)[0])
    except subprocess.TimeoutExpired:
        words.append("after 300 s they were still waiting for one another")
    finally:
        for process in ranks:
            if FORKS:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.kill()
    told = {"": " ".join(" ".join(words).split())[-300:] or "nothing"}
    if not (folder / "gradients.pt").exists():
        return told
    return told | torch.load(folder / "gradients.pt", weights_only=True)
