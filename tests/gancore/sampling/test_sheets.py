"""Sheets: which real samples are shown beside those that are generated."""

from __future__ import annotations

import torch

from gancore.data.held_out import Subset
from gancore.data.spec import SampleSpec
from gancore.sampling.drawing import cycle_classes
from gancore.sampling.sheets import of_classes

DIGITS = SampleSpec(shape=(1,), classes=("7", "1", "0"))


class Labelled:
    """A data set that says what is of which class, and nothing else."""

    def __init__(self, labels: list[int]) -> None:
        self.labels = torch.tensor(labels)
        self.spec, self.report, self.in_memory = DIGITS, None, True

    def __len__(self) -> int:
        return len(self.labels)


def test_real_samples_are_of_the_classes_that_are_generated_at_the_same_places():
    source = Labelled([0] * 10 + [1] * 10 + [2] * 2)
    classes = cycle_classes(DIGITS, 9)
    positions = of_classes(source, classes)
    assert source.labels[positions].tolist() == classes.tolist()
    assert positions[classes == 0].tolist() == [0, 4, 9]  # from all over
    assert set(positions[classes == 2].tolist()) == {20, 21}  # too few: one comes again


def test_real_samples_of_a_part_are_of_that_part():
    part = Subset(Labelled([0, 1, 2, 0, 1, 2, 0, 1, 2]), torch.tensor([8, 7, 6, 5, 4]))
    assert part.rows[of_classes(part, torch.tensor([0, 1, 2]))].tolist() == [6, 7, 8]


def test_real_samples_are_taken_as_they_come_where_a_class_is_missing_or_none_is_known():
    assert of_classes(Labelled([0, 0, 1]), torch.tensor([0, 1, 2])) is None
    assert of_classes(object(), torch.tensor([0, 1, 2])) is None
