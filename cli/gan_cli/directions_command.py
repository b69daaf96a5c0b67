"""`gan directions` and its arguments."""

from __future__ import annotations

from typing import Annotated

import typer

from gan_cli.arguments import Best, Json, Quiet, Step, checkpoint_of
from gan_cli.errors import guarded
from gan_cli.sampling_commands import Device, Given, Run


@guarded
def directions(
    run: Run,
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Options of attributes and of sampling, such as attributes=brightness,fill or sampling.temperature=0.8.",
        ),
    ] = None,
    number: Annotated[
        int,
        typer.Option(
            "--number", "-n", metavar="N", min=100, max=1_000_000, help="Samples by which directions are worked out."
        ),
    ] = 8000,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Another seed takes other samples.")] = 0,
    step: Step = None,
    best: Best = False,
    given: Given = None,
    classes: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Also towards these classes of the training data, such as cat,dog, or all: how clearly a sample is of each is told by "
            "features, as in an evaluation (features=NAME), which can take minutes.",
        ),
    ] = "",
    device: Device = "auto",
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Put them in place of those that the run has; recipes with edits need those."),
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Find directions along which a run's samples change, such as darker to brighter, for `gan sample RUN --edit brightness=+1.5`.

    Kept in RUN/directions: the directions, what an edit of 1 does to samples by which they were not found, and a sheet of each.
    """
    from gan_cli.directions import find
    from gancore.configuration.layers import parse_assignments

    find(
        run,
        number,
        seed,
        step=checkpoint_of(step, best),
        device=device,
        given=given,
        classes=[name for text in classes.split(",") if (name := text.strip())],
        replace=replace,
        options=parse_assignments(settings or []),
        quiet=quiet,
        as_json=as_json,
    )
