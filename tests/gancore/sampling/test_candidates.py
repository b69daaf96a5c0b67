"""Samples that the discriminator chooses among several."""

from __future__ import annotations

import json
import math
import sys

import pytest
import torch
from toys import pictures as toys
from toys.runs import begin

import gancore
from gancore import hookimpl
from gancore.components import Architecture, Game, Metric, PluginInfo
from gancore.configuration.run_config import Candidates
from gancore.data.spec import SampleSpec
from gancore.errors import ConfigError, UsageError
from gancore.evaluation.records import Figure, Measured
from gancore.games.gan import GanGame
from gancore.random import Draws
from gancore.sampling.candidates import Chooser


class Coin(SampleSpec):
    """One value, 0 or 1; relaxed -1 or 1."""

    shape: tuple[int, ...] = (1,)
    dtype: str = "uint8"
    value_range: tuple[float, float] = (0.0, 1.0)


class Scale(torch.nn.Module):
    """The logit of 1 is `factor`, and that of 0 its opposite; of a class, so many times as much."""

    def __init__(self, factor: float, heads: int = 1) -> None:
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(factor))
        self.drop = torch.nn.Dropout(0.5)
        self.heads = heads

    def forward(self, x, condition):
        logit = self.drop(self.factor * x[:, 0])
        if condition is not None:
            logit = logit * condition
        return logit if self.heads == 1 else [2.0 * logit] + [0.5 * logit] * (self.heads - 1)


def toss(count: int, share: float = 0.5):
    """A function of seeds to `count` coins, of which so many show 1."""
    return lambda seed: (Draws(seed, torch.arange(count)).uniform("coin", 1) < share).to(torch.uint8)


def expected(share: float, ratio: float, count: int) -> float:
    """How often 1, made with probability `share`, is chosen where it weighs `ratio` times as much as 0."""
    ways = (math.comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(count + 1))
    return sum(w * k * ratio / (k * ratio + count - k) for k, w in enumerate(ways))


@pytest.mark.parametrize(
    ("count", "sharpness", "factor", "share"),
    [(2, 1.0, 0.5, 0.5), (5, 1.0, 0.5, 0.5), (5, 2.0, 0.5, 0.3), (3, 0.0, 9.0, 0.3), (4, 0.5, -1.0, 0.5)],
)
def test_one_is_chosen_with_probability_in_proportion_to_the_exponential_of_its_logit(count, sharpness, factor, share):
    n = 40_000
    chooser = Chooser(Scale(factor), Coin(), Candidates(count=count, sharpness=sharpness))
    found = chooser(toss(n, share), 3, None).float().mean().item()
    p = expected(share, math.exp(2.0 * factor * sharpness), count)
    assert found == pytest.approx(p, abs=4.0 * math.sqrt(p * (1 - p) / n))


def test_among_many_those_of_a_perfect_discriminator_follow_the_data():
    # Ones are 1 in 5 of what is made and 3 in 5 of the data: the odds differ by a factor of 6.
    n = 20_000
    chooser = Chooser(Scale(math.log(6.0) / 2.0), Coin(), Candidates(count=50))
    assert chooser(toss(n, 0.2), 0, None).float().mean().item() == pytest.approx(0.6, abs=0.02)


def test_a_sample_is_chosen_independently_of_how_many_there_are():
    chooser = Chooser(Scale(1.0), Coin(), Candidates(count=3))
    many = chooser(toss(300), 5, None)
    assert torch.equal(chooser(toss(70), 5, None), many[:70])
    assert not torch.equal(chooser(toss(300), 6, None), many)


def test_classes_and_heads_are_judged_and_dropout_is_off():
    classes = torch.tensor([0, 1, 2])
    coins = torch.tensor([[1], [1], [0]], dtype=torch.uint8)
    chooser = Chooser(Scale(0.5).train(), Coin(), Candidates(count=2))
    assert chooser.logits(coins, classes).tolist() == [0.0, 0.5, -1.0]
    three = Chooser(Scale(0.5, heads=3), Coin(), Candidates(count=2))
    assert three.logits(coins, None).tolist() == [0.5, 0.5, -0.5]


def test_places_in_a_sample_count_by_their_mean():
    class Places(Scale):
        def forward(self, x, condition):
            return super().forward(x, condition)[:, None, None] * torch.tensor([[1.0, 3.0], [5.0, 7.0]])

    chooser = Chooser(Places(0.5), Coin(), Candidates(count=2))
    assert chooser.logits(torch.tensor([[1], [0]], dtype=torch.uint8), None).tolist() == [2.0, -2.0]


# --- of a run -----------------------------------------------------------------------------------------------------------


class Mixing(toys.ToyDiscriminator):
    mixes_batch = True


class Unjudged(GanGame):
    judge = None


def build(options, spec):
    pair = toys.build_pair(options, spec)
    return {"generator": pair["generator"], "discriminator": Mixing(options, spec)}


def measure(spec):
    return lambda material: Measured({"mean": Figure(value=float(material.generated.x.mean()))})


@hookimpl
def gan_metrics():
    yield Metric(name="mean", summary="For a test", target=f"{__name__}:measure")


@hookimpl
def gan_plugin_info():
    return PluginInfo(summary="For a test", api_version=1)


@hookimpl
def gan_architectures():
    yield Architecture(
        name="mixing", summary="For a test", target=f"{__name__}:build", options="toys.pictures:NetOptions"
    )


@hookimpl
def gan_games():
    yield Game(name="unjudged", summary="For a test", target=f"{__name__}:Unjudged", options="gancore.games.gan:GanOptions",
               players=("discriminator", "generator"))  # fmt: skip


def registry():
    return toys.new_registry(judges=sys.modules[__name__])


def run(path, **options):
    return begin(path, 3, registry=registry(), **options).folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return run(tmp_path_factory.mktemp("chosen") / "run", held_out=0.25)


def load(folder, **options):
    options = {f"candidates.{k}": v for k, v in options.items()}
    return gancore.load(folder, registry=registry(), device="cpu", options=options)


def test_candidates_can_be_asked_for_when_a_run_is_loaded(folder):
    plain, sharp = load(folder), load(folder, count=8, sharpness=1000.0)
    assert plain.chooser is None
    usual, chosen = plain.sample(50, seed=1), sharp.sample(50, seed=1)
    same = [torch.equal(a, b) for a, b in zip(usual, chosen, strict=True)]
    assert 0 < sum(same) < 25
    # So sharp a choice is that of the highest logit, or of one that is lower by a few thousandths.
    logits = sharp.chooser.logits
    gained = logits(chosen, None) - logits(usual, None)
    assert gained.min() > -0.02
    assert gained.mean() > 0.005
    assert torch.equal(load(folder, count=8, sharpness=1000.0).sample(9, seed=1), chosen[:9])


def test_a_run_that_says_so_samples_and_is_evaluated_with_candidates(tmp_path):
    folder = run(tmp_path / "run", **{"candidates.count": 3, "held_out": 0.25})
    generator = load(folder)
    assert not torch.equal(generator.sample(30), load(folder, count=1).sample(30))
    found = gancore.evaluate(folder, samples=20, metrics=["judges:mean"], registry=registry(), device="cpu")
    assert found.protocol.candidates == {"count": 3, "sharpness": 1.0}
    assert any("chosen among 3 samples by the discriminator" in note for note in found.notes)
    kept = json.loads(next((folder / "evaluations").glob("*.json")).read_text())
    assert kept["protocol"]["candidates"]["count"] == 3


def test_an_evaluation_can_ask_for_candidates(folder):
    found = gancore.evaluate(
        folder, samples=20, metrics=["judges:mean"], registry=registry(), device="cpu", options={"candidates.count": 2}
    )
    assert found.protocol.candidates == {"count": 2, "sharpness": 1.0}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"architecture": "judges:mixing"}, "architecture 'judges:mixing' judges whole batches"),
        ({"game": "judges:unjudged"}, "game 'judges:unjudged' has no discriminator that could choose"),
    ],
)
def test_a_discriminator_that_cannot_choose_is_told_of_before_and_after_training(tmp_path, options, words):
    with pytest.raises(UsageError, match=words):
        run(tmp_path / "never", **options, **{"candidates.count": 2})
    made = run(tmp_path / "run", **options)
    with pytest.raises(UsageError, match=words):
        load(made, count=2)
    load(made, count=1).sample(2)


def test_a_mistake_in_candidates_is_told(folder):
    with pytest.raises(ConfigError, match=r"candidates\.count"):
        load(folder, count=0)
