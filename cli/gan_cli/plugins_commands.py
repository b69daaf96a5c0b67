"""`gan plugins` and its subcommands: what is installed, what one brings, whether it keeps the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gan_cli.arguments import Json, path_of
from gan_cli.errors import guarded

plugins_app = typer.Typer(help="List installed plugins, or show what one brings.", rich_markup_mode=None)


@plugins_app.callback(invoke_without_command=True)
@guarded
def plugins(
    context: typer.Context,
    load: Annotated[
        bool,
        typer.Option("--load", help="Import each, apart from the others, and say which work and why others do not."),
    ] = False,
    as_json: Json = False,
) -> None:
    """List installed plugins and the commands that they add; nothing is imported unless --load says so."""
    if context.invoked_subcommand is None:
        from gan_cli.listing import list_plugins

        root: Any = context.find_root().command
        list_plugins(as_json, load=load, builtin=root.commands)


@plugins_app.command("show")
@guarded
def plugins_show(
    name: Annotated[str, typer.Argument(help="Name of the plugin; `gancore` for what the engine itself brings.")],
    as_json: Json = False,
) -> None:
    """Show what a plugin brings."""
    from gan_cli.listing import show_plugin

    show_plugin(name, as_json)


@plugins_app.command("check")
@guarded
def plugins_check(
    name: Annotated[str, typer.Argument(help="Name of the plugin.")],
    host: Annotated[
        str | None,
        typer.Option("--with", metavar="PLUGIN", help="Try its parts on this plugin's demo, where it brings no data."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", "-d", metavar="PATH", parser=path_of, help="A file or folder that its data set reads."),
    ] = None,
    only: Annotated[str, typer.Option("--only", metavar="PATTERN", help="Only these checks, such as 'data.*'.")] = "*",
    as_json: Json = False,
) -> None:
    """Check a plugin against the contract: what is wrong, what was expected, and where to read about it."""
    from gan_cli.checking import check

    check(name, host, data, only, as_json)
