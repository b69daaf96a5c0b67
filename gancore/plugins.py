"""Finding, loading and isolating plugins, and finding components in them by name.

Twice lazy: listing reads package metadata only; loading a plugin imports its declarations module, and a component's target is
imported when it is used. A plugin that cannot be loaded is an error for who asked for it and for nobody else.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, TypeVar

import pluggy

from gancore import hookspecs
from gancore.components import API_VERSION, KINDS, Component, Dataset, PluginInfo, Preset
from gancore.errors import PluginError, UnknownNameError, nearest
from gancore.targets import fault_of

GROUP = "gancore"
BUILTIN = "gancore"
"""The name under which the engine's own components are found, through the same hooks as any plugin's."""
DISABLE_VARIABLE = "GAN_DISABLE_PLUGINS"
CLAIMED_TWICE = "name claimed twice: uninstall one"
DISABLED = "disabled"

LIFECYCLE = tuple(n for n, f in vars(hookspecs).items() if n.startswith("gan_") and f.__code__.co_argcount)
"""The hooks that tell of a run."""

_COMPONENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
Record = TypeVar("Record", bound="Component | Preset")
_NOUN_HOOKS = {record.kind: f"gan_{record.kind}s" for record in KINDS} | {
    "loss": "gan_losses",
    "penalty": "gan_penalties",
    "features": "gan_features",
}


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """What package metadata say about a plugin; nothing of it has been imported. `state` says why it cannot be used."""

    name: str
    module: str
    distribution: str
    version: str
    summary: str
    disabled: bool = False
    state: str = ""


@dataclass(frozen=True, slots=True)
class Plugin:
    """A loaded plugin: its module, what it says of itself, and its records by kind and name."""

    name: str
    module: ModuleType
    info: PluginInfo
    records: Mapping[str, Mapping[str, Component | Preset]]

    def of_kind(self, kind: type[Record]) -> Mapping[str, Record]:
        """Its records of one kind, by name."""
        return self.records[kind.kind]  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Found:
    """A component together with the plugin that provides it."""

    plugin: str
    record: Any

    @property
    def qualified(self) -> str:
        """`plugin:component`."""
        return f"{self.plugin}:{self.record.name}"


def described(entry: EntryPoint) -> dict[str, str]:
    """What package metadata say of an entry point: `name`, `module`, `distribution`, `version` and `summary`."""
    said: Any = entry.dist.metadata if entry.dist else {}  # read from the disk each time
    return {
        "name": entry.name,
        "module": entry.value,
        "distribution": said["Name"] if said else "",
        "version": said["Version"] if said else "",
        "summary": said.get("Summary") or "",
    }


def owner(entry: EntryPoint) -> str:
    """The distribution that an entry point comes from."""
    return entry.dist.name if entry.dist else "?"


def disabled_names() -> set[str]:
    """The names in the environment variable `GAN_DISABLE_PLUGINS`."""
    return {n.strip() for n in os.environ.get(DISABLE_VARIABLE, "").split(",") if n.strip()}


class Registry:
    """The plugins of this process. One registry serves one command or one call of the Python API."""

    def __init__(self, entries: Iterable[EntryPoint] | None = None) -> None:
        self._entries: dict[str, list[EntryPoint]] = {}
        for entry in entry_points(group=GROUP) if entries is None else entries:
            self._entries.setdefault(entry.name, []).append(entry)
        self.disabled = disabled_names()
        self._manager = pluggy.PluginManager("gancore")
        self._manager.add_hookspecs(hookspecs)
        self._loaded: dict[str, Plugin] = {}
        self._muted: set[tuple[str, str]] = set()

    # --- what is installed ------------------------------------------------------------------------------------------

    def installed(self) -> list[InstalledPlugin]:
        """Every installed plugin by name, from metadata alone. Two that claim one name are both listed.

        One that calls itself `gancore` is listed too, though that name always means the engine's own components.
        """
        found = []
        for name in sorted(self._entries):
            twice = CLAIMED_TWICE if len(self._entries[name]) > 1 else ""
            state = DISABLED if name in self.disabled else twice
            if name == BUILTIN:
                state = "reserved name: it cannot be used"
            for entry in self._entries[name]:
                disabled = name in self.disabled
                found.append(InstalledPlugin(**described(entry), disabled=disabled, state=state))
        return found

    # --- loading ----------------------------------------------------------------------------------------------------

    def load(self, name: str) -> Plugin:
        """The plugin called `name`, imported if it was not yet.

        Raises:
            UnknownNameError: no installed package provides it.
            PluginError: it is disabled, broken, claimed twice, or written for another version of the contract.
        """
        if name in self._loaded:
            return self._loaded[name]
        module = importlib.import_module("gancore.builtin") if name == BUILTIN else self._import(name)
        return self.register(module, name)

    def registered(self) -> list[str]:
        """Names of the plugins that are loaded."""
        return list(self._loaded)

    def register(self, module: ModuleType, name: str) -> Plugin:
        """Take a module in as the plugin `name`: what `load` does after the import, and a way in for tests and notebooks."""
        if self._manager.has_plugin(name):
            raise PluginError(f"a plugin called '{name}' is registered already; give this one another name")
        if self._manager.is_registered(module):
            raise PluginError(f"plugin '{name}' is '{self._manager.get_name(module)}' under another name; use that")
        try:
            for hook in self._marked(module):
                if why := _miscalled(module, hook):
                    raise ValueError(why)
            self._manager.register(module, name=name)
            # The version comes first: a newer contract may well have hooks that this one does not know.
            info = self._info(name)
            self._manager.check_pending()
            plugin = Plugin(name, module, info, self._records(name))
        except Exception as error:
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            if isinstance(error, PluginError):
                raise
            raise PluginError(
                f"plugin '{name}' has a hook that gancore does not know or cannot call: {' '.join(str(error).split())}"
            ) from error
        self._loaded[name] = plugin
        return plugin

    def _import(self, name: str) -> ModuleType:
        if name in self.disabled:
            raise PluginError(f"plugin '{name}' is disabled by {DISABLE_VARIABLE}; remove it from there to use it")
        entries = self._entries.get(name, [])
        if not entries:
            raise UnknownNameError("plugin", name, self._entries, hint="install it with pip, or see `gan plugins`")
        if len(entries) > 1:
            owners = " and ".join(sorted(f"{owner(e)} ({e.value})" for e in entries))
            raise PluginError(f"plugin name '{name}' is claimed by {owners}; uninstall one of them")
        try:
            module = entries[0].load()
        except (Exception, SystemExit) as error:
            cause = f"{type(error).__name__}: {error}"
            raise PluginError(f"plugin '{name}' ({entries[0].value}) is broken; importing it raised {cause}") from error
        if not isinstance(module, ModuleType):
            raise PluginError(f"plugin '{name}': its entry point {entries[0].value} must name a module")
        return module

    def _info(self, name: str) -> PluginInfo:
        answers = self._ask(name, "gan_plugin_info")
        if len(answers) != 1 or not isinstance(answers[0], PluginInfo):
            raise PluginError(f"plugin '{name}' must define the hook gan_plugin_info and return one PluginInfo from it")
        info: PluginInfo = answers[0]
        if info.api_version != API_VERSION:
            advice = "upgrade gancore" if info.api_version > API_VERSION else "upgrade the plugin"
            raise PluginError(
                f"plugin '{name}' was written for version {info.api_version} of the plugin contract,"
                f" this gancore speaks version {API_VERSION}; {advice}"
            )
        return info

    def _records(self, name: str) -> dict[str, dict[str, Component | Preset]]:
        records: dict[str, dict[str, Component | Preset]] = {}
        for kind in KINDS:
            hook = _NOUN_HOOKS[kind.kind]
            mine = records.setdefault(kind.kind, {})
            for record in [r for answer in self._ask(name, hook) for r in answer]:
                if not isinstance(record, kind):
                    raise PluginError(f"plugin '{name}': {hook} must yield {kind.__name__} records, not {record!r}")
                if not _COMPONENT_NAME.fullmatch(record.name) or record.name == "none":
                    raise PluginError(
                        f"plugin '{name}' has the {kind.kind} '{record.name}'; names are letters, digits, '-' and '_', and not 'none'"
                    )
                if fault := fault_of(record):
                    raise PluginError(f"plugin '{name}': the {kind.kind} '{record.name}' {fault}")
                if record.name in mine:
                    raise PluginError(
                        f"plugin '{name}' yields two {kind.kind} components called '{record.name}'; rename one"
                    )
                mine[record.name] = record
        return records

    def _ask(self, name: str, hook: str) -> list[Any]:
        """One plugin's answers to a noun hook, with generators run to their end."""
        answers = []
        for impl in self.implementations(hook, name):
            try:
                answer = impl.function()
                answers.append(answer if isinstance(answer, PluginInfo) else list(answer or ()))
            except Exception as error:
                cause = f"{type(error).__name__}: {error}"
                raise PluginError(f"plugin '{name}' is broken; its hook {hook} raised {cause}") from error
        return answers

    # --- components -------------------------------------------------------------------------------------------------

    def known(self, kind: type[Record], plugin: str) -> dict[str, Found]:
        """Components that `plugin` can use without qualifying: its own and the engine's.

        Raises:
            PluginError: both have one of that name.
        """
        found: dict[str, Found] = {}
        for owner in dict.fromkeys((BUILTIN, plugin)):
            for name, record in self.load(owner).of_kind(kind).items():
                if name in found:
                    first, second = found[name].qualified, f"{owner}:{name}"
                    raise PluginError(f"{kind.kind} '{name}' is provided twice, as {first} and {second}; rename one")
                found[name] = Found(owner, record)
        return found

    def find(self, kind: type[Record], name: str, plugin: str) -> Found:
        """The component `name` of `plugin` or the engine, or `other:name` of any installed plugin.

        Raises:
            UnknownNameError: nobody provides it; the nearest names are in the message.
        """
        if ":" in name:
            owner, _, local = name.partition(":")
            records = self.load(owner).of_kind(kind)
            if local not in records:
                raise UnknownNameError(f"{kind.kind} of plugin '{owner}'", local, records)
            return Found(owner, records[local])
        known = self.known(kind, plugin)
        if name not in known:
            others = [] if kind is Preset else self._elsewhere(kind, name, plugin)
            hint = "`other_plugin:name` takes one from another plugin"
            raise UnknownNameError(kind.kind, name, known, hint, others)
        return known[name]

    def _elsewhere(self, kind: type[Record], name: str, plugin: str) -> list[str]:
        """The components `name` of other installed plugins, `other:name`, that are made for samples such as `plugin` has."""
        fit = {"", *(found.record.spec for found in self.known(Dataset, plugin).values())}
        qualified = []
        for other in sorted({*self._entries, *self._loaded} - {plugin}):
            try:
                record = self.load(other).of_kind(kind).get(name)
            except PluginError:
                continue  # told where it is asked for
            if record is not None and getattr(record, "spec", "") in fit:
                qualified.append(f"{other}:{name}")
        return qualified

    # --- lifecycle --------------------------------------------------------------------------------------------------

    def add_listener(self, listener: object, name: str) -> None:
        """Have `listener`'s lifecycle hooks called: an object with methods marked `@hookimpl`.

        Raises:
            PluginError: one of them is no hook, or takes other arguments; or it would hear nothing.
        """
        if why := self._unfit(listener, name):
            raise PluginError(f"'{name}' cannot listen: {why}")
        try:
            self._manager.register(listener, name=name)
        except (pluggy.PluginValidationError, ValueError) as error:
            raise PluginError(f"'{name}' cannot listen: {' '.join(str(error).split())}") from error

    def hears(self, name: str) -> list[str]:
        """The lifecycle hooks of a loaded plugin or a listener."""
        return [hook for hook in LIFECYCLE if self.implementations(hook, name)]

    def _unfit(self, listener: object, name: str) -> str:
        """Why `listener` cannot listen as `name`, or what of it would never be called; empty where it can."""
        if isinstance(listener, type):
            return f"it is a class; pass an object, {listener.__name__}()"
        if other := self._manager.get_name(listener):
            return f"it listens already, as '{other}'; add each object once"
        if self._manager.has_plugin(name):
            return "there is a plugin or a listener of that name already"
        marked = self._marked(listener)
        for hook in marked:
            if not hasattr(hookspecs, hook):
                hit = nearest(hook, LIFECYCLE, 1)
                return f"{hook} is no hook" + (f"; did you mean {hit[0]}?" if hit else "")
            if why := _miscalled(listener, hook):
                return why
        named = [n for n in dir(listener) if not n.startswith("_") and callable(inspect.getattr_static(listener, n))]
        if unmarked := [n for n in named if n in LIFECYCLE and n not in marked]:
            return f"its {' and '.join(unmarked)} would never be called; mark it with @hookimpl (from gancore import hookimpl)"
        if any(hook in LIFECYCLE for hook in marked):
            return ""
        near = [f"{hit[0]} instead of {n}" for n in named if (hit := nearest(n, LIFECYCLE, 1))]
        hint = f"did you mean {' and '.join(near)}? Hooks" if near else "hooks"
        return f"it has no lifecycle hook; {hint} are methods marked with @hookimpl: {', '.join(LIFECYCLE)}"

    def _marked(self, owner: object) -> list[str]:
        """What of a listener or a module is marked with `@hookimpl`."""
        return [name for name in dir(owner) if self._manager.parse_hookimpl_opts(owner, name) is not None]

    def remove_listener(self, name: str) -> None:
        """Undo `add_listener`, or the `load` of a plugin that listens; what is added under that name later is new to every hook."""
        self._manager.unregister(name=name)
        self._loaded.pop(name, None)
        self._muted = {key for key in self._muted if key[0] != name}

    def implementations(self, hook: str, name: str) -> list[Any]:
        """The implementations of a hook by one plugin, as pluggy keeps them."""
        return [i for i in getattr(self._manager.hook, hook).get_hookimpls() if i.plugin_name == name]

    def notify(self, hook: str, event: object) -> list[Any]:
        """Call a lifecycle hook of every loaded plugin and listener; their answers that are not None.

        One that raises is reported once, with its name, and left out of this hook from then on.
        """
        answers = []
        for impl in reversed(getattr(self._manager.hook, hook).get_hookimpls()):
            key = (impl.plugin_name, hook)
            if key in self._muted:
                continue
            try:
                answer = impl.function(*([event] if impl.argnames else []))
            except Exception as error:
                self._muted.add(key)
                cause = f"{type(error).__name__}: {error}"
                warnings.warn(
                    f"plugin '{impl.plugin_name}': its hook {hook} raised {cause}; it is not called again in this run",
                    stacklevel=2,
                )
            else:
                if answer is not None:
                    answers.append(answer)
        return answers


def _miscalled(owner: object, hook: str) -> str:
    """What an implementation of a hook takes that no hook is given; empty where nothing is, or there is no such hook."""
    if not hasattr(hookspecs, hook):
        return ""
    given = list(inspect.signature(getattr(hookspecs, hook)).parameters)
    taken = inspect.signature(getattr(owner, hook)).parameters.values()
    needed = [p.name for p in taken if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if set(needed) <= set(given):
        return ""
    return f"its {hook} takes ({', '.join(needed)}), and is called as {hook}({', '.join(given)})"
