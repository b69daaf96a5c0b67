"""What the writers share: how samples are checked, how long a step lasts, and how a velocity bin sounds."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gan_music.spec import MusicSpec
from gancore.errors import UsageError

Rolls = npt.NDArray[np.uint8]


def rolls_of(samples: Tensor, spec: MusicSpec) -> Rolls:
    """Hard samples as an array `[n, tracks, time, pitch]` uint8; UsageError where they are anything else."""
    wanted = (len(spec.tracks), spec.time, spec.pitches)
    if samples.dtype != torch.uint8 or tuple(samples.shape[1:]) != wanted or not len(samples):
        raise UsageError(
            f"phrases to write must be uint8 of shape [n, {', '.join(map(str, wanted))}] with n at least 1, "
            f"not {samples.dtype} of shape {list(samples.shape)}"
        )
    rolls: Rolls = samples.detach().cpu().numpy()
    return rolls


def at_tempo(spec: MusicSpec, tempo: float | None) -> MusicSpec:
    """The spec with `tempo` quarter notes a minute, or with its own."""
    return spec if tempo is None else spec.model_copy(update={"tempo": tempo})


def quarters_of_step(spec: MusicSpec) -> Fraction:
    """How long a step of the grid is, in quarter notes."""
    return Fraction(4, spec.beat_unit * spec.steps_per_beat)


def seconds_of_step(spec: MusicSpec) -> float:
    """How long a step of the grid is, in seconds, at the spec's tempo."""
    return float(quarters_of_step(spec)) * 60.0 / spec.tempo


def midi_velocity(bins: npt.NDArray[np.int64], spec: MusicSpec, single: int) -> npt.NDArray[np.int64]:
    """MIDI velocities, 1 to 127, of bins `[notes]`: the middle of those that `velocity * velocities // 128` puts in the bin.

    `single` is the velocity of all notes where the spec tells none apart.
    """
    if spec.velocities == 1:
        return np.full_like(bins, single)
    lowest = np.maximum(1, -(-128 * bins // spec.velocities))
    highest = np.minimum(127, (128 * (bins + 1) - 1) // spec.velocities)
    return (lowest + highest) // 2
