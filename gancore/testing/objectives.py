"""Checks of losses, penalties and metrics, each for itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gancore.components import Critic, Loss, Metric, Penalty
from gancore.errors import UsageError
from gancore.evaluation.records import Material, Measured, Samples, faults
from gancore.games.calling import call_generator, draw_latent, heads, mixes_batch, total
from gancore.losses.penalties import input_gradients
from gancore.powers import RegularisesGenerator, RegularisesLogits, SharesForward
from gancore.random import Draws
from gancore.testing.bench import seed_all
from gancore.testing.check import Mismatch, NotApplicable, check
from gancore.testing.elsewhere import elsewhere
from gancore.testing.kit import BATCH, Kit, Scene, latents, tried_on

POSITIONS = torch.arange(BATCH)
COMPARED = 16
"""Generated and real samples that a metric is given."""


def stage_of(kit: Kit, stage: Scene | None = None) -> Scene:
    """Where parts are tried; its own networks are sound."""
    stage = stage or kit.stage()
    if stage.name in kit.scenes():
        kit.passed("networks.shapes", stage.name)
    return stage


# --- losses ---------------------------------------------------------------------------------------------------------


def _loss(kit: Kit, subject: str) -> Any:
    kit.passed("loss.contract", subject)
    return kit.tried(subject)


def _logits(seed: int, scale: float = 1.0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return (torch.randn(BATCH, generator=random) * scale).requires_grad_()


def _sides(loss: Any, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    return {
        "discriminator": loss.discriminator(real, fake),
        "generator": loss.generator(fake, real.detach() if loss.needs_real else None),
    }


@check(
    "loss.contract",
    "gan_losses",
    "both sides turn logits [batch] into a scalar with a gradient; needs_real and couples_batch are True or False",
    lambda kit: kit.subjects(Loss),
)
def loss_contract(kit: Kit, subject: str) -> None:
    loss = kit.tried(subject)
    for name in ("needs_real", "couples_batch"):
        if not isinstance(getattr(loss, name, None), bool):
            raise Mismatch(f"{name} is {getattr(loss, name, 'missing')!r}")
    real, fake = _logits(1), _logits(2)
    for side, value in _sides(loss, real, fake).items():
        if not isinstance(value, Tensor) or value.dim() or not value.requires_grad:
            form = (
                f"{list(value.shape)}, gradient {value.requires_grad}"
                if isinstance(value, Tensor)
                else type(value).__name__
            )
            raise Mismatch(f"the {side}'s side gave {form}; average over the batch, and detach nothing")
    first, second = (list(_sides(loss, _logits(1), _logits(2)).values()) for _ in range(2))
    if any(not torch.equal(a, b) for a, b in zip(first, second, strict=True)):
        raise Mismatch(
            "called twice with the same logits it gives two values: what it keeps between calls is in no checkpoint"
        )


@check(
    "loss.finite",
    "gan_losses",
    "values and gradients are finite for logits of any size",
    lambda kit: kit.subjects(Loss),
)
def loss_finite(kit: Kit, subject: str) -> None:
    loss = _loss(kit, subject)
    for scale in (0.0, 1.0, 100.0, 1e4):
        real, fake = _logits(1, scale), _logits(2, scale)
        for side, value in _sides(loss, real, fake).items():
            grads = torch.autograd.grad(value, [real, fake], allow_unused=True)
            if not math.isfinite(float(value)) or any(
                g is not None and not bool(torch.isfinite(g).all()) for g in grads
            ):
                raise Mismatch(
                    f"at logits of size {scale:g} the {side}'s side or its gradient is not finite; use softplus or the like"
                )


@check(
    "loss.direction",
    "gan_losses",
    "lowering the loss, the discriminator raises real logits above fake ones and the generator raises fake ones",
    lambda kit: kit.subjects(Loss),
)
def loss_direction(kit: Kit, subject: str) -> None:
    loss = _loss(kit, subject)
    real, fake = _logits(1, 0.1), _logits(2, 0.1)
    value = _sides(loss, real, fake)
    up, down = torch.autograd.grad(value["discriminator"], [real, fake], allow_unused=True, materialize_grads=True)
    if float(down.sum() - up.sum()) <= 0:
        raise Mismatch(
            "one step down the discriminator's loss does not part real logits from fake ones: is a sign turned?"
        )
    (pull,) = torch.autograd.grad(value["generator"], fake, allow_unused=True, materialize_grads=True)
    if float(pull.sum()) >= 0:
        raise Mismatch("one step down the generator's loss does not raise fake logits: is a sign turned?")


@check(
    "loss.couples",
    "gan_losses",
    "without couples_batch the loss of a batch is the mean of its parts' losses, so that it may be computed part by part",
    lambda kit: kit.subjects(Loss),
)
def loss_couples(kit: Kit, subject: str) -> None:
    loss = _loss(kit, subject)
    if loss.couples_batch:
        raise NotApplicable("it says couples_batch, and is given whole batches")
    real, fake = _logits(1), _logits(2)
    whole = _sides(loss, real, fake)
    half = BATCH // 2
    parts = [_sides(loss, real[s], fake[s]) for s in (slice(0, half), slice(half, None))]
    for side, value in whole.items():
        mean = (parts[0][side] + parts[1][side]) / 2
        if abs(float(value - mean)) > 1e-5 * max(1.0, abs(float(value))):
            raise Mismatch(
                f"the {side}'s loss of a batch is {float(value):g}, the mean of its halves {float(mean):g}: set "
                "couples_batch = True, or average over samples"
            )


@check(
    "loss.device",
    "gan_losses",
    "both sides work where their logits are, on a graphics card too",
    lambda kit: kit.subjects(Loss),
)
def loss_device(kit: Kit, subject: str) -> None:
    loss = _loss(kit, subject)
    with elsewhere("the loss"):
        _sides(loss, torch.zeros(BATCH, device="meta"), torch.zeros(BATCH, device="meta"))


# --- penalties ------------------------------------------------------------------------------------------------------


@check(
    "penalty.contract",
    "gan_penalties",
    "the term is None or a finite scalar, the same for the same draws and in the forward pass of the loss, and the mean of what it is "
    "for parts of a batch",
    lambda kit: kit.subjects(Penalty),
)
def penalty_contract(kit: Kit, subject: str) -> None:
    stage, judge, real, fake, labels = _critic(kit)
    penalty = kit.tried(subject)
    missing = [n for n in ("penalty", "constrain") if not callable(getattr(penalty, n, None))]
    if missing:
        raise Mismatch(f"{type(penalty).__name__} has no method {', '.join(missing)}")

    def term(rows: slice, noise: int) -> Tensor | None:
        classes = None if labels is None else labels[rows]
        seed_all(noise)
        with tried_on(stage):
            return _term(kit, penalty, judge, real[rows], fake[rows], classes, POSITIONS[rows])

    remembers = isinstance(penalty, nn.Module)
    if remembers:  # tried as after a step
        term(slice(None), 1)
        penalty.constrain(judge)
    whole, same, other = term(slice(None), 1), term(slice(None), 1), term(slice(None), 2)
    if whole is None:
        before = [p.detach().clone() for p in judge.parameters()]
        penalty.constrain(judge)
        if all(torch.equal(a, b) for a, b in zip(before, judge.parameters(), strict=True)):
            raise NotApplicable(
                "it adds no term, and its constraint left the weights of an untrained network as they were"
            )
        return
    if not isinstance(whole, Tensor) or whole.dim() or not whole.requires_grad or not math.isfinite(float(whole)):
        raise Mismatch(f"the term is {whole!r}; give a finite scalar that has a gradient, averaged over the batch")
    if same is None or not torch.equal(whole, same):
        raise Mismatch(
            "called twice in the same way it gives two terms: what it keeps between calls is in no checkpoint"
        )
    if other is None or not torch.equal(whole, other):
        raise Mismatch("the same samples and draws give another term: draw from `draws`, not from torch")
    if mixes_batch(kit.ready(stage)[2].networks["generator"] if isinstance(penalty, RegularisesGenerator) else judge):
        return
    if isinstance(penalty, SharesForward):
        _look_at_shared(penalty, float(whole), lambda x: total(heads(judge(x, labels))), real, fake)
    parts = [term(slice(0, BATCH // 2), 1), term(slice(BATCH // 2, None), 1)]
    mean = sum(float(p) for p in parts if p is not None) / 2
    if abs(float(whole) - mean) > 1e-3 * max(abs(mean), 1e-6):
        raise Mismatch(
            f"the term of a batch is {float(whole):g}, the mean of its halves {mean:g}; average over samples"
        )


def _term(
    kit: Kit, penalty: Any, judge: nn.Module, real: Tensor, fake: Tensor, classes: Tensor | None, positions: Tensor
) -> Tensor | None:
    """What a penalty makes of samples of the stage, or of what else it looks at."""

    def critic(x: Tensor) -> Tensor:
        return total(heads(judge(x, classes)))

    draws = Draws(5, positions)
    if isinstance(penalty, RegularisesLogits):
        return penalty.of_logits(critic(real), critic(fake))
    if isinstance(penalty, RegularisesGenerator):
        _, spec, game = kit.ready(stage_of(kit))
        generator, given = game.networks["generator"].to(real.device), spec.given_part(real)
        z = draw_latent(generator, draws)
        return penalty.of_generator(lambda latents: call_generator(generator, latents, classes, given), z, draws)
    term: Tensor | None = penalty.penalty(critic, real, fake, draws)
    return term


def _look_at_shared(penalty: SharesForward, whole: float, critic: Critic, real: Tensor, fake: Tensor) -> None:
    x = real if penalty.side == "real" else fake
    points = penalty.beside(x, Draws(5, POSITIONS))
    if points is None:
        changes = input_gradients(critic, x)
    elif points.shape != x.shape:
        raise Mismatch(f"its beside gave {list(points.shape)} for samples {list(x.shape)}")
    else:
        changes = (critic(points) - critic(x))[:, None]
    shared = float(penalty.term(changes))
    if abs(shared - whole) > 1e-3 * max(abs(whole), 1e-6):
        raise Mismatch(
            f"penalty() gives {whole:g}, and term() of the same samples {shared:g}; the engine may use either, so they must agree"
        )


def _critic(kit: Kit) -> tuple[Scene, nn.Module, Tensor, Tensor, Tensor | None]:
    """The stage, its discriminator in evaluation (dropout is not the penalty's), and relaxed samples with classes."""
    stage = stage_of(kit)
    settings, spec, game = kit.ready(stage)
    x, labels = kit.batch(kit.source(settings))
    judge, generator = game.networks.get("discriminator"), game.networks["generator"]
    if judge is None:
        raise NotApplicable("the game that it would be tried in has no discriminator")
    with torch.no_grad():
        fake = call_generator(generator, latents(generator), labels, spec.given_part(spec.relax(x)))
    return stage, judge.eval(), spec.relax(x), fake, labels


@check(
    "penalty.device",
    "gan_penalties",
    "the term works where its samples are, on a graphics card too",
    lambda kit: kit.subjects(Penalty),
)
def penalty_device(kit: Kit, subject: str) -> None:
    kit.passed("penalty.contract", subject)
    stage, judge, real, fake, labels = _critic(kit)
    judge.to("meta")
    classes = None if labels is None else labels.to("meta")
    penalty = kit.tried(subject)
    if isinstance(penalty, nn.Module):
        penalty.to("meta")
    with tried_on(stage), elsewhere("the penalty"):
        _term(kit, penalty, judge, real.to("meta"), fake.to("meta"), classes, POSITIONS.to("meta"))


# --- metrics --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Called:
    """What became of one call of a metric."""

    answer: Any
    drew: bool
    """Whether torch's global random numbers were moved."""
    changed: bool
    """Whether the samples were."""


def _samples(kit: Kit, stage: Scene) -> tuple[Samples, Samples]:
    """Generated samples on the stage, and twice as many real ones."""
    settings, spec, game = kit.ready(stage)
    x, labels = kit.batch(kit.source(settings), 2 * COMPARED)
    real = Samples(x, labels).part(slice(None, None, 2))
    generator: nn.Module = game.networks["generator"].eval()
    with torch.no_grad():
        given = spec.given_part(spec.relax(real.x))
        fake = spec.harden(call_generator(generator, latents(generator, COMPARED), real.condition, given))
    return Samples(fake, real.condition), Samples(x, labels)


def _called(kit: Kit, subject: str, noise: int, held_out: bool = False) -> _Called:
    """A metric, called with samples that are the same each time and its alone; each call is made once."""

    def call() -> _Called:
        stage = stage_of(kit, kit.stage_for(subject))
        made, all_real = kit.once("samples for metrics", stage.name, make=lambda: _samples(kit, stage))
        generated, train = (Samples(s.x.clone(), s.condition) for s in (made, all_real))
        real = Samples(train.x[::2].clone(), train.part(slice(None, None, 2)).condition)
        before = [s.x.clone() for s in (generated, real, train)]
        with tried_on(stage):
            metric = kit.once("metric", subject, make=lambda: kit.built(subject, kit.ready(stage)[1]))
            seed_all(noise)
            state = torch.get_rng_state()
            answer = metric(Material(generated=generated, real=real, train=train, held_out=held_out))
        changed = any(not torch.equal(a, s.x) for a, s in zip(before, (generated, real, train), strict=True))
        return _Called(answer, not torch.equal(state, torch.get_rng_state()), changed)

    return kit.once("metric called", subject, noise, held_out, make=call)


@check(
    "metric.in-place",
    "gan_metrics",
    "the samples that it is given are afterwards as they were: other metrics get the same",
    lambda kit: kit.subjects(Metric),
)
def metric_in_place(kit: Kit, subject: str) -> None:
    try:
        called = _called(kit, subject, 1)
    except Exception as error:
        raise NotApplicable("it gives no figures, which metric.contract tells") from error
    if called.changed:
        raise Mismatch("it changes the samples in place; clone them")


@check(
    "metric.contract",
    "gan_metrics",
    "Material becomes named figures: finite numbers, overlaps in [0, 1], the same for the same samples",
    lambda kit: kit.subjects(Metric),
)
def metric_contract(kit: Kit, subject: str) -> None:
    answers = []
    for noise, held_out in ((1, False), (2, False), (1, True)):
        try:
            called = _called(kit, subject, noise, held_out)
        except UsageError as error:  # It wants what only a run has: its generator, its folder.
            raise NotApplicable(str(error)) from error
        if called.changed:
            kit.passed("metric.in-place", subject)
        if wrong := faults(called.answer):
            raise Mismatch("; ".join(wrong))
        if called.drew:
            raise Mismatch(
                "it moves torch's global random numbers; draw from a generator of its own, with its own seed"
            )
        answers.append(dict(called.answer.figures if isinstance(called.answer, Measured) else called.answer))
    if answers[0] != answers[1]:
        raise Mismatch(
            "called twice with the same samples it gives other figures: it draws without a seed, or keeps something between calls"
        )
