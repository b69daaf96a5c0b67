"""Checks of optimizers."""

from __future__ import annotations

import torch
from torch import Tensor, nn, optim

from gancore import optimizer_file
from gancore.components import Optimizer
from gancore.configuration.schedules import OPTIMIZER
from gancore.configuration.settings import Chosen
from gancore.engine.optimizers import build_optimizer, read_state, set_lr
from gancore.engine.schedules import option_setter
from gancore.testing.check import Mismatch, check
from gancore.testing.kit import Kit

SHAPES = ((3,), (5, 4), (2, 3, 3, 3))
"""Of a bias, of a matrix and of a convolution's weights."""
STEPS = 5
NOISE = 10.0


def _chosen(kit: Kit, subject: str) -> Chosen:
    name = f"{kit.name}:{subject.partition(' ')[2]}"
    return Chosen(name, kit.registry.find(Optimizer, name, kit.name), kit.model(subject)())


def _weights() -> list[nn.Parameter]:
    random = torch.Generator().manual_seed(1)
    return [nn.Parameter(torch.randn(shape, generator=random)) for shape in SHAPES]


def _descend(optimizer: optim.Optimizer, weights: list[nn.Parameter], steps: int, noise: float = 0.0) -> float:
    """Half the squared distance of all weights from 3, after some steps down it, with as much noise on the gradients."""
    random = torch.Generator().manual_seed(2)

    def distance(noise: float = 0.0) -> Tensor:
        away = [p - 3.0 - noise * torch.randn(p.shape, generator=random) for p in weights]
        return torch.stack([x.square().sum() for x in away]).sum() / 2

    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        distance(noise).backward()
        optimizer.step()
    return float(distance())


@check(
    "optimizer.contract",
    "gan_optimizers",
    "steps go down a quadratic, with the learning rate that stands in each group as `lr`; what has no gradient stays; options that a "
    "schedule can move are in the groups",
    lambda kit: kit.subjects(Optimizer),
)
def optimizer_contract(kit: Kit, subject: str) -> None:
    chosen, weights, unused = _chosen(kit, subject), _weights(), nn.Parameter(torch.ones(2))
    optimizer = build_optimizer(chosen, [*weights, unused])
    before = _descend(optimizer, weights, 0)
    after = _descend(optimizer, weights, STEPS)
    if not after < before:
        raise Mismatch(f"in {STEPS} steps down a quadratic it went from {before:g} to {after:g}: is a sign turned?")
    if not bool((unused == 1.0).all()):
        raise Mismatch("it moves a parameter whose gradient is None, as that of a network without a part in a step is")
    set_lr(optimizer, 0.0)
    if _descend(optimizer, weights, 1) != after:
        raise Mismatch(
            "it moves though every group's `lr` was set to 0: take the learning rate of each step from the groups"
        )
    for name in OPTIMIZER:
        if name in kit.model(subject).model_fields:
            option_setter(optimizer, name)(0.5)


@check(
    "optimizer.resumes",
    "gan_optimizers",
    "put back from a file, what it remembers of its parameters lets it go on as if it had not been interrupted, bit for bit",
    lambda kit: kit.subjects(Optimizer),
)
def optimizer_resumes(kit: Kit, subject: str) -> None:
    kit.passed("optimizer.contract", subject)
    chosen, weights = _chosen(kit, subject), _weights()
    optimizer = build_optimizer(chosen, weights)
    _descend(optimizer, weights, STEPS, NOISE)
    file = kit.folder("optimizer") / "saved.pt"
    optimizer_file.write(optimizer.state_dict(), file)
    others = [nn.Parameter(p.detach().clone()) for p in weights]
    other = build_optimizer(chosen, others)
    saved = optimizer_file.read(file)
    other.load_state_dict(read_state(chosen, other, saved, STEPS, "player", chosen.found.qualified))
    _descend(optimizer, weights, STEPS, NOISE)
    _descend(other, others, STEPS, NOISE)
    if not all(torch.equal(a, b) for a, b in zip(weights, others, strict=True)):
        raise Mismatch("it goes another way: keep all that a step depends on in `self.state` of the parameters")
