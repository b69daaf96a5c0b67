"""Phrases written down as notes, for tests of what is said about them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from gan_music.roll import Notes, to_rolls
from gan_music.spec import MusicSpec
from gancore.evaluation import Figure, Material, Samples

Note = tuple[int, int, int, int]
"""Track, start, duration, MIDI pitch."""


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


def material(
    generated: Tensor, real: Tensor | None = None, train: Tensor | None = None, *, held_out: bool = True
) -> Material:
    """Without labels; real samples and those trained on are the generated ones unless they are given."""
    real = generated if real is None else real
    train = real if train is None else train
    return Material(generated=Samples(generated), real=Samples(real), train=Samples(train), held_out=held_out)


def values(figures: dict[str, Figure]) -> dict[str, float]:
    """The values alone."""
    return {name: figure.value for name, figure in figures.items()}
