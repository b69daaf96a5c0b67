"""Classifiers on a discriminator's features against the formulas of their papers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gancore.errors import UsageError
from gancore.nets.classifying import Classifier
from gancore.nets.conditioning import ProjectionHead

Y = torch.tensor([0, 2])
REAL, FAKE = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[0.5, 1.0], [3.0, -1.0]])


class Judge(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = ProjectionHead(2, 3)

    def forward(self, x, condition=None):
        return self.head(x, condition)


def made(kind: str) -> tuple[Judge, Classifier]:
    torch.manual_seed(0)
    judge = Judge()
    return judge, Classifier(judge, kind, 3)


def cross_entropy(logits: torch.Tensor, wanted: list[int]) -> float:
    """Mean of log sum exp minus the logit that is wanted."""
    rows = [math.log(sum(map(math.exp, row))) - row[k] for row, k in zip(logits.tolist(), wanted, strict=True)]
    return sum(rows) / len(rows)


def expected(kind: str, said) -> tuple[float, float]:
    """The discriminator's and the generator's term, as the papers have them."""
    real, fake = said(REAL), said(FAKE)
    if kind == "ac":
        return cross_entropy(real, [0, 2]), cross_entropy(fake, [0, 2])
    if kind == "tac":
        told = cross_entropy(real[:, :3], [0, 2]), cross_entropy(fake[:, :3], [0, 2])
        twin = cross_entropy(fake[:, 3:], [0, 2])
        return told[0] + twin, told[1] - twin
    as_fake = cross_entropy(fake, [3, 5])
    return cross_entropy(real, [0, 2]) + as_fake, cross_entropy(fake, [0, 2]) - as_fake


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("kind", ["ac", "tac", "adc"])
def test_terms_are_those_of_the_papers(kind, together):
    judge, classifier = made(kind)
    of_discriminator, of_generator = expected(kind, judge.head.classifier)
    with classifier.collected() as seen:
        for x in [torch.cat([REAL, FAKE])] if together else [REAL, FAKE]:
            judge(x)
    assert float(classifier.discriminator(seen, Y, together)) == pytest.approx(of_discriminator, rel=1e-5)
    with classifier.collected() as seen:
        judge(FAKE, Y)
        judge(REAL, Y)  # as relativistic losses do
    assert float(classifier.generator(seen, Y)) == pytest.approx(of_generator, rel=1e-5)


def test_logits_no_longer_depend_on_classes_which_the_classifier_tells():
    judge, _ = made("ac")
    assert torch.equal(judge(REAL, Y), judge(REAL, None))
    assert {n for n, _ in judge.named_parameters()} == {
        "head.linear.weight", "head.linear.bias", "head.classifier.weight", "head.classifier.bias",
    }  # fmt: skip


def test_a_classifier_needs_classes_and_a_head():
    with pytest.raises(UsageError, match=r"game\.classes=ac: the data have no classes"):
        Classifier(Judge(), "ac", 0)
    with pytest.raises(UsageError, match="does not end in a ProjectionHead"):
        Classifier(nn.Linear(2, 1), "adc", 3)
