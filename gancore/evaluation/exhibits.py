"""Samples to look at beside the figures: those nearest to training samples, and the best and worst by density."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from gancore.data.spec import SampleSpec
from gancore.evaluation.neighbours import nearest, neighbourhoods
from gancore.evaluation.records import FeatureSets, Material, Samples
from gancore.evaluation.summary import of_place

_LOOKED_AT = 1000
"""Generated and real samples that are looked at, at most."""
_ROWS = 4
"""Samples that are shown of each sort beside their neighbours ..."""
_NEIGHBOURS = 3
"""... and how many of these."""
_IN_A_ROW = 8
K = 5


@dataclass(frozen=True, slots=True)
class Exhibit:
    """Samples that belong on one sheet, `columns` in a row, each with its caption, under the title; `name` is for the file."""

    name: str
    title: str
    samples: Samples
    captions: tuple[str, ...]
    columns: int


def exhibits(material: Material, spec: SampleSpec, place: str = "") -> list[Exhibit]:
    """Those of the first kind of features; none without. `place` is where `material.train` are from, if not the training set."""
    for kind, features in material.features.items():
        found = _copies(material, kind, features, spec.classes, place), _best(material, kind, features, spec.classes)
        return [one for one in found if one is not None]
    return []


def _copies(material: Material, kind: str, features: FeatureSets, classes: Sequence[str], place: str) -> Exhibit | None:
    train = features.of(material.train)
    beside = min(_NEIGHBOURS, len(train))
    if len(material.generated) < 2 * _ROWS or not beside:
        return None
    distances = features.nearest(material.generated, _LOOKED_AT)
    order = distances.argsort(stable=True)
    middle = len(order) // 2 - _ROWS // 2
    chosen = torch.cat([order[:_ROWS], order[max(_ROWS, middle) :][:_ROWS]])
    parts, captions = [], []
    for number in chosen.tolist():
        found = features.neighbours(material.generated, number, beside, float(distances[number]))
        for one, words in (
            (material.generated.part(torch.tensor([number])), ["generated"]),
            (material.train.part(found.places[0]), [f"{d:.3g} away" for d in found.distances[0].tolist()]),
        ):
            parts.append(one)
            captions += _named(words, one, classes)
    there = of_place("samples", place)
    title = (
        f"Are they copies? Each row begins with a generated sample; after it come the {beside} of {len(train):,} {there} that "
        f"are nearest to it by {kind}. First the {_ROWS} of {len(order):,} that lie nearest to one, then {_ROWS} from the middle."
    )
    return Exhibit("nearest", title, _joined(parts), tuple(captions), beside + 1)


def _best(material: Material, kind: str, features: FeatureSets, classes: Sequence[str]) -> Exhibit | None:
    ours, real = features.of(material.generated)[:_LOOKED_AT], features.of(material.real)[:_LOOKED_AT]
    if len(ours) < 2 * _IN_A_ROW or len(real) <= K:
        return None
    among = neighbourhoods(ours, real, K)
    # Of those that lie in as many, the one nearest to a real sample is the better one.
    away = nearest(ours, real).distances[:, 0]
    order = away.argsort(stable=True)
    order = order[among[order].argsort(descending=True, stable=True)]
    chosen = torch.cat([order[:_IN_A_ROW], order[-_IN_A_ROW:]])
    samples = material.generated.part(chosen)
    if among.any():
        words = [f"in {count}" for count in among[chosen].tolist()]
        title = (
            f"Best and worst: in how many neighbourhoods of {len(real):,} real samples each lies, by {kind}. First the {_IN_A_ROW} "
            f"of {len(ours):,} generated samples that lie in the most, then {_IN_A_ROW} that lie in the fewest."
        )
    else:
        words = [f"{distance:.3g} away" for distance in away[chosen].tolist()]
        title = (
            f"Best and worst: none of {len(ours):,} generated samples lies in the neighbourhood of any of {len(real):,} real ones, by "
            f"{kind}. First the {_IN_A_ROW} that are the least far away from one, then the {_IN_A_ROW} farthest."
        )
    return Exhibit("best-and-worst", title, samples, tuple(_named(words, samples, classes)), _IN_A_ROW)


def _named(words: Sequence[str], samples: Samples, classes: Sequence[str]) -> list[str]:
    """Each of `words` behind the name of the sample's class, where there are classes."""
    if samples.condition is None or not classes:
        return list(words)
    return [f"{classes[number]}: {one}" for number, one in zip(samples.condition.tolist(), words, strict=True)]


def _joined(parts: Sequence[Samples]) -> Samples:
    classes = [one.condition for one in parts if one.condition is not None]
    return Samples(torch.cat([one.x for one in parts]), torch.cat(classes) if len(classes) == len(parts) else None)
