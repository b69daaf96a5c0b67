"""Directions that turn from code to code: along the gradient of what small networks expect the attributes of a code's sample to be."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from gancore.components import ProgressReport
from gancore.data.report import silent
from gancore.latent.space import Codes

HIDDEN = 96
"""Units of each of two hidden layers, of a network for each attribute."""
BATCH = 128
STEPS = 2000
"""Of training, at most."""
RATE = 2e-3
DECAY = 0.03
KEPT_FROM_TRAINING = 0.1
"""Share of samples by which each network is judged ..."""
LOOKED_AT_EVERY = 50
"""... once in so many steps; that of its smallest error is taken ..."""
PATIENCE = 8
"""... and training ends where so many looks in a row have bettered none."""
PARTS = 8
"""Straight pieces that an edit of any size is made of."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """Networks, one for each attribute, that predict its standardised value from a code and weights of classes.

    What a network adds to a linear function of its inputs `[inputs]`, which are `k` coordinates of the code and then weights of
    classes, comes from two layers of SiLU units (Elfwing et al. 2018). Coordinates are multiples of steps of one standard
    deviation of codes: those of w are `coordinates` (w - mean).
    """

    linear: Tensor
    """`[attributes, inputs]`"""
    first: Tensor
    """`[attributes, hidden, inputs]`"""
    first_bias: Tensor
    """`[attributes, hidden]`"""
    second: Tensor
    """`[attributes, hidden, hidden]`"""
    second_bias: Tensor
    """`[attributes, hidden]`"""
    last: Tensor
    """`[attributes, hidden]`"""
    bias: Tensor
    """`[attributes]`"""
    basis: Tensor
    """Steps of one standard deviation, `[k, layers, size]`."""
    coordinates: Tensor
    """`[k, layers * size]`"""

    def __post_init__(self) -> None:
        """Raise ValueError unless shapes fit each other."""
        attributes, hidden, inputs = self.first.shape
        k, layers, size = self.basis.shape
        wanted = {
            "linear": (attributes, inputs), "first_bias": (attributes, hidden), "second": (attributes, hidden, hidden),
            "second_bias": (attributes, hidden), "last": (attributes, hidden), "bias": (attributes,),
            "coordinates": (k, layers * size),
        }  # fmt: skip
        if k > inputs or any(tuple(getattr(self, name).shape) != shape for name, shape in wanted.items()):
            raise ValueError("the shapes of a predictor's weights do not fit each other")

    def tensors(self) -> dict[str, Tensor]:
        """All weights by their names here."""
        return {name: getattr(self, name) for name in self.__slots__}

    def to(self, device: torch.device) -> Predictor:
        """The same on `device`."""
        return (
            self if self.first.device == device else Predictor(**{n: t.to(device) for n, t in self.tensors().items()})
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Predictions `[n, attributes]` of inputs `[n, inputs]`."""
        one = torch.einsum("ni,ahi->anh", x, self.first) + self.first_bias[:, None]
        other = torch.einsum("anh,agh->ang", F.silu(one), self.second) + self.second_bias[:, None]
        return x @ self.linear.T + torch.einsum("anh,ah->na", F.silu(other), self.last) + self.bias

    def gradients(self, x: Tensor) -> Tensor:
        """How predictions change with each coordinate of codes at inputs `[n, inputs]`: `[n, attributes, k]`."""
        k = len(self.basis)
        one = torch.einsum("ni,ahi->anh", x, self.first) + self.first_bias[:, None]
        other = torch.einsum("anh,agh->ang", F.silu(one), self.second) + self.second_bias[:, None]
        back = torch.einsum("ang,agh->anh", _silu_slope(other) * self.last[:, None], self.second)
        return self.linear[:, :k] + torch.einsum("anh,ahk->nak", _silu_slope(one) * back, self.first[..., :k])


def _silu_slope(x: Tensor) -> Tensor:
    """The derivative of x sigmoid(x)."""
    gate = torch.sigmoid(x)
    return gate * (1.0 + x * (1.0 - gate))


def fit(
    u: Tensor,
    classes: Tensor | None,
    values: Tensor,
    linear: Tensor,
    basis: Tensor,
    *,
    seed: int,
    progress: ProgressReport = silent,
) -> Predictor:
    """Train a predictor of standardised `values` `[n, attributes]`, NaN where a sample has none.

    `u` `[n, k]` are coordinates of codes, `classes` `[n, classes]` weights of classes or None, `linear` `[attributes, k]` where the
    linear part begins, and `basis` `[k, layers, size]` the steps that coordinates count. Of each attribute the network is kept that
    predicts it best for samples by which it is not trained, so that none is worse there than its beginning.
    """
    x = torch.cat([u, u.new_zeros(len(u), 0) if classes is None else classes.to(u)], dim=1).float()
    known = ~values.isnan()
    y = torch.where(known, values, 0.0).float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        weights = _begun(x.shape[1], linear.float())
        order = torch.randperm(len(x))
        cut = max(1, round(KEPT_FROM_TRAINING * len(x)))
        kept, rest = order[:cut], order[cut:]
        decayed = [weights[name] for name in ("first", "second")]
        plain = [weight for name, weight in weights.items() if name not in ("first", "second")]
        groups: list[dict[str, Any]] = [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=RATE, weight_decay=DECAY)
        where = basis.float(), torch.linalg.pinv(basis.flatten(1).double()).T.float()
        network = Predictor(**weights, basis=where[0], coordinates=where[1])
        best = {name: weight.detach().clone() for name, weight in weights.items()}
        least, waited = _errors(network, x[kept], y[kept], known[kept]), 0
        for step in range(1, STEPS + 1):
            rows = rest[torch.randint(len(rest), (BATCH,))]
            off = (network(x[rows]) - y[rows]).square() * known[rows]
            optimizer.zero_grad(set_to_none=True)
            (off.sum(dim=0) / known[rows].sum(dim=0).clamp_min(1)).sum().backward()
            optimizer.step()
            if step % LOOKED_AT_EVERY == 0:
                errors = _errors(network, x[kept], y[kept], known[kept])
                better = errors < least
                least, waited = torch.where(better, errors, least), 0 if bool(better.any()) else waited + 1
                for name, weight in weights.items():
                    best[name][better] = weight.detach()[better]
                progress("learning what codes make", step, STEPS)
                if waited == PATIENCE:
                    break
    return Predictor(**best, basis=where[0], coordinates=where[1])


def _begun(inputs: int, linear: Tensor) -> dict[str, Tensor]:
    """Weights before training: those of a linear function."""
    attributes, k = linear.shape
    weights = {
        "linear": F.pad(linear, (0, inputs - k)),
        "first": torch.randn(attributes, HIDDEN, inputs) / inputs**0.5,
        "first_bias": torch.zeros(attributes, HIDDEN),
        "second": torch.randn(attributes, HIDDEN, HIDDEN) / HIDDEN**0.5,
        "second_bias": torch.zeros(attributes, HIDDEN),
        "last": torch.zeros(attributes, HIDDEN),
        "bias": torch.zeros(attributes),
    }
    return {name: weight.requires_grad_() for name, weight in weights.items()}


@torch.no_grad()
def _errors(network: Predictor, x: Tensor, y: Tensor, known: Tensor) -> Tensor:
    """The mean squared error of each attribute, `[attributes]`."""
    return ((network(x) - y).square() * known).sum(dim=0) / known.sum(dim=0).clamp_min(1)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A direction along which a prediction rises at the same rate from every code, and others change little.

    At each code it is that of `gancore.latent.methods.apart`, with the gradients there. An edit of 1 raises prediction number `own`
    by `rate`, or by less where the way would be longer than `longest`, in standard deviations of codes.
    """

    predictor: Predictor
    own: int
    apart: float
    rate: float
    longest: float

    @torch.no_grad()
    def step(self, codes: Codes, mean: Tensor, amounts: Tensor) -> Tensor:
        """By how much edits of `amounts` `[n]` move `codes`: `[n, layers, size]`, exactly 0 for an edit of 0.

        `mean` `[n or 1, layers, size]` is the mean code of their classes.
        """
        network = self.predictor.to(codes.w.device)
        begun = (codes.w - mean).flatten(1) @ network.coordinates.T
        u = begun
        part = (amounts / PARTS).to(begun)[:, None]
        for _ in range(PARTS):
            x = u if codes.classes is None else torch.cat([u, codes.classes.to(u)], dim=1)
            u = u + part * self._pace(network.gradients(x))
        return torch.einsum("nk,kls->nls", u - begun, network.basis)

    def _pace(self, gradients: Tensor) -> Tensor:
        """How coordinates `[n, k]` move for each unit of an edit, where predictions have `gradients` `[n, attributes, k]`."""
        mine = gradients[:, self.own]
        others = gradients[:, torch.arange(gradients.shape[1], device=gradients.device) != self.own]
        inner = torch.eye(others.shape[1], device=others.device) + self.apart * others @ others.mT
        shares = torch.linalg.solve(inner, others @ mine[..., None])
        way = mine - self.apart * (others.mT @ shares)[..., 0]
        pace = way * (self.rate / (way * mine).sum(dim=1, keepdim=True).clamp_min(1e-12))
        return pace * (self.longest / pace.norm(dim=1, keepdim=True).clamp_min(1e-12)).clamp_max(1.0)


Direction: TypeAlias = Tensor | Curve
"""A step `[layers, size]`, which is that of an edit of 1 wherever it begins; or a curve."""
Directions = Mapping[str, Direction]
"""By name."""


def fits(direction: Direction, layers: int, size: int, classes: int) -> bool:
    """Whether it is one of codes `[layers, size]` with so many classes."""
    if isinstance(direction, Tensor):
        return tuple(direction.shape) == (layers, size)
    basis = direction.predictor.basis
    return tuple(basis.shape[1:]) == (layers, size) and direction.predictor.first.shape[2] == len(basis) + classes


def step_along(direction: Direction, codes: Codes, mean: Tensor, amounts: Tensor) -> Tensor:
    """By how much edits of `amounts` `[n]` along `direction` move `codes`: `[n, layers, size]`.

    `mean` `[n or 1, layers, size]` is the mean code of their classes.
    """
    if isinstance(direction, Curve):
        return direction.step(codes, mean, amounts)
    return amounts.to(codes.w)[:, None, None] * direction.to(codes.w)


def digest(direction: Direction) -> str:
    """SHA-256 of the numbers of a direction."""
    found = hashlib.sha256()
    if isinstance(direction, Curve):
        found.update(repr((direction.own, direction.apart, direction.rate, direction.longest)).encode())
    for tensor in direction.predictor.tensors().values() if isinstance(direction, Curve) else (direction,):
        found.update(tensor.float().cpu().contiguous().numpy().astype("<f4").tobytes())
    return found.hexdigest()
