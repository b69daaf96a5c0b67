"""What samples become as their codes are moved: attributes measured along directions, and figures of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from gancore.components import ProgressReport
from gancore.data.report import silent
from gancore.evaluation.attributes import Attributes
from gancore.games.calling import draw_latent
from gancore.latent.curves import Curve
from gancore.latent.space import Codes, Space, moved
from gancore.options import Options
from gancore.random import Draws, derive
from gancore.sampling.drawing import CHUNK, GivenParts, cycle_classes

POSITIONS = tuple(number / 2 for number in range(-4, 5))
"""Nine edits at which directions are judged, from -2 to 2."""
RANDOM = 16
"""Random directions that a direction is held against, each with its share of the codes."""


class Probe:
    """Draws codes of `space`, makes samples of them and measures these.

    Classes take turns. `parts` is what samples are made around, where the generator is given a part; `sampling` how it draws.
    """

    def __init__(
        self,
        space: Space,
        attributes: Attributes,
        *,
        parts: GivenParts | None = None,
        sampling: Options | None = None,
        progress: ProgressReport = silent,
    ) -> None:
        self.space, self.attributes, self.progress = space, attributes, progress
        self._parts, self._sampling = parts, sampling

    def codes(self, count: int, seed: int) -> Codes:
        """`count` random codes; another `seed` gives others."""
        labels = cycle_classes(self.space.spec, count)
        classes = None
        if labels is not None:
            classes = torch.nn.functional.one_hot(labels, self.space.spec.class_count).float().to(self.space.device)
        return self.space.drawn([seed] * count, torch.arange(count), classes)

    def latents(self, count: int, seed: int) -> Tensor:
        """What `codes(count, seed)` are the codes of: `[count, *latent_shape]`."""
        return draw_latent(
            self.space.generator, Draws(derive(seed, "sample"), torch.arange(count, device=self.space.device))
        )

    def part(self, numbers: Tensor) -> Tensor | None:
        """What samples `numbers` are made around."""
        return None if self._parts is None else self._parts(numbers.to(self.space.device))

    def measure(self, codes: Codes, words: str = "") -> Tensor:
        """The attributes of samples of `codes`: float64 `[n, attributes]`, NaN where a sample has none; `words` tell progress."""
        return self.along(codes, torch.zeros_like(codes.w), (0.0,), words)[0]

    def along(self, codes: Codes, steps: Tensor | Curve, amounts: Sequence[float], words: str = "") -> Tensor:
        """The attributes after moves by each of `amounts`, float64 `[amounts, n, attributes]`: of `steps` `[n, layers, size]`, or along
        a curve."""
        count, names = len(codes), list(self.attributes.measures)
        found = torch.full((len(amounts), count, len(names)), torch.nan, dtype=torch.float64)
        for start in range(0, count, CHUNK):
            rows = slice(start, start + CHUNK)
            own = codes_at(codes, rows)
            for number, amount in enumerate(amounts):
                if isinstance(steps, Curve):
                    many = torch.full((len(own),), amount, device=own.w.device)
                    by = steps.step(own, self.space.mean(own.classes), many)
                else:
                    by = amount * steps[rows]
                x = self.samples(moved(own, own.w + by), start)
                for column, values in enumerate(self.attributes.measure(x).values()):
                    found[number, rows, column] = values.double()
            if words:
                self.progress(words, start + len(own), count)
        return found

    def samples(self, codes: Codes, first: int = 0) -> Tensor:
        """Hard samples `[n, ...]` of `codes`, of which `first` is the number of the first."""
        return self.space.samples(codes, self.part(torch.arange(first, first + len(codes))), self._sampling)


def codes_at(codes: Codes, rows: slice | Tensor) -> Codes:
    """Those at `rows`."""
    return Codes(codes.w[rows], codes.noise[rows], None if codes.classes is None else codes.classes[rows])


def labels_of(codes: Codes) -> Tensor | None:
    """The classes `[n]` int64 on the CPU."""
    return None if codes.classes is None else codes.classes.argmax(dim=1).cpu()


def centred(values: Tensor, labels: Tensor | None) -> Tensor:
    """`values` `[n, ...]` less the mean of those of the same class, NaN aside."""
    if labels is None:
        return values - values.nanmean(dim=0)
    made = values.clone()
    for label in labels.unique():
        made[labels == label] -= values[labels == label].nanmean(dim=0)
    return made


@dataclass(frozen=True, slots=True)
class Response:
    """How each attribute of each sample follows edits, in standard deviations per unit and as rank correlation: `[n, attributes]`.

    NaN where a sample has the attribute at fewer than three positions.
    """

    slopes: Tensor
    ranks: Tensor

    @property
    def change(self) -> Tensor:
        """Mean change per unit `[attributes]`, with its sign."""
        return _mean(self.slopes)

    @property
    def effect(self) -> Tensor:
        """Mean absolute change per unit `[attributes]`: what changes one way in some samples and the other way in others counts."""
        return _mean(self.slopes.abs())

    @property
    def spearman(self) -> Tensor:
        """Mean over samples of Spearman's rank correlation of position and attribute `[attributes]`."""
        return _mean(self.ranks)


def response(values: Tensor, amounts: Sequence[float]) -> Response:
    """That of standardised attributes `values` `[amounts, n, attributes]`.

    A sample's change is the slope of the line of least squares through its values; its rank correlation is 0 where they all are equal.
    """
    places = torch.tensor(amounts, dtype=torch.float64).view(-1, 1, 1).expand_as(values)
    known = ~values.isnan()
    enough = known.sum(dim=0) >= min(3, len(amounts))
    slopes = _regression(places, values, known)[0]
    ranks = _regression(_ranks(places, known), _ranks(values, known), known)[1]
    return Response(torch.where(enough, slopes, torch.nan), torch.where(enough, ranks, torch.nan))


def random_steps(basis: Tensor, step: Tensor, seed: int) -> Tensor:
    """Random steps `[RANDOM, layers, size]`, as long as `step` `[layers, size]` and in the same layers.

    `basis` `[k, layers, size]` are steps of one standard deviation of codes.
    """
    weights = Draws(seed, torch.arange(RANDOM)).normal("direction", len(basis)).to(basis)
    steps = torch.einsum("nk,kls->nls", weights, basis) * step.abs().sum(dim=1, keepdim=True).gt(0.0).to(basis)
    return steps * (step.norm() / steps.flatten(1).norm(dim=1).clamp_min(1e-12)).view(-1, 1, 1)


def thirds(layers: int) -> list[tuple[int, int]]:
    """Ranges of neighbouring layers, first and last: each third, or half of few, and two thirds; none of one layer."""
    cuts = [round(layers * number / min(3, layers)) for number in range(min(3, layers) + 1)]
    single = [(one, other - 1) for one, other in pairwise(cuts)]
    double = [(cuts[at], cuts[at + 2] - 1) for at in range(len(cuts) - 2)] if len(cuts) > 3 else []
    return [*single, *double] if layers > 1 else []


def _mean(values: Tensor) -> Tensor:
    return values.nanmean(dim=0).nan_to_num(0.0)


def _regression(x: Tensor, y: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Slope and correlation over the first dimension, of what is `known`; 0 where nothing varies."""
    count = known.sum(dim=0).clamp_min(1)

    def about_mean(values: Tensor) -> Tensor:
        present = torch.where(known, values, 0.0)
        return torch.where(known, present - present.sum(dim=0) / count, 0.0)

    one, other = about_mean(x), about_mean(y)
    product, square, other_square = (one * other).sum(dim=0), (one**2).sum(dim=0), (other**2).sum(dim=0)
    varies = (square > 0.0) & (other_square > 0.0)
    correlation = torch.where(varies, product / (square * other_square).clamp_min(1e-300).sqrt(), 0.0)
    return torch.where(varies, product / square.clamp_min(1e-300), 0.0), correlation


def _ranks(values: Tensor, known: Tensor) -> Tensor:
    """Ranks over the first dimension among what is `known`, equal values sharing the mean of theirs."""
    below = ((values[None] < values[:, None]) & known[None]).sum(dim=1)
    equal = ((values[None] == values[:, None]) & known[None]).sum(dim=1)
    return below + (equal - 1) / 2
