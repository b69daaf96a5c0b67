"""Running the checks: all of them into one report, or one test each under pytest."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

from gancore.components import API_VERSION
from gancore.engine.memory import keeping_freed
from gancore.errors import PluginError
from gancore.plugins import Registry
from gancore.testing import attributes as _attributes  # noqa: F401
from gancore.testing import augmentations as _augmentations  # noqa: F401
from gancore.testing import data as _data  # noqa: F401
from gancore.testing import declarations as _declarations  # noqa: F401 - these modules define the checks
from gancore.testing import features as _features  # noqa: F401
from gancore.testing import files as _files  # noqa: F401
from gancore.testing import leaks as _leaks  # noqa: F401
from gancore.testing import networks as _networks  # noqa: F401
from gancore.testing import objectives as _objectives  # noqa: F401
from gancore.testing import optimizers as _optimizers  # noqa: F401
from gancore.testing import powers as _powers  # noqa: F401
from gancore.testing import schedules as _schedules  # noqa: F401
from gancore.testing import sharing as _sharing  # noqa: F401
from gancore.testing import steering as _steering  # noqa: F401
from gancore.testing import steps as _steps  # noqa: F401
from gancore.testing import training as _training  # noqa: F401
from gancore.testing.check import (
    CHECKS,
    Blocked,
    Check,
    ContractError,
    Mismatch,
    NotApplicable,
    Outcome,
    Report,
    Result,
    describe,
)
from gancore.testing.kit import MISPLACED, Kit
from gancore.testing.places import authored, place, target
from gancore.testing.process import process_kept

TOPICS = (
    "plugin",
    "component",
    "options",
    "preset",
    "data",
    "networks",
    "powers",
    "loss",
    "penalty",
    "augmentation",
    "optimizer",
    "schedule",
    "features",
    "attribute",
    "metric",
    "step",
    "networks.bf16",
    "writer",
    "run",
    "listener",
)
"""The first parts of checks' names, and whole names, in the order in which they are looked at: what others build on comes first."""
Test = TypeVar("Test", bound=Callable[..., Any])
PLACED = re.compile(r", at \S+:[0-9]+")
"""The place of a fault, as `gancore.testing.places` writes it."""
LOAD = "plugin.loads"
"""The check without which there is nothing else to look at."""


@dataclass(frozen=True, slots=True)
class Case:
    """One check of one subject. Calling it raises `ContractError`, or skips the test, under pytest."""

    check: Check
    subject: str
    kit: Kit

    @property
    def id(self) -> str:
        """`loss.finite[waves:realness]`."""
        return f"{self.check.name}[{self.subject}]"

    def result(self) -> Result:
        """Run it and say what became of it; nothing is raised."""
        with authored(self.kit.own):
            return self._result()

    def _result(self) -> Result:
        began = time.perf_counter()
        outcome: Outcome = "passed"
        found, expected = "", self.check.expected
        try:
            with warnings.catch_warnings(), process_kept():
                warnings.simplefilter("ignore")
                self.kit.run(self.check.name, self.subject)
        except Mismatch as error:
            outcome, found, expected = "failed", error.found, error.expected or expected
            if (where := place(error) or self._declared()) not in found:
                found += "" if PLACED.search(found) else where
        except Blocked as error:
            outcome, found = "blocked", str(error)
        except NotApplicable as error:
            outcome, found = "skipped", str(error)
        except (Exception, SystemExit) as error:
            outcome, found = "failed", describe(error)
        return Result(
            check=self.check.name,
            subject=self.subject,
            hook=self.check.hook,
            outcome=outcome,
            expected=expected,
            found=found,
            seconds=time.perf_counter() - began,
        )

    def _declared(self) -> str:
        """Where what is looked at begins, for a fault that is in no particular line; not for one in the declarations."""
        if self.check.name.partition(".")[0] in ("plugin", "component", "options", "preset"):
            return ""
        component = self.kit.components().get(self.subject)
        return "" if component is None else target(component)

    def __call__(self) -> None:
        """Run it inside a test."""
        __tracebackhide__ = True
        result = self.result()
        if result.outcome == "failed":
            raise ContractError(str(result))
        if result.outcome == "blocked" and result.found.startswith(MISPLACED):
            raise ContractError(f"{self.id}: {result.found}")  # no other test would fail for it
        if result.outcome != "passed":
            import pytest  # the command checks plugins without it

            pytest.skip(result.found)


def _order(check: Check) -> int:
    return TOPICS.index(check.name if check.name in TOPICS else check.name.partition(".")[0])


def cases(kit: Kit, only: str = "*") -> Iterator[Case]:
    """Every case whose check's name or whose id fits the pattern `only`."""
    try:
        kit.plugin  # noqa: B018 - loads it
    except PluginError:
        yield Case(CHECKS[LOAD], kit.name, kit)
        return
    for check in sorted(CHECKS.values(), key=_order):
        for subject in check.subjects(kit):
            case = Case(check, subject, kit)
            if fnmatchcase(check.name, only) or fnmatchcase(case.id, only):
                yield case


def check_plugin(
    name: str,
    *,
    registry: Registry | None = None,
    host: str = "",
    data: str | Path | None = None,
    only: str = "*",
    progress: Callable[[Result], None] = lambda result: None,
) -> Report:
    """Check everything that the plugin `name` declares.

    Args:
        name: An installed plugin, or one registered in `registry`.
        registry: Plugins to choose from; those installed without.
        host: The plugin whose demo serves as the scene for components that bring none of their own, such as a loss or an
            architecture for images; without it they are tried on points in the plane.
        data: A file or folder for data sets of the plugin that read one.
        only: A pattern of names of checks, such as `data.*`.
        progress: Called with each result as it comes.

    Raises:
        UnknownNameError: there is no plugin of this name.
    """
    with Kit(name, registry=registry, host=host, data=data) as kit, keeping_freed():
        results = []
        for case in cases(kit, only):
            result = case.result()
            progress(result)
            results.append(result)
        return Report(plugin=name, version=API_VERSION, results=tuple(results))


def conformance(
    name: str,
    *,
    registry: Registry | None = None,
    host: str = "",
    data: str | Path | None = None,
    only: str = "*",
) -> Callable[[Test], Test]:
    """Decorate `def test_contract(check): check()`, which then is one test for each check; arguments as of `check_plugin`."""
    import pytest  # as above

    kit = Kit(name, registry=registry, host=host, data=data)
    parametrize: Callable[[Test], Test] = pytest.mark.parametrize(
        "check", [pytest.param(case, id=case.id) for case in cases(kit, only)]
    )
    return parametrize
