"""Commands that other packages add to `gan`: found by metadata, imported when one is called.

A package names a `typer.Typer` in the entry-point group `gancore.commands`. One that cannot be used is an error for who calls
it; help, the list of plugins and every other command work all the same.
"""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

import typer
import typer.core
import typer.main

from gan_cli.errors import USAGE, guarded, say
from gancore.errors import GanError, PluginError, nearest
from gancore.plugins import CLAIMED_TWICE, DISABLE_VARIABLE, DISABLED, described, disabled_names, owner
from gancore.plugins import GROUP as PLUGINS
from gancore.text import shown

GROUP = "gancore.commands"
BUILT_IN_WINS = "name of a built-in command: the built-in wins"

# What typer adds to an app of its own; inside `gan` it would offer to complete another program.
_COMPLETION = {"install_completion", "show_completion"}
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class InstalledCommand:
    """What package metadata say about a command; nothing of it has been imported. `state` says why it cannot be called."""

    name: str
    module: str
    distribution: str
    version: str
    summary: str
    disabled: bool
    state: str

    @property
    def package(self) -> str:
        """`gan-count 0.1.0`."""
        return f"{self.distribution} {self.version}".strip()


def _found() -> dict[str, list[EntryPoint]]:
    """Commands of other packages, by name in alphabetical order."""
    found: dict[str, list[EntryPoint]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: (e.name, e.dist.name if e.dist else "")):
        found.setdefault(entry.name, []).append(entry)
    return found


def _switched_off(entries: dict[str, list[EntryPoint]]) -> set[tuple[str, str]]:
    """Commands, by name and target, that are disabled by their own name or by that of a plugin of their distribution."""
    names = disabled_names()
    if not names:
        return set()
    packages = {e.dist.name for e in entry_points(group=PLUGINS) if e.dist and e.name in names}
    return {
        (entry.name, entry.value)
        for several in entries.values()
        for entry in several
        if entry.name in names or (entry.dist and entry.dist.name in packages)
    }


def installed_commands(builtin: Collection[str]) -> list[InstalledCommand]:
    """Every command that an installed package adds, from metadata alone; `builtin` are the names that are taken.

    Two that claim one name are both listed; one that is disabled claims nothing.
    """
    found = _found()
    off = _switched_off(found)
    claims = Counter(e.name for several in found.values() for e in several if (e.name, e.value) not in off)
    commands = []
    for name, several in found.items():
        for entry in several:
            disabled = (name, entry.value) in off
            twice = CLAIMED_TWICE if claims[name] > 1 else ""
            state = DISABLED if disabled else BUILT_IN_WINS if name in builtin else twice
            commands.append(InstalledCommand(**described(entry), disabled=disabled, state=state))
    return commands


def load_command(name: str) -> typer.core.TyperCommand | typer.core.TyperGroup | None:
    """The command `name` of another package, imported; None where no package has one.

    Raises:
        PluginError: it is disabled, claimed twice, fails on import, or is no Typer app.
    """
    found = _found().get(name, [])
    if not found:
        return None
    off = _switched_off({name: found})
    entries = [e for e in found if (e.name, e.value) not in off]
    if not entries:
        owners = " and ".join(owner(e) for e in found)
        raise PluginError(
            f"command '{name}' of {owners} is disabled by {DISABLE_VARIABLE}; remove it from there to use it"
        )
    if len(entries) > 1:
        owners = " and ".join(f"{owner(e)} ({e.value})" for e in entries)
        raise PluginError(f"command '{name}' is claimed by {owners}; uninstall one of them")
    [entry] = entries
    head = f"command '{name}' of {owner(entry)}"
    try:
        app = entry.load()
    except (Exception, SystemExit) as error:
        cause = f"{type(error).__name__}: {error}"
        raise PluginError(f"{head} is broken; importing {entry.value} raised {cause}") from error
    if not isinstance(app, typer.Typer):
        raise PluginError(f"{head} cannot be used: {entry.value} must be a typer.Typer, not {type(app).__name__}")
    try:
        command: Any = typer.main.get_command(app)
    except Exception as error:  # typer reads signatures only now
        cause = f"{type(error).__name__}: {error}"
        raise PluginError(f"{head} is broken; making a command of {entry.value} raised {cause}") from error
    command.params = [p for p in command.params if p.name not in _COMPLETION]
    # Both run the package's code: the first its callbacks of parameters, the second the command itself.
    command.make_context = _told(command.make_context, head)
    command.invoke = _told(command.invoke, head)
    return command


def _told(call: F, head: str) -> F:
    """`call` with failures told as those of built-in commands are, and what was not foreseen with the package's name."""

    @guarded
    @functools.wraps(call)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except (GanError, typer.Exit, typer.Abort, USAGE):
            raise
        except Exception as error:
            cause = f"{type(error).__name__}: {error}"
            raise PluginError(
                f"{head} failed with {cause}; add --debug to see where, and report it to its authors"
            ) from error

    return wrapper  # type: ignore[return-value]


@contextlib.contextmanager
def _shown_as_all_else() -> Iterator[None]:
    try:
        yield
    except USAGE as error:
        if isinstance(words := getattr(error, "message", None), str):
            error.message = shown(words)  # type: ignore[attr-defined]
        raise


class CommandGroup(typer.core.TyperGroup):
    """The command `gan`: its own commands, and those of other packages beside them."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """As every group does; what typer says of arguments is shown as all else is."""
        with _shown_as_all_else():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """As every group does; what typer says of arguments is shown as all else is."""
        with _shown_as_all_else():
            return super().invoke(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A built-in command, else that of another package, else None."""
        own = super().get_command(ctx, cmd_name)
        return own if own is not None else guarded(load_command)(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As every group does, with the nearest names of all packages where there is no such command."""
        name = args[0]
        found = installed_commands(self.commands)
        if hidden := [c.package for c in found if c.name == name and c.state == BUILT_IN_WINS]:
            say(f"warning: '{name}' is the built-in command; that of {' and '.join(hidden)} is not used")
        elif name not in self.commands and not name.startswith("-") and all(c.name != name for c in found):
            near = nearest(name, dict.fromkeys([*self.commands, *(c.name for c in found if not c.disabled)]))
            ctx.fail(f"No such command {name!r}." + (f" Did you mean {' or '.join(map(repr, near))}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The built-in commands, then the others under their own heading, with the packages that bring them."""
        super().format_commands(ctx, formatter)
        others = [c for c in installed_commands(self.commands) if c.state in ("", CLAIMED_TWICE)]
        if others:
            with formatter.section("Commands of other packages"):
                formatter.write_dl([(c.name, _line(c)) for c in others])


def _line(command: InstalledCommand) -> str:
    words = command.state or command.summary
    return f"{command.package}: {words}" if words else command.package
