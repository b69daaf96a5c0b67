"""What was read and what was left out when a data set was opened."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

REASONS = 4
"""So many reasons are told in a line."""


def silent(words: str, done: int, total: int) -> None:
    """A `ProgressReport` to nobody."""
    del words, done, total


@dataclass(frozen=True, slots=True)
class Skipped:
    """One file that was not used, and why; or `count` of them that are not named one by one."""

    path: str
    reason: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class ScanReport:
    """`source` as the user named it, how many files (or rows) were looked at, how many samples came of them, and what was skipped.

    `held_out` samples are kept from training, which the engine fills in; they are not among those `used`. `notes` say what
    else is worth knowing of the data, such as how large their vocabulary is; `warnings`, which the engine fills in, what makes
    it doubtful to train on them. `files` is a digest of the files behind the samples (`gancore.data.files.digest`), for a source
    that decodes them when asked: by it a resumed run notices other ones.
    """

    source: str
    found: int
    used: int
    skipped: tuple[Skipped, ...] = ()
    held_out: int = 0
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    files: str = ""

    def summary(self) -> str:
        """One line for people: `photos/: 412 samples from 415 found, 3 skipped (2 truncated, 1 not an image; first: cat.png)`."""
        line = f"{self.source}: {self.used:,} sample{'' if self.used == 1 else 's'} from {self.found:,} found"
        if self.held_out:
            line += f", {self.held_out:,} more held out"
        if self.skipped:
            counts = by_reason(self.skipped)
            shown = (
                len(counts) if len(counts) == REASONS + 1 else REASONS
            )  # one more takes no more room than "other reasons"
            told = [f"{count:,} {reason}" for reason, count in list(counts.items())[:shown]]
            rest = sum(list(counts.values())[shown:])
            told += [f"{rest:,} for other reasons"] if rest else []
            line += f", {sum(counts.values()):,} skipped ({', '.join(told)}; first: {self.skipped[0].path})"
        return "; ".join([line, *self.notes])


def by_reason(skipped: Iterable[Skipped]) -> dict[str, int]:
    """How many were skipped for each reason, the most frequent first.

    Reasons that differ by numbers and quoted words alone are one: of `too long (3.1 s)` and `too long (9.4 s)` is left `too long`.
    What they have in common is told as it is.
    """
    exact: Counter[str] = Counter()
    for one in skipped:
        exact[one.reason] += one.count
    counts: Counter[str] = Counter()
    forms: dict[str, list[str]] = {}
    for reason, count in exact.items():
        kind = _general(reason)
        counts[kind] += count
        forms.setdefault(kind, []).append(reason)
    return {_told(kind, forms[kind]): count for kind, count in sorted(counts.items(), key=lambda pair: -pair[1])}


def _told(kind: str, forms: list[str]) -> str:
    if len(forms) == 1:
        return forms[0]
    without = set(map(_without_brackets, forms))
    return without.pop() if len(without) == 1 else kind


def _without_brackets(reason: str) -> str:
    return re.sub(r"\s*\([^()]*\d[^()]*\)", "", reason) or reason


def _general(reason: str) -> str:
    return re.sub(r"'[^']*'|\d[\d.,]*(?<=\d)", "…", _without_brackets(reason)) or reason
