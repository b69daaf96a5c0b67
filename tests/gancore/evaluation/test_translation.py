"""The metric `translation`, against distances by hand."""

from __future__ import annotations

import pytest
import torch
from toys import domains as toys

from gancore.evaluation.distances import mind
from gancore.evaluation.metrics.translation import Translation
from gancore.evaluation.records import Material, Samples


class Plain:
    """Features that are the first two values."""

    near, same = None, 0.0

    def of(self, samples):
        return samples.x.flatten(1)[:, :2].float()

    def called(self, figure):
        return f"{figure}-plain"


class Half:
    """A generator that halves values on the way to domain 1 and doubles them on the way to 0."""

    def translate(self, x, to):
        return torch.where(to.view(-1, 1, 1, 1) == 1, x * 0.5, x * 2.0)


def pictures(rows):
    x = torch.zeros(len(rows), 1, 4, 4)
    x[:, 0, 0, :2] = torch.tensor(rows)
    return x


def material(**changed):
    given = Samples(pictures([[0.4, 0.0], [0.0, 0.4], [0.1, 0.0], [0.0, 0.1]]), torch.tensor([0, 0, 1, 1]))
    made = Samples(pictures([[0.2, 0.0], [0.0, 0.2], [0.2, 0.0], [0.0, 0.2]]), torch.tensor([1, 1, 0, 0]))
    real = Samples(pictures([[0.3, 0.1], [0.1, 0.3], [0.05, 0.0], [0.0, 0.05]]), torch.tensor([0, 0, 1, 1]))
    parts = {"generated": made, "real": real, "train": real, "given": given, "features": {"plain": Plain()}}
    return Material(**parts | changed)


def test_content_is_the_distance_to_the_own_sample_as_a_share_of_that_to_others():
    figures = Translation(toys.SPEC)(material()).figures
    others = [(0.2**2 + 0.4**2) ** 0.5] * 2 + [(0.2**2 + 0.1**2) ** 0.5] * 2
    assert figures["content-plain"].value == pytest.approx((2 * 0.2 + 2 * 0.1) / sum(others), rel=1e-6)
    assert figures["found-plain"].value == 1.0
    swapped = material(generated=Samples(material().generated.x[[1, 0, 3, 2]], material().generated.condition))
    assert Translation(toys.SPEC)(swapped).figures["found-plain"].value == 0.0


def test_what_leaving_them_would_give_is_held_against_real_ones_of_the_other_domain():
    figures = Translation(toys.SPEC)(material()).figures
    expected = mind(torch.tensor([[0.4, 0.0], [0.0, 0.4]]), torch.tensor([[0.05, 0.0], [0.0, 0.05]]))
    assert figures["left-plain/right"].value == pytest.approx(expected)
    assert {"left-plain/left", "left-plain/right"} <= set(figures)
    assert "round-trip" not in figures


def test_the_generator_is_asked_for_the_way_back_and_for_the_own_domain():
    figures = Translation(toys.SPEC)(material(generator=Half())).figures
    assert figures["change"].value == pytest.approx((2 * 0.2 + 2 * 0.1) / 4 / 16)
    # Back: those of domain 0 are doubled, to what they were; those of domain 1 halved, to what they were.
    assert figures["round-trip"].value == pytest.approx(0.0, abs=1e-7)
    assert figures["identity"].value == pytest.approx((2 * 0.4 + 2 * 0.025) / 4 / 16)


def test_content_is_kept_where_a_judge_of_the_target_domain_finds_that_of_the_source():
    # In both domains content 0 lies on the first axis and content 1 on the second, near 0.2 and near 0.8.
    rows = [[[level, 0.0], [0.0, level]] for level in (0.2, 0.8)]
    train = Samples(pictures([*rows[0] * 4, *rows[1] * 4]), torch.tensor([0] * 8 + [1] * 8), torch.tensor([0, 1] * 8))
    real = Samples(pictures([*rows[0], *rows[1]]), torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 1]))
    given = Samples(pictures([*rows[0], *rows[1]]), torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1]))
    # Those to domain 1 are right, of those to domain 0 both are on the first axis.
    made = Samples(pictures([*rows[1], rows[0][0], rows[0][0]]), torch.tensor([1, 1, 0, 0]))
    figures = Translation(toys.SPEC)(
        material(train=train, real=real, given=given, generated=made, held_out=True)
    ).figures
    assert (figures["kept-plain/right"].value, figures["kept-plain/left"].value) == (1.0, 0.5)
    assert (figures["kept-plain/right"].real, figures["kept-plain/left"].real) == (0.5, 1.0)
    assert (figures["kept-left-plain/right"].value, figures["kept-left-plain/left"].value) == (1.0, 1.0)
    seen = Translation(toys.SPEC)(material(train=train, real=real, given=given, generated=made)).figures
    assert seen["kept-plain/right"].real is None
    # What a domain has never shown cannot be found in it.
    strange = Samples(given.x, given.condition, torch.tensor([0, 2, 2, 2]))
    found = Translation(toys.SPEC)(material(train=train, real=real, given=strange, generated=made)).figures
    assert found["kept-plain/right"].value == 1.0
    assert "kept-plain/left" not in found


def test_of_samples_that_are_not_translated_it_says_nothing():
    assert not Translation(toys.SPEC)(material(given=None)).figures
    assert not Translation(toys.ToySpec())(material()).figures
