"""`gan sample`, `gan walk` and `gan mix`: samples of a trained run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from gan_cli.arguments import Best, Json, Step, checkpoint_of, path_of
from gan_cli.errors import guarded, say, tell
from gancore.errors import UsageError

Run = Annotated[Path, typer.Argument(parser=path_of, help="The run's folder.")]
Settings = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Other options of writers and of sampling, such as writers.grid.columns=8 sampling.temperature=0.8.",
    ),
]
Class = Annotated[
    str | None,
    typer.Option(
        "--class",
        metavar="CLASS",
        help="Class of all samples, by name or index, or a mixture: 0.5*kick+0.5*snare (default: classes take turns).",
    ),
]
Truncation = Annotated[
    float | None,
    typer.Option(
        "--truncation",
        metavar="PSI",
        min=0.0,
        max=2.0,
        help="Below 1 samples are nearer to the mean of their class: more typical, less varied.",
    ),
]
Edit = Annotated[
    list[str] | None,
    typer.Option(
        "--edit",
        metavar="NAME=AMOUNT",
        help="Go along a direction of the run, such as brightness=+1.5; may be given several times.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", metavar="DIR", parser=path_of, help="A new folder (default: the next one in the run's)."
    ),
]
Given = Annotated[
    Path | None,
    typer.Option(
        "--given",
        "-g",
        metavar="FILE",
        parser=path_of,
        help="The conditioning input that samples are generated for, such as a melody to accompany.",
    ),
]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="cpu, cuda, mps or auto.")]
STATION = "A seed (its first sample), SEED:NUMBER, or a file that `gan sample` wrote"


@guarded
def sample(
    run: Run,
    settings: Settings = None,
    number: Annotated[
        int | None,
        typer.Option(
            "--number",
            "-n",
            metavar="N",
            min=1,
            help="How many samples; 64, or with --given one for each part of the file.",
        ),
    ] = None,
    label: Class = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Another seed gives other samples.")] = 0,
    truncation: Truncation = None,
    edit: Edit = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe",
            metavar="FILE",
            parser=path_of,
            help="Make again what is in this file, a sample or recipes.json of `gan sample`; with --edit and others, changed.",
        ),
    ] = None,
    around: Annotated[
        Path | None,
        typer.Option("--around", metavar="FILE", parser=path_of, help="Samples that are like the one in this file."),
    ] = None,
    spread: Annotated[
        float | None,
        typer.Option(
            "--spread", metavar="S", min=0.0, max=1.0, help="How far --around goes: 0 stays there, 1 is anywhere (0.3)."
        ),
    ] = None,
    out: Out = None,
    step: Step = None,
    best: Best = False,
    given: Given = None,
    prompt: Annotated[
        str | None,
        typer.Option(
            "--prompt", metavar="TEXT", help="Text that all samples begin with; same as sampling.prompt=TEXT."
        ),
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Generate samples from a trained run: one file each, and a sheet of all of them.

    Files carry the recipe of their sample, by which it can be made again, varied and edited.
    """
    from gan_cli.sampling import sample as draw
    from gancore.configuration.layers import check_agreement, merge, parse_assignments

    if recipe is not None and around is not None:
        raise UsageError("--recipe makes samples again and --around others like one; leave one of them out")
    if recipe is not None and (number is not None or seed):
        raise UsageError("--recipe says which samples, and how many; leave --number and --seed out")
    if spread is not None and around is None:
        raise UsageError("--spread is how far samples are from that of --around FILE; name one")
    options = parse_assignments(settings or [])
    check_agreement({"sampling.prompt": prompt}, options)
    if prompt is not None:
        options = merge(options, {"sampling": {"prompt": prompt}})
    asked = _asked(run, label, truncation, edit, out, step, best, device, options, given)
    folder, files, sheets, count = draw(asked, number, seed, recipe, around, 0.3 if spread is None else spread)
    shown = f", all of them on {sheets[0].name}" if sheets and count > 1 else ""
    _report(folder, [*files, *sheets], f"{count:,} sample{'s' * (count > 1)} in {folder}{shown}", as_json)


@guarded
def translate(
    run: Run,
    files: Annotated[
        Path,
        typer.Argument(
            metavar="FILES", parser=path_of, help="What to translate: a file, or a folder or archive of them."
        ),
    ],
    settings: Settings = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            "-t",
            metavar="DOMAIN",
            help="The domain to translate to, by name or index; none for runs with pairs.",
        ),
    ] = None,
    number: Annotated[
        int | None,
        typer.Option(
            "--number",
            "-n",
            metavar="N",
            min=1,
            help="How many in all, where each may come in several styles (default: one of each).",
        ),
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(
            "--like", metavar="FILE", parser=path_of, help="In the style of this file, for runs of the game stargan."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Another seed gives other styles.")] = 0,
    out: Out = None,
    step: Step = None,
    best: Best = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Translate files from one domain to another: one file each, under the same name, and a sheet with sources beside results."""
    from gan_cli.sampling import translate as go
    from gancore.configuration.layers import parse_assignments

    options = parse_assignments(settings or [])
    asked = _asked(run, to, None, None, out, step, best, device, options, files)
    folder, written, sheets, count = go(asked, number, seed, like)
    shown = f", beside their sources on {sheets[0].name}" if sheets else ""
    _report(folder, [*written, *sheets], f"{count:,} translation{'s' * (count > 1)} in {folder}{shown}", as_json)


@guarded
def walk(
    run: Run,
    settings: Settings = None,
    between: Annotated[
        str,
        typer.Option(
            "--between", metavar="A,B,...", help=f"The stations, two or more. {STATION}; none: four of the first seeds."
        ),
    ] = "0,1,2,3",
    frames: Annotated[int, typer.Option("--frames", metavar="N", min=2, max=100_000, help="How many samples.")] = 60,
    loop: Annotated[bool, typer.Option("--loop", help="Come back to the first station, to be repeated.")] = False,
    each: Annotated[bool, typer.Option("--each", help="Write each frame to a file of its own as well.")] = False,
    label: Class = None,
    truncation: Truncation = None,
    edit: Edit = None,
    out: Out = None,
    step: Step = None,
    best: Best = False,
    given: Given = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Generate a smooth walk from sample to sample: an animation, a sound, a piece, a table, whatever the run makes of it."""
    from gan_cli.sampling import walk as go
    from gancore.configuration.layers import parse_assignments

    options = parse_assignments(settings or [])
    asked = _asked(run, label, truncation, edit, out, step, best, device, options, given)
    stations = [text.strip() for text in between.split(",") if text.strip()]
    folder, files = go(asked, stations, frames, loop, each)
    _report(folder, files, f"a walk of {frames:,} samples in {folder}: {files[0].name}", as_json)


@guarded
def mix(
    run: Run,
    one: Annotated[str, typer.Argument(metavar="A", help=f"{STATION}.")],
    other: Annotated[str, typer.Argument(metavar="B", help="Another one, which gives some of the layers.")],
    layers: Annotated[str, typer.Option("--layers", metavar="0-3", help="The layers of B, counted from 0.")],
    settings: Settings = None,
    label: Class = None,
    truncation: Truncation = None,
    edit: Edit = None,
    out: Out = None,
    step: Step = None,
    best: Best = False,
    given: Given = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Mix two samples: some layers of the generator as in the one, the others as in the other.

    Only for generators with a code for each layer, such as the images' `style`. Writes A, B and what they become, in this order.
    """
    from gan_cli.sampling import mix as combine
    from gancore.configuration.layers import parse_assignments

    options = parse_assignments(settings or [])
    asked = _asked(run, label, truncation, edit, out, step, best, device, options, given)
    folder, files, sheets = combine(asked, one, other, layers)
    _report(folder, [*files, *sheets], f"A, B and what they become are in {folder}", as_json)


def _asked(
    run: Path,
    label: str | None,
    truncation: float | None,
    edit: list[str] | None,
    out: Path | None,
    step: int | None,
    best: bool,
    device: str,
    options: dict[str, Any],
    given: Path | None,
) -> Any:
    from gan_cli.sampling import Asked

    return Asked(
        run=run,
        label=label,
        truncation=truncation,
        edits=edit or (),
        out=out,
        step=checkpoint_of(step, best),
        device=device,
        options=options,
        given=given,
    )


def _report(folder: Path, files: list[Path], words: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"folder": str(folder), "files": [str(file) for file in files]}))
    else:
        tell(folder)
        say(words)
