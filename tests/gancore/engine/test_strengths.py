"""The controller of adaptive augmentations: when it moves a strength, by how much, and what it follows."""

from __future__ import annotations

import pytest
import torch
from toys.runs import begin, rows

from gancore import distributed
from gancore.components import Augmentation
from gancore.configuration.settings import Chosen
from gancore.engine.strengths import Strengths
from gancore.errors import PluginError
from gancore.games.separation import SIGN
from gancore.losses.apa import Apa, ApaOptions
from gancore.plugins import Found


def chosen(name="apa", **options):
    return Chosen(name, Found("gancore", Augmentation(name=name, summary="", target="")), ApaOptions(**options))


def controlled(batch_size=50, **options):
    """An augmentation, and its controller: with these defaults it moves by 50 * 4 / 2,000 = 0.1."""
    one = chosen(**{"kimg": 2.0, **options})
    apa = Apa(one.options)
    return apa, Strengths.of({"apa": one}, {"apa": apa}, batch_size)


def see(strengths, *signs, weight=1.0):
    for sign in signs:
        strengths.see({SIGN: torch.tensor(sign), "discriminator/loss": torch.tensor(9.0)}, weight)


def test_strength_goes_up_by_the_share_of_samples_seen_once_in_every_interval():
    apa, strengths = controlled()
    found = []
    for step in range(1, 10):
        see(strengths, 0.9)
        strengths.after(step)
        found.append(apa.strength)
    assert found == pytest.approx([0, 0, 0, 0.1, 0.1, 0.1, 0.1, 0.2, 0.2])


@pytest.mark.parametrize(
    ("signs", "expected"),
    [((0.5, 0.5, 0.7, 0.5), 0.4), ((0.5, 0.5, 0.9, 0.6), 0.6), ((0.75, 0.75, 0.75, 0.75), 0.6)],
)
def test_the_mean_of_an_interval_decides(signs, expected):
    apa, strengths = controlled(strength=0.5)
    see(strengths, *signs)
    strengths.after(4)
    assert apa.strength == pytest.approx(expected)


@pytest.mark.parametrize(("start", "sign", "expected"), [(0.05, 0.0, 0.0), (0.65, 1.0, 0.7)])
def test_strength_stays_between_nothing_and_the_most(start, sign, expected):
    apa, strengths = controlled(strength=start, most=0.7)
    see(strengths, sign)
    strengths.after(4)
    assert apa.strength == expected


def test_parts_of_a_batch_count_by_their_weight():
    apa, strengths = controlled()
    see(strengths, 1.0, weight=0.5)
    see(strengths, -1.0, 1.0, weight=0.25)  # 0.5 in all, below 0.6
    strengths.after(4)
    assert apa.strength == 0.0
    see(strengths, 1.0, weight=0.75)
    see(strengths, -0.25, weight=0.25)  # 0.6875, although the mean of the two is 0.375
    strengths.after(8)
    assert apa.strength == pytest.approx(0.1)


def test_the_mean_over_all_processes_decides(monkeypatch):
    apa, strengths = controlled()
    asked = []
    monkeypatch.setattr(distributed, "mean_scalars", lambda scalars: asked.append(scalars) or {SIGN: 0.9})
    see(strengths, 0.0)  # this process's own are below the target
    strengths.after(4)
    assert asked == [{SIGN: 0.0}]
    assert apa.strength == pytest.approx(0.1)


@pytest.mark.parametrize("signs", [(), (0.6,)])
def test_strength_stays_on_the_target_and_where_nothing_was_seen(signs):
    apa, strengths = controlled(strength=0.5, target=float(torch.tensor(0.6)))
    see(strengths, *signs)
    strengths.after(4)
    assert apa.strength == 0.5


def test_a_constant_strength_is_set_and_stays():
    apa, strengths = controlled(strength=0.3, adaptive=False)
    see(strengths, 1.0)
    assert strengths.after(4) == {}
    assert apa.strength == 0.3


def test_a_strength_that_a_schedule_moves_is_left_to_it():
    one = chosen(kimg=2.0)
    apa = Apa(one.options)
    strengths = Strengths.of({"apa": one}, {"apa": apa}, 50, {"augmentations.apa.strength": None})
    see(strengths, 1.0)
    assert (strengths.after(4), apa.strength) == ({}, 0.0)


def test_several_strengths_move_by_options_of_their_own_under_names_of_their_own():
    parts = {"one": chosen("one", kimg=2.0), "two": chosen("two", kimg=4.0, interval=8)}
    strengths = Strengths.of(parts, {name: Apa(one.options) for name, one in parts.items()}, 50)
    for step in range(1, 9):
        see(strengths, 1.0)
        figures = strengths.after(step)
    assert figures == pytest.approx({"augment/strength-one": 0.2, "augment/strength-two": 0.1})


def test_a_controller_taken_up_in_the_middle_of_an_interval_goes_on_as_if_nothing_had_been():
    _, whole = controlled(strength=0.5)
    see(whole, 0.1, 0.2)
    apa, other = controlled(strength=0.2)
    other.restore(whole.state())
    for strengths in (whole, other):
        see(strengths, 0.7, 0.8)
    assert other.after(4) == whole.after(4)
    assert apa.strength == pytest.approx(0.4)


def test_an_augmentation_with_the_options_and_without_a_strength_is_named():
    with pytest.raises(PluginError, match=r"augmentation 'gancore:apa': .* needs an attribute strength"):
        Strengths.of({"apa": chosen()}, {"apa": lambda x, draws: x}, 8)


def test_the_strength_that_a_run_logs_follows_the_sign_that_it_logs(tmp_path):
    options = {"kimg": 0.02, "interval": 1, "target": 0.2, "most": 1.0}  # a move is 8 / 20
    begin(tmp_path / "run", 8, **{"every.log": 1}, loss="rpgan", augmentations={"apa": options})
    strength, moves = 0.0, set()
    for row in rows(tmp_path / "run"):
        moves.add(row[SIGN] > 0.2)
        strength = min(max(strength + (0.4 if row[SIGN] > 0.2 else -0.4), 0.0), 1.0)
        assert row["augment/strength"] == pytest.approx(strength)
    assert moves == {True, False}
