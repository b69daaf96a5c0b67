"""From exceptions to one sentence on stderr and an exit code: 2 for usage, 1 for failure."""

from __future__ import annotations

import codecs
import functools
import os
import shutil
import sys
import warnings
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TypeVar

import typer

from gancore.disk import write_error
from gancore.errors import GanError, ToldElsewhereError
from gancore.text import shown

DEBUG = False
"""Show tracebacks."""

USAGE: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
"""What typer raises for arguments that it cannot parse, and tells itself."""

F = TypeVar("F", bound=Callable[..., Any])


def say(words: str) -> None:
    """A line for people, on stderr; nothing in it is for the terminal to obey."""
    print(shown(words), file=sys.stderr, flush=True)


def tell(words: object) -> None:
    """A result on stdout: as it is for the program that reads it, and as `say` has it where that is a terminal."""
    print(shown(words) if sys.stdout.isatty() else words)


def redraw(line: str, *, end: str = "\r") -> None:
    """A line on stderr in place of the one before, as far as the terminal is wide; an empty one clears it."""
    width = shutil.get_terminal_size().columns - 1
    print(f"\x1b[2K{' '.join(shown(line).split())[:width]}", end=end if line else "", file=sys.stderr, flush=True)


def write_any_name() -> None:
    """Have names of files that are no text go to stdout as the bytes that they are, or spelt out, rather than fail."""

    def handle(error: UnicodeError) -> tuple[str | bytes, int]:
        try:
            return codecs.lookup_error("surrogateescape")(error)
        except UnicodeError:
            return codecs.lookup_error("backslashreplace")(error)

    codecs.register_error("gan", handle)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="gan")


def _show_warning(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
    del rest, more
    if issubclass(category, UserWarning) or DEBUG:
        say(f"warning: {message}")


def _full_disk(error: Exception) -> Exception | None:
    """What a disk that takes no more is told as, whatever was to be written."""
    name = getattr(error, "filename", None)
    return write_error(error, f"'{name}'" if name else "a file", inside=Path(os.devnull))


def _whose(error: Exception) -> str:
    """Whom to tell of what was not foreseen."""
    from gancore.blame import explain

    where = explain(error)
    return (
        f"; {where} (add --debug to see more)"
        if where
        else "; this was not foreseen: add --debug to see where, and report it"
    )


def guarded(command: F) -> F:
    """A command whose failures are told as promised."""

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        warnings.showwarning = _show_warning
        try:
            return command(*args, **kwargs)
        except GanError as error:
            if DEBUG:
                raise
            if not isinstance(error, ToldElsewhereError):
                say(f"error: {error}")
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            if DEBUG:
                raise
            say("interrupted")
            raise typer.Exit(130) from None
        except (typer.Exit, typer.Abort, USAGE):
            raise
        except SystemExit as error:
            from gancore.blame import explain, left

            if DEBUG or not (why := explain(error)):  # a signal's handler, say
                raise
            say(f"error: {left(error, why)}")
            raise typer.Exit(1) from None
        except Exception as error:
            if DEBUG:
                raise
            if (full := _full_disk(error)) is not None:
                say(f"error: {full}")
                raise typer.Exit(1) from None
            told = "".join(f"; {note}" for note in getattr(error, "__notes__", ())) or _whose(error)
            say(f"error: {type(error).__name__}: {error}{told}")
            raise typer.Exit(1) from None

    return wrapper  # type: ignore[return-value]
