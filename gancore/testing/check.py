"""What a check is, how it says what it found, and the list that every check of the kit adds itself to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from gancore.blame import said
from gancore.testing.places import place, written

if TYPE_CHECKING:
    from gancore.testing.kit import Kit

Outcome = Literal["failed", "blocked", "passed", "skipped"]
Subjects = Callable[["Kit"], Sequence[str]]


class Mismatch(Exception):  # noqa: N818 - what a check says, rather than an error
    """What was found is not what the contract asks for. `expected` replaces the check's own words where it is given."""

    def __init__(self, found: str, expected: str = "") -> None:
        super().__init__(found)
        self.found = found
        self.expected = expected


class Blocked(Exception):  # noqa: N818 - what a check says, rather than an error
    """This cannot be checked before something else, which has a check of its own, is put right."""


class NotApplicable(Exception):  # noqa: N818 - what a check says, rather than an error
    """There is nothing here for this check to look at; the message says why."""


class ContractError(AssertionError):
    """A check of the contract failed, as pytest shows it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One promise of the contract.

    `name` is stable, `topic.promise`; `expected` completes "expected: ..."; `hook` is whose documentation to read;
    `subjects` lists what of a plugin it looks at, from its declarations alone; `run` raises `Mismatch`.
    """

    name: str
    hook: str
    expected: str
    subjects: Subjects
    run: Callable[[Kit, str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What became of one check of one subject: `found` has the fault, or why it was not looked for."""

    check: str
    subject: str
    hook: str
    outcome: Outcome
    expected: str
    found: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.check} ({self.subject})\n  expected: {self.expected}\n  found: {self.found}\n"
            f"  read: {self.hook} in gancore.hookspecs, or reference/hooks/{self.hook} in the documentation"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """All results of one plugin."""

    plugin: str
    version: int
    """Of the contract."""
    results: tuple[Result, ...]

    def of(self, outcome: Outcome) -> tuple[Result, ...]:
        """Those with this outcome."""
        return tuple(r for r in self.results if r.outcome == outcome)

    @property
    def ok(self) -> bool:
        """Whether nothing failed, and nothing was kept from being looked at by a failure."""
        return not self.of("failed") and not self.of("blocked")

    def summary(self) -> str:
        """One line of counts."""
        counts = {o: len(self.of(o)) for o in get_args(Outcome)}
        told = ", ".join(f"{n} {outcome}" for outcome, n in counts.items() if n or outcome == "failed")
        return f"{self.plugin}: {len(self.results)} checks of version {self.version} of the contract: {told}"

    def dump(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        rows = [asdict(r) | {"seconds": round(r.seconds, 3)} for r in self.results]
        return {"plugin": self.plugin, "version": self.version, "ok": self.ok, "results": rows}


CHECKS: dict[str, Check] = {}
"""Every check by name; filled by the modules that define them."""


def check(name: str, hook: str, expected: str, subjects: Subjects) -> Callable[[Callable[[Kit, str], None]], Check]:
    """Make a function `(kit, subject)` the check called `name`."""

    def register(run: Callable[[Kit, str], None]) -> Check:
        if name in CHECKS:
            raise ValueError(f"there are two checks called {name}")
        CHECKS[name] = Check(name=name, hook=hook, expected=expected, subjects=subjects, run=run)
        return CHECKS[name]

    return register


@contextmanager
def blaming(*functions: Any) -> Iterator[None]:
    """Name the first of `functions` that is the author's as the place of a fault that is found in what they gave."""
    try:
        yield
    except Mismatch as error:
        if not place(error):
            error.found += next(filter(None, map(written, functions)), "")
        raise


def describe(error: BaseException) -> str:
    """An exception in one line, with the last place in the author's own files that it came through."""
    return f"{said(error)}{place(error)}"
