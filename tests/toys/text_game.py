"""A small game of texts with its players, for tests of its phases."""

from __future__ import annotations

import torch

from gan_text.data.source import TokenSource, compact
from gan_text.games.sequence import Options, SequenceGame
from gan_text.nets import lstm
from gancore.components import GameContext
from gancore.data.batch import Batch
from gancore.data.report import ScanReport
from gancore.engine.loop import update
from gancore.engine.optimizers import build_optimizer
from gancore.games.player import Player
from gancore.losses.adversarial import NonSaturating
from gancore.losses.penalties import R1
from gancore.random import Draws, bits
from toys.one_step import optimizer
from toys.texts import spec_of

LENGTH, WORDS, SIZE = 6, 9, 12


SPEC = spec_of(vocabulary=WORDS, length=LENGTH)


def texts(count, seed=3):
    """Hard texts of 2 to 6 tokens."""
    ids = (bits(seed, torch.arange(count), LENGTH) >> 33) % (WORDS - 1) + 1
    lengths = 2 + torch.arange(count) % (LENGTH - 1)
    return torch.where(torch.arange(LENGTH) < lengths[:, None], ids, 0).to(torch.int32)


def source_of(hard):
    lengths = SPEC.lengths(hard)
    flat = hard[torch.arange(LENGTH) < lengths[:, None]]
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    report = ScanReport(source="texts", found=len(hard), used=len(hard))
    return TokenSource(compact(flat, WORDS), offsets, SPEC, report)


def batch_of(step=0, size=SIZE):
    positions = torch.arange(step * size, (step + 1) * size)
    return Batch(hard=texts(size, step + 3), condition=None, positions=positions, step=step, relax=SPEC.relax)


class Table:
    """A game with its players."""

    def __init__(self, *, train=None, held_out=None, steps=20, micro_batches=1, penalty=None, networks=None, **options):
        options["mle"] = {"average": 0.0, **options.get("mle", {})}
        torch.manual_seed(7)
        own = {"dropout": 0.0, "embedding": 6, "width": 8, "cnn": {"dropout": 0.0, "channels": 4}}
        built = networks or lstm.build(lstm.Options.model_validate(own), SPEC)
        penalties = {} if penalty is None else {"r1": (R1(penalty), penalty)}
        context = GameContext(
            networks=built, spec=SPEC, loss=NonSaturating(), penalties=penalties, augment=lambda x, draws: x,
            micro_batches=micro_batches, steps=steps, train=train, held_out=held_out,
        )  # fmt: skip
        self.game = SequenceGame(Options.model_validate(options), context)
        self.generator, self.discriminator = (self.game.networks[n] for n in ("generator", "discriminator"))
        adam = optimizer(lr=1e-2)
        self.players = {
            n: Player(n, self.game.networks[n], build_optimizer(adam, self.game.networks[n].parameters()))
            for n in ("discriminator", "generator")
        }
        for player in self.players.values():
            player.set_rivals(self.players)
        self.phases = list(self.game.phases(self.players))
        self.micro_batches = micro_batches

    def due(self, step):
        return [p.name for p in self.phases if p.due(step)]

    def gradients(self, name, step=0):
        """Scalars of the phases `name` alone, whose gradients are then in the players."""
        batch = batch_of(step)
        parts = list(batch.split(self.micro_batches))
        phases = [p for p in self.phases if p.name == name and p.due(step)]
        _, scalars = update(phases[0].player, phases, parts, [Draws(5, p.positions) for p in parts])
        return {k: sum(float(s[k]) * w for s, w in scalars) for k in scalars[0][0]}

    def step(self, step, lr=1e-2):
        """All phases that are due, with their optimizer steps, as the loop takes them."""
        batch, done = batch_of(step), []
        for player in (self.players["generator"], self.players["discriminator"], self.players["generator"]):
            phases = [p for p in self.phases if p.player is player and p.due(step) and p.name not in done]
            first = [p for p in phases if p.name == "generator/mle" and not p.beside]
            phases = first or ([] if player.name == "generator" and not done else phases)
            if phases:
                update(player, phases, [batch], [Draws(5, batch.positions)])
                player.optimizer.step()
                done += [p.name for p in phases]
                for phase in phases:
                    phase.after_step()
        return done
