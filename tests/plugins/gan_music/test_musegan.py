"""MuseGAN: shapes for grids of any size, the form of what it makes, and what its discriminator is shown."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType

import pytest
import torch
from toys import music
from toys.music import latents, lively, small
from toys.nets import one_thread  # noqa: F401

from gan_music.nets import musegan
from gan_music.nets.cells import Grid, chroma, rhythm
from gancore.losses.spectral import apply_spectral_norm
from gancore.nets.norm import BatchNorm
from gancore.plugins import Registry
from gancore.testing.suite import check_plugin

build = partial(music.build, musegan)


@pytest.mark.parametrize("neurons", ["deterministic", "stochastic", "none"])
def test_what_begins_sounds(neurons: str) -> None:
    spec = small()
    generator = lively(build(spec, neurons=neurons)[0])
    onset, sounding = generator(latents(generator)).unflatten(1, (2, 2)).unbind(2)
    assert bool((onset <= sounding).all())
    assert bool((onset[:, 0] < sounding[:, 0]).any())


def test_drums_are_struck_wherever_they_sound() -> None:
    generator = lively(build(small())[0])
    onset, sounding = generator(latents(generator)).unflatten(1, (2, 2)).unbind(2)
    assert torch.equal(onset[:, 1], sounding[:, 1])
    assert bool(sounding[:, 1].any())


def test_phrases_begin_sparse() -> None:
    generator, _ = build(small(), width=32)
    assert generator(latents(generator))[:, 1].mean() < 0.2


@pytest.mark.parametrize("neurons", ["deterministic", "stochastic", "none"])
def test_every_parameter_of_the_generator_gets_a_gradient(neurons: str) -> None:
    generator, discriminator = build(small(velocities=3, classes=("a", "b")), neurons=neurons)
    lively(generator)
    condition = torch.tensor([0, 1, 0, 1, 0, 1])
    discriminator(generator(latents(generator), condition), condition).sum().backward()
    silent = [n for n, p in generator.named_parameters() if p.grad is None or not bool(p.grad.any())]
    assert silent == []


def test_discriminator_can_be_differentiated_twice() -> None:
    spec = small(classes=("a", "b"))
    _, discriminator = build(spec)
    x = torch.rand(3, *spec.shape, requires_grad=True)
    (slope,) = torch.autograd.grad(discriminator(x, torch.tensor([0, 1, 1])).sum(), x, create_graph=True)
    slope.square().sum().backward()
    missing = [n for n, p in discriminator.named_parameters() if "weight" in n and "head" not in n and p.grad is None]
    assert missing == []
    assert all(bool(torch.isfinite(p.grad).all()) for p in discriminator.parameters() if p.grad is not None)


def test_discriminator_has_no_batch_normalisation() -> None:
    _, discriminator = build(small())
    assert not any(isinstance(m, BatchNorm) for m in discriminator.modules())


def test_a_wider_network_has_more_parameters() -> None:
    def size(width: int) -> int:
        return sum(p.numel() for network in build(small(), width=width) for p in network.parameters())

    assert size(64) > 3 * size(32)


def test_memory_layout_changes_nothing() -> None:
    spec = small(classes=("a", "b"))
    generator, discriminator = build(spec)
    lively(generator)
    condition = torch.tensor([0, 1, 0, 1, 0, 1])
    fake = generator(latents(generator), condition)
    logits = discriminator(fake, condition)
    for network in (generator, discriminator):
        network.to(memory_format=torch.channels_last)
    again = generator(latents(generator), condition)
    assert (again != fake).float().mean() < 1e-3  # a cell at its threshold may fall to the other side
    x = fake.detach().contiguous(memory_format=torch.channels_last)
    assert torch.allclose(discriminator(x, condition), logits, atol=1e-5)


def test_spectral_norm_takes_the_layers_of_each_track() -> None:
    spec = small()
    discriminator = apply_spectral_norm(build(spec)[1])
    with torch.no_grad():
        for _ in range(50):
            discriminator(torch.rand(2, *spec.shape))
    for layer in (*discriminator.pitch_time, *discriminator.time_pitch):
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1.0, abs=0.02)


STOCHASTIC = """
@hookimpl
def gan_architectures():
    yield Architecture(
        name="musegan", summary="MuseGAN", target="gan_music.nets.musegan:build", options="gan_music.nets.musegan:Options")


@hookimpl
def gan_presets():
    architecture = {"name": "musegan", "neurons": "stochastic", "width": 8, "latent": 8}
    config = {"data": {"name": "music:tunes", "count": 64}, "architecture": architecture, "loss": {"name": "rpgan"}}
    yield Preset(name="stochastic", summary="Noise from the latent", config=config)
"""


@pytest.mark.parametrize("only", ["networks.*", "run.resumes"])
def test_stochastic_neurons_keep_the_contract(plugin_module: Callable[[str], ModuleType], only: str) -> None:
    registry = Registry()
    registry.register(plugin_module(STOCHASTIC), "stochastic")
    report = check_plugin("stochastic", registry=registry, only=only)
    assert report.of("passed")
    assert report.ok, [str(r) for r in report.results]


# --- the grid and the streams -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lowest", "pitches", "octaves"), [(24, 84, 7), (36, 12, 1), (41, 19, 2), (35, 14, 3), (0, 1, 1)]
)
def test_octaves_begin_at_a_c(lowest: int, pitches: int, octaves: int) -> None:
    spec = small(lowest=lowest, pitches=pitches)
    grid = Grid(spec)
    assert grid.octaves == octaves
    # The value of a cell is its MIDI pitch, so after cutting its place in the octave must be that modulo 12.
    x = torch.arange(lowest, lowest + pitches).float().expand(1, *spec.shape) + 1.0
    cells = grid.cut(x)
    octave, pitch_class = torch.nonzero(cells[0, 0, 0, 0, 0], as_tuple=True)
    values = cells[0, 0, 0, 0, 0][octave, pitch_class].long() - 1
    assert torch.equal(values % 12, pitch_class)
    assert torch.equal(values // 12 - lowest // 12, octave)
    assert torch.equal(grid.joined(cells).flatten(1, 2), x)


def test_chroma_folds_octaves_and_adds_up_beats() -> None:
    spec = small()  # pitches 41 to 59, 4 steps a beat
    x = torch.zeros(1, 2, 2, spec.time, spec.pitches)
    x[0, 0, 1, 0:4, 43 - 41] = 1.0  # a G for the whole first beat
    x[0, 0, 1, 0:2, 55 - 41] = 1.0  # the G above for half of it
    x[0, 0, 1, 7, 48 - 41] = 1.0  # a C for a quarter of the second
    energy = chroma(Grid(spec).cut(x.flatten(1, 2)))
    assert energy.shape == (1, 2, 6, 12)
    assert energy[0, 0, 0, 7].item() == pytest.approx(1.5)
    assert energy[0, 0, 1, 0].item() == pytest.approx(0.25)
    assert energy.sum().item() == pytest.approx(1.75)


def test_rhythm_counts_what_is_struck_and_how_many_more_sound() -> None:
    spec = small()
    x = torch.zeros(1, 2, 2, spec.time, spec.pitches)
    x[0, 0, 0, 2, [3, 7]] = 1.0  # two notes begin at step 2 ...
    x[0, 0, 1, 2:5, [3]] = 1.0
    x[0, 0, 1, 2:6, [7]] = 1.0  # ... and end after steps 4 and 5
    x[0, 0, 0, 4, 7] = 1.0  # one is struck again while it sounds
    struck, change = rhythm(Grid(spec).cut(x.flatten(1, 2)))[0, 0].tolist()
    assert struck[:8] == [0.0, 0.0, 2.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    assert change[:8] == [0.0, 0.0, 2.0, 0.0, 0.0, -1.0, -1.0, 0.0]
