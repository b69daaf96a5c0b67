"""The standard game of two players (Goodfellow et al. 2014): any adversarial loss, any penalties, any augmentations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gancore import distributed
from gancore.components import AdversarialLoss, GameContext
from gancore.data.batch import Batch
from gancore.errors import BreachError, UsageError
from gancore.games.breach import a_term
from gancore.games.calling import Heads, of_samples
from gancore.games.gan_model import GanModel
from gancore.games.gradient_caching import GradientCache
from gancore.games.penalty_phase import PenaltyPhase, SharedForward
from gancore.games.player import Phase, Player
from gancore.games.separation import SIGN, auc, sign
from gancore.games.terms import GeneratorPenaltyPhase, GradientNorm, LogitPenaltyPhase
from gancore.nets.classifying import COUPLED, Classifier
from gancore.nets.slicing import Slices, wasserstein
from gancore.options import Options, PenaltyOptions
from gancore.powers import RegularisesGenerator, RegularisesLogits, SharesForward
from gancore.random import Draws


class GanOptions(Options):
    """Options of the game `gan`."""

    generator_every: int = Field(
        1, ge=1, le=1000, description="Update the generator only every this many steps (5 is usual for Wasserstein)."
    )
    reuse_fakes: bool = Field(
        True,
        description="Generate once per step for both players (faster); false: new latents for the generator's phase.",
    )
    san: bool = Field(
        False,
        description="Train the direction of the discriminator's last layer by the Wasserstein loss, the rest by the run's (SAN, Takida"
        " et al. 2024).",
    )
    classes: Literal["architecture", "ac", "tac", "adc", "mh", "2c", "d2d-ce"] = Field(
        "architecture",
        description="How the discriminator has to do with classes: it is told them, as the architecture does; or it tells them, as an"
        " auxiliary classifier (ac), one with a twin for generated samples (tac), one that tells real from fake as well (adc; mh, with"
        " margins and beside the projection), or by comparing samples with each other (2c, d2d-ce).",
    )
    classes_weight: float = Field(
        1.0,
        ge=0.0,
        le=1e6,
        description="Factor of the terms of classes in both objectives, where the discriminator tells them.",
    )
    top_k: float = Field(
        1.0,
        gt=0.0,
        le=1.0,
        description="Share of its samples that the generator learns from, those with the highest logits (Sinha et al. 2020). A"
        " schedule can lower it from 1, to 0.5 for instance.",
    )
    normalise_gradient: bool = Field(
        False,
        description="Divide the gradient that comes from the discriminator to generated samples by a moving average of its size (AFM,"
        " Lin et al. 2025).",
    )


def collected(of: Slices | Classifier | None) -> AbstractContextManager[list[Tensor]]:
    """What `of` collects in passes of the discriminator; nothing where there is none."""
    return nullcontext([]) if of is None else of.collected()


class LossPhase(Phase):
    """A phase that minimises one side of the loss, part by part; of a loss that couples the whole batch, by gradient caching."""

    def __init__(self, name: str, player: Player, model: GanModel, *, every: int = 1) -> None:
        super().__init__(name, player, every=every)
        self.model = model
        self._cache: GradientCache | None = None

    def logits(self, batch: Batch, draws: Draws) -> tuple[Heads, Heads]:
        """Logits of real and fake samples, with a graph where this phase's player needs one."""
        raise NotImplementedError

    def objective(self, real: Tensor, fake: Tensor) -> Tensor:
        """This side of the loss for one head."""
        raise NotImplementedError

    @property
    def couples_batch(self) -> bool:
        """Whether the loss of a batch is not the mean of its parts'."""
        return self.model.loss.couples_batch

    def _total(self, real: Heads, fake: Heads) -> Tensor:
        if self.couples_batch:
            real, fake = tuple(map(distributed.gather, real)), tuple(map(distributed.gather, fake))
        sides = (self.objective(r, f) for r, f in zip(real, fake, strict=True))
        first, *others = (a_term(side, "game", self, "objective") for side in sides)
        return sum(others, first)

    def prepare(self, parts: Sequence[Batch], draws: Sequence[Draws]) -> None:
        in_one = not self.couples_batch or len(parts) == 1
        self._cache = None if in_one else GradientCache(parts, draws, self.logits, self._total)

    def replayed_logits(self, batch: Batch, draws: Draws) -> tuple[Heads, Heads]:
        """`logits`, with the same dropout as in the pass that `prepare` made, if it made one."""
        if self._cache is not None:
            self._cache.restore_randomness(batch.x.device)
        return self.checked(*self.logits(batch, draws))

    def checked(self, real: Heads, fake: Heads) -> tuple[Heads, Heads]:
        """Both; raises `BreachError` where none has a graph."""
        if not any(head.requires_grad for head in (*real, *fake)):
            words = f"logits do not depend on the {self.player.name}'s weights; leave out what detaches them (detach, no_grad, argmax)"
            raise BreachError("architecture", self.player.module, words)
        return real, fake

    def backward(self, batch: Batch, real: Heads, fake: Heads, more: Tensor | None = None) -> Tensor:
        """Add this part's gradients, and those of `more`, a term of this part alone; the loss without it, for the record."""
        if self._cache is not None:
            self._cache.backward(real, fake, more, batch.weight)
            return self._cache.loss
        loss = self._total(real, fake)
        whole = loss if more is None else loss + more
        (whole if batch.weight == 1.0 else whole * batch.weight).backward()
        return loss.detach()


class DiscriminatorPhase(LossPhase):
    """Tell real from fake; with the penalties that share the forward pass in which that is done."""

    generator_phase: Phase | None = None
    penalties: Sequence[LogitPenaltyPhase] = ()
    """Those of the logits that this phase has."""
    sharing: Sequence[PenaltyPhase] = ()
    """Those of the gradients of these logits that are due in this step."""

    def prepare(self, parts: Sequence[Batch], draws: Sequence[Draws]) -> None:
        self.sharing = ()
        super().prepare(parts, draws)

    def logits(self, batch: Batch, draws: Draws) -> tuple[Heads, Heads]:
        fake = self.model.fake_for_discriminator(batch, draws, self.generator_phase)
        return self.model.both_logits(batch, fake, draws)

    def objective(self, real: Tensor, fake: Tensor) -> Tensor:
        loss = self.model.loss
        # Whatever a loss does with logits, those of places are each one more.
        return a_term(loss.discriminator(real.flatten(), fake.flatten()), "loss", loss, "discriminator")

    def run(self, batch: Batch, draws: Draws) -> Mapping[str, Tensor]:
        shared, together = None, self.model.joint
        if self.sharing and self._cache is None:
            made = self.model.fake_for_discriminator(batch, draws, self.generator_phase)
            shared = SharedForward(self.model, batch, made, draws, self.sharing)
            together = shared.in_one
        with collected(self.model.slices) as directions, collected(self.model.classifier) as features:
            real, fake = self.replayed_logits(batch, draws) if shared is None else self.checked(*shared.logits())
        found = {p.name: p.term(real, fake) for p in self.penalties if p.due(batch.step)}
        for penalty, term in {} if shared is None else shared.terms().items():
            found[penalty.name] = term * penalty.factor, term.detach()
        terms = [term for term, _ in found.values()]
        if directions:
            terms.append(wasserstein(directions, len(batch), together))
        if self.model.classifier is not None and batch.condition is not None:
            told = self.model.classifier.discriminator(features, batch.condition, together)
            terms.append(self.model.classes_weight * told)
        loss = self.backward(batch, real, fake, sum(terms[1:], terms[0]) if terms else None)
        r, f = (of_samples(side[0].detach()) for side in (real, fake))
        return {
            "discriminator/loss": loss,
            "discriminator/real": r.mean(),
            "discriminator/fake": f.mean(),
            "discriminator/auc": auc(r, f),
            SIGN: sign(real, fake, self.model.threshold),
            **{name: value for name, (_, value) in found.items()},
        }


class GeneratorPhase(LossPhase):
    """Be taken for real; with as large a share `top_k` of the samples as come nearest to it, which the engine may move."""

    top_k = 1.0

    @property
    def couples_batch(self) -> bool:
        return super().couples_batch or self.top_k < 1.0

    def logits(self, batch: Batch, draws: Draws) -> tuple[Heads, Heads]:
        fake = self.model.towards_discriminator(self.model.fake_for_generator(batch, draws))
        fake_logits = self.model.augmented_logits(fake, batch.condition, draws, "generator")
        if not self.model.loss.needs_real:
            return tuple(torch.zeros_like(h) for h in fake_logits), fake_logits
        with torch.no_grad():
            real_logits = self.model.augmented_logits(batch.x, batch.condition, draws, "real")
        return real_logits, fake_logits

    def objective(self, real: Tensor, fake: Tensor) -> Tensor:
        loss = self.model.loss
        if self.top_k < 1.0:
            best = of_samples(fake.detach()).topk(max(1, round(self.top_k * len(fake)))).indices
            real, fake = real[best], fake[best]
        real, fake = real.flatten(), fake.flatten()
        return a_term(loss.generator(fake, real if loss.needs_real else None), "loss", loss, "generator")

    def run(self, batch: Batch, draws: Draws) -> Mapping[str, Tensor]:
        with collected(self.model.classifier) as features:
            real, fake = self.replayed_logits(batch, draws)
        for head in fake:
            head.retain_grad()
        told: Tensor | None = None
        if self.model.classifier is not None and batch.condition is not None:
            told = self.model.classes_weight * self.model.classifier.generator(features, batch.condition)
        loss = self.backward(batch, real, fake, told)
        pull = torch.stack([h.grad.abs().sum() for h in fake if h.grad is not None]).mean() / batch.weight
        # How hard the loss pulls at each logit: near zero when the loss has saturated.
        return {"generator/loss": loss, "generator/pull": pull}

    def after_step(self) -> None:
        super().after_step()
        if self.model.gradient_norm is not None:
            self.model.gradient_norm.after_step()


def _unchanged(thing: object, base: type, *names: str) -> bool:
    """Whether a class that derives from `base` has left these methods as they are."""
    return all(getattr(type(thing), name) is getattr(base, name) for name in names)


def _monotonic(loss: AdversarialLoss) -> bool:
    """Whether the discriminator's side nowhere rises with a real logit or falls as a fake one rises."""
    with torch.enable_grad():
        real = torch.linspace(-200.0, 200.0, 401, requires_grad=True)
        fake = torch.linspace(200.0, -200.0, 401, requires_grad=True)
        slopes = torch.autograd.grad(loss.discriminator(real, fake), (real, fake))
    return bool((slopes[0] <= 0.0).all() and (slopes[1] >= 0.0).all())


class GanGame:
    """Discriminator (with its penalties), then generator, on every batch.

    A game that differs in how networks are called, or in what a phase does, derives from this one and names its own classes
    below; `build_model` where its model takes more.
    """

    model_class: type[GanModel] = GanModel
    discriminator_phase_class: type[DiscriminatorPhase] = DiscriminatorPhase
    penalty_phase_class: type[PenaltyPhase] = PenaltyPhase
    generator_phase_class: type[GeneratorPhase] = GeneratorPhase
    judge = "discriminator"
    """The network that candidates of samples are chosen by."""

    def __init__(self, options: GanOptions, context: GameContext) -> None:
        self.options = options
        self.context = context
        # A network that is missing is the engine's to report, in words.
        self.networks = {n: context.networks[n] for n in ("discriminator", "generator") if n in context.networks}
        # What is remembered between steps is in checkpoints as a network without a player.
        for name, (regulariser, _) in context.penalties.items():
            if isinstance(regulariser, nn.Module):
                self.networks[f"penalty-{name.rpartition(':')[2]}"] = regulariser
        self.gradient_norm = GradientNorm() if options.normalise_gradient else None
        if self.gradient_norm is not None:
            self.networks["gradient-norm"] = self.gradient_norm
        # Here rather than with the phases, so that a head that cannot be sliced is told of before the run has a folder.
        self.slices: Slices | None = None
        if options.san and "discriminator" in self.networks:
            if not _monotonic(context.loss):
                raise UsageError(
                    "game.san=true wants a loss that falls as logits of real samples rise, however far, and rises with those of "
                    f"generated ones, and {type(context.loss).__name__} turns back; take another, such as hinge, or leave game.san out"
                )
            self.slices = Slices(self.networks["discriminator"])
        self.classifier: Classifier | None = None
        if options.classes != "architecture" and "discriminator" in self.networks:
            if options.classes in COUPLED and context.micro_batches > 1:
                raise UsageError(
                    f"game.classes={options.classes} compares the samples of a batch with each other, so it needs micro_batches=1"
                )
            self.classifier = Classifier(self.networks["discriminator"], options.classes, context.spec.class_count)

    def build_model(self) -> GanModel:
        """What the phases of this game share."""
        return self.model_class(self.options, self.context)

    def phases(self, players: Mapping[str, Player]) -> Sequence[Phase]:
        """`discriminator/main`, one phase per penalty, `generator/main`, and one per penalty of the generator.

        Penalties with the power `SharesForward` share the forward pass of `discriminator/main` in float32 (in bfloat16 differences
        of logits would be lost), unless samples of a batch affect each other, or a game that derives from this one does
        otherwise what the two have in common.
        """
        model = self.build_model()
        model.gradient_norm, model.classifier, model.slices = self.gradient_norm, self.classifier, self.slices
        discriminator, every = players["discriminator"], self.options.generator_every
        main = self.discriminator_phase_class("discriminator/main", discriminator, model)
        generator = self.generator_phase_class("generator/main", players["generator"], model, every=every)
        main.generator_phase = generator
        generator.top_k = self.options.top_k
        sharing = (
            model.joint
            and model.autocast_dtype is None
            and _unchanged(model, GanModel, "logits", "judged", "augmented_logits", "both_logits")
            and _unchanged(main, DiscriminatorPhase, "logits", "replayed_logits", "backward")
        )
        before: list[Phase] = []
        after: list[Phase] = []
        for full, (regulariser, options) in self.context.penalties.items():
            assert isinstance(options, PenaltyOptions)
            name = full.rpartition(":")[2]
            if isinstance(regulariser, RegularisesLogits):
                main.penalties = [*main.penalties, LogitPenaltyPhase(name, main, regulariser, options)]
                before.append(main.penalties[-1])
            elif isinstance(regulariser, RegularisesGenerator):
                after.append(GeneratorPenaltyPhase(name, generator, model, regulariser, options))
            else:
                phase = self.penalty_phase_class(name, discriminator, model, regulariser, options)
                own = _unchanged(phase, PenaltyPhase, "run", "critic", "term", "add")
                phase.main = main if sharing and own and isinstance(regulariser, SharesForward) else None
                before.append(phase)
        return [main, *before, generator, *after]
