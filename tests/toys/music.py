"""Phrases written down as notes, and networks of music small enough to be built in every test."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gan_music.nets import roll_transformer
from gan_music.roll import Notes, to_rolls
from gan_music.spec import MusicSpec, Track
from gancore.data.spec import SampleSpec
from gancore.evaluation.records import Figure
from gancore.games.calling import draw_latent
from gancore.random import Draws

Note = tuple[int, int, int, int]
"""Track, start, duration, MIDI pitch."""

LEAD, CHORDS, DRUMS = Track(name="Lead"), Track(name="Chords"), Track(name="Drums", drums=True)


def small(*tracks: Track, **more: Any) -> MusicSpec:
    """Two bars of 3/4 in sixteenths and 19 pitches, for a lead and drums unless `tracks` are given."""
    grid = {"bars": 2, "beats_per_bar": 3, "steps_per_beat": 4, "lowest": 41, "pitches": 19, **more}
    return MusicSpec.of(tracks or (LEAD, DRUMS), **grid)


def build(architecture: ModuleType, spec: SampleSpec, **options: Any) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator of the seed 0."""
    torch.manual_seed(0)
    nets = architecture.build(architecture.Options(**{"latent": 5, "width": 8, "embedding": 3, **options}), spec)
    return nets["generator"], nets["discriminator"]


def latents(generator: nn.Module, count: int = 6) -> Tensor:
    return draw_latent(generator, Draws(7, torch.arange(count)))


def lively(generator: Any) -> Any:
    """Make about half of the cells sound, so that all cases come up."""
    transformer = isinstance(generator, roll_transformer.Generator)
    layers = [generator.to_cells] if transformer else [generator.pitch_time[1], generator.time_pitch[1]]
    with torch.no_grad():
        for layer in layers:
            layer.bias.zero_()
            layer.weight.mul_(5.0)
    return generator


def rolls_of(spec: MusicSpec, *phrases: Iterable[Note]) -> Tensor:
    """Hard phrases `[count, tracks, time, pitch]` uint8."""
    rows = [(*note, 0, at) for at, phrase in enumerate(phrases) for note in phrase]
    *columns, number = np.array(rows, np.int64).reshape(-1, 6).T
    return torch.from_numpy(to_rolls(Notes(*columns), number, len(phrases), spec))


def random_rolls(spec: MusicSpec, count: int, seed: int = 0, density: float = 0.03) -> Tensor:
    """Cells at random: silent, held or onset, whatever came before."""
    rng = np.random.default_rng(seed)
    shape = (count, len(spec.tracks), spec.time, spec.pitches)
    cells = rng.integers(1, 3, shape, dtype=np.uint8) * (rng.random(shape) < density)
    return torch.from_numpy(cells.astype(np.uint8))


def values(figures: dict[str, Figure]) -> dict[str, float]:
    """The values alone."""
    return {name: figure.value for name, figure in figures.items()}
