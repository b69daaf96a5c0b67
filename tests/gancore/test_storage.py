"""Files that appear whole or not at all, and where what was worked out once is kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

import pytest

from gancore.storage import cache_folder, cache_key, fill, new_file_mode, numbered_folder, occupied, replacing


def test_cache_lies_where_the_variables_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    monkeypatch.setenv("GAN_CACHE_DIR", str(tmp_path / "own"))
    assert cache_folder("images") == tmp_path / "own" / "images"
    monkeypatch.delenv("GAN_CACHE_DIR")
    assert cache_folder("images") == tmp_path / "shared" / "gancore" / "images"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder("sounds") == Path.home() / ".cache" / "gancore" / "sounds"


def test_keys_tell_parts_apart_and_not_only_their_text() -> None:
    assert cache_key([1, ["a", "b"]]) == cache_key([1, ["a", "b"]])
    assert len({cache_key(parts) for parts in ([1, "ab"], [1, "a", "b"], [1, ["a", "b"]], [2, "ab"], ["1", "ab"])}) == 5


def test_file_that_fails_leaves_the_old_one_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "kept.bin"
    fill(path, lambda file: file.write(b"old"))

    def half(file: IO[bytes]) -> None:
        file.write(b"ne")
        raise RuntimeError("full")

    with pytest.raises(RuntimeError, match="full"):
        fill(path, half)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_file_is_replaced_by_one_of_the_same_suffix(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "sheet.png"
    seen = []
    for content in (b"old", b"new"):
        assert replacing(path, lambda p, content=content: (seen.append(p.suffix), p.write_bytes(content))) == path
    assert path.read_bytes() == b"new"
    assert seen == [".png", ".png"]
    assert list(path.parent.iterdir()) == [path]


def test_a_place_is_occupied_by_a_file_or_a_folder_with_something_in_it(tmp_path):
    assert not occupied(tmp_path / "new")
    assert not occupied(tmp_path)
    (tmp_path / "file").touch()
    assert occupied(tmp_path / "file")
    assert occupied(tmp_path)


@pytest.mark.parametrize("mask", [0o022, 0o002, 0o077])
def test_mode_of_a_new_file_is_what_the_umask_leaves(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        (tmp_path / "file").touch()
        assert new_file_mode() == (tmp_path / "file").stat().st_mode & 0o777
        assert os.umask(mask) == mask
    finally:
        os.umask(before)


def test_a_numbered_folder_is_one_process_own_and_taken_back_after_a_failure(tmp_path: Path) -> None:
    root = tmp_path / "new" / "generated"
    with numbered_folder(root) as one, numbered_folder(root) as other:  # which has nothing in it yet
        assert (one, other) == (root / "001", root / "002")
    other.rmdir()
    with pytest.raises(KeyboardInterrupt), numbered_folder(root) as folder, open(folder / "half", "w"):
        raise KeyboardInterrupt
    assert list(root.iterdir()) == [one]
    one.rmdir()
    root.rmdir()
    with pytest.raises(ValueError, match="no"), numbered_folder(root):
        raise ValueError("no")
    assert (tmp_path / "new").is_dir()
    assert not root.exists()
