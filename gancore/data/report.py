"""What was read and what was left out when a data set was opened."""

from __future__ import annotations

from dataclasses import dataclass


def silent(words: str, done: int, total: int) -> None:
    """A `ProgressReport` to nobody."""
    del words, done, total


@dataclass(frozen=True, slots=True)
class Skipped:
    """One file that was not used, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class ScanReport:
    """`source` as the user named it, how many files (or rows) were looked at, how many samples came of them, and what was skipped.

    `held_out` samples are kept from training, which the engine fills in; they are not among those `used`. `notes` say what
    else is worth knowing of the data, such as how large their vocabulary is.
    """

    source: str
    found: int
    used: int
    skipped: tuple[Skipped, ...] = ()
    held_out: int = 0
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """One line for people: `photos/: 412 samples from 415 files, 3 skipped (first: cat.png: truncated)`."""
        line = f"{self.source}: {self.used:,} samples from {self.found:,} found"
        if self.held_out:
            line += f", {self.held_out:,} more held out"
        if self.skipped:
            first = self.skipped[0]
            line += f", {len(self.skipped):,} skipped (first: {first.path}: {first.reason})"
        return "; ".join([line, *self.notes])
