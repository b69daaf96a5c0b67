"""What can be wrong with a file, and what is read in spite of it."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from gancore.errors import DataError, UnknownNameError, UsageError
from tables import HEADER, rows

from gan_tabular.data import TableSource

Open = Callable[..., TableSource]
Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "the file is empty"),
        (b"a,b\n", "no row below it"),
        (b"a,b\n1,2\n", "1 row fits"),
        (b"a,b\n1\n2\n3\n", "no row fits .* line 2 has 1 cell instead of 2"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "not a text file"),
        (b"a,b\n1,2\n\xff\xfe,3\n", "line 3 is not UTF-8"),
        ("a,b\n1,2\nétage élevé,3\n".encode("latin-1"), "line 3 is not UTF-8 text; .*WINDOWS-1252: convert it: iconv"),
        ("a,b\n1,2\n3,4\n".encode("utf-16"), "it is in UTF-16, and only UTF-8 is read; convert it: iconv -f UTF-16"),
        ("a,b\n1,2\n3,4\n".encode("utf-16-le"), "it is in UTF-16LE"),
        (b"1,2\n3,4\n5,6\n", "has to be a header"),
        (b"a,a\n1,2\n3,4\n", "more than one column is called 'a'"),
        (b"\x1f\x8b\x08\x00broken", "cannot be read"),
        (b'a,b\n"' + b"x" * 200_000, "quotation mark"),
    ],
)
def test_file_that_is_no_table_is_refused_in_words(opened: Open, tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "broken.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"broken\.csv.*{words}"):
        opened(path)


def test_missing_file_and_folder_are_usage_errors(opened: Open, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        opened(tmp_path / "absent.csv")
    with pytest.raises(UsageError, match="this is a folder"):
        opened(tmp_path)


def test_ragged_rows_are_skipped_and_listed_by_line(opened: Open, write: Write) -> None:
    lines = ["a,b", *(f"{i},x" for i in range(30))]
    lines[4], lines[9] = "3", "8,x,y"
    report = opened(write(*lines)).report
    assert (report.found, report.used) == (30, 28)
    assert [(s.path, s.reason) for s in report.skipped] == [
        ("line 5", "has 1 cell instead of 2"),
        ("line 10", "has 3 cells instead of 2"),
    ]


def test_text_among_numbers_is_skipped_and_listed_by_line(opened: Open, write: Write) -> None:
    lines = ["a,b", *(f"{i},x" for i in range(60))]
    lines[7] = "many,x"
    source = opened(write(*lines))
    assert [(s.path, s.reason) for s in source.report.skipped] == [("line 8", "column 'a': 'many' is not a number")]
    assert len(source) == 59


def test_line_numbers_count_line_breaks_inside_of_cells(opened: Open, write: Write) -> None:
    source = opened(write("a,b", '1,"two', 'lines"', "2", "3,x", "4,x"))
    assert [s.path for s in source.report.skipped] == ["line 4"]


def test_quotation_mark_that_is_not_closed_costs_one_row(opened: Open, write: Write) -> None:
    rows = [f"{i},x" for i in range(1000)]
    rows[50] = '50,"x'
    report = opened(write("a,b", *rows)).report
    assert (report.found, report.used) == (1000, 999)
    assert [(s.path, s.reason) for s in report.skipped] == [
        ("line 52", "cannot be read (a quotation mark that is never closed)")
    ]
    # Neither does one that is closed by another mistake, far below.
    rows[700], rows[800] = '700,x"', '800,"x"y'
    report = opened(write("a,b", *rows)).report
    assert [s.path for s in report.skipped] == ["line 52", "line 802"]
    assert (report.found, report.used) == (1000, 998)


def test_row_that_quotes_took_others_into_does_not_take_them_along(opened: Open, write: Write) -> None:
    rows = [f"{i},x" for i in range(100)]
    rows[50], rows[70] = '"50,x', '70",x,y'
    report = opened(write("a,b", *rows)).report
    assert (report.used, [s.path for s in report.skipped]) == (98, ["line 52", "line 72"])


def test_long_cell_is_no_mistake(opened: Open, write: Write) -> None:
    path = write("a,b", f"1,{'x' * 200_000}", "2,y", "3,y")
    assert len(opened(path)) == 3


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_in_every_way_and_nowhere_else(opened: Open, tmp_path: Path, end: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(end.join(["one\u2028two,b", "x\x85,1", "y\x0c,2", ""]).encode())
    source = opened(path)
    assert source.spec.header == ("one\u2028two", "b")
    assert len(source) == 2


def test_delimiter_is_that_by_which_rows_are_as_wide_as_the_header(opened: Open, write: Write) -> None:
    assert opened(write("a, c;b, d, e", "1;x, y", "2;z")).spec.header == ("a, c", "b, d, e")
    assert opened(write("a;c;e,b", "1,x", "2,y")).spec.header == ("a;c;e", "b")


def test_first_line_of_excel_names_the_delimiter(opened: Open, write: Write) -> None:
    source = opened(write("sep=;", "a;b", "1;x", "2", "3;x"))
    assert source.spec.header == ("a", "b")
    assert [s.path for s in source.report.skipped] == ["line 4"]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_delimiter_is_found_in_the_header(opened: Open, write: Write, mark: str) -> None:
    source = opened(write(*(line.replace(",", mark) for line in ("one,two", "a,1", "b,2"))))
    assert source.spec.header == ("one", "two")


def test_delimiter_can_be_given_and_a_wrong_one_is_told(opened: Open, write: Write) -> None:
    path = write("one:two", "a:1", "b:2")
    assert opened(path, delimiter=":").spec.header == ("one", "two")
    with pytest.raises(UsageError, match="choose another delimiter"):
        opened(path, delimiter=";")


def test_gzipped_file_and_byte_order_mark_are_read(opened: Open, mixed: Path, tmp_path: Path) -> None:
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + mixed.read_bytes()))
    packed, plain = opened(path), opened(mixed)
    assert packed.spec == plain.spec
    assert packed.rows.equal(plain.rows)


def test_unknown_and_contradictory_columns_are_told(opened: Open, mixed: Path) -> None:
    with pytest.raises(UnknownNameError, match="'prize'; did you mean 'price'"):
        opened(mixed, numeric=("prize",))
    with pytest.raises(UsageError, match="'price' is named in 'drop' and in 'numeric'"):
        opened(mixed, numeric=("price",), drop=("price",))
    with pytest.raises(UsageError, match="no column is left"):
        opened(mixed, drop=tuple(HEADER.split(",")))


def test_column_of_many_texts_is_refused_with_the_option_that_drops_it(opened: Open, write: Write) -> None:
    path = write("name,x", *(f"person {i},{i}" for i in range(300)))
    with pytest.raises(DataError, match=r"'name' \(300, such as 'person 0'\).*data\.drop=name"):
        opened(path)
    assert opened(path, drop=("name",)).spec.header == ("x",)


@pytest.mark.parametrize("count", [50_000])
def test_fifty_thousand_rows_are_read_in_seconds(opened: Open, write: Write, count: int) -> None:
    path = write(HEADER, *rows(count))
    begun = time.perf_counter()
    assert len(opened(path)) == count
    assert time.perf_counter() - begun < 20.0
