"""The `gan` command in this process, and a run of the toy plugin to try it on."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gan_cli import errors
from gan_cli.app import app

TOY = Path(__file__).parents[1] / "toys" / "installed"


@pytest.fixture(autouse=True)
def _as_in_a_fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "DEBUG", False)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def gan(toy: str) -> Callable[..., Result]:
    """`gan("run", "--steps", 4, code=0)`: what the command printed; fails where the exit code is another."""

    def run(*arguments: object, code: int = 0) -> Result:
        result = CliRunner().invoke(app, [str(a) for a in arguments])
        assert result.exit_code == code, f"exit code {result.exit_code}\n{result.stdout}\n{result.stderr}"
        return result

    return run


@pytest.fixture
def refused(gan: Callable[..., Result]) -> Callable[..., str]:
    """What is said on stderr where a command fails: one message, nothing on stdout, no traceback."""

    def run(*arguments: object, code: int) -> str:
        result = gan(*arguments, code=code)
        assert result.stdout == ""
        assert result.stderr.startswith("error: ")
        assert "Traceback" not in result.stderr
        assert "not foreseen" not in result.stderr
        return result.stderr

    return run


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    import torch

    import gancore

    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TOY))
        out = tmp_path_factory.mktemp("trained") / "run"
        yield gancore.train(plugin="toy", out=out, seed=5, options={"every.checkpoint": 2, "every.log": 1}).folder


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Path:
    """A run of the toy plugin with checkpoints of steps 2 and 4, for this test alone."""
    return Path(shutil.copytree(trained_once, tmp_path / "run"))
