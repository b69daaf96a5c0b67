"""Translation by contrast (CUT and FastCUT, Park et al. 2020): each place of the result is to hold what was there, and not elsewhere.

One generator and one discriminator, and no way back: half the work of a cycle.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gancore.components import GameContext
from gancore.data.batch import Batch
from gancore.errors import UsageError
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
from gancore.powers import EncodesGiven
from gancore.random import Draws

PROJECTIONS = "contrast"
"""The attribute of the generator that holds what the game compares by."""


class Options(TranslationOptions):
    """Options of the game `cut`; the defaults are those of FastCUT, but for its mirrored samples."""

    history: int = history_option(0)
    contrast: float = Field(
        10.0,
        ge=0.0,
        le=1e6,
        description="Weight of the contrast between places of a sample and of its translation: 10 in FastCUT, 1 in CUT.",
    )
    identity: float = Field(
        0.0,
        ge=0.0,
        le=1e6,
        description="Weight of the same contrast for translations of samples to their own domain: 0 in FastCUT, 1 in CUT.",
    )
    places: int = Field(256, ge=2, le=65_536, description="Places of each map that are compared, at most.")
    temperature: float = Field(
        0.07, gt=0.0, le=100.0, description="What similarities are divided by: the smaller, the sharper the contrast."
    )
    projection: int = Field(256, ge=2, le=8192, description="Length of the vectors that places are compared by.")


SHORTEST = 1e-3
"""Vectors of places that are shorter are not made as long as others: where an encoder sees nothing, gradients would have no bound."""


class Projections(nn.Module):
    """For each map of an encoder, two layers that make vectors of length 1 of what it has at a place."""

    def __init__(self, features: list[int], size: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(n, size), nn.ReLU(), nn.Linear(size, size)) for n in features
        )
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, number: int, x: Tensor) -> Tensor:
        """Vectors `[batch, places, size]` of what map `number` has at places, `[batch, places, features]`.

        Those of less than `SHORTEST` stay shorter than 1.
        """
        return F.normalize(at_least_float32(self.layers[number](x)), dim=2, eps=SHORTEST)


def contrast(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    """The contrast of places (PatchNCE): `query` and `key` are vectors `[batch, places, size]` of length 1; a scalar.

    With s = q_i . k_j / temperature within a sample: the mean of -log(exp s_ii / sum over j of exp s_ij). Keys have no gradient.
    """
    query, key = at_least_float32(query), at_least_float32(key.detach())
    similar = query @ key.transpose(1, 2) / temperature
    return -similar.log_softmax(dim=2).diagonal(dim1=1, dim2=2).mean()


class CutModel(TranslationModel):
    """With what places are compared by."""

    generator: nn.Module

    def __init__(self, options: GanOptions, context: GameContext) -> None:
        super().__init__(options, context)
        assert isinstance(options, Options)
        self.options = options

    def contrast(self, source: Tensor, made: Tensor, domain: Tensor, draws: Draws) -> Tensor:
        """The contrast between relaxed samples and what was made of them, of `domain` `[batch]`: the mean over maps, a scalar."""
        projections: Projections = getattr(self.generator, PROJECTIONS)
        encoder = self.generator
        assert isinstance(encoder, EncodesGiven)
        terms = []
        with self.autocast(source.device):
            with torch.no_grad():
                known = encoder.encode(source, domain)
            new = encoder.encode(made, domain)
            for number, (one, other) in enumerate(zip(known, new, strict=True)):
                count = one[0, 0].numel()
                # The places of a sample follow from its position in the run, so parts of a batch compare those that the whole would.
                chosen = draws.uniform(f"places-{number}", count).argsort(dim=1)[:, : self.options.places]
                places = [m.flatten(2).transpose(1, 2).take_along_dim(chosen[:, :, None], dim=1) for m in (other, one)]
                query, key = (projections(number, at) for at in places)
                terms.append(contrast(query, key, self.options.temperature))
        return torch.stack(terms).mean()


class CutGenerator(TermsPhase):
    """Be taken for real, and hold at each place what was there."""

    model: CutModel

    def terms(self, batch: Batch, fake: Tensor, draws: Draws) -> Terms:
        model, options, found = self.model, self.model.options, {}
        assert batch.given is not None
        assert batch.condition is not None
        draws = draws.within("contrast")
        if options.contrast:
            found["contrast"] = options.contrast, model.contrast(batch.given, fake, batch.condition, draws)
        if options.identity:
            same = model.translated(batch.x, batch.condition, draws.within("same"))
            term = model.contrast(batch.x, same, batch.condition, draws.within("identity"))
            found["identity"] = options.identity, term
        return found


class Cut(TranslationGame):
    """Every direction between domains at once, without a way back.

    Raises:
        UsageError: the data have no domains, or the generator shows no maps of what it is given (the power `EncodesGiven`).
    """

    model_class = CutModel
    generator_phase_class = CutGenerator

    def __init__(self, options: Options, context: GameContext) -> None:
        super().__init__(options, context)
        generator = context.networks.get("generator")
        if generator is None:
            return
        if not isinstance(generator, EncodesGiven):
            raise UsageError(
                f"game 'cut' compares what a generator sees in a sample and in its translation, and a {type(generator).__name__}"
                " has no method encode(given, condition); take another architecture, or game=cycle"
            )
        with torch.no_grad():
            weight = next(generator.parameters())
            maps = generator.encode(weight.new_zeros(1, *context.spec.shape), torch.zeros(1, dtype=torch.int64))
        generator.add_module(PROJECTIONS, Projections([m.shape[1] for m in maps], options.projection))
