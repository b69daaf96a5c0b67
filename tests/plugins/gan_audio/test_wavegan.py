"""WaveGAN's networks: any length, phase shuffle, and what they refuse."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from toys.nets import (
    assert_apart,
    assert_classes_differ,
    assert_penalised,
    assert_seeded,
    one_thread,  # noqa: F401
    perturb,
    without_effect,
)

from gan_audio.nets import wavegan
from gan_audio.nets.wavegan import shifted
from gan_audio.spec import AudioSpec
from gancore.components import GeneratorNet
from gancore.data.spec import SampleSpec
from gancore.errors import UsageError
from gancore.games.calling import mixes_batch

SMALL: dict[str, Any] = {"latent": 5, "width": 4, "max_width": 8, "embedding": 3}


def build(length: int = 600, classes: int = 0, channels: int = 1, **options: Any) -> tuple[Any, Any]:
    spec = SampleSpec(shape=(channels, length), classes=tuple(f"class {n}" for n in range(classes)))
    torch.manual_seed(0)
    nets = wavegan.build(wavegan.Options(**(SMALL | options)), spec)
    return nets["generator"], nets["discriminator"]


def rows(*values: list[float]) -> Tensor:
    return torch.tensor(values)[:, None]


@settings(max_examples=30, deadline=None)
@given(
    length=st.integers(1, 5000),
    channels=st.integers(1, 2),
    classes=st.sampled_from([0, 2]),
    kernel=st.integers(4, 33),
    norm=st.sampled_from(["none", "batch"]),
)
def test_every_length_comes_out_as_asked(length: int, channels: int, classes: int, kernel: int, norm: str) -> None:
    generator, discriminator = build(length, classes, channels, kernel=kernel, norm=norm)
    condition = torch.tensor([0, 1]) if classes else None
    assert isinstance(generator, GeneratorNet)
    with torch.no_grad():
        x = generator(torch.randn(2, 5), condition)
        assert x.shape == (2, channels, length)
        assert x.abs().max() <= 1.0
        assert discriminator(x, condition).shape == (2,)


def test_the_papers_size_has_the_papers_maps() -> None:
    options = wavegan.Options(width=64, max_width=1024, modulate="none")
    nets = wavegan.build(options, AudioSpec.of(sample_rate=16_000, length=16_384, representation="waveform"))
    ups = [tuple(m.weight.shape) for m in nets["generator"].modules() if isinstance(m, nn.ConvTranspose1d)]
    downs = [tuple(m.weight.shape) for m in nets["discriminator"].modules() if isinstance(m, nn.Conv1d)]
    assert ups == [(1024, 512, 25), (512, 256, 25), (256, 128, 25), (128, 64, 25), (64, 1, 25)]
    assert downs == [(64, 1, 25), (128, 64, 25), (256, 128, 25), (512, 256, 25), (1024, 512, 25)]
    assert nets["generator"].base == (1024, 16)
    # Filters 25 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64), biases 961, and 101 * 16384 at the start; published
    # as 19.1 million.
    assert sum(p.numel() for p in nets["generator"].parameters()) == 17_409_600 + 961 + 1_654_784


def test_waves_move_right_and_come_in_reflected() -> None:
    x = rows([1.0, 2.0, 3.0, 4.0]).repeat(5, 1, 1)
    moved = shifted(x, torch.tensor([-2, -1, 0, 1, 2]))
    assert moved[:, 0].tolist() == [
        [3.0, 4.0, 3.0, 2.0],
        [2.0, 3.0, 4.0, 3.0],
        [1.0, 2.0, 3.0, 4.0],
        [2.0, 1.0, 2.0, 3.0],
        [3.0, 2.0, 1.0, 2.0],
    ]


def test_a_shift_is_a_cut_of_the_reflected_padding() -> None:
    x = torch.randn(3, 4, 20)
    padded = F.pad(x, (2, 2), mode="reflect")
    moved = shifted(x, torch.tensor([2, -2, 1]))
    for i, start in enumerate((0, 4, 1)):
        assert torch.equal(moved[i], padded[i, :, start : start + 20])


def test_all_channels_of_a_sample_move_together() -> None:
    x = torch.arange(6.0).expand(1, 3, 6)
    moved = shifted(x, torch.tensor([1]))
    assert moved[0].tolist() == [[1.0, 0.0, 1.0, 2.0, 3.0, 4.0]] * 3


def test_a_map_shorter_than_the_shift_still_moves() -> None:
    assert shifted(rows([7.0]), torch.tensor([2])).tolist() == [[[7.0]]]
    assert shifted(rows([1.0, 2.0]), torch.tensor([-2])).shape == (1, 1, 2)


def test_every_shift_is_drawn_equally_often_and_for_each_sample_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Tensor] = []

    def spy(x: Tensor, shifts: Tensor) -> Tensor:
        drawn.append(shifts)
        return shifted(x, shifts)

    monkeypatch.setattr(wavegan, "shifted", spy)
    _, discriminator = build(4096, shuffle=2)
    discriminator(torch.zeros(500, 1, 4096))
    # 4096 is 16 after four steps, of which the last is followed by the logit and not by a shift.
    assert [len(s) for s in drawn] == [500] * 3
    counts = torch.stack([torch.bincount(s + 2, minlength=5) for s in drawn])
    assert counts.shape == (3, 5)
    assert (counts - 100).abs().max() < 50  # five standard deviations are 45
    assert not torch.equal(drawn[0], drawn[1])


def test_the_discriminator_shuffles_in_training_alone() -> None:
    _, discriminator = build()
    perturb(discriminator)
    x = torch.randn(4, 1, 600)
    with torch.no_grad():
        assert not torch.equal(discriminator(x), discriminator(x))
        discriminator.eval()
        assert torch.equal(discriminator(x), discriminator(x))


def test_without_shuffle_nothing_is_drawn() -> None:
    _, discriminator = build(shuffle=0)
    state = torch.get_rng_state()
    discriminator(torch.randn(2, 1, 600, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(state, torch.get_rng_state())


def test_the_same_state_of_the_random_numbers_gives_the_same_logits() -> None:
    _, discriminator = build()
    x = torch.randn(4, 1, 600)
    logits = []
    for _ in range(2):
        torch.manual_seed(3)
        logits.append(discriminator(x))
    assert torch.equal(*logits)


def test_a_sample_is_shuffled_alike_however_many_follow_it() -> None:
    _, discriminator = build(4096)
    perturb(discriminator)
    x = torch.randn(6, 1, 4096)
    logits = []
    with torch.no_grad():
        for part in (x, x[:3]):
            torch.manual_seed(3)
            logits.append(discriminator(part))
    torch.testing.assert_close(logits[0][:3], logits[1], rtol=1e-4, atol=1e-5)
    assert not mixes_batch(discriminator)


def test_a_sample_and_its_logit_do_not_depend_on_the_rest_of_the_batch() -> None:
    generator, discriminator = build(classes=2, norm="batch")
    assert_apart(generator, discriminator.eval(), torch.tensor([0, 1, 1, 0]), 2)


@pytest.mark.parametrize("classes", [0, 2])
def test_gradients_reach_every_parameter(classes: int) -> None:
    condition = torch.arange(6) % classes if classes else None
    assert without_effect(*build(classes=classes), torch.rand(6, 1, 600) * 2 - 1, condition) == set()


def test_a_gradient_penalty_has_a_gradient_itself_through_the_shuffle() -> None:
    _, discriminator = build(classes=2)
    perturb(discriminator)
    weights = [p for p in discriminator.parameters() if p.dim() == 3]
    assert len(weights) == 3
    assert_penalised(weights, discriminator, torch.randn(4, 1, 600), torch.tensor([0, 1, 0, 1]))


def test_a_number_of_the_smallest_map_sees_as_far_as_the_filters_reach() -> None:
    """Each step of kernel 25 and stride 4 adds 24 places of its own map: 1 + 24 * (1 + 4 + 16) = 505."""
    _, discriminator = build(4 * 4**5, shuffle=0)
    perturb(discriminator)
    x = torch.zeros(1, 1, 4096, requires_grad=True)
    y = x
    for step in discriminator.steps[:3]:
        y = step(y)
    (slope,) = torch.autograd.grad(y[0, 0, 30], x)
    seen = slope[0, 0].nonzero().flatten()
    assert int(seen.max() - seen.min()) + 1 == 505


def test_the_discriminator_sees_every_number_of_an_odd_length() -> None:
    _, discriminator = build(613, shuffle=0)
    x = torch.zeros(1, 1, 613, requires_grad=True)
    (slope,) = torch.autograd.grad(discriminator(x).sum(), x)
    assert (slope != 0).all()


@pytest.mark.parametrize("modulate", ["none", "class", "latent"])
def test_the_class_changes_samples_and_logits(modulate: str) -> None:
    generator, discriminator = build(classes=2, modulate=modulate)
    assert_classes_differ(generator, discriminator.eval())


def test_the_same_seed_builds_the_same_networks() -> None:
    assert_seeded(partial(build, classes=2))


def test_spectrograms_are_refused_with_the_option_to_change() -> None:
    with pytest.raises(UsageError, match=r"wavegan.*data\.representation=waveform.*specgan"):
        wavegan.build(wavegan.Options(), AudioSpec.of(representation="log-stft"))
