"""A check that what is held out stays out: no sample to train on changes when those that are held out do."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, MutableMapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gancore.components import Dataset, DataSource
from gancore.data.held_out import Split, split
from gancore.errors import DataError
from gancore.random import Draws, derive
from gancore.testing.check import Mismatch, NotApplicable, check
from gancore.testing.data import MOST_DECODED, MOST_IN_MEMORY
from gancore.testing.kit import Kit
from gancore.testing.places import defined

SHARE = 0.3
"""Of the data set, held out."""
DEPTH = 4
"""How deep in a data set's attributes its samples are looked for."""


@check(
    "data.held_out",
    "gan_datasets",
    "a sample to train on is the same whatever the samples are that are held out",
    lambda kit: kit.subjects(Dataset),
)
def data_held_out(kit: Kit, subject: str) -> None:
    for name in ("data.counted", "data.travels"):
        kit.passed(name, subject)
    source = kit.dataset(subject)
    try:
        parts = split(source, SHARE)
    except DataError as error:
        raise NotApplicable("its samples all belong together, and none can be held out") from error
    altered = pickle.loads(pickle.dumps(source))
    if not _replace(altered, parts, len(source)):
        raise NotApplicable("it holds nothing sample by sample that could be replaced")
    most = MOST_IN_MEMORY if source.in_memory else MOST_DECODED
    out, train = (_spread(rows, most) for rows in (parts.held_out, parts.train))
    try:
        seen = not _same(_fetch(source, out), _fetch(altered, out))
        kept = _same(_fetch(source, train), _fetch(altered, train))
    except Exception as error:
        raise NotApplicable("what it holds cannot be replaced sample by sample") from error
    if not kept:
        raise Mismatch(
            "fetch gives other samples to train on when those that are held out are replaced: it mixes in samples of other "
            f"indices, and so trains on what the generator is compared with{defined(type(source))}"
        )
    if not seen:
        raise NotApplicable("its samples do not follow from what it holds sample by sample")


def _spread(rows: Tensor, most: int) -> Tensor:
    return rows[torch.linspace(0, len(rows) - 1, min(len(rows), most)).long()]


def _fetch(source: DataSource, rows: Tensor) -> tuple[Tensor, Tensor | None]:
    return source.fetch(rows, Draws(derive(5, "kit"), torch.arange(len(rows))))


def _same(a: tuple[Tensor, Tensor | None], b: tuple[Tensor, Tensor | None]) -> bool:
    labels = a[1] is None or b[1] is None or torch.equal(a[1], b[1])
    return labels and torch.equal(torch.nan_to_num(a[0]), torch.nan_to_num(b[0]))


def _replace(source: object, parts: Split, count: int) -> bool:
    """Put one sample to train on in the place of every one that is held out, in all that `source` holds by sample."""
    rows, other = parts.held_out, int(parts.train[0])
    found = False
    for place, key, value in _held(vars(source), DEPTH, set()):
        if len(value) != count:
            continue
        if isinstance(value, Tensor):
            value = value.clone()
            value[rows] = value[other].clone()
        elif isinstance(value, np.ndarray):
            value = np.array(value)
            value[rows.numpy()] = value[other].copy()
        else:
            replaced = set(rows.tolist())
            value = type(value)(value[other if n in replaced else n] for n in range(count))
        place[key] = value
        found = True
    return found


def _held(place: MutableMapping[str, Any], depth: int, seen: set[int]) -> Iterator[tuple[Any, Any, Any]]:
    """Arrays, tensors, lists and tuples in attributes, and in attributes of what is found there, with where each is kept."""
    for key, value in list(place.items()):
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Tensor | np.ndarray | list) or type(value) is tuple:
            if np.ndim(value) if isinstance(value, np.ndarray) else not isinstance(value, Tensor) or value.dim():
                yield place, key, value
        elif isinstance(value, dict):
            yield from _held(value, depth - 1, seen) if depth else ()
        elif depth and key not in ("spec", "report") and isinstance(getattr(value, "__dict__", None), dict):
            yield from _held(vars(value), depth - 1, seen)
