"""Whose code an error came from that nobody foresaw: which plugin's, which component of it, and where in its source."""

from __future__ import annotations

import inspect
import sys
import sysconfig
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import FrameType

from gancore.components import Component
from gancore.errors import GanError, PluginError
from gancore.plugins import BUILTIN, GROUP, InstalledPlugin, Plugin, Registry

LIBRARIES = ("torch", "pydantic", "pluggy", "numpy", "tomli_w")
OURS = "gancore"
"""The distribution whose faults are reported to this project; the plugins that come with it are of it too."""
Own = Callable[[str], bool]
"""Whether a file, by its name, is the author's own."""


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a plugin's code that was running: `file:line in function`; without a frame where it could not be parsed."""

    file: str
    line: int
    function: str = ""
    frame: FrameType | None = None

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.line}" + (f" in {self.function}" if self.function else "")

    @property
    def module(self) -> str:
        """The name of its module."""
        return "" if self.frame is None else str(self.frame.f_globals.get("__name__", ""))


def chain(error: BaseException) -> list[BaseException]:
    """`error`, what it came of, and so on to the exception that began it all."""
    found: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in found:  # an exception may be its own cause
        found.append(one)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return found


def places(error: BaseException, own: Own | None = None) -> list[Place]:
    """Where `error` came through, from the outside to where it was raised: in files that are `own`, by default all but those of
    gancore itself and of libraries."""
    of_author = own or _is_authors
    found = []
    for frame, line in traceback.walk_tb(error.__traceback__):
        code = frame.f_code
        found.append(Place(code.co_filename, line, code.co_name, frame))
    if isinstance(error, SyntaxError) and error.filename:
        found.append(Place(error.filename, error.lineno or 0))
    return [place for place in found if of_author(place.file)]


def place(error: BaseException, own: Own | None = None) -> Place | None:
    """The last of these places, of the first exception in the chain that has any; None where there is none."""
    for one in reversed(chain(error)):
        if found := places(one, own):
            return found[-1]
    return None


def describe(error: BaseException) -> str:
    """An exception in one line, with the last place in the author's own code that it came through."""
    plugins = {entry.module.partition(".")[0] for entry in entry_points(group=GROUP)}

    def in_plugin(file: str) -> bool:  # rather than in what it calls: a library that is none of LIBRARIES
        path = file.rpartition("site-packages")[2]
        return _is_authors(file) and bool(plugins & {*Path(path).parts, Path(path).stem})

    found = place(error, in_plugin) or place(error)
    return said(error) + (f", at {found}" if found else "")


def written(function: object, own: Own | None = None) -> str:
    """`", at nets.py:12 in forward"`: where what is called begins; empty where it is not the author's."""
    one = inspect.unwrap(function) if callable(function) else None
    code = getattr(one, "__code__", None) or getattr(getattr(type(one), "__call__", None), "__code__", None)  # noqa: B004
    if code is None or not (own or _is_authors)(code.co_filename):
        return ""
    return f", at {Place(code.co_filename, code.co_firstlineno, code.co_name)}"


def said(error: BaseException) -> str:
    """An exception in one line: its type and its message."""
    try:
        text = " ".join(str(error).split()) or "no message"
    except Exception:  # authors may write exceptions too
        text = "a message that cannot be read"
    return f"{type(error).__name__}: {text[:600]}"


def explain(error: BaseException, registry: Registry | None = None, used: Collection[str] = ()) -> str:
    """In whose code `error` was raised, and whom to tell of it; empty where it was in no plugin's.

    Plugins are those that `registry` has loaded; without, those installed that this process has imported. `used` are the
    components that can have been running, `"plugin:name"`; any of them, without.
    """
    if isinstance(error, GanError | MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return ""
    plugins = list(_loaded(registry))
    ends = isinstance(error, SystemExit)  # which anybody may raise in a signal's handler, whatever that came amidst
    for each in [error] if ends else chain(error):
        own = places(each)
        for place in own[-1:] if ends else reversed(own):
            for plugin, installed in plugins:
                if _is_of(place.module, plugin):
                    component = _component(plugin, own, used)
                    whole = f"plugin '{plugin.name}'"
                    what = f"{component} of {whole}" if component else whole
                    dist = "" if installed is None else installed.distribution
                    author = "not gancore's: tell the author of " + (dist or whole)
                    if dist == OURS:
                        author = "gancore's own: report it"
                    return f"in {what}, at {place}, which is {author}"
    return ""


@contextmanager
def explaining(registry: Registry, used: Collection[str]) -> Iterator[None]:
    """Add to an error from within, as a note, in whose code it was raised, unless it has been told already.

    Raises:
        PluginError: a plugin has called `sys.exit`.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        if not getattr(error, "__notes__", ()) and (why := explain(error, registry, used)):
            if isinstance(error, SystemExit):
                raise left(error, why) from error
            error.add_note(why)
        raise


def left(end: SystemExit, why: str) -> PluginError:
    """What a plugin that would end the process is told as; `why` is what `explain` says of it."""
    return PluginError(f"sys.exit({end.code!r}) was called {why}")


def _loaded(registry: Registry | None) -> Iterator[tuple[Plugin, InstalledPlugin | None]]:
    known = registry or Registry()
    installed = {p.name: p for p in known.installed()}
    names = known.registered() if registry else [n for n, p in installed.items() if p.module in sys.modules]
    for name in names:
        if name == BUILTIN:
            continue
        try:
            yield known.load(name), installed.get(name)
        except GanError:
            continue  # a broken one is told where it is asked for


def _is_of(module: str, plugin: Plugin) -> bool:
    name = plugin.module.__name__
    return module == name or module.startswith(f"{name}.") or module in {m for m, _, _ in _targets(plugin)}


def _targets(plugin: Plugin) -> Iterator[tuple[str, str, Component]]:
    """Module, attribute and record of every component that has a target."""
    for records in plugin.records.values():
        for record in records.values():
            if isinstance(record, Component):
                module, _, attribute = record.target.partition(":")
                yield module, attribute, record


def _component(plugin: Plugin, own: Sequence[Place], used: Collection[str]) -> str:
    """The component whose code was running, if that can be told.

    By its target's name, by what the object is whose method ran, or by being alone in its module.
    """
    targets = [t for t in _targets(plugin) if not used or f"{plugin.name}:{t[2].name}" in used]
    for place in reversed(own):
        if place.frame is None:
            continue
        here = [(attribute, record) for module, attribute, record in targets if module == place.module]
        named = [r for attribute, r in here if place.frame.f_code.co_qualname.split(".")[0] == attribute]
        itself = place.frame.f_locals.get("self")
        network = _has(itself, "named_parameters")  # which can be called, and is no augmentation
        alike = [r for _, r in here if (r.kind == "architecture" if network else _meets(itself, r.returns))]
        if len(found := named or alike or [r for _, r in here]) == 1:
            return f"{found[0].kind} '{found[0].name}'"
    return ""


def _meets(thing: object, names: Sequence[str]) -> bool:
    return bool(names) and all(_has(thing, name) for name in names)


def _has(thing: object, name: str) -> bool:
    """`hasattr` that runs no code of `thing`, which is in trouble already."""
    return inspect.getattr_static(thing, name, None) is not None


def _is_authors(name: str) -> bool:
    file = Path(name)
    return not name.startswith("<frozen ") and not file.is_relative_to(Path(__file__).parent) and not _is_library(file)


def _is_library(file: Path) -> bool:
    installed = "site-packages" in file.parts
    if file.is_relative_to(sysconfig.get_path("stdlib")) and not installed:
        return True
    return installed and any(part in file.parts for part in LIBRARIES)
