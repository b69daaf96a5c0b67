"""Whether generated phrases are copies: their distance to the nearest phrase that was trained on, and to each other."""

from __future__ import annotations

import numpy as np
from pydantic import Field
from torch import Tensor, tensor

from gan_music.features.onsets import COLUMNS, Columns, Onsets, nearest, onsets_of
from gan_music.metrics.figures import notes_of
from gan_music.metrics.table import Floats
from gan_music.spec import MusicSpec
from gancore.evaluation.distributions import nearer, overlap
from gancore.evaluation.records import Figure, Material, Samples
from gancore.options import Options as BaseOptions


class Options(BaseOptions):
    """Options of the metric `copying`."""

    below: float = Field(
        0.1, ge=0.0, le=1.0, description="A phrase nearer than this to one that was trained on counts as a near copy."
    )
    transposed: bool = Field(
        True, description="Whether a training phrase moved by -5 to 6 semitones, drums aside, counts as that phrase."
    )
    limit: int = Field(
        1000, ge=2, le=100_000, description="How many generated and how many real phrases are looked at, at most."
    )


def build(options: Options, spec: MusicSpec) -> Copying:
    """The metric; see `Copying`."""
    return Copying(options, spec)


class Copying:
    """Distances between phrases are 1 - Jaccard index of their onsets: `1 - shared / (a + b - shared)`.

    An onset is a track, a step and a pitch; how long notes are held does not count. With `transposed` the distance to a
    training phrase is the smallest over twelve transpositions.

    - `nearest/distance`: median distance to the nearest training phrase, in [0, 1].
    - `nearest/exact` and `nearest/near`: share of phrases at distance 0, and below `below`.
    - `nearest/nearer`: share of the pairs of a generated and a real phrase in which the generated one lies nearer to the
      training set, ties counting half: 0.5 where they are alike, 1 where all generated are nearer.
    - `distinct`: share of different phrases; `diversity`: mean distance of two phrases of the set, neither transposed.

    Where the real phrases are not held out, each is compared with the training set without itself.
    """

    def __init__(self, options: Options, spec: MusicSpec) -> None:
        self.options = options
        self.spec = spec

    def __call__(self, material: Material) -> dict[str, Figure]:
        """The figures by their names."""
        train = self._onsets(material.train, None)
        generated, real = (self._onsets(one, self.options.limit) for one in (material.generated, material.real))
        itself = None if material.held_out else _places(real, train, self.options.transposed)
        ours = nearest(generated, train, self.options.transposed).clamp(max=1.0).numpy()
        theirs = nearest(real, train, self.options.transposed, leave_out=itself).clamp(max=1.0).numpy()
        below = self.options.below
        return {
            "nearest/distance": Figure(value=_median(ours), real=_median(theirs), overlap=overlap(ours, theirs)),
            "nearest/exact": Figure(value=_share(ours <= 0.0), real=_share(theirs <= 0.0)),
            "nearest/near": Figure(value=_share(ours < below), real=_share(theirs < below)),
            "nearest/nearer": Figure(value=nearer(ours, theirs), real=0.5),
            "distinct": Figure(value=_distinct(generated), real=_distinct(real)),
            "diversity": Figure(value=diversity(generated), real=diversity(real)),
        }

    def _onsets(self, samples: Samples, limit: int | None) -> Onsets:
        return onsets_of(notes_of(samples.x[:limit], self.spec))


def diversity(phrases: Onsets) -> float:
    """Mean distance of two different phrases; 0 where there is only one."""
    count = len(phrases)
    if count < 2:
        return 0.0
    parts = (Columns(phrases, at, min(at + COLUMNS, count)) for at in range(0, count, COLUMNS))
    total = sum(columns.distances(phrases, 0).double().sum().item() for columns in parts)
    # Each phrase is at distance 0 from itself, and so adds nothing.
    return total / (count * (count - 1))


def _places(phrases: Onsets, train: Onsets, transposed: bool) -> Tensor:
    """For each phrase the number of the first training phrase that is the same, -1 where there is none."""
    known: dict[bytes, int] = {}
    for at, key in enumerate(train.keys(transposed)):
        known.setdefault(key, at)
    return tensor([known.get(key, -1) for key in phrases.keys(transposed)])


def _distinct(phrases: Onsets) -> float:
    return len(set(phrases.keys(transposed=False))) / max(len(phrases), 1)


def _median(distances: Floats) -> float:
    return float(np.median(distances)) if len(distances) else 1.0


def _share(chosen: np.ndarray) -> float:
    return float(chosen.mean()) if len(chosen) else 0.0
