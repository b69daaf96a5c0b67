"""Terms of what is made beside the adversarial ones; and what games between domains have in common, such as a history of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from pydantic import Field
from torch import Tensor

from gancore.components import GameContext
from gancore.data.batch import Batch
from gancore.errors import UsageError
from gancore.games.breach import a_term
from gancore.games.calling import Heads, call_generator, draw_latent
from gancore.games.gan import DiscriminatorPhase, GanGame, GanOptions, GeneratorPhase
from gancore.games.gan_model import GanModel
from gancore.games.history import History
from gancore.losses.adversarial import at_least_float32
from gancore.random import Draws

Terms = Mapping[str, tuple[float, Tensor]]
"""Terms of an objective by name, scalars, each with its weight."""


def history_option(kept: int) -> int:
    """The field of options that says how long the history is, with `kept` as its default."""
    field: int = Field(
        kept,
        ge=0,
        le=100_000,
        description="Generated samples of each domain that are kept, of which the discriminator sees some in place of new ones; 0:"
        " none.",
    )
    return field


class TranslationOptions(GanOptions):
    """What games between domains have in common."""

    history: int = history_option(50)


class TermsModel(GanModel):
    """The model of the game `gan`, with the latest samples of the generator's phase in sight."""

    def __init__(self, options: GanOptions, context: GameContext) -> None:
        super().__init__(options, context)
        self.spec = context.spec
        self.fake: Tensor | None = None

    def towards_discriminator(self, fake: Tensor) -> Tensor:
        self.fake = fake
        return super().towards_discriminator(fake)

    def distance(self, one: Tensor, other: Tensor) -> Tensor:
        """How unlike samples are to others, on average: a scalar; see `SampleSpec.distance`."""
        return self.spec.distance(at_least_float32(one), at_least_float32(other)).mean()


class TranslationModel(TermsModel):
    """With the history, and further calls of the generator."""

    history: History | None = None

    def __init__(self, options: GanOptions, context: GameContext) -> None:
        super().__init__(options, context)
        self.steps = context.steps

    def translated(self, given: Tensor, domain: Tensor, draws: Draws) -> Tensor:
        """Relaxed samples `[batch, ...]` of `given`, of domains `[batch]`, from latents of their own."""
        z = draw_latent(self.generator, draws)
        with self.autocast(given.device):
            return call_generator(self.generator, z, domain, given).to(given.dtype)


class HistoryDiscriminator(DiscriminatorPhase):
    """Tell real samples from generated ones, some of which are of earlier steps."""

    model: TranslationModel

    def prepare(self, parts: Sequence[Batch], draws: Sequence[Draws]) -> None:
        assert self.model.history is not None
        self.model.history.begin()
        super().prepare(parts, draws)

    def logits(self, batch: Batch, draws: Draws) -> tuple[Heads, Heads]:
        fake = self.model.fake_for_discriminator(batch, draws, self.generator_phase)
        assert self.model.history is not None
        return self.model.both_logits(batch, self.model.history.shown(fake, batch, draws), draws)

    def after_step(self) -> None:
        super().after_step()
        assert self.model.history is not None
        self.model.history.keep()


class TermsPhase(GeneratorPhase):
    """Be taken for real, and whatever else `terms` says."""

    model: TermsModel
    _terms: Terms

    def terms(self, batch: Batch, fake: Tensor, draws: Draws) -> Terms:
        """Terms beside the adversarial one, of samples `fake` `[batch, ...]` that were made for `batch`."""
        raise NotImplementedError

    def logits(self, batch: Batch, draws: Draws) -> tuple[Heads, Heads]:
        found = super().logits(batch, draws)
        fake, self.model.fake = self.model.fake, None
        assert fake is not None
        if torch.is_grad_enabled():  # not in a first pass over parts of a batch, which is for logits alone
            found_terms = self.terms(batch, fake, draws)
            self._terms = {
                name: (weight, a_term(term, "game", self, "terms", name))
                for name, (weight, term) in found_terms.items()
            }
        return found

    def backward(self, batch: Batch, real: Heads, fake: Heads, more: Tensor | None = None) -> Tensor:
        whole = [weight * term for weight, term in self._terms.values()]
        whole += [] if more is None else [more]
        return super().backward(batch, real, fake, sum(whole[1:], whole[0]) if whole else None)

    def run(self, batch: Batch, draws: Draws) -> Mapping[str, Tensor]:
        """Adversarial loss and `pull` as in the game `gan`, and each term without its weight."""
        found = super().run(batch, draws)
        return {**found, **{f"generator/{name}": term.detach() for name, (_, term) in self._terms.items()}}


class TranslationGame(GanGame):
    """The standard game between domains: a generator is given samples of one and makes samples of another, with `terms` of its own.

    Raises:
        UsageError: the data have no domains.
    """

    model_class: type[GanModel] = TranslationModel

    def __init__(self, options: TranslationOptions, context: GameContext) -> None:
        super().__init__(options, context)
        if not context.spec.domains:
            raise UsageError(
                "this game translates samples of one domain to another, and these data have none; take data of two or more classes, "
                "which are then domains, or another game"
            )
        self.history: History | None = None
        if options.history:
            self.history = History(len(context.spec.domains), options.history, context.spec.shape)
            self.networks["history"] = self.history
            self.discriminator_phase_class = HistoryDiscriminator

    def build_model(self) -> GanModel:
        model = super().build_model()
        assert isinstance(model, TranslationModel)
        model.history = self.history
        return model
