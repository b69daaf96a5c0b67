"""Layouts of folders: parts of a data set, classes, and what lies beside them."""

from __future__ import annotations

import pytest

from gancore.data.classes import classes_in_words, lay_out, number_classes
from gancore.errors import UsageError


def words(*names, **options):
    """The class of each file that is taken, by its name."""
    layout = lay_out(names, source="data", **options)
    return {names[number]: word for number, word in zip(layout.taken, layout.words, strict=True)}


def test_two_top_folders_are_classes_and_one_is_not():
    assert words("a/1", "b/deep/2") == {"a/1": "a", "b/deep/2": "b"}
    assert words("a/1", "a/2") == {"a/1": None, "a/2": None}
    assert words("a/1", "b/2", labels=False) == {"a/1": None, "b/2": None}


def test_folders_within_classes_are_told_beside_them():
    layout = lay_out(["a/x/1", "a/y/deep/2", "b/3", "4"], source="data")
    assert layout.words == ("a", "a", "b")
    assert layout.inner == ("x", "y", None)
    assert lay_out(["train/a/x/1", "train/b/x/2", "test/a/x/3"], source="data").inner == ("x", "x")
    assert lay_out(["a/x/1", "b/x/2"], source="data", labels=False).inner == (None, None)


def test_the_one_folder_of_an_archive_is_not_a_class():
    assert words("all/a/1", "all/b/2", archive=True) == {"all/a/1": "a", "all/b/2": "b"}
    assert words("all/a/1", "all/b/2") == {"all/a/1": None, "all/b/2": None}


def test_a_file_beside_class_folders_is_skipped_with_its_reason():
    layout = lay_out(["a/1", "b/2", "cover"], source="data")
    assert layout.words == ("a", "b")
    assert [(skipped.path, skipped.reason) for skipped in layout.skipped] == [
        ("cover", "beside the folders that name the classes")
    ]


def test_folders_beside_as_many_loose_files_are_no_classes_unless_asked():
    names = ["a/1", "b/2", "3", "4"]
    layout = lay_out(names, source="data")
    assert layout.words == (None,) * 4
    assert layout.notes == (
        "folders a and b are not used as classes, because 2 files lie beside them; set data.labels=true to use only the files in them",
    )
    assert lay_out(names, source="data", labels=True).taken == (0, 1)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"),
        ("Training", "Validation"),
        ("train2017", "val2017"),
        ("trainset", "dev-set"),
        ("trn", "tst_1"),
    ],
)
def test_parts_of_a_data_set_are_no_classes_and_that_for_training_is_taken(train, test):
    layout = lay_out([f"{train}/1", f"{train}/2", f"{test}/3"], source="data")
    assert layout.taken == (0, 1)
    assert layout.words == (None, None)
    first, second = sorted([train, test])
    assert layout.notes == (
        f"folders {first} and {second} are parts of the data set, not classes: {train} is used, {test} left out "
        "(1 file; data.part=all uses them all)",
    )


def test_classes_are_looked_for_below_parts():
    names = ["test/a/1", "train/a/2", "train/b/3", "train/cover", "README"]
    layout = lay_out(names, source="data")
    assert [names[number] for number in layout.taken] == ["train/a/2", "train/b/3"]
    assert layout.words == ("a", "b")
    assert {skipped.path for skipped in layout.skipped} == {"README", "train/cover"}
    everything = {"test/a/1": "a", "train/a/2": "a", "train/b/3": "b"}
    assert words(*names[:3], part="all") == everything
    assert words(*names[:3], part="test") == {"test/a/1": None}
    assert words(*(f"set/{name}" for name in names[:3])) == {"set/train/a/2": "a", "set/train/b/3": "b"}


def test_parts_without_one_for_training_are_all_taken():
    layout = lay_out(["test/1", "val/2"], source="data")
    assert layout.taken == (0, 1)
    assert layout.notes == ("folders test and val are parts of the data set, not classes, and all are used",)


def test_parts_are_classes_where_labels_are_asked_for_and_nothing_is_below():
    assert words("train/1", "test/2", labels=True) == {"train/1": "train", "test/2": "test"}
    assert words("train/a/1", "train/b/2", "test/a/3", labels=True) == {"train/a/1": "a", "train/b/2": "b"}


@pytest.mark.parametrize("other", ["cats", "tests of mine", "trainer", "devils"])
def test_one_other_folder_makes_all_of_them_ordinary(other):
    assert words("train/1", f"{other}/2") == {"train/1": "train", f"{other}/2": other}


def test_only_files_of_the_kind_make_a_layout():
    names = ["train/1.png", "test/2.png", "labels/3.txt", "notes.txt"]
    layout = lay_out(names, source="data", suffixes=(".png",))
    assert layout.taken == (0,)
    assert [skipped.path for skipped in layout.skipped] == ["labels/3.txt", "notes.txt"]
    assert words("images/train/1.png", "images/val/2.png", "labels/train/1.txt", suffixes=(".png",)) == {
        "images/train/1.png": None
    }


def test_a_part_that_is_not_there_is_an_error():
    with pytest.raises(UsageError, match="part is 'val', but there are test and train, auto and all"):
        lay_out(["train/1", "test/2"], source="data", part="val")
    with pytest.raises(UsageError, match=r"part is 'val', but its top folders \(a, b\) are not all parts"):
        lay_out(["a/1", "b/2"], source="data", part="val")


def test_classes_are_numbered_in_the_order_of_their_names():
    assert number_classes(["b", "a", "b"], labels="auto", source="data", todo="") == (("a", "b"), [1, 0, 1])
    assert number_classes(["b", "b"], labels="auto", source="data", todo="") == ((), None)
    with pytest.raises(UsageError, match="at least two classes, but there is only 'b'; sort them"):
        number_classes(["b", "b"], labels=True, source="data", todo="sort them")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), ""),
        (("a",), "1 class (a)"),
        (("a", "b"), "2 classes (a and b)"),
        (tuple("abcdefghi"), "9 classes (a, b, c and 6 more)"),
        (("x" * 31, "b"), f"2 classes ({'x' * 30}... and b)"),
    ],
)
def test_classes_are_counted_and_the_first_named(names, words):
    assert classes_in_words(names) == words
