"""From a data set to the batch of a step: read here or ahead of time by worker processes, the same bits either way."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gancore.blame import describe
from gancore.components import DataSource
from gancore.data.batch import Batch
from gancore.data.held_out import domains_of, labels_of
from gancore.data.sampler import BalancedSampler, DomainSampler, Order, Sampler
from gancore.errors import DataError, GanError, UsageError
from gancore.random import Draws, derive

PREFETCHED = 4
"""Batches that each worker keeps ready."""

_Item = tuple[Tensor, Tensor | None, Tensor]


@dataclass(frozen=True, slots=True)
class _Failure:
    """An exception on its way out of a worker process, as text: not every exception survives pickling."""

    message: str
    trace: str


class _Steps(Dataset[_Item | _Failure]):
    """One item for each step: samples, labels and positions of this rank's part of the batch."""

    def __init__(
        self, source: DataSource, batch_size: int, seed: int, rank: int, world: int, name: str, balance: bool
    ) -> None:
        self.name = name
        self.source = source
        classes = _classes(source, name) if balance else None
        self.sampler = _order(len(source), classes, seed)
        if (domains := domains_of(source)) is not None:
            members = [(domains == n).nonzero()[:, 0] for n in range(len(source.spec.domains))]
            orders = [
                _order(len(rows), None if classes is None else classes[rows], derive(seed, "domain", number))
                for number, rows in enumerate(members)
            ]
            self.sampler = DomainSampler(members, orders)
        self.seed = derive(seed, "data")
        self.batch_size = batch_size
        self.part = batch_size // world
        self.rank = rank

    def fetch(self, step: int) -> _Item:
        first = step * self.batch_size + self.rank * self.part
        positions = torch.arange(first, first + self.part)
        x, labels = self.source.fetch(self.sampler.indices(positions), Draws(self.seed, positions))
        return x, labels, positions

    def __getitem__(self, step: int) -> _Item | _Failure:
        try:
            return self.fetch(step)
        except Exception as error:
            return _Failure(self.sentence(step, error), traceback.format_exc())

    def sentence(self, step: int, error: Exception) -> str:
        cause = str(error) if isinstance(error, GanError) else describe(error)
        head = f"dataset '{self.name}': " if self.name else ""
        return f"{head}the batch of step {step} could not be read: {cause}"


def _order(length: int, classes: Tensor | None, seed: int) -> Order:
    """That of `length` samples; of `classes` `[length]`, each equally often, where they are given."""
    return Sampler(length, seed) if classes is None else BalancedSampler(classes, seed)


def _classes(source: DataSource, name: str) -> Tensor:
    """The class of every sample, `[len(source)]`. UsageError where these are not known."""
    labels = labels_of(source)
    if not source.spec.classes or labels is None:
        why = "do not say which sample is of which class" if source.spec.classes else "have no classes"
        raise UsageError(
            f"balance=true draws each class equally often, and the data of data set '{name}' {why}; say balance=false, or take data "
            "with classes"
        )
    return labels


def _start_worker(_worker: int) -> None:
    torch.set_num_threads(1)
    # These go to the whole group of processes; the main one finishes its step and then closes its workers.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def _as_is(item: Any) -> Any:
    return item


class Loader:
    """A `BatchSource`: the batch of step s holds the samples at positions [s * batch_size, (s + 1) * batch_size).

    Of them rank r of `world` gets the r-th contiguous part. With `workers` > 0 as many processes read ahead, from the
    first step that is asked for (`start`, usually) to `stop`; asking for any other than the next step starts them anew
    there. `name` is what errors call the data set; with `balance` each class is drawn equally often, and domains take turns in any
    case. Raises UsageError for sizes
    that do not fit together, and for classes that are not known, DataError when samples cannot be read.
    """

    def __init__(
        self,
        source: DataSource,
        *,
        batch_size: int,
        seed: int,
        workers: int = 0,
        rank: int = 0,
        world: int = 1,
        start: int = 0,
        stop: int = 0,
        name: str = "",
        balance: bool = False,
    ) -> None:
        if batch_size < 1 or workers < 0 or not 0 <= rank < world:
            raise UsageError(
                f"a loader needs batch_size >= 1, workers >= 0 and 0 <= rank < world, "
                f"not batch_size={batch_size}, workers={workers}, rank={rank}, world={world}"
            )
        if batch_size % world:
            raise UsageError(
                f"a batch of {batch_size} cannot be shared equally by {world} processes; "
                f"choose a batch size that is a multiple of {world}, such as {-(-batch_size // world) * world}"
            )
        domains = max(1, len(source.spec.domains))
        if batch_size % (domains * world):
            unit = domains * world
            shared = f" and {world} processes share them" if world > 1 else ""
            raise UsageError(
                f"batch_size={batch_size}: batches hold equally many samples of each of {domains} domains "
                f"({', '.join(source.spec.domains)}){shared}; choose a multiple of {unit}, such as {-(-batch_size // unit) * unit}"
            )
        self.workers = workers
        self.stop = stop
        self._steps = _Steps(source, batch_size, seed, rank, world, name, balance)
        self._next = start
        self._iterator: Iterator[_Item | _Failure] | None = None

    def batch(self, step: int) -> Batch:
        """This rank's part of the batch of `step`, on the CPU: always the same for the same step."""
        x, labels, positions = self._read_ahead(step) if self.workers and step < self.stop else self._read(step)
        count = len(self._steps.source.spec.domains)
        return Batch(
            hard=x, condition=labels, positions=positions, step=step,
            domain=positions % count if count else None, domains=max(1, count),
        )  # fmt: skip

    def _read(self, step: int) -> _Item:
        try:
            return self._steps.fetch(step)
        except Exception as error:
            raise DataError(self._steps.sentence(step, error)) from error

    def _read_ahead(self, step: int) -> _Item:
        if step != self._next:
            self.close()
        if self._iterator is None:
            self._iterator = iter(
                DataLoader(
                    self._steps,
                    batch_size=None,
                    sampler=range(step, self.stop),
                    num_workers=self.workers,
                    collate_fn=_as_is,
                    worker_init_fn=_start_worker,
                    prefetch_factor=PREFETCHED,
                    pin_memory=torch.cuda.is_available(),
                    generator=torch.Generator(),  # or it would draw from, and so change, the global one
                )
            )
        try:
            item = next(self._iterator)
        except Exception as error:
            self.close()
            raise DataError(
                f"a worker process that reads data ended unexpectedly at step {step} ({error}); "
                f"if memory is short, use fewer workers than {self.workers}, or none"
            ) from error
        self._next = step + 1
        if isinstance(item, _Failure):
            self.close()
            failure = DataError(item.message)
            failure.add_note(f"in a worker process:\n{item.trace}")
            raise failure
        return item

    def close(self) -> None:
        """End the worker processes, if any. The loader may still be used: they start again when needed."""
        iterator, self._iterator = self._iterator, None
        shut_down = getattr(iterator, "_shutdown_workers", None)
        if shut_down is not None:
            shut_down()
        for process in getattr(iterator, "_workers", ()):  # one that hangs in reading heeds no SIGTERM
            if process.is_alive():
                process.kill()

    def __enter__(self) -> Loader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
