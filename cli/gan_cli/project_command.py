"""`gan project` and its arguments."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gan_cli.arguments import Best, Json, Quiet, Step, checkpoint_of, path_of
from gan_cli.errors import guarded, say, tell
from gan_cli.sampling_commands import Device, Out, Run
from gancore.errors import UsageError


@guarded
def project(
    run: Run,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE... [KEY=VALUE]...",
            help="Files such as the run's data set could hold, or folders of them; and other features to compare by, or options of "
            "writers, such as features=lite0.",
        ),
    ],
    label: Annotated[
        str | None,
        typer.Option(
            "--class",
            metavar="CLASS",
            help="Class of all of them, by name or index (default: what the data set says, or the name of the file's folder; else "
            "the one that fits best).",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Decides what is tried.")] = 0,
    steps: Annotated[
        int, typer.Option("--steps", metavar="N", min=1, max=100_000, help="More steps come nearer, and take longer.")
    ] = 400,
    out: Out = None,
    step: Step = None,
    best: Best = False,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Find how a trained run would make pictures, sounds, phrases or texts of your own, to edit, vary and walk between them.

    Writes for each the sample that comes nearest, with its recipe, and a sheet of originals and projections side by side.
    """
    from gan_cli.projecting import project as find
    from gan_cli.projecting import table
    from gan_cli.sampling import Asked
    from gancore.configuration.layers import FEATURES, parse_assignments

    settings = [text for text in files if "=" in text and not Path(text).exists()]
    named = [Path(path_of(text)) for text in files if text not in settings]
    if not named:
        raise UsageError("name a file to project, such as gan project runs/image-001 photo.png")
    options = parse_assignments(settings)
    features = options.pop(FEATURES, None)
    asked = Asked(run=run, label=label, out=out, step=checkpoint_of(step, best), device=device, options=options)
    folder, written, found = find(asked, named, seed, steps, features, quiet=quiet)
    if as_json:
        paths = [str(path) for path in written]
        print(json.dumps({"folder": str(folder), "files": paths, "projections": [asdict(one) for one in found]}))
        return
    tell(folder)
    for line in table(found):
        say(line)
