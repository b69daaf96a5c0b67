"""The first commands that anybody types."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from support.terminal import DIGITS, TINY, Terminal

Digests = Callable[[Path], dict[str, str]]


def test_the_demo_trains_and_leaves_a_readable_folder(terminal: Terminal) -> None:
    done = terminal.gan("run", "--plugin", "image", "--steps", 20, "every.sample=10", *TINY)
    run = terminal.folder / done.stdout.strip()
    assert run == terminal.folder / "runs" / "image-001"
    names = {p.name for p in run.iterdir()}
    assert names == {
        "config.toml", "environment.json", "data.json", "metrics.jsonl", "samples", "checkpoints", "tensorboard", "report.html",
        "run.lock",
    }  # fmt: skip
    sheets = sorted(p.name for p in (run / "samples").glob("step-*.png"))
    assert sheets == ["step-00000000.png", "step-00000010.png", "step-00000020.png"]
    with Image.open(run / "samples" / "progress.gif") as gif:
        assert gif.n_frames == 3
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in rows] == [5, 10, 15, 20]
    assert any((run / "tensorboard").iterdir())


def test_samples_are_one_file_each_and_a_sheet(terminal: Terminal) -> None:
    terminal.gan(*DIGITS, "--steps", 2, "--out", "r", "--quiet", *TINY)
    done = terminal.gan("sample", "r", "-n", 7, "--class", "3", "--seed", 7, "--out", "new", "--json")
    files = json.loads(done.stdout)["files"]
    assert len(files) == 8
    assert sum("sheet" in Path(f).name for f in files) == 1
    for name in files[:7]:
        with Image.open(terminal.folder / name) as image:
            assert image.size == (8, 8)
    again = terminal.gan("sample", "r", "-n", 3, "--class", "3", "--seed", 7, "--json")
    first, second = (terminal.folder / f for f in (files[0], json.loads(again.stdout)["files"][0]))
    with Image.open(first) as one, Image.open(second) as other:
        assert one.tobytes() == other.tobytes()


def test_nothing_that_exists_is_overwritten(terminal: Terminal) -> None:
    (terminal.folder / "kept").mkdir()
    (terminal.folder / "kept" / "thesis.txt").write_text("years of work")
    failed = terminal.gan(*DIGITS, "--steps", 2, "--out", "kept", *TINY, code=1)
    assert "nothing is overwritten" in failed.stderr
    assert [p.name for p in (terminal.folder / "kept").iterdir()] == ["thesis.txt"]


def test_the_saved_configuration_runs_again_to_the_same_bits(terminal: Terminal, digests: Digests) -> None:
    terminal.gan(*DIGITS, "--steps", 12, "--out", "a", "--seed", 5, "loss=hinge", "penalties=r1", *TINY)
    terminal.gan("run", "--config", "a/config.toml", "--out", "b")
    assert digests(terminal.folder / "a") == digests(terminal.folder / "b")


def test_a_finished_run_can_be_trained_on(terminal: Terminal, digests: Digests) -> None:
    # A schedule follows the length of the run, so only a constant one can come to the same.
    steady = ["schedules=none"]
    terminal.gan(*DIGITS, "--steps", 6, "--out", "a", *steady, *TINY)
    refused = terminal.gan("resume", "a", code=2)
    assert "--steps" in refused.stderr
    terminal.gan("resume", "a", "--steps", 12)
    terminal.gan(*DIGITS, "--steps", 12, "--out", "b", *steady, *TINY)
    a, b = digests(terminal.folder / "a"), digests(terminal.folder / "b")
    last = {k for k in b if k.startswith("checkpoints/step-00000012")}
    assert last
    assert {k: a[k] for k in last} == {k: b[k] for k in last}


@pytest.mark.parametrize("architecture", ["dcgan", "resnet", "r3gan"])
def test_every_architecture_trains_on_pictures_that_are_not_square(terminal: Terminal, architecture: str) -> None:
    folder = terminal.folder / "photos"
    folder.mkdir()
    for number in range(8):
        Image.new("RGB", (40 + number, 30), (30 * number, 90, 200)).save(folder / f"{number}.png")
    done = terminal.gan(
        "run", "--plugin", "image", "--data", "photos", "--steps", 2, f"architecture={architecture}",
        "data.size=[16,24]", "batch_size=4", "architecture.width=8", "samples=4", "--json",
    )  # fmt: skip
    run = terminal.folder / json.loads(done.stdout)["folder"]
    assert (run / "samples" / "step-00000002.png").is_file()


def test_five_mistakes_are_named_at_once_with_suggestions(terminal: Terminal) -> None:
    failed = terminal.gan(
        "run",
        "--plugin",
        "image",
        "stepz=3",
        "loss=hingee",
        "architecture.widht=8",
        "precision=fp8",
        "ema.half_life=-1",
        code=2,
    )
    for words in ("'steps'", "'hinge'", "'width'", "precision", "ema.half_life", "5 mistakes"):
        assert words in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (terminal.folder / "runs").exists()


def test_a_run_that_cannot_begin_leaves_nothing_behind(terminal: Terminal) -> None:
    (terminal.folder / "pictures").mkdir()
    terminal.gan("run", "--plugin", "image", "--data", "pictures", "--out", "r", *TINY, code=1)
    assert not (terminal.folder / "r").exists()
    assert not (terminal.folder / "runs").exists()


def test_a_dry_run_prints_a_configuration_that_trains_the_same(terminal: Terminal, digests: Digests) -> None:
    settings = ["--plugin", "image", "--preset", "digits", "--steps", 4, "penalties=r1", *TINY]
    shown = terminal.gan("run", *settings, "--dry-run")
    assert not (terminal.folder / "runs").exists()
    (terminal.folder / "mine.toml").write_text(shown.stdout)
    terminal.gan("run", *settings, "--out", "a")
    terminal.gan("run", "--config", "mine.toml", "--out", "b")
    assert digests(terminal.folder / "a") == digests(terminal.folder / "b")
