"""How far maximum likelihood has come: the best generator so far by its likelihood of held-out texts, and when it was enough.

Everything is kept in networks of the game, so that checkpoints hold it and a run that is resumed decides as it would have.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gancore import distributed
from gancore.components import DataSource
from gancore.data.sampler import spread
from gancore.games.player import Player
from gancore.random import Draws

if TYPE_CHECKING:
    from gan_text.games.sequence import MleOptions

CHUNK = 256
"""Texts looked at together."""
NOT_YET = -1


class Progress(nn.Module):
    """The state of the phase that comes first.

    `best` is the generator to keep, and `average` the moving average of the one that is trained, or None for that itself: both
    are copies of it. Without held-out texts the last is the best.
    """

    ended_at: Tensor
    restarted: Tensor
    began_at: Tensor
    since_best: Tensor
    softened: Tensor
    lowest: Tensor
    latest: Tensor

    def __init__(
        self, options: MleOptions, best: nn.Module | None, average: nn.Module | None, held_out: DataSource | None
    ) -> None:
        super().__init__()
        self.options = options
        self._copies = (best, average)  # not as attributes, or they would be part of this module's state as well
        self._texts = _some(held_out, options.held_out)
        self.register_buffer("ended_at", torch.tensor(NOT_YET if options.steps else 0))
        self.register_buffer("restarted", torch.tensor(0))
        self.register_buffer("began_at", torch.tensor(0))
        self.register_buffer("since_best", torch.tensor(0))
        self.register_buffer("softened", torch.tensor(1.0))
        self.register_buffer("lowest", torch.tensor(float("inf")))
        self.register_buffer("latest", torch.tensor(float("inf")))
        self._known: tuple[int, int, int, bool] | None = None

    @property
    def _now(self) -> tuple[int, int, int, bool]:
        """Looked at once after each change, for a device should not be waited for in each step."""
        if self._known is None:
            looked = bool(torch.isfinite(self.latest))
            self._known = (int(self.ended_at), int(self.restarted), int(self.began_at), looked)
        return self._known

    @property
    def ended(self) -> int:
        """The step at which the discriminator came in; -1 while it has not."""
        return self._now[0]

    @property
    def restarts(self) -> int:
        """How many times the best has been gone back to, to go on from there."""
        return self._now[1]

    def over(self, step: int) -> bool:
        """Whether maximum likelihood has ended before `step`."""
        return 0 <= self.ended <= step

    def recall(self) -> None:
        """Look again at what a checkpoint has brought."""
        self._known = None

    def look(self, player: Player, step: int) -> bool:
        """After `step` steps: is this the best generator, and is it time to end? Whether the player has gone back to the best."""
        best, average = self._copies
        assert best is not None
        found_in = player.module if average is None else average
        if average is not None:
            since = step - self._now[2]
            _move(average, player.module, min(self.options.average, since / (since + 9.0)))
        last = step >= self.options.steps
        if not (last or step % self.options.every == 0):
            if step < self.options.every:
                # A run that is stopped before the first look would otherwise keep what it began with.
                best.load_state_dict(found_in.state_dict())
            return False
        # One process decides for all: another card may round otherwise.
        found = float(torch.tensor(distributed.broadcast_value(self.held_out_nll(found_in))))
        if self._texts is not None:
            self.latest.fill_(found)
        self.recall()
        better = found < float(self.lowest) or self._texts is None
        if better:
            best.load_state_dict(found_in.state_dict())
            self.lowest.fill_(found)
            self.since_best.zero_()
        else:
            self.since_best.add_(1)
        enough = bool(self.options.patience) and int(self.since_best) >= self.options.patience
        if not (last or enough):
            return False
        player.module.load_state_dict(best.state_dict())
        # What the optimizer remembers is of other gradients.
        player.optimizer.state.clear()
        if last or self.restarts >= self.options.restarts:
            self.ended_at.fill_(step)
            if self.options.calibrate and self._texts is not None:
                self.softened.fill_(float(distributed.broadcast_value(self.calibration(best))))
                for network in (best, player.module):
                    network.soften(float(self.softened))  # type: ignore[operator]
        else:
            self.restarted.add_(1)
            self.began_at.fill_(step)
            self.since_best.zero_()
        self.recall()
        return True

    @torch.no_grad()
    def held_out_nll(self, generator: nn.Module) -> float:
        """Mean negative log-likelihood of the held-out texts, in nats a text; 0 where there are none."""
        if self._texts is None:
            return 0.0
        device = next(generator.parameters()).device
        trained = generator.training
        generator.eval()
        hard, condition = self._texts
        total = 0.0
        for rows in torch.arange(len(hard)).split(CHUNK):
            classes = None if condition is None else condition[rows].to(device)
            nll: Tensor = generator.nll(hard[rows].to(device), classes)  # type: ignore[operator]
            total += float(nll.cpu().double().sum())
        generator.train(trained)
        return total / len(hard)

    def calibration(self, generator: nn.Module) -> float:
        """The number by which logits should be divided for the held-out texts to be likeliest, between 1/4 and 4."""
        from scipy.optimize import minimize_scalar  # slow to import

        trial = copy.deepcopy(generator)
        parameters: list[Tensor] = trial.last()  # type: ignore[operator]
        as_they_are = [p.detach().clone() for p in parameters]

        def nll(sharpness: float) -> float:
            with torch.no_grad():
                for p, original in zip(parameters, as_they_are, strict=True):
                    p.copy_(original * sharpness)
            return self.held_out_nll(trial)

        # Convex in this factor, which the temperature itself would not be.
        return 1.0 / float(minimize_scalar(nll, bounds=(0.25, 4.0), method="bounded", options={"xatol": 1e-3}).x)

    def scalars(self) -> dict[str, Tensor]:
        """What the last look found, for the record."""
        return {"generator/nll-held-out": self.latest.clone()} if self._now[3] else {}


@torch.no_grad()
def _move(average: nn.Module, source: nn.Module, kept: float) -> None:
    """Let `kept` of the average stay, and take the rest from the source; buffers, such as unit vectors, are taken as they are."""
    torch._foreach_lerp_(list(average.parameters()), list(source.parameters()), 1.0 - kept)
    for a, b in zip(average.buffers(), source.buffers(), strict=True):
        a.copy_(b)


def _some(source: DataSource | None, most: int) -> tuple[Tensor, Tensor | None] | None:
    """Up to `most` texts, from all over the data, and their classes; always the same."""
    if source is None or not len(source):
        return None
    rows = spread(len(source), most)
    return source.fetch(rows, Draws(0, rows))
