"""How unlike samples are to those that a code is looked for: by their numbers, and by what the discriminator sees in them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gancore.evaluation.neighbours import squared_distances
from gancore.games.calling import draw_latent
from gancore.latent.space import Codes, Space, moved
from gancore.powers import HasFeatures, MixesBatch
from gancore.random import Draws

MOST_SAMPLES = 1024
"""Of the generator's own that are looked at ..."""
FEWEST_SAMPLES = 128
MOST_NUMBERS = 1 << 26
"""... which have at most so many numbers in all, unless even the fewest have more."""
CHUNK = 64
_RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


class Likeness:
    """What relaxed samples are compared by: their numbers, and the features of `judge`, where it is a discriminator that has some."""

    def __init__(self, judge: nn.Module | None) -> None:
        alone = not (isinstance(judge, MixesBatch) and judge.mixes_batch)
        self.judge = judge if alone and isinstance(judge, HasFeatures) else None

    def views(self, x: Tensor, classes: Tensor | None) -> list[Tensor]:
        """`[n, size]` float32 of each kind, of relaxed samples `[n, ...]` of classes with weights `[n, classes]` or None."""
        found = [x.flatten(1)]
        if isinstance(self.judge, HasFeatures):
            found.append(self.judge.features(x, None if classes is None else classes.argmax(dim=1)).flatten(1).float())
        return found


class OwnSamples:
    """A thousand samples of a generator, from which codes of others are guessed: the encoder.

    A code is a smooth function of what a sample looks like, as far as there is one: kernel ridge regression, whose kernel falls with
    the distance and whose ridge is the one with the smallest error on an eighth of the samples. Unlike a network it is fitted in
    seconds, by solving linear equations.
    """

    def __init__(self, space: Space, likeness: Likeness, seed: int, most: int = MOST_SAMPLES) -> None:
        self.space, self.likeness = space, likeness
        count = max(FEWEST_SAMPLES, min(most, MOST_NUMBERS // max(1, torch.Size(space.spec.shape).numel())))
        parts: list[Codes] = []
        views: list[list[Tensor]] = []
        with torch.no_grad():
            for rows in torch.arange(count, device=space.device).split(CHUNK):
                classes = None if not space.spec.classes else self.one_hot(rows % space.spec.class_count)
                parts.append(space.start(draw_latent(space.generator, Draws(seed, rows)), classes))
                views.append(likeness.views(space.synthesise(parts[-1]), classes))
        self.codes = joined(parts)
        self.views = [torch.cat(kind).cpu() for kind in zip(*views, strict=True)]
        w = self.codes.w
        self.centre, self.low, self.high = w.mean(dim=0), w.amin(dim=0), w.amax(dim=0)
        spread = w.std(dim=0)
        self.spread = spread.clamp_min(max(0.05 * float(spread.mean()), 1e-6))
        self.length = w.norm(dim=2).mean()
        # Each kind counts alike: distances are in units of those between samples.
        self.units = [float(squared_distances(view[:CHUNK], view).mean()) or 1.0 for view in self.views]
        own = self.distances(self.views)
        self.reach = float(own.median()) or 1.0
        self.weights = self._fitted(torch.exp(-own / self.reach))

    def one_hot(self, numbers: Tensor) -> Tensor:
        """Weights `[n, classes]` of classes `numbers` `[n]`."""
        return torch.nn.functional.one_hot(numbers.to(self.space.device), self.space.spec.class_count).float()

    def distances(self, views: list[Tensor]) -> Tensor:
        """Squared distances `[n, own]` float64 of views of other samples, 1 on average between samples of the generator."""
        return (self._apart(views) / torch.tensor(self.units, dtype=torch.float64).view(-1, 1, 1)).mean(dim=0)

    def scales(self, views: list[Tensor]) -> Tensor:
        """The mean squared distances `[kinds, n]` float32 of views of other samples from the generator's."""
        return self._apart(views).mean(dim=2).clamp_min(1e-12).float().to(self.space.device)

    def _apart(self, views: list[Tensor]) -> Tensor:
        return torch.stack([squared_distances(view.cpu(), own) for view, own in zip(views, self.views, strict=True)])

    def _fitted(self, kernel: Tensor) -> Tensor:
        """The factors `[own, layers * size]` by which the kernels with all own samples are multiplied."""
        wanted = ((self.codes.w - self.centre) / self.spread).flatten(1).double().cpu()
        part = len(kernel) - max(1, len(kernel) // 8)
        errors = []
        for ridge in _RIDGES:
            factors = _solved(kernel[:part, :part], wanted[:part], ridge)
            errors.append(float((kernel[part:, :part] @ factors - wanted[part:]).square().mean()))
        return _solved(kernel, wanted, _RIDGES[errors.index(min(errors))])

    def guessed(self, distances: Tensor) -> Tensor:
        """Codes `[n, layers, size]` of samples at squared `distances` `[n, own]`."""
        found = torch.exp(-distances / self.reach) @ self.weights
        return found.float().view(-1, *self.centre.shape).to(self.space.device) * self.spread + self.centre


def _solved(kernel: Tensor, wanted: Tensor, ridge: float) -> Tensor:
    ridged = kernel + ridge * torch.eye(len(kernel), dtype=kernel.dtype)
    return torch.cholesky_solve(wanted, torch.linalg.cholesky(ridged))


def joined(parts: list[Codes]) -> Codes:
    """One after another."""
    classes = [part.classes for part in parts if part.classes is not None]
    w, noise = torch.cat([part.w for part in parts]), torch.cat([part.noise for part in parts])
    return Codes(w, noise, torch.cat(classes) if classes else None)


def rows_of(codes: Codes, rows: Tensor) -> Codes:
    """Those at `rows` `[n]`."""
    classes = None if codes.classes is None else codes.classes[rows]
    return moved(Codes(codes.w[rows], codes.noise[rows], classes), codes.w[rows])
