"""The metric `nearest`: whether generated samples are copies of training samples."""

from __future__ import annotations

from collections import Counter

import torch
from pydantic import Field
from torch import Tensor

from gancore.data.spec import SampleSpec
from gancore.evaluation.distributions import nearer, overlap
from gancore.evaluation.features import places
from gancore.evaluation.records import FeatureSets, Figure, Material, Measured, Samples
from gancore.options import Options as BaseOptions


class Options(BaseOptions):
    """Options of the metric `nearest`."""

    limit: int = Field(
        1000, ge=2, le=1_000_000, description="How many generated and how many real samples are looked at, at most."
    )
    below: float | None = Field(
        None,
        ge=0.0,
        description="A sample nearer than this to one that was trained on counts as a near copy. When not given, what the features say "
        "where they have a distance of their own; otherwise a sample that is nearer than 99 in 100 real ones are.",
    )


class NearestSamples:
    """Distances of samples to the nearest training sample, by each kind of features `f`.

    - `nearest-f/exact`: share of samples that are equal to a training sample, as the features define it. For samples that may come
      again (`SampleSpec.repeats`), the real row is no less than the share of training samples that are equal to another.
    - `nearest-f/distance`: median distance; its overlap is that of the distributions.
    - `nearest-f/near`: share of samples that are near copies, or equal.
    - `nearest-f/nearer`: share of the pairs of a generated and a real sample in which the generated one lies nearer to the
      training set, ties counting half: 0.5 where they are alike, 1 where all generated are nearer.
    - `authenticity-f`: share of generated samples that are farther from the nearest training sample than that one is from its own
      neighbour (Alaa et al. 2022); 0 for copies.

    Where the real samples are not held out, each is compared with the training set without itself.
    """

    def __init__(self, options: Options, spec: SampleSpec) -> None:
        self.options = options
        self.spec = spec

    def __call__(self, material: Material) -> Measured:
        """The figures by their names."""
        found: dict[str, Figure] = {}
        for kind, features in material.features.items():
            found |= self._distances(material, kind, features)
        return Measured(found)

    def _distances(self, material: Material, kind: str, features: FeatureSets) -> dict[str, Figure]:
        limit = self.options.limit
        train = material.once((self, features, "train"), lambda: features.keys(material.train, len(material.train)))

        def distances_of_real() -> Tensor:
            # A sample that was trained on twice is a copy of the other one.
            itself = None if material.held_out else places(features.keys(material.real, limit), train)
            found = features.nearest(material.real, limit, itself)
            return found[torch.isfinite(found)]

        real = material.once((self, features, "real"), distances_of_real)
        if not len(real):
            return {}

        def equal(samples: Samples, distances: Tensor) -> Tensor:
            return (places(features.keys(samples, limit), train) >= 0) | (distances <= features.same)

        ours = features.nearest(material.generated, limit)
        others = {name: features.nearest(one, limit) for name, one in material.others.items()}
        below = self.options.below
        if below is None:
            below = float(real.quantile(0.01)) if features.near is None else features.near
        copies = equal(material.generated, ours)
        copies_of = {name: equal(material.others[name], one) for name, one in others.items()}
        equal_real = equal(material.real, real) if material.held_out else real <= features.same
        times, again, more = Counter(train), 0.0, 0.0
        if self.spec.repeats or not material.held_out:
            again = sum(times[key] > 1 for key in train) / len(train)
        if material.held_out:
            # Equal samples are held out together, so real ones do not show how often one rightly comes again.
            more = max(0.0, again - _share(equal_real))
        found = {
            f"nearest-{kind}/exact": Figure(
                value=_share(copies),
                real=max(again, _share(equal_real)),
                others={name: _share(one) for name, one in copies_of.items()},
            ),
            f"nearest-{kind}/distance": Figure(
                value=float(ours.median()),
                real=float(real.median()),
                overlap=overlap(ours.numpy(), real.numpy()),
                others={name: float(one.median()) for name, one in others.items()},
            ),
            f"nearest-{kind}/near": Figure(
                value=_share(copies | (ours < below)),
                real=_share(equal_real | (real < below)) + more,
                others={name: _share(copies_of[name] | (one < below)) for name, one in others.items()},
            ),
            f"nearest-{kind}/nearer": Figure(
                value=nearer(ours.numpy(), real.numpy()),
                real=0.5,
                others={name: nearer(one.numpy(), real.numpy()) for name, one in others.items()},
            ),
        }
        if (authentic := features.authenticity(material.generated, limit)) is not None:
            found[f"authenticity-{kind}"] = Figure(
                value=authentic,
                real=features.authenticity(material.real, limit) if material.held_out else None,
                others={
                    n: a for n, one in material.others.items() if (a := features.authenticity(one, limit)) is not None
                },
            )
        return found


def _share(chosen: Tensor) -> float:
    return float(chosen.double().mean()) if len(chosen) else 0.0
