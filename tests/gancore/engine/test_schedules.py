"""Values that move while training against their closed forms, and that they arrive where they are used."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from toys import pictures as toys
from toys import runs

from gancore import builtin
from gancore.configuration.configure import configure
from gancore.configuration.layers import nest
from gancore.data.batch import Batch
from gancore.data.report import silent
from gancore.engine.parts import build_parts
from gancore.engine.schedules import Course, build_schedules, option_setter
from gancore.errors import PluginError, UsageError
from gancore.options import ScheduleOptions
from gancore.random import Draws
from gancore.targets import build

RECORDS = {record.name: record for record in builtin.gan_schedules()}
NAMES = st.sampled_from(sorted(RECORDS))
SHARE = st.floats(0, 1)


def course(steps: int, name: str = "linear", own: float = 1.0, batch_size: int = 1, **options) -> Course:
    chosen = ScheduleOptions.model_validate(options)
    return Course.of(build(RECORDS[name], chosen), chosen, own, steps, batch_size)


def values(steps: int, *, until: int | None = None, **options) -> list[float]:
    moved = course(steps, **options)
    return [moved.at(step) for step in range(steps if until is None else until)]


def test_a_straight_line_falls_evenly():
    assert values(4, factor=0) == pytest.approx([1.0, 0.75, 0.5, 0.25])
    assert values(4, factor=0.2) == pytest.approx([1.0, 0.8, 0.6, 0.4])


def test_a_cosine_follows_half_a_wave():
    found = values(6, name="cosine", factor=0)
    assert found == pytest.approx([1, 0.5 + math.sqrt(3) / 4, 0.75, 0.5, 0.25, 0.5 - math.sqrt(3) / 4])
    assert course(6, "cosine", factor=0.5).at(3) == pytest.approx(0.75)


def test_a_value_stays_until_its_schedule_begins():
    assert values(8, begin=0.5, factor=0) == pytest.approx([1, 1, 1, 1, 1, 0.75, 0.5, 0.25])
    assert course(100, begin=1.0, factor=0).at(99) == 1.0


def test_a_value_that_has_arrived_stays():
    assert values(8, end=0.5, first=0, last=2) == pytest.approx([0, 0.5, 1, 1.5, 2, 2, 2, 2])


def test_a_schedule_in_samples_depends_on_the_batch_and_not_on_the_length_of_the_run():
    assert values(100, until=4, samples=32, batch_size=16, first=0) == pytest.approx([0, 0.5, 1, 1])
    assert values(1000, until=4, samples=32, batch_size=16, first=0) == pytest.approx([0, 0.5, 1, 1])


def test_a_value_is_moved_from_its_own_or_between_two_others():
    assert values(4, own=8.0, factor=0.5) == pytest.approx([8, 7, 6, 5])
    assert values(4, own=8.0, first=4) == pytest.approx([4, 5, 6, 7])
    assert values(4, own=8.0, first=3, last=1) == pytest.approx([3, 2.5, 2, 1.5])


def test_warm_up_rises_in_equal_steps_to_the_full_value():
    assert values(10, until=6, warmup=4) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


@given(name=NAMES, begin=SHARE, factor=SHARE, steps=st.integers(1, 200))
def test_falling_values_never_rise_and_end_between_the_last_and_the_first(name, begin, factor, steps):
    found = values(steps, until=steps + 1, name=name, begin=begin, factor=factor)
    assert all(a >= b - 1e-12 for a, b in pairwise(found))
    assert found[0] == 1.0
    assert all(factor <= value <= 1.0 for value in found)


@given(name=NAMES, begin=st.floats(0, 0.9), factor=SHARE, steps=st.integers(20, 200))
def test_falling_values_arrive_where_training_ends(name, begin, factor, steps):
    assert course(steps, name, begin=begin, factor=factor).at(steps) == pytest.approx(factor, abs=1e-9)


@given(warmup=st.integers(1, 100), steps=st.integers(1, 200))
def test_warm_up_never_falls_and_is_never_zero(warmup, steps):
    found = values(steps, warmup=warmup)
    assert all(a <= b for a, b in pairwise(found))
    assert found[0] > 0.0


@given(name=NAMES, begin=SHARE, factor=SHARE, warmup=st.integers(0, 50), step=st.integers(0, 99))
def test_the_value_is_the_product_of_warm_up_and_schedule(name, begin, factor, warmup, step):
    fall = course(100, name, begin=begin, factor=factor).at(step)
    rise = course(100, warmup=warmup).at(step)
    both = course(100, name, begin=begin, factor=factor, warmup=warmup).at(step)
    assert both == pytest.approx(rise * fall)


@pytest.mark.parametrize("answer", [1.5, -0.1, math.nan])
def test_a_curve_that_leaves_the_range_between_its_ends_is_refused(answer):
    class Wild:
        def __call__(self, first, last, progress):
            return answer

    with pytest.raises(PluginError, match=r"schedule Wild gave .* from 0 to 1, which is not between them"):
        Course(Wild(), 0.0, 1.0, 0, 10).at(5)


@pytest.mark.parametrize(
    ("make", "name", "key", "expected"),
    [
        (torch.optim.Adam, "beta1", "betas", (0.25, 0.999)),
        (torch.optim.AdamW, "beta2", "betas", (0.9, 0.25)),
        (torch.optim.RMSprop, "beta2", "alpha", 0.25),
        (torch.optim.SGD, "beta1", "momentum", 0.25),
        (torch.optim.Adam, "weight_decay", "weight_decay", 0.25),
    ],
)
def test_options_of_optimizers_are_set_under_torchs_names(make, name, key, expected):
    optimizer = make([{"params": [nn.Parameter(torch.zeros(1))]}, {"params": [nn.Parameter(torch.zeros(1))]}], lr=0.1)
    option_setter(optimizer, name)(0.25)
    assert [group[key] for group in optimizer.param_groups] == [expected, expected]


def test_an_option_that_an_optimizer_is_built_without_is_refused():
    optimizer = torch.optim.RMSprop([nn.Parameter(torch.zeros(1))])
    with pytest.raises(PluginError, match=r"has no beta1 that a schedule could move: its groups hold .*alpha"):
        option_setter(optimizer, "beta1")(0.25)
    assert optimizer.param_groups[0]["momentum"] == 0


def parts_of(**options):
    chosen = {**toys.SMALL, "steps": 10, "augmentations.grow": {}, "penalties.r1.weight": 2.0}
    settings = configure(toys.new_registry(), plugin="toy", layers=[nest({**chosen, **options})])
    return settings, build_parts(settings, torch.device("cpu"), silent)


def test_values_arrive_where_they_are_used():
    settings, parts = parts_of(
        schedules={
            "penalties.r1.weight": {"factor": 0.5},
            "ema.half_life": {"first": 0, "last": 100},
            "optimizers.generator.beta2": {"first": 0.9, "last": 0.8},
            "augmentations.grow.strength": {"first": 0, "last": 1},
            "game.top_k": {"factor": 0.5},
        }
    )
    players, ema = parts.state.players, parts.state.ema
    phases = parts.game.phases(players)
    schedules = build_schedules(settings, players, ema, phases, parts.augmentations)
    found = []
    for step in (0, 5):
        schedules.apply(step)
        [penalty] = [phase for phase in phases if phase.name == "discriminator/r1"]
        adam = players["generator"].optimizer.param_groups[0]
        strength, top_k = parts.augmentations["grow"].strength, phases[-1].top_k
        found.append((penalty.weight, ema.half_life, adam["betas"][1], strength, top_k))
    assert found == [(2.0, 0.0, 0.9, 0.0, 1.0), (1.5, 50.0, pytest.approx(0.85), 0.5, 0.75)]
    assert players["discriminator"].optimizer.param_groups[0]["betas"][1] == 0.99


def test_the_game_sees_the_augmentation_whose_strength_is_moved():
    _, parts = parts_of()
    parts.augmentations["grow"].strength = 1.0
    assert parts.game.context.augment(torch.ones(2, 1, 4, 4), Draws(0, torch.arange(2))).eq(2.0).all()


def test_a_penaltys_weight_of_a_step_is_what_its_gradient_is_multiplied_by():
    _, parts = parts_of(**{"penalties.r1.every": 3})
    [phase] = [p for p in parts.game.phases(parts.state.players) if p.name == "discriminator/r1"]
    weight = nn.Parameter(torch.tensor(1.0))
    phase.weight = 0.25
    phase.add(2.0 * weight, Batch(torch.zeros(4), None, torch.arange(4), step=0, weight=0.5))
    assert float(weight.grad) == 2.0 * 0.25 * 3 * 0.5


def test_figures_have_the_values_of_the_last_step_of_settings_that_move_and_of_no_others(tmp_path):
    moved = {"optimizers.generator.lr": {"last": 0.0}, "penalties.r1.weight": {"first": 1.0, "last": 2.0, "warmup": 4}}
    own = {"optimizers.generator.lr": 0.5, "penalties.r1.weight": 2.0, "every.log": 2, "schedules": moved}
    runs.begin(tmp_path / "run", 4, **own)
    found = [{k: v for k, v in row.items() if k.startswith("schedule")} for row in runs.rows(tmp_path / "run")]
    # Steps 1 and 3 of 4, the second and the last.
    assert found == [
        {"schedule/optimizers.generator.lr": 0.5 * 3 / 4, "schedule/penalties.r1.weight": 1.25 * 2 / 4},
        {"schedule/optimizers.generator.lr": 0.5 * 1 / 4, "schedule/penalties.r1.weight": 1.75},
    ]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("penalties.r1.weight", "has no phase 'r1' with a weight that could be moved"),
        ("augmentations.grow.strength", "augmentation 'grow' has no attribute `strength` that could be moved"),
    ],
)
def test_what_cannot_be_moved_after_all_is_told_with_the_way_out(path, words):
    settings, parts = parts_of(schedules={path: {"first": 0, "last": 1}})
    with pytest.raises(UsageError, match=words) as caught:
        build_schedules(settings, parts.state.players, parts.state.ema, [], {"grow": nn.Identity()})
    assert f"schedules.{path}=none" in str(caught.value)
