"""How well logits tell real from fake, against scikit-learn and by hand."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import roc_auc_score

from gancore.games.separation import auc, sign


@pytest.mark.parametrize(("real", "fake"), [(64, 64), (50, 7), (1, 9)])
@pytest.mark.parametrize("ties", [False, True])
def test_auc_is_that_of_scikit_learn(real: int, fake: int, ties: bool) -> None:
    generator = torch.Generator().manual_seed(real + fake)
    r, f = (torch.randn(n, generator=generator) + shift for n, shift in ((real, 0.7), (fake, 0.0)))
    if ties:
        r, f = r.round(), f.round()
    expected = roc_auc_score([1] * real + [0] * fake, torch.cat([r, f]).numpy())
    assert float(auc(r, f)) == pytest.approx(expected, abs=1e-6)


def test_auc_is_the_share_of_pairs_with_the_real_sample_above_and_half_of_the_ties() -> None:
    assert float(auc(torch.tensor([2.0, 0.0]), torch.tensor([1.0, 0.0]))) == (1 + 1 + 0 + 0.5) / 4
    assert float(auc(torch.tensor([1.0]), torch.tensor([-1.0]))) == 1.0
    assert float(auc(torch.tensor([-1.0]), torch.tensor([1.0]))) == 0.0


def test_sign_counts_real_logits_on_both_sides_of_the_threshold() -> None:
    real, fake = torch.tensor([0.7, 0.2, -1.0, 3.0]), torch.tensor([-2.0, 9.0])
    assert float(sign([real], [fake], 0.0)) == (3 - 1) / 4
    assert float(sign([real], [fake], 0.5)) == (2 - 2) / 4


def test_sign_without_a_threshold_is_relative_to_the_mean_of_the_fakes_and_not_moved_by_a_shift_of_all() -> None:
    real, fake = torch.tensor([5.0, 2.0, 4.0, 9.0]), torch.tensor([1.0, 7.0])  # their mean is 4
    assert float(sign([real], [fake], None)) == (2 - 1) / 4
    assert float(sign([real - 100], [fake - 100], None)) == (2 - 1) / 4


def test_sign_is_the_mean_over_heads_of_whatever_sizes() -> None:
    heads = [torch.tensor([1.0, -1.0]), torch.tensor([[1.0, 2.0, 3.0]])]
    assert float(sign(heads, heads, 0.0)) == pytest.approx((0 + 1) / 2)
