"""HiFi-GAN: sizes for any hop, what a sample depends on, heads as in the paper, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from gan_audio.nets.hifigan import (
    Discriminator,
    Generator,
    Options,
    PeriodDiscriminator,
    ScaleDiscriminator,
    build,
    upsampling,
)
from gan_audio.spec import AudioSpec
from gancore.data.spec import SampleSpec
from gancore.errors import UsageError
from gancore.losses.spectral import apply_spectral_norm

SMALL = {"width": 8, "least": 4, "kernels": (3,), "dilations": (1, 3), "discriminator_width": 1}


def spec_of(**changes) -> AudioSpec:
    usual = {"representation": "waveform", "given": "mel", "n_fft": 64, "hop": 16, "length": 256, "mels": 8}
    return AudioSpec.of(**(usual | changes))


@pytest.mark.parametrize("hop", [1, 2, 12, 48, 64, 100, 110, 121, 256, 441])
def test_factors_multiply_to_the_hop_and_are_small_where_it_allows(hop):
    factors = upsampling(hop)
    assert math.prod(factors) == hop
    assert list(factors) == sorted(factors, reverse=True)
    for factor in factors:
        assert factor <= 8 or all(factor % n for n in range(2, factor)), "a factor above 8 is prime"


def test_the_factors_of_a_hop_of_256_are_few():
    assert upsampling(256) == (8, 8, 4)
    assert upsampling(64) == (8, 8)
    assert upsampling(1) == ()


@pytest.mark.parametrize("hop", [1, 2, 3, 7, 12, 16, 22, 25])
@pytest.mark.parametrize("frames", [1, 5])
def test_each_frame_becomes_hop_samples(hop, frames):
    spec = spec_of(hop=hop, length=hop * math.ceil(64 / hop))
    generator = Generator(Options(**SMALL), spec)
    made = generator(torch.zeros(2, 1), None, torch.rand(2, 8, frames) * 2 - 1)
    assert made.shape == (2, 1, frames * hop)
    assert made.abs().max() < 1


@pytest.mark.parametrize("changes", [{}, {"kernels": (3, 7), "paired": True}, {"dilations": (1,), "kernels": (5,)}])
@pytest.mark.parametrize("hop", [6, 16, 15])
def test_what_is_made_depends_on_no_frame_further_away_than_the_context(hop, changes):
    torch.manual_seed(0)
    generator = Generator(Options(**(SMALL | changes)), spec_of(hop=hop, length=hop * 32)).double()
    context = generator.context
    mel = torch.rand(1, 8, 2 * context + 1, dtype=torch.float64, requires_grad=True)
    made = generator(None, None, mel)[..., context * hop : (context + 1) * hop]
    longer = torch.nn.functional.pad(mel.detach(), (5, 5), value=0.7)
    again = generator(None, None, longer)[..., (context + 5) * hop : (context + 6) * hop]
    torch.testing.assert_close(made, again, rtol=0, atol=1e-12)


def test_the_latent_and_the_condition_are_not_looked_at():
    generator = Generator(Options(**SMALL), spec_of())
    mel = torch.rand(2, 8, 4)
    first = generator(torch.zeros(2, 1), None, mel)
    assert torch.equal(first, generator(torch.ones(2, 1), torch.tensor([0, 1]), mel))
    assert not torch.equal(first, generator(torch.zeros(2, 1), None, mel.flip(0)))


def test_a_spectrogram_that_does_not_change_becomes_a_sound_that_repeats_every_hop():
    torch.manual_seed(0)
    generator = Generator(Options(**SMALL), spec_of()).double()
    context = generator.context
    frame = torch.rand(1, 8, 1, dtype=torch.float64)
    made = generator(None, None, frame.expand(1, 8, 2 * context + 3))[0, 0, context * 16 : (context + 3) * 16].reshape(
        3, 16
    )
    torch.testing.assert_close(made[0], made[1], rtol=0, atol=1e-12)
    torch.testing.assert_close(made[0], made[2], rtol=0, atol=1e-12)
    assert float(made[0].detach().std()) > 0


def test_a_period_discriminator_sees_columns_of_samples_that_are_a_period_apart():
    judge = PeriodDiscriminator(3, 1, False)
    seen = judge.view(torch.arange(7.0)[None, None])
    # 7 samples and two more, mirrored at the end.
    assert seen[0, 0].tolist() == [[0, 1, 2], [3, 4, 5], [6, 5, 4]]


def test_a_period_discriminator_compares_no_samples_of_different_columns():
    torch.manual_seed(0)
    judge = PeriodDiscriminator(5, 1, False)
    x = torch.randn(1, 1, 400, requires_grad=True)
    logits = judge.activations(x)[-1]
    logits[..., 2].sum().backward()
    columns = x.grad[0, 0].reshape(-1, 5).abs().sum(0)
    assert columns[2] > 0
    assert columns[[0, 1, 3, 4]].tolist() == [0, 0, 0, 0]


def test_a_scale_discriminator_sees_half_the_rate_for_each_scale():
    x = torch.full((1, 1, 64), 0.5)
    assert ScaleDiscriminator(0, 1, False).view(x).shape[-1] == 64
    assert ScaleDiscriminator(2, 1, False).view(x).shape[-1] in (16, 17)
    middle = ScaleDiscriminator(1, 1, False).view(x)[0, 0, 1:-1]
    assert torch.equal(middle, torch.full_like(middle, 0.5))


def test_with_the_papers_width_the_layers_are_the_papers():
    judge = ScaleDiscriminator(0, 32, False)
    layers = [(m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0], m.groups) for m in judge.layers]
    assert layers == [
        (1, 128, 15, 1, 1),
        (128, 128, 41, 2, 4),
        (128, 256, 41, 2, 16),
        (256, 512, 41, 4, 16),
        (512, 1024, 41, 4, 16),
        (1024, 1024, 41, 1, 16),
        (1024, 1024, 5, 1, 1),
        (1024, 1, 3, 1, 1),
    ]
    periods = [
        (m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0]) for m in PeriodDiscriminator(2, 32, False).layers
    ]
    assert periods == [
        (1, 32, 5, 3),
        (32, 128, 5, 3),
        (128, 512, 5, 3),
        (512, 1024, 5, 3),
        (1024, 1024, 5, 1),
        (1024, 1, 3, 1),
    ]


def test_each_period_and_each_scale_is_a_head_whose_logit_is_the_mean_over_its_places():
    networks = build(Options(**SMALL, periods=(2, 5), scales=2), spec_of())
    judge = networks["discriminator"]
    assert isinstance(judge, Discriminator)
    x = torch.randn(3, 1, 256)
    logits, seen = judge(x, None), judge.activations(x, None)
    assert len(logits) == len(seen) == 4
    for logit, head in zip(logits, seen, strict=True):
        assert logit.shape == (3,)
        torch.testing.assert_close(logit, head[-1].reshape(3, -1).mean(1))
    assert judge.features(x).shape == (3, 4 * 32)


def test_weights_are_normalised_where_nothing_else_normalises_them():
    def normed(network: nn.Module) -> bool:
        return any("parametrizations" in name for name, _ in network.named_parameters())

    for spectral, expected in (("none", (True, True)), ("discriminator", (True, False)), ("both", (False, False))):
        networks = build(Options(**SMALL, spectral_norm=spectral), spec_of())
        assert (normed(networks["generator"]), normed(networks["discriminator"])) == expected
        if spectral == "both":
            # The engine then finds plain weights, all of which it can normalise.
            apply_spectral_norm(networks["generator"])
            assert normed(networks["generator"])
    assert not normed(build(Options(**SMALL, weight_norm=False), spec_of())["generator"])


def test_sounds_of_which_no_mel_is_given_are_refused():
    for spec in (AudioSpec.of(), AudioSpec.of(representation="waveform"), SampleSpec(shape=(1, 256))):
        with pytest.raises(UsageError, match=r"data\.given=mel"):
            build(Options(), spec)


def test_classes_are_refused():
    with pytest.raises(UsageError, match="knows no classes, and these data have 2"):
        build(Options(), spec_of(classes=("a", "b")))


def test_a_period_that_is_longer_than_half_a_clip_is_refused():
    with pytest.raises(UsageError, match="periods=200 is too long for clips of 256 samples"):
        build(Options(**SMALL, periods=(2, 200)), spec_of())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kernels": (4,)}, "kernels must be odd"),
        ({"dilations": (0,)}, "greater than or equal to 1"),
        ({"periods": (3, 3)}, "periods must differ"),
        ({"periods": (), "scales": 0}, "there is no discriminator"),
    ],
)
def test_options_that_make_no_network_are_refused(changes, words):
    with pytest.raises(ValidationError, match=words):
        Options(**changes)
