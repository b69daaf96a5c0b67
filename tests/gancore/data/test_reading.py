"""Reading the files of a data set: order, threads, what is skipped and why, and the error that nothing is left."""

import errno
import threading
import time

import pytest
import torch

from gancore.data.files import scan
from gancore.data.reading import FileSet, Skips, UnusableError, explained, nothing_usable, read_all
from gancore.data.report import Skipped
from gancore.errors import DataError, UsageError


@pytest.fixture
def entries(tmp_path):
    """Forty files whose content is their number."""
    for number in range(40):
        (tmp_path / f"{number:02}.txt").write_text(str(number))
    return scan(tmp_path).entries


@pytest.fixture
def four_processors(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 4)


def number_in(entry):
    return int(entry.read())


def read(entries, decode, skips=None, told=None, **options):
    progress = (lambda *_: None) if told is None else lambda *words: told.append(words)
    return read_all(entries, decode, Skips() if skips is None else skips, progress, "reading", **options)


# --- order and threads ------------------------------------------------------------------------------------------------


def test_files_come_in_order_whichever_is_decoded_first(entries, four_processors):
    def decode(entry):
        number = number_in(entry)
        time.sleep(0.02 if number % 4 == 0 else 0.0)
        return number * number

    assert list(read(entries, decode)) == [(number, number * number) for number in range(40)]


def test_only_some_files_are_read_where_their_numbers_are_given(entries):
    assert list(read(entries, number_in, only=[3, 30, 7])) == [(3, 3), (30, 30), (7, 7)]


def test_progress_counts_every_file_that_is_done(entries):
    told = []
    list(read(entries[:3], number_in, told=told))
    assert told == [("reading", 1, 3), ("reading", 2, 3), ("reading", 3, 3)]


def test_no_more_files_are_begun_than_are_allowed_to_wait(entries, four_processors):
    begun = []

    def decode(entry):
        begun.append(entry.name)
        return entry.name

    reading = read(entries, decode, workers=2, ahead=3)
    next(reading)
    time.sleep(0.05)
    assert len(begun) == 6
    next(reading)
    time.sleep(0.05)
    assert len(begun) == 7
    assert len(list(reading)) == 38


def test_one_worker_is_the_caller_itself(entries):
    threads = {thread for _, thread in read(entries, lambda _: threading.current_thread(), workers=1)}
    assert threads == {threading.current_thread()}


def test_files_that_wait_are_not_begun_after_an_interruption(entries, four_processors):
    begun = []

    def decode(entry):
        begun.append(entry.name)
        time.sleep(0.02)
        return entry.name

    reading = read(entries, decode, workers=2, ahead=10)
    next(reading)
    with pytest.raises(KeyboardInterrupt):
        reading.throw(KeyboardInterrupt)
    assert len(begun) < 12


# --- files that cannot be used ----------------------------------------------------------------------------------------


def test_file_that_cannot_be_used_is_skipped_with_its_reason_and_the_others_come(entries):
    def decode(entry):
        if number_in(entry) == 5:
            raise UnusableError("not a number of ours")
        return number_in(entry)

    skips, told = Skips(), []
    assert [number for number, _ in read(entries, decode, skips, told)] == [n for n in range(40) if n != 5]
    assert skips.listed == [Skipped("05.txt", "not a number of ours")]
    assert len(told) == 40


def test_mistake_of_a_program_is_not_taken_for_a_bad_file(entries):
    with pytest.raises(ZeroDivisionError):
        list(read(entries, lambda entry: 1 // 0))


def test_outcome_lasts_unless_the_cause_may_be_gone_another_time():
    skips = Skips()
    skips.add("a", UnusableError("truncated"))
    skips.add("b", "too long")
    assert skips.lasting
    skips.add("c", UnusableError("unreadable", passing=True))
    skips.add("d", UnusableError("truncated"))
    assert not skips.lasting


def words_of(error):
    return "of another kind" if isinstance(error, KeyError) else ""


@pytest.mark.parametrize(
    ("raised", "reason", "passing"),
    [
        (UnusableError("empty"), "empty", False),
        (UnusableError("busy", passing=True), "busy", True),
        (DataError("encrypted"), "encrypted", False),
        (MemoryError(), "too large for this machine's memory", True),
        (PermissionError(errno.EACCES, "Permission denied"), "unreadable (permission denied)", True),
        (OSError("odd header"), "damaged (odd header)", False),
        (KeyError("x"), "of another kind", False),
        (ValueError(), "damaged (ValueError)", False),
    ],
)
def test_whatever_a_decoder_raises_becomes_plain_words(raised, reason, passing):
    with pytest.raises(UnusableError) as found, explained(words_of):
        raise raised
    assert (str(found.value), found.value.passing) == (reason, passing)


def test_file_that_could_not_be_opened_may_be_there_another_time(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    [entry] = scan(tmp_path).entries
    (tmp_path / "a.txt").unlink()
    with pytest.raises(UnusableError, match=r"^no longer there$") as found, explained():
        entry.read()
    assert found.value.passing


# --- the files of a data set ------------------------------------------------------------------------------------------


@pytest.fixture
def sorted_files(tmp_path):
    """Two classes, a file beside them, and a link that leads nowhere."""
    for name in ("cats/1.txt", "cats/2.txt", "dogs/1.txt", "beside.txt"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_text(name)
    (tmp_path / "data" / "lost.txt").symlink_to(tmp_path / "nowhere")
    return tmp_path / "data"


def test_files_are_told_by_class_and_others_are_left_unread_with_a_reason(sorted_files):
    files = FileSet.of("mine", scan(sorted_files))
    assert [entry.name for entry in files.entries] == ["cats/1.txt", "cats/2.txt", "dogs/1.txt"]
    assert files.words == ("cats", "cats", "dogs")
    assert {one.path: one.reason for one in files.unread} == {
        "beside.txt": "beside the folders that name the classes",
        "lost.txt": "a broken link",
    }
    assert files.found == 5


def test_report_counts_all_files_and_lists_those_left_out_by_name(sorted_files):
    report = FileSet.of("mine", scan(sorted_files)).report(2, [Skipped("cats/2.txt", "empty")], ["a note"])
    assert (report.source, report.found, report.used, report.notes) == ("mine", 5, 2, ("a note",))
    assert [one.path for one in report.skipped] == ["beside.txt", "cats/2.txt", "lost.txt"]


def test_key_is_another_for_other_files_or_another_purpose(sorted_files):
    def key(*what):
        return FileSet.of("mine", scan(sorted_files), labels=False).key(*what)

    before = key(1, "small")
    assert key(1, "small") == before
    assert key(2, "small") != before
    assert key(1, "large") != before
    (sorted_files / "cats" / "1.txt").write_text("longer than it was")
    assert key(1, "small") != before


def test_samples_have_the_class_of_their_file(sorted_files):
    labels, classes = FileSet.of("mine", scan(sorted_files)).labels([0, 0, 2, 1], "auto", "sort them")
    assert classes == ("cats", "dogs")
    assert labels.dtype is torch.int64
    assert labels.tolist() == [0, 0, 1, 0]


def test_samples_of_one_class_have_no_labels_and_asking_for_them_says_what_to_do(sorted_files):
    files = FileSet.of("mine", scan(sorted_files))
    assert files.labels([0, 1], "auto", "sort them") == (None, ())
    with pytest.raises(UsageError, match=r"data set 'mine': labels need at least two classes.*; sort them$"):
        files.labels([0, 1], True, "sort them")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("a/one/1", "a/two/2", "b/one/3", "b/two/4"), (("one", "two"), [0, 1, 0, 1])),
        (("a/one/1", "a/two/2", "b/one/3", "b/three/4", "b/two/5"), (("one", "three", "two"), [0, 2, 0, 1, 2])),
        (("a/one/1", "a/two/2", "b/one/3", "b/three/4"), None),  # one name alone is in both
        (("a/one/1", "a/two/2", "b/one/3", "b/two/4", "b/5"), None),
        (("a/1", "b/2"), None),
    ],
)
def test_content_are_folders_that_all_classes_have_within(tmp_path, names, found):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    files = FileSet.of("mine", scan(tmp_path))
    content = files.content(range(len(files.entries)))
    assert (content and (content.names, content.numbers.tolist())) == found
    assert FileSet.of("mine", scan(tmp_path), labels=False).content(range(len(names))) is None


def test_chosen_files_alone_make_the_data_set(sorted_files):
    tree = scan(sorted_files)
    files = FileSet.of("mine", tree, [entry for entry in tree.entries if entry.name.startswith("cats")])
    assert [entry.name for entry in files.entries] == ["cats/1.txt", "cats/2.txt"]
    assert files.words == (None, None)


@pytest.mark.parametrize(
    ("skipped", "options", "words"),
    [
        (
            [Skipped("a.txt", "empty")],
            {},
            "data set 'x': no song could be read (first problem: a.txt: empty). Supported: MP3",
        ),
        (
            [],
            {"examined": "3 files"},
            "data set 'x': no song could be read (3 files examined; there are no files). Supported: MP3",
        ),
        ([], {"otherwise": "all is silent"}, "data set 'x': no song could be read (all is silent). Supported: MP3"),
    ],
)
def test_nothing_usable_is_one_sentence_with_the_first_problem(skipped, options, words):
    assert str(nothing_usable("x", "song", "MP3", skipped, **options)) == words
