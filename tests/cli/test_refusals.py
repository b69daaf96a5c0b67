"""Every command does what it says, or says in one sentence what was wrong: exit code 2 for usage, 1 for failure."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from toys.specimen import ALL_CHOSEN, FALLING, install
from typer.testing import Result

from gan_cli import errors
from gancore.errors import DataError

Gan = Callable[..., Result]
Refused = Callable[..., str]


@pytest.mark.parametrize(
    "arguments",
    [
        ("trian",),
        ("run", "--stepz", "5"),
        ("run", "--steps", "many"),
        ("run", "--steps", "0"),
        ("run", "--seed", "-1"),
        ("sample",),
        ("sample", "run", "-n", "0"),
        ("plugins", "shwo"),
    ],
)
def test_arguments_that_cannot_be_parsed_exit_with_2(gan: Gan, arguments: tuple[str, ...]) -> None:
    result = gan(*arguments, code=2)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run",), "no plugin was named; choose one with --plugin NAME"),
        (("run", "-p", "tyo"), "unknown plugin 'tyo'; did you mean 'toy'"),
        (("run", "-p", "toy", "steps"), "'steps' is not of the form key=value"),
        (
            ("run", "-p", "text", "augmentations=image:diffaugment"),
            "is for images, and these data are texts; leave it out",
        ),
        (("run", "-p", "toy", "listeners=image"), "plugin 'image' has no lifecycle hook, so it would hear nothing"),
        (("run", "-p", "toy", "stepz=5"), "stepz: no such option (did you mean 'steps'?)"),
        (("run", "-p", "toy", "loss=hing"), "loss.name: unknown loss 'hing' (did you mean 'hinge'?)"),
        (("run", "-p", "toy", "loss=os:system"), "unknown plugin 'os'"),
        (("run", "-p", "toy", "--preset", "dmo"), "unknown preset 'dmo'; did you mean 'demo'"),
        (("run", "-p", "toy", "--data", "nowhere.txt"), "'nowhere.txt': there is no such file or folder"),
        (("run", "-p", "toy", "--data", "."), "reads no such file; it takes .txt (points)"),
        (("run", "-p", "toy", "--config", "nowhere.toml"), "'nowhere.toml' cannot be read: No such file"),
        (("plugins", "show", "tyo"), "unknown plugin 'tyo'; did you mean 'toy'"),
        (("options", "emma"), "unknown section 'emma'; did you mean 'ema'"),
        (("options", "-p", "toy", "architecture.mpl"), "unknown architecture 'mpl'; did you mean 'mlp'"),
    ],
)
def test_what_cannot_be_understood_is_told_on_stderr_and_exits_with_2(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in refused(*arguments, code=2)
    assert list(tmp_path.iterdir()) == []  # a refused run leaves nothing behind


def test_all_mistakes_are_told_at_once(refused: Refused) -> None:
    said = refused(
        "run", "-p", "toy", "stepz=5", "loss=hing", "architecture.widht=1", "batch_size=0", "every.log=x", code=2
    )
    assert said.startswith("error: 5 mistakes in the configuration:\n")
    assert len(said.splitlines()) == 6


def test_configuration_that_is_not_toml_is_told_with_its_line(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("steps = 5\nloss = = hinge\n")
    assert "line 2" in refused("run", "--config", path, code=2)


@pytest.mark.parametrize("command", ["run", "sample", "resume"])
def test_broken_plugin_is_told_with_its_cause(
    refused: Refused, fake_dist: Callable[..., None], tmp_path: Path, command: str
) -> None:
    fake_dist("broken", "raise RuntimeError('no licence')")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "config.toml").write_text('plugin = "broken"\n')
    arguments = ["run", "-p", "broken"] if command == "run" else [command, tmp_path / "old"]
    assert "plugin 'broken' (fake_broken) is broken; importing it raised RuntimeError: no licence" in refused(
        *arguments, code=1
    )


@pytest.mark.parametrize("command", ["sample", "resume"])
def test_folder_that_is_no_run_is_a_failure(refused: Refused, tmp_path: Path, command: str) -> None:
    assert "is not a run: it does not exist" in refused(command, tmp_path / "gone", code=1)
    assert "is not a run: it has no config.toml" in refused(command, tmp_path, code=1)


@pytest.mark.parametrize(("text", "words"), [("", "is empty"), ("steps = 5", "names no plugin, so it is incomplete")])
@pytest.mark.parametrize("command", ["sample", "resume", "evaluate", "report"])
def test_run_with_an_incomplete_configuration_is_told_what_to_put_back(
    refused: Refused, tmp_path: Path, command: str, text: str, words: str
) -> None:
    (tmp_path / "config.toml").write_text(text)
    said = refused(command, tmp_path, code=1)
    assert f"its config.toml {words}" in said
    assert "put back the one that the run was trained with" in said


@pytest.mark.parametrize("command", ["sample", "resume"])
def test_run_without_a_checkpoint_is_a_failure(refused: Refused, trained: Path, command: str) -> None:
    for path in (trained / "checkpoints").iterdir():
        (path / "manifest.json").unlink()
    assert "no checkpoint in" in refused(command, trained, code=1)


def test_data_with_nothing_in_them_are_a_failure(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "empty.txt"
    path.touch()
    said = refused("run", "-p", "toy", "--quiet", "--data", path, "--out", tmp_path / "run", code=1)
    assert "no points in it" in said


def test_existing_folder_is_not_overwritten(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert "nothing is overwritten" in refused("run", "-p", "toy", "--out", tmp_path, code=1)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_finished_run_is_resumed_only_with_more_steps(refused: Refused, trained: Path) -> None:
    assert "trained for 4 steps; to train it further, add --steps 8" in refused("resume", trained, code=2)


def test_error_in_a_plugins_code_is_told_as_that_plugins(
    gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_modules: None
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    install(tmp_path, FALLING)
    chosen = [f"{section}={name}" for section, name in ALL_CHOSEN.items()]
    for place, component in (("architecture", "architecture 'mlp'"), ("loss", "loss 'logistic'")):
        monkeypatch.setenv("FALL", place)
        said = gan("run", "-p", "toy", "--quiet", "--out", tmp_path / "run", *chosen, code=1).stderr
        assert (
            f"error: ZeroDivisionError: it fell; in {component} of plugin 'specimen', at fake_specimen_parts.py:"
            in said
        )
        assert "not gancore's: tell the author of gan-specimen" in said
        assert "Traceback" not in said


# --- the guard itself -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (DataError("no pictures"), 1, "error: no pictures\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (ZeroDivisionError("division by zero"), 1, "error: ZeroDivisionError: division by zero; this was not foreseen"),
        (
            OSError(28, "No space left on device"),
            1,
            "error: a file could not be written: no space is left on the disk",
        ),
    ],
)
def test_guard_turns_what_is_raised_into_an_exit_code(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, words: str
) -> None:
    @errors.guarded
    def command() -> None:
        raise error

    with pytest.raises(typer.Exit) as caught:
        command()
    assert caught.value.exit_code == code
    assert capsys.readouterr().err.startswith(words)


def test_guard_tells_a_plugin_that_would_end_the_process_and_lets_others_end_it(
    capsys: pytest.CaptureFixture[str], fake_dist: Callable[..., None]
) -> None:
    fake_dist("rows", "import sys\n\ndef leave():\n    sys.exit()\n")
    with pytest.raises(typer.Exit):
        errors.guarded(importlib.import_module("fake_rows").leave)()
    told = capsys.readouterr().err
    assert told.startswith("error: sys.exit(None) was called in plugin 'rows', at fake_rows.py:")
    assert told.endswith("tell the author of gan-rows\n")
    with pytest.raises(SystemExit):
        errors.guarded(lambda: sys.exit(3))()


def test_guard_lets_everything_through_for_debugging(monkeypatch: pytest.MonkeyPatch) -> None:
    @errors.guarded
    def command() -> None:
        raise DataError("no pictures")

    monkeypatch.setattr(errors, "DEBUG", True)
    with pytest.raises(DataError):
        command()


@pytest.mark.parametrize("place", [0, 1, 3])
def test_debug_shows_a_traceback_wherever_it_stands(place: int) -> None:
    arguments = ["plugins", "show", "nope"]
    arguments.insert(place, "--debug")
    environment = os.environ | {"NO_COLOR": "1", "COLUMNS": "200"}
    process = subprocess.run(
        [sys.executable, "-m", "gan_cli", *arguments], capture_output=True, text=True, env=environment, timeout=60
    )
    assert process.returncode == 1
    assert "Traceback" in process.stderr
    assert "UnknownNameError" in process.stderr
    assert process.stdout == ""


# --- what no check foresaw --------------------------------------------------------------------------------------------

LONG = "9" * 400


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("steps=true",), "steps: must be a number, not true"),
        ((f"steps={LONG}",), "steps: must be a number of 64 bits at most"),
        (("--steps", LONG), "steps: must be a number of 64 bits at most"),
        (("--seed", LONG), "seed: must be a number of 64 bits at most"),
        (
            (f"optimizers.generator.lr={LONG}.5",),
            "optimizers.generator.lr: must be a number, 1.2e-38 to 10, not inf",
        ),
        (
            ("optimizers.generator.lr=nan",),
            "optimizers.generator.lr: must be a number, 1.2e-38 to 10, not nan",
        ),
        (("every=3",), "every: must be a section, with options of its own, not 3"),
        (("plugin=musik",), "--plugin toy and plugin=musik contradict each other; leave one of them out"),
        (("--preset", "demo", "preset=file"), "--preset demo and preset=file contradict each other"),
        (("--steps", "5", "steps=6"), "--steps 5 and steps=6 contradict each other"),
        (("--seed", "5", "seed=6"), "--seed 5 and seed=6 contradict each other"),
        (("--data", "a.txt", "data.path=b.txt"), "--data a.txt and data.path=b.txt contradict each other"),
        (("--config", "image.toml"), "the configuration is for plugin 'image', not 'toy'; leave one of them out"),
        (("--config", "whole.toml", "--preset", "file"), "is complete and leaves nothing to preset 'file'"),
        (("--config", "whole.toml", "preset=file"), "is complete and leaves nothing to preset 'file'"),
        (("--data", ""), "data '' is empty; give a file or folder"),
        (("data.path=",), "data '' is empty; give a file or folder"),
        (("--data", "caf\udce9"), "data 'caf\\xe9' is not text in UTF-8"),
        (("--data", "x\x1b[31m"), "data 'x\\x1b[31m': there is no such file"),
        (("loss=\x1b[31mred",), "unknown loss '\\x1b[31mred'"),
        (("listeners=caf\udce9",), "listeners: is not text in UTF-8"),
        (("--preset", ""), "the preset is empty; name one, or leave it out"),
        (("preset=",), "the preset is empty; name one, or leave it out"),
        (("--dry-run", "--minutes", "nan"), "minutes=nan: must be positive and finite"),
        (("--dry-run", "--minutes", "0"), "minutes=0: must be positive and finite"),
        (("device=cuda:" + "9" * 20,), "device 'cuda:99999999999999999999' is unknown"),
    ],
)
def test_value_that_cannot_be_meant_is_told_before_anything_is_made(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    (tmp_path / "image.toml").write_text('plugin = "image"', encoding="utf-8")
    (tmp_path / "whole.toml").write_text('preset = "demo"\ncomplete = true', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    said = refused("run", "-p", "toy", *arguments, code=2)
    assert words in said
    assert "\x1b" not in said
    assert len(said) < 1000
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "arguments", [("--plugin", "toy", "plugin=toy"), ("--steps", "4", "steps=4"), ("--preset", "demo", "preset=demo")]
)
def test_what_is_said_twice_alike_is_no_contradiction(gan: Gan, arguments: tuple[str, ...]) -> None:
    gan("run", "-p", "toy", "--dry-run", *arguments)


@pytest.mark.parametrize(
    "arguments",
    [("run", "-p", "toy", "--out"), ("run", "--config"), ("resume",), ("runs",), ("sample", "x", "--given")],
)
@pytest.mark.parametrize(
    ("path", "words"), [("", "is empty; give a file or folder"), ("caf\udce9", "is not text in UTF-8")]
)
def test_path_that_cannot_be_is_told(
    gan: Gan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], path: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in " ".join(gan(*arguments, path, code=2).stderr.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--seed", LONG), "the seed must be at most"),
        (("--number", LONG), "the number of samples must be at most 10,000,000"),
        (("--step", LONG), "the step must be at most"),
    ],
)
def test_numbers_of_four_hundred_digits_are_told_by_sample_and_evaluate(
    refused: Refused, trained: Path, arguments: tuple[str, ...], words: str
) -> None:
    assert words in refused("sample", trained, *arguments, code=2)
    assert words in refused("evaluate", trained, *(a.replace("--number", "--n") for a in arguments), code=2)
