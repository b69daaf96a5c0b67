"""Generators that draw final samples in their own way, know how likely they are, and are kept beside one another."""

from __future__ import annotations

import copy
import io
import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import Field
from torch.distributions import Normal
from toys import pictures as toys
from toys.runs import begin

import gancore
from gancore import hookimpl
from gancore.components import Architecture, Game, Metric, OtherGenerator, PluginInfo
from gancore.errors import ConfigError, NonFiniteError, RunFolderError, UsageError
from gancore.evaluation.records import Figure, Measured, faults
from gancore.games.gan import GanGame
from gancore.options import Options
from gancore.random import Draws, derive

SEEN = []


class Sampling(Options):
    """How far from the mean."""

    spread: float = Field(0.5, ge=0.0, le=1.0, description="Factor of the latent.")


class Spread(torch.nn.Module):
    """Samples `spread * z`, final or not; the toy's own discriminator looks at them."""

    latent_shape = (toys.LATENT,)

    def __init__(self):
        super().__init__()
        self.sampling = Sampling()
        self.weight = torch.nn.Parameter(torch.tensor(0.1))

    def forward(self, z, condition):
        return (self.weight * z.flatten(1)[:, :1, None, None]).expand(-1, 1, 4, 4).tanh()

    def sample(self, z, condition, sampling=None):
        spread = (sampling or self.sampling).spread
        return (spread * z.flatten(1)[:, :1, None, None].tanh()).expand(-1, 1, 4, 4).clone()

    def log_likelihood(self, hard, condition):
        return Normal(0.0, 1.0).log_prob(hard[:, 0, 0, 0])

    def export(self, folder, spec, condition):
        (folder / "weight.txt").write_text(f"{float(self.weight)} {spec.shape}")


def build(spec):
    pair = toys.build_pair(toys.NetOptions(), spec)
    return {"generator": Spread(), "discriminator": pair["discriminator"]}


class Keeping(GanGame):
    """The standard game, with a copy of the generator as it was at first."""

    def __init__(self, options, context):
        super().__init__(options, context)
        self.held_out = context.held_out
        self.networks["first"] = copy.deepcopy(self.networks["generator"]).requires_grad_(False)
        self.others = {f"first {s}": OtherGenerator(network="first", sampling={"spread": s}) for s in (0.25, 1.0)}
        SEEN.append(context)


def measure(spec):
    def look(material):
        SEEN.append(material)
        spreads = {name: float(s.x.std()) for name, s in material.others.items()}
        figure = Figure(value=float(material.generated.x.std()), others=spreads)
        buffer = io.BytesIO()
        Image.new("L", (3, 3)).save(buffer, "PNG")
        return Measured({"spread": figure}, {"nine-points": buffer.getvalue()})

    return look


@hookimpl
def gan_plugin_info():
    return PluginInfo(summary="For a test", api_version=1)


@hookimpl
def gan_architectures():
    yield Architecture(name="spread", summary="For a test", target=f"{__name__}:build")


@hookimpl
def gan_games():
    players = ("discriminator", "generator")
    yield Game(name="keeping", summary="For a test", target=f"{__name__}:Keeping", options="gancore.games.gan:GanOptions",
               players=players)  # fmt: skip


@hookimpl
def gan_metrics():
    yield Metric(name="measure", summary="For a test", target=f"{__name__}:measure")


def registry():
    return toys.new_registry(spread=sys.modules[__name__])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "run"
    options = {"architecture": "spread:spread", "game": "spread:keeping", "held_out": 0.25}
    return begin(path, 4, registry=registry(), **options).folder


@pytest.fixture(scope="module")
def generator(folder):
    return gancore.load(folder, registry=registry(), device="cpu")


def test_the_game_is_given_what_is_held_out_and_the_length_of_the_run(folder, generator):
    contexts = [c for c in SEEN if hasattr(c, "held_out") and hasattr(c, "steps")]
    training, loading = contexts[0], contexts[-1]
    assert training.steps == 4
    assert 0 < len(training.held_out) < 32
    assert loading.held_out is None


def test_samples_of_its_own_that_are_not_finite_are_refused(generator, monkeypatch):
    monkeypatch.setattr(Spread, "sample", lambda self, z, *_: torch.full((len(z), 1, 4, 4), torch.nan))
    with pytest.raises(NonFiniteError, match="the generator makes samples that are not finite"):
        generator.sample(2)


def test_samples_are_drawn_in_the_generators_own_way_and_as_asked(generator):
    usual = generator.sample(100, seed=1)
    torch.testing.assert_close(generator.sample(100, seed=1, sampling={"spread": 0.25}), usual / 2)
    assert generator.sample(100, seed=1, sampling={"spread": 0.0}).abs().max() == 0


def test_how_samples_are_drawn_can_be_said_when_a_run_is_loaded(folder, generator):
    other = gancore.load(folder, registry=registry(), device="cpu", options={"sampling.spread": 0.25})
    assert other.sampling == Sampling(spread=0.25)
    torch.testing.assert_close(other.sample(9), generator.sample(9) / 2)


@pytest.mark.parametrize(
    ("sampling", "words"),
    [
        ({"spraed": 1.0}, "sampling.spraed: no such option (did you mean 'spread'?)"),
        ({"spread": 2.0}, "sampling.spread: "),
    ],
)
def test_a_mistake_in_how_to_sample_is_told(generator, sampling, words):
    with pytest.raises(ConfigError) as caught:
        generator.sample(2, sampling=sampling)
    assert words in str(caught.value)


def test_a_generator_with_one_way_of_sampling_says_so(tmp_path):
    begin(tmp_path / "run", 1, registry=registry())
    plain = gancore.load(tmp_path / "run", registry=registry(), device="cpu")
    assert plain.sampling is None
    with pytest.raises(ConfigError, match="one way of drawing samples"):
        plain.sample(2, sampling={"temperature": 0.5})
    with pytest.raises(UsageError, match="cannot tell how likely"):
        plain.log_likelihood(plain.sample(2))
    with pytest.raises(UsageError, match="nothing to export"):
        plain.export(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_sheets_of_a_run_are_drawn_in_the_generators_own_way(folder, generator):
    sheet = np.loadtxt(folder / "samples" / "step-00000004.txt")
    z = Draws(derive(0, "sheets"), torch.arange(4)).normal("z", toys.LATENT)
    expected = generator.sampling.spread * z[:, 0].tanh()
    np.testing.assert_allclose(sheet.reshape(4, -1)[:, 0], expected, rtol=1e-5)


def test_likelihoods_are_the_generators_own_whatever_the_number_of_samples(generator):
    samples = generator.sample(150)
    expected = Normal(0.0, 1.0).log_prob(samples[:, 0, 0, 0])
    torch.testing.assert_close(generator.log_likelihood(samples), expected)


def test_the_other_generators_are_restored_with_their_own_sampling(generator):
    assert set(generator.others) == {"first 0.25", "first 1.0"}
    narrow, wide = (generator.others[f"first {s}"].sample(50, seed=2) for s in (0.25, 1.0))
    torch.testing.assert_close(narrow * 4, wide)
    assert float(generator.others["first 1.0"].module.weight) == pytest.approx(0.1)
    assert float(generator.module.weight) != pytest.approx(0.1, abs=1e-9)


def test_an_evaluation_shows_the_others_and_keeps_pictures_beside_the_figures(folder):
    found = gancore.evaluate(folder, metrics=["spread:measure"], samples=60, registry=registry(), device="cpu")
    material = SEEN[-1]
    assert found.others == ("first 0.25", "first 1.0")
    (row,) = found.rows()
    assert row["first 1.0"] > row["generated"] > row["first 0.25"] > 0
    assert len(material.others["first 1.0"]) == 60
    torch.testing.assert_close(
        material.log_likelihood(material.real), Normal(0.0, 1.0).log_prob(material.real.x[:, 0, 0, 0])
    )
    assert set(material.others_log_likelihood) == set(found.others)
    (picture,) = found.pictures
    assert picture.name == f"{found.path.stem}-nine-points.png"
    assert Image.open(picture).size == (3, 3)
    kept = json.loads(found.path.read_text())
    assert kept["pictures"] == [picture.name]
    assert kept["figures"]["spread:measure"]["spread"]["others"].keys() == set(found.others)


def test_an_export_writes_into_a_folder_that_is_empty(generator, tmp_path):
    (file,) = generator.export(tmp_path / "model")
    assert file.read_text().endswith("(1, 4, 4)")
    with pytest.raises(RunFolderError, match="exists already"):
        generator.export(tmp_path / "model")


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        ({"a": b"GIF89a"}, "no PNG"),
        ({"../a": b"\x89PNG\r\n\x1a\n"}, "a name that cannot be"),
        ({"a": "text"}, "no PNG"),
    ],
)
def test_pictures_that_are_none_are_told(pictures, words):
    (fault,) = faults(Measured({"figure": 1.0}, pictures))
    assert words in fault


def test_figures_of_others_must_be_numbers_too():
    (fault,) = faults({"figure": Figure(value=1.0, others={"first": float("nan")})})
    assert fault == "first of 'figure' is nan"
    assert not faults(Measured({"figure": Figure(value=1.0, others={"first": 2.0})}))
