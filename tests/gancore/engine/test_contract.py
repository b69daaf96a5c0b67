"""What networks do against the contract is told before a training begins, and to be looked at changes nothing in them."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from toys import pictures as toys

from gancore.api import train
from gancore.configuration.configure import configure
from gancore.engine import contract
from gancore.engine.build import build_game
from gancore.engine.contract import try_game
from gancore.errors import DataError, PluginError


class Network(nn.Module):
    """One weight, `forward` as a test wants it, and attributes."""

    def __init__(self, forward, *, trained=True, **attributes):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1), requires_grad=trained)
        self.forward = forward
        vars(self).update(attributes)


def generator(forward=lambda z, condition: z.new_zeros(len(z), 1, 4, 4), **attributes):
    return Network(forward, **({"latent_shape": (3,)} | attributes))


def discriminator(forward=lambda x, condition: x.flatten(1).sum(1), **attributes):
    return Network(forward, **attributes)


def pair(**changed):
    return {"generator": generator(), "discriminator": discriminator()} | changed


def learning():
    judge = Network(lambda x, condition: (judge.weight * x).flatten(1).sum(1))
    return judge


def train_on(networks, folder, monkeypatch, **options):
    monkeypatch.setattr(toys, "build_pair", lambda options, spec: networks)
    return train(plugin="toy", out=folder, registry=toys.new_registry(), options={**toys.SMALL, **options})


@pytest.mark.parametrize(
    ("networks", "words"),
    [
        (pair(generator=generator(latent_shape=None)), r"generator.latent_shape is None; give a tuple"),
        (pair(generator=generator(latent_shape=(0,))), r"generator.latent_shape is \(0,\)"),
        (pair(generator=generator(trained=False)), "the generator has no trainable parameter"),
        (pair(discriminator=discriminator(trained=False)), "the discriminator has no trainable parameter"),
        (pair(discriminator=nn.LazyLinear(1)), "the discriminator has layers that do not know their sizes yet"),
        (
            pair(generator=generator(lambda z: z)),
            r"the generator's forward takes \(z\), and is called as generator\(z, condition\)",
        ),
        (
            pair(discriminator=discriminator(lambda x: x)),
            r"the discriminator's forward takes \(x\), and is called as discriminator\(x, condition\)",
        ),
        (
            pair(generator=generator(lambda z, condition: z)),
            r"for 8 latents the generator made float32 \[8, 3\], the spec says \[8, 1, 4, 4\]",
        ),
        (
            pair(generator=generator(lambda z, condition: z.new_zeros(len(z), 1, 4, 4).long())),
            r"samples are int64 \[8, 1, 4, 4\]; relaxed samples are floating-point numbers",
        ),
        (
            pair(discriminator=discriminator(lambda x, condition: x.flatten(1).sum(1)[None])),
            r"for 8 real samples the discriminator gave logits float32 \[1, 8\], not \[8\] or \[8, places\]",
        ),
        (
            pair(discriminator=discriminator(lambda x, condition: [x.flatten(1).sum(1), None])),
            r"for 8 real samples the discriminator gave logits a NoneType, not \[8\]",
        ),
        (
            pair(discriminator=discriminator(lambda x, condition: [])),
            "the discriminator gave no logits of real samples",
        ),
        (
            pair(generator=generator(lambda z, condition: z.new_full((len(z), 1, 4, 4), torch.nan))),
            r"of 8 samples that the generator made, 8 are not finite \(NaN or infinity\), at test_contract.py:\d+ in <lambda>$",
        ),
    ],
)
def test_network_against_the_contract_is_told_with_its_architecture_before_there_is_a_run(
    networks, words, tmp_path, monkeypatch
):
    with pytest.raises(PluginError, match=f"^architecture 'toy:pair': .*{words}"):
        train_on(networks, tmp_path / "run", monkeypatch)
    assert not (tmp_path / "run").exists()


def test_networks_that_can_be_trained_are_not_refused_by_the_trial(tmp_path, monkeypatch):
    class Double(Network):
        def __init__(self):
            super().__init__(
                lambda z, condition: self.weight.double() * z.new_zeros(len(z), 1, 4, 4), latent_shape=(3,)
            )

    def in_fours(x, condition):
        return (judge.weight * x.reshape(4, len(x) // 4, -1)).sum(2).flatten()

    judge = Network(in_fours)
    networks = pair(generator=Double(), discriminator=judge)
    assert train_on(networks, tmp_path / "run", monkeypatch, steps=1).step == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x, y: (x[:1], None if y is None else y[:1]), "fetch returned 1 samples for 8 indices"),
        (lambda x, y: (x.double(), y), "samples are float64 .*, the spec says float32"),
        (lambda x, y: (x, torch.zeros(len(x), dtype=torch.int64)), "its spec has 0 classes, and fetch returned some"),
        (
            lambda x, y: (x[..., :2], y),
            r"spec.relax made float32 \[8, 1, 4, 2\] of float32 \[8, 1, 4, 2\], the spec says \[8, 1, 4, 4\]",
        ),
    ],
)
def test_samples_against_the_contract_are_told_with_their_data_set(change, words, tmp_path, monkeypatch):
    usual = toys.ToyData.fetch
    monkeypatch.setattr(toys.ToyData, "fetch", lambda self, indices, draws: change(*usual(self, indices, draws)))
    with pytest.raises(PluginError, match=f"^data set 'toy:toy': {words}"):
        train_on(pair(), tmp_path / "run", monkeypatch)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("finite", [0, 1])
def test_data_of_which_no_sample_is_finite_are_refused(tmp_path, monkeypatch, finite):
    def spoiled(self, indices, draws):
        x, y = usual(self, indices, draws)
        return torch.where((indices < len(self) - finite).reshape(-1, 1, 1, 1), torch.nan, x), y

    usual = toys.ToyData.fetch
    monkeypatch.setattr(toys.ToyData, "fetch", spoiled)
    if finite:  # though not among the first
        assert train_on(pair(discriminator=learning()), tmp_path / "run", monkeypatch, steps=1).step == 1
        return
    words = r"^data set 'toy:toy': none of the 64 samples that were looked at is finite once it is relaxed"
    with pytest.raises(DataError, match=words):
        train_on(pair(), tmp_path / "run", monkeypatch)
    assert not (tmp_path / "run").exists()


def test_generator_that_is_finite_in_training_alone_is_no_reason_to_refuse_it(tmp_path, monkeypatch):
    def made(z, condition):
        return maker.weight * z.new_full((len(z), 1, 4, 4), 0.0 if maker.training else torch.nan)

    maker = generator(made)
    networks = pair(generator=maker, discriminator=learning())
    assert train_on(networks, tmp_path / "run", monkeypatch, steps=1).step == 1


def test_trial_leaves_networks_and_random_numbers_as_they_were(toys_registry):
    layer = {"data": "toy", "architecture": {"name": "pair", "norm": "plain", "spectral_norm": "both"}}
    settings = configure(toys_registry, plugin="toy", layers=[layer])
    source = settings.data.build(lambda *_: None)
    game = build_game(settings, source.spec, source)
    game.networks["generator"].layers[0].eval()
    modes = [part.training for network in game.networks.values() for part in network.modules()]
    before = {(n, k): v.clone() for n, m in game.networks.items() for k, v in m.state_dict().items()}
    state = torch.get_rng_state()
    try_game(settings, game, source)
    assert torch.equal(torch.get_rng_state(), state)
    assert [part.training for network in game.networks.values() for part in network.modules()] == modes
    for (name, key), value in before.items():
        assert torch.equal(game.networks[name].state_dict()[key], value)


@pytest.mark.parametrize(("batch_size", "large", "count"), [(64, False, 64), (64, True, 8), (24, True, 24)])
def test_large_networks_are_tried_on_few_samples(toys_registry, monkeypatch, batch_size, large, count):
    def made(z, condition):
        counts.append(len(z))
        return z.new_zeros(len(z), 1, 4, 4)

    counts = []
    monkeypatch.setattr(contract, "LARGE", 1 if large else contract.LARGE)  # both networks have a parameter
    monkeypatch.setattr(toys, "build_pair", lambda options, spec: pair(generator=generator(made)))
    layer = {"data": "toy", "architecture": "pair", "batch_size": batch_size}
    settings = configure(toys_registry, plugin="toy", layers=[layer])
    source = settings.data.build(lambda *_: None)
    try_game(settings, build_game(settings, source.spec, source), source)
    assert counts == [count]


@pytest.mark.parametrize("kind", ["generator", "discriminator"])
def test_buffers_that_a_network_moves_in_evaluation_are_put_back(kind, toys_registry, monkeypatch):
    def count(x, condition):
        network.calls += 1
        return usual.forward(x, condition)

    usual = pair()[kind]
    network = {"generator": generator, "discriminator": discriminator}[kind](count)
    network.register_buffer("calls", torch.zeros(()))
    monkeypatch.setattr(toys, "build_pair", lambda options, spec: pair(**{kind: network}))
    settings = configure(toys_registry, plugin="toy", layers=[{"data": "toy", "architecture": "pair"}])
    source = settings.data.build(lambda *_: None)
    try_game(settings, build_game(settings, source.spec, source), source)
    assert network.calls == 0
