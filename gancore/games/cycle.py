"""Translation there and back (CycleGAN, Zhu et al. 2017): what is translated to another domain and back is to be what it was."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from gancore.components import GameContext
from gancore.data.batch import Batch
from gancore.games.gan import GanOptions
from gancore.games.translating import Terms, TermsPhase, TranslationGame, TranslationModel, TranslationOptions
from gancore.random import Draws


class Options(TranslationOptions):
    """Options of the game `cycle`."""

    cycle: float = Field(
        10.0,
        ge=0.0,
        le=1e6,
        description="Weight of the distance between a sample and what it has become there and back (the paper's lambda).",
    )
    identity: float = Field(
        5.0,
        ge=0.0,
        le=1e6,
        description="Weight of the distance between a sample and its translation to its own domain, which should change nothing; 0"
        " saves a call of the generator.",
    )


class CycleModel(TranslationModel):
    """With the weights of both terms."""

    def __init__(self, options: GanOptions, context: GameContext) -> None:
        super().__init__(options, context)
        assert isinstance(options, Options)
        self.cycle, self.identity = options.cycle, options.identity


class CycleGenerator(TermsPhase):
    """Be taken for real, lead back to what was given, and leave alone what is of the domain already."""

    model: CycleModel

    def terms(self, batch: Batch, fake: Tensor, draws: Draws) -> Terms:
        model, found = self.model, {}
        assert batch.given is not None
        assert batch.source is not None
        assert batch.condition is not None
        if model.cycle:
            back = model.translated(fake, batch.source, draws.within("back"))
            found["cycle"] = model.cycle, model.distance(back, batch.given)
        if model.identity:
            same = model.translated(batch.x, batch.condition, draws.within("same"))
            found["identity"] = model.identity, model.distance(same, batch.x)
        return found


class Cycle(TranslationGame):
    """Every direction between domains at once, each with its way back."""

    model_class = CycleModel
    generator_phase_class = CycleGenerator
