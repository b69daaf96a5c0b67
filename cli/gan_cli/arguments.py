"""Arguments that several commands take alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gancore.errors import UsageError
from gancore.text import fault_of_name


def path_of(text: str) -> Path:
    """A path that somebody typed, which is not empty and can be kept in a file of text."""
    if fault := fault_of_name(str(text)):  # a default has been one already
        raise typer.BadParameter(fault)
    return Path(text)


Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress, only warnings and the result.")]
Minutes = Annotated[
    float | None,
    typer.Option("--minutes", metavar="N", help="Stop after this many minutes of training and save everything."),
]
Steps = Annotated[int | None, typer.Option("--steps", metavar="N", min=1, help="Train to this step.")]
Step = Annotated[int | None, typer.Option("--step", metavar="N", min=0, help="Take the checkpoint of this step.")]
Best = Annotated[
    bool,
    typer.Option("--best", help="Take the checkpoint that was best by the figures of its training (every.evaluate)."),
]


def checkpoint_of(step: int | None, best: bool) -> int | Literal["best"] | None:
    """The checkpoint that `--step` and `--best` ask for."""
    if best and step is not None:
        raise UsageError(f"--step {step} and --best ask for two checkpoints; leave one of them out")
    return "best" if best else step


def with_best(options: dict[str, Any], start: str | None, best: bool) -> dict[str, Any]:
    """The settings of a new run, with what `--best` says of the run that it begins with."""
    if not best:
        return options
    from gancore.configuration.layers import check_agreement, merge

    if start is None and not options.get("start"):
        raise UsageError("--best is of the run to begin with; name that with --from RUN")
    check_agreement({"start.step": "best"}, options)
    return merge(options, {"start": {"step": "best"}})
