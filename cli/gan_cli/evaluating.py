"""`gan evaluate`: the figures of a run's metrics as a table."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from gan_cli import errors
from gan_cli.errors import redraw, say, tell
from gan_cli.interrupting import ending_at_once
from gan_cli.sampling import check_device
from gan_cli.terminal import Terminal
from gan_cli.waiting import Waiting
from gancore.data.report import silent
from gancore.text import shown

if TYPE_CHECKING:
    from gancore.evaluation import Evaluation

SECONDS_BETWEEN_LINES = 5.0


class _Progress:
    """One line in a terminal that changes; elsewhere a line now and then, also while nothing changes."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self.spoken = time.monotonic()
        self.waiting = Waiting("loading the run")
        if not self.live:
            self.waiting.begin()

    def tell(self, words: str, done: int, total: int) -> None:
        self.waiting.words = line = f"{words}: {done:,} of {total:,}" if done and total else words
        if self.live:
            redraw(line)
        elif time.monotonic() - self.spoken >= SECONDS_BETWEEN_LINES:
            self.spoken = time.monotonic()
            say(line)

    def close(self) -> None:
        self.waiting.end()
        if self.live:
            redraw("")


def compare(run: Path, asked: Mapping[str, Any], *, quiet: bool, as_json: bool) -> None:
    """Evaluate, show what was found, and exit with 1 where a metric failed. `asked` is what `gancore.evaluate` takes."""
    check_device(asked["device"])
    with ending_at_once():
        from gancore.evaluator import evaluate

    if quiet:
        found = evaluate(run, progress=silent, **asked)
    else:
        with closing(_Progress()) as progress:
            found = evaluate(run, progress=progress.tell, **asked)
    if as_json:
        print(json.dumps(found.dump() | {"path": found.path and str(found.path)}))
    else:
        tell(heading(found))
        if found.figures:
            _show(found)
        for note in found.notes:
            tell(note)
    for name, failure in found.failures.items():
        say(f"error: metric '{name}': {failure.cause}")
        if errors.DEBUG and failure.trace:
            say(failure.trace)
    if found.path is not None:
        say(f"kept in {found.path}" + "".join(f", {picture.name}" for picture in found.pictures))
    if found.failures:
        raise typer.Exit(1)


def heading(found: Evaluation) -> str:
    """What was compared with what."""
    p = found.protocol
    where = f"{p.reference} of {p.reference_source}" if p.reference != "other data" else p.reference_source
    seen = f"{p.train:,}" if p.train == p.train_size else f"{p.train:,} of {p.train_size:,}"
    return (
        f"{found.run}, step {found.step:,}: {p.generated:,} samples generated with seed {p.seed} and {p.real:,} real ones "
        f"({where}, {p.reference_size:,} in all), beside {seen} trained on"
    )


def _show(found: Evaluation) -> None:
    rows = found.rows()
    names = ("generated", *found.others, "real", "overlap", "floor")
    columns = [name for name in names if any(row[name] is not None for row in rows)]
    view = Table(box=None, pad_edge=False, header_style="bold")
    view.add_column("figure", overflow="fold")
    for name in columns:
        view.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        view.add_row(
            shown(row["figure"]), *(share(row[name]) if name == "overlap" else digits(row[name]) for name in columns)
        )
    Terminal(width=None if sys.stdout.isatty() else 200, markup=False, emoji=False, highlight=False).print(view)


def share(value: Any) -> str:
    """A number from 0 to 1 to three places."""
    return f"{value:.3f}" if value is not None and math.isfinite(value) else digits(value)


def digits(value: Any) -> str:
    """A figure to three digits after the zeros, whole numbers and those from 1,000 up without a fraction."""
    if value is None:
        return ""
    if not math.isfinite(value):
        return str(float(value))
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
