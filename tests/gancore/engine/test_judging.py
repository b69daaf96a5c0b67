"""Figures while training: when and of what they are computed, which evaluation is the best, what is kept of it, and when it ends."""

from __future__ import annotations

import os
import shutil
import signal
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file
from toys import pictures as toys
from toys.runs import begin, go_on, load, rows

import gancore
from gancore import checkpoint
from gancore.api import plan
from gancore.errors import CheckpointError, ConfigError
from gancore.evaluation.live import check_evaluation
from gancore.evaluation.records import Figure

EVERY = {
    "every.evaluate": 2,
    "every.checkpoint": 3,
    "every.log": 4,
    "evaluate.samples": 20,
    "evaluate.features": "points",
}
SCRIPTED = {**EVERY, "evaluate.metrics": "scripted:value", "best.metric": "scripted:value/value"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_CACHE_DIR", str(tmp_path / "cache"))


class Heard:
    """Remembers ticks; interrupts, in effect by Ctrl-C, when the checkpoint of a step is saved."""

    def __init__(self, interrupt=0):
        self.interrupt = interrupt
        self.ticks = []

    @gancore.hookimpl
    def gan_tick(self, event):
        self.ticks.append(event)

    @gancore.hookimpl
    def gan_checkpoint_saved(self, event):
        if event.step == self.interrupt:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def scripted(plugin_module):
    """Runs whose only figure has the values that it is given, one for each evaluation."""

    def run(folder, values, steps=20, listeners=(), resumed=False, **more):
        module: ModuleType = plugin_module("""
            @hookimpl
            def gan_metrics():
                yield Metric(name="value", summary="As a test says", target="scripted:value")
        """)
        given = iter(values)

        def measure(material):
            value = next(given)
            if isinstance(value, Exception):
                raise value
            return {"value": value}

        module.value = lambda spec: measure
        registry = toys.new_registry(scripted=module)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(__import__("sys").modules, "scripted", module)
            if resumed:
                more["steps"] = steps
                return gancore.resume(folder, registry=registry, listeners=listeners, options=more)
            return begin(folder, steps, listeners, registry=registry, **(SCRIPTED | more))

    return run


def kept(folder):
    return checkpoint.steps_of(folder / "checkpoints" / "best")


def weights(folder, step):
    place = folder / "checkpoints" / f"step-{step:08d}"
    return {file.name: load_file(file) for file in place.glob("*.safetensors")}


# --- what is computed -------------------------------------------------------------------------------------------------


def test_figures_come_when_they_are_due_beside_those_of_real_samples(tmp_path):
    heard = Heard()
    done = begin(tmp_path / "run", 9, [heard], **EVERY)
    written = {row["step"]: row for row in rows(tmp_path / "run")}
    assert [step for step, row in written.items() if "evaluate/mind-points" in row] == [2, 4, 6, 8]
    assert {"evaluate/neighbours/coverage-points", "evaluate-real/neighbours/coverage-points"} <= written[2].keys()
    assert len({row["evaluate-real/mind-points"] for step, row in written.items() if step != 9}) == 1
    by_step = {tick.step: tick.evaluated for tick in heard.ticks}
    last = by_step[9]
    assert (last.step, last.metric) == (8, "mind-points")
    assert last.value == written[8]["evaluate/mind-points"] == heard.ticks[-2].scalars["evaluate/mind-points"]
    assert last.real == written[8]["evaluate-real/mind-points"]
    assert last.best == min(row["evaluate/mind-points"] for row in written.values() if "evaluate/mind-points" in row)
    assert done.evaluated == last


def test_a_run_with_figures_has_the_weights_of_one_without(tmp_path):
    begin(tmp_path / "with", 6, **EVERY)
    begin(tmp_path / "without", 6, **(EVERY | {"every.evaluate": 0}))
    one, other = weights(tmp_path / "with", 6), weights(tmp_path / "without", 6)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[file][k], other[file][k]) for file in one for k in one[file])


def test_figures_are_those_that_an_evaluation_of_the_same_samples_has(tmp_path):
    """By hand: the mean of the squared differences of sorted values along a direction needs no code of the metric."""
    begin(tmp_path / "run", 2, **EVERY, **{"data.length": 60, "evaluate.metrics": "frechet", "held_out": 0.4})
    figure = rows(tmp_path / "run")[0]["evaluate/frechet-points-pca2"]
    generator = load(tmp_path / "run")
    from gancore.data.report import silent
    from gancore.evaluation.distances import PrincipalComponents, frechet
    from gancore.evaluation.reference import reference_of_run
    from gancore.random import derive

    source = generator.settings.data.build(silent)
    reference = reference_of_run(source, 0.4, usual=20, count=20, seed=0, progress=silent)
    ours = generator.sample(20, seed=derive(generator.settings.run.seed, "evaluate")).flatten(1)
    real = reference.real.x.flatten(1)
    reduced = PrincipalComponents.of(real, 2)
    assert figure == pytest.approx(frechet(reduced(ours), reduced(real)), rel=1e-5)


@pytest.mark.parametrize("options", [toys.HALVES, {"data.labels": True}, {"data.length": 2}])
def test_figures_are_computed_whatever_generators_are_given_and_however_few_samples_there_are(tmp_path, options):
    begin(tmp_path / "run", 2, **(EVERY | options))
    (row,) = rows(tmp_path / "run")
    few = "data.length" in options  # two halves of one sample each say nothing
    assert [alert[:29] for alert in row.get("alerts", ())] == few * ["step 2: there are no figures:"]
    assert ("evaluate/mind-points" in row) != few


# --- the best ---------------------------------------------------------------------------------------------------------


def test_the_checkpoint_of_the_best_evaluation_is_kept_whole_beside_the_newest(tmp_path, scripted):
    done = scripted(tmp_path / "run", [5.0, 2.0, 3.0, 4.0], steps=9)
    assert (done.evaluated.best_step, done.evaluated.best) == (4, 2.0)
    assert kept(tmp_path / "run") == [4]
    assert checkpoint.steps_of(tmp_path / "run/checkpoints") == [6, 9]
    best = checkpoint.verify(tmp_path / "run/checkpoints/best/step-00000004")
    assert best.step == 4
    assert {*best.networks, *best.players} == {"ema", "discriminator", "generator"}


def test_an_earlier_best_stays_as_long_as_an_older_checkpoint_may_be_gone_back_to(tmp_path, scripted):
    scripted(tmp_path / "run", [5.0, 4.0, 3.0, 2.0], steps=8, **{"every.checkpoint": 5})
    assert (checkpoint.steps_of(tmp_path / "run/checkpoints"), kept(tmp_path / "run")) == ([6, 8], [6, 8])
    scripted(tmp_path / "other", [5.0, 4.0, 3.0, 2.0], steps=8, keep=4, **{"every.checkpoint": 3})
    assert checkpoint.steps_of(tmp_path / "other/checkpoints") == [3, 4, 6, 8]
    assert kept(tmp_path / "other") == [2, 4, 6, 8]


def test_samples_of_the_best_are_those_of_a_run_that_ended_there(tmp_path, scripted):
    scripted(tmp_path / "run", [1.0, 2.0, 3.0], steps=6)
    begin(tmp_path / "short", 2)
    generator = load(tmp_path / "run", step="best")
    assert generator.step == 2
    assert torch.equal(generator.sample(5), load(tmp_path / "short").sample(5))


def test_a_run_without_figures_has_no_best(tmp_path):
    begin(tmp_path / "run", 2)
    with pytest.raises(CheckpointError, match="keeps no best checkpoint, because no figures were computed"):
        load(tmp_path / "run", step="best")


@pytest.mark.parametrize(
    ("figures", "options", "best"),
    [
        ([3.0, 1.0, 2.0], {}, 4),
        ([3.0, 1.0, 2.0], {"best.higher": True}, 2),
        ([Figure(value=0.2, floor=0.9), Figure(value=0.8, floor=0.9), Figure(value=0.5, floor=0.9)], {}, 4),
        ([Figure(value=9.0, real=5.0), Figure(value=1.0, real=5.0), Figure(value=4.0, real=5.0)], {}, 6),
        ([Figure(value=9.0, real=5.0), Figure(value=1.0, real=5.0)] * 2, {"best.higher": False}, 4),
    ],
)
def test_the_best_is_nearest_to_real_samples_or_lowest_unless_it_is_said(tmp_path, scripted, figures, options, best):
    assert scripted(tmp_path / "run", figures, steps=6, **options).evaluated.best_step == best


def test_equal_figures_are_no_improvement_and_those_that_are_not_finite_none_either(tmp_path, scripted):
    done = scripted(tmp_path / "run", [float("nan"), 2.0, 2.0, float("nan")], steps=8)
    assert done.evaluated.best_step == 4


def test_a_metric_that_fails_is_told_once_and_ends_nothing(tmp_path, scripted):
    done = scripted(tmp_path / "run", [ValueError("odd"), 3.0, ValueError("odd"), 2.0], steps=8)
    told = [alert for row in rows(tmp_path / "run") for alert in row.get("alerts", [])]
    assert (done.outcome, done.evaluated.best_step, len(told)) == ("completed", 8, 1)
    assert told[0].startswith("step 2: figures of 'scripted:value' could not be computed: ValueError: odd")


# --- going on ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [3, 6])
def test_a_resumed_run_has_the_figures_and_the_best_of_an_uninterrupted_one(tmp_path, step):
    done = begin(tmp_path / "whole", 11, **EVERY)
    begin(tmp_path / "run", 11, [Heard(interrupt=step)], **EVERY)
    again = go_on(tmp_path / "run")
    assert rows(tmp_path / "run") == rows(tmp_path / "whole")
    assert (again.evaluated.best_step, again.evaluated.best) == (done.evaluated.best_step, done.evaluated.best)
    assert kept(tmp_path / "run") == kept(tmp_path / "whole")


def test_a_run_ends_when_nothing_has_improved_for_so_long(tmp_path, scripted):
    done = scripted(tmp_path / "run", [5.0, 4.0, 4.5, 6.0, 1.0], **{"stop.patience": 2})
    assert (done.step, done.outcome) == (8, "stopped")
    words = "has not improved in the last 2 evaluations (stop.patience=2); it was best at step 4, with 4"
    assert done.reason == f"scripted:value/value {words}"
    assert checkpoint.steps_of(tmp_path / "run/checkpoints")[-1] == 8


def test_patience_is_counted_over_interruptions(tmp_path, scripted):
    scripted(tmp_path / "run", [5.0, 4.0, 4.5], listeners=[Heard(interrupt=6)], **{"stop.patience": 3})
    done = scripted(tmp_path / "run", [6.0, 7.0, 1.0], resumed=True)
    assert (done.step, done.outcome, done.evaluated.best_step) == (10, "stopped", 4)


def test_a_best_that_came_after_the_checkpoint_gone_on_from_is_forgotten(tmp_path, scripted):
    scripted(tmp_path / "run", [5.0, 4.0, 3.0], steps=6, keep=3)
    for step in (4, 6):
        shutil.rmtree(tmp_path / f"run/checkpoints/step-{step:08d}")
    done = scripted(tmp_path / "run", [6.0, 7.0], resumed=True, steps=6)
    assert (done.step, done.evaluated.best_step, done.evaluated.best) == (6, 2, 5.0)
    assert kept(tmp_path / "run") == [2]


def test_a_run_goes_on_from_its_best_in_the_place_of_those_after_it(tmp_path, scripted):
    scripted(tmp_path / "run", [5.0, 4.0, 6.0, 7.0], steps=20, **{"stop.patience": 2})
    places = tmp_path / "run/checkpoints"
    for path in places.glob("step-*"):
        shutil.rmtree(path)
    shutil.copytree(places / "best/step-00000004", places / "step-00000004")
    done = scripted(tmp_path / "run", [3.0, 8.0], resumed=True, steps=8)
    assert (done.step, done.outcome, done.evaluated.best_step) == (8, "completed", 6)


def test_a_run_that_was_killed_before_it_kept_the_best_keeps_it_when_it_goes_on(tmp_path, scripted):
    scripted(tmp_path / "run", [5.0, 4.0], steps=4)
    shutil.rmtree(tmp_path / "run/checkpoints/best/step-00000004")
    (tmp_path / "run/checkpoints/best/step-00000004.tmp").mkdir()
    done = scripted(tmp_path / "run", [6.0], resumed=True, steps=6)
    assert (kept(tmp_path / "run"), done.evaluated.best_step) == ([4], 4)
    assert not list((tmp_path / "run/checkpoints/best").glob("*.tmp"))


def test_a_best_whose_checkpoint_is_damaged_no_longer_counts(tmp_path, scripted):
    scripted(tmp_path / "run", [5.0, 4.0], steps=4)
    file = tmp_path / "run/checkpoints/best/step-00000004/generator.safetensors"
    file.unlink()  # it is the same file as that in the other folder
    file.write_bytes(b"")
    with pytest.warns(
        UserWarning, match="of step 4, no longer counts: its checkpoint is damaged .*generator.safetensors"
    ):
        done = scripted(tmp_path / "run", [6.0], resumed=True, steps=6)
    assert (done.evaluated.best_step, done.evaluated.best) == (6, 6.0)


def test_a_best_of_other_figures_no_longer_counts(tmp_path, scripted):
    scripted(tmp_path / "run", [1.0], steps=2)
    with pytest.warns(
        UserWarning, match="of step 2, no longer counts: figures are now computed or compared in another"
    ):
        done = scripted(tmp_path / "run", [3.0], resumed=True, steps=4, **{"evaluate.samples": 10})
    assert (done.evaluated.best_step, done.evaluated.best) == (4, 3.0)


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stop.patience": 3}, "stop.patience: waits for figures, .* such as every.evaluate=500"),
        ({"best.metric": "mind-points"}, "best.metric: waits for figures, which are not computed"),
        (
            {"every.evaluate": 5},
            "every.evaluate: is more than the 4 steps of the run, .* such as every.evaluate=1, or 0",
        ),
        ({"every.evaluate": 2, "evaluate.metrics": "minds"}, "evaluate.metrics.minds: unknown metric .*'mind'"),
        ({"every.evaluate": 2, "evaluate.features": "none"}, "evaluate.features: names none"),
        ({**EVERY, "best.metric": "mind-pixels"}, "best.metric: 'mind-pixels' is not computed"),
        ({**EVERY, "best.metric": "frechet-points"}, "best.metric: 'frechet-points' is not computed"),
    ],
)
def test_what_cannot_be_computed_is_refused_before_anything_is_read(tmp_path, options, words):
    with pytest.raises(ConfigError, match=words):
        begin(tmp_path / "run", 4, **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("named", [{"stop.patience": 1}, {"best.metric": "mind-points"}])
def test_the_steps_of_a_preset_may_be_too_many_for_a_short_run_unless_something_waits_for_its_figures(tmp_path, named):
    settings = plan(plugin="toy", registry=toys.new_registry(), options={**toys.SMALL, **EVERY, "steps": 4})
    late = settings.updated(every={"evaluate": 5})
    assert check_evaluation(late, toys.new_registry()) is not None
    (section, option), value = next(iter(named)).split("."), next(iter(named.values()))
    with pytest.raises(ConfigError, match=f"{section}.{option}: waits for figures, and the first would come at step 5"):
        check_evaluation(late.updated(**{section: {option: value}}), toys.new_registry())


def test_samples_without_features_are_refused_with_what_can_be_done(tmp_path):
    words = (
        "every.evaluate: plugin 'toy' has no features of such samples, unless some are named: evaluate.features=points"
    )
    with pytest.raises(ConfigError, match=words):
        begin(tmp_path / "run", 4, **{"every.evaluate": 2})


@pytest.mark.parametrize(
    ("asked", "features"),
    [
        ({}, ["one"]),
        ({"evaluate.features.one": "none"}, ["two"]),
        ({"evaluate.features": "three,two"}, ["three", "two"]),
    ],
)
def test_only_the_first_default_features_are_computed_unless_some_are_named(plugin_module, asked, features):
    plugin = plugin_module("""
        @hookimpl
        def gan_features():
            for name in ("zero", "one", "two", "three"):
                default = name in ("one", "two")
                yield Features(name=name, summary="For a test", target="toys.pictures:Points", default=default)
    """)
    for hook in ("gan_datasets", "gan_architectures"):
        setattr(plugin, hook, getattr(toys, hook))
    registry = toys.new_registry(many=plugin)
    options = {"every.evaluate": 5, "data": "toy", "architecture": "pair", **asked}
    choice = check_evaluation(plan(plugin="many", registry=registry, options=options), registry)
    assert list(choice.features) == features
