"""The metric `frechet`: Fréchet distance of features, of as many dimensions as there are samples for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pydantic import Field
from torch import Tensor

from gancore.data.spec import SampleSpec
from gancore.evaluation.distances import FEW, Moments, PrincipalComponents, frechet, frechet_at_infinity
from gancore.evaluation.matched import ClassOptions, Matched, class_figures, of_classes
from gancore.evaluation.records import FeatureSets, Figure, Material, Measured

_MOST = 64
"""Principal components, where there are too few samples for all features."""


_FEWEST = 4
"""Fewer samples have no covariance to speak of."""
_FEWEST_OF_CLASS = 2 * FEW
"""Smaller classes are left aside: their number of components would be that of all classes."""


class Options(ClassOptions):
    """Options of the metric `frechet`."""

    components: int | None = Field(
        None,
        ge=0,
        le=100_000,
        description="Principal components of the real features that are compared; 0: the features themselves. When not given, "
        "the features themselves where there are ten samples for each, otherwise a tenth as many components as samples, at most 64.",
    )
    extrapolate: bool = Field(
        False,
        description="Also the distance that endlessly many generated samples would have; takes fifteen times as long.",
    )


class Frechet:
    """Fréchet distance for each kind of features `f`; see `gancore.evaluation.distances.frechet`.

    - `frechet-f`: of the features themselves; or `frechet-f-pcaK` of their first K principal components, where there are
      too few samples: most of the distance would be the error of the covariances, the more the fewer samples there are.
    - `frechet-f/at-infinity`: extrapolated to endlessly many generated samples (Chong and Forsyth 2020), where asked for.

    - `frechet-f-pcaK/within-classes`: the mean within classes, where there are classes, of as many components as the smallest
      allows; `frechet-f-pcaK/c`: within class `c`, where there are few.

    Sets of equal size are compared, and a note tells the size: only figures of the same size and the same features can be compared.
    """

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        self.options = options
        self.spec = spec

    def __call__(self, material: Material) -> Measured:
        """The figures by their names."""
        found: dict[str, Figure] = {}
        notes = []
        for kind, features in material.features.items():
            matched, name = Matched.of(material, features), features.called("frechet")
            if matched.count < _FEWEST:
                notes.append(f"{name}: left out, for {len(matched.real)} real samples are too few")
                continue
            reduced = material.once((self, *matched.of_what), partial(self._reduced, matched.real, matched.count))
            name = _named(kind, features, reduced)
            found[name] = matched.figures(_comparison(reduced), (self, "floor"))[""]
            notes.append(f"{name}: of {matched.count:,} samples in each set{self._few(matched, reduced)}")
            found |= self._within(kind, features, material, reduced)
            if self.options.extrapolate and len(matched.generated) >= 20:
                value = frechet_at_infinity(matched.generated, matched.real)
                found[f"{features.called('frechet')}/at-infinity"] = Figure(value=value)
        return Measured(found, notes=tuple(notes))

    def _within(
        self, kind: str, features: FeatureSets, material: Material, whole: PrincipalComponents | None
    ) -> dict[str, Figure]:
        """Of classes that have enough samples, all in as many components as the smallest of them allows."""
        sets = of_classes(material, features, self.spec.classes)
        sets = {name: one for name, one in sets.items() if one.count >= _FEWEST_OF_CLASS}
        if not sets:
            return {}
        smallest = min(one.count for one in sets.values())
        reduced = self._reduced(features.of(material.real), smallest, whole)
        figures = class_figures(sets, _comparison(reduced), self.options.listed, (self, "within", smallest))
        return {f"{_named(kind, features, reduced)}{end}": figure for (_, end), figure in figures.items()}

    def _few(self, matched: Matched, reduced: PrincipalComponents | None) -> str:
        size = matched.real.shape[1]
        return f", too few for all {size:,} features" if self.options.components is None and reduced else ""

    def _reduced(
        self, real: Tensor, samples: int, known: PrincipalComponents | None = None
    ) -> PrincipalComponents | None:
        """Principal components of `real` for sets of so many samples, the first of `known`; None: all features are compared."""
        size, count = real.shape[1], self.options.components
        if count is None:
            count = 0 if samples >= FEW * size else max(2, min(_MOST, samples // FEW))
        if not 0 < count < size:
            return None
        return PrincipalComponents.of(real, count) if known is None else known.first(count)


def _named(kind: str, features: FeatureSets, reduced: PrincipalComponents | None) -> str:
    return features.called("frechet") if reduced is None else f"frechet-{kind}-pca{reduced.directions.shape[1]}"


def _comparison(reduced: PrincipalComponents | None) -> Callable[[Tensor, Tensor], dict[str, float]]:
    """Compares two sets; moments of a set that is met again are computed once."""
    known: list[tuple[Tensor, Moments]] = []

    def moments(x: Tensor) -> Moments:
        for one, its in known:
            if one.shape == x.shape and one.data_ptr() == x.data_ptr():
                return its
        known.append((x, Moments.of(x if reduced is None else reduced(x))))
        return known[-1][1]

    return lambda ours, real: {"": frechet(moments(ours), moments(real))}
