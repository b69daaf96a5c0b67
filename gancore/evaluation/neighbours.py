"""Figures of which samples lie next to which: whether generated ones are among the real, and the real among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

_BLOCK = 2048
"""Rows and columns of distances that are looked at together: 32 MB of float64."""


def squared_distances(first: Tensor, second: Tensor) -> Tensor:
    """Squared Euclidean distances `[n, m]`, float64, of features `[n, size]` and `[m, size]`, which best lie around 0."""
    first, second = first.double(), second.double()
    products = first @ second.T
    return products.mul_(-2.0).add_(first.square().sum(1, keepdim=True)).add_(second.square().sum(1)).clamp_(min=0.0)


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest neighbours of each sample: `distances` float64 and `places` int64 `[n, count]`, the nearest first."""

    distances: Tensor
    places: Tensor


def nearest(samples: Tensor, among: Tensor, count: int = 1, *, leave_out: Tensor | None = None) -> Nearest:
    """The `count` nearest of features `among` `[m, size]` for each of `samples` `[n, size]`, block by block.

    `leave_out` int64 `[n]` numbers one of `among` that is not looked at, -1 for none. Where fewer than `count` are left,
    the distance is infinite.
    """
    centre = among.double().mean(dim=0) if len(among) else torch.zeros(samples.shape[1], dtype=torch.float64)
    found, places = [], []
    for begin in range(0, len(samples), _BLOCK):
        rows = samples[begin : begin + _BLOCK].double() - centre
        best = torch.full((len(rows), count), torch.inf, dtype=torch.float64)
        where = torch.full((len(rows), count), -1)
        for at in range(0, len(among), _BLOCK):
            some = squared_distances(rows, among[at : at + _BLOCK].double() - centre)
            _leave(some, None if leave_out is None else leave_out[begin : begin + _BLOCK], at)
            values, at_most = some.topk(min(count, some.shape[1]), dim=1, largest=False)
            values, order = torch.cat([best, values], dim=1).topk(count, dim=1, largest=False)
            where = torch.cat([where, at_most + at], dim=1).gather(1, order)
            best = values
        found.append(best)
        places.append(where)
    if not found:
        return Nearest(torch.zeros(0, count, dtype=torch.float64), torch.zeros(0, count, dtype=torch.int64))
    return Nearest(torch.cat(found).sqrt(), torch.cat(places))


def nearest_by(
    distances: Callable[[int, int], Tensor], count: int, among: int, columns: int, leave_out: Tensor | None
) -> Tensor:
    """Distance float64 `[count]` of each of `count` samples to the nearest of `among` others, by any distance.

    `distances(begin, end)` gives those `[count, end - begin]` to some of them, at most `columns` at once. `leave_out` as in `nearest`.
    """
    best = torch.full((count,), torch.inf, dtype=torch.float64)
    for begin in range(0, among, columns):
        some = distances(begin, min(begin + columns, among))
        _leave(some, leave_out, begin)
        best = torch.minimum(best, some.amin(dim=1).double())
    return best


def _leave(distances: Tensor, places: Tensor | None, begin: int) -> None:
    """Make those `[n, m]` to what is not looked at infinite: to the one at each of `places` `[n]`, where columns begin at `begin`."""
    if places is not None:
        own = places - begin
        mine = ((own >= 0) & (own < distances.shape[1])).nonzero()[:, 0]
        distances[mine, own[mine]] = torch.inf


def radii(features: Tensor, k: int) -> Tensor:
    """Distance of each of `features` `[n, size]` to its `k`-th nearest other one: float64 `[n]`."""
    return nearest(features, features, k, leave_out=torch.arange(len(features))).distances[:, -1]


def neighbourhoods(samples: Tensor, real: Tensor, k: int) -> Tensor:
    """In how many balls of `real` `[m, size]`, which reach to the `k`-th neighbour, each of `samples` `[n, size]` lies: int64 `[n]`."""
    centre, wide = real.double().mean(dim=0), radii(real, k).square()
    found = torch.zeros(len(samples), dtype=torch.int64)
    for begin in range(0, len(samples), _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        some = samples[rows].double() - centre
        for at in range(0, len(real), _BLOCK):
            columns = slice(at, at + _BLOCK)
            found[rows] += (squared_distances(some, real[columns].double() - centre) < wide[columns]).sum(dim=1)
    return found


@dataclass(frozen=True, slots=True)
class Manifolds:
    """Shares in [0, 1] of samples that lie within the other set, and the mean number of balls, divided by k, that they lie in."""

    precision: float
    recall: float
    density: float
    coverage: float


def manifolds(generated: Tensor, real: Tensor, *, k: int = 3, k_density: int = 5) -> Manifolds:
    """Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020) of features `[n, size]`.

    Each sample has a ball around it that reaches to the `k`-th nearest sample of its own set. Precision is the share of generated
    samples within the ball of any real one, recall the share of real ones within the ball of any generated one. Density is the
    mean number of balls of real samples, which reach to the `k_density`-th neighbour, that a generated one lies in, divided
    by `k_density`; coverage is the share of real samples whose ball holds a generated one. A ball holds its border, as in
    Kynkäänniemi et al.; for density and coverage it does not, as in Naeem et al.
    """
    centre = real.double().mean(dim=0)
    both = nearest(real, real, max(k, k_density), leave_out=torch.arange(len(real))).distances
    reach, wide = both[:, k - 1].square(), both[:, k_density - 1].square()
    own = radii(generated, k).square()
    inside, balls = torch.zeros(len(generated), dtype=torch.bool), 0
    recalled = torch.zeros(len(real), dtype=torch.bool)
    covered = torch.zeros(len(real), dtype=torch.bool)
    for begin in range(0, len(generated), _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        some = generated[rows].double() - centre
        for at in range(0, len(real), _BLOCK):
            columns = slice(at, at + _BLOCK)
            squares = squared_distances(some, real[columns].double() - centre)
            inside[rows] |= (squares <= reach[columns]).any(dim=1)
            recalled[columns] |= (squares <= own[rows, None]).any(dim=0)
            within = squares < wide[columns]
            balls += int(within.sum())
            covered[columns] |= within.any(dim=0)
    return Manifolds(
        precision=_share(inside),
        recall=_share(recalled),
        density=balls / (k_density * max(1, len(generated))),
        coverage=_share(covered),
    )


def authenticity(generated: Tensor, train: Tensor, reach: Tensor | None = None) -> float:
    """Share of generated samples that are farther from the nearest training sample than that one is from its own neighbour.

    Alaa et al. 2022, "How faithful is your synthetic data?". A generator that copies has 0; one that draws from the distribution of
    the training samples about 0.5, as far as these lie alike. Features `[n, size]` and `[m, size]`, m at least 2; `reach` are
    `radii(train, 1)`, where they are known.
    """
    closest = nearest(generated, train)
    reach = radii(train, 1) if reach is None else reach
    return _share(closest.distances[:, 0] > reach[closest.places[:, 0]])


def _share(chosen: Tensor) -> float:
    return float(chosen.double().mean()) if len(chosen) else 0.0
