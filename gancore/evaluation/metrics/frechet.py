"""The metric `frechet`: Fréchet distance of features, of as many dimensions as there are samples for."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field
from torch import Tensor

from gancore.data.spec import SampleSpec
from gancore.evaluation.distances import FEW, Moments, PrincipalComponents, frechet, frechet_at_infinity
from gancore.evaluation.matched import Matched
from gancore.evaluation.records import Figure, Material, Measured
from gancore.options import Options as BaseOptions

_MOST = 64
"""Principal components, where there are too few samples for all features."""


class Options(BaseOptions):
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

    Sets of equal size are compared, and a note tells the size: only figures of the same size and the same features can be compared.
    """

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        self.options = options

    def __call__(self, material: Material) -> Measured:
        """The figures by their names."""
        found: dict[str, Figure] = {}
        notes = []
        for kind, features in material.features.items():
            matched, name = Matched.of(material, features), features.called("frechet")
            if matched.count < 4:
                notes.append(f"{name}: left out, for {len(matched.real)} real samples are too few")
                continue
            size = matched.real.shape[1]
            reduced = self._reduced(matched)
            if reduced is not None:
                name = f"frechet-{kind}-pca{reduced.directions.shape[1]}"
            found[name] = matched.figures(_comparison(reduced))[""]
            few = f", too few for all {size:,} features" if self.options.components is None and reduced else ""
            notes.append(f"{name}: of {matched.count:,} samples in each set{few}")
            if self.options.extrapolate and len(matched.generated) >= 20:
                value = frechet_at_infinity(matched.generated, matched.real)
                found[f"{features.called('frechet')}/at-infinity"] = Figure(value=value)
        return Measured(found, notes=tuple(notes))

    def _reduced(self, matched: Matched) -> PrincipalComponents | None:
        size, count = matched.real.shape[1], self.options.components
        if count is None:
            count = 0 if matched.count >= FEW * size else max(2, min(_MOST, matched.count // FEW))
        return PrincipalComponents.of(matched.real, count) if 0 < count < size else None


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
