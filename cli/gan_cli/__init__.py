"""The `gan` command. Starting it, and its help, import neither torch nor any plugin."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the console script `gan`."""
    from gan_cli.interrupting import ended, ending_at_once

    with ending_at_once():
        from gan_cli import streams

        streams.open_all()

        from gan_cli import errors
        from gan_cli.app import app

    errors.write_any_name()
    streams.make_last()
    # Taken out here so that it works wherever people put it.
    errors.DEBUG = "--debug" in sys.argv[1:]
    try:
        app(args=[a for a in sys.argv[1:] if a != "--debug"], prog_name="gan")
    except SystemExit as end:
        code = streams.close(end.code if isinstance(end.code, int) else int(end.code is not None))
        ended()
        sys.exit(code)
