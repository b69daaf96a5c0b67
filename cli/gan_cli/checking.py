"""`gan plugins check`: the conformance kit in a terminal."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gan_cli.errors import redraw, say, tell
from gancore.errors import PluginError, UsageError
from gancore.plugins import Registry

if TYPE_CHECKING:
    from gancore.testing.check import Result

SECONDS_BETWEEN_LINES = 5.0


class _Live:
    """One line in a terminal that changes; what is wrong stays above it."""

    def tell(self, result: Result) -> None:
        mark = {"passed": "ok", "failed": "FAULT", "blocked": "blocked", "skipped": "-"}[result.outcome]
        end = "\n" if result.outcome == "failed" else "\r"
        redraw(f"{mark:8}{result.check} ({result.subject})", end=end)

    def close(self) -> None:
        redraw("")


class _Plain:
    """A line now and then, for logs."""

    def __init__(self) -> None:
        self.done = 0
        self.spoken = time.monotonic()

    def tell(self, result: Result) -> None:
        self.done += 1
        if time.monotonic() - self.spoken >= SECONDS_BETWEEN_LINES:
            self.spoken = time.monotonic()
            say(f"{self.done} checks done, the last {result.check} ({result.subject})")

    def close(self) -> None:
        """Nothing is left open."""


def _by_reason(results: Sequence[Result]) -> Iterator[tuple[str, str]]:
    """Reasons, each once, with the checks that it is given for."""
    reasons: dict[str, list[str]] = {}
    for result in results:
        reasons.setdefault(result.found, []).append(f"{result.check} ({result.subject})")
    for found, names in reasons.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        yield found, ", ".join(names[:3]) + more


def check(name: str, host: str | None, data: Path | None, only: str, as_json: bool) -> None:
    """Check a plugin, tell its faults, and exit with 1 where there are any."""
    registry = Registry()
    with contextlib.suppress(PluginError):  # one that is broken is a fault, which the report tells
        registry.load(name)
    if host is not None:
        registry.load(host)
    if data is not None and not data.expanduser().exists():
        raise UsageError(f"data '{data}': there is no such file or folder")
    from gancore.testing.suite import check_plugin

    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that what was started is ended too
    follow = _Live() if sys.stderr.isatty() else _Plain()
    report = check_plugin(name, registry=registry, host=host or "", data=data, only=only, progress=follow.tell)
    follow.close()
    if not report.results:
        raise UsageError(f"no check matches '{only}'; give a name such as data.samples, or a pattern such as 'data.*'")
    if as_json:
        print(json.dumps(report.dump()))
    else:
        told: set[tuple[str, str]] = set()
        for result in report.of("failed"):
            same = [r.subject for r in report.of("failed") if (r.check, r.found) == (result.check, result.found)]
            if (result.check, result.found) not in told:
                told.add((result.check, result.found))
                tell(f"{replace(result, subject=', '.join(same))}\n")
        for found, names in _by_reason(report.of("blocked")):
            tell(f"could not be checked, {found}: {names}\n")
        for found, names in _by_reason(report.of("skipped")):
            say(f"skipped {names}: {found}")
        tell(report.summary())
    if not report.ok:
        raise typer.Exit(1)
