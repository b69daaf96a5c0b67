"""`gan blend` as a user types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

Gan = Callable[..., Result]


def test_layers_are_listed_and_a_blend_is_sampled_and_walked(gan: Gan, trained: Path, tmp_path: Path) -> None:
    listed = gan("blend", trained, trained, "--list").stdout.splitlines()
    assert len(listed) == len(json.loads(gan("blend", trained, trained, "--list", "--json").stdout)) > 1
    result = gan("blend", trained, trained, "--layers", "0", "--out", tmp_path / "new")
    assert result.stdout == f"{tmp_path / 'new'}\n"
    assert "a blend: layer 0 (" in result.stderr
    gan("sample", tmp_path / "new", "-n", 2)
    gan("walk", tmp_path / "new", "--frames", 4)


def test_one_way_to_blend_is_asked_for(refused: Callable[..., str], trained: Path) -> None:
    assert "--layers 0-3 or --weights 0.5" in refused("blend", trained, trained, code=2)
    assert "--layers 0-3 or --weights 0.5" in refused("blend", trained, trained, "--list", "--weights", 1, code=2)
