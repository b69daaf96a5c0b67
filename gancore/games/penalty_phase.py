"""The phase of a penalty, and what it may take from the forward pass in which the discriminator tells real from fake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gancore.components import Critic, Regulariser
from gancore.data.batch import Batch
from gancore.errors import BreachError
from gancore.games.breach import a_term, form
from gancore.games.calling import total
from gancore.games.gradient_caching import layer_randomness
from gancore.games.player import Phase, Player
from gancore.games.terms import rows_of
from gancore.losses.adversarial import at_least_float32
from gancore.losses.penalties import gradients_of
from gancore.options import PenaltyOptions
from gancore.powers import SharesForward
from gancore.random import Draws

if TYPE_CHECKING:
    from gancore.games.calling import Heads
    from gancore.games.gan import DiscriminatorPhase
    from gancore.games.gan_model import GanModel


def draws_itself(network: nn.Module, x: Tensor, condition: Tensor | None) -> bool:
    """Whether a pass of the network draws random numbers (dropout), so that logits differ where samples do not; it leaves no trace."""
    before, buffers = layer_randomness(x.device), [b.clone() for b in network.buffers()]
    with torch.no_grad():
        network(x, condition)
        for buffer, old in zip(network.buffers(), buffers, strict=True):
            buffer.copy_(old)
    after = layer_randomness(x.device)
    layer_randomness(x.device, before)
    return not torch.equal(before, after)


class PenaltyPhase(Phase):
    """A regulariser of the discriminator, in float32 whatever the networks run in."""

    main: DiscriminatorPhase | None = None
    """The phase whose forward pass it shares, where it can."""
    shared: Batch | None = None
    """The batch on which that phase has computed it already."""

    def __init__(
        self, name: str, player: Player, model: GanModel, regulariser: Regulariser, options: PenaltyOptions
    ) -> None:
        super().__init__(f"{player.name}/{name}", player, every=options.every)
        self.model = model
        self.regulariser = regulariser
        self.weight = options.weight
        """Of the term; the engine may move it from step to step."""
        self.share = options.share
        # Samples are augmented as in the forward pass that it shares, so that it comes to the same where it does not.
        self.side = regulariser.side if isinstance(regulariser, SharesForward) else "penalty"

    @property
    def factor(self) -> float:
        """What the term is multiplied by in a step in which it is computed."""
        return self.weight * self.every

    def prepare(self, parts: Sequence[Batch], draws: Sequence[Draws]) -> None:
        self.shared = None
        if self.main is not None:
            self.main.sharing = (*self.main.sharing, self)

    def rows(self, batch: Batch) -> Tensor | slice:
        """The rows of `batch` that it is computed on."""
        return rows_of(self.share, len(batch), batch.positions.device)

    def critic(self, condition: Tensor | None, draws: Draws) -> Critic:
        """Samples to logits `[batch]`, heads added up, as the discriminator sees them in training.

        It is one function: layers that draw (dropout) draw the same in each call.
        """
        state: dict[torch.device, Tensor] = {}

        def critic(x: Tensor) -> Tensor:
            state[x.device] = layer_randomness(x.device, state.get(x.device))
            return total(self.model.judged(self.model.augment(x, draws.within(self.side)), condition))

        return critic

    def run(self, batch: Batch, draws: Draws) -> Mapping[str, Tensor]:
        if self.shared is batch:
            return {}
        fake, rows = self.model.fake_for_discriminator(batch, draws, None), self.rows(batch)
        few, shown = batch.at(rows), self.model.shown_as_real(batch, draws)
        return self.add(self.term(shown[rows], fake[rows], few.condition, draws.at(rows)), batch)

    def term(self, real: Tensor, fake: Tensor, condition: Tensor | None, draws: Draws) -> Tensor | None:
        """The unweighted term of real and of fake samples, which are the batch or a share of it, both of the same classes."""
        return self.regulariser.penalty(self.critic(condition, draws), real, fake, draws.within(self.name))

    def checked(self, term: Tensor, method: str = "penalty") -> Tensor:
        """`term`, which `method` has given; raises `BreachError` where it is none."""
        return a_term(term, "penalty", self.regulariser, method, self.name.rpartition("/")[2])

    def add(self, term: Tensor | None, batch: Batch) -> Mapping[str, Tensor]:
        """Add the gradients of the penalty's term on `batch`, where it has one; it is logged without its weight."""
        if term is None:
            return {}
        term = self.checked(term)
        (term * (self.factor * batch.weight)).backward()
        return {self.name: term.detach()}

    def after_step(self) -> None:
        self.regulariser.constrain(self.player.module)


class SharedForward:
    """Real and fake samples and the points beside them, judged by the discriminator in one pass, or in two where that is less.

    Two passes serve where the gradients of one side alone are wanted: in one pass they would be computed for both. Left out are
    gradients of a share of the batch, because a pass for that share alone costs less, and differences where the discriminator draws
    for itself.
    """

    def __init__(
        self, model: GanModel, batch: Batch, fake: Tensor, draws: Draws, penalties: Sequence[PenaltyPhase]
    ) -> None:
        self.model, self.batch, self.draws = model, batch, draws
        self.samples = {"real": model.shown_as_real(batch, draws), "fake": fake}
        self.beside: dict[PenaltyPhase, Tensor] = {}
        self.exact: list[PenaltyPhase] = []
        for penalty in penalties:
            rows, regulariser = penalty.rows(batch), penalty.regulariser
            assert isinstance(regulariser, SharesForward)
            x = self.samples[penalty.side][rows]
            points = regulariser.beside(x, draws.within(penalty.name).at(rows))
            if points is not None and points.shape != x.shape:
                words = f"its beside gave {form(points)} for samples {list(x.shape)}"
                raise BreachError("penalty", regulariser, words, "beside", penalty.name.rpartition("/")[2])
            if points is None and len(x) == len(batch):
                self.exact.append(penalty)
            elif points is not None and not model.draws_itself(batch):
                self.beside[penalty] = points
        self.sides = sorted({penalty.side for penalty in self.exact})
        for side in self.sides:
            self.samples[side] = self.samples[side].detach().requires_grad_(True)
        self.in_one = len(self.sides) != 1
        self._logits: dict[str | PenaltyPhase, Heads] = {}

    def logits(self) -> tuple[Heads, Heads]:
        """Those of real and of fake samples, with a graph."""
        for sides in [["real", "fake"]] if self.in_one else [["real"], ["fake"]]:
            points = {penalty: x for penalty, x in self.beside.items() if penalty.side in sides}
            seen = [self.model.augment(self.samples[side], self.draws.within(side)) for side in sides]
            classes = [self.batch.condition for _ in sides]
            for penalty, x in points.items():
                rows, condition = penalty.rows(self.batch), self.batch.condition
                seen.append(self.model.augment(x, self.draws.within(penalty.side).at(rows)))
                classes.append(None if condition is None else condition[rows])
            known = [c for c in classes if c is not None]
            judged = self.model.logits(torch.cat(seen), torch.cat(known) if known else None)
            parts = zip(*(head.split([len(x) for x in seen]) for head in judged), strict=True)
            self._logits |= dict(zip([*sides, *points], parts, strict=True))
        return self._logits["real"], self._logits["fake"]

    def terms(self) -> dict[PenaltyPhase, Tensor]:
        """The unweighted terms of those penalties that are computed here, once the logits are; their phases know of it."""
        changes: dict[PenaltyPhase, Tensor] = {}
        if self.exact:
            whole = torch.cat([total(self._logits[side]) for side in self.sides])
            slopes = dict(
                zip(self.sides, gradients_of(whole, [self.samples[side] for side in self.sides]), strict=True)
            )
            changes = {penalty: slopes[penalty.side] for penalty in self.exact}
        for penalty in self.beside:
            here, there = total(self._logits[penalty.side])[penalty.rows(self.batch)], total(self._logits[penalty])
            changes[penalty] = (at_least_float32(there) - at_least_float32(here))[:, None]
        found = {}
        for penalty, change in changes.items():
            assert isinstance(penalty.regulariser, SharesForward)
            found[penalty] = penalty.checked(penalty.regulariser.term(change), "term")
            penalty.shared = self.batch
        return found
