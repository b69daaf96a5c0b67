"""Commands of other packages: listed from metadata, imported when called, and told apart from the built-in ones when they fail."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from gan_cli import errors
from gan_cli.probe import look

Gan = Callable[..., Result]
Refused = Callable[..., str]
Package = Callable[..., None]

HELLO = """
import typer

app = typer.Typer()


@app.command()
def hello(name: str = "you", times: int = typer.Option(1, min=1)) -> None:
    '''Greet somebody.'''
    print(f"hello {name} " * times)
"""
PLUGIN = """
from gancore import hookimpl
from gancore.components import PluginInfo


@hookimpl
def gan_plugin_info():
    return PluginInfo(summary="For a test", api_version=1)
"""


@pytest.fixture
def hello(distribution: Package) -> None:
    """The command `hello`, of the distribution `gan-hello`."""
    distribution("gan-hello", {"fake_hello": HELLO}, commands={"hello": "fake_hello:app"})


def rows(gan: Gan, *arguments: str) -> dict[tuple[str, str], dict[str, str]]:
    """What `gan plugins --json` says, by kind and name."""
    return {(r["kind"], r["name"]): r for r in json.loads(gan("plugins", "--json", *arguments).stdout)}


# --- one that works ---------------------------------------------------------------------------------------------------


def test_command_is_listed_under_its_own_heading_with_its_package_and_not_imported(gan: Gan, hello: None) -> None:
    own, heading, others = gan("--help").stdout.partition("\nCommands of other packages:\n")
    assert heading
    assert "hello" not in own
    assert "  hello  gan-hello 1.0: What gan-hello brings\n" in others
    assert "fake_hello" not in sys.modules


def test_help_has_no_other_heading_where_nothing_adds_a_command(gan: Gan) -> None:
    assert "other packages" not in gan("--help").stdout


def test_command_is_run_with_its_arguments(gan: Gan, hello: None) -> None:
    assert gan("hello", "--name", "world", "--times", "2").stdout == "hello world hello world \n"


def test_command_explains_itself_and_offers_no_shell_completion(gan: Gan, hello: None) -> None:
    text = gan("hello", "--help").stdout
    assert "Usage: gan hello" in text
    assert "Greet somebody." in text
    assert "completion" not in text


def test_arguments_that_a_command_cannot_parse_are_a_usage_error(gan: Gan, hello: None) -> None:
    said = gan("hello", "--times", "0", code=2).stderr
    assert "--times" in said
    assert "Traceback" not in said


def test_app_with_several_functions_is_a_command_with_subcommands(gan: Gan, distribution: Package) -> None:
    more = HELLO + "\n\n@app.command()\ndef bye() -> None:\n    print('bye')\n"
    distribution("gan-hello", {"fake_hello": more}, commands={"greet": "fake_hello:app"})
    assert gan("greet", "bye").stdout == "bye\n"
    assert gan("greet", "hello").stdout == "hello you \n"
    assert "Usage: gan greet" in gan("greet", "--help").stdout


def test_listing_has_commands_beside_plugins_and_imports_none(gan: Gan, hello: None) -> None:
    found = rows(gan)
    assert found["command", "hello"] == {
        "kind": "command", "name": "hello", "module": "fake_hello:app", "distribution": "gan-hello", "version": "1.0",
        "summary": "What gan-hello brings", "disabled": False, "state": "",
    }  # fmt: skip
    assert found["plugin", "toy"]["distribution"] == "gan-toy"
    text = gan("plugins").stdout
    assert "gan-hello 1.0" in next(line for line in text.splitlines() if line.startswith("hello "))
    assert "fake_hello" not in sys.modules


def test_misspelt_command_is_answered_with_the_nearest_names_of_all_packages(gan: Gan, hello: None) -> None:
    assert "No such command 'hallo'. Did you mean 'hello'?" in gan("hallo", code=2).stderr
    assert "No such command 'smaple'. Did you mean 'sample'?" in gan("smaple", code=2).stderr
    assert "No such command 'qqqq'.\n" in gan("qqqq", code=2).stderr
    assert "fake_hello" not in sys.modules


# --- names ------------------------------------------------------------------------------------------------------------


def test_built_in_command_wins_over_a_package_that_takes_its_name(
    gan: Gan, distribution: Package, tmp_path: Path
) -> None:
    distribution("gan-thief", {"fake_thief": "raise RuntimeError('imported')"}, commands={"runs": "fake_thief:app"})
    done = gan("runs", tmp_path, "--json")
    assert json.loads(done.stdout) == []
    assert done.stderr == "warning: 'runs' is the built-in command; that of gan-thief 1.0 is not used\n"
    assert rows(gan)["command", "runs"]["state"] == "name of a built-in command: the built-in wins"
    assert "gan-thief" not in gan("--help").stdout


def test_name_that_two_packages_claim_is_an_error_that_names_both_and_both_are_listed(
    gan: Gan, refused: Refused, distribution: Package, hello: None
) -> None:
    distribution("better-hello", {"fake_better": HELLO}, commands={"hello": "fake_better:app"})
    said = refused("hello", code=1)
    assert said == (
        "error: command 'hello' is claimed by better-hello (fake_better:app) and gan-hello (fake_hello:app); "
        "uninstall one of them\n"
    )
    lines = [line.split() for line in gan("--help").stdout.splitlines() if line.startswith("  hello ")]
    assert [line[1] for line in lines] == ["better-hello", "gan-hello"]
    states = [r["state"] for r in json.loads(gan("plugins", "--json").stdout) if r["name"] == "hello"]
    assert states == ["name claimed twice: uninstall one"] * 2
    assert not {"fake_hello", "fake_better"} & set(sys.modules)


@pytest.mark.parametrize("names", ["hello", "greeter", " other , greeter "])
def test_command_is_switched_off_by_its_name_and_by_that_of_a_plugin_of_its_package(
    gan: Gan, refused: Refused, distribution: Package, monkeypatch: pytest.MonkeyPatch, names: str
) -> None:
    modules = {"fake_hello": HELLO, "fake_greeter": PLUGIN}
    distribution("gan-hello", modules, commands={"hello": "fake_hello:app"}, plugins={"greeter": "fake_greeter"})
    assert gan("hello").stdout == "hello you \n"
    monkeypatch.setenv("GAN_DISABLE_PLUGINS", names)
    said = refused("hello", code=1)
    assert said == (
        "error: command 'hello' of gan-hello is disabled by GAN_DISABLE_PLUGINS; remove it from there to use it\n"
    )
    found = rows(gan)["command", "hello"]
    assert found["disabled"]
    assert found["state"] == "disabled"
    assert "hello" not in gan("--help").stdout
    assert "Did you mean" not in gan("hallo", code=2).stderr


def test_disabling_one_of_two_that_claim_a_name_leaves_the_other(
    gan: Gan, distribution: Package, hello: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = {"fake_better": HELLO.replace("hello", "welcome"), "fake_greeter": PLUGIN}
    distribution("better-hello", modules, commands={"hello": "fake_better:app"}, plugins={"greeter": "fake_greeter"})
    monkeypatch.setenv("GAN_DISABLE_PLUGINS", "greeter")
    assert gan("hello").stdout == "hello you \n"


def test_plugin_that_takes_the_engines_name_is_listed_as_one_that_cannot_be_used(
    gan: Gan, distribution: Package
) -> None:
    distribution("gan-impostor", {"fake_impostor": PLUGIN}, plugins={"gancore": "fake_impostor"})
    found = rows(gan)["plugin", "gancore"]
    assert (found["distribution"], found["state"]) == ("gan-impostor", "reserved name: it cannot be used")
    assert "reserved name" in gan("plugins").stdout
    assert "hinge" in gan("plugins", "show", "gancore").stdout


# --- what fails -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("raise RuntimeError('no licence')", "is broken; importing fake_bad:app raised RuntimeError: no licence"),
        ("import sys; sys.exit('no')", "is broken; importing fake_bad:app raised SystemExit: no"),
        ("def app(:", "is broken; importing fake_bad:app raised SyntaxError: "),
        ("", "is broken; importing fake_bad:app raised AttributeError: "),
        ("app = 42", "cannot be used: fake_bad:app must be a typer.Typer, not int"),
        ("import typer\napp = typer.Typer()", "is broken; making a command of fake_bad:app raised RuntimeError: "),
    ],
)
@pytest.mark.parametrize("arguments", [("bad",), ("bad", "--help")])
def test_command_that_cannot_be_made_is_an_error_for_who_calls_it_and_for_nobody_else(
    gan: Gan, refused: Refused, distribution: Package, hello: None, source: str, words: str, arguments: tuple[str, ...]
) -> None:
    distribution("gan-bad", {"fake_bad": source}, commands={"bad": "fake_bad:app"})
    assert refused(*arguments, code=1).startswith(f"error: command 'bad' of gan-bad {words}")
    assert "bad" in gan("--help").stdout
    assert ("command", "bad") in rows(gan)
    assert gan("hello").stdout == "hello you \n"


FAILING = """
import sys, typer, warnings
from gancore.errors import DataError, UsageError

app = typer.Typer()


def check(value: str) -> str:
    return value if value != "odd" else 1 / 0


@app.command()
def fail(how: str = typer.Argument(callback=check)) -> None:
    warnings.warn("take care")
    if how == "data":
        raise DataError("no pictures")
    if how == "usage":
        raise UsageError("no such thing")
    if how == "parameter":
        raise typer.BadParameter("neither fish nor fowl")
    if how == "exit":
        raise typer.Exit(7)
    if how == "sys.exit":
        sys.exit(5)
    if how == "interrupt":
        raise KeyboardInterrupt
    raise KeyError("width")
"""


@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        ("data", 1, "warning: take care\nerror: no pictures\n"),
        ("usage", 2, "warning: take care\nerror: no such thing\n"),
        ("interrupt", 130, "warning: take care\ninterrupted\n"),
        ("exit", 7, "warning: take care\n"),
        ("sys.exit", 5, "warning: take care\n"),
        (
            "bug",
            1,
            "warning: take care\nerror: command 'fail' of gan-fail failed with KeyError: 'width'; "
            "add --debug to see where, and report it to its authors\n",
        ),
        (
            "odd",
            1,
            "error: command 'fail' of gan-fail failed with ZeroDivisionError: division by zero; "
            "add --debug to see where, and report it to its authors\n",
        ),
    ],
)
def test_failures_inside_a_command_are_told_as_those_of_built_in_ones(
    gan: Gan, distribution: Package, how: str, code: int, words: str
) -> None:
    distribution("gan-fail", {"fake_fail": FAILING}, commands={"fail": "fake_fail:app"})
    done = gan("fail", how, code=code)
    assert done.stdout == ""
    assert done.stderr == words


def test_parameter_that_a_command_itself_finds_bad_is_a_usage_error(gan: Gan, distribution: Package) -> None:
    distribution("gan-fail", {"fake_fail": FAILING}, commands={"fail": "fake_fail:app"})
    said = gan("fail", "parameter", code=2).stderr
    assert "neither fish nor fowl" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("how", ["data", "bug"])
def test_debug_lets_failures_of_commands_through_with_where_they_happened(
    gan: Gan, distribution: Package, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    distribution("gan-fail", {"fake_fail": FAILING}, commands={"fail": "fake_fail:app"})
    monkeypatch.setattr(errors, "DEBUG", True)
    raised = gan("fail", how, code=1).exception
    while raised.__cause__ is not None:
        raised = raised.__cause__
    assert type(raised).__name__ == {"data": "DataError", "bug": "KeyError"}[how]
    trace = raised.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    assert trace.tb_frame.f_code.co_name == "fail"


# --- gan plugins --load -----------------------------------------------------------------------------------------------


def test_loading_tells_what_works_and_what_does_not_and_succeeds(
    gan: Gan, distribution: Package, hello: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution("gan-bad", {"fake_bad": "open('/no/[such]/file')"}, plugins={"bad": "fake_bad"})
    distribution("gan-odd", {"fake_odd": "app = 42"}, commands={"odd": "fake_odd:app"})
    distribution("gan-new", {"fake_new": PLUGIN.replace("version=1", "version=9")}, plugins={"new": "fake_new"})
    distribution("gan-off", {"fake_off": PLUGIN}, plugins={"off": "fake_off"})
    monkeypatch.setenv("GAN_DISABLE_PLUGINS", "off")
    text = gan("plugins", "--load").stdout
    states = {key: row["state"] for key, row in rows(gan, "--load").items()}
    bad = "broken: importing it raised FileNotFoundError: [Errno 2] No such file or directory: '/no/[such]/file'"
    assert (
        states.items()
        >= {
            ("plugin", "image"): "ok",
            ("plugin", "tensorboard"): "ok",
            ("plugin", "toy"): "ok",
            ("plugin", "bad"): bad,
            (
                "plugin",
                "new",
            ): "broken: was written for version 9 of the plugin contract, this gancore speaks version 1; "
            "upgrade gancore",
            ("plugin", "off"): "disabled",
            ("command", "hello"): "ok",
            ("command", "odd"): "broken: cannot be used: fake_odd:app must be a typer.Typer, not int",
        }.items()
    )
    assert bad in text
    brings = {name: row["brings"] for (_, name), row in rows(gan, "--load").items() if row["state"] == "ok"}
    assert {"image": "data to train on", "tensorboard": "listeners", "hello": ""}.items() <= brings.items()
    assert not {"fake_hello", "fake_bad", "fake_odd", "fake_new", "fake_off"} & set(sys.modules)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("print('hi'); import atexit; atexit.register(print, 'bye')\n" + PLUGIN, "ok"),
        ("import os; os._exit(3)", "broken: importing fake_wild ended the process (exit code 3)"),
        ("import time; time.sleep(60)", "broken: importing fake_wild took more than 1 seconds"),
    ],
    ids=["prints", "ends the process", "never ends"],
)
def test_nothing_that_a_package_does_on_import_reaches_the_command(
    gan: Gan, distribution: Package, source: str, words: str
) -> None:
    distribution("gan-wild", {"fake_wild": source}, plugins={"wild": "fake_wild"})
    patience = 1.0 if words.endswith("seconds") else 30.0
    assert look("plugin", "wild", "fake_wild", "gan-wild", seconds=patience) == (
        words,
        "listeners" if words == "ok" else "",
    )
