"""Gumbel noise and the Gumbel-softmax: their distributions, their gradients, and the temperature over a run."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gancore.nets.gumbel import TemperatureSchedule, gumbel_noise, gumbel_of, gumbel_softmax, softmax_gradient
from gancore.random import mix

MASK = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15


def seeds(count: int, of: int = 1) -> Tensor:
    return mix(torch.arange(count) * 7919 + of)


def distance(sample: Tensor, cdf: Tensor) -> float:
    """Kolmogorov-Smirnov: `cdf` are the values of the distribution function at the sorted `sample`."""
    steps = torch.arange(len(sample) + 1, dtype=torch.float64) / len(sample)
    return float(torch.maximum((cdf - steps[:-1]).abs(), (steps[1:] - cdf).abs()).max())


def unmixed(target: int) -> int:
    """The integer whose SplitMix64 hash is `target`: each of its steps can be undone."""

    def undo(x: int, bits: int) -> int:
        y = x
        for _ in range(64 // bits):
            y = x ^ (y >> bits)
        return y

    x = undo(target, 31)
    x = undo(x * pow(0x94D049BB133111EB, -1, 1 << 64) & MASK, 27)
    return undo(x * pow(0xBF58476D1CE4E5B9, -1, 1 << 64) & MASK, 30)


def seed_for(target: int) -> int:
    """A seed whose first hash is `target`."""
    seed = (unmixed(target) - GAMMA) & MASK
    return seed - (1 << 64) if seed >> 63 else seed


def test_noise_has_the_gumbel_distribution():
    noise = gumbel_noise(seeds(300), 1001).flatten().double().sort().values
    assert distance(noise, torch.exp(-torch.exp(-noise))) < 1.95 / math.sqrt(len(noise))
    assert float(noise.mean()) == pytest.approx(0.5772, abs=0.01)
    assert float(noise.var()) == pytest.approx(math.pi**2 / 6, abs=0.02)


def test_upper_tail_is_that_of_the_distribution_where_24_bits_would_be_coarse():
    noise = gumbel_noise(seeds(1500, of=3), 4000)
    expected = noise.numel() * -math.expm1(-math.exp(-11.0))
    assert abs(int((noise > 11.0).sum()) - expected) < 5 * math.sqrt(expected)
    top = noise[noise > 9.0]
    assert len(top.unique()) == len(top)


def test_numbers_of_one_seed_are_independent_of_each_other_and_of_the_next_seeds():
    noise = gumbel_noise(torch.arange(4000), 64).double()
    centred = (noise - noise.mean(0)) / noise.std(0)
    across = centred.T @ centred / len(noise) - torch.eye(64)
    assert float(across.abs().max()) < 6 / math.sqrt(4000)
    assert abs(float((centred[1:] * centred[:-1]).mean())) < 5 / math.sqrt(centred.numel())


@pytest.mark.parametrize("half", [0, 1, 0x7FFFFFFE, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_noise_is_finite_and_right_at_the_ends_of_the_range(half: int):
    noise = gumbel_noise(torch.tensor([seed_for(half << 32 | half)]), 2)[0]
    v = ((half & 0x7FFFFFFF) + 0.5) / 2**31
    expected = -math.log(-math.log1p(-min(v, 1 - 2**-24)))
    torch.testing.assert_close(noise.double(), torch.full((2,), expected, dtype=torch.float64), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 7, 4659])
def test_noise_depends_on_its_seed_alone(count: int):
    every = seeds(50)
    noise = gumbel_noise(every, count)
    assert noise.shape == (50, count)
    assert torch.equal(noise[17:18], gumbel_noise(every[17:18], count))
    assert torch.equal(gumbel_noise(every, 2 * count + 8)[:, :count], noise)


def test_no_noise_for_no_seeds():
    assert gumbel_noise(torch.empty(0, dtype=torch.int64), 5).shape == (0, 5)


def test_noise_passes_the_meta_device():
    noise = gumbel_noise(torch.empty(3, dtype=torch.int64, device="meta"), 5)
    assert noise.is_meta
    assert noise.shape == (3, 5)


def test_all_is_float32_under_autocast():
    logits = torch.randn(4, 9, generator=torch.Generator().manual_seed(0))
    expected = gumbel_softmax(logits, gumbel_noise(seeds(4), 9), 0.3, hard=False)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        noise = gumbel_noise(seeds(4), 9)
        soft = gumbel_softmax(logits, noise, 0.3, hard=False)
        hard = gumbel_softmax(logits.bfloat16(), noise, 0.3, hard=True)
    assert noise.dtype == soft.dtype == hard.dtype == torch.float32
    assert torch.equal(noise, gumbel_noise(seeds(4), 9))
    assert torch.equal(soft, expected)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 5.0])
def test_hard_samples_follow_the_categorical_distribution_at_any_temperature(temperature: float):
    logits = torch.tensor([2.0, 0.0, -1.0, 1.0, 0.5, -3.0, 0.0])
    count = 200_000
    sample = gumbel_softmax(logits.expand(count, -1), gumbel_noise(seeds(count), 7), temperature)
    assert torch.equal(sample.sum(1), torch.ones(count))
    assert torch.equal(sample.amax(1), torch.ones(count))
    expected = torch.softmax(logits.double(), 0) * count
    chi2 = float(((sample.double().sum(0) - expected).square() / expected).sum())
    assert chi2 < 24.10  # 6 degrees of freedom, p = 0.0005


def test_soft_samples_of_two_categories_are_logistic():
    """Of two, logit(soft) * T is the difference of logits plus a logistic number (Maddison et al. 2017, section 3)."""
    count, temperature = 100_000, 0.7
    soft = gumbel_softmax(torch.tensor([[1.3, 0.1]]), gumbel_noise(seeds(count), 2), temperature, hard=False)
    values = (torch.logit(soft[:, 0].double()) * temperature).sort().values
    assert distance(values, torch.sigmoid(values - 1.2)) < 1.95 / math.sqrt(count)


def test_soft_samples_are_near_uniform_when_hot_and_near_one_hot_when_cold():
    logits, noise = torch.tensor([[2.0, 0.0, -1.0]]), gumbel_noise(seeds(1000), 3)
    hot = gumbel_softmax(logits, noise, 1000.0, hard=False)
    cold = gumbel_softmax(logits, noise, 1e-3, hard=False)
    torch.testing.assert_close(hot, torch.full_like(hot, 1 / 3), atol=0.01, rtol=0.0)
    assert float((cold.amax(1) > 0.99).float().mean()) > 0.98
    torch.testing.assert_close(cold.sum(1), torch.ones(1000))


def test_without_noise_the_likeliest_is_chosen():
    logits = torch.tensor([[0.1, 0.3, 0.2], [5.0, -1.0, 4.0]])
    assert gumbel_softmax(logits).tolist() == [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]


def test_hard_samples_have_the_gradient_of_soft_ones():
    noise, pull = gumbel_noise(seeds(5), 6), torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    logits = torch.randn(5, 6, generator=torch.Generator().manual_seed(2)).requires_grad_()
    (hard,) = torch.autograd.grad((gumbel_softmax(logits, noise, 0.4) * pull).sum(), logits)
    (soft,) = torch.autograd.grad((torch.softmax((logits + noise) / 0.4, dim=-1) * pull).sum(), logits)
    torch.testing.assert_close(hard, soft)


def test_softmax_gradient_is_that_of_autograd():
    logits = torch.randn(3, 8, generator=torch.Generator().manual_seed(3)).requires_grad_()
    pull = torch.randn(3, 8, generator=torch.Generator().manual_seed(4))
    soft = torch.softmax(logits / 0.2, dim=-1)
    (expected,) = torch.autograd.grad((soft * pull).sum(), logits)
    torch.testing.assert_close(softmax_gradient(pull, soft.detach(), 0.2), expected)


def test_as_the_temperature_falls_bias_of_the_gradient_falls_and_variance_grows():
    """Against the exact gradient of E[f] for f(one-hot k) = f_k, which is p_k (f_k - E[f])."""
    logits = torch.tensor([0.5, 0.0, -0.5, 1.0])
    f = torch.tensor([1.0, -2.0, 0.5, 3.0])
    p = torch.softmax(logits, 0)
    exact = p * (f - (p * f).sum())
    count = 200_000
    noise = gumbel_noise(seeds(count), 4)
    biases, variances, errors = [], [], []
    for temperature in (3.0, 1.0, 0.3, 0.1):
        rows = logits.repeat(count, 1).requires_grad_()
        (gumbel_softmax(rows, noise, temperature) @ f).sum().backward()
        assert rows.grad is not None
        biases.append(float((rows.grad.mean(0) - exact).norm()))
        variances.append(float(rows.grad.var(0).sum()))
        errors.append(math.sqrt(variances[-1] / count))
    assert biases == sorted(biases, reverse=True)
    assert variances == sorted(variances)
    assert biases[0] > 0.4 * float(exact.norm())
    assert biases[-1] < 0.1 * biases[0] + 4 * errors[-1]
    assert variances[-1] > 10 * variances[0]


def test_relgan_raises_the_inverse_temperature_to_the_power_of_time():
    schedule = TemperatureSchedule(schedule="exponential", start=1.0, final=1 / 100)
    for step in (0, 250, 1000, 2000):
        assert 1 / schedule.at(step, 2000) == pytest.approx(100 ** (step / 2000))


@pytest.mark.parametrize(
    ("schedule", "half"), [("constant", 1.0), ("linear", 0.625), ("exponential", 0.5), ("cosine", 0.625)]
)
def test_schedules_go_from_start_to_final(schedule: str, half: float):
    course = TemperatureSchedule(schedule=schedule, start=1.0, final=0.25)
    last = 1.0 if schedule == "constant" else 0.25
    assert course.at(0, 80) == pytest.approx(1.0)
    assert course.at(40, 80) == pytest.approx(half)
    assert course.at(80, 80) == pytest.approx(last)
    assert course.at(1000, 80) == pytest.approx(last)


def test_cosine_moves_slowly_at_both_ends():
    course = TemperatureSchedule(schedule="cosine", start=1.0, final=0.25)
    assert course.at(20, 80) == pytest.approx(0.25 + 0.75 * (1 + math.sqrt(0.5)) / 2)


def test_own_number_of_steps_ends_a_schedule_earlier():
    course = TemperatureSchedule(schedule="linear", start=2.0, final=1.0, steps=10)
    assert [course.at(step, 1000) for step in (0, 5, 10, 500)] == [2.0, 1.5, 1.0, 1.0]


def test_a_run_without_steps_is_at_its_end():
    assert TemperatureSchedule(schedule="linear", start=2.0, final=1.0).at(0, 0) == 1.0


def test_noise_of_uniform_numbers_is_standard_and_finite_at_both_ends():
    uniform = (torch.arange(10_000) + 0.5) / 10_000
    noise = gumbel_of(uniform).double()
    torch.testing.assert_close(torch.exp(-torch.exp(-noise)), uniform.double(), rtol=0, atol=1e-6)
    assert gumbel_of(torch.tensor([0.0, 1.0 - 2.0**-24])).tolist() == pytest.approx([-2.852, 16.636], abs=1e-3)
