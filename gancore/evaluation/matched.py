"""Sets of equal size to compare, and two sets of real samples that are compared in the same way: the floor."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MethodType
from typing import Any

from pydantic import Field
from torch import Tensor

from gancore.evaluation.records import FeatureSets, Figure, Material, Samples
from gancore.options import Options

Compare = Callable[[Tensor, Tensor], Mapping[str, float]]
"""Figures of generated features `[n, size]` held against real ones `[n, size]`."""


def size_of_sets(generated: int, real: int, spare: int) -> tuple[int, bool]:
    """How many of so many generated and real samples are compared, and whether as many `spare` real ones are there for a floor."""
    count = min(generated, real)
    return (count, True) if 0 < count <= spare else (min(count, real // 2), False)


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
    material: Material
    of_what: tuple[Any, ...]
    """The features and the class of the sets."""

    @classmethod
    def of(cls, material: Material, features: FeatureSets, number: int | None = None) -> Matched:
        """Those of the samples of `material`, or of its class `number` alone."""

        def rows(samples: Samples, begin: int = 0) -> Tensor:
            found = features.of(samples)
            if number is not None and samples.condition is not None:
                return found[begin:][samples.condition[begin : len(found)] == number]
            return found[begin:]

        generated, real = rows(material.generated), rows(material.real)
        others = {name: rows(samples) for name, samples in material.others.items()}
        # Real samples that were not held out are the first of the training set.
        spare = rows(material.train, 0 if material.held_out else len(material.real))
        count, enough = size_of_sets(len(generated), len(real), len(spare))
        of_what = (features, number, count)
        return cls(generated, real, others, spare[:count] if enough else None, count, material, of_what)

    def figures(self, compare: Compare, key: Hashable = None) -> dict[str, Figure]:
        """What `compare` says of the generated samples, those of the other generators, and the floor.

        The floor is computed once for the same real samples and `key`; a method of a metric needs none.
        """
        value = self._compare(self.generated, compare)
        others = {name: self._compare(features, compare) for name, features in self.others.items()}
        other = self.real[len(self.real) - self.count :]
        sets = (self.real[: self.count], other) if self.spare is None else (self.spare, self.real[: self.count])
        if key is None and isinstance(compare, MethodType):
            key = compare
        floor = compare(*sets) if key is None else self.material.once((key, *self.of_what), lambda: compare(*sets))
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


class ClassOptions(Options):
    """The option of metrics that also have figures of single classes."""

    listed: int = Field(
        10, ge=0, le=10_000, description="Figures of single classes are given for so many classes at most."
    )


def by_classes(material: Material, compare: Compare, classes: Sequence[str], listed: int) -> dict[str, Figure]:
    """Figures of `compare` among the samples of a class, for each kind of features: `mind-lite0/within-classes`, `mind-lite0/cat`.

    The first is the mean over the classes. See `of_classes`.
    """
    found: dict[str, Figure] = {}
    for features in material.features.values():
        figures = class_figures(of_classes(material, features, classes), compare, listed)
        found |= {f"{features.called(name)}{end}": figure for (name, end), figure in figures.items()}
    return found


def of_classes(material: Material, features: FeatureSets, classes: Sequence[str]) -> dict[str, Matched]:
    """The sets of each class, by its name: of those with two samples to compare; none without labels, or of one class alone."""
    sets = (material.generated, material.real, material.train, *material.others.values())
    if any(one.condition is None for one in sets) or material.real.condition is None:
        return {}
    numbers = material.real.condition.unique().tolist()
    matched = {classes[number]: Matched.of(material, features, number) for number in numbers if len(numbers) > 1}
    return {name: one for name, one in matched.items() if one.count >= 2}


def class_figures(
    sets: Mapping[str, Matched], compare: Compare, listed: int, key: Hashable = None
) -> dict[tuple[str, str], Figure]:
    """Figures of `compare`, by name and ending: the mean over the classes and, where these are at most `listed`, each class."""
    found = {name: matched.figures(compare, key) for name, matched in sets.items()}
    each = [*found.values()]
    means = {(name, "/within-classes"): _mean([one[name] for one in each]) for name in (each[0] if each else ())}
    if len(each) > listed:
        return means
    return means | {(name, f"/{of}"): figure for of, figures in found.items() for name, figure in figures.items()}


def _mean(figures: Sequence[Figure]) -> Figure:
    def mean(values: Sequence[float | None]) -> float:
        numbers = [value for value in values if value is not None]
        return sum(numbers) / len(numbers)

    return Figure(
        value=mean([one.value for one in figures]),
        floor=mean([one.floor for one in figures]),
        others={name: mean([one.others[name] for one in figures]) for name in figures[0].others},
    )
