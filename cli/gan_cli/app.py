"""The commands and their arguments. Each imports what it needs when it is called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from gan_cli.arguments import Best, Json, Minutes, Quiet, Step, Steps, checkpoint_of, path_of, with_best
from gan_cli.blend_command import blend
from gan_cli.commands import CommandGroup
from gan_cli.directions_command import directions
from gan_cli.errors import guarded, say, tell
from gan_cli.evaluate_command import evaluate
from gan_cli.explain_command import explain
from gan_cli.plugins_commands import plugins_app
from gan_cli.project_command import project
from gan_cli.sampling_commands import mix, sample, translate, walk
from gan_cli.waiting import loading

app = typer.Typer(
    name="gan",
    cls=CommandGroup,
    help="Train generative adversarial networks on anything: images, music, audio, text, and what plugins bring.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
app.add_typer(plugins_app, name="plugins")


def _tell_version(wanted: bool) -> None:
    if wanted:
        from gancore import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def _main(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback when something fails.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_tell_version)
    ] = False,
) -> None:
    del debug, version  # the first is read before the arguments are parsed, so that it works in any place


@app.command()
@guarded
def run(
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Single settings, such as loss=hinge or every.sample=100."),
    ] = None,
    plugin: Annotated[
        str | None, typer.Option("--plugin", "-p", metavar="NAME", help="The modality: an installed plugin.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", "-d", metavar="PATH", help="A file or folder (default: the built-in demo).")
    ] = None,
    preset: Annotated[
        str | None, typer.Option("--preset", metavar="NAME", help="A named configuration of the plugin.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", metavar="FILE", parser=path_of, help="A TOML file, such as a run's config.toml."
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Begin with the networks of this run, as far as they fit, and with its settings unless --preset or --config is given.",
        ),
    ] = None,
    best: Annotated[
        bool, typer.Option("--best", help="With --from: its best checkpoint rather than its newest (start.step=best).")
    ] = False,
    steps: Steps = None,
    minutes: Minutes = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", min=0, help="Determines every random number.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="DIR", parser=path_of, help="The run's folder (default: runs/PLUGIN-001 and so on)."
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Train nothing: check what can be checked without reading your data (settings, names, paths, the device; for "
            "the plugin's own data also the networks), and print the complete configuration, as TOML for --config.",
        ),
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train a new run.

    `gan run --plugin image --data photos/ loss=hinge architecture.width=48` trains on your own pictures; `gan options --plugin
    image` lists what can be set as KEY=VALUE, and `gan options --plugin image architecture.dcgan` the options of one component.
    `gan run --from runs/image-001 --data few/` goes on from another run's networks with other data.
    """
    from gan_cli.progress import follow
    from gancore.configuration.layers import parse_assignments

    asked: dict[str, Any] = {
        "plugin": plugin,
        "data": data,
        "preset": preset,
        "config": config,
        "start": start,
        "steps": steps,
        "seed": seed,
    }
    asked["options"] = with_best(parse_assignments(settings or [], path_option="--data"), start, best)
    if dry_run:
        import tomli_w

        from gancore.api import check_minutes, plan
        from gancore.plugins import Registry
        from gancore.preflight import check_run

        check_minutes(minutes)
        registry = Registry()
        planned = plan(**asked, registry=registry)
        check_run(planned, registry, out)
        for note in () if quiet else planned.notes:
            say(note)
        complete = planned.dump()
        print(json.dumps(complete) if as_json else tomli_w.dumps(complete), end="")
        return

    def begin(**how: Any) -> Any:
        with loading(quiet):
            from gancore.api import train

        return train(out=out, minutes=minutes, **asked, **how)

    follow(begin, quiet=quiet, as_json=as_json)


@app.command()
@guarded
def resume(
    run: Annotated[Path, typer.Argument(parser=path_of, help="The run's folder.")],
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Settings that do not change the training: steps, writers.*, listeners, every.*, evaluate.*, best.*, stop.*, keep, "
            "device, workers.",
        ),
    ] = None,
    steps: Steps = None,
    minutes: Minutes = None,
    changed_data: Annotated[
        bool,
        typer.Option(
            "--changed-data",
            help="Continue with the data as they are now, although they have changed since the run began.",
        ),
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Continue a run from its last good checkpoint; use --steps to train a finished one further.

    Settings, such as writers.grid=none or every.checkpoint=100, are written to the run's config.toml.
    """
    from gan_cli.progress import follow
    from gancore.configuration.layers import parse_assignments

    options = parse_assignments(settings or [])

    def begin(**how: Any) -> Any:
        with loading(quiet):
            from gancore.api import resume

        return resume(run, steps=steps, minutes=minutes, options=options, changed_data=changed_data, **how)

    follow(begin, quiet=quiet, as_json=as_json)


app.command()(sample)
app.command()(translate)
app.command()(walk)
app.command()(mix)
app.command()(blend)
app.command()(directions)
app.command()(project)


@app.command()
@guarded
def export(
    run: Annotated[Path, typer.Argument(parser=path_of, help="The run's folder.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", parser=path_of, help="A new folder.")],
    label: Annotated[
        str | None,
        typer.Option(
            "--class",
            metavar="CLASS",
            help="Class that the exported model generates, by name or index, if there are classes.",
        ),
    ] = None,
    step: Step = None,
    best: Best = False,
    as_json: Json = False,
) -> None:
    """Export a run's generator to another library that has its architecture, such as a GPT-2 to transformers."""
    chosen = checkpoint_of(step, best)
    with loading():
        from gancore.sampling.loading import load

    files = load(run, device="cpu", step=chosen).export(out, label)
    if as_json:
        print(json.dumps({"folder": str(out), "files": [str(file) for file in files]}))
    else:
        tell(out)
        say(f"{len(files)} files in {out}")


app.command()(evaluate)
app.command()(explain)


@app.command()
@guarded
def options(
    section: Annotated[
        str | None, typer.Argument(help="A section or a component, such as ema, architecture or architecture.r3gan.")
    ] = None,
    plugin: Annotated[
        str, typer.Option("--plugin", "-p", metavar="NAME", help="The plugin whose components to show.")
    ] = "gancore",
    as_json: Json = False,
) -> None:
    """List settings with their meaning, bounds and defaults."""
    from gan_cli.describe import describe

    describe(plugin, section, as_json)


@app.command()
@guarded
def runs(
    folder: Annotated[Path, typer.Argument(parser=path_of, help="Where to look.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """List the runs in a folder: the step of the newest checkpoint, whether one is training now, and its newest change."""
    from gan_cli.listing import list_runs

    list_runs(folder, as_json)


@app.command()
@guarded
def report(
    run: Annotated[Path, typer.Argument(parser=path_of, help="The run's folder.")],
    as_json: Json = False,
) -> None:
    """Rewrite a run's report.html and the animation of its sheets, even for a run that was killed or is still training."""
    from gancore.reporting import make_report

    page, *animations = make_report(run)
    if as_json:
        print(json.dumps({"report": str(page), "animations": [str(animation) for animation in animations]}))
    else:
        tell(page)
        for animation in animations:
            say(f"the animation of the sheets is in {animation}")


@app.command("new-plugin")
@guarded
def new_plugin(
    name: Annotated[str, typer.Argument(help="Name of the plugin, such as waves; the package is then gan-waves.")],
    modality: Annotated[
        str, typer.Option("--modality", "-m", help="What samples are: continuous (numbers) or discrete (symbols).")
    ] = "continuous",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", parser=path_of, help="The package's folder (default: ./gan-NAME)."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the package of a new plugin, which installs, passes its tests and trains as it is."""
    from gan_cli.new_plugin import create, next_commands

    made = create(name, modality, out)
    if as_json:
        names = {"name": made.name, "package": made.package, "module": made.module, "folder": str(made.folder)}
        print(json.dumps(names | {"files": [str(made.folder / file) for file in made.files]}))
    else:
        tell(made.folder)
        say(next_commands(made))
