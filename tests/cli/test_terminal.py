"""Nothing that a run was given, a file's name or a class, can command the terminal."""

from __future__ import annotations

import io
import sys

import pytest
from rich.panel import Panel
from rich.text import Text

from gan_cli.errors import redraw, say, tell
from gan_cli.listing import table
from gan_cli.terminal import Terminal
from gan_cli.waiting import loading

EVIL = "x\x1b[31m\x07 caf\udce9"
SHOWN = "x\\x1b[31m\\x07 caf\\xe9"


class Screen(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_lines_are_shown_without_what_a_terminal_obeys(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    say(f"two\nlines {EVIL}")
    redraw(f"one\nline {EVIL}")
    assert capsys.readouterr().err == f"two\nlines {SHOWN}\n\x1b[2Kone line {SHOWN}\r"


def test_result_is_as_it_is_for_a_program_and_shown_to_a_person(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tell("a\x1b[31m")
    assert capsys.readouterr().out == "a\x1b[31m\n"
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    tell("a\x1b[31m")
    assert screen.getvalue() == "a\\x1b[31m\n"


def test_tables_are_shown_whole_and_without_what_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    table([{"run": EVIL}], {"run": "run"})
    assert SHOWN in capsys.readouterr().out


def test_panels_are_shown_without_what_a_terminal_obeys_and_keep_their_colours() -> None:
    screen = Screen()
    console = Terminal(file=screen, force_terminal=True, width=60, color_system="standard", no_color=False)
    console.print(Panel(Text(EVIL, style="red"), title=EVIL))
    assert screen.getvalue().count("\\x1b[31m") == 2
    assert "\x1b[31mx" in screen.getvalue()
    assert "\x07" not in screen.getvalue()


def test_a_terminal_says_that_programs_are_loaded_until_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with loading():
        assert capsys.readouterr().err == ""  # nobody watches
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    with loading():
        assert screen.getvalue() == "\x1b[2Kloading PyTorch ...\r"
    assert screen.getvalue().endswith("\x1b[2K")
