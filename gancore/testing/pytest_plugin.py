"""What pytest offers wherever gancore is installed: fixtures for the tests of a plugin. Imports neither torch nor any plugin."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gancore import __version__
from gancore.components import API_VERSION

if TYPE_CHECKING:
    from gancore.api import Run
    from gancore.plugins import Registry


def pytest_report_header() -> str:
    """Say which contract the tests are held against."""
    return f"gancore: {__version__}, version {API_VERSION} of the plugin contract"


@pytest.fixture
def gan_registry() -> Registry:
    """The installed plugins. `gan_registry.register(module, "name")` adds one that is not installed."""
    from gancore.plugins import Registry

    return Registry()


@pytest.fixture
def gan_train(tmp_path: Path, gan_registry: Registry) -> Callable[..., Run]:
    """`gancore.train` for a few steps on the CPU, into the test's folder: `gan_train("waves", options={"loss": "hinge"})`.

    Takes what `gancore.train` takes; `steps` is 3 and `seed` 0 unless given. Samples and checkpoints are as in a long run.
    """

    def train(plugin: str, **arguments: Any) -> Run:
        import gancore

        number = len(list(tmp_path.glob("run-*")))
        options = {"batch_size": 8, "samples": 4, "device": "cpu", "workers": 0, "listeners": []}
        own: dict[str, Any] = {"steps": 3, "out": tmp_path / f"run-{number}", "registry": gan_registry}
        own["options"] = options | arguments.pop("options", {})
        return gancore.train(plugin=plugin, **(own | arguments))

    return train


@pytest.fixture
def gan_command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Type a command: `gan_command("run", "--plugin", "waves", "--steps", 3)` runs it in the test's folder, in a new process.

    Returns the completed process with `returncode`, `stdout` and `stderr`; after 300 s it is ended.
    """

    def command(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "gan_cli", *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | {"COLUMNS": "200"},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
        )

    return command
