"""`gan run`, `gan resume` and `gan runs`, as far as the command itself goes."""

from __future__ import annotations

import io
import json
import queue
import re
import time
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import Result

from gan_cli.progress import Panelled, Plain, about, at, facts, newest, number, opening, told
from gan_cli.waiting import duration, waiting
from gancore.events import Estimate, Evaluated, HealthAlert, Progress, RunStarted, Tick

Gan = Callable[..., Result]
PROGRESS = Progress(folder=Path("run"), step=5, steps=8000, scalars={}, samples_per_second=4.0, seconds=85.0)


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
    assert f"to generate more samples: gan sample {tmp_path / 'run'}" in result.stderr


def test_quiet_training_says_nothing_on_the_way(gan: Gan, tmp_path: Path) -> None:
    result = gan("run", "-p", "toy", "--out", tmp_path / "run", "--quiet", "every.log=1")
    assert "step" not in result.stderr.replace(str(tmp_path), "").partition("done: ")[0]


@pytest.mark.parametrize("quiet", [["--quiet"], []])
def test_too_little_data_are_told_at_the_start_and_kept_with_the_run(
    gan: Gan, tmp_path: Path, quiet: list[str]
) -> None:
    (tmp_path / "few.txt").write_text("0.1 0.2\n0.3 0.4\n0.5 0.6\n")
    out = tmp_path / "run"
    result = gan("run", "-p", "toy", "--data", tmp_path / "few.txt", "--out", out, "--steps", 1, *quiet, "held_out=0")
    words = "there are only 3 samples to train on"
    assert f"warning: {words}" in result.stderr.partition("done: ")[0]
    [kept] = json.loads((out / "data.json").read_text())["warnings"]
    assert kept.startswith(words)
    assert words in (out / "report.html").read_text()
    assert "No problems were found" not in (out / "report.html").read_text()


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


def test_other_data_are_refused_with_the_command_that_goes_on_with_them(gan: Gan, tmp_path: Path) -> None:
    data = tmp_path / "points.txt"
    data.write_text("".join(f"0.{n} 0.1\n" for n in range(9)))
    gan("run", "-p", "toy", "-d", data, "--steps", 1, "--out", tmp_path / "run", "-q")
    data.write_text("".join(f"0.{n} 0.1\n" for n in range(8)))
    again = ("resume", tmp_path / "run", "--steps", 2)
    refusal = gan(*again, code=1).stderr
    assert "9 samples then, 8 now" in refusal
    assert f"gan resume {tmp_path / 'run'} --changed-data" in refusal
    assert "continuing with changed data, as requested: 9 samples then, 8 now" in gan(*again, "--changed-data").stderr


def test_listener_that_raises_is_a_warning_and_the_run_goes_on(
    gan: Gan, tmp_path: Path, fake_dist: Callable[..., None]
) -> None:
    fake_dist("noisy", "@hookimpl\ndef gan_tick(event):\n    raise ValueError('out of order')\n")
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


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (45, "45 s"), (150, "2.5 min"), (1500, "25 min"), (10_800, "3 h"), (136_000, "1.6 days")],
)
def test_estimates_are_told_no_more_exactly_than_they_are(seconds: float, words: str) -> None:
    assert about(seconds) == words


def test_an_estimate_says_how_long_and_what_would_be_cheaper() -> None:
    estimate = Estimate(
        seconds=136_000,
        seconds_per_step=17.0,
        measured=5,
        last_step=8000,
        cheaper="architecture.width=16",
        cheaper_seconds=10_800,
    )
    words = told(estimate, PROGRESS)
    assert words.startswith("about 1.6 days for the remaining 7,995 steps on this machine, at 17 s per step: until ")
    assert words.endswith("; with architecture.width=16 it would take about 3 h")


def test_a_guess_before_the_first_step_is_told_as_one_and_without_figures(capsys: pytest.CaptureFixture[str]) -> None:
    Plain().gan_progress(
        replace(PROGRESS, estimate=Estimate(seconds=9e4, seconds_per_step=9.0, measured=0, last_step=10))
    )
    assert "(a guess from a few passes through the networks; a better estimate follows)" in (
        said := capsys.readouterr().err
    )
    assert "loss" not in said


def test_where_there_are_no_losses_the_figures_of_the_players_are_shown_instead() -> None:
    shown = dict(facts(replace(PROGRESS, scalars={"generator/nll": 12.5, "generator/grad_norm": 1.0})))
    assert shown["generator/nll"] == "12.5"
    assert not {"loss", "logits", "generator/grad_norm"} & shown.keys()
    shown = dict(facts(replace(PROGRESS, scalars={"generator/nll": 12.5, "generator/loss": 0.5})))
    assert shown["loss"] == "D -  G 0.5"
    assert "generator/nll" not in shown


def test_scheduled_values_are_left_to_the_files() -> None:
    scalars = {"discriminator/loss": 0.5, "augment/strength": 0.25, "schedule/optimizers.generator.lr": 1e-4}
    shown = dict(facts(replace(PROGRESS, scalars=scalars)))
    assert "augment/strength" in shown
    assert "schedule/optimizers.generator.lr" not in shown


def test_an_estimate_says_what_it_does_not_know_and_where_the_minutes_end() -> None:
    estimate = Estimate(seconds=8000, seconds_per_step=1.0, measured=5, first_unlike=4000, last_step=1800)
    words = told(estimate, PROGRESS)
    assert "if step 4,000 and other kinds of steps not seen yet take as long" in words
    assert words.endswith("up at about step 1,800; for schedules that end there, use --steps 1800")


def test_estimate_and_figures_come_long_before_the_first_tick(gan: Gan, tmp_path: Path) -> None:
    result = gan("run", "-p", "toy", "--out", tmp_path / "run", "--steps", 8, "every.log=1000", "every.sample=0")
    assert "about 1 s for the remaining 3 steps on this machine" in result.stderr
    assert "step 5/8 (62%)" in result.stderr


def test_what_was_chosen_for_the_device_is_told_and_written(gan: Gan, tmp_path: Path) -> None:
    result = gan("run", "-p", "image", "architecture=resnet", "device=cpu", "--dry-run")
    width = tomllib.loads(result.stdout)["architecture"]["width"]
    assert result.stderr.startswith(f"architecture.width={width} was chosen because this run uses no GPU: 64, ")
    event = RunStarted(
        folder=tmp_path, config={}, step=0, steps=5, parameters={}, data="circles", device="cpu", notes=("chosen so",)
    )
    assert opening(event).endswith("circles\nchosen so")


def test_a_long_first_step_is_spoken_of(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: queue.Queue[str] = queue.Queue()
    monkeypatch.setattr("gan_cli.waiting.SECONDS_OF_SILENCE", 0.001)
    monkeypatch.setattr("gan_cli.waiting.say", lines.put)
    view = Plain()
    view.waiting.begin()
    assert lines.get(timeout=30) == "running the first steps: 0s so far"
    view.close()


def test_long_work_without_figures_is_spoken_of_while_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: queue.Queue[str] = queue.Queue()
    monkeypatch.setattr("gan_cli.waiting.SECONDS_OF_SILENCE", 0.001)
    monkeypatch.setattr("gan_cli.waiting.say", lines.put)
    with waiting("writing 100,000 samples"):
        assert lines.get(timeout=30) == "writing 100,000 samples: 0s so far"


def test_a_panel_shows_what_a_signal_has_begun_when_it_is_drawn_next() -> None:
    screen = io.StringIO()
    view = Panelled(Console(file=screen, force_terminal=True, width=100))
    view.gan_progress(PROGRESS)
    view.stopping("finishing this step, then saving")
    view.live.refresh()
    view.close()
    assert "finishing this step, then saving" in screen.getvalue()


EVALUATED = Evaluated(step=500, metric="mind-f", value=40.0, real=8.0, best_step=500, best=40.0, seconds=1.0)


def test_the_newest_figures_stand_beside_those_of_real_samples_and_the_best() -> None:
    assert newest(EVALUATED) == "40 (real samples: 8) at step 500, the best so far"
    later = replace(EVALUATED, step=600, value=55.5, real=None)
    assert newest(later) == "55.5 at step 600, best 40 at step 500"
    shown = facts(replace(PROGRESS, scalars={"evaluate/mind-f": 55.5, "evaluate-real/mind-f": 8.0}, evaluated=later))
    assert shown[-1] == ("mind-f", newest(later))
    assert "evaluate" not in str(shown)


def test_a_panel_stays_while_figures_are_computed() -> None:
    screen = io.StringIO()
    view = Panelled(Console(file=screen, force_terminal=True, width=100))
    view.gan_progress(replace(PROGRESS, evaluated=EVALUATED))
    view.live.refresh()
    screen.truncate(0)
    view.reading("evaluating: computing features f", 64, 1000)
    view.live.refresh()
    view.close()
    assert "evaluating: computing features f: 64 of 1,000" in screen.getvalue()
    assert "the best so far" in screen.getvalue()


def test_a_line_of_new_figures_is_never_kept_back(capsys: pytest.CaptureFixture[str]) -> None:
    view = Plain()
    facts_of_tick = {"folder": Path("run"), "steps": 8000, "scalars": {}, "samples_per_second": 4.0, "seconds": 85.0}
    alert = HealthAlert(kind="evaluation", step=500, message="figures of 'f' could not be computed: odd.")
    for step in (400, 500, 600):
        event = Tick(step=step, **facts_of_tick, evaluated=EVALUATED, alerts=(alert,) if step == 500 else ())
        view.gan_tick(event)
    said = capsys.readouterr().err
    assert [step for step in ("400/", "500/", "600/") if step in said] == ["400/", "500/"]
    assert "evaluation: step 500: figures of 'f' could not be computed: odd." in said


def test_minutes_end_a_run_well_and_its_continuation_too(gan: Gan, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = gan("run", "-p", "toy", "--out", out, "--minutes", "1e-6", "--quiet")
    assert "done: stopped after 1e-06 minutes, as requested, at step 1 of 4" in result.stderr
    assert f"to continue: gan resume {out}" in result.stderr
    again = json.loads(gan("resume", out, "--minutes", "1e-6", "--json").stdout)
    assert (again["step"], again["outcome"]) == (2, "stopped")


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


# --- what a dry run refuses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("data.path=nowhere.txt",), 2, "there is no such file or folder"),
        (("device=cuda:99",), 2, "device=cuda:99: this PyTorch sees"),
        (("listeners=tensorbord",), 2, "unknown plugin 'tensorbord'; did you mean 'tensorboard'"),
        (("--out", "full"), 1, "'full' exists already and nothing is overwritten"),
        (("architecture=image:dcgan",), 2, "image"),
    ],
)
def test_dry_run_refuses_what_the_run_would(
    gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, words: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    monkeypatch.chdir(tmp_path)
    for dry in ("--dry-run", "--quiet"):
        result = gan("run", "-p", "toy", dry, *arguments, code=code)
        assert words in result.stderr
        assert result.stdout == ""


def test_dry_run_refuses_data_of_a_named_set_that_are_not_there(gan: Gan) -> None:
    said = gan("run", "-p", "toy", "--dry-run", "data=points", "data.path=nowhere.txt", code=2).stderr
    assert "nowhere.txt': there is no such file or folder" in said


def test_dry_run_leaves_nothing_behind(gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    gan("run", "-p", "toy", "--dry-run", "--out", "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("years", "words"), [(3, r"20\d\d"), (1e6, r"1002\d\d\d"), (1e13, r"1\d+")])
def test_end_that_is_years_away_is_told_by_its_year(years: float, words: str) -> None:
    assert re.fullmatch(words, at(time.time() + years * 365.25 * 86400))
