"""Texts out of files: which are used, as what tokens, with which classes, and what the report says of them."""

from __future__ import annotations

import json
import random
import zipfile

import pytest
import torch
from pydantic import ValidationError
from support.fetching import fetch
from support.lines import open_, skipped_of, texts_of

from gan_text.data.lines import Options, open_lines
from gancore.data.held_out import split
from gancore.errors import DataError, UsageError


def labels_of(source):
    numbers = fetch(source)[1]
    return None if numbers is None else [source.spec.classes[number] for number in numbers]


# --- files ------------------------------------------------------------------------------------------------------------


def test_each_line_is_a_text_and_blank_ones_are_none(file):
    source = open_(file("one two.\n\n  \t\nthree \r\nfour"))
    assert texts_of(source) == ["one two.", "three", "four"]
    assert (source.report.found, source.report.used, source.report.skipped) == (3, 3, ())


def test_mark_at_the_beginning_of_utf8_is_no_text(file):
    assert texts_of(open_(file(b"\xef\xbb\xbfone\ntwo\n"))) == ["one", "two"]


def test_whole_file_is_a_text_with_its_line_breaks(file, tmp_path):
    file("b\r\n\tc\n", "two.txt")
    file("a\n", "one.txt")
    assert texts_of(open_(tmp_path, unit="file")) == ["a", "b\n\tc"]


def test_folder_is_read_in_the_order_of_names_with_folders_below_it(file, tmp_path):
    file("2\n", "b.txt")
    file("1\n", "a/z.md")
    file("3\n", "c.TXT")
    file("x\n", "d.py")
    assert texts_of(open_(tmp_path)) == ["1", "2", "3"]
    assert texts_of(open_(tmp_path, files="*.py")) == ["x"]
    assert texts_of(open_(tmp_path, files="a/*")) == ["1"]


def test_archive_is_read_as_its_folder_is(file, tmp_path):
    with zipfile.ZipFile(tmp_path / "texts.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("b.txt", "2\n")
        archive.writestr("a/z.txt", "1\n")
    assert texts_of(open_(tmp_path / "texts.zip")) == ["1", "2"]


def test_field_of_json_lines_is_the_text(file):
    rows = [{"text": "a\nb", "id": 1}, {"id": 2, "text": "\u4e2d \U0001f44d"}]
    path = file("\n".join(json.dumps(row) for row in rows) + "\n\n", "t.jsonl")
    assert texts_of(open_(path)) == ["a\nb", "\u4e2d \U0001f44d"]
    assert texts_of(open_(path, column="text", tokens="characters")) == ["a\nb", "\u4e2d \U0001f44d"]
    assert texts_of(open_(file('"one"\n"two"\n', "s.jsonl"))) == ["one", "two"]


def test_column_of_a_table_is_the_text(file):
    path = file('id,words,kind\r\n1,"a, ""b""",x\r\n2,"two\nlines",y\r\n', "t.csv")
    assert texts_of(open_(path, column="words")) == ['a, "b"', "two\nlines"]
    assert texts_of(open_(file("only\none\ntwo\n", "one.csv"))) == ["one", "two"]
    assert texts_of(open_(file("id\ttext\n1\t\"a\n2\tb\"\n", "t.tsv"))) == ['"a', 'b"']  # fmt: skip


@pytest.mark.parametrize("mark", [";", "\t", "|", ","])
@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_separator_of_a_table_is_that_which_the_names_have(file, mark, name):
    rows = [("id", "text", "kind"), ("1", "the cat", "a"), ("2", "a dog", "b")]
    path = file("\r\n".join(mark.join(row) for row in rows), name)
    assert texts_of(open_(path)) == ["the cat", "a dog"]
    assert labels_of(open_(path, label_column="kind")) == ["a", "b"]
    with pytest.raises(DataError, match="the first line names the columns: id, text, kind"):
        open_(path, column="words")


def test_signs_within_texts_are_no_separators(file):
    assert texts_of(open_(file("id,text\n1,a; b; c\n2,d; e; f\n", "t.csv"))) == ["a; b; c", "d; e; f"]
    assert texts_of(open_(file("text\na; b\nc; d\n", "t.csv"))) == ["a; b", "c; d"]
    assert texts_of(open_(file("words\na; b\nc, d; e\nf\ng\n", "t.csv"))) == ["a; b", "c, d; e", "f", "g"]
    assert texts_of(open_(file('id;text\n1;"a, b; c"\n2;d, e\n', "t.csv"))) == ["a, b; c", "d, e"]


def test_table_of_other_names_is_refused_with_them_and_not_read_as_lines(file):
    path = file("review;stars\ngood, really;5\nbad;1\n", "t.csv")
    with pytest.raises(DataError, match=r"without a column 'text' .* the first line names the columns: review, stars"):
        open_(path)
    assert texts_of(open_(path, column="review")) == ["good, really", "bad"]
    assert texts_of(open_(path, label_column="stars")) == ["good, really", "bad"]


def test_first_line_of_excel_names_the_separator(file):
    assert texts_of(open_(file("sep=;\r\nid;text\r\n1;a, b\r\n", "t.csv"))) == ["a, b"]
    assert texts_of(open_(file("sep=:\nid:text\n1:a\n", "t.csv"))) == ["a"]


@pytest.mark.parametrize("mark", ":^~#")
def test_separators_that_are_rare_are_known_by_the_names_of_columns(file, mark):
    assert texts_of(open_(file(f"id{mark}text\n1{mark}a\n2{mark}b, c\n", "t.csv"))) == ["a", "b, c"]
    assert texts_of(open_(file(f"my{mark}text\na\nb\nc\n", "t.csv"))) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "header", ["id,TEXT", "id, text", '"id","Text"', "\ufeffid,text", '\ufeff"id", "text"', "text,id"]
)
def test_names_of_columns_are_found_however_they_are_written(file, header):
    row = "a,1" if header.startswith("text") else "1,a"
    assert texts_of(open_(file(f"\n{header}\n{row}\n", "t.csv"))) == ["a"]


def test_space_after_each_separator_is_none_of_the_cell(file):
    assert texts_of(open_(file('id, text\n1, "a, b"\n2, c\n', "t.csv"))) == ["a, b", "c"]


def test_quotes_in_a_table_of_tabs_are_those_of_csv_where_the_names_have_them(file):
    path = file('"id"\t"text"\n1\t"a\tb"\n2\t"c ""d"""\n', "t.tsv")
    assert texts_of(open_(path)) == ["a\tb", 'c "d"']
    # Else they are signs, but those that were doubled for the sake of others around the cell are taken back.
    assert texts_of(open_(file('id\ttext\n1\t"said ""d"""\n2\t"a" b\n', "t.tsv"))) == ['said "d"', '"a" b']


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_in_every_way(file, end, monkeypatch):
    texts = ["one", "two\u2028three", "four\x85five", "six\x0bseven\x0ceight", "nine"]
    for block in (1 << 20, 3, 1):
        monkeypatch.setattr("gan_text.data.inputs.BLOCK", block)
        assert texts_of(open_(file(end.join([*texts, ""])), tokens="characters")) == texts
        rows = [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
        assert texts_of(open_(file(end.join(rows), "t.jsonl"), tokens="characters")) == texts
        table = end.join(["id,text", *(f"1,{text}" for text in texts), f'2,"x{end}y"', ""])
        assert texts_of(open_(file(table, "t.csv"), tokens="characters")) == [*texts, "x\ny"]


def test_ends_of_lines_may_be_mixed(file):
    assert texts_of(open_(file("a\rb\r\nc\n\rd"))) == ["a", "b", "c", "d"]
    assert texts_of(open_(file("a\rb\r\nc"), unit="file")) == ["a\nb\nc"]


def test_files_with_columns_are_read_in_a_folder_where_a_column_is_named(file, tmp_path):
    file("t\na\n", "a.csv")
    file('{"t": "b"}\n', "b.jsonl")
    file("c\n", "c.txt")
    assert texts_of(open_(tmp_path, column="t")) == ["a", "b", "c"]
    assert texts_of(open_(tmp_path)) == ["c"]


def test_lines_that_cross_the_blocks_that_are_read_are_whole(file, monkeypatch):
    monkeypatch.setattr("gan_text.data.inputs.BLOCK", 7)
    lines = [f"line {number} \u4e2d\u6587" for number in range(50)]
    assert texts_of(open_(file("\n".join(lines)))) == lines
    rows = "\n".join(["text", *(f'"{line},\n2"' for line in lines)])
    assert texts_of(open_(file(rows, "t.csv"))) == [f"{line},\n2" for line in lines]


def test_progress_ends_with_all_bytes_read(file, tmp_path):
    seen = []
    sizes = [file("a b\n" * 9, "a.txt").stat().st_size, file("c\n", "b.txt").stat().st_size]
    open_lines(Options(path=tmp_path), lambda *call: seen.append(call))
    for words in ("counting tokens (bytes)", "reading texts (bytes)"):
        done = [call[1] for call in seen if call[0] == words]
        assert done == sorted(done)
        assert done[-1] == sum(sizes)
        assert {call[2] for call in seen} == {sum(sizes)}


# --- classes ----------------------------------------------------------------------------------------------------------


def test_top_folders_are_classes_and_a_file_beside_them_is_left_out(file, tmp_path):
    file("good\nfine\n", "pos/x/1.txt")
    file("bad\n", "neg/1.txt")
    source = open_(tmp_path)
    assert source.spec.classes == ("neg", "pos")
    assert labels_of(source) == ["neg", "pos", "pos"]
    assert open_(tmp_path, labels=False).spec.classes == ()
    file("loose\n", "README.md")
    source = open_(tmp_path)
    assert labels_of(source) == ["neg", "pos", "pos"]
    assert [skipped.path for skipped in source.report.skipped] == ["README.md"]


def test_texts_of_the_test_part_are_left_out(file, tmp_path):
    file("good\nfine\n", "train/1.txt")
    file("bad\n", "test/1.txt")
    source = open_(tmp_path)
    assert (len(source), source.spec.classes) == (2, ())
    assert "train is used, test left out (1 file" in source.report.summary()
    assert len(open_(tmp_path, part="all")) == 3


def test_one_folder_around_all_in_an_archive_is_no_class(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("all/a/1.txt", "1\n")
        archive.writestr("all/b/1.txt", "2\n")
    assert open_(tmp_path / "t.zip").spec.classes == ("a", "b")


def test_column_names_the_class_of_each_text(file):
    path = file("text,stars\na,10\nb, 9\n,9\nc,10\nd,\n", "t.csv")
    source = open_(path, label_column="stars")
    assert source.spec.classes == ("9", "10")
    assert labels_of(source) == ["10", "9", "10"]
    assert skipped_of(source) == [("t.csv:6", "without a class")]
    path = file('{"text": "a", "good": true}\n{"text": "b", "good": false}\n', "t.jsonl")
    assert labels_of(open_(path, label_column="good")) == ["true", "false"]
    assert labels_of(open_(path, label_column="good", labels=False)) is None


def test_classes_of_json_lines_may_be_numbers(file):
    values = ["1", "2.0", "2", "-1.5", "10", "true", "null", '""', '" "', "[]", "NaN", '"x"']
    path = file("\n".join(f'{{"text": "text {n}", "c": {value}}}' for n, value in enumerate(values)), "t.jsonl")
    source = open_(path, label_column="c")
    assert labels_of(source) == ["1", "2", "2", "-1.5", "10", "true", "x"]
    assert [path for path, _ in skipped_of(source)] == [f"t.jsonl:{line}" for line in (7, 8, 9, 10, 11)]
    assert all(reason.startswith("without a class: 'c' is ") for _, reason in skipped_of(source))


def test_classes_that_are_numbers_are_in_their_order(file):
    path = file("text,n\n" + "".join(f"t{n},{n}\n" for n in ("10", "9.5", "-1", "2")), "t.csv")
    assert open_(path, label_column="n").spec.classes == ("-1", "2", "9.5", "10")


def test_labels_stay_with_their_texts_when_others_are_left_out_cut_and_dropped(file):
    rows = ["one,a", "one two three,b", "two,b", "one,a", "four five,a", "six,b"]
    path = file("\n".join(["text,kind", *rows]), "t.csv")
    source = open_(path, label_column="kind", length=2, duplicates="drop")
    assert list(zip(texts_of(source), labels_of(source), strict=True)) == [
        ("one", "a"),
        ("two", "b"),
        ("four five", "a"),
        ("six", "b"),
    ]
    source = open_(path, label_column="kind", length=2, long="split")
    assert list(zip(texts_of(source), labels_of(source), strict=True))[1:3] == [("one two", "b"), ("three", "b")]


def test_one_class_is_none_and_refused_where_classes_are_wanted(file):
    path = file("text,kind\na,x\nb,x\n", "t.csv")
    assert open_(path, label_column="kind").spec.classes == ()
    with pytest.raises(UsageError, match=r"at least two classes.*'x'"):
        open_(path, label_column="kind", labels=True)


def test_column_with_too_many_values_is_no_class(file, monkeypatch):
    monkeypatch.setattr("gan_text.data.taking.MOST_CLASSES", 2)
    with pytest.raises(UsageError, match=r"label_column 'n' would make more than 2 classes"):
        open_(file("text,n\na,1\nb,2\nc,3\n", "t.csv"), label_column="n")


# --- lengths and copies -----------------------------------------------------------------------------------------------


def test_samples_are_as_long_as_the_longest_text_or_as_was_asked_for(file):
    path = file("a b c\na\n")
    assert open_(path).spec.length == 3
    assert open_(path, length=9).spec.length == 9
    assert open_(file(" ".join("x" * 70) + "\na b\n")).spec.length == 2
    assert open_(file(" ".join("x" * 70) + "\na b\n"), long="cut").spec.length == 64


def test_long_texts_are_left_out_cut_or_split(file):
    path = file("a b c d e\nf g\n")
    assert texts_of(open_(path, length=2)) == ["f g"]
    assert texts_of(open_(path, length=2, long="cut")) == ["a b", "f g"]
    assert texts_of(open_(path, length=2, long="split")) == ["a b", "c d", "e", "f g"]
    assert texts_of(open_(path, length=2, long="split", min_tokens=2)) == ["a b", "c d", "f g"]


def test_what_is_left_out_for_its_length_is_counted(file):
    path = file("a b c d e\nf g\nh\n")
    notes = open_(path, length=4, min_tokens=2).report.notes
    assert "1 text longer than 4 tokens left out (long=cut or split takes them)" in notes
    assert "1 text shorter than 2 tokens left out" in notes
    report = open_(path, length=4, min_tokens=2).report
    assert (report.found, report.used) == (3, 1)


def test_copies_are_kept_or_dropped_and_counted(file):
    path = file("a b\nc\na b\na B\na b\n")
    kept = open_(path)
    assert texts_of(kept) == ["a b", "c", "a b", "a B", "a b"]
    assert "2 texts equal to an earlier one" in kept.report.notes
    dropped = open_(path, duplicates="drop")
    assert texts_of(dropped) == ["a b", "c", "a B"]
    assert "2 texts equal to an earlier one left out" in dropped.report.notes
    assert texts_of(open_(path, duplicates="drop", lowercase=True)) == ["a b", "c"]


def test_copies_are_held_out_together_and_so_are_parts_of_a_text(file):
    rng = random.Random(5)
    path = file("\n".join(f"text {rng.randrange(20)} of several" for _ in range(200)))
    source = open_(path, length=2, long="split")
    parts = split(source, 0.3)
    texts = texts_of(open_(path))
    trained = {texts[number // 2] for number in parts.train.tolist()}
    held = {texts[number // 2] for number in parts.held_out.tolist()}
    assert held
    assert not trained & held


def test_the_same_texts_are_held_out_where_others_come_and_go(file):
    lines = [f"text {n} of many" for n in range(300)]

    def held(source):
        return {texts_of(source)[number] for number in split(source, 0.2).held_out.tolist()}

    before = held(open_(file("\n".join(lines)), min_count=1))
    after = held(open_(file("\n".join(["text 5 of 9 many", *lines[:100], *lines[110:]])), min_count=1))
    gone = set(lines[100:110])
    assert len(before) > 30
    assert before - gone == after - {"text 5 of 9 many"}


def test_what_is_equal_after_it_was_cut_is_held_out_together(file):
    source = open_(file("a b c d\na b c e\na b c f\nb c d e\n"), length=3, long="cut")
    assert len(source.groups.unique()) == 2
    assert source.groups[0] == source.groups[1] == source.groups[2]


def test_a_plain_file_beside_tables_is_left_out_where_classes_are_in_a_column(tmp_path):
    folder = tmp_path / "both"
    folder.mkdir()
    (folder / "README.md").write_text("about the table\n")
    (folder / "reviews.csv").write_text("text,stars\ngood,2\nbad,1\nfine,2\n")
    source = open_(folder, column="text", label_column="stars")
    assert len(source) == 3
    _, labels = fetch(source)
    assert [source.spec.classes[n] for n in labels] == ["2", "1", "2"]
    assert any(s.path == "README.md" and "no column 'stars'" in s.reason for s in source.report.skipped)


def test_the_sign_for_unknown_words_is_unknown_in_texts_too(file):
    source = open_(file("a a \u2047 b\n"), vocabulary=3)
    assert source.spec.unknown == 1
    assert "50.00% of tokens unknown" in source.report.notes[0]


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_report_tells_vocabulary_unknown_words_and_lengths(file):
    source = open_(file("a a b\nc\na b d e f\n"), vocabulary=4)
    # Kept are a (3 times) and b (2 times) besides the end and the unknown one; 4 of 9 words are c, d, e, f.
    assert source.report.notes == ("vocabulary of 4, 44.44% of tokens unknown; median length 3 tokens, longest text 5",)
    assert source.report.summary().endswith(source.report.notes[0])
    assert texts_of(source)[1:] == ["\u2047", "a b \u2047 \u2047 \u2047"]


def test_share_of_unknown_words_is_that_of_all_texts_when_copies_are_dropped(file):
    # Of two words that are equally frequent the first one by its code points is known.
    notes = open_(file("y x\ny x\n"), vocabulary=3, duplicates="drop").report.notes
    assert notes[0].startswith("vocabulary of 3, 50.00% of tokens unknown")


def test_every_kind_of_tokens_gives_the_texts_back(file):
    lines = ["Tab\there.", "\u4e2d\u6587 mixed", "\U0001f44d\U0001f3fd!", "\u0645\u0631\u062d\u0628\u0627"]
    path = file("\n".join(lines))
    for kind in ("characters", "words", "bpe"):
        source = open_(path, tokens=kind)
        assert source.spec.tokens == kind
        assert texts_of(source) == lines
    assert open_(path, tokens="bpe").spec.unknown is None


def test_opening_twice_gives_the_same(file):
    rng = random.Random(1)
    path = file("\n".join(" ".join(rng.choices("abcdefghij", k=5)) for _ in range(300)))
    first, second = open_(path), open_(path)
    assert first.spec == second.spec
    assert torch.equal(first.tokens, second.tokens)


def test_stored_tokenizer_is_used_as_it_is(file, tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.WordLevel({"no": 0, "yes": 1, "</s>": 2, "?": 3}, unk_token="?"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    stored = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>", unk_token="?")
    stored.save_pretrained(tmp_path / "stored")
    source = open_(file("yes no maybe\n</s> no\n"), tokens="pretrained", tokenizer=tmp_path / "stored")
    assert (source.spec.end, source.spec.unknown, source.spec.vocabulary) == (2, 3, 4)
    # Named in a text, a special token is not special, and the end of a text is in none.
    assert fetch(source, 0, 1)[0].tolist() == [[1, 0, 3], [0, 2, 2]]


def test_vocabulary_that_leaves_all_unknown_is_refused(file):
    with pytest.raises(DataError, match="min_count=5"):
        open_(file("a b\nc\n"), min_count=5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tokens": "pretrained"},
        {"tokenizer": "somewhere"},
        {"tokens": "bpe", "vocabulary": 100},
        {"min_tokens": 9, "length": 8},
        {"min_tokens": 65},
        {"files": "", "length": 0},
    ],
)
def test_options_that_contradict_each_other_are_refused(wrong):
    with pytest.raises(ValidationError):
        Options(path="x", **wrong)
