"""Classifiers on a discriminator's features against the formulas of their papers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gancore.errors import UsageError
from gancore.nets.classifying import MARGIN, Classifier, contrast, data_to_data, multi_hinge
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


def margin(outputs: torch.Tensor, wanted: list[int]) -> float:
    """Mean of how far the best of the others comes above 1 below the output that is wanted."""
    rows = [1 - row[k] + max(row[:k] + row[k + 1 :]) for row, k in zip(outputs.tolist(), wanted, strict=True)]
    return sum(max(0.0, row) for row in rows) / len(rows)


def expected(kind: str, said) -> tuple[float, float]:
    """The discriminator's and the generator's term, as the papers have them."""
    real, fake = said(REAL), said(FAKE)
    if kind == "ac":
        return cross_entropy(real, [0, 2]), cross_entropy(fake, [0, 2])
    if kind == "mh":
        return margin(real, [0, 2]) + margin(fake, [3, 3]), margin(fake, [0, 2])
    if kind == "tac":
        told = cross_entropy(real[:, :3], [0, 2]), cross_entropy(fake[:, :3], [0, 2])
        twin = cross_entropy(fake[:, 3:], [0, 2])
        return told[0] + twin, told[1] - twin
    as_fake = cross_entropy(fake, [3, 5])
    return cross_entropy(real, [0, 2]) + as_fake, cross_entropy(fake, [0, 2]) - as_fake


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("kind", ["ac", "tac", "adc", "mh"])
def test_terms_are_those_of_the_papers(kind, together):
    judge, classifier = made(kind)
    of_discriminator, of_generator = expected(kind, judge.head.classifier)
    with classifier.collected() as seen:
        for x in [torch.cat([REAL, FAKE])] if together else [REAL, FAKE]:
            judge(x, Y.repeat(len(x) // 2))
    assert classifier.discriminator(seen, Y, together).item() == pytest.approx(of_discriminator, rel=1e-5)
    with classifier.collected() as seen:
        judge(FAKE, Y)
        judge(REAL, Y)  # as relativistic losses do
    assert classifier.generator(seen, Y).item() == pytest.approx(of_generator, rel=1e-5)


@pytest.mark.parametrize("kind", ["tac", "2c"])
def test_features_in_bfloat16_are_told_of_in_float32(kind):
    judge, classifier = made(kind)
    with classifier.collected() as seen, torch.autocast("cpu", torch.bfloat16):
        judge(torch.cat([REAL, FAKE]).bfloat16())
    term = classifier.discriminator(seen, Y, together=True)
    with classifier.collected() as seen:
        judge(torch.cat([REAL, FAKE]))  # of numbers that bfloat16 has
    assert term.item() == classifier.discriminator(seen, Y, together=True).item()


def test_logits_no_longer_depend_on_classes_which_the_classifier_tells():
    judge, _ = made("ac")
    assert torch.equal(judge(REAL, Y), judge(REAL, None))
    assert {n for n, _ in judge.named_parameters()} == {
        "head.linear.weight", "head.linear.bias", "head.classifier.weight", "head.classifier.bias",
    }  # fmt: skip


def test_the_multi_hinge_loss_is_that_of_crammer_and_singer():
    outputs = torch.tensor([[2.0, 0.5, -1.0], [0.5, 1.0, 3.0]], requires_grad=True)
    loss = multi_hinge(outputs, torch.tensor([0, 1]))
    # 1 - 2 + 0.5 is below zero; 1 - 1 + 3 is not.
    assert loss.item() == 3.0 / 2
    loss.backward()
    assert outputs.grad.tolist() == [[0.0, 0.0, 0.0], [0.0, -0.5, 0.5]]


def test_the_multi_hinge_loss_leaves_the_projection():
    judge, _ = made("mh")
    assert not torch.equal(judge(REAL, Y), judge(REAL, Y.flip(0)))


def test_a_classifier_needs_classes_and_a_head():
    with pytest.raises(UsageError, match=r"game\.classes=ac: the data have no classes"):
        Classifier(Judge(), "ac", 0)
    with pytest.raises(UsageError, match="does not end in a ProjectionHead"):
        Classifier(nn.Linear(2, 1), "adc", 3)


# --- samples compared with each other -----------------------------------------------------------------------------------

E = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
V = torch.tensor([[0.8, 0.6], [0.8, 0.6], [-0.6, 0.8]])
"""Directions of three samples, the first two of one class, and those of their classes."""
CLASSES = torch.tensor([0, 0, 1])
OWN = [0.8, 0.96, 0.8]
PAIRS = {(0, 1): 0.6, (0, 2): 0.0, (1, 2): 0.8}
"""Inner products by hand."""


def pair(i: int, j: int) -> float:
    return PAIRS[min(i, j), max(i, j)]


def test_the_contrastive_loss_is_that_of_contragan():
    terms = []
    for i in range(3):
        own, alike = math.exp(OWN[i]), [j for j in range(3) if j != i and CLASSES[j] == CLASSES[i]]
        above = own + sum(math.exp(pair(i, j)) for j in alike)
        below = own + sum(math.exp(pair(i, j)) for j in range(3) if j != i)
        terms.append(-math.log(above / below))
    assert float(contrast(E, V, CLASSES)) == pytest.approx(sum(terms) / 3, rel=1e-5)


def test_the_data_to_data_cross_entropy_is_that_of_reacgan():
    terms = []
    for i in range(3):
        own = math.exp(min(0.0, OWN[i] - MARGIN) / 0.5)
        others = [math.exp(max(0.0, pair(i, j) - (1 - MARGIN)) / 0.5) for j in range(3) if CLASSES[j] != CLASSES[i]]
        terms.append(-math.log(own / (own + sum(others))))
    assert float(data_to_data(E, V, CLASSES)) == pytest.approx(sum(terms) / 3, rel=1e-5)


@pytest.mark.parametrize(("kind", "loss"), [("2c", contrast), ("d2d-ce", data_to_data)])
def test_real_and_generated_samples_are_compared_among_themselves(kind, loss):
    judge, classifier = made(kind)
    embedder = judge.head.classifier
    with classifier.collected() as seen:
        judge(torch.cat([REAL, FAKE]))
    found = classifier.discriminator(seen, Y, together=True), classifier.generator([FAKE], Y)
    for term, x in zip(found, (REAL, FAKE), strict=True):
        e = nn.functional.normalize(x @ embedder.linear.weight.T + embedder.linear.bias, dim=1)
        v = nn.functional.normalize(embedder.proxies.weight[Y], dim=1)
        assert term.item() == pytest.approx(float(loss(e, v, Y)), rel=1e-5)
    sum(found).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in embedder.parameters())
