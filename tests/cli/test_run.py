"""`gan run`, `gan resume` and `gan runs`, as far as the command itself goes."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import Result

from gan_cli.training import Clock, duration, number

Gan = Callable[..., Result]


def test_training_leaves_a_readable_folder_and_prints_json(gan: Gan, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = gan("run", "-p", "toy", "--steps", 3, "--seed", 11, "--out", out, "--json", "--quiet", "loss=hinge")
    told = json.loads(result.stdout)
    assert (told["folder"], told["step"], told["outcome"]) == (str(out), 3, "completed")
    assert {"discriminator/loss", "generator/loss"} <= set(told["scalars"])
    assert str(out / "report.html") in told["files"]
    config = tomllib.loads((out / "config.toml").read_text())
    assert (config["plugin"], config["steps"], config["seed"], config["loss"]) == ("toy", 3, 11, {"name": "hinge"})
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 3
    for name in (
        "environment.json",
        "data.json",
        "samples/step-00000003.json",
        "checkpoints/step-00000003/manifest.json",
    ):
        assert (out / name).is_file(), name


def test_without_json_the_folder_is_the_only_result_and_progress_is_on_stderr(gan: Gan, tmp_path: Path) -> None:
    result = gan("run", "-p", "toy", "--out", tmp_path / "run", "every.log=1")
    assert result.stdout == f"{tmp_path / 'run'}\n"
    assert "parameters: discriminator" in result.stderr
    assert "circles: 64 samples from 64 found" in result.stderr
    assert "step 4/4 (100%)" in result.stderr
    assert f"draw more: gan sample {tmp_path / 'run'}" in result.stderr


def test_quiet_training_says_nothing_on_the_way(gan: Gan, tmp_path: Path) -> None:
    result = gan("run", "-p", "toy", "--out", tmp_path / "run", "--quiet", "every.log=1")
    assert "step" not in result.stderr.replace(str(tmp_path), "").partition("done: ")[0]


def test_written_configuration_runs_again_to_the_same_samples(gan: Gan, trained: Path, tmp_path: Path) -> None:
    gan("run", "--config", trained / "config.toml", "--out", tmp_path / "again", "--quiet")
    again = tmp_path / "again"
    assert (again / "config.toml").read_text().partition("\n\n")[2] == (trained / "config.toml").read_text().partition(
        "\n\n"
    )[2]
    sheets = [p.relative_to(trained) for p in trained.glob("samples/**/*.json")]
    assert sheets
    for sheet in sheets:
        assert (again / sheet).read_bytes() == (trained / sheet).read_bytes()


def test_run_on_a_file_takes_the_preset_for_data(gan: Gan, tmp_path: Path) -> None:
    path = tmp_path / "points.txt"
    path.write_text("".join(f"0.{n} -0.{n}\n" for n in range(1, 9)))
    gan("run", "-p", "toy", "--data", path, "--out", tmp_path / "run", "--quiet", "--steps", 1)
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert config["data"] == {"name": "points", "path": str(path)}
    assert list(config["penalties"]) == ["r1"]


def test_penalties_none_trains_without_any(gan: Gan, tmp_path: Path) -> None:
    gan("run", "-p", "toy", "--preset", "file", "data=circles", "penalties=none", "--out", tmp_path / "run", "-q")
    assert tomllib.loads((tmp_path / "run" / "config.toml").read_text())["penalties"] == {}
    assert "discriminator/r1" not in (tmp_path / "run" / "metrics.jsonl").read_text()


def test_resume_goes_on_to_more_steps_and_says_where_from(gan: Gan, trained: Path) -> None:
    result = gan("resume", trained, "--steps", 6, "--json")
    assert json.loads(result.stdout)["step"] == 6
    assert "from step 4 to 6" in result.stderr
    assert tomllib.loads((trained / "config.toml").read_text())["steps"] == 6


def test_listener_that_raises_is_a_warning_and_the_run_goes_on(
    gan: Gan, tmp_path: Path, fake_dist: Callable[..., None]
) -> None:
    fake_dist(
        "noisy",
        """
        from gancore import hookimpl
        from gancore.components import PluginInfo

        @hookimpl
        def gan_plugin_info():
            return PluginInfo(summary="Raises", api_version=1)

        @hookimpl
        def gan_tick(event):
            raise ValueError("out of order")
        """,
    )
    result = gan("run", "-p", "toy", "--out", tmp_path / "run", "--quiet", "every.log=1", "listeners=noisy")
    assert result.stderr.count("plugin 'noisy': its hook gan_tick raised ValueError: out of order") == 1


# --- runs -------------------------------------------------------------------------------------------------------------


def test_runs_are_listed_with_how_far_they_have_come(gan: Gan, trained: Path) -> None:
    rows = json.loads(gan("runs", trained.parent, "--json").stdout)
    assert len(rows) == 1
    assert {k: rows[0][k] for k in ("run", "plugin", "data", "architecture", "loss", "seed", "step", "steps")} == {
        "run": str(trained),
        "plugin": "toy",
        "data": "circles",
        "architecture": "mlp",
        "loss": "non-saturating",
        "seed": 5,
        "step": 4,
        "steps": 4,
    }
    assert "4/4" in gan("runs", trained.parent).stdout


def test_listing_runs_needs_neither_their_plugin_nor_sound_files(gan: Gan, tmp_path: Path) -> None:
    for name, text in {
        "gone": 'plugin = "gone"\nsteps = 5\nseed = 1\n',
        "broken": "plugin = = 5\n",
        "other": 'data = "x"\n[package]\nname = "not a run"\n',
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.toml").write_text(text)
    result = gan("runs", tmp_path, "--json")
    assert [row["plugin"] for row in json.loads(result.stdout)] == ["gone"]
    assert "warning: configuration file" in result.stderr


@pytest.mark.parametrize("name", ["", "none"])
def test_where_there_are_no_runs_it_is_said_how_to_begin(gan: Gan, tmp_path: Path, name: str) -> None:
    result = gan("runs", tmp_path / name)
    assert result.stdout == ""
    assert "train one: gan run" in result.stderr
    assert json.loads(gan("runs", tmp_path / name, "--json").stdout) == []


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0s"),
        (0.4, "0s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (95, "1m35s"),
        (3599, "59m59s"),
        (3599.7, "1h00m"),
        (3660, "1h01m"),
        (90_000, "25h00m"),
        (float("inf"), "?"),
        (float("nan"), "?"),
    ],
)
def test_durations_are_told_in_two_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_figures_have_three_digits_and_a_dash_where_there_is_none() -> None:
    assert number({"a": 0.123456}, "a") == "0.123"
    assert number({"a": 12345.0}, "a") == "1.23e+04"
    assert number({}, "a") == "-"


def test_rest_of_a_run_is_estimated_from_this_session_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    clock = Clock()
    clock.start(500)
    now = 110.0
    assert clock.eta(SimpleNamespace(step=520, steps=600)) == pytest.approx(40.0)  # half a second a step
    assert clock.eta(SimpleNamespace(step=500, steps=600)) == float("inf")


def test_a_disabled_listener_is_left_out_with_a_warning(
    gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAN_DISABLE_PLUGINS", "tensorboard")
    result = gan("run", "-p", "toy", "--steps", 1, "--out", tmp_path / "run", "listeners=tensorboard", "--quiet")
    assert "'tensorboard' is disabled" in result.stderr
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_the_version_is_told(gan: Gan) -> None:
    from gancore import __version__

    assert gan("--version").stdout.strip() == __version__
