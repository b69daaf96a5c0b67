"""Tables of what is installed and of what has been trained."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from gan_cli.commands import installed_commands
from gan_cli.errors import say, tell
from gan_cli.probe import tell_states
from gan_cli.terminal import Terminal
from gancore.errors import GanError, RunFolderError
from gancore.plugins import BUILTIN, Registry
from gancore.text import check_path, shown


def table(rows: list[dict[str, Any]], columns: dict[str, str]) -> None:
    """Print `rows` under headings `columns` (key to heading); wide cells fold."""
    view = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns.values():
        view.add_column(heading, overflow="fold")
    for row in rows:
        view.add_row(*(shown(row.get(key, "")) for key in columns))
    # Piped into a file, a row stays on one line.
    Terminal(width=None if sys.stdout.isatty() else 200, markup=False, emoji=False).print(view)


def list_plugins(as_json: bool, *, load: bool = False, builtin: Collection[str] = ()) -> None:
    """Plugins, and commands beside those called `builtin`, from package metadata; with `load` also whether each works."""
    plugins, commands = Registry().installed(), installed_commands(builtin)
    rows = [{"kind": "plugin", **asdict(p)} for p in plugins] + [{"kind": "command", **asdict(c)} for c in commands]
    if load:
        tell_states(rows)
    if as_json:
        print(json.dumps(rows))
        return
    for kind in dict.fromkeys(r["kind"] for r in rows):
        mine = [r | {"package": f"{r['distribution']} {r['version']}"} for r in rows if r["kind"] == kind]
        if kind != rows[0]["kind"]:
            print()
        more = {"brings": "brings"} if load and kind == "plugin" else {}
        table(mine, {"name": kind, "package": "package", "module": "module", "state": "state" if load else "", **more})
    say(
        "what one brings: gan plugins show NAME"
        + ("" if load else "; which of them bring data to train on: gan plugins --load")
    )


def show_plugin(name: str, as_json: bool) -> None:
    """What a plugin brings; loads its declarations."""
    plugin = Registry().load(name)
    rows = [
        {"kind": kind, "name": record.name, "summary": record.summary}
        for kind, records in plugin.records.items()
        for record in records.values()
    ]
    if as_json:
        info = {"name": name, "summary": plugin.info.summary, "api_version": plugin.info.api_version}
        print(json.dumps(info | {"components": rows}))
        return
    tell(f"{name}: {plugin.info.summary}\n")
    table(rows, {"kind": "kind", "name": "name", "summary": "what it is"})
    if name != BUILTIN:
        say(
            f"its options: gan options --plugin {name} [KIND.NAME]; the engine's own components: gan plugins show {BUILTIN}"
        )


def list_runs(root: Path, as_json: bool) -> None:
    """Runs under `root`: plugin, seed, the step that is saved, whether it is being trained, and its newest change."""
    from gancore.runs import list_runs as find
    from gancore.runs import state_of

    check_path(root, "the folder")

    rows = []
    for path in find(root):
        try:
            found = state_of(path)
        except RunFolderError:
            continue  # some other program's config.toml
        except GanError as error:
            say(f"warning: {error}")
            continue
        config, changed = found.config, datetime.fromtimestamp(found.changed).isoformat(" ", "seconds")
        sections = {k: config.get(k) for k in ("data", "architecture", "loss")}
        chosen = {k: v.get("name", "") if isinstance(v, dict) else v or "" for k, v in sections.items()}
        row = {"run": str(path), "plugin": config.get("plugin", ""), **chosen, "seed": config.get("seed", "")}
        far = {"step": found.saved, "steps": found.steps, "training": found.training, "changed": changed}
        rows.append(row | {"preset": config.get("preset", "")} | far)
    if as_json:
        print(json.dumps(rows))
    elif not rows:
        say(f"no runs in '{root}'; train one: gan run --plugin image")
    else:
        for row in rows:
            row["saved"] = f"{row['step']:,}/{row['steps']:,}" + (" training" if row["training"] else "")
            row["changed"] = row["changed"][:-3]
        keys = ("run", "plugin", "data", "architecture", "loss", "seed", "saved", "changed")
        table(rows, {k: k for k in keys})
