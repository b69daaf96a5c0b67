"""Players and phases: who is frozen while another moves, and in which steps a phase takes part."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gancore.games.player import Phase, Player


@pytest.fixture
def players():
    made = {n: Player(n, m, torch.optim.SGD(m.parameters(), 0.1)) for n in "abc" for m in [nn.Linear(2, 2)]}
    for player in made.values():
        player.set_rivals(made)
    return made


def trainable(player):
    return [p.requires_grad for p in player.module.parameters()]


def test_only_the_acting_player_is_trainable_while_it_moves(players):
    with players["b"].updating():
        assert trainable(players["b"]) == [True, True]
        assert trainable(players["a"]) == trainable(players["c"]) == [False, False]
    assert all(trainable(p) == [True, True] for p in players.values())


def break_down_while_moving(players):
    with players["a"].updating(), players["b"].thawed():
        assert trainable(players["b"]) == [True, True]
        raise RuntimeError("broke down")


def test_requires_grad_is_put_back_after_an_exception(players):
    with pytest.raises(RuntimeError, match="broke down"):
        break_down_while_moving(players)
    assert all(trainable(p) == [True, True] for p in players.values())


def test_a_thawed_player_is_frozen_again_while_another_still_moves(players):
    with players["a"].updating():
        with players["b"].thawed():
            assert trainable(players["b"]) == [True, True]
            assert trainable(players["c"]) == [False, False]
        assert trainable(players["b"]) == [False, False]


def test_moving_begins_without_gradients_of_its_own_and_keeps_those_of_others(players):
    for player in players.values():
        player.module(torch.ones(1, 2)).sum().backward()
    kept = [p.grad.clone() for p in players["b"].parameters]
    with players["a"].updating():
        assert all(p.grad is None for p in players["a"].parameters)
        (players["a"].module(torch.ones(1, 2)) + players["b"].module(torch.ones(1, 2))).sum().backward()
    assert all(p.grad is not None for p in players["a"].parameters)
    assert all(torch.equal(p.grad, k) for p, k in zip(players["b"].parameters, kept, strict=True))


def test_a_parameter_that_the_architecture_froze_stays_frozen():
    fixed = nn.Linear(2, 2)
    fixed.bias.requires_grad_(False)
    players = {
        "fixed": Player("fixed", fixed, torch.optim.SGD(fixed.parameters(), 0.1)),
        "other": Player("other", other := nn.Linear(2, 2), torch.optim.SGD(other.parameters(), 0.1)),
    }
    for player in players.values():
        player.set_rivals(players)
    with players["other"].updating(), players["fixed"].thawed():
        assert trainable(players["fixed"]) == [True, False]
    assert trainable(players["fixed"]) == [True, False]


def test_a_shared_parameter_stays_trainable_for_both_owners():
    trunk = nn.Linear(2, 2)
    networks = {"a": nn.Sequential(trunk, nn.Linear(2, 1)), "b": nn.Sequential(trunk, nn.Linear(2, 1))}
    players = {n: Player(n, m, torch.optim.SGD(m.parameters(), 0.1)) for n, m in networks.items()}
    for player in players.values():
        player.set_rivals(players)
    with players["a"].updating():
        assert trunk.weight.requires_grad
        assert not networks["b"][1].weight.requires_grad


@given(every=st.integers(1, 7), start=st.integers(0, 9), length=st.none() | st.integers(0, 30))
def test_a_phase_is_due_from_start_in_its_interval_until_stop(every, start, length):
    stop = None if length is None else start + length
    phase = Phase("p", Player("p", m := nn.Linear(1, 1), torch.optim.SGD(m.parameters(), 0.1)),
                  every=every, start=start, stop=stop)  # fmt: skip
    due = [step for step in range(50) if phase.due(step)]
    assert due == list(range(start, 50 if stop is None else min(50, stop), every))
