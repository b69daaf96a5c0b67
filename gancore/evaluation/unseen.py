"""Whether samples that are called unseen are: by where they lie, and by what they hold."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import torch
from torch import Tensor

from gancore.components import DataSource
from gancore.data.fingerprint import fingerprint
from gancore.evaluation.features import digests, places
from gancore.evaluation.records import Samples
from gancore.random import Draws

_SHARE = 0.1
"""Of samples that are equal to others by more than chance, from which on they count as the same data."""


def inside(path: Path | None, other: Path | None, what: str) -> str:
    """How `path` lies in `other`, which is `what`, or around it, in words; empty where they are apart."""
    if path is None or other is None:
        return ""
    own, theirs = path.resolve(), other.resolve()
    if own.is_relative_to(theirs):
        return f"'{path}' lies inside {what}"
    return f"'{path}' holds {what}" if theirs.is_relative_to(own) else ""


def found_in(samples: Samples, train: Samples) -> Tensor:
    """For each of `samples` the number of the first of `train` that is equal to it, -1 without one: int64 `[n]`."""
    return places(digests(samples.x), digests(train.x))


def why_seen(
    samples: Samples, theirs: DataSource, train: Samples, source: DataSource, size: int, where: str = ""
) -> str:
    """Why `samples` of the data `theirs` are no unseen ones, in words; empty where nothing says so.

    `train` are some of the `size` samples of `source` that were trained on. `where` says how the files lie, if not apart.
    """
    keys = digests(train.x)
    equal = places(digests(samples.x), keys) >= 0
    if where:
        # What an option left out of the training, or was held out, may lie inside and be unseen all the same.
        apart = len(train) == size and not bool(equal.any()) and not _draws(source)
        return "" if apart else where
    times = Counter(keys)
    by_chance = sum(times[key] > 1 for key in keys) / max(1, len(keys))
    share = float(equal.double().mean()) if len(equal) else 0.0
    if share - by_chance >= _SHARE * len(train) / max(1, size):
        return f"{100 * share:.3g}% of the samples of {theirs.report.source} are equal to training samples"
    return f"{theirs.report.source} are the training data" if fingerprint(theirs) == fingerprint(source) else ""


def _draws(source: DataSource) -> bool:
    """Whether samples of `source` are different each time, such as windows of a long file."""
    rows = torch.arange(min(8, len(source)))
    (one, _), (other, _) = (source.fetch(rows, Draws(seed, rows)) for seed in (0, 1))
    return not torch.equal(one, other)
