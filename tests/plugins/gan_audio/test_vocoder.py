"""The game of a vocoder: its terms against hand computation, its gradients against plain autograd, and the kit's contract."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toys.vocoder import CONFIG, DATA, NET, new_registry, tones

from gan_audio.games.vocoder import Options, Vocoder, feature_matching, mel_distance
from gan_audio.nets import hifigan
from gan_audio.spec import AudioSpec
from gancore.components import GameContext
from gancore.configuration.configure import configure
from gancore.data.batch import Batch
from gancore.engine.build import build_game
from gancore.engine.loop import update
from gancore.errors import UsageError
from gancore.games.player import Player
from gancore.plugins import Registry
from gancore.random import Draws
from gancore.targets import resolve
from gancore.testing import conformance

SPEC = AudioSpec.of(**DATA)
COUNT = 6


def networks() -> dict[str, nn.Module]:
    torch.manual_seed(3)
    return {n: m.double() for n, m in hifigan.build(hifigan.Options(**NET), SPEC).items()}


def batch() -> Batch:
    waves = tones(COUNT, SPEC.length).double()
    return Batch(
        hard=waves, condition=None, positions=torch.arange(COUNT), step=0, given=SPEC.given_part(waves).double()
    )


def loss_of(name: str) -> Any:
    record = Registry(entries=[]).load("gancore").records["loss"][name]
    return resolve(record.target)(resolve(record.options)()) if record.options else resolve(record.target)()


def step(
    nets: Mapping[str, nn.Module], *, loss: str = "least-squares", micro_batches: int = 1, **options: Any
) -> tuple[dict[str, dict[str, Tensor]], dict[str, Tensor]]:
    """One step of the game without optimizers: gradients by player, and mean scalars. No other player has any."""
    context = GameContext(
        networks=nets,
        spec=SPEC,
        loss=loss_of(loss),
        penalties={},
        augment=lambda x, draws: x,
        micro_batches=micro_batches,
    )
    players = {n: Player(n, m, torch.optim.SGD(m.parameters(), lr=0.1)) for n, m in nets.items()}
    for player in players.values():
        player.set_rivals(players)
    phases = Vocoder(Options(**options), context).phases(players)
    parts = list(batch().split(micro_batches))
    draws = [Draws(1, part.positions) for part in parts]
    gradients, scalars = {}, {}
    for phase in phases:
        for network in nets.values():
            network.zero_grad()
        _, found = update(phase.player, [phase], parts, draws)
        for name, network in nets.items():
            has = [p.grad is not None for p in network.parameters()]
            assert all(has) if name == phase.player.name else not any(has), f"{phase.name} and the {name}"
        gradients[phase.player.name] = {n: p.grad.clone() for n, p in phase.player.module.named_parameters()}
        for values, weight in found:
            for key, value in values.items():
                scalars[key] = scalars.get(key, 0.0) + value * weight
    return gradients, scalars


def plain(
    nets: Mapping[str, nn.Module], loss: str, matching: float, mel: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same written out on the whole batch, after the equations of the paper."""
    generator, judge, real = nets["generator"], nets["discriminator"], batch()
    rule = loss_of(loss)
    fake = generator(None, None, real.given)
    seen = {name: judge.activations(x) for name, x in (("real", real.x), ("cut", fake.detach()), ("fake", fake))}
    logits = {name: [head[-1].flatten() for head in heads] for name, heads in seen.items()}
    total = sum(rule.discriminator(r, f) for r, f in zip(logits["real"], logits["cut"], strict=True))
    parameters = dict(judge.named_parameters())
    gradients = {
        "discriminator": dict(
            zip(parameters, torch.autograd.grad(total, list(parameters.values()), retain_graph=True), strict=True)
        )
    }
    adversarial = sum(
        rule.generator(f, r if rule.needs_real else None) for r, f in zip(logits["real"], logits["fake"], strict=True)
    )
    distance = sum(
        (f - r).abs().mean() for a, b in zip(seen["fake"], seen["real"], strict=True) for f, r in zip(a, b, strict=True)
    )
    spectral = (SPEC.mel_levels(fake) - SPEC.mel_levels(real.x)).abs().mean()
    parameters = dict(generator.named_parameters())
    whole = adversarial + matching * distance + mel * spectral
    gradients["generator"] = dict(zip(parameters, torch.autograd.grad(whole, list(parameters.values())), strict=True))
    figures = {
        "discriminator/loss": total,
        "generator/loss": adversarial,
        "generator/matching": distance,
        "generator/mel": spectral,
    }
    return gradients, figures


# --- terms ----------------------------------------------------------------------------------------------------------


def test_feature_matching_is_the_mean_difference_of_each_layer_added_up():
    real = [[torch.tensor([[1.0, 2.0]]), torch.tensor([[5.0]])], [torch.tensor([[0.0, 0.0, 3.0]])]]
    fake = [[torch.tensor([[2.0, 0.0]]), torch.tensor([[4.5]])], [torch.tensor([[0.0, 0.0, 0.0]])]]
    # (1 + 2) / 2 + 0.5 + 3 / 3
    assert float(feature_matching(real, fake)) == 3.0


def test_feature_matching_is_zero_for_equal_clips():
    judge = networks()["discriminator"]
    with torch.no_grad():
        first, same, other = (judge.activations(x) for x in (batch().x, batch().x, batch().x.flip(0)))
    assert float(feature_matching(first, same)) == 0.0
    assert float(feature_matching(first, other)) > 0.0


def test_feature_matching_moves_what_is_made_alone():
    real, fake = torch.zeros(2, 3, requires_grad=True), torch.ones(2, 3, requires_grad=True)
    feature_matching([[real]], [[fake]]).backward()
    assert real.grad is None
    assert torch.equal(fake.grad, torch.full((2, 3), 1 / 6))


def test_the_mel_distance_of_a_sound_that_is_softer_by_8_7_decibels_is_one():
    spec = AudioSpec.of(**(DATA | {"floor_db": -200.0}))  # or it would count
    noise = torch.randn(2, 1, 512, generator=torch.Generator().manual_seed(0)) * 0.1
    assert float(mel_distance(spec, noise, noise / math.e)) == pytest.approx(1.0, abs=1e-5)
    assert float(mel_distance(spec, noise, noise.clone())) == 0.0


def test_silence_is_moved_towards_a_sound_by_its_mel():
    noise = torch.randn(1, 1, 512, generator=torch.Generator().manual_seed(0))
    whisper = (noise * 1e-6).requires_grad_()  # 40 dB below the floor
    mel_distance(SPEC, noise * 0.1, whisper).backward()
    louder = whisper.detach() - 1e-6 * whisper.grad / whisper.grad.abs().max()
    assert float(louder.square().mean()) > float(whisper.detach().square().mean())
    assert float(mel_distance(SPEC, noise * 0.1, louder)) < float(mel_distance(SPEC, noise * 0.1, whisper.detach()))


# --- the game ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("micro_batches", [1, 3])
@pytest.mark.parametrize("loss", ["least-squares", "hinge", "rpgan", "ragan"])
def test_a_step_has_the_gradients_of_the_papers_equations(loss, micro_batches):
    nets = networks()
    expected, figures = plain(nets, loss, matching=2.0, mel=45.0)
    gradients, scalars = step(nets, loss=loss, micro_batches=micro_batches)
    for player, wanted in expected.items():
        scale = max(float(g.abs().max()) for g in wanted.values())
        for name, gradient in wanted.items():
            error = float((gradients[player][name] - gradient).abs().max())
            # Mel bands are float32, all else is float64.
            assert error <= 1e-5 * scale, f"{name} of the {player}"
    for name, value in figures.items():
        assert float(scalars[name]) == pytest.approx(float(value.detach()), rel=1e-5), name


def test_the_least_squares_of_every_place_count_and_not_those_of_their_mean():
    nets = networks()
    with torch.no_grad():
        fake = nets["generator"](None, None, batch().given)
        places = [head[-1] for head in nets["discriminator"].activations(fake)]
    by_place = sum(0.5 * float((p - 1).square().mean()) for p in places)
    by_mean = sum(0.5 * float((p.flatten(1).mean(1) - 1).square().mean()) for p in places)
    _, scalars = step(nets)
    assert float(scalars["generator/loss"]) == pytest.approx(by_place, rel=1e-9)
    assert by_place - by_mean > 1e-6, "the two tell apart what is counted"


def test_weights_of_zero_leave_the_adversarial_loss_alone():
    nets = networks()
    expected, _ = plain(nets, "least-squares", matching=0.0, mel=0.0)
    gradients, _ = step(nets, matching=0.0, mel=0.0)
    for name, gradient in expected["generator"].items():
        torch.testing.assert_close(gradients["generator"][name], gradient, rtol=1e-9, atol=1e-12)


def test_data_that_give_no_mel_are_refused():
    settings = configure(new_registry(), plugin="tones", layers=[CONFIG, {"game": "vocoder"}])
    with pytest.raises(UsageError, match=r"data\.representation=waveform data\.given=mel"):
        settings.game.build(
            GameContext(
                networks=networks(),
                spec=SPEC.changed(given="none"),
                loss=loss_of("least-squares"),
                penalties={},
                augment=lambda x, draws: x,
            )
        )


def test_a_discriminator_that_does_not_show_its_layers_is_refused():
    settings = configure(new_registry(), plugin="tones", layers=[CONFIG, {"architecture": {"name": "blind", **NET}}])
    with pytest.raises(UsageError, match=r"Blind has no method activations\(x, condition\)"):
        build_game(settings, SPEC)


@conformance("tones", registry=new_registry(), only="[!w]*[[]*tones*")
def test_the_preset_keeps_the_contract(check):
    check()


@conformance("tones", registry=new_registry(), only="step.game*")
def test_the_game_is_tried_where_its_own_preset_is(check):
    check()
