"""What every check stands on: the plugin's declarations, things made once, and checks that others need."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
import torch

from gancore.blame import Own
from gancore.components import KINDS, Component, Preset
from gancore.errors import PluginError, UsageError
from gancore.plugins import BUILTIN, GROUP, Plugin, Registry
from gancore.targets import build, options_model
from gancore.testing import points
from gancore.testing.check import CHECKS, Blocked, NotApplicable
from gancore.testing.places import own_files

T = TypeVar("T")
Record = TypeVar("Record", bound="Component | Preset")


def seed_all(seed: int) -> None:
    """Seed every global source of random numbers, to see who draws from one."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


class Bench:
    """A plugin under test. Everything that takes long is made once, when it is first needed."""

    def __init__(
        self, name: str, *, registry: Registry | None = None, host: str = "", data: str | Path | None = None
    ) -> None:
        """Arguments as of `gancore.testing.check_plugin`.

        Raises:
            UsageError: `host` is no plugin with a demo.
        """
        self.name = name
        self.registry = registry or Registry()
        self.host = host
        self.data = None if data is None else Path(data).expanduser()
        self._made: dict[tuple[object, ...], tuple[Any, BaseException | None]] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if points.NAME not in self.registry.registered():
            self.registry.register(points, points.NAME)
        if host and not self.registry.load(host).info.demo_preset:
            raise UsageError(f"plugin '{host}' has no demo to try parts of '{name}' on; name one that has")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def folder(self, name: str) -> Path:
        """A new empty folder, gone with the kit."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="gan-check-")
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._folder.name))

    # --- once, and in order -----------------------------------------------------------------------------------------

    def once(self, *key: object, make: Callable[[], T]) -> T:
        """What `make` returns, or raises, made at the first call for `key` and kept."""
        if key not in self._made:
            try:
                self._made[key] = (make(), None)
            except (Exception, SystemExit) as error:  # authors' code may try to end the process
                self._made[key] = (None, error)
        value, failed = self._made[key]
        if failed is not None:
            raise failed
        result: T = value
        return result

    def run(self, name: str, subject: str) -> None:
        """The check `name` of `subject`, made once, whoever asks."""
        self.once("check", name, subject, make=lambda: CHECKS[name].run(self, subject))  # type: ignore[arg-type]

    def passed(self, name: str, subject: str) -> None:
        """Go on only where the check `name` of `subject` has passed: one fault is told once."""
        try:
            self.run(name, subject)
        except (Blocked, NotApplicable):
            raise
        except (Exception, SystemExit) as error:
            raise Blocked(f"blocked by {name} ({subject})") from error

    # --- declarations -----------------------------------------------------------------------------------------------

    @property
    def plugin(self) -> Plugin:
        """The plugin, loaded. Raises PluginError."""
        return self.once("plugin", make=lambda: self.registry.load(self.name))

    @property
    def own(self) -> Own:
        """Which files are the plugin's own."""

        def files() -> Own:
            try:
                return own_files(self.name, self.plugin.module)
            except PluginError:  # then by its metadata
                return own_files(self.name, None)

        return self.once("own", make=files)

    @property
    def installed(self) -> bool:
        """Whether a new process finds the plugin too, rather than only this process's registry."""
        known = {e.name for e in entry_points(group=GROUP)} | {BUILTIN, points.NAME}
        return self.name in known

    def records(self, kind: type[Record]) -> Mapping[str, Record]:
        """Its records of one kind, by name."""
        return self.plugin.of_kind(kind)

    def components(self) -> dict[str, Component]:
        """Every record with a target, as `"loss hinge"`."""
        kinds = [k for k in KINDS if k is not Preset]
        return {f"{k.kind} {n}": r for k in kinds for n, r in self.records(k).items() if isinstance(r, Component)}

    def subjects(self, *kinds: type[Any]) -> list[str]:
        """The plugin's records of some kinds, as `"loss hinge"`."""
        return [f"{kind.kind} {name}" for kind in kinds for name in self.records(kind)]

    def record(self, subject: str) -> Any:
        """What a subject such as `"loss hinge"` names."""
        kind, _, name = subject.partition(" ")
        return self.plugin.records[kind][name]

    def model(self, subject: str) -> Any:
        """The option model of a component, sound as far as its checks go; None where it has none."""
        self.passed("component.resolves", subject)
        if self.record(subject).options:
            self.passed("component.defaults", subject)
        return options_model(self.record(subject))

    def built(self, subject: str, *arguments: Any) -> Any:
        """The component with default options."""
        model = self.model(subject)
        return build(self.record(subject), None if model is None else model(), *arguments)
