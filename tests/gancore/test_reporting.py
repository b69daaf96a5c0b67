"""The report and the animation of a run on demand, and what the files of a run tell of it."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import gancore
from gancore.errors import RunFolderError
from gancore.reporting import animation_left
from gancore.run_lock import FILE
from gancore.runs import state_of

fcntl = pytest.importorskip("fcntl")

SMALL = {
    "data": "digits",
    "architecture": "dcgan",
    "architecture.width": 4,
    "batch_size": 4,
    "samples": 4,
    "every.sample": 1,
    "every.checkpoint": 1,
    "every.log": 1,
    "listeners": [],
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    return gancore.train(plugin="image", preset="small", steps=3, out=out, options=SMALL).folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A run as it lies there when its training was killed: three sheets, no report, no animation."""
    made = Path(shutil.copytree(trained, tmp_path / "run"))
    (made / "report.html").unlink()
    (made / "samples" / "progress.gif").unlink()
    return made


def test_report_and_animation_are_made_of_a_run_that_was_killed(run: Path) -> None:
    assert animation_left(run)
    page, animation = gancore.make_report(run)
    assert page == run / "report.html"
    assert "progress.gif" in page.read_text(encoding="utf-8")
    with Image.open(animation) as picture:
        assert picture.n_frames == 4


def test_report_tells_how_far_the_run_is(run: Path) -> None:
    def page() -> str:
        return gancore.make_report(run)[0].read_text(encoding="utf-8")

    assert "Reached step 3" in page()
    shutil.rmtree(run / "checkpoints" / "step-00000003")
    assert "Saved at step 2 of 3" in page()
    with (run / FILE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "Still training, at step 3 of 3" in page()


def test_report_is_made_without_a_checkpoint_and_the_animation_is_told_of(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    with pytest.warns(UserWarning, match="no new animation was made for .*: there is no checkpoint in"):
        assert gancore.make_report(run) == (run / "report.html",)


def test_nothing_is_said_of_an_animation_where_there_is_one_sheet(run: Path) -> None:
    for path in sorted((run / "samples").glob("step-*"))[1:]:
        path.unlink()
    assert not animation_left(run)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(gancore.make_report(run)) == 1


def test_animation_that_cannot_be_made_is_told_of_and_the_report_is_made(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("the writer of another plugin failed")

    monkeypatch.setattr("gancore.reporting.write_animation", fail)
    with pytest.warns(UserWarning, match="no new animation was made for"):
        assert gancore.make_report(run) == (run / "report.html",)


def test_report_of_what_is_no_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("colour = 3", encoding="utf-8")
    with pytest.raises(RunFolderError, match="belongs to another program"):
        gancore.make_report(tmp_path)


# --- what the files tell ----------------------------------------------------------------------------------------------


def test_saved_step_is_that_of_the_newest_checkpoint_not_of_the_figures(run: Path) -> None:
    shutil.rmtree(run / "checkpoints" / "step-00000003")
    (run / "checkpoints" / "step-00000009.tmp").mkdir()
    assert (state_of(run).saved, state_of(run).steps) == (2, 3)


def test_newest_change_is_that_of_the_newest_file(run: Path) -> None:
    for path in [run, *run.rglob("*")]:
        os.utime(path, (1000, 1000))
    os.utime(run / "checkpoints", (9000, 9000))
    os.utime(run / "samples" / "step-00000001.png", (5000, 5000))
    assert state_of(run).changed == 5000


def test_run_is_training_while_its_lock_is_held(run: Path) -> None:
    (run / FILE).unlink(missing_ok=True)
    assert not state_of(run).training
    with (run / FILE).open("w") as lock:
        assert not state_of(run).training
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert state_of(run).training
    assert not state_of(run).training


def test_preset_of_a_run_is_kept_and_running_it_again_is_the_same_run(trained: Path, tmp_path: Path) -> None:
    again = gancore.plan(config=trained / "config.toml")
    assert again.run.preset == "small"
    first = gancore.plan(plugin="image", preset="small", steps=3, options=SMALL)
    assert again.dump() == first.dump()


def test_report_command_prints_the_path(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from gan_cli.app import app

    command: Callable[..., object] = app
    with pytest.raises(SystemExit) as left:
        command(["report", str(run)])
    assert left.value.code == 0
    said = capsys.readouterr()
    assert said.out == f"{run / 'report.html'}\n"
    assert "progress.gif" in said.err
    with pytest.raises(SystemExit):
        command(["report", str(run), "--json"])
    assert json.loads(capsys.readouterr().out) == {
        "report": str(run / "report.html"),
        "animations": [str(run / "samples" / "progress.gif")],
    }
