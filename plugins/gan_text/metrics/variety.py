"""How many of the generated texts are different, and how many are new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pydantic import Field

from gan_text.metrics.words import texts_of
from gan_text.spec import TextSpec
from gancore.evaluation.records import Figure, Material, Samples
from gancore.options import Options as BaseOptions


class Options(BaseOptions):
    """Options of the metric `variety`."""

    limit: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        description="How many generated and how many real texts are looked at, at most; fewer of more are different.",
    )


def build(options: Options, spec: TextSpec) -> Variety:
    """The metric; see `Variety`."""
    return Variety(options, spec)


class Variety:
    """Texts are compared letter by letter, as they are written.

    - `unique`: different texts, as a share of all; the more texts there are, the lower.
    - `novel`: share of texts that are not among those trained on. Where the real texts are not held out, each of them is
      looked for among the others.
    """

    def __init__(self, options: Options, spec: TextSpec) -> None:
        self.options = options
        self.spec = spec

    def __call__(self, material: Material) -> dict[str, Figure]:
        """The figures by their names."""
        ours, theirs = self._texts(material.generated), self._texts(material.real)
        others = {name: self._texts(one) for name, one in material.others.items()}
        known = Counter(texts_of(material.train.x, self.spec))
        itself = 0 if material.held_out else 1
        return {
            "unique": Figure(
                value=_unique(ours), real=_unique(theirs), others={name: _unique(one) for name, one in others.items()}
            ),
            "novel": Figure(
                value=_novel(ours, known),
                real=_novel(theirs, known, itself),
                others={name: _novel(one, known) for name, one in others.items()},
            ),
        }

    def _texts(self, samples: Samples) -> list[str]:
        return texts_of(samples.x[: self.options.limit], self.spec)


def _unique(texts: Sequence[str]) -> float:
    return len(set(texts)) / max(1, len(texts))


def _novel(texts: Sequence[str], known: Counter[str], itself: int = 0) -> float:
    return sum(known[text] <= itself for text in texts) / max(1, len(texts))
