"""Counted randomness: published outputs, distributions, and independence of how samples are grouped."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gancore import random
from gancore.random import Draws, derive

# Outputs of SplitMix64 for the seed 1234567, as published with the algorithm's reference implementation.
SPLITMIX64 = (
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
)


def test_mix_gives_the_published_outputs_of_splitmix64():
    gamma = 0x9E3779B97F4A7C15
    states = [(1234567 + n * gamma) % 2**64 for n in range(1, 6)]
    signed = torch.tensor([s - 2**64 if s >= 2**63 else s for s in states])
    assert [value % 2**64 for value in random.mix(signed).tolist()] == list(SPLITMIX64)


@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_a_processor_draws_the_published_function_of_seed_position_and_place(seed):
    places = torch.tensor([0, 1, 12345, 2**62])
    gamma = torch.tensor(0x9E3779B97F4A7C15 - 2**64)
    rows = random.mix(places * gamma + seed)
    expected = torch.stack([random.mix(rows + n * gamma) for n in range(1, 6)], dim=1)
    assert torch.equal(random.bits(seed, places, 5), expected)
    assert torch.equal(random.bits(seed, torch.arange(8)[::2], 2), random.bits(seed, torch.arange(8), 2)[::2])


def test_derived_seeds_are_non_negative_int64_and_tell_names_apart():
    seeds = [derive(7), derive(7, "a"), derive(7, "a", "b"), derive(7, "ab"), derive(8, "a"), derive(7, "b", "a")]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive(7, "epoch", 3) == derive(7, "epoch", 3)


@pytest.mark.parametrize("seed", [0, 1, 2**62])
def test_uniform_numbers_are_uniform_along_samples_and_along_each_sample(seed):
    many_samples = random.uniform(seed, torch.arange(50_000), 1).flatten()
    one_sample = random.uniform(seed, torch.tensor([3]), 50_000).flatten()
    for numbers in (many_samples, one_sample):
        assert 0.0 <= numbers.min() < 1e-3
        assert 1.0 - 1e-3 < numbers.max() < 1.0
        assert stats.kstest(numbers.numpy(), "uniform").pvalue > 1e-4


@pytest.mark.parametrize("seed", [0, 1, 2**62])
def test_normal_numbers_are_standard_normal_and_uncorrelated(seed):
    numbers = random.normal(seed, torch.arange(20_000), 4)
    assert stats.kstest(numbers.flatten().numpy(), "norm").pvalue > 1e-4
    correlation = torch.corrcoef(numbers.T) - torch.eye(4)
    assert correlation.abs().max() < 5 / 20_000**0.5  # five standard deviations


@pytest.mark.parametrize(("positions", "count"), [(3, 0), (0, 4), (0, 0)])
def test_no_numbers_are_drawn_for_no_places(positions, count):
    draws = Draws(3, torch.arange(positions))
    for drawn in (draws.uniform("u", count), draws.normal("n", count), draws.integers("i", 6, count)):
        assert drawn.shape == (positions, count)


def test_integers_are_equally_frequent():
    numbers = Draws(3, torch.arange(60_000)).integers("die", 6).flatten()
    counts = torch.bincount(numbers, minlength=6)
    assert len(counts) == 6
    assert stats.chisquare(counts.numpy()).pvalue > 1e-4


def test_an_odd_count_of_normal_numbers_is_given_in_full():
    assert random.normal(0, torch.arange(4), 3).shape == (4, 3)


def test_within_another_name_numbers_are_independent():
    draws = Draws(5, torch.arange(20_000))
    first, second = draws.normal("z", 1), draws.within("game").normal("z", 1)
    assert not torch.equal(first, second)
    assert abs(stats.pearsonr(first.flatten().numpy(), second.flatten().numpy()).statistic) < 5 / 20_000**0.5


def test_different_names_and_seeds_give_different_numbers():
    positions = torch.arange(100)
    one = Draws(5, positions).uniform("a", 2)
    assert torch.equal(one, Draws(5, positions).uniform("a", 2))
    assert not torch.equal(one, Draws(5, positions).uniform("b", 2))
    assert not torch.equal(one, Draws(6, positions).uniform("a", 2))


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    positions=st.lists(st.integers(0, 2**40), min_size=1, max_size=20),
    cut=st.integers(0, 20),
)
def test_part_of_a_batch_draws_what_it_would_as_part_of_the_whole(seed, positions, cut):
    whole = torch.tensor(positions)
    for draw in (lambda d: d.normal("z", 3, 2), lambda d: d.uniform("u"), lambda d: d.integers("i", 10, 2)):
        parts = [draw(Draws(seed, part)) for part in (whole[:cut], whole[cut:]) if len(part)]
        assert torch.equal(torch.cat(parts), draw(Draws(seed, whole)))
