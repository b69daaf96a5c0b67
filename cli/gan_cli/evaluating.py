"""`gan evaluate`: the figures of a run's metrics as a table."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
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
from gancore.errors import GanError
from gancore.evaluation.summary import worst
from gancore.text import shown

if TYPE_CHECKING:
    from gancore.components import ProgressReport
    from gancore.evaluation.records import Evaluation

SECONDS_BETWEEN_LINES = 5.0
WORST_FROM = 8
"""Rows of a table, from which on the worst ones are marked."""
HEADLINES = ("mind-", "neighbours/precision", "neighbours/coverage", "nearest-", "class-accuracy-", "frechet-")
"""Figures by which several runs are compared, where they have them."""


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
        from gancore.evaluation.evaluator import evaluate

    with _told(quiet) as progress:
        found = evaluate(run, progress=progress, **asked)
    _tell(found, as_json)


def compare_files(samples: Path, data: Path, asked: Mapping[str, Any], *, quiet: bool, as_json: bool) -> None:
    """The same for samples in files; `asked` is what `gancore.evaluation.files.evaluate_files` takes."""
    check_device(asked["device"])
    with ending_at_once():
        from gancore.evaluation.files import evaluate_files

    with _told(quiet) as progress:
        found = evaluate_files(samples, data, progress=progress, **asked)
    _tell(found, as_json)


def compare_several(
    runs: Sequence[Path], asked: Mapping[str, Any], *, every_step: bool, quiet: bool, as_json: bool
) -> None:
    """Evaluate several runs, or all checkpoints of each with `every_step`, and show one table, the best first or by step.

    A run that cannot be evaluated is told at the end, and takes no other down.
    """
    check_device(asked["device"])
    with ending_at_once():
        from gancore.evaluation.evaluator import evaluate_steps
        from gancore.evaluation.keeping import keep_curve
        from gancore.run import RunFolder

    found: list[Evaluation] = []
    curves: list[Path] = []
    wrong: dict[str, str] = {}
    for run in dict.fromkeys(runs):
        own: list[Evaluation] = []
        try:
            with _told(quiet) as progress:
                how = {k: v for k, v in asked.items() if k != "step"} | {"progress": progress}
                for one in evaluate_steps(run, None if every_step else [asked["step"]], **how):
                    own.append(one)
                    found.append(one)
        except GanError as error:
            wrong[str(run)] = str(error)
        if every_step and own and (curve := keep_curve(own, RunFolder.open(run))):
            curves.append(curve)
    if as_json:
        print(json.dumps([one.dump() | {"path": one.path and str(one.path)} for one in found]))
    elif found:
        _show_several(found, by_step=every_step)
    for path in curves:
        say(f"drawn in {path}")
    for name, cause in wrong.items():
        say(f"error: {name}: {cause}")
    failed = {f"{one.run}: {name}: {f.cause}": None for one in found for name, f in one.failures.items()}
    for line in failed:
        say(f"error: {line}")
    if wrong or failed:
        raise typer.Exit(1)


@contextmanager
def _told(quiet: bool) -> Iterator[ProgressReport]:
    if quiet:
        yield silent
    else:
        with closing(_Progress()) as progress:
            yield progress.tell


def _tell(found: Evaluation, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found.dump() | {"path": found.path and str(found.path)}))
    else:
        tell(heading(found))
        for sentence in found.summary:
            tell(sentence)
        if found.figures:
            _show(found)
        for note in found.notes:
            tell(note)
    for name, failure in found.failures.items():
        kind = "features" if name in found.protocol.features or name not in found.protocol.metrics else "metric"
        say(f"error: {kind} '{name}': {failure.cause}")
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
    real = f"{p.real:,} real ones ({where}, {p.reference_size:,} in all)"
    if found.step is None:
        return f"{found.run}: {p.generated:,} samples and {real}"
    return (
        f"{found.run}, step {found.step:,}: {p.generated:,} samples generated with seed {p.seed} and {real}, beside {seen} "
        "trained on"
    )


def _show(found: Evaluation) -> None:
    rows = found.rows()
    names = ("generated", *found.others, "real", "overlap", "floor")
    columns = [name for name in names if any(row[name] is not None for row in rows)]
    bad = worst(found.figures) if len(rows) > WORST_FROM else set()
    places = [(metric, name) for metric, figures in found.figures.items() for name in figures]
    view = Table(box=None, pad_edge=False, header_style="bold")
    view.add_column("figure", overflow="fold")
    for name in columns:
        view.add_column(name, justify="right", no_wrap=True)
    for row, place in zip(rows, places, strict=True):
        mark = " *" if place in bad else ""
        values = (share(row[name]) if name == "overlap" else digits(row[name]) for name in columns)
        view.add_row(shown(row["figure"]) + mark, *values)
    _print(view)
    if bad:
        say("* farthest from what real samples have")


def _show_several(found: Sequence[Evaluation], *, by_step: bool) -> None:
    """A line for each evaluation; the best one first by the first distance that all have, unless they are in order of steps."""
    names = [row["figure"] for row in found[0].rows()]
    figures: list[dict[Any, Any]] = [{row["figure"]: row["generated"] for row in one.rows()} for one in found]
    columns = [name for name in names if all(name in some for some in figures)]
    columns = [name for name in columns if any(str(name).startswith(start) for start in HEADLINES)] or columns[:8]
    order = list(range(len(found)))
    first = next((name for name in columns if str(name).startswith("mind-")), None)
    if first is not None and not by_step:
        order.sort(key=lambda number: figures[number][first])
    view = Table(box=None, pad_edge=False, header_style="bold")
    view.add_column("run", overflow="fold")
    view.add_column("step", justify="right")
    for name in columns:
        view.add_column(str(name).rpartition("/")[2], justify="right")
    for number in order:
        one = found[number]
        view.add_row(shown(one.run), f"{one.step:,}", *(digits(figures[number][name]) for name in columns))
    _print(view)


def _print(view: Table) -> None:
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
