"""The codes of given samples: what a generator would have to be told to make them, as nearly as it can."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from gancore.components import ProgressReport
from gancore.data.report import silent
from gancore.data.spec import SampleSpec
from gancore.latent.address import Address, Code
from gancore.latent.likeness import CHUNK, MOST_SAMPLES, Likeness, OwnSamples, joined, rows_of
from gancore.latent.space import Codes, Space, moved
from gancore.random import Draws, derive

NEIGHBOURS = 2
"""Of the generator's own samples, so many of those that are most like a given one are begun at."""
CLASSES = 3
"""Where its class is not known, so many of those that fit best are begun with."""
STEPS = 400
"""Steps of the best one of the beginnings; before, each of them is given a quarter as many."""
RATE = 0.1
"""Of Adam, in standard deviations of the codes."""
NOISE, NOISY = 0.05, 0.75
"""Noise that is added to codes, in the same, at first, and the share of steps in which it falls to 0."""
RISING, FALLING = 0.05, 0.25
"""Shares of the steps in which the rate rises, and falls along a cosine (Karras et al. 2020, "Analyzing and improving ...")."""
LIKELY = 0.1
"""Weight of codes being as far from their mean as those of random samples are."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Relaxed samples `x` `[n, *shape]`, and how far those of random codes are from them: mean squared distances `[kinds, n]`."""

    x: Tensor
    scales: Tensor

    def at(self, rows: Tensor) -> Wanted:
        return Wanted(self.x[rows], self.scales[:, rows])

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, slots=True)
class Found:
    """The codes that were found, and how unlike their samples are to the given ones: `[n]`, 1 for those of random codes."""

    codes: Codes
    distances: Tensor


class Projector:
    """Finds codes of given samples in `space`.

    It begins at what an encoder says, at those of the generator's own samples that are most alike, and at the mean code; from all of
    them it follows the gradient of the distance, and then farther from the best one. The distance is that of relaxed samples, and
    that of the features of `judge`, where it is a discriminator that has some, at equal weights.

    `steps` is how many steps the best one is given, `own` how many samples of the generator are looked at, at most.
    """

    def __init__(
        self,
        space: Space,
        judge: nn.Module | None = None,
        *,
        seed: int = 0,
        steps: int = STEPS,
        own: int = MOST_SAMPLES,
        progress: ProgressReport = silent,
    ) -> None:
        self.space, self.seed, self.steps, self.progress = space, seed, steps, progress
        self.likeness = Likeness(judge)
        progress("looking at what the generator makes", 0, 0)
        self.own = OwnSamples(space, self.likeness, derive(seed, "own samples"), own)

    def find(self, wanted: Tensor, labels: Tensor | None = None) -> Found:
        """The codes of relaxed samples `wanted` `[n, *shape]`, of classes `labels` `[n]` int64, -1 where it is to be found.

        What is found of a sample depends on that, the seed, and in the last bits on what is found together with it.
        """
        wanted = wanted.to(self.space.device)
        if not self.space.spec.classes:
            labels = None
        elif labels is None:
            labels = torch.full((len(wanted),), -1)
        parts = []
        each = max(1, CHUNK // (1 + CLASSES + NEIGHBOURS))
        for start in range(0, len(wanted), each):
            self.progress("finding codes", start, len(wanted))
            rows = slice(start, start + each)
            parts.append(self._some(wanted[rows], None if labels is None else labels[rows], start))
        return Found(joined([part.codes for part in parts]), torch.cat([part.distances for part in parts]))

    def _some(self, x: Tensor, labels: Tensor | None, start: int) -> Found:
        asked = None if labels is None else self.own.one_hot(labels.clamp_min(0))
        views = self._views(x, asked)
        wanted = Wanted(x, self.own.scales(views))
        begun, owner = self._begun(wanted, self.own.distances(views), labels)
        first = self._descend(
            begun, wanted.at(owner), max(1, self.steps // 4), Draws(derive(self.seed, "first"), owner + start)
        )
        numbers = torch.arange(len(x), device=owner.device)
        best = _best(first, owner, len(x))
        last = self._descend(best.codes, wanted, self.steps, Draws(derive(self.seed, "last"), numbers + start))
        # It may have been at the end already, and noise lead away from there.
        both = Found(joined([best.codes, last.codes]), torch.cat([best.distances, last.distances]))
        return _best(both, numbers.repeat(2), len(x))

    # --- beginnings ---

    @torch.no_grad()
    def _begun(self, wanted: Wanted, distances: Tensor, labels: Tensor | None) -> tuple[Codes, Tensor]:
        """Codes to begin with, and the number of the wanted sample that each is for, by the `distances` `[n, own]` of these."""
        own, count = self.own, len(wanted)
        numbers = torch.arange(count, device=wanted.x.device)
        nearest = distances.topk(NEIGHBOURS, dim=1, largest=False).indices.to(numbers.device)
        noise = own.codes.noise[nearest[:, 0]]
        guessed, mean = self._settled(own.guessed(distances)), self._settled(own.centre.expand(count, -1, -1).clone())
        alike = [own.codes.w[places] for places in nearest.T]
        if labels is None or own.codes.classes is None:
            w = torch.cat([guessed, mean, *alike])
            return Codes(w, noise.repeat(len(w) // count, 1), None), numbers.repeat(len(w) // count)
        known = (labels >= 0).to(numbers.device)
        asked = own.one_hot(labels.clamp_min(0))
        fitting = self._fitting(Codes(guessed, noise, asked), wanted)
        begun: list[Codes] = []
        owners: list[Tensor] = []

        def begin(w: Tensor, classes: Tensor, rows: Tensor) -> None:
            begun.append(rows_of(Codes(w, noise, classes), rows))
            owners.append(rows)

        # Where the class is not known, the encoder's code is tried with those that fit best.
        begin(guessed, asked, numbers[known])
        for classes in fitting:
            begin(guessed, classes, numbers[~known])
        begin(mean, torch.where(known[:, None], asked, fitting[0]), numbers)
        for w, places in zip(alike, nearest.T, strict=True):
            begin(w, torch.where(known[:, None], asked, own.codes.classes[places]), numbers)
        return joined(begun), torch.cat(owners)

    def _fitting(self, codes: Codes, wanted: Wanted) -> list[Tensor]:
        """Weights `[n, classes]` of the classes with which samples of these codes fit best, the best first."""
        count = self.space.spec.class_count
        tried = [replace(codes, classes=self.own.one_hot(torch.full((len(codes),), number))) for number in range(count)]
        apart = torch.stack(
            [self._apart(one, self._views(wanted.x, one.classes), wanted.scales) for one in tried], dim=1
        )
        best = apart.topk(min(CLASSES, count), dim=1, largest=False).indices
        return [self.own.one_hot(numbers) for numbers in best.T]

    # --- descent ---

    def _descend(self, codes: Codes, wanted: Wanted, steps: int, draws: Draws) -> Found:
        parts = []
        for rows in torch.arange(len(codes), device=wanted.x.device).split(CHUNK):
            parts.append(self._descended(rows_of(codes, rows), wanted.at(rows), steps, draws.at(rows)))
        return Found(joined([part.codes for part in parts]), torch.cat([part.distances for part in parts]))

    def _descended(self, codes: Codes, wanted: Wanted, steps: int, draws: Draws) -> Found:
        own = self.own
        distances = partial(self._apart, views=self._views(wanted.x, codes.classes), scales=wanted.scales)
        with torch.enable_grad():
            u = ((codes.w - own.centre) / own.spread).requires_grad_()
            adam = torch.optim.Adam([u], lr=RATE, betas=(0.9, 0.99))
            for step in range(steps):
                share = step / steps
                rise, fall = min(1.0, (step + 1) / (RISING * steps)), min(1.0, (1.0 - share) / FALLING)
                adam.param_groups[0]["lr"] = RATE * rise * (0.5 - 0.5 * math.cos(math.pi * fall))
                size = NOISE * max(0.0, 1.0 - share / NOISY) ** 2
                moved_by = size * draws.within(str(step)).normal("noise", *u.shape[1:]) if size else 0.0
                placed = moved(codes, (u + moved_by) * own.spread + own.centre)
                length = (u.square().mean(dim=(1, 2)) + 1e-12).sqrt()  # which has a slope at 0 as well
                # A sum: each row goes its own way.
                loss = (distances(placed) + LIKELY * (length - 1.0).square()).sum()
                adam.zero_grad(set_to_none=True)
                loss.backward()
                adam.step()
                with torch.no_grad():
                    u.copy_((self._settled(u * own.spread + own.centre) - own.centre) / own.spread)
        placed = moved(codes, self._settled(u.detach() * own.spread + own.centre))
        with torch.no_grad():
            return Found(placed, distances(placed))

    def _settled(self, w: Tensor) -> Tensor:
        """The codes nearest to `w` that there can be."""
        if self.space.maps or self.space.prior.kind == "normal":
            return w
        if self.space.prior.kind == "uniform":
            return w.clamp(self.own.low, self.own.high)
        return w * (self.own.length / w.norm(dim=2, keepdim=True).clamp_min(1e-12))

    @torch.no_grad()
    def _views(self, x: Tensor, classes: Tensor | None) -> list[Tensor]:
        return self.likeness.views(x, classes)

    def _apart(self, codes: Codes, views: list[Tensor], scales: Tensor) -> Tensor:
        """How unlike samples of `codes` are to those of `views`, `[n]`."""
        made = self.likeness.views(self.space.synthesise(codes), codes.classes)
        squares = [(one - other).square().sum(dim=1) for one, other in zip(made, views, strict=True)]
        return (torch.stack(squares) / scales).mean(dim=0)


def _best(found: Found, owner: Tensor, count: int) -> Found:
    """For each of `count` samples the codes that come nearest, of those that it is the `owner` of."""
    mine = [(owner == number).nonzero()[:, 0] for number in range(count)]
    rows = torch.stack([some[found.distances[some].argmin()] for some in mine])
    return Found(rows_of(found.codes, rows), found.distances[rows])


def addresses(codes: Codes, spec: SampleSpec) -> list[Address]:
    """Codes as addresses, each of one class where there are classes."""
    labels = [None] * len(codes) if codes.classes is None else codes.classes.argmax(dim=1).tolist()
    return [
        Address(code=Code.of(w, noise), classes=None if label is None else {spec.classes[label]: 1.0})
        for w, noise, label in zip(codes.w, codes.noise, labels, strict=True)
    ]
