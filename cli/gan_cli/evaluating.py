"""`gan evaluate`: the figures of a run's metrics as a table."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from gan_cli import errors
from gan_cli.errors import redraw, say, tell
from gan_cli.figures import check_sort, show, show_several
from gan_cli.sampling import check_device
from gan_cli.waiting import Waiting, loading
from gancore.data.report import silent
from gancore.errors import GanError

if TYPE_CHECKING:
    from gancore.components import ProgressReport
    from gancore.evaluation.records import Evaluation

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
    with loading(quiet):
        from gancore.evaluation.evaluator import evaluate

    with told(quiet) as progress:
        found = evaluate(run, progress=progress, **asked)
    _tell(found, quiet=quiet, as_json=as_json)


def compare_files(samples: Path, data: Path, asked: Mapping[str, Any], *, quiet: bool, as_json: bool) -> None:
    """The same for samples in files; `asked` is what `gancore.evaluation.files.evaluate_files` takes."""
    check_device(asked["device"])
    with loading(quiet):
        from gancore.evaluation.files import evaluate_files

    with told(quiet) as progress:
        found = evaluate_files(samples, data, progress=progress, **asked)
    _tell(found, quiet=quiet, as_json=as_json)
    if asked["out"] is None and (found.exhibits or found.drawn) and not (quiet or as_json):
        say("nothing is kept; --out DIR keeps these figures, and pictures of samples to look at")


def compare_several(
    runs: Sequence[Path],
    asked: Mapping[str, Any],
    *,
    every_step: bool,
    sort: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Evaluate several runs, or all checkpoints of each with `every_step`, and show them side by side, the best first or by step.

    The best by the figure `sort` is the one nearest to what real samples have. A run that cannot be evaluated is told at the end,
    and takes no other down.
    """
    check_device(asked["device"])
    with loading(quiet):
        from gancore.evaluation.evaluator import evaluate_steps
        from gancore.evaluation.keeping import keep_curve
        from gancore.run import RunFolder

    found: list[Evaluation] = []
    curves: list[Path] = []
    wrong: dict[str, str] = {}
    for run in dict.fromkeys(runs):
        own: list[Evaluation] = []
        try:
            with told(quiet) as progress:
                how = {k: v for k, v in asked.items() if k != "step"} | {"progress": progress}
                for one in evaluate_steps(run, None if every_step else [asked["step"]], **how):
                    if one.figures:
                        own.append(one)
                        found.append(one)
                    else:
                        wrong[f"{run}, step {one.step:,}"] = no_figures(one)
        except GanError as error:
            wrong[str(run)] = str(error)
        if every_step and own and (curve := keep_curve(own, RunFolder.open(run))):
            curves.append(curve)
    if as_json:
        print(json.dumps([one.dump() | {"path": one.path and str(one.path)} for one in found]))
    elif found:
        show_several(found, by_step=every_step, sort=sort, quiet=quiet)
    for path in curves:
        say(f"drawn in {path}")
    if found:
        check_sort(sort, found)
    for name, cause in wrong.items():
        say(f"error: {name}: {cause}")
    failed = {f"{one.run}: {name}: {f.cause}": None for one in found for name, f in one.failures.items()}
    for line in failed:
        say(f"error: {line}")
    if wrong or failed:
        raise typer.Exit(1)


@contextmanager
def told(quiet: bool) -> Iterator[ProgressReport]:
    """What to call while something is read and computed, silent with `quiet`."""
    if quiet:
        yield silent
    else:
        with closing(_Progress()) as progress:
            yield progress.tell


def _tell(found: Evaluation, *, quiet: bool, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found.dump() | {"path": found.path and str(found.path)}))
    elif found.figures:
        tell(heading(found))
        for sentence in found.summary:
            tell(sentence)
        show(found, quiet=quiet)
        for note in found.notes:
            tell(note)
    if not found.figures:
        say(f"error: {no_figures(found)}")
    for name, failure in found.failures.items():
        if found.figures:
            say(f"error: {_failed(found, name)}")
        if errors.DEBUG and failure.trace:
            say(failure.trace)
    if found.path is not None:
        say(f"kept in {found.path}" + "".join(f", {picture.name}" for picture in found.pictures))
    if found.failures or not found.figures:
        raise typer.Exit(1)


def no_figures(found: Evaluation) -> str:
    """Why there is none."""
    causes = [_failed(found, name) for name in found.failures]
    if not causes:
        left_out = [note for note in found.notes if note.startswith("left out")]
        causes = left_out or [f"{', '.join(found.protocol.metrics)} had nothing to say of these samples"]
    return f"no figure could be computed, and nothing was kept: {'; '.join(causes)}"


def _failed(found: Evaluation, name: str) -> str:
    kind = "features" if name in found.protocol.features or name not in found.protocol.metrics else "metric"
    return f"{kind} '{name}': {found.failures[name].cause}"


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
