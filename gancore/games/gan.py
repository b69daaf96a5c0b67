"""The standard game of two players (Goodfellow et al. 2014): any adversarial loss, any penalties, any augmentations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gancore import distributed
from gancore.components import GameContext
from gancore.data.batch import Batch
from gancore.errors import BreachError, UsageError
from gancore.games.breach import a_term, of_fakes, of_logits
from gancore.games.gradient_caching import GradientCache
from gancore.games.penalty_phase import PenaltyPhase, SharedForward, draws_itself
from gancore.games.player import Phase, Player
from gancore.games.separation import SIGN, auc, sign
from gancore.games.terms import GeneratorPenaltyPhase, GradientNorm, LogitPenaltyPhase
from gancore.nets.classifying import COUPLED, Classifier
from gancore.nets.slicing import Slices, wasserstein
from gancore.options import Options, PenaltyOptions
from gancore.powers import (
    Deceives,
    DrawsLatent,
    HasThreshold,
    MixesBatch,
    RegularisesGenerator,
    RegularisesLogits,
    SharesForward,
)
from gancore.random import Draws

Heads = tuple[Tensor, ...]
"""Logits `[batch]` of each head of a discriminator."""


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
    classes: Literal["architecture", "ac", "tac", "adc", "2c", "d2d-ce"] = Field(
        "architecture",
        description="How the discriminator has to do with classes: it is told them, as the architecture does; or it tells them, as an"
        " auxiliary classifier (ac), one with a twin for generated samples (tac), one that tells real from fake as well (adc), or by"
        " comparing samples with each other (2c, d2d-ce).",
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


def draw_latent(generator: nn.Module, draws: Draws) -> Tensor:
    """Latents `[batch, *latent_shape]` for `generator`: its own distribution where it has one, else standard normal."""
    if isinstance(generator, DrawsLatent):
        return generator.draw_latent(draws)
    return draws.normal("z", *generator.latent_shape)  # type: ignore[misc]


def call_generator(generator: nn.Module, z: Tensor, condition: Tensor | None, given: Tensor | None) -> Tensor:
    """Relaxed samples `[batch, *shape]`: `generator(z, condition)`, and with `given` where a part of each sample is given.

    Every game that generates for itself does it so, with `batch.condition` and `batch.given`; then it works where a part is
    given, and with generators that know of none.
    """
    samples: Tensor = generator(z, condition) if given is None else generator(z, condition, given)
    return samples


def heads(output: Tensor | Sequence[Tensor]) -> Heads:
    """A discriminator's output as float32 logits per head, whatever precision it was computed in."""
    parts = (output,) if isinstance(output, Tensor) else tuple(output)
    return tuple(p.float() if p.dtype in (torch.bfloat16, torch.float16) else p for p in parts)


def mixes_batch(discriminator: nn.Module) -> bool:
    """Whether samples of a batch affect each other: it says so, or normalises over the batch."""
    says = isinstance(discriminator, MixesBatch) and bool(discriminator.mixes_batch)
    return says or any(isinstance(m, _BatchNorm) for m in discriminator.modules())


def collected(of: Slices | Classifier | None) -> AbstractContextManager[list[Tensor]]:
    """What `of` collects in passes of the discriminator; nothing where there is none."""
    return nullcontext([]) if of is None else of.collected()


class GanModel:
    """Both networks with their loss and augmentation, how they are called, and the fakes that the phases of a step share.

    A game derives its own to call them in another way: `generate` says how fakes are made, `logits` how the discriminator is called.
    """

    def __init__(self, options: GanOptions, context: GameContext) -> None:
        self.loss = context.loss
        self.threshold = context.loss.threshold if isinstance(context.loss, HasThreshold) else None
        self.augment = context.augment
        self.generator = context.networks["generator"]
        self.discriminator = context.networks["discriminator"]
        self.shape = context.spec.shape
        self.autocast_dtype = context.autocast
        self.shared = options.reuse_fakes
        self.keep_graph = options.reuse_fakes and context.micro_batches == 1
        # Real and fake go through the discriminator together, unless it would mix their statistics.
        self.joint = not mixes_batch(self.discriminator)
        self.slices = Slices(self.discriminator) if options.san else None
        self.gradient_norm: GradientNorm | None = None
        self.classifier: Classifier | None = None
        self.classes_weight = options.classes_weight
        self._draws_itself: bool | None = None
        self._batch: Batch | None = None
        self._fake: Tensor | None = None
        self._deceived: Batch | None = None
        self._deceiving: Tensor | None = None

    def autocast(self, device: torch.device) -> AbstractContextManager[None]:
        """The run's precision, for calls of networks on `device`."""
        return torch.autocast(device.type, self.autocast_dtype, enabled=self.autocast_dtype is not None)

    def generate(self, batch: Batch, draws: Draws) -> Tensor:
        """Relaxed fakes `[batch, ...]`, of the classes and the given parts of `batch`."""
        z = draw_latent(self.generator, draws)
        with self.autocast(batch.x.device):
            fake = call_generator(self.generator, z, batch.condition, batch.given)
        return self.fitting(fake, batch).to(batch.x.dtype)

    def latent(self, draws: Draws) -> Tensor:
        """Latents for the generator."""
        return draw_latent(self.generator, draws)

    def generated(self, z: Tensor, batch: Batch) -> Tensor:
        """Relaxed fakes of latents `z`, and of the classes and the given parts of `batch`."""
        return self.fitting(call_generator(self.generator, z, batch.condition, batch.given), batch)

    def fitting(self, fake: Tensor, batch: Batch) -> Tensor:
        """Relaxed fakes as the generator made them for `batch`; raises `BreachError` where they are of another shape than samples."""
        if fault := of_fakes(fake, len(batch), self.shape):
            raise BreachError("architecture", self.generator, fault)
        return fake

    def fake_for_discriminator(self, batch: Batch, draws: Draws, acting: Phase | None) -> Tensor:
        """Fakes `[batch, ...]` without a graph; the graph is kept aside where `acting`, the generator's phase, will want it.

        Penalties that follow on the same batch get the same fakes, or running statistics would move once more for each.
        """
        if self._batch is not batch or self._fake is None:
            if self.keep_graph and acting is not None and acting.due(batch.step):
                with acting.player.thawed():
                    self._fake = self.generate(batch, draws)
            else:
                with torch.no_grad():
                    self._fake = self.generate(batch, draws)
            self._batch = batch
        return self._fake.detach()

    def fake_for_generator(self, batch: Batch, draws: Draws) -> Tensor:
        """Fakes `[batch, ...]` with a graph: those of the discriminator's phase where the two share them, else others."""
        if self.keep_graph and self._batch is batch and self._fake is not None and self._fake.requires_grad:
            fake, self._fake = self._fake, None
            return fake
        return self.generate(batch, draws if self.shared else draws.within("generator"))

    def towards_discriminator(self, fake: Tensor) -> Tensor:
        """Generated samples on their way to the discriminator in the generator's phase: unchanged, but for their gradient."""
        return fake if self.gradient_norm is None else self.gradient_norm(fake)

    def logits(self, x: Tensor, condition: Tensor | None) -> Heads:
        """The discriminator's logits of relaxed samples, head by head."""
        with self.autocast(x.device):
            return self.judged(x, condition)

    def judged(self, x: Tensor, condition: Tensor | None) -> Heads:
        """Those in whatever precision is in force; raises `BreachError` where they are none, or not one for each sample."""
        output = self.discriminator(x, condition)
        if fault := of_logits(output, len(x), "samples"):
            raise BreachError("architecture", self.discriminator, fault)
        return heads(output)

    def augmented_logits(self, x: Tensor, condition: Tensor | None, draws: Draws, side: str) -> Heads:
        """Those of samples as they are augmented in this step, on the side `real`, `fake` or `generator`."""
        return self.logits(self.augment(x, draws.within(side)), condition)

    def shown_as_real(self, batch: Batch, draws: Draws) -> Tensor:
        """What the discriminator is told are real samples: those of the data, or fakes of their own that are made for it (APA)."""
        rows = self.augment.deceived(draws) if isinstance(self.augment, Deceives) else None
        if rows is None:
            return batch.x
        if self._deceived is not batch or self._deceiving is None:
            # Not the fakes of this step, or a relativistic loss would compare samples with themselves.
            with torch.no_grad():
                self._deceiving = self.generate(batch, draws.within("deceived"))
            self._deceived = batch
        return torch.where(rows.reshape(-1, *[1] * (batch.x.dim() - 1)), self._deceiving, batch.x)

    def both_logits(self, batch: Batch, fake: Tensor, draws: Draws) -> tuple[Heads, Heads]:
        """Those of real and of fake samples, augmented; in one call where no sample's logit depends on others."""
        shown = self.shown_as_real(batch, draws)
        if not self.joint:
            real = self.augmented_logits(shown, batch.condition, draws, "real")
            return real, self.augmented_logits(fake, batch.condition, draws, "fake")
        x = torch.cat([self.augment(shown, draws.within("real")), self.augment(fake, draws.within("fake"))])
        condition = None if batch.condition is None else torch.cat([batch.condition, batch.condition])
        both = self.logits(x, condition)
        n = len(fake)
        return tuple(h[:n] for h in both), tuple(h[n:] for h in both)

    def draws_itself(self, batch: Batch) -> bool:
        """Whether the discriminator draws random numbers in a pass; found out with some samples of the first `batch` asked about."""
        if self._draws_itself is None:
            condition = None if batch.condition is None else batch.condition[:2]
            self._draws_itself = draws_itself(self.discriminator, batch.x[:2], condition)
        return self._draws_itself


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
        return a_term(loss.discriminator(real, fake), "loss", loss, "discriminator")

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
        r, f = real[0].detach(), fake[0].detach()
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
            best = fake.detach().topk(max(1, round(self.top_k * len(fake)))).indices
            real, fake = real[best], fake[best]
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
        model.gradient_norm, model.classifier = self.gradient_norm, self.classifier
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
