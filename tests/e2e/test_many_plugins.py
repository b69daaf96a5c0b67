"""However much is installed beside gancore, help and lists import none of it: 50 plugins and 10 commands, two of them slow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.environments import COMMAND_COUNT, MARKERS, PLUGIN_COUNT, many_packages

Gan = Callable[..., str]


@pytest.fixture
def markers(tmp_path: Path) -> Path:
    """Where packages leave their names when they are imported."""
    folder = tmp_path / "markers"
    folder.mkdir()
    return folder


@pytest.fixture
def gan(tmp_path: Path, markers: Path) -> Gan:
    """`gan(...)` where many packages are installed: stdout, and behind it which modules of the program were imported."""
    names = many_packages(tmp_path / "site")
    assert tuple(map(len, names)) == (PLUGIN_COUNT, COMMAND_COUNT) == (50, 10)
    source = (
        "import json, os, sys, gan_cli\n"
        "try:\n    gan_cli.main()\n"
        "finally:\n    open(os.environ['MODULES'], 'w').write(json.dumps(list(sys.modules)))\n"
    )

    def run(*arguments: str) -> str:
        variables = {"PYTHONPATH": str(tmp_path / "site"), MARKERS: str(markers), "COLUMNS": "200"}
        done = subprocess.run(
            [sys.executable, "-c", source, *arguments],
            cwd=tmp_path,
            env=os.environ | variables | {"MODULES": str(tmp_path / "modules.json")},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def imported(tmp_path: Path, markers: Path) -> set[str]:
    """What of torch, of the image plugin and of the many packages the last command has imported."""
    modules = set(json.loads((tmp_path / "modules.json").read_text()))
    return (modules & {"torch", "numpy", "gan_image", "gancore.builtin"}) | {p.name for p in markers.iterdir()}


def test_help_lists_every_command_and_imports_none(gan: Gan, tmp_path: Path, markers: Path) -> None:
    others = [line.split() for line in gan("--help").partition("Commands of other packages:\n")[2].splitlines()]
    assert [words[:2] for words in others if words[0].startswith("command-")] == [
        [f"command-{n:02d}", f"gan-command-{n:02d}"] for n in range(10)
    ]
    assert imported(tmp_path, markers) == set()


@pytest.mark.parametrize("arguments", [("plugins",), ("plugins", "--json")])
def test_list_has_every_plugin_and_command_and_imports_none(
    gan: Gan, tmp_path: Path, markers: Path, arguments: tuple[str, ...]
) -> None:
    text = gan(*arguments)
    for number in range(50):
        assert text.count(f"gan-plugin-{number:02d}") == 1
    for number in range(10):
        assert text.count(f"gan-command-{number:02d}") == 1
    assert imported(tmp_path, markers) == set()


def test_help_of_a_built_in_command_imports_none(gan: Gan, tmp_path: Path, markers: Path) -> None:
    assert "--plugin" in gan("run", "--plugin", "image", "--help")
    assert imported(tmp_path, markers) == set()


def test_called_command_is_the_only_one_that_is_imported(gan: Gan, tmp_path: Path, markers: Path) -> None:
    assert gan("command-05") == "called\n"
    assert imported(tmp_path, markers) == {"command-05"}


def test_plugin_that_is_asked_for_is_the_only_one_that_is_imported(gan: Gan, tmp_path: Path, markers: Path) -> None:
    assert gan("plugins", "show", "plugin-05").startswith("plugin-05: One of many")
    assert imported(tmp_path, markers) == {"plugin-05"}
