"""What every architecture of music keeps to."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import music
from toys.music import latents, lively, small
from toys.nets import assert_seeded, one_thread  # noqa: F401

from gan_music.nets import musegan, roll_transformer
from gan_music.spec import MusicSpec, Track
from gancore.data.spec import SampleSpec
from gancore.errors import UsageError

WIDTHS: dict[Any, int] = {musegan: 8, roll_transformer: 16}
every = pytest.mark.parametrize("architecture", WIDTHS, ids=lambda module: module.__name__.rpartition(".")[2])


def build(architecture: Any, spec: SampleSpec, **options: Any) -> tuple[Any, Any]:
    return music.build(architecture, spec, **{"width": WIDTHS[architecture], **options})


@settings(max_examples=40)
@given(
    tracks=st.lists(st.booleans(), min_size=1, max_size=6),
    grid=st.fixed_dictionaries(
        {
            "bars": st.integers(1, 5), "beats_per_bar": st.integers(1, 7), "steps_per_beat": st.integers(1, 7),
            "lowest": st.integers(0, 80), "pitches": st.integers(1, 48), "velocities": st.sampled_from([1, 2, 5]),
        }
    ),
    classes=st.sampled_from([0, 3]),
    attention=st.sampled_from(["joint", "factorised"]),
    token=st.sampled_from(["default", "step", "bar"]),
)  # fmt: skip
@every
def test_shapes_agree_for_any_grid(
    architecture: Any, tracks: list[bool], grid: dict[str, int], classes: int, attention: str, token: str
) -> None:
    named = tuple(Track(name="t", drums=d) for d in tracks)
    spec = MusicSpec.of(named, **grid, classes=tuple(f"class {n}" for n in range(classes)))
    steps = {"default": 0, "step": 1, "bar": spec.steps_per_bar}[token]
    own = {"attention": attention, "steps_per_token": steps} if architecture is roll_transformer else {}
    generator, discriminator = build(architecture, spec, width=8, **own)
    condition = torch.tensor([0, 2, 1]) if classes else None
    fake = generator(latents(generator, 3), condition)
    assert fake.shape == (3, *spec.shape)
    logits = discriminator(fake, condition)
    assert logits.shape == (3,)
    assert bool(torch.isfinite(logits).all())


@every
@pytest.mark.parametrize("velocities", [1, 2, 5, 100])
def test_what_is_generated_is_exactly_what_relaxing_a_hard_phrase_gives(architecture: Any, velocities: int) -> None:
    spec = small(velocities=velocities)
    generator = lively(build(architecture, spec)[0])
    fake = generator(latents(generator)).detach()
    assert 0.05 < fake[:, 1].mean() < 0.95
    assert torch.equal(spec.relax(spec.harden(fake)), fake)


@every
def test_stochastic_phrases_follow_from_the_latent_alone(architecture: Any) -> None:
    generator = lively(build(architecture, small(), neurons="stochastic")[0])
    z = latents(generator)
    assert z.shape[1] == 6
    other = z.clone()
    other[:, -1] += 1.0  # the key of the noise
    torch.manual_seed(1)
    first = generator(z)
    torch.manual_seed(2)
    assert torch.equal(generator(z), first)
    assert not torch.equal(generator(other), first)
    generator.eval()
    assert torch.equal(generator(other), generator(z))


@every
def test_discriminator_looks_at_every_cell(architecture: Any) -> None:
    spec = small()
    _, discriminator = build(architecture, spec)
    x = torch.full((1, *spec.shape), 0.3, requires_grad=True)
    discriminator(x).sum().backward()
    assert x.grad is not None
    assert bool((x.grad != 0).all())


@every
def test_logit_is_linear_in_the_features(architecture: Any) -> None:
    spec = small()
    _, discriminator = build(architecture, spec)
    x = torch.rand(4, *spec.shape)
    features = discriminator.features(x)
    assert features.shape == (4, 4 * WIDTHS[architecture])
    by_hand = features @ discriminator.head.linear.weight[0] + discriminator.head.linear.bias
    assert torch.allclose(discriminator(x), by_hand, atol=1e-6)


@every
def test_the_same_seed_builds_the_same_networks(architecture: Any) -> None:
    assert_seeded(partial(build, architecture, small()))


@every
def test_other_samples_are_refused_in_words(architecture: Any) -> None:
    name = architecture.__name__.rpartition(".")[2].replace("_", "-")
    with pytest.raises(UsageError, match=f"'{name}' is for phrases of music"):
        build(architecture, SampleSpec(shape=(3, 8, 8)))
