"""Biases by row, modulation, and the output that knows silence and turning phases."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gan_audio.nets.frequency import Modulation, RowBias, SpectrogramOutput, pad_to
from gan_audio.spec import AudioSpec
from gancore.data.spec import SampleSpec
from gancore.nets.norm import BatchNorm, ConditionalBatchNorm

SMALL = {"length": 512, "n_fft": 64, "hop": 16, "mels": 8}


def fitted(representation: str) -> AudioSpec:
    """A spec whose rows have levels of their own: a quarter of each clip is silent, the rest rises from row to row."""
    torch.manual_seed(0)
    waves = torch.randn(20, 1, 512).cumsum(-1)
    waves = waves / waves.abs().amax(-1, keepdim=True)
    waves[..., :128] = 0.0
    return AudioSpec.of(representation=representation, **SMALL).fitted(waves)  # type: ignore[arg-type]


def constant(spec: SampleSpec, values: list[float]) -> Tensor:
    """A network's output of the same numbers everywhere, with a row and two frames too many."""
    channels, rows, frames = spec.shape
    return torch.tensor(values)[None, :channels, None, None].expand(1, channels, rows + 1, frames + 2)


def test_a_bias_is_added_to_its_row_alone() -> None:
    layer = RowBias(2, 3)
    with torch.no_grad():
        layer.bias[0, 1, 2] = 5.0
    expected = torch.zeros(1, 2, 3, 4)
    expected[0, 1, 2] = 5.0
    assert torch.equal(layer(torch.zeros(1, 2, 3, 4)), expected)


def test_modulation_without_rows_is_conditional_batch_normalisation() -> None:
    ours, theirs = Modulation(3, inputs=4), ConditionalBatchNorm(3, 4)
    assert ours.affine is not None
    theirs.affine.load_state_dict(ours.affine.state_dict())
    x, vector = torch.randn(5, 3, 6, 7), torch.randn(5, 4)
    torch.testing.assert_close(ours(x, vector), theirs(x, vector))
    flat = torch.randn(5, 3, 9)
    torch.testing.assert_close(ours(flat, vector), theirs(flat, vector))


def test_modulation_without_a_norm_or_a_vector_adds_its_rows() -> None:
    layer = Modulation(2, rows=3, norm="none")
    with torch.no_grad():
        assert layer.rows is not None
        layer.rows.bias.copy_(torch.arange(6.0).view(1, 2, 3, 1))
    x = torch.randn(4, 2, 3, 5)
    torch.testing.assert_close(layer(x, None), x + torch.arange(6.0).view(1, 2, 3, 1))


def test_modulation_by_hand() -> None:
    layer = Modulation(1, rows=2, inputs=1, norm="none")
    assert layer.affine is not None
    assert layer.rows is not None
    with torch.no_grad():
        layer.affine.weight.copy_(torch.tensor([[0.5], [2.0]]))
        layer.rows.bias.copy_(torch.tensor([[[[10.0], [20.0]]]]))
    # Gain 1 + 0.5 * 3, bias 2 * 3 and that of the row.
    x = torch.tensor([[[[1.0], [2.0]]]])
    assert layer(x, torch.tensor([[3.0]])).flatten().tolist() == [2.5 + 6.0 + 10.0, 5.0 + 6.0 + 20.0]


def test_statistics_are_those_of_the_projects_own_batch_norm() -> None:
    assert isinstance(Modulation(3, inputs=4).norm, BatchNorm)


def test_samples_that_are_no_sound_come_out_of_a_hyperbolic_tangent() -> None:
    spec = SampleSpec(shape=(3, 5, 7))
    x = torch.randn(2, 3, 5, 7)
    torch.testing.assert_close(SpectrogramOutput(spec)(x), x.tanh())


@pytest.mark.parametrize("representation", ["log-stft", "log-mel", "stft-if"])
def test_a_magnitude_reaches_from_the_silence_of_its_row_to_one(representation: str) -> None:
    spec = fitted(representation)
    output = SpectrogramOutput(spec)
    silence = spec.relax(torch.zeros(1, 1, spec.length))
    low, high = (output(constant(spec, [u, 0.0])) for u in (-30.0, 30.0))
    assert silence[0, 0, :, 0].max() > -1.0  # otherwise there would be nothing to test
    torch.testing.assert_close(low, silence, rtol=0, atol=1e-5)
    torch.testing.assert_close(high[:, :1], torch.ones_like(high[:, :1]))


def test_what_saturates_below_is_silence_on_disk() -> None:
    spec = fitted("stft-if")
    waves = spec.harden(SpectrogramOutput(spec)(constant(spec, [-30.0, 0.3])).detach())
    assert waves.abs().max() == 0.0


def test_rows_begin_at_their_mean() -> None:
    spec = fitted("log-stft")
    x = SpectrogramOutput(spec)(constant(spec, [0.0]))
    # 0 is the mean; rows that are silent most of the time stay a little above the floor instead.
    floor = spec.relax(torch.zeros(1, 1, spec.length))
    expected = torch.maximum(floor + 0.05 * (1.0 - floor), torch.zeros_like(floor))
    torch.testing.assert_close(x, expected, rtol=0, atol=1e-5)


def test_frequencies_begin_at_those_of_their_bins() -> None:
    spec = AudioSpec.of(representation="stft-if", **SMALL)
    turn = SpectrogramOutput(spec)(constant(spec, [3.0, 0.0]))[0, 1, :, 0]
    # From frame to frame bin k turns by 2 pi k hop / n_fft, here k quarters of a turn: 0, 1/2, 1 and -1/2 of pi.
    apart = (turn - torch.tensor([0.0, 0.5, 1.0, -0.5]).repeat(8)).remainder(2.0)
    torch.testing.assert_close(torch.minimum(apart, 2.0 - apart), torch.zeros(32), rtol=0, atol=1e-5)


def test_those_frequencies_are_what_a_sine_in_the_middle_of_a_bin_has() -> None:
    spec = AudioSpec.of(representation="stft-if", **SMALL)
    output = SpectrogramOutput(spec)
    for k in (3, 8, 9):
        sine = torch.sin(2 * math.pi * k / spec.n_fft * torch.arange(spec.length))[None, None]
        apart = (spec.relax(sine)[0, 1, k, 4:-4] - output.bias[0, 1, k]).remainder(2.0)
        assert torch.minimum(apart, 2.0 - apart).max() < 1e-3


def test_frequencies_wrap_and_keep_their_slope_at_the_seam() -> None:
    spec = AudioSpec.of(representation="stft-if", **SMALL)
    output = SpectrogramOutput(spec)
    with torch.no_grad():
        output.bias.zero_()
    u = torch.tensor([0.9, 1.1, -1.1, 2.3, 7.0]).view(5, 1, 1, 1).expand(5, 1, *spec.shape[1:]).clone().requires_grad_()
    turn = output(torch.cat([torch.full_like(u, 30.0), u], dim=1))[:, 1]
    expected = torch.tensor([0.9, -0.9, 0.9, 0.3, -1.0])
    torch.testing.assert_close(turn[:4, 3, 3], expected[:4], rtol=0, atol=1e-5)
    assert turn[4].abs().sub(1.0).abs().max() < 1e-5
    (slope,) = torch.autograd.grad(turn.sum(), u)
    torch.testing.assert_close(slope, torch.ones_like(slope))


def test_frequencies_fade_with_the_magnitude() -> None:
    spec = AudioSpec.of(representation="stft-if", **SMALL)
    output = SpectrogramOutput(spec)
    silent, loud = (output(constant(spec, [u, 0.3]))[0] for u in (-10.0, 2.0))
    assert silent[1].abs().max() < 1e-3
    assert loud[1, 1].sub(0.8).abs().max() < 1e-4


def test_a_larger_map_is_cut_at_its_end_and_a_smaller_one_filled() -> None:
    spec = SampleSpec(shape=(1, 2, 3))
    x = torch.arange(20.0).view(1, 1, 4, 5) / 10
    torch.testing.assert_close(SpectrogramOutput(spec)(x), x[:, :, :2, :3].tanh())
    filled = pad_to(torch.ones(1, 1, 2, 3), (4, 5))
    assert filled.shape == (1, 1, 4, 5)
    assert filled.sum() == filled[:, :, :2, :3].sum() == 6
