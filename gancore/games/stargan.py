"""Translation between many domains, in many manners (StarGAN v2, Choi et al. 2020): styles of latents, and of samples to follow."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from gancore.components import GameContext
from gancore.data.batch import Batch
from gancore.errors import UsageError
from gancore.games.calling import draw_latent
from gancore.games.gan import GanOptions
from gancore.games.translating import (
    Terms,
    TermsPhase,
    TranslationGame,
    TranslationModel,
    TranslationOptions,
    history_option,
)
from gancore.losses.adversarial import at_least_float32
from gancore.powers import MapsLatent, ReadsStyle
from gancore.random import Draws


class Options(TranslationOptions):
    """Options of the game `stargan`."""

    history: int = history_option(0)
    cycle: float = Field(
        1.0,
        ge=0.0,
        le=1e6,
        description="Weight of the distance between a sample and what it has become there and back, in its own style.",
    )
    style: float = Field(
        1.0,
        ge=0.0,
        le=1e6,
        description="Weight of the distance between a style and the one that is read from what was made in it.",
    )
    diversity: float = Field(
        1.0,
        ge=0.0,
        le=1e6,
        description="Weight of the distance between translations in two styles, which is to be large.",
    )
    diversity_until: float = Field(
        1.0,
        gt=0.0,
        le=1.0,
        description="Share of the run in which that weight falls to 0, along a line.",
    )
    references: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        description="Share of translations in the style of a real sample of the domain; the others are of random ones.",
    )


class StarModel(TranslationModel):
    """With styles: the generator makes samples of them, and reads them from samples."""

    def __init__(self, options: GanOptions, context: GameContext) -> None:
        super().__init__(options, context)
        assert isinstance(options, Options)
        self.options = options

    def drawn(self, batch: Batch, draws: Draws) -> Tensor:
        """Styles `[batch, layers, size]` for the domains of `batch`, of latents."""
        with self.autocast(batch.x.device):
            codes: Tensor = self.generator.map(draw_latent(self.generator, draws), batch.condition)  # type: ignore[operator]
        return codes

    def styles(self, batch: Batch, draws: Draws) -> Tensor:
        """The same, some of them of the real samples there instead."""
        codes = self.drawn(batch, draws)
        if not self.options.references:
            return codes
        with torch.no_grad():  # as in the paper, where reading is learnt from terms of its own
            read = self.read(batch.x, batch.condition)
        chosen = draws.uniform("references") < self.options.references
        return torch.where(chosen.view(-1, *[1] * (codes.dim() - 1)), read.to(codes.dtype), codes)

    def made(self, given: Tensor, codes: Tensor, domain: Tensor | None) -> Tensor:
        """Relaxed samples `[batch, ...]` of `given`, in the style of codes `[batch, layers, size]`."""
        with self.autocast(given.device):
            made: Tensor = self.generator.synthesise(codes, domain, given)  # type: ignore[operator]
        return made.to(given.dtype)

    def read(self, x: Tensor, domain: Tensor | None) -> Tensor:
        """The styles of relaxed samples."""
        with self.autocast(x.device):
            read: Tensor = self.generator.read(x, domain)  # type: ignore[operator]
        return at_least_float32(read)

    def generate(self, batch: Batch, draws: Draws) -> Tensor:
        assert batch.given is not None
        return self.fitting(self.made(batch.given, self.styles(batch, draws), batch.condition), batch)


class StarGenerator(TermsPhase):
    """Be taken for real in a style that can be read again, in another way than in other styles, and lead back to what was given."""

    model: StarModel

    def terms(self, batch: Batch, fake: Tensor, draws: Draws) -> Terms:
        model, options, found = self.model, self.model.options, {}
        assert batch.given is not None
        if options.style:
            wanted = model.styles(batch, draws if model.shared else draws.within("generator"))  # those of `fake`
            found["style"] = options.style, (model.read(fake, batch.condition) - at_least_float32(wanted)).abs().mean()
        weight = options.diversity * max(0.0, 1.0 - batch.step / (options.diversity_until * model.steps))
        if weight:
            other = model.drawn(batch, draws.within("other"))
            found["diversity"] = -weight, model.distance(fake, model.made(batch.given, other, batch.condition))
        if options.cycle:
            own = model.read(batch.given, batch.source)
            found["cycle"] = options.cycle, model.distance(model.made(fake, own, batch.source), batch.given)
        return found


class StarGan(TranslationGame):
    """Every direction between domains, in styles that are drawn or followed.

    Raises:
        UsageError: the data have no domains, or the generator reads no styles (the power `ReadsStyle`).
    """

    model_class = StarModel
    generator_phase_class = StarGenerator

    def __init__(self, options: Options, context: GameContext) -> None:
        super().__init__(options, context)
        generator = context.networks.get("generator")
        if generator is not None and not (isinstance(generator, ReadsStyle) and isinstance(generator, MapsLatent)):
            raise UsageError(
                f"game 'stargan' reads the style of samples, and a {type(generator).__name__} has no method read(x, condition) beside "
                "map and synthesise; take another architecture (for pictures architecture.style), or game=cycle"
            )
