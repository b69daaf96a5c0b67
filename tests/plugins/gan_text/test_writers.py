"""Texts on disk: what stands in the files, what their names are, and that the data set reads them back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from support.fetching import fetch

from gan_text.data import lines as reading
from gan_text.data.tokenizers import characters
from gan_text.spec import TextSpec
from gan_text.writers.lines import LinesOptions, LinesWriter
from gan_text.writers.txt import TxtOptions, TxtWriter
from gancore.data.report import silent
from gancore.errors import UsageError

TEXTS = ["Grün ist die Heide", "いろはにほへと", 'He said: "no\\n"', "a\tb  c", "two\nlines"]
PLAIN = TEXTS[:4]


def spec_of(classes: tuple[str, ...] = ()) -> TextSpec:
    made = characters([TEXTS])
    return TextSpec.of(made.tokenizer, length=20, tokens="characters", classes=classes)


def back(path: Path, spec: TextSpec, **options: object) -> tuple[list[str], list[str]]:
    """The texts that the data set `lines` reads at `path`, and the names of their classes."""
    source = reading.open_lines(
        reading.Options.model_validate({"path": path, "tokens": "characters", **options}), silent
    )
    hard, labels = fetch(source)
    return source.spec.decode(hard), [] if labels is None else [source.spec.classes[i] for i in labels]


def test_lines_are_one_utf8_file_with_a_text_a_line(tmp_path: Path) -> None:
    spec = spec_of()
    files = LinesWriter(LinesOptions(), spec).write(spec.encode(PLAIN), tmp_path / "new", "step-1")
    assert files == [tmp_path / "new" / "step-1.txt"]
    assert files[0].read_bytes() == "".join(f"{text}\n" for text in PLAIN).encode()
    assert list((tmp_path / "new").iterdir()) == files


def test_lines_are_read_back(tmp_path: Path) -> None:
    spec = spec_of()
    files = LinesWriter(LinesOptions(), spec).write(spec.encode(PLAIN), tmp_path, "all")
    assert back(files[0], spec) == (PLAIN, [])


def test_line_break_inside_of_a_text_is_shown_and_starts_no_line(tmp_path: Path) -> None:
    spec = spec_of()
    (file,) = LinesWriter(LinesOptions(), spec).write(spec.encode(["two\nlines"]), tmp_path, "all")
    assert file.read_bytes() == b"two\\nlines\n"


def test_captions_stand_before_lines_in_groups_under_a_title(tmp_path: Path) -> None:
    spec = spec_of()
    captions = ["generated", "0.5 away", "generated", "12 away"]
    (file,) = LinesWriter(LinesOptions(), spec).captioned(
        spec.encode([TEXTS[0], TEXTS[4], TEXTS[1], TEXTS[1]]), tmp_path, "nearest", captions, 2, "What is near."
    )
    groups = [
        "What is near.",
        "generated  Grün ist die Heide\n0.5 away   two\\nlines",
        f"generated  {TEXTS[1]}\n12 away    {TEXTS[1]}",
    ]
    assert file.read_text(encoding="utf-8") == "\n\n".join(groups) + "\n"


def test_json_lines_keep_every_text_and_its_class(tmp_path: Path) -> None:
    spec = spec_of(("x", "y z"))
    labels = [0, 1, 1, 0, 1]
    (file,) = LinesWriter(LinesOptions(format="jsonl"), spec).write(spec.encode(TEXTS), tmp_path, "all", labels)
    assert file.name == "all.jsonl"
    names = [spec.classes[label] for label in labels]
    assert [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] == [
        {"text": text, "label": name} for text, name in zip(TEXTS, names, strict=True)
    ]
    assert back(file, spec, label_column="label") == (TEXTS, names)


def test_lines_begin_with_the_class_where_asked(tmp_path: Path) -> None:
    spec = spec_of(("x", "y z"))
    hard = spec.encode(PLAIN[:2])
    (file,) = LinesWriter(LinesOptions(classes=True), spec).write(hard, tmp_path, "all", [1, 0])
    assert file.read_text(encoding="utf-8") == f"y z\t{PLAIN[0]}\nx\t{PLAIN[1]}\n"
    (file,) = LinesWriter(LinesOptions(classes=True), spec).write(hard, tmp_path, "all")
    assert file.read_text(encoding="utf-8") == f"{PLAIN[0]}\n{PLAIN[1]}\n"


def test_single_texts_are_numbered_files(tmp_path: Path) -> None:
    spec = spec_of()
    files = TxtWriter(TxtOptions(), spec).write(spec.encode(TEXTS), tmp_path / "out", "sample")
    assert [f.name for f in files] == [f"sample-0000{i}.txt" for i in range(5)]
    assert [f.read_bytes().decode() for f in files] == [f"{text}\n" for text in TEXTS]
    assert back(tmp_path / "out", spec, unit="file") == (TEXTS, [])


def test_single_texts_have_their_class_in_their_name(tmp_path: Path) -> None:
    spec = spec_of(("x/../y", "ü"))
    hard = spec.encode(PLAIN[:2])
    files = TxtWriter(TxtOptions(), spec).write(hard, tmp_path, "s", [0, 1])
    assert [f.name for f in files] == ["s-00000-x_y.txt", "s-00001-ü.txt"]
    assert {f.parent for f in files} == {tmp_path}
    files = TxtWriter(TxtOptions(classes=False), spec).write(hard, tmp_path, "s", [0, 1])
    assert [f.name for f in files] == ["s-00000.txt", "s-00001.txt"]


def test_empty_text_is_an_empty_line(tmp_path: Path) -> None:
    spec = spec_of()
    hard = spec.encode(["", "a"])
    (sheet,) = LinesWriter(LinesOptions(), spec).write(hard, tmp_path, "all")
    assert sheet.read_bytes() == b"\na\n"
    assert TxtWriter(TxtOptions(), spec).write(hard, tmp_path, "s")[0].read_bytes() == b"\n"


def test_writing_again_replaces_the_file_and_leaves_the_samples(tmp_path: Path) -> None:
    spec = spec_of()
    hard = spec.encode(PLAIN)
    before = hard.clone()
    for texts in (hard, hard[:1]):
        (file,) = LinesWriter(LinesOptions(), spec).write(texts, tmp_path, "all")
    assert file.read_text(encoding="utf-8") == f"{PLAIN[0]}\n"
    assert torch.equal(hard, before)


@pytest.mark.parametrize("writer", [LinesWriter(LinesOptions(), spec_of()), TxtWriter(TxtOptions(), spec_of())])
def test_other_samples_are_refused(writer: LinesWriter | TxtWriter, tmp_path: Path) -> None:
    good = writer.spec.encode(PLAIN)
    for bad in (good[:0], good.long(), good[:, :5], good + 1000, good - 1000):
        with pytest.raises(UsageError, match="texts to write"):
            writer.write(bad, tmp_path, "all")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("labels", [[0], [0, 2], [0, -1]])
def test_labels_that_fit_no_class_are_refused(labels: list[int], tmp_path: Path) -> None:
    spec = spec_of(("x", "y"))
    with pytest.raises(UsageError, match="2 texts to write need a label each, from 0 to 1"):
        TxtWriter(TxtOptions(), spec).write(spec.encode(PLAIN[:2]), tmp_path, "s", labels)


def test_names_of_files_tell_classes_of_any_script(tmp_path: Path) -> None:
    spec = spec_of(("été", "新闻"))
    files = TxtWriter(TxtOptions(), spec).write(spec.encode(PLAIN[:2]), tmp_path, "s", [1, 0])
    assert [f.name for f in files] == ["s-00000-新闻.txt", "s-00001-été.txt"]
