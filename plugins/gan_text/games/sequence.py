"""The game of texts: maximum likelihood first, then the Gumbel-softmax against a discriminator.

The best generator that maximum likelihood gave, by its likelihood of held-out texts, is where the game proper begins, and is
kept beside the one that goes on: only what is better than it at some temperature owes that to the discriminator.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gan_text.games.noising import Noising
from gan_text.games.powers import Calibrates, JudgesEmbeddings, Writes
from gan_text.games.progress import Progress
from gan_text.nets.reading import TextDiscriminator
from gan_text.nets.sampling import Sampling
from gan_text.spec import TextSpec
from gancore.components import GameContext, OtherGenerator
from gancore.data.batch import Batch
from gancore.errors import UsageError
from gancore.games.calling import heads
from gancore.games.gan import DiscriminatorPhase, GanGame, GanOptions, GeneratorPhase
from gancore.games.gan_model import GanModel
from gancore.games.penalty_phase import PenaltyPhase
from gancore.games.player import Phase, Player
from gancore.nets.gumbel import TemperatureSchedule
from gancore.options import Options as Base
from gancore.powers import SamplesItself
from gancore.random import Draws

TEMPERATURES = (0.7, 0.8, 0.9, 1.0)
"""Sampling temperatures at which `gan evaluate` shows the generator that maximum likelihood gave."""


class MleOptions(Base):
    """Options of the phase `generator/mle`: teacher-forced maximum likelihood."""

    steps: int = Field(
        1000, ge=0, le=1_000_000_000, description="Steps before the discriminator comes in, at most; 0: none at all."
    )
    lr: float = Field(2e-3, gt=0.0, le=10.0, description="Learning rate in these steps, at first.")
    final: float = Field(
        0.1, ge=0.0, le=1.0, description="Share of it that is left after `steps`, at the end of half a cosine."
    )
    every: int = Field(
        100, ge=1, le=1_000_000, description="Look at the likelihood of the held-out texts after so many steps."
    )
    patience: int = Field(
        3, ge=0, le=10_000, description="Stop after so many looks without a new best; 0: go on to `steps` all the same."
    )
    restarts: int = Field(
        0,
        ge=0,
        le=100,
        description="How many times, instead of stopping, to go back to the best and on from there with a fresh optimizer.",
    )
    restart_lr: float = Field(0.5, gt=0.0, le=1.0, description="Share of the learning rate that each restart leaves.")
    average: float = Field(
        0.998,
        ge=0.0,
        lt=1.0,
        description="What is looked at, and kept, is a moving average of the weights, of which so much stays in each step; 0:"
        " the weights themselves.",
    )
    calibrate: bool = Field(
        False,
        description="At the end, divide the logits by the number that makes the held-out texts likeliest (temperature scaling, Guo"
        " et al. 2017), so that temperatures mean the same however far a generator has learnt its texts by heart.",
    )
    noising: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="Strength of Kneser-Ney noising (Xie et al. 2017): with a probability of this times the number of different"
        " tokens that follow a token, by how often it occurs, it is read as another, and another is to be foreseen after it.",
    )
    held_out: int = Field(
        1000, ge=1, le=1_000_000, description="How many of the held-out texts are looked at, at most."
    )
    beside: float = Field(
        0.0,
        ge=0.0,
        le=1000.0,
        description="Weight of the same objective beside the adversarial one; 0: it plays no part there.",
    )


class Options(GanOptions):
    """Options of the game `sequence`."""

    mle: MleOptions = Field(default_factory=lambda: MleOptions(), description="Maximum likelihood, first and beside.")
    warmup: int = Field(
        0,
        ge=0,
        le=1_000_000_000,
        description="Steps in which the discriminator alone is trained, after maximum likelihood.",
    )
    temperature: TemperatureSchedule = Field(
        default_factory=lambda: TemperatureSchedule(schedule="constant"),
        description="Of the Gumbel-softmax, over the steps after maximum likelihood.",
    )
    estimator: Literal["straight-through", "soft"] = Field(
        "straight-through",
        description="Whether the discriminator sees drawn tokens, with gradients of the soft ones, or the soft ones themselves.",
    )
    noise: float = Field(
        1.0,
        ge=0.0,
        le=10.0,
        description="Factor of the Gumbel noise: as a temperature of this size, so below 1 samples vary less.",
    )
    noise_per_nat: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="Added to it for each nat of entropy that the next token has; with `noise` and this as the temperature of"
        " `sampling` and its `temperature_per_nat`, the discriminator sees texts as they will be drawn.",
    )
    penalties_on: Literal["embeddings", "samples"] = Field(
        "embeddings",
        description="What penalties differentiate by: the discriminator's embeddings of the tokens, or points on the simplex.",
    )


class SequenceModel(GanModel):
    """The model of the game `gan`, with samples drawn by the Gumbel-softmax."""

    def __init__(self, options: GanOptions, context: GameContext, progress: Progress) -> None:
        super().__init__(options, context)
        assert isinstance(options, Options)
        self.options = options
        self.steps = context.steps
        self.progress = progress

    def temperature(self, step: int) -> float:
        """Of the Gumbel-softmax in `step`."""
        begun = max(self.progress.ended, 0)
        return self.options.temperature.at(step - begun, max(self.steps - begun, 1))

    def generate(self, batch: Batch, draws: Draws) -> Tensor:
        """Relaxed samples `[batch, length, vocabulary]`."""
        z = self.generator.draw_latent(draws)  # type: ignore[operator]
        with self.autocast(batch.hard.device):
            fake: Tensor = self.generator.gumbel(  # type: ignore[operator]
                z,
                batch.condition,
                temperature=self.temperature(batch.step),
                hard=self.options.estimator == "straight-through",
                noise=self.options.noise,
                noise_per_nat=self.options.noise_per_nat,
            )
        return self.fitting(fake, batch)


class MlePhase(Phase):
    """Make the real texts more likely: their mean negative log-likelihood in nats, divided by the places of a text."""

    def __init__(
        self,
        player: Player,
        model: SequenceModel,
        options: MleOptions,
        *,
        beside: Phase | None = None,
        noising: Noising | None = None,
    ) -> None:
        super().__init__("generator/mle", player)
        self.model = model
        self.progress = model.progress
        self.options = options
        self.noising = noising
        self.beside = beside
        self._step = 0

    def due(self, step: int) -> bool:
        """Before the discriminator comes in; or together with the phase that it is beside."""
        return not self.progress.over(step) if self.beside is None else self.beside.due(step)

    def learning_rate(self, planned: float, step: int) -> float:
        """Its own where it comes first; what is planned, beside the adversarial phase."""
        if self.beside is not None:
            return planned
        done = min(step / max(self.options.steps, 1), 1.0)
        fall = self.options.final + (1.0 - self.options.final) * 0.5 * (1.0 + math.cos(math.pi * done))
        return self.options.lr * fall * self.options.restart_lr**self.progress.restarts

    def run(self, batch: Batch, draws: Draws) -> Mapping[str, Tensor]:
        """`generator/nll` is in nats a text, of noised ones where there is noising."""
        self._step = batch.step
        noised = {}
        if self.noising is not None:
            noised = dict(zip(("read", "goal"), self.noising(batch.hard, draws.within(self.name)), strict=True))
        with self.model.autocast(batch.hard.device):
            nll: Tensor = self.player.module.nll(batch.hard, batch.condition, **noised).sum(1).mean()  # type: ignore[operator]
        weight = batch.weight * (1.0 if self.beside is None else self.options.beside) / batch.hard.shape[1]
        (nll * weight).backward()
        return {"generator/nll": nll.detach(), **(self.progress.scalars() if self.beside is None else {})}

    def after_step(self) -> None:
        if self.beside is not None:
            return
        self.replaced = self.progress.look(self.player, self._step + 1)
        if self.progress.ended > 0 and isinstance(self.model.discriminator, TextDiscriminator):
            self.model.discriminator.begin_with(self.player.module.token_weight())  # type: ignore[operator]


class SequenceDiscriminator(DiscriminatorPhase):
    """Tell real from drawn texts, once maximum likelihood is over."""

    model: SequenceModel

    def due(self, step: int) -> bool:
        return self.model.progress.over(step) and super().due(step)

    def run(self, batch: Batch, draws: Draws) -> Mapping[str, Tensor]:
        """As in the game `gan`, with what the logits were divided by to be calibrated."""
        return {**super().run(batch, draws), "generator/calibration": self.model.progress.softened.clone()}


class SequencePenalty(PenaltyPhase):
    """A regulariser of the discriminator as a function of embedded tokens, or of points on the simplex.

    Embeddings `[batch, length, dim]` bear the mask, which places belong to a text, as one more column, for a regulariser makes
    points of its own out of those that it is given.
    """

    model: SequenceModel

    def due(self, step: int) -> bool:
        return self.model.progress.over(step) and super().due(step)

    def term(self, real: Tensor, fake: Tensor, condition: Tensor | None, draws: Draws) -> Tensor | None:
        """That of real and of fake texts `[batch, length, vocabulary]`."""
        if self.model.options.penalties_on == "samples":
            return super().term(real, fake, condition, draws)
        model, discriminator = self.model, self.model.discriminator

        def embedded(x: Tensor) -> Tensor:
            x = model.augment(x, draws.within("penalty"))
            with torch.no_grad():
                return torch.cat([discriminator.embed(x), discriminator.mask(x)[..., None]], dim=2)  # type: ignore[operator]

        def critic(e: Tensor) -> Tensor:
            mask = (e[..., -1].detach() > 0.5).float()  # whatever the regulariser has added to it
            logits = heads(discriminator.logits(e[..., :-1], condition, mask))  # type: ignore[operator]
            return torch.stack(logits).sum(0)

        return self.regulariser.penalty(critic, embedded(real), embedded(fake), draws.within(self.name))


class SequenceGenerator(GeneratorPhase):
    """Be taken for real, once the discriminator has had its warm-up."""

    model: SequenceModel

    def due(self, step: int) -> bool:
        return self.model.progress.over(step - self.model.options.warmup) and super().due(step)

    def run(self, batch: Batch, draws: Draws) -> Mapping[str, Tensor]:
        """As in the game `gan`, with the temperature of the Gumbel-softmax."""
        temperature = torch.tensor(self.model.temperature(batch.step))
        return {**super().run(batch, draws), "generator/temperature": temperature}


class SequenceGame(GanGame):
    """Maximum likelihood until held-out texts become less likely; then discriminator, penalties and generator on every batch.

    Needs a generator with `nll` and `gumbel`, which those of this plugin have.

    Raises:
        UsageError: the networks lack what this game asks of them.
    """

    discriminator_phase_class = SequenceDiscriminator
    penalty_phase_class = SequencePenalty
    generator_phase_class = SequenceGenerator

    def __init__(self, options: Options, context: GameContext) -> None:
        super().__init__(options, context)
        generator, discriminator = self.networks.get("generator"), self.networks.get("discriminator")
        if options.mle.steps and context.train is not None and context.held_out is None:
            for name, value, off in (
                ("calibrate", options.mle.calibrate, "false"),
                ("restarts", options.mle.restarts, "0"),
            ):
                if value:
                    raise UsageError(
                        f"game.mle.{name} goes by held-out texts, and none are held out; say held_out=0.05, or game.mle.{name}={off}"
                    )
        self.others: dict[str, OtherGenerator] = {}
        best, average = None, None
        if generator is not None:
            _check(generator, Writes, "generator")
            if options.mle.calibrate:
                _check(generator, Calibrates, "generator")
                if any(parametrize.is_parametrized(m) for m in generator.modules()):
                    raise UsageError(
                        "game.mle.calibrate scales the generator's last layer, which spectral normalisation would undo; say "
                        "game.mle.calibrate=false, or leave architecture.spectral_norm to the discriminator"
                    )
            if options.mle.noising and not {"read", "goal"} <= set(inspect.signature(generator.nll).parameters):  # type: ignore[arg-type]
                raise UsageError(
                    f"game.mle.noising needs a generator whose nll takes read and goal, and that of {type(generator).__name__} does "
                    "not; say game.mle.noising=0"
                )
            if options.mle.steps:
                best = copy.deepcopy(generator).requires_grad_(False)
                self.networks["mle"] = best
                if options.mle.average:
                    average = copy.deepcopy(best)
                    self.networks["average"] = average
                # The baseline is one temperature at all places, whatever the run samples with.
                chosen = isinstance(generator, SamplesItself) and isinstance(generator.sampling, Sampling)
                plain = {"temperature_per_nat": 0.0} if chosen else {}
                self.others = {
                    f"mle {t:g}": OtherGenerator(network="mle", sampling={"temperature": t, **plain})
                    for t in TEMPERATURES
                }
        if discriminator is not None and context.penalties and options.penalties_on == "embeddings":
            _check(discriminator, JudgesEmbeddings, "discriminator")
        self.progress = Progress(options.mle, best, average, context.held_out)
        self.networks["progress"] = self.progress

    def build_model(self) -> SequenceModel:
        return SequenceModel(self.options, self.context, self.progress)

    def phases(self, players: Mapping[str, Player]) -> Sequence[Phase]:
        """`generator/mle` alone; then `discriminator/main`, a phase for each penalty, `generator/main`, and `generator/mle`."""
        options = self.options
        assert isinstance(options, Options)
        self.progress.recall()
        *adversarial, generator = super().phases(players)
        assert isinstance(generator, SequenceGenerator)
        player, model = players["generator"], generator.model
        noising = None
        if options.mle.noising:
            if self.context.train is None or not isinstance(self.context.spec, TextSpec):
                raise UsageError(
                    "game.mle.noising counts the texts that are trained on, and there are none; say game.mle.noising=0"
                )
            noising = Noising(self.context.train, self.context.spec, options.mle.noising)
        first = [MlePhase(player, model, options.mle, noising=noising)] if options.mle.steps else []
        beside = [MlePhase(player, model, options.mle, beside=generator, noising=noising)] if options.mle.beside else []
        return [*first, *adversarial, generator, *beside]


def _check(network: nn.Module, power: type, name: str) -> None:
    if not isinstance(network, power):
        missing = [
            n for n, f in vars(power).items() if inspect.isfunction(f) and n[0] != "_" and not hasattr(network, n)
        ]
        raise UsageError(
            f"game 'sequence' needs a {name} with {' and '.join(missing)}, and {type(network).__name__} has none; take an "
            "architecture of the plugin text, or another game"
        )
