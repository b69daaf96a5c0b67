"""Which files are the plugin's own, and where in them an exception came from: what a fault names is the author's to change."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import Distribution, entry_points
from pathlib import Path
from types import ModuleType

from gancore import blame
from gancore.blame import Own
from gancore.components import Component
from gancore.errors import PluginError
from gancore.plugins import GROUP
from gancore.targets import resolve

_OWN: ContextVar[Own] = ContextVar("own", default=lambda filename: False)


@contextmanager
def authored(own: Own) -> Iterator[None]:
    """Within, places are named in the files that `own` says are the author's."""
    token = _OWN.set(own)
    try:
        yield
    finally:
        _OWN.reset(token)


def own_files(name: str, module: ModuleType | None) -> Own:
    """The files of the plugin `name`: those of its distribution; of the module's package where it is not installed.

    The plugins that come with gancore are a package each of one distribution, and own that package.
    """
    entry = next((e for e in entry_points(group=GROUP) if e.name == name), None)
    top = (entry.module if entry is not None else module.__name__ if module is not None else "").partition(".")[0]
    folders, files = _of_package(top)
    dist = None if entry is None else entry.dist
    if dist is not None and dist.name != "gancore":
        files |= {os.path.realpath(str(dist.locate_file(f))) for f in dist.files or ()}
        folders += _project(dist)

    def own(filename: str) -> bool:
        path = os.path.realpath(filename)
        within = [f for f in folders if path.startswith(f + os.sep)]
        # A project's folder may hold an environment with other people's packages.
        return path in files or any("site-packages" not in path[len(f) :].split(os.sep) for f in within)

    return own


def _of_package(top: str) -> tuple[list[str], set[str]]:
    """The folders of the package `top`, or the file of the module, without importing either."""
    try:
        spec = getattr(sys.modules.get(top), "__spec__", None) or (importlib.util.find_spec(top) if top else None)
    except (ImportError, ValueError):
        spec = None
    if spec is not None and spec.submodule_search_locations:
        return [os.path.realpath(p) for p in spec.submodule_search_locations], set()
    file = spec.origin if spec is not None else getattr(sys.modules.get(top), "__file__", None)
    return [], {os.path.realpath(file)} if file else set()


def _project(dist: Distribution) -> list[str]:
    """The project's folder of a distribution that was installed from there with `pip install -e`."""
    told = json.loads(dist.read_text("direct_url.json") or "{}")
    url = str(told.get("url", ""))
    if not told.get("dir_info", {}).get("editable") or not url.startswith("file://"):
        return []
    from urllib.parse import urlparse
    from urllib.request import url2pathname

    return [os.path.realpath(url2pathname(urlparse(url).path))]


def place(error: BaseException) -> str:
    """`", at nets.py:44 in forward"`: where in the author's files an exception, or what it came of, was last; empty if nowhere."""
    own = _OWN.get()
    found = blame.place(error, lambda filename: not filename.startswith("<") and own(filename))
    return f", at {found}" if found else ""


def is_own(cls: type) -> bool:
    """Whether the author wrote this class."""
    return bool(file := _file_of(cls)) and _OWN.get()(file)


def defined(cls: type) -> str:
    """`", at nets.py:12"`: where the author's class is defined; empty where it is somebody else's."""
    try:
        return f", at {Path(_file_of(cls)).name}:{inspect.getsourcelines(cls)[1]}" if is_own(cls) else ""
    except (OSError, TypeError):
        return ""


def written(function: object) -> str:
    """`", at nets.py:12 in forward"`: where the author's function or method begins; empty where it is somebody else's."""
    return blame.written(function, _OWN.get())


def target(record: Component) -> str:
    """`", at nets.py:12 in build"`: where the author's function or class begins that a record names; empty where there is none."""
    try:
        found = resolve(record.target)
    except PluginError:  # which has a check of its own
        return ""
    return defined(found) if isinstance(found, type) else written(found)


def _file_of(cls: type) -> str:
    return getattr(sys.modules.get(cls.__module__), "__file__", None) or ""
