"""How long texts are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydantic import Field

from gan_text.spec import TextSpec
from gancore.evaluation.distances import Floats
from gancore.evaluation.distributions import overlap
from gancore.evaluation.records import Figure, Material, Samples
from gancore.options import Options as BaseOptions


class Options(BaseOptions):
    """Options of the metric `lengths`."""

    limit: int = Field(
        10_000, ge=1, le=1_000_000, description="How many generated and how many real texts are looked at, at most."
    )


def build(options: Options, spec: TextSpec) -> Lengths:
    """The metric; see `Lengths`."""
    return Lengths(options, spec)


class Lengths:
    """Lengths in tokens of the data set's own kind, without the end.

    - `mean` and `deviation`: over texts; the overlap at `mean` is that of the distributions of lengths.
    - `empty`: share of texts without a token.
    - `unended`: share of texts that fill all places, and so have no end.
    """

    def __init__(self, options: Options, spec: TextSpec) -> None:
        self.options = options
        self.spec = spec

    def __call__(self, material: Material) -> dict[str, Figure]:
        """The figures by their names."""
        ours, theirs = self._lengths(material.generated), self._lengths(material.real)
        others = {name: self._lengths(one) for name, one in material.others.items()}
        kinds: dict[str, Callable[[Floats], np.floating]] = {
            "mean": np.mean,
            "deviation": np.std,
            "empty": lambda lengths: np.mean(lengths == 0),
            "unended": lambda lengths: np.mean(lengths == self.spec.length),
        }
        return {
            name: Figure(
                value=float(kind(ours)),
                real=float(kind(theirs)),
                overlap=overlap(ours, theirs) if name == "mean" else None,
                others={other: float(kind(lengths)) for other, lengths in others.items()},
            )
            for name, kind in kinds.items()
        }

    def _lengths(self, samples: Samples) -> Floats:
        lengths: Floats = self.spec.lengths(samples.x[: self.options.limit]).double().numpy()
        return lengths
