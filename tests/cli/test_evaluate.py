"""`gan evaluate`: figures as a table or as JSON, and failures as exit codes."""

from __future__ import annotations

import io
import json
import math
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import Result

import gancore
from gan_cli.evaluating import _Progress
from gan_cli.figures import digits, linked, show_several
from gan_cli.pages import Page
from gan_cli.terminal import Terminal
from gancore.evaluation.records import PNG, Figure

Gan = Callable[..., Result]
Refused = Callable[..., str]

FAILING = """
import math
from gancore.evaluation.records import Figure, Measured


@hookimpl
def gan_metrics():
    for name in ("raises", "infinite", "floored", "silent", "mute", "doubtful", "bad"):
        yield Metric(name=name, summary="For a test", target=f"fake_failing:{name}")


def raises(spec):
    raise ValueError("it broke")


def infinite(spec):
    return lambda material: {"bad": math.inf, "good": 0.25}


def silent(spec):
    same = Figure(value=3.0, real=3.0, overlap=1.0)
    return lambda material: {"none": Figure(value=0.0, real=0.0), "same": same, "all": Figure(value=1.0, real=1.0)}


def mute(spec):
    return lambda material: Measured({})


def doubtful(spec):
    figures = {"score": Figure(value=0.4123, real=0.5), "standard-error/score": Figure(value=0.0312, real=0.0021)}
    return lambda material: figures


def bad(spec):
    return lambda material: {f"bad-{n}": Figure(value=2.0 + n, real=1.0) for n in range(9)}


def floored(spec):
    return lambda material: {"distance": Figure(value=1234.5, floor=0.00012345)}
"""


@pytest.fixture
def failing(fake_dist: Callable[..., None]) -> str:
    """A plugin with metrics that fail."""
    fake_dist("failing", FAILING)
    return "failing"


def cells(text: str, figure: str) -> list[str]:
    """What stands behind a figure's name in a table."""
    [line] = [line for line in text.splitlines() if line.split()[:1] == [figure]]
    return line.split()[1:]


def test_figures_are_a_table_on_stdout_headed_by_what_was_compared(gan: Gan, trained: Path) -> None:
    result = gan("evaluate", trained, "-n", 40, "--seed", 3)
    head, columns, *_ = result.stdout.splitlines()
    kept = json.loads((trained / "evaluations" / "step-00000004.json").read_text())
    assert head.startswith(
        f"{trained}, step 4: 40 samples generated with seed 3 and 40 real ones (training set of circles, 64 in all)"
    )
    assert columns.split() == ["figure", "generated", "real", "overlap"]  # no metric has a floor
    assert cells(result.stdout, "gap") == [digits(kept["figures"]["gap"]["gap"]["value"])]
    share = kept["figures"]["reach"]["share"]
    assert cells(result.stdout, "reach/share") == [digits(share["value"]), "0.5", f"{share['overlap']:.3f}"]
    assert "nothing was held out" in result.stdout
    assert f"kept in {trained / 'evaluations' / 'step-00000004.json'}" in result.stderr


def test_json_has_everything_that_is_kept_and_where(gan: Gan, trained: Path) -> None:
    told = json.loads(gan("evaluate", trained, "--json").stdout)
    path = Path(told.pop("path"))
    assert told == json.loads(path.read_text())
    assert told["protocol"]["generated"] == 100  # there are 64 real ones


def test_second_evaluation_is_kept_beside_the_first(gan: Gan, trained: Path) -> None:
    for _ in range(2):
        gan("evaluate", trained, "--quiet")
    names = sorted(p.name for p in (trained / "evaluations").iterdir())
    assert names == ["step-00000004-2.json", "step-00000004.json"]


def test_metrics_can_be_chosen_and_their_options_set(gan: Gan, trained: Path, failing: str) -> None:
    arguments = ("--metric", "reach", "-m", "failing:floored", "metrics.reach.radius=0.85", "--step", 2)
    result = gan("evaluate", trained, *arguments)
    assert result.stdout.splitlines()[1].split() == ["figure", "generated", "real", "overlap", "floor"]
    assert cells(result.stdout, "failing:floored/distance") == ["1,234", "0.000123"]
    kept = json.loads((trained / "evaluations" / "step-00000002.json").read_text())
    assert kept["protocol"]["metrics"] == {"reach": {"radius": 0.85}, "failing:floored": {}}


def test_held_out_part_of_a_run_is_its_reference(gan: Gan, tmp_path: Path) -> None:
    gan("run", "-p", "toy", "held_out=0.25", "--steps", 1, "--out", tmp_path / "run", "--quiet")
    result = gan("evaluate", tmp_path / "run")
    assert "held-out part of circles" in result.stdout
    assert "nothing was held out" not in result.stdout


def test_other_data_are_the_reference(gan: Gan, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("0.1 0.2\n0.3 0.4\n")
    result = gan("evaluate", trained, "--data", tmp_path / "other.txt")
    assert f"2 real ones ({tmp_path / 'other.txt'}, 2 in all)" in result.stdout


def test_metric_that_raises_is_told_and_the_rest_is_shown(gan: Gan, trained: Path, failing: str) -> None:
    result = gan("evaluate", trained, "-m", "failing:raises", "-m", "gap", code=1)
    assert "error: metric 'failing:raises': ValueError: it broke" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(cells(result.stdout, "gap")) == 1


def test_debug_shows_where_a_metric_raised(
    gan: Gan, trained: Path, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gan_cli.errors.DEBUG", True)
    assert "fake_failing.py" in gan("evaluate", trained, "-m", "failing:raises", code=1).stderr


def test_figure_that_is_not_finite_is_shown_as_such_and_told(gan: Gan, trained: Path, failing: str) -> None:
    result = gan("evaluate", trained, "-m", "failing:infinite", code=1)
    assert cells(result.stdout, "failing:infinite/bad") == ["inf"]
    assert cells(result.stdout, "failing:infinite/good") == ["0.25"]
    assert "error: metric 'failing:infinite': 'bad' is inf" in result.stderr
    told = json.loads(gan("evaluate", trained, "-m", "failing:infinite", "--json", code=1).stdout)
    assert told["figures"]["failing:infinite"]["bad"] == {"value": None}


def test_figures_that_are_the_same_everywhere_are_left_out_and_counted(gan: Gan, trained: Path, failing: str) -> None:
    result = gan("evaluate", trained, "-m", "failing:silent")
    assert cells(result.stdout, "failing:silent/all") == ["1", "1"]
    assert "failing:silent/none" not in result.stdout
    assert "failing:silent/same" not in result.stdout
    assert "not shown: 2 figures that are the same for all samples, or 0 everywhere; --json has them" in result.stderr


def test_columns_are_explained_below_the_table_unless_quiet(gan: Gan, trained: Path) -> None:
    words = "generated: of the samples that were generated; real: of real ones; overlap: how far both are spread alike"
    assert words in gan("evaluate", trained, "-n", 20).stderr
    assert words not in gan("evaluate", trained, "-n", 20, "--quiet").stderr


def test_names_of_figures_lead_to_their_page_where_a_terminal_follows_links() -> None:
    for forced, found in ((True, True), (False, False)):
        file = io.StringIO()
        page = Page("docs/explanation/figures.md", "https://example.org/figures.html")
        Terminal(file=file, force_terminal=forced, width=80).print(linked("mind-lite0", " *", page))
        assert ("https://example.org/figures.html" in file.getvalue()) is found
        assert "mind-lite0" in file.getvalue()


def test_nothing_but_what_went_wrong_is_said_where_every_metric_fails(gan: Gan, trained: Path, failing: str) -> None:
    result = gan("evaluate", trained, "-m", "failing:raises", "--quiet", code=1)
    assert result.stdout == ""
    cause = "metric 'failing:raises': ValueError: it broke, at fake_failing.py:21 in raises"
    assert result.stderr == f"error: no figure could be computed, and nothing was kept: {cause}\n"
    assert not (trained / "evaluations").exists()
    several = gan("evaluate", trained, "--steps", "all", "-m", "failing:raises", "--quiet", code=1)
    assert several.stdout == ""
    assert several.stderr.splitlines() == [
        f"error: {trained}, step {step}: no figure could be computed, and nothing was kept: {cause}" for step in (2, 4)
    ]


def test_metrics_that_say_nothing_of_such_samples_are_no_figures(gan: Gan, trained: Path, failing: str) -> None:
    words = "failing:mute had nothing to say of these samples"
    assert words in gan("evaluate", trained, "-m", "failing:mute", code=1).stderr
    assert not (trained / "evaluations").exists()


def test_standard_errors_stand_beside_their_figure_and_are_no_rows(gan: Gan, trained: Path, failing: str) -> None:
    result = gan("evaluate", trained, "-m", "failing:doubtful")
    [line] = [line for line in result.stdout.splitlines() if line.startswith("failing:doubtful/")]
    assert line.split() == ["failing:doubtful/score", "0.412", "±0.03", "0.5", "±0.002"]
    assert "±: standard error" in result.stderr


def test_stars_mark_the_worst_rows_and_none_where_few_samples_are_compared(
    gan: Gan, trained: Path, failing: str
) -> None:
    for number, marked in ((32, 5), (8, 0)):
        lines = gan("evaluate", trained, "-m", "failing:bad", "-n", number).stdout.splitlines()
        assert sum(" * " in line for line in lines) == marked


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-m", "reech"], "did you mean 'reach'"),
        (["metrics.reach.radius=9"], "metrics.reach.radius"),
        (["steps=9"], "steps: no such option of an evaluation"),
        (["reach"], "not of the form key=value"),
        (["metrics=none"], "no metric was left"),
        (["--data", "nowhere"], "there is no such file or folder"),
        (["--device", "gpu"], "device 'gpu' is unknown; choose auto"),
    ],
)
def test_what_cannot_be_is_a_usage_error_and_leaves_nothing_behind(
    refused: Refused, trained: Path, arguments: list[str], words: str
) -> None:
    assert words in refused("evaluate", trained, *arguments, code=2)
    assert not (trained / "evaluations").exists()


def test_folder_that_is_no_run_is_told(refused: Refused, tmp_path: Path) -> None:
    assert "is not a run" in refused("evaluate", tmp_path, code=1)


def test_options_of_metrics_are_listed(gan: Gan) -> None:
    assert "metrics.reach" in gan("options", "-p", "toy", "metrics").stdout
    assert "radius" in gan("options", "-p", "toy", "metrics.reach").stdout


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0.0, "0"),
        (1.0, "1"),
        (0.98765, "0.988"),
        (0.00012345, "0.000123"),
        (-12.345, "-12.3"),
        (999.4, "999"),
        (1234.5678, "1,235"),
        (4096, "4,096"),
        (2e60, "2e+60"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
    ],
)
def test_figures_have_three_digits(value: float | None, text: str) -> None:
    assert digits(value) == text


def test_a_metric_that_takes_long_is_named_meanwhile(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gan_cli.waiting.SECONDS_OF_SILENCE", 0.01)
    said: list[str] = []
    told = threading.Event()

    def say(words: str) -> None:
        said.append(words)
        if "slow" in words:
            told.set()

    monkeypatch.setattr("gan_cli.waiting.say", say)
    with closing(_Progress()) as progress:
        progress.tell("computing quick", 1, 8)
        progress.tell("computing slow", 2, 8)
        assert told.wait(30)
    assert any(words.startswith("computing slow: 2 of 8: ") for words in said)
    assert capsys.readouterr().err == ""  # it came too soon after the one before to be a line of its own


# --- several runs, several steps, and files without a run --------------------------------------------------------------


def test_several_runs_are_one_table(gan: Gan, trained: Path, tmp_path: Path) -> None:
    gan("run", "-p", "toy", "--steps", 1, "--out", tmp_path / "other", "--quiet")
    result = gan("evaluate", trained, tmp_path / "other", "-n", 20)
    head, *lines = result.stdout.splitlines()
    assert head.split() == ["run", "step", "gap", "share"]
    assert {line.split()[0] for line in lines[:-1]} == {str(trained), str(tmp_path / "other")}
    assert lines[-1].split() == ["real", "samples", "0.5"]  # nothing is known of the gap of real ones
    told = json.loads(gan("evaluate", trained, tmp_path / "other", "-n", 20, "--json").stdout)
    assert [one["step"] for one in told] == [4, 1]
    assert all(Path(one["path"]).exists() for one in told)


def test_a_run_that_cannot_be_evaluated_takes_no_other_down(gan: Gan, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    result = gan("evaluate", tmp_path / "none", trained, "-n", 20, code=1)
    assert str(trained) in result.stdout
    assert f"error: {tmp_path / 'none'}: " in result.stderr


def test_every_checkpoint_is_a_line_in_order_of_steps(gan: Gan, trained: Path) -> None:
    result = gan("evaluate", trained, "--steps", "all", "-n", 20)
    assert [line.split()[1] for line in result.stdout.splitlines()[1:-1]] == ["2", "4"]
    curve = trained / "evaluations" / "checkpoints.png"
    assert f"drawn in {curve}" in result.stderr
    assert curve.read_bytes().startswith(PNG)


def test_runs_can_be_sorted_by_any_figure_the_nearest_to_real_samples_first(gan: Gan, trained: Path) -> None:
    for figure, own in (
        ("gap", lambda f: f["gap"]["gap"]["value"]),
        ("reach/share", lambda f: abs(f["reach"]["share"]["value"] - 0.5)),
    ):
        asked = ("evaluate", trained, "--steps", "all", "-n", 20, "--sort", figure)
        told = {str(one["step"]): own(one["figures"]) for one in json.loads(gan(*asked, "--json").stdout)}
        lines = gan(*asked).stdout.splitlines()[1:-1]
        assert [told[line.split()[1]] for line in lines] == sorted(told.values())


def test_a_figure_to_sort_by_that_none_has_is_told_after_the_table(gan: Gan, trained: Path) -> None:
    result = gan("evaluate", trained, "--steps", "all", "-n", 20, "--sort", "gop", code=2)
    assert len(result.stdout.splitlines()) == 4
    assert "error: unknown figure 'gop'; did you mean 'gap'?" in result.stderr


def test_runs_that_share_no_figure_have_tables_of_their_own(
    gan: Gan, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = gancore.evaluate(trained, samples=8)
    protocol = replace(own.protocol, generated=9)
    other = replace(own, run="r2", protocol=protocol)
    strange = replace(own, run="r3", figures={"depth": {"depth": Figure(value=1.5)}})
    show_several([own, strange, other], by_step=False, sort=None, quiet=True)
    told = capsys.readouterr()
    first, second = told.out.split("\n\n")
    assert [line.split()[0] for line in first.splitlines()] == ["run", str(trained), "r2", "real"]
    assert [line.split() for line in second.splitlines()] == [["run", "step", "depth"], ["r3", "4", "1.5"]]
    assert "note: these evaluations differ in generated;" in told.err


def test_samples_in_files_are_held_against_real_ones_in_files(gan: Gan, tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("".join(f"0.{i} 0.{i}\n" for i in range(1, 9)))
    (tmp_path / "made.txt").write_text("0.1 0.2\n0.3 0.4\n0.5 0.6\n")
    asked = ("evaluate", "-p", "toy", "--samples", tmp_path / "made.txt", "--data", tmp_path / "real.txt")
    result = gan(*asked)
    assert result.stdout.startswith(
        f"{tmp_path / 'made.txt'}: 3 samples and 8 real ones ({tmp_path / 'real.txt'}, 8 in all)"
    )
    assert len(cells(result.stdout, "gap")) == 1
    told = json.loads(gan(*asked, "--json").stdout)
    assert (told["step"], told["path"]) == (None, None)
    assert told["protocol"]["generated"] == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made.txt", "real.txt"]


def test_what_is_found_of_files_is_kept_where_out_says(gan: Gan, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("".join(f"0.{i} 0.{i}\n" for i in range(1, 9)))
    (tmp_path / "made.txt").write_text("0.1 0.2\n0.3 0.4\n0.5 0.6\n")
    asked = ("evaluate", "-p", "toy", "--samples", tmp_path / "made.txt", "--data", tmp_path / "real.txt")
    for name in ("evaluation.json", "evaluation-2.json"):
        told = json.loads(gan(*asked, "--out", tmp_path / "new" / "found", "--json").stdout)
        assert Path(told.pop("path")) == tmp_path / "new" / "found" / name
        assert told == json.loads((tmp_path / "new" / "found" / name).read_text())
    words = refused(*asked, "--out", tmp_path / "real.txt", code=2)
    assert "is no folder" in words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--samples", "made.txt"], "--samples PATH needs --plugin NAME and --data PATH"),
        (["--samples", "a", "--plugin", "toy", "--data", "b", "--step", "1"], "takes no run and no step"),
        (["--samples", "none", "--plugin", "toy", "--data", "none"], "there is no such file or folder"),
        ([], "name the folder of a run"),
        (["--plugin", "toy"], "name the folder of a run"),
        (["--steps", "all", "--step", "1"], "--steps takes the word all"),
        (["--steps", "3"], "--steps takes the word all"),
        (["--sort", "gap"], "--sort takes several runs"),
        (["--sort", "gap", "--out", "found"], "--out DIR goes with --samples"),
    ],
)
def test_what_does_not_go_together_is_told(refused: Refused, trained: Path, arguments: list[str], words: str) -> None:
    run = [trained] if {"--steps", "--sort"} & {*arguments} else []
    assert words in refused("evaluate", *run, *arguments, code=2)


def test_samples_that_lie_among_the_real_ones_are_told_of(gan: Gan, tmp_path: Path) -> None:
    for name, level in {"one": 0, "two": 90, "made/three": 180}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (8, 8), level).save(tmp_path / f"{name}.png")
    asked = (
        "evaluate",
        "-p",
        "image",
        "--data",
        tmp_path,
        "data.size=8",
        "-m",
        "nearest",
        "features=pixels",
        "--samples",
    )
    result = gan(*asked, tmp_path / "made")
    assert f"generated: '{tmp_path / 'made'}' lies inside '{tmp_path}'" in result.stdout


def test_a_file_that_is_given_twice_is_no_comparison(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("0.1 0.2\n0.3 0.4\n")
    same = (tmp_path / "real.txt",) * 2
    words = refused("evaluate", "-p", "toy", "--samples", same[0], "--data", same[1], code=2)
    assert "given both as samples and as real data" in words
