"""Binary neurons: what they give, the gradient that they pass, and the slope that they keep."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gan_music.nets.binary import BinaryNeurons, level, noise_of
from gancore.configuration.run_config import Ema
from gancore.engine.ema import MovingAverage
from gancore.errors import UsageError


def logits(*values: float) -> Tensor:
    return torch.tensor([values], requires_grad=True)


def with_slope(kind: str, slope: float) -> BinaryNeurons:
    """Neurons at the end of an annealing that ends at `slope`."""
    neurons = BinaryNeurons(kind, slope_max=slope, slope_samples=1)  # type: ignore[arg-type]
    neurons.seen.fill_(1)
    return neurons


def test_deterministic_neurons_are_on_where_the_logit_is_positive() -> None:
    assert BinaryNeurons("deterministic")(logits(-3.0, -0.01, 0.01, 3.0)).tolist() == [[0.0, 0.0, 1.0, 1.0]]


@pytest.mark.parametrize("kind", ["deterministic", "stochastic"])
@pytest.mark.parametrize("slope", [1.0, 4.0])
def test_gradient_is_the_derivative_of_the_sigmoid_with_its_slope(kind: str, slope: float) -> None:
    x = logits(-1.5, 0.0, 0.3, 2.0)
    noise = torch.full((1, 4), 0.5)
    with_slope(kind, slope)(x, noise).mul(torch.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    expected = []
    for value, weight in zip((-1.5, 0.0, 0.3, 2.0), (1.0, 2.0, 3.0, 4.0), strict=True):
        p = 1.0 / (1.0 + math.exp(-slope * value))
        expected.append(weight * slope * p * (1.0 - p))
    assert x.grad is not None
    assert x.grad[0].tolist() == pytest.approx(expected, rel=1e-3)


def test_mean_of_stochastic_neurons_is_the_probability() -> None:
    count = 40_000
    x = torch.tensor([-1.0, 0.0, 0.5]).expand(count, 3).clone().requires_grad_()
    noise = torch.rand(count, 3, generator=torch.Generator().manual_seed(3))
    mean = with_slope("stochastic", 2.0)(x, noise).mean(0)
    expected = torch.tensor([1.0 / (1.0 + math.exp(-2.0 * v)) for v in (-1.0, 0.0, 0.5)])
    assert (mean - expected).abs().max() < 5.0 * 0.5 / math.sqrt(count)


def test_stochastic_neurons_take_no_noise_in_evaluation() -> None:
    neurons = BinaryNeurons("stochastic").eval()
    assert neurons(logits(-0.1, 0.1)).tolist() == [[0.0, 1.0]]


def test_stochastic_neurons_without_noise_are_an_error_in_training() -> None:
    with pytest.raises(UsageError, match="noise"):
        BinaryNeurons("stochastic")(logits(0.1))


def test_no_neurons_give_the_probability_at_slope_one() -> None:
    assert with_slope("none", 4.0)(logits(0.7)).item() == pytest.approx(1.0 / (1.0 + math.exp(-0.7)))


def test_slope_grows_linearly_with_samples_up_to_its_maximum() -> None:
    neurons = BinaryNeurons("deterministic", slope_max=5.0, slope_samples=40)
    slopes = []
    for _ in range(6):
        neurons(torch.zeros(10, 3, requires_grad=True))
        slopes.append(neurons.slope().item())
    assert slopes == [2.0, 3.0, 4.0, 5.0, 5.0, 5.0]


def test_only_samples_with_a_gradient_count() -> None:
    neurons = BinaryNeurons("deterministic")
    x = torch.zeros(10, 3, requires_grad=True)
    with torch.no_grad():
        neurons(x)
    neurons.eval()(x)
    assert neurons.seen.item() == 0
    neurons.train()(x)
    assert neurons.seen.item() == 10


def test_slope_survives_saving_and_loading(tmp_path: Path) -> None:
    neurons = BinaryNeurons("deterministic", slope_samples=100)
    neurons(torch.zeros(30, 2, requires_grad=True))
    save_file(neurons.state_dict(), tmp_path / "neurons.safetensors")
    again = BinaryNeurons("deterministic", slope_samples=100)
    again.load_state_dict(load_file(tmp_path / "neurons.safetensors"))
    assert again.slope().item() == pytest.approx(1.0 + 4.0 * 0.3)


def test_moving_average_has_the_slope_of_its_source() -> None:
    source = nn.Sequential(nn.Linear(3, 2), BinaryNeurons("deterministic", slope_samples=100))
    average = MovingAverage(source, Ema(half_life=1e6))
    source(torch.zeros(70, 3))
    average.update(samples_seen=10_000_000, batch_size=70)
    assert average.module[1].seen.item() == 70  # type: ignore[index]


def test_growth_of_the_slope_leaves_a_kept_graph_alone() -> None:
    neurons = BinaryNeurons("deterministic", slope_max=9.0, slope_samples=1)
    x = logits(0.4)
    y = neurons(x)  # at slope 1; afterwards it is 9
    copy.deepcopy(neurons)(logits(0.4))
    y.sum().backward()
    p = 1.0 / (1.0 + math.exp(-0.4))
    assert x.grad is not None
    assert x.grad.item() == pytest.approx(p * (1.0 - p), rel=1e-5)


def test_noise_follows_from_the_key_of_each_sample() -> None:
    key = torch.tensor([0.3, -1.2, 0.3, 2.0])
    noise = noise_of(key, 2, 500)
    assert noise.shape == (4, 2, 500)
    assert torch.equal(noise[0], noise[2])
    assert torch.equal(noise_of(key[1:2], 2, 500)[0], noise[1])
    assert not torch.equal(noise[0], noise[1])
    assert noise.min() >= 0.0
    assert noise.max() < 1.0
    assert abs(noise.mean().item() - 0.5) < 5.0 * math.sqrt(1 / 12 / 3000)


def test_levels_are_the_nearest_and_pass_gradients() -> None:
    x = torch.tensor([0.0, 0.2, 0.4, 0.9], requires_grad=True)
    y = level(x, 3)
    y.sum().backward()
    assert y.tolist() == [0.0, 0.0, 1.0, 2.0]
    assert x.grad is not None
    assert x.grad.tolist() == [2.0] * 4


def test_stochastic_choice_falls_on_each_neuron_with_its_share() -> None:
    neurons = BinaryNeurons("stochastic")
    x = torch.tensor([1.0, -0.5, 0.3]).repeat(40_000, 1)
    noise = torch.rand(40_000, 4, generator=torch.Generator().manual_seed(0))
    drawn = neurons.highest(x, noise)
    assert set(drawn.sum(-1).tolist()) == {0.0, 1.0}
    wanted = torch.softmax(torch.tensor([1.0, -0.5, 0.3, 0.0]), dim=0)[:3]
    assert torch.allclose(drawn.mean(0), wanted, atol=0.01)


def test_choice_without_noise_is_an_error_in_training() -> None:
    with pytest.raises(UsageError, match="noise"):
        BinaryNeurons("stochastic").highest(logits(0.5))


def test_choice_is_the_highest_in_evaluation() -> None:
    neurons = BinaryNeurons("stochastic").eval()
    assert neurons.highest(logits(0.2, 0.4, -1.0)).tolist() == [[0.0, 1.0, 0.0]]
