"""The direction of a last layer, trained apart (SAN), against the formulas of its paper."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gancore.errors import UsageError
from gancore.nets.conditioning import ProjectionHead
from gancore.nets.slicing import Slices, wasserstein

CONDITION = torch.tensor([0, 2, 1, 2])


class Judge(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 5)
        self.head = ProjectionHead(5, classes)

    def forward(self, x, condition=None):
        return self.head(self.layer(x), condition)


def made(classes: int) -> tuple[Judge, torch.Tensor, torch.Tensor | None]:
    torch.manual_seed(0)
    return Judge(classes).double(), torch.randn(4, 3, dtype=torch.float64), CONDITION if classes else None


def weights(judge: Judge, condition):
    return judge.head.linear.weight + (0 if condition is None else judge.head.classes(condition))


@pytest.mark.parametrize("classes", [0, 3])
def test_a_sliced_head_has_the_logits_that_it_had(classes):
    judge, x, condition = made(classes)
    before = judge(x, condition)
    slices = Slices(judge)
    with slices.collected() as found:
        torch.testing.assert_close(judge(x, condition), before, rtol=1e-12, atol=1e-12)
    assert len(found) == 1
    torch.testing.assert_close(found[0] + judge.head.linear.bias, before, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("classes", [0, 3])
def test_the_logits_gradient_by_the_weights_has_no_part_across_their_direction(classes):
    judge, x, condition = made(classes)
    Slices(judge)
    features = judge.layer(x)
    w = weights(judge, condition).detach().requires_grad_()
    direction = w.detach() / w.detach().norm(dim=1, keepdim=True)
    (features * w.norm(dim=1, keepdim=True) * direction).sum().backward()  # <h |w|, stop(d)>
    judge(x, condition).sum().backward()
    torch.testing.assert_close(judge.head.linear.weight.grad.sum(0), w.grad.sum(0), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("classes", [0, 3])
def test_slices_have_a_gradient_by_the_direction_alone(classes):
    judge, x, condition = made(classes)
    with Slices(judge).collected() as found:
        judge(x, condition)
    found[0].sum().backward()
    assert judge.layer.weight.grad is None
    grad = judge.head.classes.weight.grad[condition] if classes else judge.head.linear.weight.grad
    # No change of the length of w changes what the direction says.
    if not classes:
        assert float((grad * judge.head.linear.weight).sum()) == pytest.approx(0.0, abs=1e-9)
    assert grad.abs().sum() > 0


def test_the_directions_loss_is_the_distance_of_means_however_real_and_fake_were_judged():
    real, fake = torch.tensor([1.0, 2.0]), torch.tensor([5.0, 7.0])
    assert float(wasserstein([torch.cat([real, fake])], 2, together=True)) == 4.5
    assert float(wasserstein([real, fake], 2, together=False)) == 4.5
    # Two heads: their losses are added.
    assert float(wasserstein([real, real, fake, 2 * fake], 2, together=False)) == 4.5 + 10.5


def test_nothing_is_collected_outside_and_a_network_without_a_head_is_refused():
    judge, x, _ = made(0)
    slices = Slices(judge)
    with slices.collected() as found:
        pass
    judge(x)
    assert found == []
    with pytest.raises(UsageError, match="does not end in a ProjectionHead"):
        Slices(nn.Linear(3, 1))
