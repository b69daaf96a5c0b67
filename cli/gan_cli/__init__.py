"""The `gan` command. Starting it, and its help, import neither torch nor any plugin."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the console script `gan`."""
    from gan_cli import errors
    from gan_cli.app import app

    # Taken out here so that it works wherever people put it.
    errors.write_any_name()
    errors.DEBUG = "--debug" in sys.argv[1:]
    app(args=[a for a in sys.argv[1:] if a != "--debug"], prog_name="gan")
