"""Sets of equal size to compare, and two sets of real samples that are compared in the same way: the floor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from gancore.evaluation.records import FeatureSets, Figure, Material

Compare = Callable[[Tensor, Tensor], Mapping[str, float]]
"""Figures of generated features `[n, size]` held against real ones `[n, size]`."""


@dataclass(frozen=True, slots=True)
class Matched:
    """Features of the sets of an evaluation in sets of `count`, as many as can be had of all of them.

    Distances depend on the number of samples, so all that stand in one row are of the same. The floor is that of training samples
    against real ones where these were held out and there are enough; otherwise the real ones are halved, and the
    figure of generated samples is the mean of those against each half.
    """

    generated: Tensor
    real: Tensor
    others: Mapping[str, Tensor]
    spare: Tensor | None
    count: int

    @classmethod
    def of(cls, material: Material, features: FeatureSets) -> Matched:
        """Those of the samples of `material`."""
        generated, real = features.of(material.generated), features.of(material.real)
        others = {name: features.of(samples) for name, samples in material.others.items()}
        count = min(len(generated), len(real))
        begin = 0 if material.held_out else len(real)  # otherwise the real samples are the first of the training set
        spare = None
        train = features.of(material.train)
        if len(train) - begin >= count > 0:
            spare = train[begin : begin + count]
        else:
            count = min(count, len(real) // 2)
        return cls(generated, real, others, spare, count)

    def figures(self, compare: Compare) -> dict[str, Figure]:
        """What `compare` says of the generated samples, those of the other generators, and the floor."""
        value = self._compare(self.generated, compare)
        others = {name: self._compare(features, compare) for name, features in self.others.items()}
        if self.spare is None:
            floor = compare(self.real[: self.count], self.real[len(self.real) - self.count :])
        else:
            floor = compare(self.spare, self.real[: self.count])
        return {
            name: Figure(
                value=number, floor=floor[name], others={other: found[name] for other, found in others.items()}
            )
            for name, number in value.items()
        }

    def _compare(self, features: Tensor, compare: Compare) -> dict[str, float]:
        sets = [(features[: self.count], self.real[: self.count])]
        if self.spare is None:
            sets.append((features[len(features) - self.count :], self.real[len(self.real) - self.count :]))
        found = [compare(ours, real) for ours, real in sets]
        return {name: sum(one[name] for one in found) / len(found) for name in found[0]}


def by_features(material: Material, compare: Compare) -> dict[str, Figure]:
    """Figures of `compare` for each kind of features, by the name of the figure and that of the features: `mind-lite0`."""
    found: dict[str, Figure] = {}
    for features in material.features.values():
        matched = Matched.of(material, features)
        if matched.count < 2:
            continue
        found |= {features.called(name): figure for name, figure in matched.figures(compare).items()}
    return found
