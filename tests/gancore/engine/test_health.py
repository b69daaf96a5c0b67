"""Health: what is told, once, with advice; on figures made up here and on small trainings that really go wrong."""

from __future__ import annotations

import json
from collections import Counter
from itertools import chain

import pytest
import torch
from torch import nn
from toys.runs import begin, rows

from gancore.configuration.run_config import Health
from gancore.engine.health import HealthMonitor, spread_ratio
from gancore.random import normal


def figures(norm, auc, pull=0.5):
    return {"generator/grad_norm": norm, "discriminator/auc": auc, "generator/pull": pull}


def kinds(alerts):
    return [a.kind for a in alerts]


# --- saturated ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def used_to_one():
    """A monitor that has seen gradient norms about 1."""
    monitor = HealthMonitor(Health())
    for tick in range(10):
        assert monitor.look_at_scalars(figures(1.0, 0.8), tick) == []
    return monitor


def test_a_won_game_with_a_vanished_gradient_is_told_once_in_words_with_advice(used_to_one):
    told = [used_to_one.look_at_scalars(figures(1e-3, 1.0), tick) for tick in range(10, 20)]
    assert [len(t) for t in told] == [0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    (alert,) = told[1]
    assert (alert.kind, alert.step) == ("saturated", 11)
    assert "100% of pairs" in alert.message
    assert "norm 0.001, usually 1" in alert.message
    assert "r1" in alert.advice
    assert str(alert).startswith("step 11: the discriminator has won")


@pytest.mark.parametrize("values", [figures(1.0, 1.0), figures(1e-3, 0.9), figures(1.0, 0.9, pull=0.0)])
def test_neither_a_won_game_nor_a_weak_gradient_alone_is_alarming(used_to_one, values):
    assert [used_to_one.look_at_scalars(values, tick) for tick in range(10, 15)] == [[]] * 5


def test_a_loss_that_no_longer_pulls_is_told_though_the_norm_was_always_small():
    monitor = HealthMonitor(Health())
    told = [kinds(monitor.look_at_scalars(figures(1e-4, 1.0, pull=1e-3), tick)) for tick in range(3)]
    assert told == [[], ["saturated"], []]


def test_one_bad_look_is_no_trend(used_to_one):
    for tick in range(10, 30):
        bad = tick % 2 == 0
        assert used_to_one.look_at_scalars(figures(1e-3 if bad else 1.0, 1.0), tick) == []


def test_recovery_is_told_once_and_a_relapse_again(used_to_one):
    sequence = [1e-3, 1e-3, 1.0, 1.0, 1e-3, 1e-3, 1e-3]
    told = [kinds(used_to_one.look_at_scalars(figures(norm, 1.0), tick)) for tick, norm in enumerate(sequence)]
    assert told == [[], ["saturated"], [], ["recovered"], [], ["saturated"], []]


def test_a_long_drought_does_not_become_the_usual(used_to_one):
    told = [kinds(used_to_one.look_at_scalars(figures(1e-3, 1.0), tick)) for tick in range(500)]
    assert list(chain(*told)) == ["saturated"]


def test_nothing_is_told_when_the_watch_is_off():
    monitor = HealthMonitor(Health(vanishing=0, collapse=0))
    for tick in range(5):
        assert monitor.look_at_scalars(figures(0.0, 1.0, 0.0), tick) == []
        assert monitor.look_at_spread(0.0, tick) == []


def test_games_without_these_figures_are_left_alone():
    assert HealthMonitor(Health()).look_at_scalars({"left/grad_norm": 0.0}, 1) == []


# --- collapse -----------------------------------------------------------------------------------------------------------


def test_collapse_is_told_once_after_patience_and_so_is_its_end():
    monitor = HealthMonitor(Health(collapse=0.2))
    ratios = [1.0, 0.1, 0.3, 0.1, 0.05, 0.0, 0.5, 0.6]
    told = [kinds(monitor.look_at_spread(r, i)) for i, r in enumerate(ratios)]
    assert told == [[], [], [], [], ["collapse"], [], [], ["recovered"]]


def test_collapse_is_told_with_its_figure_and_advice():
    monitor = HealthMonitor(Health(collapse=0.2))
    monitor.look_at_spread(0.1, 1)
    (alert,) = monitor.look_at_spread(0.12, 2)
    assert "only 12% as varied" in alert.message
    assert alert.advice


def points(seed, count, features=6):
    return normal(seed, torch.arange(count), features)


def test_samples_of_one_distribution_are_equally_varied():
    assert spread_ratio(None, points(1, 200), points(2, 200), None) == pytest.approx(1.0, abs=0.05)


def test_the_ratio_is_that_of_the_scales():
    assert spread_ratio(None, points(1, 200), 0.25 * points(1, 200) + 7.0, None) == pytest.approx(0.25, rel=1e-3)


def test_constant_samples_have_no_spread():
    real = points(1, 100)
    assert spread_ratio(None, real, real[:1].expand_as(real), None) < 1e-3
    assert spread_ratio(None, real, real * 0, None) == 0.0


def test_the_ratio_equals_mean_distances_computed_pair_by_pair():
    real, fake = points(3, 5).double(), points(4, 5).double()
    pairs = [(i, j) for i in range(5) for j in range(i)]
    means = [sum(float((x[i] - x[j]).norm()) for i, j in pairs) / len(pairs) for x in (real, fake)]
    assert spread_ratio(None, real, fake, None) == pytest.approx(means[1] / means[0], rel=1e-5)


def test_collapse_within_classes_is_found_though_classes_differ():
    condition = torch.arange(100) % 5
    real = points(1, 100) + 10.0 * condition[:, None]
    one_per_class = 10.0 * condition[:, None].expand(-1, 6).float()
    assert spread_ratio(None, real, one_per_class, None) > 0.5
    assert spread_ratio(None, real, one_per_class, condition) < 1e-2


def test_classes_with_too_few_pairs_are_compared_all_together():
    condition = torch.arange(6)
    real = points(1, 6)
    assert spread_ratio(None, real, 0.5 * real, condition) == pytest.approx(0.5)


def test_distances_are_taken_between_features_where_the_discriminator_offers_them():
    class Judge(nn.Module):
        def features(self, x, condition):
            return x[:, :1]

    real = points(1, 50)
    fake = real.clone()
    fake[:, 0] = 3.0
    assert spread_ratio(None, real, fake, None) > 0.5
    assert spread_ratio(Judge(), real, fake, None) == 0.0


# --- non-finite ---------------------------------------------------------------------------------------------------------


def test_bad_steps_are_told_once_and_counted_until_it_is_enough():
    monitor = HealthMonitor(Health(max_bad_steps=3))
    told, exhausted = [], []
    for step, finite in enumerate([True, False, False, True, False, False, False]):
        told.append(kinds(monitor.step_was(finite, step, "" if finite else "generator")))
        exhausted.append(monitor.exhausted)
    assert told == [[], ["non-finite"], [], ["recovered"], ["non-finite"], [], []]
    assert exhausted == [False] * 6 + [True]
    assert monitor.bad_total == 5


def test_the_culprit_is_named():
    (alert,) = HealthMonitor(Health()).step_was(False, 7, "critic")
    assert "the critic's gradients are not finite" in alert.message


# --- state --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", range(13))
def test_a_monitor_restored_anywhere_tells_what_an_uninterrupted_one_does(cut):
    def look(monitor, tick):
        bad = tick in (4, 5, 6, 9, 10)
        return [
            *monitor.look_at_scalars(figures(1e-4 if bad else 1.0, 1.0), tick),
            *monitor.look_at_spread(0.1 if bad else 0.9, tick),
            *monitor.step_was(tick not in (2, 3, 11), tick, "generator"),
        ]

    whole = HealthMonitor(Health())
    expected = [look(whole, tick) for tick in range(13)]
    told_in_all = Counter(kinds(chain(*expected)))
    assert told_in_all == {"saturated": 2, "collapse": 2, "non-finite": 2, "recovered": 6}
    first = HealthMonitor(Health())
    told = [look(first, tick) for tick in range(cut)]
    second = HealthMonitor(Health())
    second.restore(json.loads(json.dumps(first.state())))
    told += [look(second, tick) for tick in range(cut, 13)]
    assert told == expected


# --- real trainings -----------------------------------------------------------------------------------------------------


def alerts_of(folder, steps, **options):
    watched = {"every.log": 10, "every.health": 10, "every.sample": 0, "every.checkpoint": 0, "batch_size": 32}
    begin(folder, steps, **{**watched, **options})
    kept = rows(folder)
    return [alert for row in kept for alert in row.get("alerts", [])], kept


def test_a_training_whose_discriminator_wins_is_found_out(tmp_path):
    alerts, found = alerts_of(
        tmp_path / "run", 100, loss="minimax",
        **{"data.centre": 0.8, "data.spread": 0.05, "optimizers.discriminator.lr": 0.02, "optimizers.generator.lr": 1e-4},
    )  # fmt: skip
    assert len(alerts) == 1
    assert "the discriminator has won" in alerts[0]
    assert "Usual remedies" in alerts[0]
    assert found[-1]["discriminator/auc"] > 0.99
    assert "the discriminator has won" in (tmp_path / "run" / "report.html").read_text()


def test_a_training_that_collapses_is_found_out(tmp_path):
    alerts, found = alerts_of(tmp_path / "run", 40, loss="wasserstein", **{"optimizers.generator.lr": 0.5})
    assert len(alerts) == 1
    assert "mode collapse" in alerts[0]
    assert found[-1]["health/spread"] < 0.1


def test_a_healthy_training_is_not_disturbed(tmp_path):
    alerts, found = alerts_of(
        tmp_path / "run", 100, loss="rpgan", penalties={"r1": {"weight": 1.0}, "r2": {"weight": 1.0}},
        **{"optimizers.generator.lr": 2e-3, "optimizers.discriminator.lr": 2e-3},
    )  # fmt: skip
    assert alerts == []
    assert 0.2 < found[-1]["health/spread"] < 3.0


def test_advice_names_augmentations_that_the_run_could_have_and_no_others():
    for augmentations, words in (
        ((), ""),
        (("flip", "crop"), ", augmentations=flip or augmentations=crop when data are few"),
    ):
        monitor = HealthMonitor(Health(), augmentations)
        (alert,) = [a for step in (1, 2) for a in monitor.look_at_spread(0.01, step)]
        assert f"a lower learning rate{words}; an earlier checkpoint" in alert.advice
