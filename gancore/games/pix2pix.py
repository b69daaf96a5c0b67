"""The game of pairs (pix2pix, Isola et al. 2017): be taken for real beside what is given, and be near what goes with it in the data."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from gancore.components import GameContext
from gancore.data.batch import Batch
from gancore.errors import UsageError
from gancore.games.gan import GanGame, GanOptions
from gancore.games.translating import Terms, TermsModel, TermsPhase
from gancore.random import Draws


class Options(GanOptions):
    """Options of the game `pix2pix`."""

    distance: float = Field(
        100.0,
        ge=0.0,
        le=1e6,
        description="Weight of the distance from the real sample, for pictures the mean absolute difference of what is made (the"
        " paper's lambda); 0: the game `gan`.",
    )


class PairModel(TermsModel):
    """With the weight of the distance, and how much of a sample is made at all."""

    def __init__(self, options: GanOptions, context: GameContext) -> None:
        super().__init__(options, context)
        assert isinstance(options, Options)
        self.weight = options.distance
        given = context.spec.given_shape
        kept = torch.Size(given).numel() if given is not None and context.spec.given_kept else 0
        whole = torch.Size(context.spec.shape).numel()
        self.made = (whole - kept) / whole
        """Share of a sample's numbers that are made; the others are as they were given."""


class PairGenerator(TermsPhase):
    """Be taken for real, and be near the real sample that what is given is of."""

    model: PairModel

    def terms(self, batch: Batch, fake: Tensor, draws: Draws) -> Terms:
        return {"distance": (self.model.weight, self.model.distance(fake, batch.x) / self.model.made)}


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
