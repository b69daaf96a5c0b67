"""`gan directions`: found, kept, shown, and edited along."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Gan = Callable[..., Result]
Refused = Callable[..., str]


def test_directions_are_found_kept_with_sheets_and_edited_along(gan: Gan, trained: Path) -> None:
    done = gan("directions", trained, "-n", 100)
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["name", "less", "...", "more", "change", "Spearman", "others", "random"]
    assert lines[1].startswith("height  lower ... higher")
    assert f"in {trained / 'directions'}" in done.stderr
    assert {"directions.json", "directions.safetensors", "height.json"} <= {
        path.name for path in (trained / "directions").iterdir()
    }
    heights = []
    for amount in ("-2", "0", "2"):
        told = json.loads(gan("sample", trained, "-n", 8, "--edit", f"height={amount}", "--json").stdout)
        points = json.loads(Path(told["files"][-1]).read_text())["points"]
        heights.append(sum(point[1] for point in points))
    assert heights == sorted(heights)
    assert heights[0] < heights[2]


def test_directions_are_not_replaced_unless_asked(gan: Gan, trained: Path, refused: Refused) -> None:
    gan("directions", trained, "-n", 100)
    assert "--replace puts others in their place" in refused("directions", trained, "-n", 100, code=1)
    told = json.loads(gan("directions", trained, "-n", 100, "--replace", "--seed", 1, "--json").stdout)
    assert told["seed"] == 1
    assert told["directions"]["height"]["effects"]["change"] > 0.0


def test_an_edit_without_directions_says_how_they_are_found(trained: Path, refused: Refused) -> None:
    assert "find them with `gan directions RUN`" in refused("sample", trained, "--edit", "height=1", code=2)


def test_directions_of_an_earlier_checkpoint_are_told(gan: Gan, trained: Path) -> None:
    gan("directions", trained, "-n", 100, "--step", 2)
    told = gan("sample", trained, "-n", 4, "--edit", "height=1").stderr
    assert "were found at step 2 and this is step 4" in told
    assert f"gan directions {trained} --replace" in told
    assert "were found at" not in gan("sample", trained, "-n", 4, "--step", 2, "--edit", "height=1").stderr


def test_directions_are_judged_by_the_metric_control_where_it_is_asked_for(gan: Gan, trained: Path) -> None:
    asked = ("evaluate", trained, "-n", 20, "--metric", "control", "metrics.control.samples=40", "--json")
    assert "no directions to judge; find some with `gan directions" in gan(*asked, code=1).stderr
    gan("directions", trained, "-n", 100)
    figures = json.loads(gan(*asked).stdout)["figures"]["control"]
    assert {f"height/{name}" for name in ("change", "spearman", "others", "random")} <= figures.keys()
    assert figures["height/change"]["value"] > figures["height/random"]["value"] > 0.0
    assert figures["height/spearman"]["value"] > 0.3
    assert "control" not in json.loads(gan("evaluate", trained, "-n", 20, "--json").stdout)["figures"]


def test_directions_towards_classes_are_asked_for_by_name(gan: Gan, trained: Path, refused: Refused) -> None:
    assert "no class 'square'" in refused("directions", trained, "-n", 100, "--classes", "inner,square", code=2)
    told = gan("directions", trained, "-n", 100, "--classes", "all", "--json")
    found = json.loads(told.stdout)
    assert found["classes"] == ["all"]
    # No line tells a circle from one around it.
    assert "hardly tells it from others" in found["left_out"]["class-inner"]


def test_damaged_directions_stop_edits_and_nothing_else(gan: Gan, trained: Path, refused: Refused) -> None:
    (trained / "directions").mkdir()
    assert "cannot be read, because it is damaged" in refused("sample", trained, "--edit", "height=1", code=1)
    assert "warning: " in (said := gan("sample", trained, "-n", 1).stderr)
    assert "is damaged; remove it and find the directions anew" in said


def test_a_run_that_cannot_be_written_is_told_of_before_the_search(
    trained: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    said = refused("directions", trained, "-n", 100, code=1)
    assert f"folder '{trained / 'directions'}' cannot be made" in said
    assert "take a copy of the run in a place that you can write to" in said
