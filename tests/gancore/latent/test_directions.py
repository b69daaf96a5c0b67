"""Directions in a run's folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from gancore.errors import RunFolderError
from gancore.latent import directions
from gancore.latent.directions import Direction, Found

FOUND = Found(
    step=3, weights="ab", seed=0, samples=100, judged=64, directions={"up": Direction(kind="sefa")}, left_out={"x": "y"}
)
STEPS = {"up": torch.tensor([[1.0, 2.0]], dtype=torch.float64)}


def write(folder: Path) -> None:
    (folder / "up.txt").write_text("a sheet")


def test_directions_are_read_as_they_were_kept(tmp_path: Path) -> None:
    folder = directions.save(tmp_path, FOUND, STEPS, write)
    kept = directions.load(tmp_path)
    assert kept.found == FOUND
    assert torch.equal(kept.steps["up"], STEPS["up"].float())
    assert sorted(path.name for path in folder.iterdir()) == ["directions.json", "directions.safetensors", "up.txt"]


def test_a_run_without_directions_has_none(tmp_path: Path) -> None:
    assert directions.load(tmp_path).found is None


def test_new_ones_take_the_place_of_all_that_was_there_or_of_nothing(tmp_path: Path) -> None:
    directions.save(tmp_path, FOUND, STEPS, write)
    with pytest.raises(ZeroDivisionError):
        directions.save(tmp_path, FOUND.model_copy(update={"step": 9}), STEPS, lambda folder: 1 // 0)
    kept = directions.load(tmp_path).found
    assert kept is not None
    assert kept.step == 3
    directions.save(tmp_path, FOUND.model_copy(update={"step": 9}), STEPS, lambda folder: None)
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "directions",
        "directions.json",
        "directions.safetensors",
    ]


@pytest.mark.parametrize("name", ["directions.json", "directions.safetensors"])
@pytest.mark.parametrize("content", [b"", b"{}", None])
def test_damaged_files_are_told_with_what_to_do(tmp_path: Path, name: str, content: bytes | None) -> None:
    path = directions.save(tmp_path, FOUND, STEPS, write) / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(RunFolderError, match=r"is damaged; remove it and find the directions anew: gan directions"):
        directions.load(tmp_path)


def test_directions_that_are_not_finite_are_damaged(tmp_path: Path) -> None:
    directions.save(tmp_path, FOUND, {name: torch.full((1, 2), torch.nan) for name in STEPS}, write)
    with pytest.raises(RunFolderError, match="is damaged"):
        directions.load(tmp_path)


def test_directions_that_another_program_has_found_meanwhile_are_left(tmp_path: Path) -> None:
    replace = os.replace

    def late(source: Path, target: Path) -> None:
        if not target.exists():
            (target / "theirs").mkdir(parents=True)
        replace(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", late)
        with pytest.raises(RunFolderError, match="was made by another program meanwhile"):
            directions.save(tmp_path, FOUND, STEPS, write)
    assert [path.name for path in tmp_path.rglob("*")] == ["directions", "theirs"]


def test_directions_of_other_weights_are_told(tmp_path: Path) -> None:
    directions.save(tmp_path, FOUND, STEPS, write)
    kept = directions.load(tmp_path)
    assert kept.warning(3, "ab", tmp_path) == ""
    assert "found at step 3 and this is step 5" in kept.warning(5, "cd", tmp_path)
