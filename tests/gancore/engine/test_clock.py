"""Time: estimates from measured steps, figures and sheets by the clock, an end by it; none of it changes what is computed."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest
import torch
from toys import runs
from toys.runs import go_on, rows

import gancore
from gancore import checkpoint
from gancore.configuration.run_config import RunConfig
from gancore.engine import clock as clock_module
from gancore.engine.clock import Clock, Pace
from gancore.errors import UsageError
from gancore.games.player import Phase

MAIN = Phase("main", None)
LAZY = Phase("lazy", None, every=4)


class Time:
    """A clock that is moved by hand."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(clock_module, "time", SimpleNamespace(perf_counter=lambda: self.now))


@pytest.fixture
def hand(monkeypatch):
    return Time(monkeypatch)


def measured(pace, seconds):
    """A pace after steps of these lengths."""
    for step, took in enumerate(seconds):
        pace.add(pace.pattern(step), took)
    return pace


def new_clock(steps=8000, minutes=None, phases=(MAIN, LAZY), **every):
    return Clock(RunConfig(plugin="toy", steps=steps, every=every), phases, minutes)


def walk(clock, hand, seconds, start=0):
    """Take steps of these lengths, yielding the number that are done after each."""

    def steps():
        for took in seconds:
            hand.now += took
            yield took

    for number, _ in enumerate(clock.timed(steps(), start), start + 1):
        yield number


# --- the pace ---------------------------------------------------------------------------------------------------------


def test_lazy_phases_count_as_often_as_they_come_and_the_warm_up_not_at_all():
    pace = measured(Pace([MAIN, LAZY]), [100.0, 1.0, 1.0, 1.0, 5.0])
    assert pace.left(8, 16) == (pytest.approx(2 * 5.0 + 6 * 1.0), None)


def test_the_warm_up_counts_while_there_is_no_other_step_of_its_kind():
    pace = measured(Pace([MAIN, LAZY]), [9.0, 1.0])
    assert pace.left(2, 6)[0] == pytest.approx(3 * 1.0 + 9.0)


def test_a_long_rest_is_estimated_in_step_with_no_period():
    pace = measured(Pace([MAIN, LAZY]), [100.0, 1.0, 1.0, 1.0, 5.0])
    assert pace.left(5, 1_000_005)[0] == pytest.approx(2_000_000, rel=0.03)


def test_steps_unlike_those_so_far_are_named():
    pace = measured(Pace([MAIN, Phase("later", None, start=50)]), [1.0, 1.0])
    assert pace.left(2, 100) == (pytest.approx(98.0), 50)


def test_time_between_steps_is_part_of_the_rest(hand):
    clock = new_clock(steps=10, phases=[MAIN])
    for _ in walk(clock, hand, [1.0, 1.0, 1.0]):
        hand.now += 0.5
    assert clock.left(3) == pytest.approx(7 * 1.5, rel=0.05)


def test_no_more_time_is_left_than_the_minutes_of_the_session(hand):
    clock = new_clock(steps=1000, phases=[MAIN], minutes=1.0)
    for _ in walk(clock, hand, [1.0, 1.0, 1.0]):
        pass
    assert clock.left(3) == pytest.approx(57.0)
    assert clock.left(990) == pytest.approx(10.0)


# --- what is due ------------------------------------------------------------------------------------------------------


def test_an_estimate_comes_after_five_steps_and_once(hand):
    clock = new_clock(steps=805)
    estimates = {n: clock.estimate(n) for n in walk(clock, hand, [7.0, 1.0, 1.0, 1.0, 5.0, 1.0, 1.0])}
    assert [n for n, e in estimates.items() if e] == [5]
    assert estimates[5].seconds == pytest.approx(1600, rel=0.01)
    assert (estimates[5].first_unlike, estimates[5].last_step) == (None, 805)


def test_an_estimate_comes_after_the_first_step_where_that_is_long_and_a_better_one_later(hand):
    clock = new_clock(steps=101, phases=[MAIN])
    told = {n: e for n in walk(clock, hand, [17.0] + [10.0] * 9) if (e := clock.estimate(n))}
    assert {n: e.measured for n, e in told.items()} == {1: 1, 6: 6}
    assert (told[1].seconds, told[6].seconds) == (pytest.approx(1700), pytest.approx(950))


def test_another_estimate_comes_once_the_phases_that_it_did_not_know_are_measured(hand):
    clock = new_clock(steps=100, phases=[MAIN, Phase("later", None, start=10)])
    told = {n: e for n in walk(clock, hand, [1.0] * 10 + [3.0] * 10) if (e := clock.estimate(n))}
    assert list(told) == [5, 14]
    assert (told[5].first_unlike, told[14].first_unlike) == (10, None)
    assert told[14].seconds == pytest.approx(86 * 3.0)


def test_an_estimate_says_which_step_the_minutes_come_to(hand):
    clock = new_clock(steps=1000, phases=[MAIN], minutes=1.0)
    [estimate] = [e for n in walk(clock, hand, [2.0] * 5) if (e := clock.estimate(n))]
    assert estimate.last_step == 30


def test_figures_are_due_before_ten_seconds_have_passed_without_any(hand):
    clock, told = new_clock(), []
    for n in walk(clock, hand, [3.0] * 8):
        if clock.figures_due():
            clock.figures_told()
            told.append(n)
    assert told == [3, 6]


def test_sheets_by_the_clock_become_rarer(hand):
    clock, made = new_clock(), []
    for n in walk(clock, hand, [10.0] * 60):
        if clock.sheet_due():
            clock.sheet_made()
            made.append(n)
    assert made == [6, 18, 42]


def test_a_sheet_by_steps_puts_off_that_by_the_clock(hand):
    clock = new_clock()
    for n in walk(clock, hand, [10.0] * 20):
        if n % 5 == 0:
            clock.sheet_made()
        assert not clock.sheet_due()


@pytest.mark.parametrize("every", [{"sample_seconds": 0.0}, {"sample": 0}])
def test_no_sheet_comes_by_the_clock_where_none_are_wanted(hand, every):
    clock = new_clock(**every)
    assert not any(clock.sheet_due() for _ in walk(clock, hand, [100.0] * 5))


def test_time_is_over_when_the_next_step_would_end_more_after_it_than_before(hand):
    clock = new_clock(minutes=0.5)
    assert [clock.over for _ in walk(clock, hand, [4.0] * 8)] == [False] * 6 + [True] * 2


# --- whole runs -------------------------------------------------------------------------------------------------------

begin = partial(runs.begin, architecture={"name": "pair", "norm": "batch"}, penalties={"r1": {"every": 2}})
ALWAYS = {"every.log_seconds": 1e-9, "every.sample_seconds": 1e-9}


class Watcher:
    def __init__(self):
        self.heard = []
        self.ticks = []

    @gancore.hookimpl
    def gan_progress(self, event):
        self.heard.append(event)

    @gancore.hookimpl
    def gan_tick(self, event):
        self.ticks.append(event)


def assert_same(one, other, step):
    found = [checkpoint.at(f / "checkpoints", step) for f in (one, other)]
    for name in ("generator", "discriminator", "ema"):
        a, b = (f.tensors(name) for f in found)
        assert all(torch.equal(a[k], b[k]) for k in a | b)
    states = [{k: v for k, v in f.state.items() if k != "seconds"} for f in found]
    assert states[0] == states[1]
    assert rows(one) == rows(other)


def test_figures_and_sheets_by_the_clock_change_nothing_that_is_kept(tmp_path):
    watcher = Watcher()
    begin(tmp_path / "by-steps", **{"every.log_seconds": 0, "every.sample_seconds": 0})
    begin(tmp_path / "by-clock", listeners=[watcher], **ALWAYS)
    assert [e.step for e in watcher.heard] == list(range(1, 10))
    assert_same(tmp_path / "by-steps", tmp_path / "by-clock", 9)  # between two ticks
    assert_same(tmp_path / "by-steps", tmp_path / "by-clock", 10)
    more = {p.name for p in (tmp_path / "by-clock" / "samples").glob("step-*")}
    assert more > {p.name for p in (tmp_path / "by-steps" / "samples").glob("step-*")}


def test_progress_carries_the_means_so_far_and_ticks_those_of_their_steps(tmp_path):
    watcher = Watcher()
    begin(tmp_path / "run", steps=4, listeners=[watcher], **ALWAYS, **{"every.log": 4})
    one = Watcher()
    begin(tmp_path / "one", steps=4, listeners=[one], **{"every.log": 1})
    each = [t.scalars["generator/loss"] for t in one.ticks]
    shown = [e.scalars["generator/loss"] for e in watcher.heard]
    assert shown == pytest.approx([sum(each[:n]) / n for n in (1, 2, 3)], rel=1e-5)
    assert watcher.ticks[0].scalars["generator/loss"] == pytest.approx(sum(each) / 4, rel=1e-5)
    assert watcher.heard[-1].seconds_left > 0


def test_a_run_ends_well_when_its_minutes_are_over(tmp_path):
    done = begin(tmp_path / "run", minutes=1e-6)
    assert (done.step, done.outcome) == (1, "stopped")
    assert done.reason == "stopped after 1e-06 minutes, as requested, at step 1 of 10"
    assert done.scalars["generator/loss"] == rows(tmp_path / "run")[-1]["generator/loss"]
    assert (tmp_path / "run" / "samples" / "step-00000001.txt").exists()
    assert "as requested, at step 1 of 10" in (tmp_path / "run" / "report.html").read_text()


def test_an_end_by_the_clock_says_that_schedules_are_not_at_their_end(tmp_path):
    done = begin(tmp_path / "run", minutes=1e-6, **{"schedules.optimizers.generator.lr.factor": 0})
    assert "so its schedules had not yet come to their end at step 10" in done.reason


def test_a_run_that_is_trained_for_minutes_at_a_time_equals_one_without_a_break(tmp_path):
    begin(tmp_path / "whole")
    begin(tmp_path / "parts", minutes=1e-6)
    assert "interim" in rows(tmp_path / "parts")[-1]
    for step in (2, 3):
        again = go_on(tmp_path / "parts", minutes=1e-6)
        assert (again.step, again.outcome) == (step, "stopped")
    assert go_on(tmp_path / "parts", minutes=60).outcome == "completed"
    assert_same(tmp_path / "whole", tmp_path / "parts", 10)


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan"), float("inf")])
def test_minutes_that_are_no_length_of_time_are_refused(tmp_path, minutes):
    with pytest.raises(UsageError, match="must be positive"):
        begin(tmp_path / "run", minutes=minutes)
    assert not (tmp_path / "run").exists()
