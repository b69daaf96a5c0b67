"""The game of pairs (pix2pix, Isola et al. 2017): be taken for real beside what is given, and be near what goes with it in the data."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor

from gancore.components import GameContext
from gancore.data.batch import Batch
from gancore.errors import UsageError
from gancore.games.calling import Heads
from gancore.games.gan import GanGame, GanOptions, GeneratorPhase
from gancore.games.gan_model import GanModel
from gancore.random import Draws


class Options(GanOptions):
    """Options of the game `pix2pix`."""

    distance: float = Field(
        100.0,
        ge=0.0,
        le=1e6,
        description="Weight of the mean absolute difference from the real sample, in relaxed values of what is made (the paper's"
        " lambda); 0: the game `gan`.",
    )


class PairModel(GanModel):
    """The model of the game `gan`, with the generator's latest samples in sight."""

    def __init__(self, options: GanOptions, context: GameContext) -> None:
        super().__init__(options, context)
        assert isinstance(options, Options)
        self.distance = options.distance
        given = context.spec.given_shape
        kept = torch.Size(given).numel() if given is not None and context.spec.given_kept else 0
        whole = torch.Size(context.spec.shape).numel()
        self.made = (whole - kept) / whole
        """Share of a sample's numbers that are made; the others are as they were given."""
        self.fake: Tensor | None = None

    def towards_discriminator(self, fake: Tensor) -> Tensor:
        self.fake = fake
        return super().towards_discriminator(fake)


class PairGenerator(GeneratorPhase):
    """Be taken for real, and be near the real sample that what is given is of."""

    model: PairModel
    _distance: Tensor

    def logits(self, batch: Batch, draws: Draws) -> tuple[Heads, Heads]:
        found = super().logits(batch, draws)
        assert self.model.fake is not None
        self._distance = (self.model.fake - batch.x).abs().mean() / self.model.made
        self.model.fake = None
        return found

    def backward(self, batch: Batch, real: Heads, fake: Heads, more: Tensor | None = None) -> Tensor:
        own = self.model.distance * self._distance
        return super().backward(batch, real, fake, own if more is None else own + more)

    def run(self, batch: Batch, draws: Draws) -> Mapping[str, Tensor]:
        """Adversarial loss and `pull` as in the game `gan`, and the distance without its weight."""
        return {**super().run(batch, draws), "generator/distance": self._distance.detach()}


class Pix2Pix(GanGame):
    """The standard game with a distance of each generated sample from the real one that it was made around.

    The discriminator sees whole samples, with what is given: the two must go together.

    Raises:
        UsageError: nothing is given of the data.
    """

    model_class = PairModel
    generator_phase_class = PairGenerator

    def __init__(self, options: Options, context: GameContext) -> None:
        super().__init__(options, context)
        if context.spec.given_shape is None:
            raise UsageError(
                "game 'pix2pix' trains a generator that is given a part of each sample, and nothing is given of these data; take pairs "
                "(data.name=pairs for pictures), or game=gan"
            )
