"""What generated samples are held against: real samples, and those that were trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gancore.components import DataSource, ProgressReport
from gancore.data.domains import content_of
from gancore.data.held_out import split
from gancore.data.spec import SampleSpec
from gancore.evaluation.records import Part, Samples
from gancore.evaluation.sets import affordable, draw, renamed, renumbered
from gancore.evaluation.unseen import found_in, why_seen
from gancore.random import derive

FEWEST = 100
"""Samples that are generated where there are fewer real ones, unless said otherwise: what is looked for in each of them needs some."""
NOT_HELD_OUT = (
    "real: the training set, because nothing was held out; a generator that copies it looks perfect. Train with held_out=0.1, "
    "or give other data"
)
SEEN = (
    "they are no unseen data, and a generator that copies them looks perfect. Give data that the run has not seen, or none for "
    "the part that was held out"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """Real samples to hold generated ones against, and where they are from; made once, whatever is held against it.

    `count` is how many samples to generate for it; there are at most as many `real` ones. Unless they are
    `unseen`, the first of `train` are these, or are equal to some. `held_out` is the share that the run keeps from training. See
    `EvaluationProtocol` for the rest.
    """

    real: Samples
    train: Samples
    count: int
    part: Part
    source: str
    size: int
    train_source: str
    train_size: int
    unseen: bool
    held_out: float = 0.0
    place: str = ""
    """Where `train` are from, if that is not known to be the generator's training set."""
    labels: Tensor | None = None
    """Classes `[n]` of `train`, for features that learn them, where `train` is without because generated samples are."""
    notes: tuple[str, ...] = ()


def reference_of_run(
    source: DataSource,
    held_out: float,
    *,
    usual: int,
    count: int | None = None,
    shown: int | None = None,
    other: Callable[[], DataSource] | None = None,
    lies: str = "",
    seed: int,
    progress: ProgressReport,
) -> Reference:
    """The samples of the data that `other` opens, else what was held out of `source`, else its training set.

    Other data that were trained on are recognised, and not called unseen; `lies` says how their files lie, if not apart.
    `source` is what a run was trained on. `count` samples will be generated; without it as many as there are real ones, from 100
    to `usual`. At most `shown` samples that were trained on are drawn; without it, as many as metrics can be shown.
    """
    parts = split(source, held_out)
    shown = min(len(parts.train), affordable(source), shown or len(parts.train))
    train = draw(source, parts.train, shown, derive(seed, "evaluate", "train"), progress, "reading training data")
    notes: tuple[str, ...] = ()
    if other is not None:
        part: Part = "other data"
        where = other()
        rows = torch.arange(len(where))
    elif len(parts.held_out):
        part, where, rows = "held-out part", source, parts.held_out
    else:
        part, where, rows = "training set", source, parts.train
        notes = (NOT_HELD_OUT,)
    count = count or min(usual, max(FEWEST, len(rows)))
    if part == "training set":
        real = train.part(slice(count))
    else:
        found = draw(
            where, rows, min(count, len(rows)), derive(seed, "evaluate", "real"), progress, "reading real samples"
        )
        real = adopted(found, where.spec, source.spec)
        if where is not source:
            real = replace(real, content=_recounted(real.content, where, source))
    unseen = part != "training set"
    if part == "other data" and (why := why_seen(real, where, train, source, len(parts.train), lies)):
        unseen, notes = False, (f"real: {why}; {SEEN}",)
        same = found_in(train, real) >= 0
        train = train.part(torch.cat([same.nonzero()[:, 0], (~same).nonzero()[:, 0]]))  # as where nothing was held out
    return Reference(
        real=real,
        train=train,
        count=count,
        part=part,
        source=where.report.source,
        size=len(rows),
        train_source=source.report.source,
        train_size=len(parts.train),
        unseen=unseen,
        held_out=held_out,
        notes=notes,
    )


def adopted(samples: Samples, theirs: SampleSpec, own: SampleSpec) -> Samples:
    """Samples of other data as those of `own`, with the numbers that their classes have there."""
    return replace(samples, x=own.adopt(samples.x, theirs), condition=renamed(samples.condition, theirs, own))


def _recounted(content: Tensor | None, theirs: DataSource, own: DataSource) -> Tensor | None:
    """What samples of other data show, by the numbers that it has in a run's own; None where these do not know all of it."""
    there, here = content_of(theirs), content_of(own)
    if content is None or there is None or here is None or {*there.names} - {*here.names}:
        return None
    return renumbered(content, there.names, here.names)
