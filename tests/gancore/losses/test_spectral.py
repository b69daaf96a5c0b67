"""Spectral normalisation put on from outside: norms against the singular value decomposition, copies, state, R1."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from gancore.errors import GanError
from gancore.losses.penalties import R1, R1Options
from gancore.losses.spectral import LAYERS, apply_spectral_norm
from gancore.random import Draws

# Each layer, an input for it, and the dimension of its weight that holds the outputs.
CASES = {
    "linear": (lambda: nn.Linear(6, 4), (2, 6), 0),
    "linear-one-row": (lambda: nn.Linear(6, 1), (2, 6), 0),
    "linear-one-column": (lambda: nn.Linear(1, 6), (2, 1), 0),
    "linear-one-number": (lambda: nn.Linear(1, 1), (2, 1), 0),
    "conv1d": (lambda: nn.Conv1d(3, 5, 3), (2, 3, 8), 0),
    "conv2d": (lambda: nn.Conv2d(3, 5, 3), (2, 3, 8, 8), 0),
    "conv2d-depthwise": (lambda: nn.Conv2d(4, 4, 3, groups=4), (2, 4, 8, 8), 0),
    "conv3d": (lambda: nn.Conv3d(2, 3, 2), (2, 2, 4, 4, 4), 0),
    "transposed1d": (lambda: nn.ConvTranspose1d(3, 5, 3), (2, 3, 8), 1),
    "transposed2d": (lambda: nn.ConvTranspose2d(3, 5, 3), (2, 3, 8, 8), 1),
    "transposed3d": (lambda: nn.ConvTranspose3d(2, 3, 2), (2, 2, 4, 4, 4), 1),
    "embedding": (lambda: nn.Embedding(7, 4), None, 0),
}


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def critic():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(4, 8, 3, stride=2, padding=1),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(32, 1),
        nn.Flatten(0),
    )


def largest_singular_value(weight, dim):
    return float(torch.linalg.svdvals(weight.detach().movedim(dim, 0).flatten(1))[0])


@pytest.mark.parametrize("name", CASES)
def test_largest_singular_value_is_one_after_some_forward_passes(name):
    build, shape, dim = CASES[name]
    layer = build()
    before = layer.weight.detach().clone()
    assert apply_spectral_norm(layer) is layer
    x = torch.tensor([1, 2]) if shape is None else torch.randn(shape)
    for _ in range(60):
        layer(x)
    layer.eval()
    assert largest_singular_value(layer.weight, dim) == pytest.approx(1.0, abs=1e-3)
    expected = before / largest_singular_value(before, dim)
    torch.testing.assert_close(layer.weight.detach(), expected, rtol=2e-3, atol=1e-4)


def test_every_layer_of_the_kinds_named_has_a_case():
    assert {type(build()) for build, _, _ in CASES.values()} == set(LAYERS)


def test_layers_are_found_at_any_depth_and_others_are_left_alone():
    net = nn.ModuleDict({"a": critic(), "b": nn.Sequential(nn.BatchNorm2d(3), nn.GRU(3, 4), nn.PReLU())})
    apply_spectral_norm(net)
    normal = {name for name, m in net.named_modules() if parametrize.is_parametrized(m)}
    assert normal == {"a.0", "a.2", "a.5"}


def test_weights_already_parametrised_are_skipped():
    own = parametrizations.weight_norm(nn.Linear(3, 3))
    old = nn.utils.spectral_norm(nn.Linear(3, 3))
    net = nn.Sequential(own, old, nn.Linear(3, 3))
    apply_spectral_norm(apply_spectral_norm(net))
    assert len(own.parametrizations["weight"]) == 1
    assert not parametrize.is_parametrized(old)
    assert len(net[2].parametrizations["weight"]) == 1
    net(torch.randn(2, 3)).sum().backward()


def test_parameters_stay_the_same_objects_so_that_ties_hold():
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    weight = first.weight
    net = apply_spectral_norm(nn.Sequential(first, second, first))
    assert any(p is weight for p in net.parameters())
    assert sum(p.numel() for p in net.parameters()) == 9 + 3 + 3


def test_lazy_layers_are_refused_before_anything_is_changed():
    net = nn.Sequential(nn.Linear(3, 3), nn.LazyLinear(4))
    with pytest.raises(GanError, match=r"'1'.*lazy"):
        apply_spectral_norm(net)
    assert not parametrize.is_parametrized(net[0])


def test_zero_weights_are_refused_rather_than_turned_into_nan():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    nn.init.zeros_(net[1].weight)
    with pytest.raises(GanError, match=r"'1'.*zero"):
        apply_spectral_norm(net)
    assert not parametrize.is_parametrized(net[0])


def test_evaluation_does_not_move_the_estimate():
    net = apply_spectral_norm(critic()).eval()
    before = copy.deepcopy(net.state_dict())
    x = torch.randn(2, 1, 8, 8)
    assert torch.equal(net(x), net(x))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    net.train()(x)
    assert any(not torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_networks_in_evaluation_stay_in_evaluation():
    net = apply_spectral_norm(critic().eval())
    assert not any(m.training for m in net.modules())


def test_copies_are_independent_and_equal():
    net = apply_spectral_norm(critic())
    twin = copy.deepcopy(net)
    x = torch.randn(2, 1, 8, 8)
    expected = net.eval()(x)
    for p in net.parameters():
        p.data.add_(1.0)
    net.train()(x)
    assert torch.equal(twin.eval()(x), expected)


def test_state_round_trip_gives_the_same_network():
    net = apply_spectral_norm(critic())
    x = torch.randn(2, 1, 8, 8)
    for _ in range(3):
        net(x)
    other = apply_spectral_norm(critic())
    assert not torch.equal(other.eval()(x), net.eval()(x))
    other.load_state_dict(net.state_dict())
    assert torch.equal(other.eval()(x), net.eval()(x))
    assert torch.equal(other.train()(x), net.train()(x))


def test_r1_reaches_every_original_weight_in_training_mode():
    net = apply_spectral_norm(critic()).train()
    x = torch.randn(3, 1, 8, 8)
    draws = Draws(0, torch.arange(3))
    # Two forward passes before the backward pass, as in a discriminator's step.
    loss = net(x).mean() - net(-x).mean() + R1(R1Options()).penalty(net, x, x, draws)
    loss.backward()
    weights = {name: p for name, p in net.named_parameters() if name.endswith("original")}
    assert len(weights) == 3
    for p in weights.values():
        assert p.grad.isfinite().all()
        assert float(p.grad.abs().max()) > 0.0


def test_r1_of_a_normalised_linear_critic_is_one_half_whatever_its_weights():
    """The gradient of a normalised linear critic has norm 1, and scaling the weights changes nothing: w . slope = 0."""
    layer = apply_spectral_norm(nn.Linear(5, 1).double())
    x = torch.randn(4, 5, dtype=torch.float64)
    value = R1(R1Options()).penalty(lambda v: layer(v)[:, 0], x, x, Draws(0, torch.arange(4)))
    assert value.item() == pytest.approx(0.5)
    value.backward()
    assert float(layer.parametrizations["weight"].original.grad.abs().max()) < 1e-9


def test_slope_in_the_original_weight_matches_finite_differences():
    """In evaluation mode, where u and v are constants: the R1 of a small network, differentiated twice."""
    net = apply_spectral_norm(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))).double().eval()
    x = torch.randn(2, 3, dtype=torch.float64)
    names, values = zip(*net.named_parameters(), strict=True)

    def value(*parameters):
        def on(v):
            state = dict(zip(names, parameters, strict=True))
            return torch.func.functional_call(net, state, (v,))[:, 0]

        return R1(R1Options()).penalty(on, x, x, Draws(0, torch.arange(2)))

    assert torch.autograd.gradcheck(value, tuple(v.detach().clone().requires_grad_() for v in values))


def test_norms_are_computed_outside_autocast(monkeypatch):
    """Only CUDA lowers a matrix-vector product under autocast, so look at the state rather than at the numbers."""
    net = apply_spectral_norm(critic())
    product, inside = torch.mv, []

    def watched(*args):
        inside.append(torch.is_autocast_enabled("cpu"))
        return product(*args)

    monkeypatch.setattr(torch, "mv", watched)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = net(torch.randn(2, 1, 8, 8))
    assert y.dtype == torch.bfloat16
    assert inside
    assert not any(inside)
