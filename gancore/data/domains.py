"""Data of several domains, between which samples are translated: what a generator is given is then a sample of another domain."""

from __future__ import annotations

import torch
from torch import Tensor

from gancore.components import DataSource
from gancore.data.batch import Batch
from gancore.data.classes import Content
from gancore.data.held_out import Subset, domains_of, groups_of, labels_of
from gancore.data.spec import SampleSpec
from gancore.errors import PluginError, UsageError
from gancore.powers import Grouped, HasContent
from gancore.random import Draws, derive, uniform


class InDomains:
    """A `DataSource` whose classes are the domains of another, so that networks are told to which domain a sample belongs.

    `domains` `[len]` int64 are those of all samples; `content` is what else is known of them, which no network is told, or None.
    """

    def __init__(self, source: DataSource, names: tuple[str, ...], domains: Tensor, content: Content | None) -> None:
        self.source, self.domains, self.content = source, domains, content
        self.spec = source.spec.model_copy(update={"domains": names, "classes": names})
        self.report, self.in_memory = source.report, source.in_memory
        self.labels = domains
        self.groups = groups_of(source) if isinstance(source, Grouped) and source.groups is not None else None

    def __len__(self) -> int:
        return len(self.source)

    def fetch(self, indices: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Samples `[batch, ...]` and their domains `[batch]` int64 at `indices` `[batch]`."""
        return self.source.fetch(indices, draws)[0], self.domains[indices]


def in_domains(source: DataSource, *, translating: str = "", like: SampleSpec | None = None) -> DataSource:
    """`source` by its domains, where it has some; with the name of a game that is `translating`, its classes are taken for them.

    `like` is the spec of other data, of whose domains these may have but some.

    Raises:
        UsageError: a game that is translating needs two domains, and there are none.
    """
    spec = source.spec
    if isinstance(source, InDomains):
        return source
    if (own := domains_of(source)) is not None:
        labels = labels_of(source) if spec.classes else None
        known = _checked(source) or (None if labels is None else Content(labels, spec.classes))
        return InDomains(source, spec.domains, own, known)
    if not translating:
        return source
    labels = labels_of(source)
    if len(spec.classes) < (2 if like is None else 1) or labels is None:
        if spec.classes and labels is None:
            found = "do not say of which class each sample is"
        elif spec.classes:
            found = f"have one class, '{spec.classes[0]}'"
        else:
            found = (
                "have no classes (one folder alone makes none, nor does one beside others in which no file can be read)"
            )
        if like is not None:
            raise UsageError(
                f"this run translates between {', '.join(like.domains or like.classes)}, which are the classes of its data, and those "
                f"of '{source.report.source}' {found}; give a folder with a folder of files for each"
            )
        raise UsageError(
            f"game '{translating}' translates samples of one domain to another, domains are the classes of the data, and those of "
            f"'{source.report.source}' {found}; give a folder with a folder of files for each domain (data/summer, data/winter), or "
            "take another game"
        )
    return InDomains(source, spec.classes, labels, _checked(source))


def content_of(source: DataSource) -> Content | None:
    """What the samples of `source` show beside their domains, where it is known."""
    if isinstance(source, Subset):
        whole = content_of(source.source)
        return None if whole is None else Content(whole.numbers[source.rows], whole.names)
    return source.content if isinstance(source, InDomains) else None


def _checked(source: DataSource) -> Content | None:
    """The content that a data set states; raises `PluginError` where it is something else."""
    content = source.content if isinstance(source, HasContent) else None
    if content is None:
        return None
    numbers = content.numbers if isinstance(content, Content) else None
    fits = isinstance(numbers, Tensor) and numbers.dtype is torch.int64 and numbers.shape == (len(source),)
    if numbers is None or not fits or (len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(content.names)):
        raise PluginError(
            f"{type(source).__name__}.content must be a Content whose numbers are an int64 tensor [{len(source)}] of places in its "
            f"names, not {content!r:.100}"
        )
    return content


def with_given(batch: Batch, spec: SampleSpec, seed: int) -> Batch:
    """`batch` with what the generator is given of it: a part of each sample, or where there are domains a sample of another one.

    Of K domains, which take turns, each sample's partner comes from the same turn; which of the K - 1 others it is follows from
    `seed` and the sample's position.
    """
    if not spec.domains:
        return batch if spec.given_shape is None else batch.giving(spec.given_part(batch.x))
    assert batch.domain is not None
    count = batch.domains
    turn = torch.div(batch.positions, count, rounding_mode="floor").cpu()
    shift = torch.ones_like(turn)
    if count > 2:
        shift += (uniform(derive(seed, "partners"), turn, 1)[:, 0] * (count - 1)).long().clamp(max=count - 2)
    row = torch.arange(len(batch))
    partner = (row - row % count + (row + shift) % count).to(batch.positions.device)
    return batch.giving(batch.x[partner], batch.domain[partner])


def sources_of(targets: Tensor, pool: Tensor) -> Tensor:
    """Which sample is translated for each of `targets`, domains int64 `[n]`: numbers `[n]` of samples whose domains are `pool` `[m]`.

    Those of other domains are taken in turn, from the beginning again where there are fewer.

    Raises:
        UsageError: all samples are of the domain that one is to be translated to.
    """
    found = torch.empty_like(targets)
    for target in targets.unique().tolist():
        others = (pool != target).nonzero()[:, 0]
        if not len(others):
            raise UsageError(
                "there is no sample of another domain that could be translated; give samples of all domains"
            )
        rows = (targets == target).nonzero()[:, 0]
        found[rows] = others[torch.arange(len(rows)) % len(others)]
    return found
