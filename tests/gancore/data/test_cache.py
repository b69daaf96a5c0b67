"""Kept items: damage, other writers, and folders that cannot be used."""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from gancore import storage
from gancore.data import cache
from gancore.data.cache import CacheItem
from gancore.data.report import Skipped

VALUES = {"used": [0, 2], "name": "été"}
BYTES = bytes(range(256)) * 400


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GAN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(storage, "_told", [])
    monkeypatch.setattr(cache, "CHUNK", 10_000)
    return tmp_path / "cache" / "things"


def item() -> CacheItem:
    return CacheItem("things", "key", ".bin")


def kept() -> bool:
    found = item()
    return found.read() == VALUES and found.intact()


def keep() -> bool:
    return item().save(VALUES, lambda file: file.write(BYTES))


def test_an_item_is_read_back_by_another(folder: Path) -> None:
    assert not kept()
    assert keep()
    assert kept()
    assert sorted(path.name for path in folder.iterdir()) == ["key.bin", "key.json"]


@pytest.mark.parametrize("place", [0, 9_999, 10_000, len(BYTES) - 1])
def test_a_flipped_bit_anywhere_in_the_bytes_is_found(folder: Path, place: int) -> None:
    keep()
    content = bytearray(BYTES)
    content[place] ^= 1
    (folder / "key.bin").write_bytes(content)
    with pytest.warns(UserWarning, match=r"key\.bin' in the cache is damaged"):
        assert not kept()
    assert keep()
    assert kept()


def test_values_that_were_changed_are_not_believed(folder: Path) -> None:
    keep()
    content = json.loads((folder / "key.json").read_text())
    content["values"]["used"] = [0, 1]
    (folder / "key.json").write_text(json.dumps(content))
    with pytest.warns(UserWarning, match=r"key\.json' in the cache is damaged"):
        assert item().read() is None


@pytest.mark.parametrize("change", [b"", BYTES + b"x", BYTES[:-1]])
def test_bytes_of_another_length_are_damaged(folder: Path, change: bytes) -> None:
    keep()
    (folder / "key.bin").write_bytes(change)
    with pytest.warns(UserWarning, match="damaged"):
        assert not kept()


def test_of_a_very_large_item_other_parts_are_looked_at_each_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep()
    (folder / "key.bin").write_bytes(b"x" * 10_000 + BYTES[10_000:])
    monkeypatch.setattr(cache, "LOOKED_AT", len(BYTES) // 2)
    looked_at = []
    real = cache._sums
    monkeypatch.setattr(cache, "_sums", lambda path, numbers: (looked_at.append(len(numbers)), real(path, numbers))[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert {kept() for _ in range(64)} == {True, False}
    assert set(looked_at) <= {5, 6}


def test_a_process_that_was_killed_while_filling_leaves_nothing_that_is_used_or_stays(folder: Path) -> None:
    begun = item().begin()
    assert begun
    file, name = begun
    file.write(b"half")
    file.close()
    assert not kept()
    keep()
    assert os.path.exists(name)  # it may be that of a process that works beside this one
    os.utime(name, (1, 1))
    keep()
    assert kept()
    assert not os.path.exists(name)


def test_two_that_fill_at_once_leave_one_good_item(folder: Path) -> None:
    one, two = item(), item()
    first, second = one.begin(), two.begin()
    assert first
    assert second
    for file, _ in (first, second):
        file.write(BYTES)
        file.close()
    assert two.adopt(second[1], VALUES)
    assert one.adopt(first[1], VALUES)
    assert kept()
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("mask", [0o022, 0o002])
def test_kept_files_have_the_mode_that_the_umask_leaves(folder: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        keep()
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o666 & ~mask}


def test_without_a_home_nothing_is_kept_and_that_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GAN_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)

    def nobody(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", nobody)
    with warnings.catch_warnings(record=True) as told:
        assert not any([keep(), kept(), keep()])
    [message] = [str(one.message) for one in told]
    assert message.startswith("the cache cannot be used (could not determine home directory): ")
    assert "GAN_CACHE_DIR" in message


def test_a_folder_that_cannot_be_written_is_told_once(folder: Path) -> None:
    folder.parent.touch()
    with warnings.catch_warnings(record=True) as told:
        assert not any([keep(), item().begin()])
    [message] = [str(one.message) for one in told]
    assert message.startswith(f"the cache cannot be used in '{folder}' (")


def test_a_full_disk_leaves_nothing_behind(folder: Path) -> None:
    def full(file: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.warns(UserWarning, match="no space left on device"):
        assert not item().save(VALUES, full)
    assert not list(folder.iterdir())


@dataclass(frozen=True)
class Found:
    """What a test keeps."""

    used: tuple[int, ...]
    limits: tuple[float, float] | None
    skipped: tuple[Skipped, ...]


def test_a_dataclass_comes_back_as_what_it_was() -> None:
    for kept in (Found((1, 2), (0.5, 2.0), (Skipped("a", "empty"),)), Found((), None, ())):
        assert item().save(kept)
        assert item().load(Found) == kept


def test_values_of_another_form_are_not_taken_for_a_dataclass() -> None:
    assert item().load(Found) is None
    item().save({"used": ["one"], "limits": None, "skipped": []})
    assert item().load(Found) is None


def test_an_array_is_mapped_if_it_is_whole_and_of_the_form_that_was_told() -> None:
    item().save({}, lambda file: np.save(file, np.arange(6)))
    again = item()
    assert again.read() == {}
    assert again.mapped(np.load, (6,)).tolist() == [0, 1, 2, 3, 4, 5]  # type: ignore[union-attr]
    assert again.mapped(np.load, (3, 2)) is None
    assert again.mapped(lambda path: np.load(path.with_suffix(".gone")), (6,)) is None
