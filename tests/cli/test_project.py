"""`gan project`: samples of one's own, found again in a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Gan = Callable[..., Result]
Refused = Callable[..., str]


def points(folder: Path, *lines: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "mine.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_projections_are_compared_and_can_be_made_again(gan: Gan, trained: Path, tmp_path: Path) -> None:
    mine = points(tmp_path / "mine", "0.5 0.5", "0.1 -0.9")
    result = gan("project", trained, mine, "--steps", 4)
    folder = trained / "projected" / "001"
    assert result.stdout == f"{folder}\n"
    assert "of 2 projections are nearer than the nearest training sample by values" in result.stderr
    assert sorted(path.name for path in folder.iterdir()) == [
        "projections.json",
        "recipes.json",
        "sample-00000.txt",
        "sample-00001.txt",
        "sheet.json",
    ]
    first, second = json.loads((folder / "projections.json").read_text())
    assert (first["original"], second["original"]) == (f"{mine}#0", f"{mine}#1")
    assert (first["file"], second["file"]) == ("sample-00000.txt", "sample-00001.txt")
    gan("sample", trained, "--recipe", folder, "--out", tmp_path / "again")
    for name in (first["file"], second["file"]):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_what_cannot_be_projected_is_told_and_nothing_is_written(
    gan: Gan, trained: Path, tmp_path: Path, refused: Refused
) -> None:
    assert "does not exist" in refused("project", trained, tmp_path / "none.txt", code=2)
    assert "reads no such file" in refused("project", trained, tmp_path / "run" / "config.toml", code=2)
    assert "name a file to project" in refused("project", trained, "features=none", code=2)
    assert "unknown class 'a'" in refused("project", trained, points(tmp_path / "m", "1 1"), "--class", "a", code=2)
    assert not (trained / "projected").exists()


def test_what_no_projection_can_have_is_refused_before_the_search(
    trained: Path, tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gancore.latent.projecting import Projector

    monkeypatch.delattr(Projector, "find")
    mine = points(tmp_path / "mine", "0.5 0.5")
    assert "take each as it is made: candidates.count=1" in refused(
        "project", trained, mine, "candidates.count=2", code=2
    )
    assert "features.nothing" in refused("project", trained, mine, "features=nothing", code=2)


def test_the_sheet_of_projections_carries_their_recipes(
    gan: Gan, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gan_toy_parts as parts

    kept: dict[str, str] = {}
    monkeypatch.setattr(parts.JsonWriter, "attach", lambda _, path, text: kept.update({path.name: text}), raising=False)
    monkeypatch.setattr(parts.JsonWriter, "text_of", lambda _, path: kept.get(path.name), raising=False)
    gan("project", trained, points(tmp_path / "mine", "0.5 0.5", "0.1 -0.9"), "--steps", 2)
    folder = trained / "projected" / "001"
    assert json.loads(kept["sheet.json"]) == list(json.loads((folder / "recipes.json").read_text()).values())


def test_the_sheet_of_projections_keeps_each_beside_its_original(
    gan: Gan, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gan_toy_parts as parts

    shown: list[tuple[list[str], int]] = []

    def captioned(
        self: object, samples: object, folder: Path, stem: str, captions: list[str], columns: int, _: str
    ) -> list[Path]:
        shown.append((captions, columns))
        return []

    monkeypatch.setattr(parts.JsonWriter, "captioned", captioned, raising=False)
    mine = points(tmp_path / "mine", "0.5 0.5", "0.1 -0.9", "0.2 0.3")
    gan("project", trained, mine, "--steps", 2)
    assert shown == [(["mine.txt#0", "projection", "mine.txt#1", "projection", "mine.txt#2", "projection"], 2)]
