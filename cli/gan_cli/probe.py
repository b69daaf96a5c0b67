"""`gan plugins --load`: whether what is installed can be imported, and what it is for, each in a process of its own.

A package can do anything while it is imported: print, wait for ever, end the process. Apart from one another, none of that
reaches the command or what is said of the next package.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

SECONDS = 60.0
"""How long an import may take."""

# The path comes first: the child finds what this process finds, wherever it was started.
_CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from gan_cli.probe import answer; answer(*sys.argv[2:])"
)


def tell_states(rows: Sequence[dict[str, Any]]) -> None:
    """Fill in the state of rows with `kind`, `name` and `module`: `ok`, `broken: cause`, or what it is already.

    `brings` says what a plugin that works is for: `data to train on`, `components` for other plugins, or `listeners`.
    """
    asked = [row for row in rows if not row["state"]]
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        answers = pool.map(lambda row: look(row["kind"], row["name"], row["module"], row["distribution"]), asked)
        for row, (found, brings) in zip(asked, answers, strict=True):
            row |= {"state": found, "brings": brings}


def look(kind: str, name: str, module: str, distribution: str, seconds: float = SECONDS) -> tuple[str, str]:
    """`ok`, or `broken: ` and the cause in one line; and what it brings, if it works and is a plugin."""
    command = [sys.executable, "-c", _CHILD, json.dumps(sys.path), kind, name]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return f"broken: importing {module} took more than {seconds:g} seconds", ""
    try:
        said, brings = map(str, json.loads(done.stdout))
    except ValueError:
        return f"broken: importing {module} ended the process (exit code {done.returncode})", ""
    # The row says already which plugin it is.
    for known in (f"{kind} '{name}' ", f"of {distribution} ", f"({module}) ", "is broken; "):
        said = said.removeprefix(known)
    return (f"broken: {said}" if said else "ok"), brings


def answer(kind: str, name: str) -> None:
    """In the child: import, and print what went wrong, an empty text if nothing did, and what it brings."""
    from gan_cli.commands import load_command
    from gancore.components import Dataset, Preset
    from gancore.errors import GanError
    from gancore.plugins import Registry

    # What the package prints must not be taken for the answer, not even what it prints as the process ends.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    words = brings = ""
    try:
        if kind == "plugin":
            records = Registry().load(name).records
            brings = "components" if any(records.values()) else "listeners"
            if records[Dataset.kind] or records[Preset.kind]:
                brings = "data to train on"
        else:
            load_command(name)
    except GanError as error:
        words = " ".join(str(error).split())
    print(json.dumps([words, brings]), file=out, flush=True)
