"""What is said of data that are too few, too alike or too uneven, before a run trains on them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from gancore.configuration.configure import configure
from gancore.data.first_look import PROBED, look_at
from gancore.data.held_out import Subset
from gancore.data.report import ScanReport
from gancore.data.spec import SampleSpec
from gancore.plugins import Registry
from gancore.random import Draws


class Rows:
    """A `DataSource` of rows `[n, 4]`."""

    def __init__(self, x: Tensor, labels: list[int] | None = None, classes: int = 0, *, in_memory: bool = True) -> None:
        self.x = x
        self.labels = None if labels is None else torch.tensor(labels)
        self.spec = SampleSpec(shape=(4,), classes=tuple("abcdefgh"[:classes]))
        self.report = ScanReport("rows", len(x), len(x))
        self.in_memory = in_memory
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self.x)

    def fetch(self, indices: Tensor, draws: Draws) -> tuple[Tensor, Tensor | None]:
        self.asked += indices.tolist()
        # As augmentation does: drawn anew at each position.
        x = (self.x[indices] + draws.integers("shift", 5)[:, None]).to(torch.uint8)
        return x, None if self.labels is None else self.labels[indices]


def different(count: int) -> Tensor:
    return torch.arange(count)[:, None] // torch.tensor([1, 250, 62_500, 15_625_000]) % 250


def test_enough_varied_samples_are_nothing_to_speak_of() -> None:
    assert look_at(Rows(different(200), [0, 1] * 100, 2), 64) == ()


@pytest.mark.parametrize(("count", "words"), [(1, "there is only 1 sample"), (99, "there are only 99 samples")])
def test_too_few_samples_are_told_with_what_to_do(count: int, words: str) -> None:
    [found] = look_at(Rows(different(count)), 64)
    assert found.startswith(words)
    assert ("fewer than the batch size of 64" in found) == (count < 64)
    assert "memorised" in found
    assert "at least a few hundred samples" in found


def test_fewer_samples_than_a_batch_are_told() -> None:
    [found] = look_at(Rows(different(120)), 128)
    assert "only 120 samples to train on, fewer than the batch size of 128" in found
    assert "lower batch_size" in found


def test_samples_of_which_most_are_copies_are_told_however_they_are_augmented() -> None:
    x = different(200)
    x[:150] = x[0]
    [found] = look_at(Rows(x), 64)
    assert found.startswith("only 51 of the 200 samples are distinct")
    [found] = look_at(Rows(x * 0), 64)
    assert found.startswith("all 200 samples are identical")


def test_files_that_are_decoded_when_asked_for_are_looked_at_by_a_few_evenly_spread() -> None:
    source = Rows(torch.zeros(3000, 4).long(), in_memory=False)
    [found] = look_at(source, 64)
    assert f"all {PROBED} samples examined are identical" in found
    assert len(source.asked) == PROBED
    assert max(source.asked) > 2800


def test_data_of_one_class_only_are_told() -> None:
    [found] = look_at(Rows(different(200), [1] * 200, 3), 64)
    assert found.startswith("all samples belong to the class 'b'")


def test_classes_with_next_to_nothing_are_named_also_after_something_was_held_out() -> None:
    source = Rows(different(300), [0] * 148 + [1] * 147 + [2] * 5, 4)
    [found] = look_at(source, 64)
    assert "2 classes have fewer than 10 samples to train on: 'd' (0), 'c' (5)" in found
    part = Subset(source, torch.arange(0, 295))
    [found] = look_at(part, 64)
    assert "'c' (0), 'd' (0)" in found


def test_classes_that_samples_get_on_their_way_are_not_counted() -> None:
    class Moved(Rows):
        def fetch(self, indices: Tensor, draws: Draws) -> tuple[Tensor, Tensor | None]:
            x, _ = super().fetch(indices, draws)
            return x, draws.integers("class", 3)

    assert look_at(Moved(different(200), [0] * 200, 3), 64) == ()


def test_a_sample_that_cannot_be_read_is_left_to_training_to_tell() -> None:
    class Broken(Rows):
        def fetch(self, indices: Tensor, draws: Draws) -> tuple[Tensor, Tensor | None]:
            raise OSError("gone")

    assert look_at(Broken(different(200), [0, 1] * 100, 2), 64) == ()


def test_data_of_another_run_are_told(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('plugin = "image"\n')
    (tmp_path / "checkpoints").mkdir()
    [found] = look_at(Rows(different(200)), 64, tmp_path / "samples")
    assert f"lie inside the run '{tmp_path}'" in found
    assert look_at(Rows(different(200)), 64, tmp_path.parent) == ()


@pytest.mark.parametrize(("other", "told"), [("b", False), ("a", True)])
def test_domains_whose_files_are_called_the_same_are_told_for_they_may_be_pairs(
    tmp_path: Path, other: str, told: bool
) -> None:
    for domain, letter in (("summer", "a"), ("winter", other)):
        (tmp_path / domain).mkdir()
        for number in range(5):
            (tmp_path / domain / f"{letter}-{number}.png").touch()
    rows = Rows(different(200), [0, 1] * 100, 2)
    assert look_at(rows, 64, tmp_path) == ()  # classes, which nothing translates between
    rows.spec = SampleSpec(shape=(4,), classes=("summer", "winter"), domains=("summer", "winter"))
    found = look_at(rows, 64, tmp_path)
    assert ["5 files have the same names in all of the domains summer, winter" in one for one in found] == [True] * told


@pytest.mark.parametrize("plugin", ["image", "music", "text"])
def test_nothing_is_said_of_demo_sets(plugin: str) -> None:
    settings = configure(Registry(), plugin=plugin)
    assert look_at(settings.data.build(lambda *_: None), settings.run.batch_size) == ()
