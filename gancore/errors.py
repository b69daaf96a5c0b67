"""Every way in which gancore can say no: one sentence for what was wrong, one for what to do.

The command line turns a `GanError` into its message and its `exit_code`; anything else is a bug and shows a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class GanError(Exception):
    """Base of all errors whose message is meant for the person at the keyboard."""

    exit_code = 1


class UsageError(GanError):
    """What was asked for cannot be understood: an unknown name, an impossible value, a missing argument."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that nobody provides. `suggestions` holds `others`, which are as good as certain, and the nearest that exist."""

    def __init__(self, what: str, name: str, known: Iterable[str], hint: str = "", others: Iterable[str] = ()) -> None:
        options = sorted(set(known))
        self.suggestions = (*others, *nearest(name, options))
        parts = [f"unknown {what} '{name if len(name) <= 80 else name[:80] + '...'}'"]
        if self.suggestions:
            parts.append(f"did you mean {' or '.join(repr(s) for s in self.suggestions)}?")
        parts.append(f"known: {', '.join(options)}" if options else "none is known")
        if hint:
            parts.append(hint)
        super().__init__("; ".join(parts))


class MissingPackageError(GanError):
    """A package that only one component needs is not installed."""

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(
            f"{what} needs {package}, which is not installed; run: pip install {package} (or install the extra gancore[{extra}])"
        )


class PluginError(GanError):
    """A plugin that is missing, broken, too new, or in conflict with another."""


class BreachError(PluginError):
    """What a component gave in training is not what its contract says; the engine tells it with the component's name and place.

    `thing` is the network or the object that gave it by its `method`, empty for a function; `name` is the component's where a run
    has several of its `kind`.
    """

    def __init__(self, kind: str, thing: object, words: str, method: str = "forward", name: str = "") -> None:
        self.kind, self.thing, self.method, self.name = kind, thing, method, name
        super().__init__(words)


class DataError(GanError):
    """Data that cannot be trained on: nothing usable was found, or what was found does not fit together."""


class CheckpointError(GanError):
    """State on disk that is missing, damaged, or of another shape than the networks that it should fill."""


class MisfitError(CheckpointError):
    """A checkpoint that is whole, but of something else than the configuration and the data now say."""


class ChangedError(MisfitError):
    """What decides which samples come next was changed since a run was saved: its data, its seed, the size of its batches."""


class RunFolderError(GanError):
    """A run folder that exists where it should not, or does not where it should."""


class WriteError(RunFolderError):
    """Something that could not be written; `advice` says what to do before the same is tried again."""

    def __init__(self, problem: str, advice: str = "") -> None:
        self.problem = problem
        self.advice = advice
        super().__init__("; ".join(filter(None, (problem, advice))))


class ToldElsewhereError(GanError):
    """An end of all processes that the first of them tells: the others end with it, in silence."""

    def __init__(self, message: str, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(message)


class LostProcessError(GanError):
    """Another process of a training on several has ended, or cannot be reached any more."""


class NonFiniteError(GanError):
    """Training produced NaN or infinity several times in a row; the last good state is on disk."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong in a configuration: where (`architecture.width`), what, and the nearest right name if one is near."""

    path: str
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        tail = f" (did you mean '{self.suggestion}'?)" if self.suggestion else ""
        path = self.path if len(self.path) <= 120 else f"{self.path[:120]}..."
        return f"{path}: {self.message}{tail}"


class ConfigError(UsageError):
    """All the mistakes of a configuration, or of something else that people write, at once, in `mistakes`."""

    def __init__(self, mistakes: Sequence[Mistake], what: str = "configuration") -> None:
        self.mistakes = tuple(mistakes)
        count = len(self.mistakes)
        head = f"{count} mistake{'' if count == 1 else 's'} in the {what}:"
        super().__init__("\n".join([head, *(f"  {m}" for m in self.mistakes)]))


def nearest(name: str, known: Iterable[str], count: int = 2) -> list[str]:
    """The names closest to `name` in spelling, best first; empty when none is near."""
    return difflib.get_close_matches(name, list(known), n=count, cutoff=0.6)
