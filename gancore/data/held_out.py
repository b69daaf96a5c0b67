"""The part of a data set that is kept from training, so that a generator can be compared with what it never saw."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gancore.components import DataSource
from gancore.errors import DataError, PluginError
from gancore.powers import Grouped, HasDomains, Labelled
from gancore.random import Draws, derive, uniform


@dataclass(frozen=True, slots=True)
class Split:
    """Indices into a data set, int64 and rising: those to train on, and those that are held out."""

    train: Tensor
    held_out: Tensor


def split(source: DataSource, share: float) -> Split:
    """Hold out about `share` of the groups of `source`, in [0, 1); of each domain at least one, and never all. Nothing where it is 0.

    A group is held out where a hash of its number, as uniform in [0, 1), lies below `share`. No seed of a run takes part: runs
    with different seeds are compared with the same samples. What a smaller share holds out, a larger one does too. A group that has
    samples of several domains is held out in all of them.

    Raises:
        DataError: there are fewer than two groups, or of a domain.
        PluginError: the groups or domains that the data set states are not int64 `[len(source)]`.
    """
    count = len(source)
    if not share:
        return Split(torch.arange(count), torch.arange(0))
    groups, which = torch.unique(groups_of(source), return_inverse=True)
    domains = domains_of(source)
    sides = [which] if domains is None else [which[domains == n] for n in range(len(source.spec.domains))]
    hashed = uniform(derive(0, "held-out"), groups, 1)[:, 0]
    out = hashed < share
    for number, side in enumerate(sides):
        own = side.unique()
        if len(own) < 2:
            some = len(side)
            what = "1 sample" if some == 1 else f"{some:,} samples that belong together (parts or copies of one item)"
            whose = "" if domains is None else f" of domain '{source.spec.domains[number]}'"
            raise DataError(
                f"{source.report.source}: held_out={share:g} cannot be kept from training, for the data{whose} are {what}; "
                "take more data, or held_out=0"
            )
        out[own[hashed[own].argmin()]] = True
    for side in sides:  # rather train on too much than on nothing
        own = side.unique()
        if bool(out[own].all()):
            out[own[hashed[own].argmax()]] = False
    rows = out[which]
    return Split((~rows).nonzero()[:, 0], rows.nonzero()[:, 0])


def groups_of(source: DataSource) -> Tensor:
    """The number of the group of each sample, `[len(source)]` int64: the data set's own, else each sample is one.

    Raises:
        PluginError: what the data set states is something else.
    """
    groups = source.groups if isinstance(source, Grouped) else None
    if groups is None:
        return torch.arange(len(source))
    if not isinstance(groups, Tensor) or groups.dtype is not torch.int64 or groups.shape != (len(source),):
        form = f"{groups.dtype} {list(groups.shape)}" if isinstance(groups, Tensor) else type(groups).__name__
        raise PluginError(f"{type(source).__name__}.groups must be an int64 tensor [{len(source)}], not {form}")
    return groups


def domains_of(source: DataSource) -> Tensor | None:
    """The domain of every sample, `[len(source)]` int64, where the data set's spec names domains.

    Raises:
        PluginError: what the data set states is something else, or there is a domain of which it has no sample.
    """
    names = source.spec.domains
    if not names:
        return None
    if isinstance(source, Subset):
        whole = domains_of(source.source)
        return None if whole is None else whole[source.rows]
    found = source.domains if isinstance(source, HasDomains) else None
    if not isinstance(found, Tensor) or found.dtype is not torch.int64 or found.shape != (len(source),):
        form = f"{found.dtype} {list(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise PluginError(
            f"{type(source).__name__}.domains must be an int64 tensor [{len(source)}], for its spec has domains, not {form}"
        )
    numbers = found.unique().tolist()
    if numbers != list(range(len(names))):
        raise PluginError(
            f"{type(source).__name__}.domains has the numbers {', '.join(map(str, numbers[:8]))}; of the domains {', '.join(names)}, "
            f"numbered 0 to {len(names) - 1}, each needs samples, and there are no others"
        )
    return found


class Subset:
    """A `DataSource` of some samples of another: the i-th is that at `rows[i]`, `rows` `[len]` int64."""

    def __init__(self, source: DataSource, rows: Tensor) -> None:
        self.source = source
        self.rows = rows
        self.spec = source.spec
        self.report = source.report
        self.in_memory = source.in_memory

    def __len__(self) -> int:
        return len(self.rows)

    def fetch(self, indices: Tensor, draws: Draws) -> tuple[Tensor, Tensor | None]:
        """Samples `[batch, ...]` and class indices `[batch]`, or None, at `indices` `[batch]` of this part."""
        return self.source.fetch(self.rows[indices], draws)


def both_parts(source: DataSource, share: float) -> tuple[DataSource, DataSource | None]:
    """`source` without what `share` holds out, as the report then says, and what that is; `source` and None where it is 0."""
    if not share:
        return source, None
    parts = split(source, share)
    part = Subset(source, parts.train)
    part.report = replace(source.report, used=len(parts.train), held_out=len(parts.held_out))
    return part, Subset(source, parts.held_out)


def labels_of(source: DataSource) -> Tensor | None:
    """The class of every sample, `[len(source)]` int64, where the data set has them in an attribute `labels`."""
    if isinstance(source, Subset):
        whole = labels_of(source.source)
        return None if whole is None else whole[source.rows]
    labels = source.labels if isinstance(source, Labelled) else None
    fits = isinstance(labels, Tensor) and labels.shape == (len(source),) and not labels.is_floating_point()
    return labels if fits else None
