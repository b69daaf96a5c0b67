"""SpecGAN's networks: any size, any channels, classes and rows at every resolution, and what they refuse."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn
from toys.nets import (
    assert_apart,
    assert_classes_differ,
    assert_penalised,
    assert_seeded,
    one_thread,  # noqa: F401
    perturb,
    without_effect,
)

from gan_audio.nets import specgan
from gan_audio.nets.frequency import RowBias
from gan_audio.spec import AudioSpec
from gancore.components import GeneratorNet
from gancore.data.spec import SampleSpec
from gancore.errors import UsageError

SMALL: dict[str, Any] = {"latent": 5, "width": 8, "max_width": 16, "embedding": 3}


def build(shape: tuple[int, ...] = (1, 24, 43), classes: int = 0, **options: Any) -> tuple[Any, Any]:
    spec = SampleSpec(shape=shape, classes=tuple(f"class {n}" for n in range(classes)))
    torch.manual_seed(0)
    nets = specgan.build(specgan.Options(**(SMALL | options)), spec)
    return nets["generator"], nets["discriminator"]


@settings(max_examples=30, deadline=None)
@given(
    channels=st.integers(1, 3),
    rows=st.integers(1, 140),
    frames=st.integers(1, 140),
    classes=st.sampled_from([0, 3]),
    stem=st.sampled_from([4, 16]),
)
def test_every_size_comes_out_as_asked(channels: int, rows: int, frames: int, classes: int, stem: int) -> None:
    generator, discriminator = build((channels, rows, frames), classes, stem=stem)
    condition = torch.tensor([0, 2]) if classes else None
    assert isinstance(generator, GeneratorNet)
    with torch.no_grad():
        x = generator(torch.randn(2, 5), condition)
        assert x.shape == (2, channels, rows, frames)
        assert x.abs().max() <= 1.0
        assert discriminator(x, condition).shape == (2,)
        assert discriminator.features(x, condition).dim() == 2


@pytest.mark.parametrize("shape", [(2, 1024, 64), (1, 16, 900)])
def test_long_and_high_spectrograms_pass_through(shape: tuple[int, ...]) -> None:
    generator, discriminator = build(shape)
    with torch.no_grad():
        x = generator.eval()(torch.randn(1, 5), None)
        assert x.shape == (1, *shape)
        assert discriminator(x, None).shape == (1,)


@pytest.mark.parametrize("options", [{}, {"modulate": "latent", "refine": 1}, {"modulate": "none", "rows": False}])
@pytest.mark.parametrize("classes", [0, 3])
def test_gradients_reach_every_parameter(options: dict[str, Any], classes: int) -> None:
    condition = torch.arange(6) % classes if classes else None
    still = without_effect(*build((2, 24, 43), classes, **options), torch.rand(6, 2, 24, 43) * 2 - 1, condition)
    # A bias in front of a batch normalisation has no effect; everything else has.
    assert not {path for path in still if not (path.startswith(("steps", "project")) and path.endswith("bias"))}


def test_a_gradient_penalty_has_a_gradient_itself() -> None:
    _, discriminator = build(classes=3)
    perturb(discriminator)
    weights = [p for p in discriminator.parameters() if p.dim() == 4 and p.shape[-1] > 1]
    assert_penalised(weights, discriminator, torch.rand(3, 1, 24, 43) * 2 - 1, torch.arange(3))


def test_a_sample_and_its_logit_do_not_depend_on_the_rest_of_the_batch() -> None:
    assert_apart(*build(classes=3), torch.tensor([0, 1, 2, 1, 0]), 3)


def test_the_same_seed_builds_the_same_networks() -> None:
    assert_seeded(partial(build, classes=2))


@pytest.mark.parametrize("modulate", ["none", "class", "latent"])
def test_the_class_changes_samples_and_logits(modulate: str) -> None:
    assert_classes_differ(*build(classes=2, modulate=modulate))


def test_modulation_alone_carries_the_class_when_the_start_does_not() -> None:
    generator, _ = build(classes=2)
    generator.eval()
    with torch.no_grad():
        generator.project.weight[:, 5:] = 0.0
        z = torch.randn(3, 5)
        first, second = (generator(z, torch.full((3,), c)) for c in (0, 1))
    assert (first - second).abs().max() > 1e-3


@pytest.mark.parametrize(("modulate", "length"), [("none", 0), ("class", 3), ("latent", 8)])
def test_modulation_reads_the_part_of_the_start_that_was_asked_for(modulate: str, length: int) -> None:
    generator, _ = build(classes=2, modulate=modulate)
    widths = {m.in_features for n, m in generator.named_modules() if n.endswith("affine") and m is not None}
    assert widths == ({length} if length else set())


def test_without_classes_modulation_by_class_is_plain_normalisation() -> None:
    generator, _ = build(classes=0)
    assert generator.first.affine is None
    assert generator.first.norm.affine


def test_every_map_behind_the_spectrogram_has_biases_by_row() -> None:
    generator, discriminator = build((1, 64, 32))
    # 64x32 is 4x4 after 4 and 3 halvings, of which the first is one of rows alone.
    for network in (generator, discriminator):
        rows = sorted(m.bias.shape[2] for m in network.modules() if isinstance(m, RowBias))
        assert rows == [4, 8, 16, 32]
    plain = build((1, 64, 32), rows=False)
    assert not [m for network in plain for m in network.modules() if isinstance(m, RowBias)]


def test_biases_by_row_tell_a_discriminator_where_a_line_lies() -> None:
    """Convolutions cannot tell rows apart where they see all the same; the head is made blind to places to show it."""
    answers = {}
    for rows in (True, False):
        _, discriminator = build((1, 64, 64), rows=rows)
        perturb(discriminator)
        layer = discriminator.layers[0]
        low, high = torch.zeros(1, 1, 64, 64), torch.zeros(1, 1, 64, 64)
        low[:, :, 16], high[:, :, 48] = 1.0, 1.0
        with torch.no_grad():
            seen = [F.leaky_relu(layer(x), 0.2) for x in (low, high)]
        # Responses to the line itself, 8 rows of the first map around it.
        answers[rows] = (seen[0][:, :, 4:12] - seen[1][:, :, 20:28]).abs().max().item()
    assert answers[False] < 1e-6
    assert answers[True] > 1e-2


def test_the_discriminator_sees_every_number_of_an_odd_size() -> None:
    _, discriminator = build((1, 27, 43))
    x = torch.zeros(1, 1, 27, 43, requires_grad=True)
    (slope,) = torch.autograd.grad(discriminator(x).sum(), x)
    assert (slope != 0).all()


def test_one_step_of_stem_16_does_what_two_of_stem_4_do() -> None:
    fine, coarse = build((1, 64, 64), stem=4)[1], build((1, 64, 64), stem=16)[1]
    kernels = [[tuple(m.weight.shape[2:]) for m in net.modules() if isinstance(m, nn.Conv2d)] for net in (fine, coarse)]
    assert kernels == [[(4, 4)] * 4, [(8, 8), (4, 4), (4, 4)]]


def test_channels_last_gives_the_same_samples() -> None:
    generator, discriminator = build((2, 32, 48), classes=2)
    perturb(generator, discriminator)
    generator.eval()
    z, condition = torch.randn(3, 5), torch.tensor([0, 1, 0])
    with torch.no_grad():
        x = generator(z, condition)
        logits = discriminator(x, condition)
        generator.to(memory_format=torch.channels_last)
        discriminator.to(memory_format=torch.channels_last)
        torch.testing.assert_close(generator(z, condition), x, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(discriminator(x, condition), logits, rtol=1e-4, atol=1e-5)


def test_it_learns_in_which_row_a_class_sounds() -> None:
    """Two classes, a tone each, two rows apart: after some steps the generator puts each where it belongs."""
    generator, discriminator = build((1, 12, 8), classes=2)
    optimizers = [
        torch.optim.Adam(n.parameters(), 3e-3, betas=(0.5, 0.9), foreach=True) for n in (generator, discriminator)
    ]
    condition = torch.arange(8) % 2
    real = -torch.ones(8, 1, 12, 8)
    real[condition == 0, :, 5] = 1.0
    real[condition == 1, :, 7] = 1.0
    torch.manual_seed(1)
    for _ in range(120):
        fake = generator(torch.randn(8, 5), condition)
        optimizers[1].zero_grad()
        loss = F.softplus(-discriminator(real, condition)) + F.softplus(discriminator(fake.detach(), condition))
        loss.mean().backward()
        optimizers[1].step()
        optimizers[0].zero_grad()
        F.softplus(-discriminator(fake, condition)).mean().backward()
        optimizers[0].step()
    with torch.no_grad():
        loudest = generator(torch.randn(8, 5), condition).mean(3)[:, 0].argmax(1)
    assert ((loudest == torch.where(condition == 0, 5, 7)).float().mean()) >= 0.8


def test_waveforms_are_refused_with_the_option_to_change() -> None:
    with pytest.raises(UsageError, match=r"specgan.*data\.representation=log-stft.*wavegan"):
        specgan.build(specgan.Options(), AudioSpec.of(representation="waveform"))


def test_a_spectrogram_beyond_4096_frames_is_refused() -> None:
    with pytest.raises(UsageError, match=r"64x5000.*4096.*hop"):
        specgan.build(specgan.Options(), SampleSpec(shape=(1, 64, 5000)))


@pytest.mark.parametrize("wrong", [{"stem": 2}, {"width": 0}, {"modulate": "pitch"}, {"depth": 3}])
def test_options_out_of_bounds_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        specgan.Options(**wrong)
