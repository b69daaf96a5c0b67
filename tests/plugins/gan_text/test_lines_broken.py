"""Files that are no text, or not all of it: each line that is left out is named, and none takes much memory."""

from __future__ import annotations

import json
import random
import tracemalloc
import zipfile

import pytest
from support.lines import open_, skipped_of, texts_of

from gan_text.data.inputs import LISTED_IN_FILE
from gancore.errors import DataError, UsageError


def is_opened_or_refused_by_name(path, **options):
    try:
        source = open_(path, **options)
    except DataError as error:
        return path.name in str(error)
    return source.report.used == len(source) == len(texts_of(source)) > 0


# --- bytes ------------------------------------------------------------------------------------------------------------


def test_line_that_is_not_utf8_is_named_with_its_first_bad_byte(file):
    # Lines begin at 0, 3 and 9; the bad bytes are the third of line 2 and the first of line 4, at 5 and 12.
    source = open_(file(b"ab\ncd\xffe\nfg\n\xe4\xb8\n\nhi"))
    assert texts_of(source) == ["ab", "fg", "hi"]
    assert skipped_of(source) == [
        ("texts.txt:2", "not UTF-8 (first bad byte at offset 5)"),
        ("texts.txt:4", "not UTF-8 (first bad byte at offset 11)"),
    ]
    assert (source.report.found, source.report.used) == (5, 3)


def test_offsets_and_numbers_hold_beyond_the_block_that_is_read_at_once(file, monkeypatch):
    monkeypatch.setattr("gan_text.data.inputs.BLOCK", 16)
    lines = [b"line %d" % number for number in range(40)]
    lines[17] = b"li\xc3ne"
    content = b"\xef\xbb\xbf" + b"\n".join(lines)
    source = open_(file(content))
    offset = content.index(b"\xc3")
    assert skipped_of(source) == [("texts.txt:18", f"not UTF-8 (first bad byte at offset {offset:,})")]
    assert len(source) == 39


def test_line_with_nul_bytes_is_left_out(file):
    source = open_(file(b"a\nb\0c\nd\n"))
    assert texts_of(source) == ["a", "d"]
    assert skipped_of(source) == [("texts.txt:2", "not a text (contains NUL bytes)")]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["t.txt", "t.csv", "t.jsonl"])
def test_utf16_is_recognised_with_how_to_convert_it(file, encoding, name):
    with pytest.raises(DataError, match=rf"{encoding.upper()}, .*iconv -f {encoding.upper()} -t UTF-8"):
        open_(file("text\nwords\n".encode(encoding), name))
    with pytest.raises(DataError, match="iconv"):
        open_(file("text\n".encode(encoding), name), unit="file")


@pytest.mark.parametrize("name", ["t.txt", "t.csv", "t.jsonl"])
def test_utf16_without_a_mark_is_recognised_too(file, name):
    for codec, shown in (("utf-16-le", "UTF-16LE"), ("utf-16-be", "UTF-16BE")):
        with pytest.raises(DataError, match=rf"{shown}, .*iconv -f {shown} -t UTF-8"):
            open_(file("text\nmany words\n".encode(codec), name))


@pytest.mark.parametrize(
    ("codec", "text", "shown"),
    [
        ("latin-1", "une phrase entière, déjà écrite à la main", "WINDOWS-1252"),
        ("cp1252", "Straße und “Größe”", "WINDOWS-1252"),
        ("cp932", "これは日本語の文章です。", "SHIFT_JIS"),
        ("gb18030", "这是一个中文句子。", "GB18030"),
        ("cp1251", "Это русское предложение.", "WINDOWS-1251"),
    ],
)
@pytest.mark.parametrize("unit", ["line", "file"])
def test_text_in_another_encoding_is_left_out_with_its_name_and_how_to_convert_it(file, codec, text, shown, unit):
    with pytest.raises(
        DataError, match=rf"not UTF-8 .*looks like {shown}: convert it: iconv -f {shown} -t UTF-8 OLD > NEW"
    ):
        open_(file(f"{text}\n{text}\n".encode(codec)), unit=unit)


def test_damaged_utf8_is_not_taken_for_another_encoding(file):
    source = open_(file("voilà\ncafé\n".encode() + b"d\xe9j\xc3\n" + "été\n".encode()))
    assert skipped_of(source) == [("texts.txt:3", "not UTF-8 (first bad byte at offset 14)")]


@pytest.mark.parametrize("unit", ["line", "file"])
@pytest.mark.parametrize("name", ["t.txt", "t.csv", "t.tsv", "t.jsonl"])
def test_binary_files_are_used_or_refused_in_words_and_never_crash(file, name, unit):
    rng = random.Random(3)
    for size in (1, 100, 5000):
        for _ in range(8):
            path = file(rng.randbytes(size), name)
            assert is_opened_or_refused_by_name(path, unit=unit, max_bytes=1000)


@pytest.mark.parametrize("content", [b"", b"\n\n", b" \t\r\n", b"\xef\xbb\xbf", b"\0"])
@pytest.mark.parametrize("name", ["t.txt", "t.csv", "t.jsonl", "t.md"])
def test_file_without_text_is_refused_by_name(file, content, name):
    with pytest.raises(DataError, match=rf"{name}.*no text could be read"):
        open_(file(content, name))


def test_broken_files_among_good_ones_are_listed(file, tmp_path):
    file("good\n", "good.txt")
    file(b"", "empty.txt")
    file(b"\xff\xfe", "wide.txt")
    file(b"\n\n", "blank.txt")
    source = open_(tmp_path)
    assert texts_of(source) == ["good"]
    assert [path for path, _ in skipped_of(source)] == ["blank.txt", "empty.txt", "wide.txt"]
    assert dict(skipped_of(source))["empty.txt"] == "empty"


def test_list_of_what_was_left_out_is_bounded_and_all_is_counted(file, tmp_path):
    file(b"\xff\n" * 5000 + b"good\n", "a.txt")
    file(b"fine\n\xff\n", "b.txt")
    source = open_(tmp_path)
    listed = skipped_of(source)
    assert len(listed) == LISTED_IN_FILE + 2
    assert listed[-2:] == [
        ("b.txt:2", "not UTF-8 (first bad byte at offset 5)"),
        ("others", "more in 1 of these files"),
    ]
    assert source.report.found == 5003


# --- length -----------------------------------------------------------------------------------------------------------


def test_longest_line_that_is_taken_is_as_long_as_the_option_says(file):
    lines = ["x" * 20, "y" * 21, "\u4e2d" * 6, "\u4e2d" * 7, "z"]
    source = open_(file("\n".join(lines)), max_bytes=20)
    assert texts_of(source) == [lines[0], lines[2], lines[4]]
    reason = "longer than 20 bytes (option max_bytes)"
    assert skipped_of(source) == [("texts.txt:2", reason), ("texts.txt:4", reason)]


@pytest.mark.parametrize("ending", [b"\nlast", b""])
def test_endless_line_is_named_without_being_held(file, ending):
    path = file(b"first\n" + b"x " * (12 << 20) + ending)
    tracemalloc.start()
    source = open_(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert texts_of(source) == ["first", *([ending.decode()[1:]] if ending else [])]
    assert skipped_of(source) == [("texts.txt:2", "longer than 1,048,576 bytes (option max_bytes)")]
    assert peak < 16 << 20


def test_line_after_an_endless_one_keeps_its_number_and_offset(file):
    content = b"x" * (3 << 20) + b"\nok\nbad\xff\n"
    source = open_(file(content))
    offset = len(content) - 2
    path, reason = skipped_of(source)[1]
    assert path == "texts.txt:3"
    assert reason.startswith(f"not UTF-8 (first bad byte at offset {offset:,})")


def test_file_that_is_too_large_for_one_text_is_named_with_what_to_do(file, tmp_path):
    file("small", "a.txt")
    file("x" * 2000, "b.txt")
    source = open_(tmp_path, unit="file", max_bytes=1000)
    assert skipped_of(source) == [
        ("b.txt", "larger than 1,000 bytes; set max_bytes higher, or unit=line to make each line a text")
    ]


def test_texts_that_are_all_too_long_or_too_short_are_refused_with_what_to_do(file):
    with pytest.raises(
        DataError, match=r"of 2 texts, 1 have more than 2 tokens \(set length higher, .* and 1 fewer than 2"
    ):
        open_(file("a b c\nd\n"), length=2, min_tokens=2)


# --- columns ----------------------------------------------------------------------------------------------------------


def test_json_lines_that_cannot_be_used_are_named_with_the_reason(file):
    lines = [
        '{"text": "good"}',
        "{broken",
        "[1, 2]",
        '{"other": "x"}',
        '{"text": 5}',
        '{"text": null}',
        '{"text": "half \\ud800"}',
        '{"text": "nul \\u0000"}',
        "[" * 100_000,
        "NaN",
    ]
    source = open_(file("\n".join(lines), "t.jsonl"))
    assert texts_of(source) == ["good"]
    reasons = [reason for _, reason in skipped_of(source)]
    assert [path for path, _ in skipped_of(source)] == [f"t.jsonl:{number}" for number in range(2, 11)]
    assert reasons[0].startswith("not JSON (")
    assert reasons[1:7] == [
        "no JSON object but a list",
        "without the field 'text' (option column); its fields: other",
        "without a text: 'text' is a number",
        "without a text: 'text' is null",
        "no text: it has half of a surrogate pair in it",
        "not a text (contains NUL bytes)",
    ]
    assert reasons[7].startswith("not JSON (")
    assert reasons[8] == "no JSON object but a number"


def test_row_that_cannot_be_used_is_named_and_the_next_is_read(file):
    rows = [b"id,text", b"1,good", b"2", b"3,b\xffd", b'4,"two', b'lines"', b'5,"a"b', b"6,fine"]
    source = open_(file(b"\n".join(rows), "t.csv"))
    assert texts_of(source) == ["good", "two\nlines", "fine"]
    assert sorted(path for path, _ in skipped_of(source)) == ["t.csv:3", "t.csv:4", "t.csv:7"]
    assert dict(skipped_of(source))["t.csv:3"] == "a row of 1 cell, which is too few"


def test_quote_that_is_not_closed_costs_one_line(file):
    rows = ["id,text", "1,good", '2,"open', *(f"{number},row" for number in range(3, 1000)), '1000,"closed"']
    source = open_(file("\n".join(rows), "t.csv"))
    assert texts_of(source) == ["good", *["row"] * 997, "closed"]
    [(path, reason)] = skipped_of(source)
    assert (path, reason[:20]) == ("t.csv:3", "no row of a table ('")


def test_last_quote_that_is_not_closed_costs_one_line(file):
    rows = ["id,text", '1,"good"', '2,"open', *(f"{number},row" for number in range(3, 1000))]
    source = open_(file("\n".join(rows), "t.csv"))
    assert texts_of(source) == ["good", *["row"] * 997]
    assert skipped_of(source) == [("t.csv:3", "no row of a table (a quotation mark that is not closed)")]


def test_each_quote_that_is_not_closed_costs_one_line_and_is_counted(file):
    rows = ["id,text", *(f'{number},"open' if number % 50 == 9 else f"{number},row {number}" for number in range(2000))]
    source = open_(file("\n".join(rows), "t.csv"), max_bytes=500)
    assert texts_of(source) == [f"row {number}" for number in range(2000) if number % 50 != 9]
    assert (source.report.found, len(skipped_of(source))) == (2000, LISTED_IN_FILE + 1)
    assert skipped_of(source)[1][0] == "t.csv:61"


def test_quote_that_is_closed_far_below_by_another_mistake_takes_no_rows_with_it(file):
    rows = ["id,text", *(f"{number},row {number}" for number in range(100))]
    rows[20], rows[80] = '19,"open', '79,closed"'
    source = open_(file("\n".join(rows), "t.csv"))
    assert texts_of(source) == [f"row {n}" for n in range(19)] + [f"row {n}" for n in range(20, 79)] + [
        'closed"',
        *(f"row {n}" for n in range(80, 100)),
    ]
    assert skipped_of(source) == [("t.csv:21", "no row of a table (a quotation mark that is closed many rows below)")]
    lines = "\n".join(f"verse {n}" for n in range(14))
    assert texts_of(open_(file(f'id,text\n1,"{lines}"\n2,b\n', "t.csv"))) == [lines, "b"]


def test_cells_are_as_long_as_the_option_allows(file):
    # The library for CSV has a limit of its own, of 128 KiB.
    long = ["word " * 60_000, "two\nlines " * 30_000]
    path = file("id,text\n" + "".join(f'{n},"{text}"\n' for n, text in enumerate(long)), "t.csv")
    source = open_(path, length=10, long="cut")
    assert (len(source), skipped_of(source)) == (2, [])
    with pytest.raises(DataError, match=r"t\.csv:2: longer than 1,000 bytes \(option max_bytes\)"):
        open_(path, max_bytes=1000)


def test_row_with_more_cells_than_names_is_left_out_unless_they_are_empty(file):
    source = open_(file("id,text\n1,hello, world\n2,fine,,\n", "t.csv"))
    assert texts_of(source) == ["fine"]
    assert skipped_of(source) == [("t.csv:2", "a row of 3 cells below 2 names")]


def test_two_columns_of_one_name_are_refused(file):
    with pytest.raises(DataError, match=r"with 2 columns 'text' \(option column\); rename all but one"):
        open_(file("text,id,text\na,1,b\n", "t.csv"))


def test_column_that_is_not_there_is_told_with_those_that_are(file):
    path = file("id,words\n1,a\n", "t.csv")
    with pytest.raises(DataError, match=r"without a column 'text' \(option column\).*: id, words"):
        open_(path)
    with pytest.raises(DataError, match=r"without a column 'kind' \(option label_column\)"):
        open_(path, column="words", label_column="kind")


def test_table_whose_first_line_cannot_be_read_has_no_columns(file):
    with pytest.raises(DataError, match=r"t\.csv:1: not UTF-8 \(first bad byte at offset 5\)"):
        open_(file(b"id,te\xffxt\n1,a\ntext,text\n1,b\n", "t.csv"))


# --- places -----------------------------------------------------------------------------------------------------------


def test_path_that_is_not_there_is_refused_by_name(tmp_path):
    with pytest.raises(UsageError, match=r"missing\.txt"):
        open_(tmp_path / "missing.txt")


def test_folder_without_text_files_is_refused_with_what_was_looked_for(file, tmp_path):
    with pytest.raises(DataError, match=r"no file.*looked for: \*\.txt \*\.text \*\.md \*\.rst"):
        open_(tmp_path)
    file("x", "a.py")
    with pytest.raises(DataError, match=r"1 other files, such as a\.py"):
        open_(tmp_path)


def test_damaged_archive_gives_what_was_read_before_the_damage(tmp_path, monkeypatch):
    monkeypatch.setattr("gan_text.data.inputs.BLOCK", 4096)
    path = tmp_path / "t.zip"
    lines = [f"line {number // 100} of several" for number in range(2000)]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.txt", "good\n")
        archive.writestr("b.txt", "\n".join(lines))
    content = bytearray(path.read_bytes())
    at = content.index(b"line 19")
    content[at : at + 4] = b"LINE"
    path.write_bytes(content)
    source = open_(path)
    assert texts_of(source)[:2] == ["good", "line 0 of several"]
    assert skipped_of(source) == [("b.txt", "damaged inside the archive")]


def test_file_that_cannot_be_read_is_named(file, tmp_path, monkeypatch):
    file("good\n", "a.txt")
    file("bad\n", "b.txt")
    from gancore.data import files

    opened = files._Folder.open

    def refuse(self, key):
        if key == "b.txt":
            raise PermissionError(13, "Permission denied")
        return opened(self, key)

    monkeypatch.setattr(files._Folder, "open", refuse)
    source = open_(tmp_path)
    assert texts_of(source) == ["good"]
    assert skipped_of(source) == [("b.txt", "unreadable (permission denied)")]


def test_many_random_changes_of_good_files_never_crash(file):
    rng = random.Random(11)
    good = {
        "t.csv": 'id,text\n1,"a, b"\n2,c\n3,"d\ne"\n' * 4,
        "t.tsv": "id\ttext\n1\ta b\n2\tc\n" * 4,
        "t.jsonl": "".join(json.dumps({"text": f"row {number} \u4e2d"}) + "\n" for number in range(12)),
        "t.txt": "some words\n\u4e2d\u6587 \U0001f44d\n" * 6,
    }
    for name, text in good.items():
        for _ in range(60):
            content = bytearray(text.encode())
            for _ in range(rng.randint(1, 6)):
                content[rng.randrange(len(content))] = rng.choice([0, 10, 13, 34, 44, 0xFF, 0xC3, 0xE4, 92])
            assert is_opened_or_refused_by_name(file(bytes(content), name))
