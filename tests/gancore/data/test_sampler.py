"""The order of samples: permutations, and nothing but seed and position."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gancore.data.sampler import BalancedSampler, DomainSampler, Sampler, spread
from gancore.errors import DataError


@settings(max_examples=50, deadline=None)
@given(length=st.integers(1, 200), seed=st.integers(0, 2**63 - 1), epoch=st.integers(0, 10**6))
def test_every_epoch_is_a_permutation(length, seed, epoch):
    positions = torch.arange(epoch * length, (epoch + 1) * length)
    assert Sampler(length, seed).indices(positions).sort().values.tolist() == list(range(length))


@settings(max_examples=50, deadline=None)
@given(
    length=st.integers(1, 50),
    seed=st.integers(0, 2**63 - 1),
    positions=st.lists(st.integers(0, 10**9), min_size=1, max_size=30),
)
def test_an_index_depends_on_seed_and_position_only(length, seed, positions):
    together = Sampler(length, seed).indices(torch.tensor(positions)).tolist()
    used = Sampler(length, seed)
    one_by_one = [int(used.indices(torch.tensor([position]))) for position in reversed(positions)][::-1]
    assert together == one_by_one


def test_a_batch_larger_than_the_data_set_holds_every_sample_in_turn():
    indices = Sampler(3, seed=1).indices(torch.arange(2, 12)).tolist()
    assert len(indices) == 10
    for start in (1, 4, 7):  # positions 3, 6 and 9 begin epochs
        assert sorted(indices[start : start + 3]) == [0, 1, 2]


def test_epochs_and_seeds_differ():
    sampler, other = Sampler(100, seed=1), Sampler(100, seed=2)
    first, second = sampler.indices(torch.arange(100)), sampler.indices(torch.arange(100, 200))
    assert not torch.equal(first, second)
    assert not torch.equal(first, other.indices(torch.arange(100)))


def test_first_places_are_equally_frequent():
    firsts = torch.stack([Sampler(5, seed).indices(torch.tensor([0])) for seed in range(2000)]).flatten()
    counts = torch.bincount(firsts, minlength=5)
    assert (counts - 400).abs().max() < 5 * (2000 * 0.2 * 0.8) ** 0.5


def test_only_a_few_permutations_are_kept():
    sampler = Sampler(4, seed=0)
    sampler.indices(torch.arange(400))
    assert len(sampler._kept) <= 3


@pytest.mark.parametrize(
    ("length", "most", "places"),
    [(9, 3, [0, 4, 8]), (10, 4, [0, 3, 6, 9]), (3, 5, [0, 1, 2]), (7, 1, [0]), (0, 5, [])],
)
def test_places_are_spread_from_the_first_to_the_last(length, most, places):
    assert spread(length, most).tolist() == places


def test_an_empty_data_set_cannot_be_sampled():
    with pytest.raises(DataError, match="no samples"):
        Sampler(0, seed=0)


# --- balanced classes -------------------------------------------------------------------------------------------------

LABELS = torch.tensor([0] * 2 + [1] * 7 + [3] * 3)
"""Class 2 has no samples."""


def test_each_class_comes_equally_often():
    drawn = LABELS[BalancedSampler(LABELS, seed=1).indices(torch.arange(30))]
    assert (drawn.view(10, 3).sort(1).values == torch.tensor([0, 1, 3])).all()
    orders = {tuple(row) for row in drawn.view(10, 3).tolist()}
    assert len(orders) > 1


def test_every_sample_of_a_class_comes_before_any_comes_again():
    drawn = BalancedSampler(LABELS, seed=1).indices(torch.arange(3 * 14))
    for one in (0, 1, 3):
        members = torch.nonzero(one == LABELS)[:, 0].tolist()
        mine = drawn[LABELS[drawn] == one].tolist()
        for start in range(0, 14 - len(members) + 1, len(members)):
            assert sorted(mine[start : start + len(members)]) == members


def test_a_balanced_index_depends_on_seed_and_position_only():
    positions = torch.tensor([0, 10**9, 5, 77, 5])
    together = BalancedSampler(LABELS, seed=4).indices(positions).tolist()
    used = BalancedSampler(LABELS, seed=4)
    assert together == [int(used.indices(positions[n : n + 1])) for n in (4, 3, 2, 1, 0)][::-1]
    assert together != BalancedSampler(LABELS, seed=5).indices(positions).tolist()


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 20), min_size=2, max_size=4), seed=st.integers(0, 2**63 - 1), turn=st.integers(0, 100)
)
def test_domains_take_turns_and_each_draws_all_of_its_samples_before_any_again(sizes, seed, turn):
    ends = torch.tensor(sizes).cumsum(0).tolist()
    members = [torch.arange(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    sampler = DomainSampler(members, [Sampler(size, seed + n) for n, size in enumerate(sizes)])
    for number, own in enumerate(members):
        places = torch.arange(turn * len(own), (turn + 1) * len(own)) * len(sizes) + number
        assert sampler.indices(places).sort().values.tolist() == own.tolist()
