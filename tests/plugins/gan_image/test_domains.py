"""Pictures from domain to domain, as somebody with two folders does it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from toys.nets import one_thread  # noqa: F401
from typer.testing import CliRunner, Result

import gancore
from gan_cli.app import app
from gancore import api
from gancore.errors import UsageError

SMALL = {"width": 4, "blocks": 2, "discriminator_width": 4}
OPTIONS = {
    "architecture": SMALL, "batch_size": 4, "held_out": 0.4, "every": {"evaluate": 0, "sample": 2, "checkpoint": 2}, "samples": 6,
    "schedules": "none", "data": {"size": 16},
}  # fmt: skip


def cli(arguments: list[str]) -> Result:
    return CliRunner().invoke(app, arguments)


def words(result: Result) -> str:
    return " ".join(result.output.split())


def place(number: int) -> str:
    """What a picture shows."""
    return "lake" if number % 2 else "wood"


@pytest.fixture(scope="module")
def seasons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seasons")
    random = np.random.default_rng(0)
    for name, light in (("summer", 200), ("winter", 60)):
        for number in range(12):
            (folder / name / place(number)).mkdir(parents=True, exist_ok=True)
            picture = np.clip(random.normal(light, 30, (20, 30, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(folder / name / place(number) / f"{name}-{number}.png")
    return folder


@pytest.fixture(scope="module")
def run(seasons: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("runs") / "run"
    return str(api.train(plugin="image", preset="domains", data=seasons, steps=2, out=out, options=OPTIONS).folder)


def test_sheets_have_sources_beside_results(run: str) -> None:
    with Image.open(Path(run) / "samples" / "step-00000000.png") as sheet:
        shape = np.asarray(sheet).shape
    assert 1.5 < shape[0] / shape[1] < 2.0  # three rows of two, with captions
    assert (Path(run) / "samples" / "real" / "real.png").exists()


def test_files_are_translated_under_their_names(run: str, seasons: Path, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    for number in (3, 5):
        (given / f"lake-{number}.png").write_bytes(
            (seasons / "summer" / place(number) / f"summer-{number}.png").read_bytes()
        )
    done = cli(["translate", run, str(given), "--to", "winter", "--out", str(tmp_path / "made"), "--json"])
    assert done.exit_code == 0, done.output
    names = sorted(Path(file).name for file in json.loads(done.stdout)["files"])
    assert names == ["lake-3.png", "lake-5.png", "sheet.png"]
    with Image.open(tmp_path / "made" / "lake-3.png") as made:
        assert made.size == (16, 16)
        pixels = torch.from_numpy(np.array(made)).permute(2, 0, 1)
    generator = gancore.load(run)
    assert torch.equal(generator.translate(given, to="winter")[0], pixels)
    again = cli(
        [
            "sample",
            run,
            "--recipe",
            str(tmp_path / "made" / "lake-5.png"),
            "--given",
            str(given),
            "--out",
            str(tmp_path / "b"),
        ]
    )
    assert again.exit_code == 0, again.output
    assert (tmp_path / "b" / "lake-5.png").read_bytes() == (tmp_path / "made" / "lake-5.png").read_bytes()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ([], "name the domain to translate to, with --to (or --class; from Python, to= or condition=): summer, winter"),
        (["--to", "wintr"], "winter"),
        (["--to", "winter", "-n", "3"], "always the same, and 1 are given; ask for no more"),
        (["--to", "winter", "--like", "FILE"], "translates in one manner, and reads no style"),
    ],
)
def test_what_cannot_be_translated_is_told(run: str, seasons: Path, more: list[str], told: str) -> None:
    file = str(seasons / "summer" / "lake" / "summer-1.png")
    refused = cli(["translate", run, file, *(file if word == "FILE" else word for word in more)])
    assert refused.exit_code == 2
    assert told in words(refused)


def test_figures_are_those_of_translations(run: str) -> None:
    done = cli(["evaluate", run, "-n", "8", "features=pixels", "--metric", "translation", "--metric", "mind", "--json"])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)["figures"]
    assert {"content-pixels", "found-pixels", "change", "round-trip", "identity"} <= set(figures["translation"])
    assert {"left-pixels/summer", "left-pixels/winter"} <= set(figures["translation"])
    assert {"kept-pixels/summer", "kept-left-pixels/winter"} <= set(figures["translation"])
    assert {"mind-pixels/summer", "mind-pixels/winter"} <= set(figures["mind"])


def test_styles_are_drawn_and_taken_from_a_file(seasons: Path, tmp_path: Path) -> None:
    options = {**OPTIONS, "game": {"name": "stargan"}, "architecture": {**SMALL, "style": 3}, "penalties": {"r1": {}}}
    run = str(
        api.train(plugin="image", preset="domains", data=seasons, steps=2, out=tmp_path / "run", options=options).folder
    )
    file = str(seasons / "summer" / "lake" / "summer-1.png")
    done = cli(["translate", run, file, "--to", "winter", "-n", "3", "--out", str(tmp_path / "three")])
    assert done.exit_code == 0, done.output
    made = {path.read_bytes() for path in (tmp_path / "three").glob("summer-1*.png")}
    assert len(made) == 3
    like = str(seasons / "winter" / "wood" / "winter-2.png")
    done = cli(["translate", run, file, "--to", "winter", "--like", like, "--out", str(tmp_path / "like")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "like" / "summer-1.png").exists()


def test_a_run_goes_on_with_the_history_that_it_had(seasons: Path, tmp_path: Path) -> None:
    options = {
        **OPTIONS,
        "game": {"name": "cycle", "history": 3},
        "every": {"evaluate": 0, "sample": 0, "checkpoint": 3},
    }
    whole = api.train(
        plugin="image", preset="domains", data=seasons, steps=6, out=tmp_path / "whole", options=options
    ).folder
    api.train(plugin="image", preset="domains", data=seasons, steps=3, out=tmp_path / "half", options=options)
    api.resume(tmp_path / "half", steps=6)
    first, second = (
        {f.name: load_file(f) for f in sorted((Path(one) / "checkpoints" / "step-00000006").glob("*.safetensors"))}
        for one in (whole, tmp_path / "half")
    )
    assert first.keys() == second.keys() > {"history.safetensors"}
    assert first["history.safetensors"]["filled"].tolist() == [3, 3]
    for name, weights in first.items():
        assert all(torch.equal(weights[key], second[name][key]) for key in weights), name


def test_pictures_without_classes_are_refused_before_anything_is_made(seasons: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"have no classes .*; give a folder with a folder of files for each domain"):
        api.train(
            plugin="image",
            preset="domains",
            data=seasons / "summer" / "lake",
            steps=2,
            out=tmp_path / "run",
            options=OPTIONS,
        )
    assert not (tmp_path / "run").exists()


def test_without_anything_to_translate_it_is_told_how_to_translate(run: str) -> None:
    refused = cli(["sample", run, "--class", "winter"])
    assert refused.exit_code == 2
    assert "translates samples between summer, winter, and makes none of nothing; take gan translate" in words(refused)


def test_after_training_and_blending_the_next_command_is_to_translate(seasons: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    settings = [f"architecture.{name}={value}" for name, value in SMALL.items()]
    settings += ["batch_size=4", "every.evaluate=0", "samples=1", "data.size=16"]
    done = cli(
        [
            "run",
            "--plugin",
            "image",
            "--preset",
            "domains",
            "--data",
            str(seasons),
            "--steps",
            "1",
            "--out",
            str(out),
            *settings,
        ]
    )
    assert done.exit_code == 0, done.output
    assert f"gan translate {out} FILES --to DOMAIN, which is one of: summer, winter" in words(done)
    assert "gan sample" not in words(done)
    done = cli(["blend", str(out), str(out), "--weights", "0.5", "--out", str(tmp_path / "blend")])
    assert done.exit_code == 0, done.output
    assert f"gan translate {tmp_path / 'blend'} FILES --to DOMAIN" in words(done)


def test_a_folder_is_translated_in_turn_to_the_same_files_as_at_once(
    run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, random = tmp_path / "given", np.random.default_rng(3)
    for number in range(70):
        place = given / ("some" if number % 2 else "others") / f"{number // 2}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (20, 18, 3), dtype=np.uint8)).save(place)
    (given / "others" / "7.png").write_bytes((given / "others" / "8.png").read_bytes()[:200])  # its end is missing
    (given / "some" / "9.png").write_text("no picture")
    translate = ["translate", run, str(given), "--to", "winter", "--out"]
    turn = cli([*translate, str(tmp_path / "turn")])
    assert turn.exit_code == 0, turn.output
    assert "2 of 70 pictures cannot be read and are left out; the first is" in words(turn)
    monkeypatch.setattr("gan_image.data.given.Reader.stream", lambda *arguments: None)
    once = cli([*translate, str(tmp_path / "once")])
    assert once.exit_code == 0, once.output
    made = {path.name: path.read_bytes() for path in (tmp_path / "turn").iterdir()}
    assert made == {path.name: path.read_bytes() for path in (tmp_path / "once").iterdir()}
    assert len(made) == 68 + 2
    assert {"0.png", "0-2.png", "9.png", "sheet.png", "recipes.json"} < made.keys()
    assert "9-2.png" not in made


def test_a_folder_of_nothing_that_can_be_read_leaves_no_folder_of_results(run: str, tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "a.png").write_text("no picture")
    refused = cli(["translate", run, str(tmp_path / "given"), "--to", "winter", "--out", str(tmp_path / "made")])
    assert refused.exit_code == 1
    assert "no image could be read (1 file examined; first problem: a.png" in words(refused)
    assert not (tmp_path / "made").exists()


def test_a_sheet_that_shows_the_first_alone_is_told(run: str, seasons: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gancore.latent.streaming.CHUNK", 2)
    monkeypatch.setattr("gancore.latent.streaming.SHOWN", 5)
    done = cli(["translate", run, str(seasons / "summer"), "--to", "winter"])
    assert done.exit_code == 0, done.output
    assert "sheet.png shows the first 5 of 12" in words(done)
