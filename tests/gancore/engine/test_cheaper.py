"""What a long run could do with less: true of the networks at hand, and without a trace in the training."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from toys import runs

import gancore
from gan_image.spec import ImageSpec
from gancore import checkpoint
from gancore.api import plan, train
from gancore.data.batch import Batch
from gancore.engine import cheaper, clock, progress
from gancore.engine.cheaper import Trial, with_cheaper
from gancore.events import Estimate

SPEC = ImageSpec(shape=(1, 8, 8))


def estimate(seconds_per_step, steps):
    return Estimate(
        seconds=seconds_per_step * steps, seconds_per_step=seconds_per_step, measured=5, last_step=steps
    )  # fmt: skip


def settings_and_trial(width):
    settings = plan(plugin="image", steps=1000, options={"architecture.width": width})
    x = torch.zeros(8, 1, 8, 8)
    batch = Batch(hard=x, condition=None, positions=torch.arange(8), step=0)
    return settings, Trial(settings.architecture.build(SPEC), SPEC, batch, torch.contiguous_format)


@pytest.fixture
def by_size(monkeypatch):
    """Networks take as long as the square of how many weights they have."""
    size = lambda trial, count: sum(p.numel() for m in trial.networks.values() for p in m.parameters()) ** 2 * count  # noqa: E731
    monkeypatch.setattr(cheaper, "_seconds", size)
    return size


def test_the_widest_network_that_takes_a_few_hours_is_named_with_its_time(by_size):
    settings, trial = settings_and_trial(width=64)
    told = with_cheaper(estimate(30.0, 1000), settings, trial)
    assert told.cheaper == "architecture.width=32"
    narrow = by_size(settings_and_trial(width=32)[1], 1) / by_size(trial, 1)
    assert told.cheaper_seconds == pytest.approx(30_000 * narrow)
    assert with_cheaper(estimate(100.0, 1000), settings, trial).cheaper == "architecture.width=16"


def test_a_slow_network_is_guessed_before_the_first_step_and_a_fast_one_is_not(monkeypatch):
    settings, trial = settings_and_trial(width=64)
    monkeypatch.setattr(cheaper, "_seconds", lambda trial, count: 1.0 * count)
    guess = cheaper.at_first_sight(settings, trial, 200)
    assert guess.seconds_per_step == pytest.approx(cheaper.PASSES * settings.run.batch_size)
    assert (guess.measured, guess.seconds) == (0, pytest.approx(800 * guess.seconds_per_step))
    monkeypatch.setattr(cheaper, "_seconds", lambda trial, count: 5.0 + 1e-4 * count)  # as on a busy machine
    assert cheaper.at_first_sight(settings, trial, 0) is None
    monkeypatch.setattr(cheaper, "_seconds", lambda trial, count: 1e-4 * count)
    assert cheaper.at_first_sight(settings, trial, 0) is None


def test_fewer_steps_are_named_where_no_narrower_network_helps(monkeypatch):
    monkeypatch.setattr(cheaper, "_seconds", lambda trial, count: 1.0)
    told = with_cheaper(estimate(50.0, 1000), *settings_and_trial(width=64))
    assert (told.cheaper, told.cheaper_seconds) == ("steps=72", pytest.approx(3600.0))


def test_nothing_is_tried_for_a_run_that_is_not_long(monkeypatch):
    monkeypatch.setattr(cheaper, "_seconds", lambda trial, count: pytest.fail("tried"))
    assert with_cheaper(estimate(3.5, 1000), *settings_and_trial(width=64)).cheaper == ""


def test_a_wide_network_takes_longer_than_a_narrow_one_and_stays_as_it_was():
    wide, narrow = settings_and_trial(width=256)[1], settings_and_trial(width=8)[1]
    before = {k: v.clone() for m in wide.networks.values() for k, v in m.state_dict().items()}
    assert cheaper._seconds(wide, 2) > cheaper._seconds(narrow, 2)
    after = {k: v for m in wide.networks.values() for k, v in m.state_dict().items()}
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert all(module.training for module in wide.networks.values())


class Hears:
    said = ""

    @gancore.hookimpl
    def gan_progress(self, event):
        self.said = event.estimate.cheaper if event.estimate else self.said


def test_looking_for_something_cheaper_leaves_no_trace_in_the_training(tmp_path, monkeypatch):
    options = {"data": "digits", "architecture.width": 16, "batch_size": 8, "samples": 4, "every.health": 0}

    def begin(name, listeners=()):
        return train(plugin="image", out=tmp_path / name, steps=8, options=options, listeners=listeners)

    begin("one")
    monkeypatch.setattr(cheaper, "LONG", 0.0)
    monkeypatch.setattr(cheaper, "WELCOME", 0.0)
    monkeypatch.setattr(cheaper, "SLOW", 0.0)
    hears = Hears()
    begin("two", [hears])
    assert hears.said
    one, two = (checkpoint.at(tmp_path / name / "checkpoints", 8) for name in ("one", "two"))
    for network in ("generator", "discriminator", "ema"):
        a, b = one.tensors(network), two.tensors(network)
        assert all(torch.equal(a[k], b[k]) for k in a)


def test_a_run_goes_on_where_nothing_cheaper_can_be_looked_for(tmp_path, monkeypatch):
    class Estimates:
        @gancore.hookimpl
        def gan_progress(self, event):
            heard.append(event.estimate)

    def fail(*arguments):
        raise RuntimeError("these networks take whole batches only")

    heard = []
    monkeypatch.setattr(clock, "SECONDS_MEASURED", 0.0)
    monkeypatch.setattr(progress, "with_cheaper", fail)
    assert runs.begin(tmp_path / "run", 4, [Estimates()]).step == 4
    assert [told.cheaper for told in heard if told is not None] == [""]


def test_an_architecture_without_a_width_is_told_of_fewer_steps():
    settings, trial = settings_and_trial(width=64)
    bare = replace(settings, architecture=replace(settings.architecture, options=None))
    assert with_cheaper(estimate(50.0, 1000), bare, trial).cheaper == "steps=72"
