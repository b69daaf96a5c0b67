"""One comparison serves any number of generated sets, as while a run trains."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch

from gancore.configuration.configure import configure
from gancore.data.classes import Content
from gancore.data.domains import in_domains
from gancore.data.report import ScanReport, silent
from gancore.data.spec import SampleSpec
from gancore.evaluation.comparison import Comparison, Made, choose
from gancore.evaluation.distances import mind
from gancore.evaluation.records import Samples
from gancore.evaluation.reference import reference_of_run
from gancore.plugins import Registry

COUNTED = """
import torch

from gancore.components import Features, Metric
from gancore.evaluation.records import Samples

SEEN = []


@hookimpl
def gan_features():
    yield Features(name="counted", summary="The points themselves", target="fake_counting:Counted")
    yield Features(name="broken", summary="None", target="fake_counting:Broken")


@hookimpl
def gan_metrics():
    yield Metric(name="own", summary="Of samples of its own", target="fake_counting:Own")


class Own:
    def __init__(self, spec):
        pass

    def __call__(self, material):
        (features,) = material.features.values()
        return {"own": float(features.of(Samples(torch.ones(3, 2))).sum())}


class Broken:
    fingerprint = "broken"

    def __init__(self, spec):
        pass

    def __call__(self, x):
        raise SystemExit("out of order")


class Counted:
    fingerprint = "counted"

    def __init__(self, spec):
        pass

    def __call__(self, x):
        SEEN.append(len(x))
        return x
"""


def test_real_samples_are_looked_at_once_however_many_sets_are_held_against_them(toy, fake_dist, tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_CACHE_DIR", str(tmp_path / "cache"))
    fake_dist("counting", COUNTED)
    import fake_counting

    registry = Registry()
    settings = configure(registry, plugin="toy")
    source = settings.data.build(silent)
    options = {"features": "counting:counted", "metrics": "mind"}
    comparison = Comparison(choose(registry, "toy", settings.data, options=options), source.spec, device="cpu")
    reference = reference_of_run(source, 0.25, usual=1000, count=10, seed=0, progress=silent)
    sets = [torch.randn(10, 2, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    found = [comparison.compare(Made(generated=Samples(x), run="r", step=7), reference) for x in sets]
    assert sum(fake_counting.SEEN) == len(reference.train) + len(reference.real) + 3 * 10
    values = [one.figures["mind"]["mind-counting:counted"].value for one in found]
    assert values[0] == values[1] != values[2]
    assert (found[0].step, found[0].protocol.reference) == (7, "held-out part")


def test_floors_are_computed_once_and_figures_are_those_of_a_comparison_of_its_own(
    toy, fake_dist, tmp_path, monkeypatch
):
    monkeypatch.setenv("GAN_CACHE_DIR", str(tmp_path / "cache"))
    fake_dist("counting", COUNTED)
    calls = []
    monkeypatch.setattr("gancore.evaluation.metrics.mind.mind", lambda *sets, **_: calls.append(sets) or mind(*sets))
    registry = Registry()
    settings = configure(registry, plugin="toy", layers=[{"data": {"labels": False}}])
    source = settings.data.build(silent)
    options = {"features": "counting:counted", "metrics": "mind,neighbours,nearest,frechet,kernel,vendi"}
    choice = choose(registry, "toy", settings.data, options=options)
    comparison, alone = (Comparison(choice, source.spec, device="cpu") for _ in range(2))
    for held_out, floors in ((0.25, 1), (0.0, 1)):
        reference = reference_of_run(source, held_out, usual=1000, count=10, seed=0, progress=silent)
        sets = [torch.randn(10, 2, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2, 3)]
        calls.clear()
        shared = [comparison.compare(Made(generated=Samples(x), run="r"), reference) for x in sets]
        assert len(calls) == 3 + floors
        own = alone.compare(Made(generated=Samples(sets[2]), run="r"), replace(reference))
        assert not own.failures
        assert shared[2].figures == own.figures


def test_features_that_fail_are_told_once_and_take_no_others_down(toy, fake_dist, tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_CACHE_DIR", str(tmp_path / "cache"))
    fake_dist("counting", COUNTED)
    registry = Registry()
    settings = configure(registry, plugin="toy")
    source = settings.data.build(silent)
    options = {"features": "counting:broken,counting:counted", "metrics": "mind,neighbours"}
    comparison = Comparison(choose(registry, "toy", settings.data, options=options), source.spec, device="cpu")
    reference = reference_of_run(source, 0.25, usual=1000, count=20, seed=0, progress=silent)
    found = comparison.compare(Made(generated=Samples(torch.randn(20, 2)), run="r"), reference, show=True)
    assert {name: failure.cause for name, failure in found.failures.items()} == {
        "counting:broken": "SystemExit: out of order, at fake_counting.py:45 in __call__"
    }
    assert {metric: len(figures) for metric, figures in found.figures.items()} == {"mind": 1, "neighbours": 4}
    assert [one.name for one in found.exhibits] == ["nearest", "best-and-worst"]


def test_features_that_no_metric_asks_for_choose_no_samples_to_look_at(toy, fake_dist):
    fake_dist("counting", COUNTED)
    import fake_counting

    registry = Registry()
    settings = configure(registry, plugin="toy")
    source = settings.data.build(silent)
    choice = choose(registry, "toy", settings.data, metrics=["gap"], options={"features": "counting:counted"})
    comparison = Comparison(choice, source.spec, device="cpu")
    reference = reference_of_run(source, 0.25, usual=1000, count=20, seed=0, progress=silent)
    found = comparison.compare(Made(generated=Samples(torch.randn(20, 2)), run="r"), reference, show=True)
    assert (found.exhibits, fake_counting.SEEN) == ((), [])
    assert list(found.figures) == ["gap"]


def test_features_of_a_metrics_own_samples_are_not_computed_of_all_to_choose_some_to_look_at(toy, fake_dist):
    fake_dist("counting", COUNTED)
    import fake_counting

    registry = Registry()
    settings = configure(registry, plugin="toy")
    source = settings.data.build(silent)
    choice = choose(registry, "toy", settings.data, metrics=["counting:own"], options={"features": "counting:counted"})
    comparison = Comparison(choice, source.spec, device="cpu")
    reference = reference_of_run(source, 0.25, usual=1000, count=20, seed=0, progress=silent)
    found = comparison.compare(Made(generated=Samples(torch.randn(20, 2)), run="r"), reference, show=True)
    assert not found.failures
    assert (found.exhibits, fake_counting.SEEN) == ((), [3])


def test_as_many_samples_are_generated_as_can_be_compared_but_a_hundred_at_least(toy):
    source = configure(Registry(), plugin="toy").data.build(silent)  # of 64 points
    for usual, count in ((1000, 100), (50, 50)):
        assert reference_of_run(source, 0.0, usual=usual, seed=0, progress=silent).count == count


def test_what_samples_show_has_the_numbers_of_the_run_in_other_data_too():
    own, other, strange = (InDomainsOf(names) for names in (("one", "three", "two"), ("three", "two"), ("four", "two")))
    there = partial(reference_of_run, own.source, 0.25, usual=1000, count=10, seed=0, progress=silent)
    reference = there(other=lambda: other.source)
    assert set(reference.train.content.tolist()) == {0, 1, 2}
    # Of other data, samples that are even show "three", which is 1 to the run, and those that are odd "two", which is 2.
    assert set(reference.real.content.tolist()) == {1, 2}
    numbers = reference.real.x.flatten(1)[:, 0].long() % 2
    assert torch.equal(reference.real.content, numbers + 1)
    assert there(other=lambda: strange.source).real.content is None


class InDomainsOf:
    """Rows of numbers in two domains, which show `names` in turn."""

    def __init__(self, names):
        self.spec = SampleSpec(shape=(1,), dtype="float32", value_range=(0.0, 1000.0), classes=("a", "b"))
        self.report, self.in_memory = ScanReport(source="rows", found=60, used=60), True
        self.offset = 100 * len(names)
        self.labels = torch.arange(60) // 30
        self.content = Content(torch.arange(60) % len(names), names)
        self.source = in_domains(self, translating="cut")

    def __len__(self):
        return 60

    def fetch(self, indices, draws):
        return (indices + self.offset).float()[:, None], self.labels[indices]
