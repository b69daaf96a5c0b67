"""Runs among data: which folders hold a training, so that what it drew is not taken for data by the next.

`gan run -d .` puts its run below the data. A folder is a run by what lies in it, whatever it is called.
"""

from __future__ import annotations

import os
import re
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

from gancore.errors import UsageError

LEFT_OUT = "the folder of a run"
"""The reason with which `scan` lists one."""

_CONFIG = "config.toml"
_MARKS = ("checkpoints", "environment.json", "metrics.jsonl", "samples/real")
"""What a run has beside its configuration from its first seconds on; one of these is enough, for the others may be lost."""
_HEAD = 65_536
_TABLE = re.compile(rb"^[ \t]*\[", re.MULTILINE)
_PLUGIN = re.compile(rb"^(\xef\xbb\xbf)?[ \t]*plugin[ \t]*=[ \t]*[\"']", re.MULTILINE)


def is_run(folder: str | Path) -> bool:
    """Whether `folder` is that of a run: its `config.toml` names a plugin, and something that only training writes lies beside.

    A configuration alone makes no run: somebody may keep one with the pictures that it is for.
    """
    path = os.path.join(folder, _CONFIG)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return _names_plugin(head) and any(os.path.lexists(os.path.join(folder, mark)) for mark in _MARKS)


def run_around(path: str | Path) -> Path | None:
    """The run that `path` is, or lies in; None where there is none."""
    place = Path(os.path.abspath(path))
    return next((folder for folder in (place, *place.parents) if is_run(folder)), None)


def check_apart(path: str | Path, data: str | Path | None) -> None:
    """Refuse to write samples to `path` where the next run would take them for data: in the folder `data`, and in no run there.

    Raises:
        UsageError: it would.
    """
    if data is None:
        return
    target, root = Path(path).resolve(), Path(data).resolve()
    if not root.is_dir() or not target.is_relative_to(root):
        return
    run = run_around(target)
    if run is None or run == root or not run.is_relative_to(root):
        raise UsageError(
            f"'{path}' lies in '{data}', the data of this run, where samples would be trained on as data; choose another place"
        )


def runs_in(archive: zipfile.ZipFile, members: Mapping[str, str]) -> list[str]:
    """The folders in `archive` that are runs, none inside another. `members` are the paths of its files, with forward slashes,
    and what the archive calls each.

    The one that everything lies in is none of them: it is what the archive was made of.
    """
    there = set(members)
    for name in members:
        while "/" in name:
            name = name.rpartition("/")[0]
            if name in there:
                break
            there.add(name)
    found: list[str] = []
    for name in sorted(members, key=lambda name: name.count("/")):
        folder, _, last = name.rpartition("/")
        if not folder or last != _CONFIG or any(f"{folder}/".startswith(f"{run}/") for run in found):
            continue
        if not any(f"{folder}/{mark}" in there for mark in _MARKS):
            continue
        try:
            with archive.open(members[name]) as file:
                head = file.read(_HEAD)
        except Exception:  # damaged or encrypted, by whatever zipfile raises: nobody can tell that it is a run
            continue
        if _names_plugin(head) and not all(other.startswith(f"{folder}/") for other in members):
            found.append(folder)
    return found


def _names_plugin(head: bytes) -> bool:
    table = _TABLE.search(head)
    return _PLUGIN.search(head, 0, table.start() if table else len(head)) is not None
