"""`gan evaluate` and its arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gan_cli.arguments import Best, Json, Quiet, Step, checkpoint_of, path_of
from gan_cli.errors import guarded


@guarded
def evaluate(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]... [KEY=VALUE]...",
            help="Folders of runs, and options of metrics, features and sampling, such as features.lite0.size=224.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            "-d",
            metavar="PATH",
            parser=path_of,
            help="Real samples that the run has not seen; without, what it held out, else its training set.",
        ),
    ] = None,
    samples: Annotated[
        Path | None,
        typer.Option(
            "--samples",
            metavar="PATH",
            parser=path_of,
            help="Samples in files instead of a run; needs --plugin and --data.",
        ),
    ] = None,
    plugin: Annotated[
        str | None, typer.Option("--plugin", "-p", metavar="NAME", help="The plugin that reads the files of --samples.")
    ] = None,
    number: Annotated[
        int | None,
        typer.Option(
            "--n",
            "-n",
            metavar="N",
            min=1,
            help="Samples to generate, and real ones at most. Without: as many as there are real ones, from 100 to 1,000, of images "
            "to 5,000.",
        ),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            "-m",
            metavar="NAME",
            help="Only this metric, PLUGIN:NAME for another plugin's; may be repeated. All of the plugin without.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Another seed gives other samples.")] = 0,
    step: Step = None,
    best: Best = False,
    steps: Annotated[
        str | None,
        typer.Option("--steps", metavar="all", help="all: evaluate every checkpoint that a run keeps, side by side."),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="FIGURE",
            help="Of several runs or checkpoints, first the one whose FIGURE, such as neighbours/coverage-lite0, is nearest to that of "
            "real samples.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            parser=path_of,
            help="With --samples: keep figures and pictures in this folder. A run keeps its own.",
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", metavar="NAME", help="cpu, cuda, mps or auto.")] = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Compare generated samples with real ones: those of a trained run, of several runs, or in files.

    A run holds out a share of its data when trained with held_out=0.1. What is found is printed, and kept in RUN/evaluations.
    """
    from gan_cli.evaluating import compare, compare_files, compare_several
    from gancore.configuration.layers import parse_assignments
    from gancore.errors import UsageError

    given, chosen = runs or [], checkpoint_of(step, best)
    folders = [Path(path_of(text)) for text in given if "=" not in text or Path(text).exists()]
    settings = [text for text in given if not ("=" not in text or Path(text).exists())]
    for folder in folders if samples is None else []:
        if not folder.exists():
            raise UsageError(
                f"'{folder}' is neither the folder of a run nor an option: it does not exist, and is not of the form key=value"
            )
    options = parse_assignments(settings, path_option="--data")
    asked: dict[str, Any] = {"metrics": metrics, "seed": seed, "device": device, "options": options}
    if samples is not None:
        if folders or plugin is None or data is None or chosen is not None or steps is not None:
            raise UsageError("--samples PATH needs --plugin NAME and --data PATH, and takes no run and no step")
        asked |= {"plugin": plugin, "count": number, "out": out}
        compare_files(samples, data, asked, quiet=quiet, as_json=as_json)
        return
    if out is not None:
        raise UsageError("--out DIR goes with --samples; what is found of a run is kept in RUN/evaluations")
    if not folders or plugin is not None:
        raise UsageError(
            "name the folder of a run, such as gan evaluate runs/image-001; or samples in files, with --plugin NAME "
            "--samples PATH --data PATH"
        )
    if steps not in (None, "all") or (steps and chosen is not None):
        raise UsageError(
            "--steps takes the word all, and cannot be used with --step or --best, which name one checkpoint"
        )
    asked |= {"data": data, "samples": number, "step": chosen}
    if len(folders) == 1 and steps is None:
        if sort is not None:
            raise UsageError("--sort takes several runs, or --steps all, for it says which of them is shown first")
        compare(folders[0], asked, quiet=quiet, as_json=as_json)
    else:
        compare_several(folders, asked, every_step=steps == "all", sort=sort, quiet=quiet, as_json=as_json)
