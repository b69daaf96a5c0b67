"""Class names in names of files: what stays, what cannot, and that no two become one."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from gancore.sampling.names import LONGEST, class_part, renamed, sample_name


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("cat", "cat"),
        ("été", "été"),
        (unicodedata.normalize("NFD", "été"), "été"),
        ("猫", "猫"),
        ("кот", "кот"),
        ("कुत्ता", "कुत्ता"),
        ("🐱", "🐱"),
        ("👩\u200d🔬", "👩\u200d🔬"),
        ("C major", "C_major"),
        ("../../etc/passwd", "etc_passwd"),
        ("..", "class0"),
        ("a/b\\c:d*e?f", "a_b_c_d_e_f"),
        ("line\nbreak\x00\x1b[31m", "line_break_31m"),
        ("abc\u202egnp.exe", "abc_gnp_exe"),
        ("dot. ", "dot"),
        ("3", "class3"),
        ("٣", "class٣"),
        ("-5", "class-5"),
        ("", "class0"),
        ("\ud800", "class0"),
        ("CON", "CON_"),
        ("lpt1", "lpt1_"),
    ],
)
def test_letters_and_signs_of_all_scripts_stay_and_nothing_with_a_meaning(tmp_path: Path, name: str, part: str) -> None:
    assert class_part(0, (name,)) == part
    path = tmp_path / sample_name("sample", 7, ".png", [0] * 8, (name,))
    path.touch()
    assert path.name == f"sample-00007-{part}.png"
    assert list(tmp_path.iterdir()) == [path]


def test_long_names_are_cut_between_letters() -> None:
    for name in ("x" * 300, "猫" * 300, "a" + "é" * 300, "👩\u200d🔬" * 90):
        part = class_part(0, (name,))
        assert LONGEST - 11 <= len(part.encode()) <= LONGEST
        assert name.startswith(part)
        assert not part.endswith("\u200d")


def test_no_two_classes_share_a_name() -> None:
    classes = (
        "a/b",
        "a:b",
        "A b",
        "a_b-0",
        "3",
        "class3",
        "x" * 200,
        "x" * 201,
        unicodedata.normalize("NFD", "é"),
        "é",
        "c",
    )
    parts = [class_part(label, classes) for label in range(len(classes))]
    assert len({part.casefold() for part in parts}) == len(classes)
    assert parts[-1] == "c"


def test_without_labels_files_are_numbered_alone_and_unknown_labels_are_numbers() -> None:
    assert sample_name("sample", 12, ".wav") == "sample-00012.wav"
    assert sample_name("sample", 0, ".wav", [4], ("a",)) == "sample-00000-class4.wav"


def test_files_are_renamed_in_turn_and_no_two_get_one_name(tmp_path: Path) -> None:
    files = [tmp_path / f"sample-{n}{suffix}" for suffix in (".png", ".txt") for n in range(4)]
    for number, file in enumerate(files):
        file.write_text(str(number))
    made = renamed(files, ["a", "A", "a-2", "b"])
    assert [path.name for path in made] == [
        "a.png", "A-2.png", "a-2-2.png", "b.png", "a.txt", "A-2.txt", "a-2-2.txt", "b.txt",
    ]  # fmt: skip
    assert [path.read_text() for path in made] == [str(n) for n in range(8)]


def test_a_new_name_may_be_another_files_old_one_and_never_that_of_a_sheet_or_too_long(tmp_path: Path) -> None:
    files = [tmp_path / f"sample-{n}.png" for n in range(5)]
    for number, file in enumerate(files):
        file.write_text(str(number))
    made = renamed(files, ["sample-1", "sample-0", "Sheet", "con", "\u00e9" * 127])
    assert [path.name for path in made] == [
        "sample-1.png",
        "sample-0.png",
        "Sheet_.png",
        "con_.png",
        "\u00e9" * 40 + ".png",
    ]
    assert [path.read_text() for path in made] == [str(n) for n in range(5)]
    assert len(list(tmp_path.iterdir())) == 5
