"""Text that people gave, and how it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from gancore.errors import UsageError
from gancore.text import brief, check_path, shown


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("photos, 12 %", "photos, 12 %"),
        ("Ünïcode 日本", "Ünïcode 日本"),
        ("two\n\tlines", "two\n\tlines"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("over\rwritten\x9b2J", "over\\x0dwritten\\x9b2J"),
        ("caf\udce9", "caf\\xe9"),
        ("lone \ud800", "lone \\ud800"),
        ("gnp.\u202etxt", "gnp.\\u202etxt"),
    ],
)
def test_what_a_terminal_would_obey_is_spelt_out(text: str, seen: str) -> None:
    assert shown(text) == seen
    shown(text).encode()


def test_long_values_are_shown_by_their_beginning() -> None:
    assert brief("abc") == "'abc'"
    assert brief("a" * 5000).endswith("... (5,002 characters)")
    assert len(brief(["a"] * 5000)) < 120
    assert brief(10**9) == "1000000000"
    assert brief(10**399) == "a number of about 400 digits"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "a folder '' is empty; give a file or folder"),
        ("a\0b", "a folder 'a\\x00b' contains a NUL character"),
        (
            "caf\udce9",
            "a folder 'caf\\xe9' is not text in UTF-8, in which a run keeps the names of its files; rename it",
        ),
        ("a" * 5000, "cannot be accessed (File name too long)"),
        ("~nobody-has-this-name/x", "begins with ~, and there is no such home folder"),
    ],
)
def test_path_that_no_run_can_keep_is_refused(path: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_path(path, "a folder")
    assert words in str(caught.value)


def test_path_of_something_that_is_not_there_yet_is_none_of_its_business(tmp_path: Path) -> None:
    check_path(tmp_path / "Fotos 2024 é", "a folder")
    check_path(Path(), "a folder")
