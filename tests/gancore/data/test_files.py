"""Scanning folders and archives: order, what is left out, and hostile input."""

from __future__ import annotations

import os
import pickle
import shutil
import time
import zipfile

import pytest

from gancore.data.files import expect_file, matches, scan, single
from gancore.errors import DataError, UsageError


def fill(root, names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def pack(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def names(tree):
    return [entry.name for entry in tree.entries]


def test_files_come_sorted_by_their_path_and_hidden_ones_are_left_out(tmp_path):
    fill(tmp_path, ["b/2.txt", "b/1.txt", "a.txt", "c/d/e.txt", ".hidden", ".git/x", "__MACOSX/a.txt", "b/.DS_Store"])
    fill(tmp_path, ["b/Thumbs.db", "desktop.ini"])
    tree = scan(tmp_path)
    assert names(tree) == ["a.txt", "b/1.txt", "b/2.txt", "c/d/e.txt"]
    assert [entry.read() for entry in tree.entries] == [name.encode() for name in names(tree)]
    assert tree.problems == ()


def test_an_archive_lists_what_the_same_folder_lists(tmp_path):
    members = ["b/2.txt", "b/1.txt", "a.txt", ".hidden", "__MACOSX/a.txt", "c/.DS_Store"]
    fill(tmp_path / "folder", members)
    archive = pack(tmp_path / "data.zip", {name: name for name in members})
    tree = scan(archive)
    assert tree.is_archive
    assert names(tree) == names(scan(tmp_path / "folder")) == ["a.txt", "b/1.txt", "b/2.txt"]
    assert tree.entries[1].read() == b"b/1.txt"


def test_links_in_a_circle_end_and_a_folder_reached_twice_is_read_once_under_its_real_name(tmp_path):
    fill(tmp_path, ["z/one.txt", "z/deep/two.txt"])
    os.symlink(tmp_path, tmp_path / "z" / "deep" / "up")
    os.symlink(tmp_path / "z", tmp_path / "a_link")
    assert names(scan(tmp_path)) == ["z/deep/two.txt", "z/one.txt"]


def test_linked_folders_outside_of_the_tree_are_followed(tmp_path):
    fill(tmp_path, ["elsewhere/one.txt", "data/two.txt"])
    os.symlink(tmp_path / "elsewhere", tmp_path / "data" / "link")
    assert names(scan(tmp_path / "data")) == ["link/one.txt", "two.txt"]


def test_broken_links_and_pipes_are_reported_and_not_opened(tmp_path):
    fill(tmp_path, ["good.txt"])
    os.symlink(tmp_path / "gone", tmp_path / "link.txt")
    os.mkfifo(tmp_path / "pipe.txt")
    tree = scan(tmp_path)
    assert names(tree) == ["good.txt"]
    assert [(p.path, p.reason) for p in tree.problems] == [
        ("link.txt", "a broken link"),
        ("pipe.txt", "not a regular file"),
    ]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything")
def test_a_folder_without_permission_is_reported(tmp_path):
    fill(tmp_path, ["good.txt", "locked/a.txt"])
    (tmp_path / "locked").chmod(0)
    try:
        tree = scan(tmp_path)
    finally:
        (tmp_path / "locked").chmod(0o755)
    assert names(tree) == ["good.txt"]
    assert tree.problems[0].path == "locked"
    assert "permission denied" in tree.problems[0].reason


def test_a_folder_that_cannot_be_listed_is_reported(tmp_path, monkeypatch):
    fill(tmp_path, ["good.txt", "locked/a.txt"])
    real = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    tree = scan(tmp_path)
    assert names(tree) == ["good.txt"]
    assert [(p.path, p.reason) for p in tree.problems] == [("locked", "unreadable (permission denied)")]


def test_names_that_are_no_text_can_still_be_read_and_printed(tmp_path):
    try:
        for name in (b"caf\xe9", b"caf\xe8"):
            os.mkdir(os.fsencode(tmp_path) + b"/" + name)
            with open(os.fsencode(tmp_path) + b"/" + name + b"/\xff.txt", "wb") as file:
                file.write(name)
    except OSError:
        pytest.skip("this file system takes only text as names")
    entries = scan(tmp_path).entries
    assert [entry.name for entry in entries] == [r"caf\xe8/\xff.txt", r"caf\xe9/\xff.txt"]  # not two of one name
    assert [entry.read() for entry in entries] == [b"caf\xe8", b"caf\xe9"]


def test_members_named_outside_of_the_archive_are_refused(tmp_path):
    members = ["../up.txt", "/etc/abs.txt", "a\\..\\..\\b.txt", "good.txt"]
    archive = pack(tmp_path / "evil.zip", dict.fromkeys(members, "x"))
    tree = scan(archive)
    assert names(tree) == ["good.txt"]
    assert {problem.reason for problem in tree.problems} == {"named as if outside of the archive"}
    assert len(tree.problems) == 3


def test_a_member_that_unpacks_to_more_than_the_limit_is_not_read(tmp_path):
    archive = pack(tmp_path / "bomb.zip", {"bomb.txt": b"\0" * 1_000_000})
    assert archive.stat().st_size < 5000
    with pytest.raises(DataError, match=r"^larger than 0 MiB$"):
        scan(archive, max_bytes=100_000).entries[0].read()
    assert len(scan(archive, max_bytes=1_000_000).entries[0].read()) == 1_000_000


def test_a_file_that_grows_beyond_the_limit_after_scanning_is_not_read(tmp_path):
    fill(tmp_path, ["log.txt"])
    entry = scan(tmp_path, max_bytes=100).entries[0]
    (tmp_path / "log.txt").write_bytes(b"x" * 101)
    with pytest.raises(DataError, match="larger than"):
        entry.read()


def test_a_damaged_member_says_so(tmp_path):
    archive = pack(tmp_path / "data.zip", {"a.txt": bytes(range(256)) * 20})
    content = bytearray(archive.read_bytes())
    content[40:60] = bytes(20)
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"^damaged inside the archive$"):
        scan(archive).entries[0].read()


def test_a_file_deleted_after_scanning_says_so(tmp_path):
    fill(tmp_path, ["a.txt"])
    entry = scan(tmp_path).entries[0]
    (tmp_path / "a.txt").unlink()
    with pytest.raises(DataError, match="no longer there"):
        entry.read()


def test_an_entry_of_an_archive_survives_pickling_while_the_archive_is_open(tmp_path):
    entry = scan(pack(tmp_path / "data.zip", {"a.txt": "hello"})).entries[0]
    assert entry.read() == b"hello"
    assert pickle.loads(pickle.dumps(entry)).read() == b"hello"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_reads_an_archive_without_disturbing_its_parent(tmp_path):
    members = {f"{n:03d}.bin": os.urandom(20_000) for n in range(30)}
    entries = scan(pack(tmp_path / "data.zip", members)).entries
    entries[0].read()  # the parent has opened the archive
    child = os.fork()
    if child == 0:
        right = all(entry.read() == members[entry.name] for _ in range(5) for entry in entries)
        os._exit(0 if right else 1)
    assert all(entry.read() == members[entry.name] for _ in range(5) for entry in entries)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_fingerprints_change_with_the_file(tmp_path):
    fill(tmp_path, ["a.txt"])
    before = scan(tmp_path).entries[0].fingerprint
    assert scan(tmp_path).entries[0].fingerprint == before
    os.utime(tmp_path / "a.txt", ns=(1, 1))
    assert scan(tmp_path).entries[0].fingerprint != before
    os.replace(shutil.copy2(tmp_path / "a.txt", tmp_path / "copy"), tmp_path / "a.txt")
    moved = scan(tmp_path).entries[0].fingerprint
    assert moved != before
    time.sleep(0.05)  # longer than the clock of the file system stands still
    with open(tmp_path / "a.txt", "r+b") as file:  # in place, of equal size and time
        file.write(b"b")
    os.utime(tmp_path / "a.txt", ns=(1, 1))
    assert scan(tmp_path).entries[0].fingerprint != moved
    one = scan(pack(tmp_path / "one.zip", {"a": "x"})).entries[0].fingerprint
    two = scan(pack(tmp_path / "two.zip", {"a": "y"})).entries[0].fingerprint
    assert one != two


def test_a_path_that_does_not_exist_says_what_was_looked_for(tmp_path):
    with pytest.raises(UsageError, match=r"nothing of this name; .* \.zip archive of pictures was looked for"):
        scan(tmp_path / "nowhere", what="pictures")


def test_a_path_that_is_neither_folder_nor_archive_says_what_was_looked_for(tmp_path):
    fill(tmp_path, ["a.txt"])
    with pytest.raises(UsageError, match=r"neither a folder nor a zip archive; .* of songs was looked for"):
        scan(tmp_path / "a.txt", what="songs")


def test_an_archive_without_its_end_is_told_from_other_files(tmp_path):
    whole = pack(tmp_path / "a.zip", {"a": "x" * 100}).read_bytes()
    (tmp_path / "a.zip").write_bytes(whole[:80])
    with pytest.raises(
        DataError, match=r"a\.zip': this is a zip archive whose end is missing.*download or copy it again"
    ):
        scan(tmp_path / "a.zip")


def test_a_named_pipe_is_called_one_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(UsageError, match=r"this is a named pipe \(FIFO\); a folder or a \.zip archive"):
        scan(tmp_path / "pipe.npy")
    with pytest.raises(
        UsageError, match=r"pipe\.npy': this is a named pipe \(FIFO\), not a file; an array was looked for"
    ):
        expect_file(tmp_path / "pipe.npy", "an array")


def test_a_single_file_is_a_tree_of_one(tmp_path):
    fill(tmp_path, ["a.txt"])
    tree = single(tmp_path / "a.txt")
    assert [entry.name for entry in tree.entries] == ["a.txt"]
    assert tree.entries[0].read() == (tmp_path / "a.txt").read_bytes()
    assert tree.entries[0].fingerprint == scan(tmp_path).entries[0].fingerprint


def test_a_file_that_grew_since_it_was_listed_is_read_up_to_its_end(tmp_path):
    (tmp_path / "a.txt").write_text("short")
    [entry] = scan(tmp_path).entries
    (tmp_path / "a.txt").write_text("longer than it was")
    assert entry.read() == b"longer than it was"


def test_globs_with_a_slash_are_compared_with_the_whole_path():
    assert matches("train/a.wav", ["*.wav"])
    assert matches("train/a.wav", ["x", "train/*"])
    assert not matches("train/a.wav", ["train*"])
    assert not matches("a.wav", ["train/*"])
    assert not matches("a.wav", [])
