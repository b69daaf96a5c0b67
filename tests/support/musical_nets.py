"""Networks of music and their inputs, small enough to be built in every test."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from gan_music.spec import MusicSpec, Track
from gancore.data.spec import SampleSpec
from gancore.games.gan import draw_latent
from gancore.random import Draws

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
