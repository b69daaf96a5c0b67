"""Batches: cut into parts that cover them, each with its share of the weight."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gancore.data.batch import Batch


def batch(size, labels=True, weight=1.0):
    positions = torch.arange(100, 100 + size)
    x = positions[:, None].float() * 2
    return Batch(hard=x, condition=positions % 3 if labels else None, positions=positions, step=9, weight=weight)


@given(size=st.integers(1, 40), parts=st.integers(1, 50), weight=st.floats(0.1, 1), labels=st.booleans())
def test_parts_cover_a_batch_in_order_and_their_weights_add_up_to_its(size, parts, weight, labels):
    whole = batch(size, labels, weight)
    cut = list(whole.split(parts))
    assert len(cut) == min(parts, size)
    assert torch.equal(torch.cat([p.positions for p in cut]), whole.positions)
    assert torch.equal(torch.cat([p.x for p in cut]), whole.x)
    if labels:
        assert torch.equal(torch.cat([p.condition for p in cut]), whole.condition)
    else:
        assert all(p.condition is None for p in cut)
    assert sum(p.weight for p in cut) == pytest.approx(weight)
    assert all(p.weight == pytest.approx(weight * len(p) / size) for p in cut)
    assert max(map(len, cut)) - min(map(len, cut)) <= 1
    assert all(p.step == 9 for p in cut)


def test_weighted_means_over_parts_are_the_mean_over_the_batch():
    whole = batch(7)
    assert float(sum(p.x.mean() * p.weight for p in whole.split(3))) == pytest.approx(float(whole.x.mean()))


def test_samples_are_relaxed_when_they_are_asked_for_and_once():
    calls = []
    positions = torch.arange(6)
    lazy = Batch(
        hard=positions, condition=None, positions=positions, step=0, relax=lambda x: calls.append(len(x)) or x / 2
    )
    parts = list(lazy.split(2))
    assert calls == []
    assert torch.equal(parts[1].x, torch.tensor([1.5, 2.0, 2.5]))
    assert torch.equal(parts[1].x, parts[1].x)
    assert calls == [3]


def test_what_was_relaxed_is_relaxed_in_the_parts_and_beside_what_is_given():
    calls = []
    positions = torch.arange(6)
    lazy = Batch(
        hard=positions, condition=None, positions=positions, step=0, relax=lambda x: calls.append(len(x)) or x / 2
    )
    whole = lazy.giving(lazy.x[:, None])
    parts = list(whole.split(3))
    assert torch.equal(torch.cat([p.x for p in parts]), positions / 2)
    assert torch.equal(torch.cat([p.given for p in parts])[:, 0], positions / 2)
    assert calls == [6]


def test_one_part_is_the_batch_itself():
    whole = batch(4)
    assert [p is whole for p in whole.split(1)] == [True]


@pytest.mark.parametrize("labels", [True, False])
def test_a_batch_moves_to_a_device_as_a_whole(labels):
    moved = batch(3, labels).to(torch.device("meta"))
    assert moved.x.is_meta
    assert moved.positions.is_meta
    assert moved.condition is None or moved.condition.is_meta
    assert (moved.step, moved.weight, len(moved)) == (9, 1.0, 3)


@given(turns=st.integers(1, 12), domains=st.integers(2, 4), parts=st.integers(1, 50))
def test_no_part_of_a_batch_parts_partners(turns, domains, parts):
    size = turns * domains
    whole = replace(batch(size), domain=torch.arange(size) % domains, domains=domains)
    cut = list(whole.split(parts))
    assert len(cut) == min(parts, turns)
    assert torch.equal(torch.cat([p.positions for p in cut]), whole.positions)
    assert sum(p.weight for p in cut) == pytest.approx(1.0)
    for part in cut:
        assert torch.bincount(part.domain, minlength=domains).unique().numel() == 1
        for number in range(domains):
            own = part.of(number)
            assert bool((own.domain == number).all())
            assert own.weight == part.weight
            assert torch.equal(own.positions, part.positions[number::domains])
            assert sum(len(p) for p in own.split(3)) == len(own)
