"""`gan explain` as a user types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from gancore.explaining import explainer

Gan = Callable[..., Result]


def test_a_sample_is_explained_with_pictures_and_figures(gan: Gan, trained: Path) -> None:
    told = json.loads(gan("explain", trained, "--sample", "7:2", "-n", 16, "--json").stdout)
    folder = trained / "explained" / "001"
    assert told["folder"] == str(folder)
    found = json.loads((folder / "explain.json").read_text())
    assert found["sample"]["address"] == {"seed": 7, "position": 2}
    assert len(found["distances"]) == 7
    assert sorted(found["distances"]) == found["distances"]
    assert isinstance(found["logit"], float)
    assert {path.name for path in folder.iterdir()} >= {"explain.json", "false.png"}


def test_a_file_of_gan_sample_is_explained_as_the_sample_in_it(gan: Gan, trained: Path) -> None:
    gan("sample", trained, "-n", 1, "--seed", 4, "--out", trained / "one")
    gan("explain", trained, "--sample", trained / "one" / "recipes.json", "-n", 16)
    written, shown = (
        {p.name: p.read_bytes() for p in f.glob("sample-*")} for f in (trained / "one", trained / "explained" / "001")
    )
    assert written == shown


def test_neighbours_are_looked_for_among_so_many_training_samples_and_no_more(
    gan: Gan, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explainer, "LOOKED_THROUGH", 3)
    told = json.loads(gan("explain", trained, "-n", 16, "--json").stdout)
    assert len(told["distances"]) == 3


def test_nothing_stays_of_a_sample_that_cannot_be(refused: Callable[..., str], trained: Path) -> None:
    assert "does not exist" in refused("explain", trained, "--sample", "gone.png", code=2)
    assert not (trained / "explained").exists()
