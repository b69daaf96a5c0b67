"""The sets of samples that metrics compare: drawn from data, or generated."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gancore.components import DataSource, ProgressReport
from gancore.data.domains import content_of, sources_of
from gancore.data.sampler import Sampler
from gancore.data.spec import SampleSpec
from gancore.errors import DataError
from gancore.evaluation.records import LogLikelihood, Samples
from gancore.powers import TellsLikelihood
from gancore.random import Draws
from gancore.sampling.generator import Generator

MOST_TRAINED_ON = 20_000
"""Training samples that metrics are shown, at most."""
MOST_BYTES = 1 << 30
"""Memory that those may take; where samples are large, there are fewer of them."""
CHUNK = 256
"""Samples read at once."""


def compare(spec: SampleSpec, other: SampleSpec, name: str, whose: str = "the run's") -> list[str]:
    """What to know of data whose spec is not quite `spec`. DataError where they cannot be compared."""
    fields = ("shape", "dtype", "value_range")
    if not spec.adopts(other):
        unlike = [
            f"{k} is {getattr(other, k)}, {whose} {getattr(spec, k)}"
            for k in fields
            if getattr(other, k) != getattr(spec, k)
        ]
        told = f"data '{name}' cannot be compared with what was generated: {'; '.join(unlike)}"
        raise DataError(f"{told}; name data of the same form")
    strange = sorted({*other.classes} - {*spec.classes}) if spec.classes else []
    if strange:
        advice = f"leave them out, or name them as the run does: {', '.join(spec.classes)}"
        raise DataError(f"data '{name}' have classes that the run does not know ({', '.join(strange)}); {advice}")
    before, now = spec.model_dump(mode="json"), other.model_dump(mode="json")
    known = {*fields, "classes", "domains", *spec.measured}
    rest = [k for k in before | now if k not in known and before.get(k) != now.get(k)]
    return [f"real: {name} differs from the training data in {', '.join(rest)}"] if rest else []


def renamed(labels: Tensor | None, theirs: SampleSpec, own: SampleSpec) -> Tensor | None:
    """Class indices of other data as those of the run, by the names of the classes."""
    if labels is None or not own.classes:
        return None
    return renumbered(labels, theirs.classes, own.classes)


def renumbered(numbers: Tensor, theirs: Sequence[str], own: Sequence[str]) -> Tensor:
    """Places in the names `theirs` as those of the same names in `own`, where all of them are."""
    return torch.tensor([own.index(name) for name in theirs])[numbers]


def affordable(source: DataSource) -> int:
    """How many of its samples metrics are shown, at most."""
    first, _ = source.fetch(torch.zeros(1, dtype=torch.int64), Draws(0, torch.zeros(1, dtype=torch.int64)))
    return min(MOST_TRAINED_ON, max(1, MOST_BYTES // (first.element_size() * first.numel())))


def draw(source: DataSource, rows: Tensor, count: int, seed: int, progress: ProgressReport, words: str) -> Samples:
    """`count` samples out of those at `rows`, drawn without replacement."""
    positions = torch.arange(count)
    drawn = rows[Sampler(len(rows), seed).indices(positions)]
    x, labels = [], []
    for part in positions.split(CHUNK):
        some, classes = source.fetch(drawn[part], Draws(seed, part))
        x.append(some)
        labels += [] if classes is None else [classes]
        progress(words, int(part[-1]) + 1, count)
    content = content_of(source)
    return Samples(
        torch.cat(x), torch.cat(labels) if labels else None, None if content is None else content.numbers[drawn]
    )


def classes_for(real: Samples, train: Samples, count: int) -> Tensor | None:
    """The classes `[count]` int64 of samples to generate, those of the real ones; None without classes."""
    like = real if real.condition is not None else train
    return None if like.condition is None else like.condition[torch.arange(count) % len(like)]


def given_for(spec: SampleSpec, real: Samples, train: Samples, count: int) -> Samples | None:
    """What `count` samples are generated around: the real ones, or where there are domains samples of another domain than theirs.

    Those of the first again where more are made; None where nothing is given.

    Raises:
        UsageError: there are no samples of another domain.
    """
    if spec.given_shape is None:
        return None
    if not spec.domains:
        return real.part(torch.arange(count) % len(real))
    wanted = classes_for(real, train, count)
    assert wanted is not None
    # Other data may all be of one domain; then what was trained on is translated to it.
    pool = real if real.condition is not None and len(real.condition.unique()) > 1 else train
    assert pool.condition is not None
    return pool.part(sources_of(wanted, pool.condition))


def generate(generator: Generator, real: Samples, train: Samples, count: int, seed: int) -> Samples:
    """`count` samples of the classes of the real ones, and around what these give, or samples of other domains: see `given_for`."""
    labels = classes_for(real, train, count)
    given = given_for(generator.spec, real, train, count)
    return Samples(
        generator.sample(count, seed=seed, condition=labels, given=None if given is None else given.x), labels
    )


def log_likelihood(generator: Generator) -> LogLikelihood | None:
    """The generator's own, where it can tell."""
    if not isinstance(generator.module, TellsLikelihood):
        return None
    return lambda samples: generator.log_likelihood(samples.x, samples.condition)
