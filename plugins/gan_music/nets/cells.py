"""What architectures of music share: cutting phrases into beats and octaves, layers for each track, chroma and rhythm."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_music.spec import MusicSpec

OCTAVE = 12


class Grid:
    """How the axes of a phrase are cut: beats and steps, octaves and pitch classes."""

    def __init__(self, spec: MusicSpec) -> None:
        self.tracks = len(spec.tracks)
        self.planes = spec.planes
        self.bars = spec.bars
        self.beats = spec.bars * spec.beats_per_bar
        self.beats_per_bar = spec.beats_per_bar
        self.steps = spec.steps_per_beat
        self.time = spec.time
        self.pitches = spec.pitches
        self.below = spec.lowest % OCTAVE
        self.octaves = math.ceil((self.below + spec.pitches) / OCTAVE)
        self.above = self.octaves * OCTAVE - self.below - spec.pitches

    def cut(self, x: Tensor) -> Tensor:
        """`[batch, tracks * planes, time, pitch]` to `[batch, tracks, planes, beats, steps, octaves, 12]`."""
        if self.below or self.above:
            x = F.pad(x, (self.below, self.above))
        return x.reshape(len(x), self.tracks, self.planes, self.beats, self.steps, self.octaves, OCTAVE)

    def joined(self, x: Tensor) -> Tensor:
        """`[..., beats, steps, octaves, 12]` to `[..., time, pitch]`: the inverse of `cut` on the last four axes."""
        x = x.reshape(*x.shape[:-4], self.time, self.octaves * OCTAVE)
        return x.narrow(-1, self.below, self.pitches)


class PerTrack(nn.Conv1d):
    """A linear layer for each track: rows `[tracks, ..., in]` to `[tracks, ..., out]`.

    A 1-wide convolution in groups, and so open to spectral normalisation, but computed as one batched product.
    """

    def __init__(self, tracks: int, fan_in: int, fan_out: int) -> None:
        super().__init__(tracks * fan_in, tracks * fan_out, 1, groups=tracks)

    def parts(self) -> tuple[Tensor, Tensor]:
        """Weights `[tracks, out, in]` and biases `[tracks, out]`."""
        assert self.bias is not None
        return self.weight.view(self.groups, -1, self.weight.shape[1]), self.bias.view(self.groups, -1)

    def forward(self, input: Tensor) -> Tensor:
        weight, bias = self.parts()
        rows = input.reshape(self.groups, -1, input.shape[-1])
        return torch.baddbmm(bias[:, None], rows, weight.transpose(1, 2)).view(*input.shape[:-1], -1)


class PerTrackColumns(PerTrack):
    """The same on columns, `[tracks, in, ...]` to `[tracks, out, ...]`: what it mixes comes first.

    Which of the two is used where saves rearranging the largest tensors, which took most of a step.
    """

    def forward(self, input: Tensor) -> Tensor:
        weight, bias = self.parts()
        y = torch.baddbmm(bias[:, :, None], weight, input.flatten(2))
        return y.view(self.groups, -1, *input.shape[2:])


class PerTrackPlanes(PerTrack):
    """The same on planes as they come, `[batch, tracks, planes, ..., in]` to `[batch, tracks, ..., out]`; all planes are mixed."""

    def __init__(self, tracks: int, planes: int, fan_in: int, fan_out: int) -> None:
        super().__init__(tracks, planes * fan_in, fan_out)
        self.planes = planes

    def forward(self, input: Tensor) -> Tensor:
        weight, bias = self.parts()
        by_plane = weight.unflatten(2, (self.planes, -1)).permute(0, 2, 3, 1)  # track, plane, in, out
        return torch.matmul(input, by_plane).sum(2) + bias[:, None]


def chroma(cells: Tensor) -> Tensor:
    """How much of each pitch class sounds in each beat, octaves added up: `[batch, tracks, beats, 12]`, the first class C.

    `cells` are as `Grid.cut` gives them; a note held through a beat counts 1.
    """
    return cells[:, :, 1].sum(dim=(3, 4)) / cells.shape[4]


def rhythm(cells: Tensor) -> Tensor:
    """How many notes are struck at each step, and by how much the number of those that sound changes: `[batch, tracks, 2, time]`.

    `cells` are as `Grid.cut` gives them. The first step follows on silence. What ends is the first less the second, but
    for notes that are struck while they sound.
    """
    counts = cells[:, :, :2].sum(dim=(5, 6)).flatten(3)
    struck, sounding = counts.unbind(2)
    return torch.stack([struck, sounding - F.pad(sounding, (1, 0))[:, :, :-1]], dim=2)
