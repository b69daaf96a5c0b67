"""A fingerprint changes when the samples do, and when nothing else does."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gancore.data import fingerprint as module
from gancore.data.files import digest, scan
from gancore.data.fingerprint import Fingerprint, fingerprint
from gancore.data.held_out import both_parts
from gancore.data.report import ScanReport
from gancore.data.spec import SampleSpec
from gancore.random import Draws


class Numbers:
    """Samples that stand in a tensor; `fetched` are the rows that were asked for."""

    spec = SampleSpec(shape=(1, 2, 2))

    def __init__(
        self, x: Tensor, labels: Tensor | None = None, *, in_memory: bool = True, files: str = "", jitter: bool = False
    ) -> None:
        self.x, self.labels, self.in_memory, self.jitter = x, labels, in_memory, jitter
        self.report = ScanReport(source="numbers", found=len(x), used=len(x), files=files)
        self.fetched: list[int] = []

    def __len__(self) -> int:
        return len(self.x)

    def fetch(self, indices: Tensor, draws: Draws) -> tuple[Tensor, Tensor | None]:
        self.fetched += indices.tolist()
        x = self.x[indices]
        if self.jitter:
            x = x + draws.integers("jitter", 9, 1, 2, 2).to(x.dtype)
        return x, None if self.labels is None else self.labels[indices]


def numbers(count: int = 50, dtype: torch.dtype = torch.uint8) -> Tensor:
    return (torch.arange(count * 4).reshape(count, 1, 2, 2) % 251).to(dtype)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32, torch.bfloat16, torch.bool])
def test_every_sample_in_memory_counts(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 64)
    x = numbers(dtype=dtype)
    first = fingerprint(Numbers(x))
    assert first == fingerprint(Numbers(x.clone()))
    for row in (0, 17, 49):
        other = x.clone()
        other[row, 0, 1, 1] = ~other[row, 0, 1, 1] if dtype is torch.bool else other[row, 0, 1, 1] + 1
        assert fingerprint(Numbers(other)).content != first.content
    assert fingerprint(Numbers(x.flip(0))).content != first.content


def test_random_changes_of_samples_do_not_count() -> None:
    assert fingerprint(Numbers(numbers(), jitter=True)) == fingerprint(Numbers(numbers(), jitter=True))


def test_classes_count() -> None:
    labels = torch.arange(50) % 3
    assert fingerprint(Numbers(numbers(), labels)) != fingerprint(Numbers(numbers(), labels.flip(0)))


def test_what_is_held_out_does_not_count() -> None:
    whole = Numbers(numbers())
    part, _ = both_parts(whole, 0.3)
    assert len(part) < len(whole)
    assert fingerprint(whole).samples == 50


def test_of_data_beyond_the_budget_a_part_is_looked_at_from_first_to_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 40)
    source = Numbers(numbers())
    fingerprint(source)
    assert set(source.fetched) == {0, 5, 10, 16, 21, 27, 32, 38, 43, 49}


def test_few_samples_are_decoded_where_each_must_be() -> None:
    source = Numbers(numbers(5000), in_memory=False, files="of then")
    found = fingerprint(source)
    assert len(set(source.fetched)) == module.DECODED
    assert {0, 4999} <= set(source.fetched)
    assert found.files == "of then"
    assert fingerprint(Numbers(numbers(5000), files="of then")).files == ""


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ({"samples": 6}, "8 samples then, 6 now"),
        ({"content": "b"}, "the content of the samples differs"),
        ({"files": "g"}, "the names or sizes of the files differ"),
        ({"files": ""}, ""),
        ({}, ""),
    ],
)
def test_differences_are_told_in_words(now: dict[str, object], words: str) -> None:
    then = {"samples": 8, "content": "a", "files": "f"}
    assert "".join(Fingerprint(**then).differences(Fingerprint(**(then | now)))) == words


# --- files ------------------------------------------------------------------------------------------------------------


def tree(root: Path) -> Path:
    (root / "a").mkdir(parents=True)
    for name, data in {"a/one.txt": b"1", "two.txt": b"22"}.items():
        (root / name).write_bytes(data)
    return root


def test_digest_of_files_stays_when_a_folder_is_copied_and_touched(tmp_path: Path) -> None:
    first = digest(scan(tree(tmp_path / "here")).entries)
    there = shutil.copytree(tmp_path / "here", tmp_path / "there")
    os.utime(there / "two.txt", (1, 1))
    assert digest(scan(there).entries) == first
    assert digest(scan(there).entries[:1]) != first
    (there / "two.txt").rename(there / "three.txt")
    assert digest(scan(there).entries) != first


def test_digest_of_an_archive_knows_its_content(tmp_path: Path) -> None:
    def pack(name: str, data: bytes) -> str:
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("one.txt", data)
        return digest(scan(tmp_path / name).entries)

    assert pack("a.zip", b"1") == pack("b.zip", b"1") != pack("c.zip", b"2")
