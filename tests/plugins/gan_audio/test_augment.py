"""ADA for sounds: what each transform does to waveforms and to spectrograms, and that it can be undone in distribution."""

from __future__ import annotations

import math

import pytest
import torch

from gan_audio.augment import SoundAda, SoundAdaOptions
from gan_audio.spec import AudioSpec
from gancore.random import Draws

SPECS = {
    name: AudioSpec.of(length=256, n_fft=32, hop=8, mels=8, representation=name)
    for name in ("waveform", "log-mel", "stft-if")
}


def augmented(x, *policy, spec="waveform", **options):
    options = {"strength": 1.0, **options}
    return SoundAda(SoundAdaOptions(policy=policy, **options), SPECS[spec])(x, draws(len(x)))


def draws(n):
    return Draws(5, torch.arange(n))


def sounds(n, spec="waveform"):
    return torch.rand(n, *SPECS[spec].shape, generator=torch.Generator().manual_seed(0)).double() * 2 - 1


@pytest.mark.parametrize("spec", SPECS)
def test_rolls_are_around_the_clip_and_no_longer_than_said(spec):
    x = sounds(60, spec)
    found = set()
    for before, after in zip(x, augmented(x, "roll", spec=spec), strict=True):
        size = x.shape[-1]
        shifts = [k for k in range(-(size // 8), size // 8 + 1) if torch.equal(before.roll(k, -1), after)]
        assert len(shifts) == 1
        found |= set(shifts)
    assert min(found) < 0 < max(found)


def test_a_waveform_is_louder_by_a_factor_and_a_spectrogram_by_a_term():
    x, planes = sounds(400), sounds(400, "stft-if")
    factor = augmented(x, "gain")[:, 0] / x[:, 0]
    torch.testing.assert_close(factor, factor[:, :1].expand_as(factor))
    assert float((20 * factor[:, 0].log10()).std()) == pytest.approx(3.0, rel=0.1)
    louder = augmented(planes, "gain", spec="stft-if") - planes
    term = (factor[:, :1, None].log() / (0.5 * 80 * math.log(10) / 20)).expand_as(louder[:, 0])
    torch.testing.assert_close(louder[:, 0], term, rtol=1e-5, atol=1e-7)  # in halves of the range of 80 dB
    assert not bool(louder[:, 1].any())


def test_bands_of_a_waveform_have_gains_of_their_own_and_its_phases_stay():
    x = torch.zeros(300, 1, 256).double()
    x[:, :, 0] = 1.0
    gains = torch.fft.rfft(augmented(x, "bands"))[:, 0]
    assert float(gains.imag.abs().max()) < 1e-9
    decibels = 20 * gains.real.log10()
    knots = decibels[:, [4, 8, 16, 32, 64, 128]]  # half the sample rate, and octaves below
    assert knots.std(0).tolist() == pytest.approx([3.0] * 6, rel=0.15)
    assert float(torch.corrcoef(knots.T).fill_diagonal_(0).abs().max()) < 0.2
    torch.testing.assert_close(decibels[:, 0], decibels[:, 4])


def test_bands_of_a_spectrogram_are_terms_that_run_straight_between_six_rows():
    x = sounds(50, "log-mel")
    term = augmented(x, "bands", spec="log-mel") - x
    torch.testing.assert_close(term, term[..., :1].expand_as(term), rtol=0, atol=1e-9)
    assert len({round(v, 9) for v in term[0, 0, :, 0].tolist()}) == 8


def test_noise_has_a_size_for_each_sound():
    sizes = augmented(torch.zeros(300, 1, 256), "noise").std(-1)
    assert float(sizes.mean()) == pytest.approx(0.02 * math.sqrt(2 / math.pi), rel=0.1)
    assert float(sizes.std()) > 0.005


@pytest.mark.parametrize("spec", SPECS)
def test_derivatives_match_finite_differences_and_strength_0_gives_back_the_samples(spec):
    x = sounds(1, spec)[..., :8].contiguous() if spec == "waveform" else sounds(1, spec)[..., :2].contiguous()
    policy = ("roll", "gain", "bands", "noise")
    assert augmented(x, *policy, spec=spec, strength=0.0) is x
    t = SoundAda(SoundAdaOptions(policy=policy, strength=1.0, roll=0.5), SPECS[spec])
    x.requires_grad_()
    assert torch.autograd.gradcheck(lambda v: t(v, draws(1)), (x,))
    assert torch.autograd.gradgradcheck(lambda v: t(v, draws(1)).pow(3), (x,))


@pytest.mark.parametrize("strength", [0.8, 0.99])
def test_shifts_that_are_differences_of_equal_draws_can_be_undone_in_distribution(strength):
    """On a circle, distributions are multiplied by the Fourier transform of that of the shift, which must nowhere be zero."""
    x = torch.zeros(4000, 1, 256)
    x[:, :, 0] = 1.0
    share = augmented(x, "roll", strength=strength).double().mean(0)[0]
    assert float(torch.fft.rfft(share).real.min()) > (1 - strength) - 0.05
    uniform = torch.zeros(256).double()
    uniform[torch.arange(-32, 33)] = strength / 65
    uniform[0] += 1 - strength
    assert float(torch.fft.rfft(uniform).real.min()) < 1 - strength  # as one draw would have it
