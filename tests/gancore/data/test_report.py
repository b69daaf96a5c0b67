"""What was skipped, in one line."""

from __future__ import annotations

import pytest

from gancore.data.report import ScanReport, Skipped, by_reason


def test_skipped_files_are_summed_up_by_reason() -> None:
    skipped = (Skipped("a.png", "truncated"), Skipped("cat.png", "not an image"), Skipped("c.png", "truncated"))
    assert ScanReport("photos/", 415, 412, skipped).summary() == (
        "photos/: 412 samples from 415 found, 3 skipped (2 truncated, 1 not an image; first: a.png)"
    )


@pytest.mark.parametrize(
    ("reasons", "wanted"),
    [
        (["too long (3.25 s, 52,000 samples) with long=skip", "too long (9 s, 144,000 samples) with long=skip"],
         {"too long with long=skip": 2}),
        (["column 'a': 'x' is not a number", "column 'a': 'y' is not a number"], {"column …: … is not a number": 2}),
        (["has 3 cells instead of 4", "has 5 cells instead of 4", "empty"], {"has … cells instead of …": 2, "empty": 1}),
        (["larger than 256 MiB"] * 2, {"larger than 256 MiB": 2}),
        (["not UTF-8 (byte 3); say -f CP-1252", "not UTF-8 (byte 8); say -f CP-1252"], {"not UTF-8; say -f CP-1252": 2}),
        (["(12)"], {"(12)": 1}),
    ],
)  # fmt: skip
def test_reasons_that_differ_by_numbers_or_quoted_words_are_one(reasons: list[str], wanted: dict[str, int]) -> None:
    assert by_reason(Skipped(f"{number}", reason) for number, reason in enumerate(reasons)) == wanted


def test_of_many_reasons_the_most_frequent_are_told_and_the_rest_is_counted() -> None:
    skipped = [Skipped(f"{kind}{n}", kind) for kind in "abcdef" for n in range(ord("g") - ord(kind))]
    summary = ScanReport("x", 30, 9, tuple(skipped)).summary()
    assert summary.endswith("21 skipped (6 a, 5 b, 4 c, 3 d, 3 for other reasons; first: a0)")


def test_what_is_not_named_one_by_one_counts_too() -> None:
    skipped = (Skipped("a:1", "blank"), Skipped("others", "more", 4_979))
    assert ", 4,980 skipped (4,979 more, 1 blank; first: a:1)" in ScanReport("a", 1, 1, skipped).summary()
