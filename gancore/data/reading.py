"""Reading the files of a data set: which ones, decoded in threads and in order, and which were left out and why.

A file is skipped in one place, `Skips.add`, mostly by `read_all`, where decoding it raised `UnusableError`.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from gancore.components import ProgressReport
from gancore.data.classes import Content, Labels, lay_out, number_classes
from gancore.data.files import Entry, FileTree, why_unreadable
from gancore.data.report import ScanReport, Skipped
from gancore.errors import DataError
from gancore.storage import cache_key

R = TypeVar("R")
T = TypeVar("T")


class UnusableError(DataError):
    """A file without a usable sample; the message completes "the file is ...".

    `passing` is true where the cause may lie outside of the file (access, memory) and be gone the next time.
    """

    def __init__(self, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.passing = passing


@contextlib.contextmanager
def explained(in_words: Callable[[Exception], str] = lambda error: "") -> Iterator[None]:
    """Decoders raise nearly anything on damaged data: all of it becomes UnusableError in plain words.

    `in_words` gives those for what a library raises, and nothing where it knows none.
    """
    try:
        yield
    except UnusableError:
        raise
    except DataError as error:
        raise UnusableError(str(error), passing=isinstance(error.__cause__, OSError)) from error
    except MemoryError as error:
        raise UnusableError("too large for this machine's memory", passing=True) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise UnusableError(why_unreadable(error), passing=True) from error
        raise UnusableError(in_words(error) or f"damaged ({str(error) or type(error).__name__})") from error


class Skips:
    """What is left out while the files of a data set are read, and why: `listed`, in the order in which it was met.

    `lasting` turns false where the cause of one may be gone the next time, so that the outcome must not be kept.
    """

    def __init__(self) -> None:
        self.listed: list[Skipped] = []
        self.lasting = True

    def add(self, path: str, reason: str | DataError) -> None:
        """A file, or a part of it, is left out for a reason, which completes "it is ..."."""
        self.lasting = self.lasting and not (isinstance(reason, UnusableError) and reason.passing)
        self.listed.append(Skipped(path, str(reason)))


def read_all(
    entries: Sequence[Entry],
    decode: Callable[[Entry], R],
    skips: Skips,
    progress: ProgressReport,
    words: str,
    *,
    only: Sequence[int] | None = None,
    workers: int = 16,
    ahead: int = 8,
) -> Iterator[tuple[int, R]]:
    """The number of each file that can be used, and what `decode` makes of it, in their order.

    Files of which `decode` raises DataError, such as UnusableError, are added to `skips`; the message is the reason.

    Args:
        entries: The files.
        decode: Is called in threads, best with libraries that let others run while they decode.
        skips: Takes what cannot be used.
        progress: Is told `words` and how many of the files are done.
        words: What is done to them ("reading pictures").
        only: The numbers of the files to read; None: all.
        workers: Threads at most, and never more than there are processors; 1: none, for what runs Python all the time.
        ahead: Files under way at once for each thread, so that neither these nor what came of them pile up.
    """
    numbers = range(len(entries)) if only is None else only

    def attempt(number: int) -> tuple[int, R | DataError]:
        try:
            return number, decode(entries[number])
        except DataError as error:
            return number, error

    for done, (number, found) in enumerate(_in_order(attempt, numbers, workers, ahead), 1):
        if isinstance(found, DataError):
            skips.add(entries[number].name, found)
        else:
            yield number, found
        progress(words, done, len(numbers))


def read_in_bursts(
    entries: Sequence[Entry],
    decode: Callable[[Entry], R],
    skips: Skips,
    progress: ProgressReport,
    words: str,
    *,
    within: Callable[[], AbstractContextManager[object]],
    only: Sequence[int] | None = None,
    size: int = 64,
) -> Iterator[tuple[int, R]]:
    """As `read_all`, `size` files at a time: files are decoded `within` a context that whoever takes what comes of them is not in.

    Warning filters are such a context, which belong to the whole process.
    """
    numbers = range(len(entries)) if only is None else only
    for start in range(0, len(numbers), size):

        def told(words: str, done: int, total: int, start: int = start) -> None:
            del total
            progress(words, start + done, len(numbers))

        with within():
            burst = deque(read_all(entries, decode, skips, told, words, only=numbers[start : start + size]))
        while burst:
            yield burst.popleft()


def _in_order(function: Callable[[T], R], items: Iterable[T], workers: int, ahead: int) -> Iterator[R]:
    if workers == 1:
        yield from map(function, items)
        return
    threads = min(workers, os.cpu_count() or 1)
    upcoming = iter(items)
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        while True:
            waiting.extend(pool.submit(function, item) for item in islice(upcoming, ahead * threads - len(waiting)))
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C too: only what has begun is waited for


def warn_of(skipped: Sequence[Skipped], used: int, path: Path, what: str) -> None:
    """Warn whoever called what calls this that some of `what` ("pictures") at `path`, beside `used` others, could not be read; of
    none nothing is said."""
    if not skipped:
        return
    first = f"{skipped[0].path}: {skipped[0].reason}"
    told = f"is left out, {first}" if len(skipped) == 1 else f"are left out; the first is {first}"
    of = len(skipped) + used
    warnings.warn(f"'{path}': {len(skipped):,} of {of:,} {what} cannot be read and {told}", stacklevel=3)


def nothing_usable(
    source: object,
    what: str,
    supported: str,
    skipped: Sequence[Skipped],
    *,
    examined: str = "",
    otherwise: str = "there are no files",
) -> DataError:
    """The error of a data set of which nothing is left, to be raised.

    `data set 'photos': no image could be read (412 files examined; first problem: cat.png: truncated). Supported: PNG, JPEG ...`

    Args:
        source: The data set as the user named it.
        what: What there is none of ("image").
        supported: What could have been read.
        skipped: What was left out, of which the first is told.
        examined: What was looked at ("412 files"); empty: not told.
        otherwise: What is told where nothing was left out.
    """
    first = f"first problem: {skipped[0].path}: {skipped[0].reason}" if skipped else otherwise
    looked_at = f"{examined} examined; " if examined else ""
    return DataError(f"data set '{source}': no {what} could be read ({looked_at}{first}). Supported: {supported}")


@dataclass(frozen=True, slots=True)
class FileSet:
    """The files of a data set that are to be read, `entries`, and the class of each by its folder: all None where there are none.

    `inner` are the folders within those of classes, None where a file lies in none; empty where they are not known.
    `source` is the data set as errors name it, `path` where it lies. `unread` are files that are left out unread: they could not be
    looked at, or lie beside the folders. `notes` are for a report.
    """

    source: str
    path: Path
    entries: tuple[Entry, ...]
    words: tuple[str | None, ...]
    unread: tuple[Skipped, ...]
    notes: tuple[str, ...]
    inner: tuple[str | None, ...] = ()

    @classmethod
    def of(
        cls,
        source: object,
        tree: FileTree,
        chosen: Sequence[Entry] | None = None,
        *,
        part: str = "auto",
        labels: Labels = "auto",
        suffixes: Collection[str] = (),
    ) -> FileSet:
        """Those of a tree, or of the ones `chosen` from it, by the folders that they lie in: see `gancore.data.classes.lay_out`.

        Raises:
            UsageError: there is no part of this name.
        """
        files = tree.entries if chosen is None else chosen
        names = [entry.name for entry in files]
        layout = lay_out(names, source=source, archive=tree.is_archive, part=part, labels=labels, suffixes=suffixes)
        return cls(
            source=str(source),
            path=tree.path,
            entries=tuple(files[number] for number in layout.taken),
            words=layout.words,
            unread=(*tree.problems, *layout.skipped),
            notes=layout.notes,
            inner=layout.inner,
        )

    @property
    def found(self) -> int:
        """Files that were looked at, whether they are read or not."""
        return len(self.entries) + len(self.unread)

    def key(self, *what: object) -> str:
        """A key of the cache for what is made of these files, which changes when any of them does; `what` is all else that decides on
        it, and best begins with a version."""
        return cache_key(
            [*what, str(self.path.resolve()), *((entry.name, entry.fingerprint) for entry in self.entries)]
        )

    def labels(self, numbers: Iterable[int], wanted: Labels, todo: str) -> tuple[Tensor | None, tuple[str, ...]]:
        """Class indices `[samples]` int64 and the classes, of samples that were made of the files `numbers`; None and none where there
        are no two classes, or some file has none.

        Raises:
            UsageError: so it is, with labels=true; `todo` says what to do then.
        """
        words = [self.words[number] for number in numbers]
        classes, found = number_classes(words, labels=wanted, source=self.source, todo=todo)
        return None if found is None else torch.tensor(found), classes

    def content(self, numbers: Sequence[int]) -> Content | None:
        """What samples that were made of the files `numbers` show, by the folders within those of their classes.

        None unless all lie in such folders, and at least two of these have the same names in every class: where classes are domains,
        others tell nothing of what two domains have in common.
        """
        words = [self.inner[number] if self.inner else None for number in numbers]
        classes: dict[str | None, set[str | None]] = {}
        for number, word in zip(numbers, words, strict=True):
            classes.setdefault(self.words[number], set()).add(word)
        if None in words or len(classes) < 2 or len(set.intersection(*classes.values())) < 2:
            return None
        names, found = number_classes(words, labels="auto", source=self.source, todo="")
        return None if found is None else Content(torch.tensor(found), names)

    def skipped(self, skips: Iterable[Skipped]) -> tuple[Skipped, ...]:
        """`unread` and what was left out while reading, by name."""
        return tuple(sorted((*self.unread, *skips), key=lambda one: one.path))

    def report(self, used: int, skips: Iterable[Skipped], notes: Iterable[str] = (), *, files: str = "") -> ScanReport:
        """The report of a data set of `used` samples."""
        return ScanReport(
            source=self.source,
            found=self.found,
            used=used,
            skipped=self.skipped(skips),
            notes=(*self.notes, *notes),
            files=files,
        )

    def nothing(self, what: str, supported: str, skips: Iterable[Skipped], *, kind: str = "file") -> DataError:
        """The error that none of the files can be used, as `nothing_usable` words it; `kind` is what they are."""
        examined = f"{self.found:,} {kind}{'' if self.found == 1 else 's'}"
        return nothing_usable(self.source, what, supported, self.skipped(skips), examined=examined)
