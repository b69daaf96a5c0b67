"""What a game adds to its losses: the gradient's size, SAN, penalties of logits and of the generator."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from toys import pictures as toys
from toys.runs import rows

from gancore.api import resume, train
from gancore.checkpoint import newest
from gancore.components import GameContext
from gancore.data.batch import Batch
from gancore.data.spec import SampleSpec
from gancore.errors import UsageError
from gancore.games.gan import GanGame, GanOptions
from gancore.games.player import Player
from gancore.games.terms import GradientNorm, LogitPenaltyPhase
from gancore.losses.adversarial import (
    Hinge,
    LeastSquares,
    LeastSquaresOptions,
    Minimax,
    NonSaturating,
    RelativisticAverage,
    RelativisticPairing,
    Wasserstein,
)
from gancore.losses.penalties import PenaltyTerm
from gancore.nets.conditioning import ProjectionHead
from gancore.options import PenaltyOptions
from gancore.random import Draws


def back(norm: GradientNorm, gradient: torch.Tensor) -> list[float]:
    x = torch.zeros_like(gradient, requires_grad=True)
    norm(x).backward(gradient)
    return x.grad.flatten().tolist()


def test_a_gradient_is_divided_by_the_moving_average_of_its_size_over_the_steps_before():
    norm = GradientNorm()
    g = torch.tensor([[3.0, 4.0]])
    assert back(norm, g) == [0.0, 0.0]  # nothing is known yet
    norm.after_step()
    size = (2 * 25) ** 0.5  # m |g|^2 with two elements
    assert back(norm, 10 * g) == pytest.approx([30 / size, 40 / size], rel=1e-5)
    norm.after_step()
    # 0.9 * 0.1 * 50 + 0.1 * 5000, without the bias 1 - 0.9^2
    size = ((0.09 * 50 + 0.1 * 5000) / 0.19) ** 0.5
    assert back(norm, g) == pytest.approx([3 / size, 4 / size], rel=1e-5)


def test_the_size_of_a_batch_is_that_of_its_parts_together():
    whole, parts = GradientNorm(), GradientNorm()
    g = torch.arange(6.0).reshape(3, 2)
    back(whole, g)
    back(parts, g[:1])
    back(parts, g[1:])
    for norm in (whole, parts):
        norm.after_step()
    assert float(whole.square) == pytest.approx(float(parts.square))


def test_a_gradient_that_is_not_finite_is_not_remembered():
    norm = GradientNorm()
    back(norm, torch.tensor([[3.0, 4.0]]))
    norm.after_step()
    before = (float(norm.square), float(norm.steps))
    back(norm, torch.tensor([[float("inf"), 4.0]]))
    norm.after_step()
    assert (float(norm.square), float(norm.steps)) == before


# --- in a run -----------------------------------------------------------------------------------------------------------

ALL = {
    **toys.SMALL, "penalties.lecam": {"weight": 0.5}, "penalties.path-length": {"every": 2, "weight": 0.5}, "every.log": 1,
    "game.normalise_gradient": True, "game.generator_every": 2, "schedules.penalties.lecam.weight.factor": 0.5,
}  # fmt: skip


def begin(folder, steps, **more):
    return train(plugin="toy", registry=toys.new_registry(), out=folder, steps=steps, options=ALL | more)


@pytest.mark.parametrize("more", [{}, {"micro_batches": 2, "loss": "ragan"}], ids=["whole", "parts"])
def test_what_penalties_remember_is_resumed_bit_for_bit(tmp_path, more):
    begin(tmp_path / "whole", 6, **more, schedules="none")
    begin(tmp_path / "parts", 3, **more, schedules="none")
    resume(tmp_path / "parts", steps=6, registry=toys.new_registry())
    one, other = (newest(tmp_path / name / "checkpoints")[0] for name in ("whole", "parts"))
    assert {"penalty-lecam", "penalty-path-length", "gradient-norm"} <= set(one.networks)
    for name in (*one.networks, "ema"):
        for key, value in one.tensors(name).items():
            assert torch.equal(value, other.tensors(name)[key]), (name, key)


def test_terms_are_logged_without_their_weights_in_the_steps_in_which_they_are_due(tmp_path):
    begin(tmp_path / "run", 5)
    found = [
        {k: row.get(k) for k in ("discriminator/lecam", "generator/path-length")} for row in rows(tmp_path / "run")
    ]
    assert all(row["discriminator/lecam"] is not None for row in found)
    # Every second of the generator's steps, which are every second one.
    assert [row["generator/path-length"] is not None for row in found] == [True, False, False, False, True]


def test_a_sample_with_logits_of_places_has_their_mean():
    class Sum(PenaltyTerm):
        def of_logits(self, real, fake):
            return (real - fake).sum()

    *_, main, _, _ = playing()
    phase = LogitPenaltyPhase("sum", main, Sum(PenaltyOptions()), PenaltyOptions(weight=2.0))
    real = torch.tensor([[1.0, 3.0], [5.0, 7.0]], requires_grad=True), torch.tensor([[1.0, 1.0, 4.0], [0.0, 0.0, 3.0]])
    fake = torch.zeros(2, 2), torch.ones(2, 3)
    weighted, plain = phase.term(real, fake)
    assert (plain.item(), weighted.item()) == (2 + 6 + 2 + 1 - 2, 2 * 9.0)


def test_san_needs_a_head_whose_direction_it_can_train(tmp_path):
    with pytest.raises(UsageError, match=r"game\.san=true: the discriminator does not end in a ProjectionHead"):
        begin(tmp_path / "run", 1, **{"game.san": True})


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


class Judge(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head = ProjectionHead(2, classes)

    def forward(self, x, condition):
        return self.head(x, condition)


class Maker(nn.Module):
    """Always the same point."""

    latent_shape = (2,)

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.tensor([5.0, 1.0]))

    def forward(self, z, condition):
        return 0 * z + self.shift


REAL, Y, DRAWS = torch.tensor([[100.0, 0.0], [100.0, 0.0]]), torch.tensor([0, 1]), Draws(0, torch.arange(2))


def playing(count: int = 0, loss=Hinge, **options):
    """Networks and phases of a game on points in the plane, and a batch of two."""
    networks = {"generator": Maker(), "discriminator": Judge(count)}
    names = tuple(f"class {n}" for n in range(count))
    spec = SampleSpec(shape=(2,), dtype="float32", value_range=(-9.0, 9.0), classes=names)
    context = GameContext(networks=networks, spec=spec, loss=loss(), penalties={}, augment=lambda x, draws: x)
    players = {n: Player(n, m, torch.optim.SGD(m.parameters(), 0.1)) for n, m in networks.items()}
    for player in players.values():
        player.set_rivals(players)
    main, generator = GanGame(GanOptions(**options), context).phases(players)
    batch = Batch(REAL, Y if count else None, torch.arange(2), step=0)
    return networks, main, generator, batch


def test_san_trains_the_direction_by_the_wasserstein_loss_and_leaves_the_generators():
    networks, main, generator, batch = playing(san=True)
    head = networks["discriminator"].head
    with torch.no_grad():
        head.linear.weight.copy_(torch.tensor([[3.0, 4.0]]))
        head.linear.bias.zero_()
    main.run(batch, DRAWS)
    # Real logits are beyond the margin: of the hinge loss the fakes' part is left, whose gradient by w is along w: (d . h_fake) d.
    d, fake = torch.tensor([0.6, 0.8]), torch.tensor([5.0, 1.0])
    along = (d @ fake) * d
    # That of the direction is |w| (h_fake - h_real) / |w|, without its part along d.
    pull = fake - REAL[0]
    across = pull - (pull @ d) * d
    torch.testing.assert_close(head.linear.weight.grad[0], along + across, rtol=1e-5, atol=1e-5)
    with generator.player.updating():
        generator.run(batch, DRAWS)
    torch.testing.assert_close(networks["generator"].shift.grad, torch.tensor([-3.0, -4.0]))


def test_san_refuses_a_loss_that_turns_back_and_takes_all_others():
    # Of least squares, a real sample with a logit beyond its label has a loss that rises again.
    with pytest.raises(UsageError, match=r"game\.san=true wants a loss that falls .* and LeastSquares turns back"):
        playing(loss=lambda: LeastSquares(LeastSquaresOptions()), san=True)
    for loss in (NonSaturating, Minimax, Hinge, Wasserstein, RelativisticPairing, RelativisticAverage):
        playing(loss=loss, san=True)


@pytest.mark.parametrize("loss", [Hinge, RelativisticAverage], ids=["each for itself", "relativistic"])
@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_what_tells_classes_has_its_weight_in_both_objectives(loss, weight):
    torch.manual_seed(0)
    networks, main, generator, batch = playing(count=2, loss=loss, classes="ac", classes_weight=weight)
    head, maker = networks["discriminator"].head, networks["generator"]
    with main.player.updating():
        main.run(batch, DRAWS)
    by_hand = torch.autograd.grad(cross_entropy(head.classifier(REAL), Y), head.classifier.weight)[0]
    torch.testing.assert_close(head.classifier.weight.grad, weight * by_hand)
    with generator.player.updating():
        generator.run(batch, DRAWS)
    found, maker.shift.grad = maker.shift.grad, None
    fake = (0 * torch.ones(2, 2) + maker.shift).requires_grad_()
    adversarial = loss().generator(head(fake, None), head(REAL, None).detach())
    (adversarial + weight * cross_entropy(head.classifier(fake), Y)).backward()
    torch.testing.assert_close(found, maker.shift.grad)


@pytest.mark.parametrize(
    ("loss", "expected"), [(Hinge, -(4.0 + 3.0) / 2), (RelativisticPairing, (softplus(-3.0) + softplus(1.0)) / 2)]
)
def test_the_generator_learns_from_the_samples_with_the_highest_logits(loss, expected):
    _, _, generator, _ = playing(loss=loss, top_k=0.5)
    real, fake = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([4.0, -1.0, 0.0, 3.0], requires_grad=True)
    term = generator.objective(real, fake)
    assert term.item() == pytest.approx(expected)
    assert torch.autograd.grad(term, fake)[0].ne(0).tolist() == [True, False, False, True]


def test_the_best_of_a_batch_are_the_best_of_its_parts_together():
    whole, parts = [], []
    for found, cuts in ((whole, [4]), (parts, [2, 2])):
        torch.manual_seed(0)
        networks, _, generator, _ = playing(top_k=0.5, reuse_fakes=False)
        networks["generator"].forward = lambda z, condition, net=networks["generator"]: z + net.shift
        batch = Batch(REAL.repeat(2, 1), None, torch.arange(4), step=0)
        split = [*batch.split(len(cuts))]
        draws = [Draws(0, part.positions) for part in split]
        with generator.player.updating():
            generator.prepare(split, draws)
            for part, own in zip(split, draws, strict=True):
                generator.run(part, own)
        found.append(networks["generator"].shift.grad)
    torch.testing.assert_close(whole, parts)


def test_a_batch_whose_samples_are_compared_with_each_other_cannot_be_cut(tmp_path):
    with pytest.raises(UsageError, match=r"game\.classes=2c compares .* needs micro_batches=1"):
        begin(tmp_path / "run", 1, **{"game.classes": "2c", "micro_batches": 2})
