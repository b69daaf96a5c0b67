"""What cannot be written is told in words, and leaves nothing unfinished behind."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch
from support.limits import no_file_above
from torch import nn

from gancore import checkpoint, disk
from gancore.errors import WriteError
from gancore.run import RunFolder, replace_text
from gancore.storage import replacing


def failure(number: int, path: Path | None = None) -> OSError:
    return OSError(number, os.strerror(number), None if path is None else str(path))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no space is left on the disk"),
        (errno.EFBIG, "exceed the maximum file size"),
        (errno.EROFS, "the file system is read-only"),
        (errno.ENOENT, "the folder is gone"),
    ],
)
def test_error_of_the_system_is_told_with_what_to_do(number: int, words: str) -> None:
    told = disk.write_error(failure(number), "'a.txt'")
    assert told is not None
    assert str(told).startswith("'a.txt' could not be written: ")
    assert words in str(told)
    assert told.advice
    assert str(told).endswith(told.advice)


def test_full_disk_is_found_behind_what_a_library_raises() -> None:
    raised = RuntimeError("cannot encode")
    raised.__context__ = failure(errno.ENOSPC)
    assert "no space is left" in str(disk.write_error(raised, "a sheet"))
    raised.__context__ = failure(errno.ENOENT)
    assert disk.write_error(raised, "a sheet") is None


def test_missing_file_elsewhere_has_nothing_to_do_with_writing(tmp_path: Path) -> None:
    assert disk.write_error(failure(errno.ENOENT, tmp_path / "b" / "x"), "it", tmp_path / "a") is None
    assert disk.write_error(failure(errno.ENOENT, tmp_path / "a" / "x"), "it", tmp_path / "a") is not None
    assert disk.write_error(ValueError("no"), "it") is None


def test_disk_that_takes_no_more_is_found_by_trying(tmp_path: Path) -> None:
    assert disk.trouble(tmp_path) is None
    with no_file_above(1000):
        assert disk.trouble(tmp_path) is not None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("part", ["network", "optimizer", "state"])
def test_checkpoint_that_does_not_fit_is_told_and_leaves_the_one_before(tmp_path: Path, part: str) -> None:
    modules = {"generator": nn.Linear(200 if part == "network" else 2, 200)}
    optimizers = {"generator": {"moment": torch.zeros(40000 if part == "optimizer" else 1)}}
    state = {"note": "x" * (40000 if part == "state" else 1)}
    before = checkpoint.save(tmp_path, 1, {"generator": nn.Linear(2, 2)}, {}, {}, keep=2)
    with (
        no_file_above(20000),
        pytest.raises(WriteError, match=r"checkpoint of step 2 .* exceed the maximum file size"),
    ):
        checkpoint.save(tmp_path, 2, modules, optimizers, state, keep=2)
    assert list(tmp_path.iterdir()) == [before]


def test_checkpoint_does_not_bring_back_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="the folder is gone"):
        checkpoint.save(tmp_path / "gone" / "checkpoints", 1, {"generator": nn.Linear(2, 2)}, {}, {}, keep=2)
    assert not (tmp_path / "gone").exists()


def test_text_that_does_not_fit_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    replace_text(tmp_path / "a.txt", "old")
    with no_file_above(100), pytest.raises(WriteError, match=r"a\.txt"):
        replace_text(tmp_path / "a.txt", "x" * 1000)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]


def test_line_of_figures_that_does_not_fit_is_taken_back(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.append_metrics({"step": 1})
    with no_file_above(100), pytest.raises(WriteError, match=r"metrics\.jsonl"):
        folder.append_metrics({"step": 2, "note": "x" * 1000})
    folder.append_metrics({"step": 3})
    assert [row["step"] for row in folder.read_metrics()] == [1, 3]


def test_unfinished_file_does_not_stay(tmp_path: Path) -> None:
    with no_file_above(100), pytest.raises(OSError, match="large"):
        replacing(tmp_path / "a.bin", lambda path: path.write_bytes(bytes(1000)))
    assert not list(tmp_path.iterdir())
