"""The two halves of a game: a player is a network with its optimizer, a phase one kind of update of one player."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import Tensor, nn, optim

from gancore.data.batch import Batch
from gancore.options import OptimizerOptions
from gancore.random import Draws


class Player:
    """A network and the optimizer that moves it. The only thing in training that changes, beside the step counter.

    `options` are those that the loop follows: the learning rate, and where gradients are clipped.
    """

    def __init__(
        self, name: str, module: nn.Module, optimizer: optim.Optimizer, options: OptimizerOptions = OptimizerOptions()
    ) -> None:
        self.name = name
        self.module = module
        self.optimizer = optimizer
        self.options = options
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self._rivals: list[nn.Parameter] = []

    def set_rivals(self, players: Mapping[str, Player]) -> None:
        """Remember whose parameters to freeze while this player moves. A parameter that is shared stays trainable."""
        mine = {id(p) for p in self.parameters}
        self._rivals = [p for other in players.values() for p in other.parameters if id(p) not in mine]

    @contextmanager
    def updating(self) -> Iterator[None]:
        """Clear this player's gradients and freeze every other player, so that no work is spent on their gradients."""
        self.optimizer.zero_grad(set_to_none=True)
        for p in self._rivals:
            p.requires_grad_(False)
        try:
            yield
        finally:
            for p in self._rivals:
                p.requires_grad_(True)

    @contextmanager
    def thawed(self) -> Iterator[None]:
        """Let this player's graph be recorded even while another one moves."""
        frozen = [p for p in self.parameters if not p.requires_grad]
        for p in frozen:
            p.requires_grad_(True)
        try:
            yield
        finally:
            for p in frozen:
                p.requires_grad_(False)


class Phase:
    """One kind of update of one player. Subclasses run forward and backward themselves, so a game can do anything.

    A phase is due in steps `start, start + every, ...` before `stop`.
    """

    replaced: bool = False
    """Set by `after_step` where it has put other weights in: the moving average then begins anew from these."""

    def __init__(self, name: str, player: Player, *, every: int = 1, start: int = 0, stop: int | None = None) -> None:
        self.name = name
        self.player = player
        self.every = every
        self.start = start
        self.stop = stop

    def due(self, step: int) -> bool:
        """Whether this phase takes part in `step`."""
        after = step - self.start
        return after >= 0 and after % self.every == 0 and (self.stop is None or step < self.stop)

    def learning_rate(self, planned: float, step: int) -> float:
        """The learning rate of a `step` in which this is the first of the player's phases; `planned` is what its options say."""
        del step
        return planned

    def prepare(self, parts: Sequence[Batch], draws: Sequence[Draws]) -> None:
        """See all micro-batches of a step before `run` gets each: only for losses that couple the whole batch."""

    def run(self, batch: Batch, draws: Draws) -> Mapping[str, Tensor]:
        """Add to the player's gradients the part that `batch` contributes, times `batch.weight`.

        Returns detached scalars to log; the engine averages them over the parts of a batch and over ranks.
        """
        raise NotImplementedError

    def after_step(self) -> None:
        """Called once after the player's optimizer has moved (weight clipping)."""
