"""The game of texts: likelihood against hand-made gradients, when it ends, what it leaves, and what comes after."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from toys.text_game import LENGTH, SIZE, SPEC, Table, batch_of, source_of, texts

from gan_text.nets import lstm
from gancore.errors import UsageError
from gancore.losses.penalties import R1Options
from gancore.losses.spectral import apply_spectral_norm


def weights(module):
    return {n: p.detach().clone() for n, p in module.named_parameters()}


def same(a, b):
    return all(torch.equal(a[n], b[n]) for n in a)


@pytest.mark.parametrize("micro_batches", [1, 3])
def test_the_gradient_of_likelihood_is_that_of_cross_entropy_on_the_whole_batch(micro_batches):
    table = Table(micro_batches=micro_batches)
    scalars = table.gradients("generator/mle")
    hard = batch_of().hard.long()
    logits = table.generator.logits(hard, None)
    nll = F.cross_entropy(logits.transpose(1, 2), hard, reduction="none")
    counted = torch.cat([torch.ones(SIZE, 1, dtype=torch.bool), (hard != 0)[:, :-1]], dim=1)
    expected = (nll * counted).sum() / SIZE
    names, parameters = zip(*table.generator.named_parameters(), strict=True)
    grads = torch.autograd.grad(expected / LENGTH, parameters, allow_unused=True)
    assert scalars["generator/nll"] == pytest.approx(float(expected.detach()), rel=1e-5)
    for name, own, grad in zip(names, parameters, grads, strict=True):
        torch.testing.assert_close(own.grad, grad, rtol=1e-4, atol=1e-6, msg=name)


def test_likelihood_comes_first_alone_and_ends_after_its_steps():
    table = Table(mle={"steps": 3})
    for step in range(3):
        assert table.due(step) == ["generator/mle"]
        table.step(step)
    assert table.due(3) == ["discriminator/main", "generator/main"]
    assert table.game.progress.ended == 3


def test_the_generator_that_likelihood_gave_is_kept_while_the_other_goes_on():
    table = Table(mle={"steps": 2})
    for step in range(2):
        table.step(step)
    kept = weights(table.game.networks["mle"])
    assert same(kept, weights(table.generator))
    table.step(2)
    assert same(kept, weights(table.game.networks["mle"]))
    assert not same(kept, weights(table.generator))
    assert {o.sampling["temperature"] for o in table.game.others.values()} == {0.7, 0.8, 0.9, 1.0}
    assert {o.sampling["temperature_per_nat"] for o in table.game.others.values()} == {0.0}
    assert not any(p.requires_grad for p in table.game.networks["mle"].parameters())


def test_likelihood_ends_when_held_out_texts_become_less_likely_and_goes_back_to_the_best():
    table = Table(held_out=source_of(texts(40, 99)), mle={"steps": 100, "every": 2, "patience": 2, "lr": 0.1})
    found, best = [], None
    step = 0
    while table.game.progress.ended < 0:
        table.step(step)
        step += 1
        if step % 2 == 0:
            nll = -float(table.generator.log_likelihood(texts(40, 99), None).detach().mean())
            if table.game.progress.ended < 0:
                found.append(nll)
                assert float(table.game.progress.latest) == pytest.approx(nll, rel=1e-5)
                if nll == min(found):
                    best = weights(table.generator)
    assert step < 100
    # Two looks without a new best; the last one is no longer the generator's, which has gone back.
    assert found.index(min(found)) == len(found) - 2
    assert same(best, weights(table.generator))
    assert same(best, weights(table.game.networks["mle"]))
    assert not table.players["generator"].optimizer.state


@pytest.mark.parametrize(("left", "expected"), [(0.5, [0.1, 0.05, 0.025]), (0.8, [0.1, 0.08, 0.064])])
def test_likelihood_goes_back_to_the_best_and_on_at_a_lower_rate_as_often_as_it_may(left, expected):
    options = {"steps": 200, "every": 2, "patience": 2, "lr": 0.1, "final": 1.0, "restarts": 2, "restart_lr": left}
    table = Table(held_out=source_of(texts(40, 99)), mle=options)
    rates, bests, step = [], [], 0
    while table.game.progress.ended < 0:
        rates.append(table.phases[0].learning_rate(1.0, step))
        table.step(step)
        step += 1
        if len(bests) < table.game.progress.restarts:
            assert same(weights(table.generator), weights(table.game.networks["mle"]))
            assert not table.players["generator"].optimizer.state
            bests.append(float(table.game.progress.lowest))
    assert sorted(set(rates), reverse=True) == pytest.approx(expected)
    assert rates == sorted(rates, reverse=True)
    assert len(bests) == 2
    assert float(table.game.progress.lowest) <= bests[1] <= bests[0]
    assert step < 200


def test_the_discriminator_begins_with_tokens_that_are_alike_where_those_of_the_generator_are():
    table = Table(mle={"steps": 2})
    judge = table.players["discriminator"].module
    at_first = judge.tokens.weight.detach().clone()
    table.step(0)
    assert torch.equal(judge.tokens.weight, at_first)
    table.step(1)
    mine, theirs = judge.tokens.weight.detach().double(), table.generator.token_weight().detach().double()
    # A linear function of the generator's, of the size that they had.
    rest = mine - theirs @ torch.linalg.lstsq(theirs, mine, driver="gelsd").solution
    assert theirs.shape[1] < len(theirs)
    assert float(rest.abs().max()) < 1e-5
    assert float(mine.std()) == pytest.approx(mine.shape[1] ** -0.5, rel=1e-4)
    assert not torch.allclose(mine.float(), at_first)


def test_at_the_end_of_likelihood_logits_are_divided_so_that_held_out_texts_are_likeliest():
    hard = texts(60, 99)
    plain = Table(held_out=source_of(hard), mle={"steps": 30, "lr": 0.1, "final": 1.0})
    table = Table(held_out=source_of(hard), mle={"steps": 30, "lr": 0.1, "final": 1.0, "calibrate": True})
    for step in range(30):
        plain.step(step)
        table.step(step)
    found = float(table.game.progress.softened)
    assert abs(found - 1.0) > 0.005
    with torch.no_grad():
        logits, tokens = plain.generator.logits(hard), hard.long()
        inside = ((tokens == SPEC.end).cumsum(1) - (tokens == SPEC.end).long()) == 0

        def nll(temperature):
            return float(F.cross_entropy(logits[inside].double() / temperature, tokens[inside]))

        grid = [found * (1.0 + k / 200) for k in range(-20, 21)]
        assert abs(min(grid, key=nll) - found) < 0.011 * found
        for generator in (table.generator, table.game.networks["mle"]):
            torch.testing.assert_close(generator.logits(hard), logits / found, rtol=1e-4, atol=1e-5)
    assert table.gradients("discriminator/main", 30)["generator/calibration"] == pytest.approx(found)


@pytest.mark.parametrize(("name", "value", "off"), [("calibrate", True, "false"), ("restarts", 2, "0")])
def test_what_goes_by_held_out_texts_is_refused_without_any(name, value, off):
    train, held_out = source_of(texts(40, 98)), source_of(texts(40, 99))
    with pytest.raises(UsageError, match=rf"game\.mle\.{name} .* say held_out=0\.05, or game\.mle\.{name}={off}"):
        Table(train=train, mle={"steps": 3, name: value})
    Table(train=train, mle={"steps": 0, name: value})
    Table(train=train, held_out=held_out, mle={"steps": 3, name: value})


def test_what_is_calibrated_cannot_be_normalised_as_well():
    networks = dict(lstm.build(lstm.Options(embedding=6, width=8), SPEC))
    apply_spectral_norm(networks["generator"])
    with pytest.raises(UsageError, match=r"game\.mle\.calibrate.*spectral"):
        Table(networks=networks, mle={"steps": 3, "calibrate": True})


def test_a_pretrained_discriminator_keeps_its_tokens():
    table = Table(mle={"steps": 1})
    judge = table.players["discriminator"].module
    judge.pretrained = True
    at_first = judge.tokens.weight.detach().clone()
    table.step(0)
    assert torch.equal(judge.tokens.weight, at_first)


def test_what_likelihood_leaves_is_the_moving_average_of_its_weights():
    table = Table(mle={"steps": 3, "average": 0.25})
    moved = []
    for step in range(3):
        table.step(step)
        moved.append(weights(table.generator))
    plain = Table(mle={"steps": 3})
    expected = weights(plain.generator)
    for step, kept in enumerate((0.1, 2 / 11, 0.25)):
        plain.step(step)
        expected = {n: kept * expected[n] + (1.0 - kept) * p for n, p in weights(plain.generator).items()}
        if step < 2:
            assert same(moved[step], weights(plain.generator))
    for name, p in table.generator.named_parameters():
        torch.testing.assert_close(p.detach(), expected[name], rtol=1e-4, atol=1e-6)
    assert same(weights(table.generator), weights(table.game.networks["mle"]))


def test_a_run_that_ends_early_keeps_what_likelihood_had_given_at_the_last_look():
    table = Table(mle={"steps": 100, "every": 2})
    for step in range(5):
        table.step(step)
        if step == 3:
            expected = weights(table.generator)
    assert table.game.progress.ended == -1
    assert same(expected, weights(table.game.networks["mle"]))


def test_without_patience_or_held_out_texts_likelihood_takes_all_its_steps():
    for options in ({"patience": 0}, {"patience": 1}):
        held_out = source_of(texts(20, 99)) if not options["patience"] else None
        table = Table(held_out=held_out, mle={"steps": 6, "every": 1, "lr": 1.0, **options})
        for step in range(6):
            table.step(step)
        assert table.game.progress.ended == 6


def test_what_a_checkpoint_brings_is_what_the_phases_go_by():
    table, other = Table(mle={"steps": 2}), Table(mle={"steps": 2})
    for step in range(2):
        table.step(step)
    for name, network in table.game.networks.items():
        other.game.networks[name].load_state_dict(network.state_dict())
    phases = other.game.phases(other.players)
    assert [p.name for p in phases if p.due(2)] == ["discriminator/main", "generator/main"]


def test_the_learning_rate_of_likelihood_is_its_own_and_falls_by_half_a_cosine():
    first = Table(mle={"steps": 10, "lr": 0.5, "final": 0.2}).phases[0]
    assert first.learning_rate(1e-4, 0) == pytest.approx(0.5)
    assert first.learning_rate(1e-4, 5) == pytest.approx(0.3)
    assert first.learning_rate(1e-4, 10) == pytest.approx(0.1)
    beside = Table(mle={"steps": 0, "beside": 1.0}).phases[-1]
    assert beside.learning_rate(1e-4, 5) == 1e-4


def test_the_discriminator_warms_up_alone():
    table = Table(mle={"steps": 1}, warmup=2)
    table.step(0)
    assert [table.due(step) for step in (1, 2)] == [["discriminator/main"]] * 2
    assert table.due(3) == ["discriminator/main", "generator/main"]


def test_likelihood_beside_waits_for_the_warm_up_too():
    table = Table(mle={"steps": 1, "beside": 1.0}, warmup=2)
    table.step(0)
    assert [table.due(step) for step in (1, 2)] == [["discriminator/main"]] * 2
    assert table.due(3) == ["discriminator/main", "generator/main", "generator/mle"]


def test_a_run_that_ends_before_the_first_look_keeps_what_likelihood_had_given():
    table = Table(mle={"steps": 100, "every": 50})
    for step in range(3):
        table.step(step)
    assert same(weights(table.generator), weights(table.game.networks["mle"]))


def test_the_moving_average_of_the_run_is_told_when_the_best_is_gone_back_to():
    table = Table(mle={"steps": 2})
    first = table.phases[0]
    table.step(0)
    assert not first.replaced
    table.step(1)
    assert first.replaced


def test_without_likelihood_the_discriminator_comes_in_at_once_and_nothing_is_kept():
    table = Table(mle={"steps": 0})
    assert table.due(0) == ["discriminator/main", "generator/main"]
    assert table.game.others == {}
    assert "mle" not in table.game.networks


def test_likelihood_beside_adds_its_weighted_gradient_in_the_same_step():
    table = Table(mle={"steps": 0, "beside": 0.5})
    assert table.due(0) == ["discriminator/main", "generator/main", "generator/mle"]
    table.gradients("generator/mle")
    beside = {n: p.grad.clone() for n, p in table.generator.named_parameters() if p.grad is not None}
    whole = Table()
    whole.gradients("generator/mle")
    for name, p in whole.generator.named_parameters():
        torch.testing.assert_close(beside[name], 0.5 * p.grad, rtol=1e-4, atol=1e-7)


def test_samples_are_drawn_at_the_temperature_of_the_step(monkeypatch):
    schedule = {"schedule": "exponential", "start": 1.0, "final": 0.01, "steps": 4}
    table = Table(mle={"steps": 2}, temperature=schedule, estimator="soft", noise=0.5, noise_per_nat=0.125)
    calls = []
    gumbel = table.generator.gumbel
    monkeypatch.setattr(table.generator, "gumbel", lambda z, c, **how: calls.append(how) or gumbel(z, c, **how))
    for step in range(8):
        table.step(step)
    assert [how["temperature"] for how in calls] == pytest.approx([10 ** (-k / 2) for k in (0, 1, 2, 3, 4, 4)])
    assert all((how["noise"], how["noise_per_nat"], how["hard"]) == (0.5, 0.125, False) for how in calls)


def test_the_discriminator_sees_one_hot_texts_and_the_generator_gets_a_gradient():
    table = Table(mle={"steps": 0})
    scalars = table.gradients("generator/main")
    assert scalars["generator/temperature"] == 1.0
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in table.generator.parameters())
    seen = []
    table.discriminator.register_forward_pre_hook(lambda m, inputs: seen.append(inputs[0].detach()))
    table.gradients("discriminator/main")
    assert bool(((seen[0] == 0) | (seen[0] == 1)).all())
    assert torch.equal(seen[0].sum(2), torch.ones(2 * SIZE, LENGTH))
    assert torch.equal(seen[0][:SIZE].argmax(2).int(), batch_of().hard)


def test_a_penalty_on_embeddings_differentiates_by_them():
    penalty = R1Options(weight=3.0)
    table = Table(mle={"steps": 0}, penalty=penalty)
    scalars = table.gradients("discriminator/r1")
    x = batch_of().x
    judge = table.discriminator
    e = judge.embed(x).detach().requires_grad_()
    (slope,) = torch.autograd.grad(judge.logits(e, None, judge.mask(x)).sum(), e, create_graph=True)
    term = slope.square().sum((1, 2)).mean() / 2
    assert scalars["discriminator/r1"] == pytest.approx(float(term.detach()), rel=1e-4)
    named = dict(judge.named_parameters())
    grads = torch.autograd.grad(term * 3.0, list(named.values()), allow_unused=True)
    for (name, own), grad in zip(named.items(), grads, strict=True):
        if grad is not None and float(grad.abs().max()) > 0:
            torch.testing.assert_close(own.grad, grad, rtol=1e-3, atol=1e-7, msg=name)


def test_a_penalty_on_samples_differentiates_by_points_on_the_simplex():
    table = Table(mle={"steps": 0}, penalty=R1Options(weight=3.0), penalties_on="samples")
    scalars = table.gradients("discriminator/r1")
    x = batch_of().x.requires_grad_()
    (slope,) = torch.autograd.grad(table.discriminator(x, None).sum(), x)
    expected = float(slope.square().sum((1, 2)).mean()) / 2
    assert scalars["discriminator/r1"] == pytest.approx(expected, rel=1e-4)


def test_a_generator_that_knows_no_likelihood_is_refused():
    networks = lstm.build(lstm.Options(), SPEC)
    with pytest.raises(UsageError, match="needs a generator with nll and gumbel and draw_latent, and Linear has none"):
        Table(networks={**networks, "generator": torch.nn.Linear(2, 2)})
