"""Plugins that look installed without an installation, and a registry that sees them."""

from __future__ import annotations

import importlib
import itertools
import os
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

from gancore.plugins import DISABLE_VARIABLE, Registry

pytest_plugins = ["pytester"]

# Machines that run this are busy, and a failure must come again when looked for.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

TOY = Path(__file__).parent / "toys" / "installed"
"""Holds the plugin `toy` with its metadata; on `sys.path`, it is installed."""

INFO = """
from gancore import hookimpl
from gancore.components import *


@hookimpl
def gan_plugin_info():
    return PluginInfo(summary="For a test", api_version=1)
"""
"""How the source of a plugin may begin."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        from support.scheduling import slowest_first

        slowest_first(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    if config.getoption("dist") != "load":  # as `-n` alone has it
        return None
    from support.scheduling import FileByFile

    return FileByFile(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how long the tests of each folder took, so that growth is seen; CONTRIBUTING.md has the budget."""
    seconds: Counter[str] = Counter()
    for report in itertools.chain.from_iterable(terminalreporter.stats.values()):
        if isinstance(report, pytest.TestReport):
            seconds["/".join(report.nodeid.partition("::")[0].split("/")[:-1])] += report.duration
    if (total := sum(seconds.values())) > 60:
        told = (f"{round(spent)} {folder}" for folder, spent in seconds.most_common() if spent >= 1)
        terminalreporter.write_line(f"{round(total)} seconds in tests: {', '.join(told)}")


@pytest.fixture(scope="session", autouse=True)
def _freed_memory_is_kept() -> Iterator[None]:
    """A third of the time of many tests would otherwise go into fetching pages anew that the test before has given back."""
    from gancore.engine.memory import keeping_freed

    with keeping_freed():
        yield


@pytest.fixture(autouse=True)
def _no_plugin_is_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DISABLE_VARIABLE, raising=False)


@pytest.fixture
def clean_modules() -> Iterator[None]:
    """Forget afterwards what a test has imported from its own plugins."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("fake_"):
            del sys.modules[name]


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_modules: None) -> Callable[..., None]:
    """Make a distribution appear: `distribution("gan-hello", {"fake_hello": source}, commands={"hello": "fake_hello:app"})`."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def install(dist: str, modules: Mapping[str, str], version: str = "1.0", **groups: Mapping[str, str]) -> None:
        for module, source in modules.items():
            (site / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        info = site / f"{dist.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        head = f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\nSummary: What {dist} brings\n"
        (info / "METADATA").write_text(head, encoding="utf-8")
        names = {"commands": "gancore.commands", "plugins": "gancore"}
        lines = [
            line for group, entries in groups.items()
            for line in (f"[{names[group]}]", *(f"{key} = {value}" for key, value in entries.items()))
        ]  # fmt: skip
        (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
        importlib.invalidate_caches()

    return install


@pytest.fixture
def fake_dist(distribution: Callable[..., None]) -> Callable[..., None]:
    """Make a plugin appear: `fake_dist("rows", source)` is plugin `rows`, module `fake_rows`, distribution `gan-rows`.

    `gan_plugin_info` is in its source already.
    """

    def install(
        name: str, source: str = "", *, dist: str = "", module: str = "", version: str = "1.0", api_version: int = 1
    ) -> None:
        module, info = module or f"fake_{name}", INFO.replace("api_version=1", f"api_version={api_version}")
        modules = {module: info + textwrap.dedent(source)}
        distribution(dist or f"gan-{name}", modules, version, plugins={name: module})

    return install


@pytest.fixture
def plugin_module() -> Callable[..., ModuleType]:
    """A module out of source text, to be given to `Registry.register`; `gan_plugin_info` is there already."""

    def make(source: str, *, info: str = INFO) -> ModuleType:
        module = ModuleType("fake_plugin")
        exec(compile(info + textwrap.dedent(source), "<plugin>", "exec"), vars(module))
        return module

    return make


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> str:
    """Install the plugin `toy` for a test, in this process and in those that it starts; its name."""
    monkeypatch.syspath_prepend(str(TOY))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(TOY), os.environ.get("PYTHONPATH", "")])))
    return "toy"


@pytest.fixture
def installed(toy: str) -> Registry:
    """Everything that is installed, and the plugin `toy`."""
    return Registry()


@pytest.fixture
def fresh_python(tmp_path: Path) -> Callable[[str], str]:
    """Run source text in a new interpreter; what it printed."""

    def run(source: str) -> str:
        process = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(source)], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert process.returncode == 0, process.stderr
        return process.stdout

    return run


@pytest.fixture
def torch_python(tmp_path: Path) -> Callable[[str], str]:
    """The same in a process that has torch imported already, and nothing of gancore; in a third of the time."""
    from support import forked

    def run(source: str) -> str:
        process = forked.run(sys.executable, ["-c", textwrap.dedent(source)], cwd=tmp_path, env=os.environ)
        assert process.returncode == 0, process.stderr
        return process.stdout

    return run
