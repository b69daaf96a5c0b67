"""How much two sounds have in common: of their levels in mel bands over time, whatever their volume."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from gan_audio.metrics.levels import Bands
from gancore.evaluation.neighbours import nearest_by

ROWS, FRAMES = 32, 64
"""Bands and frames of the pictures that are compared."""
_COLUMNS = 1024
"""Clips that all others are held against at once, to bound memory."""


def pictures(x: Tensor, bands: Bands) -> Tensor:
    """Levels `[n, bands, frames]`, in [0, 1], of waveforms `[n, 1, length]`: at most 32 bands and 64 frames.

    1 is the loudest level of each clip, so its volume does not count; 0 is 40 dB below, so neither does a little hiss.
    """
    return bands.relative(x, ROWS, FRAMES, -40.0)


def distances(first: Tensor, second: Tensor, lags: Sequence[int] = (0,)) -> Tensor:
    """Distances `[n, m]`, in [0, 1], of pictures `[n, bands, frames]` and `[m, bands, frames]`.

    1 less Tanimoto's coefficient `ab / (aa + bb - ab)`, which is the Jaccard index for levels instead of sets. `ab` is the
    largest over the `lags`, in frames, by which `first` is moved. Two clips without any sound are at distance 0.
    """
    other = second.flatten(1)
    shared = torch.zeros(len(first), len(second))
    for lag in lags:
        shared = torch.maximum(shared, moved(first, lag).flatten(1) @ other.T)
    sums = first.square().sum(dim=(1, 2))[:, None] + other.square().sum(dim=1)
    return (1.0 - torch.where(sums > 0, shared / (sums - shared).clamp(min=1e-12), 1.0)).clamp_(0.0, 1.0)


def moved(pictures: Tensor, lag: int) -> Tensor:
    """`pictures` `[n, bands, frames]` so many frames later, or earlier for a `lag` below 0; silence follows from the edge."""
    frames = pictures.shape[2]
    kept = max(0, frames - abs(lag))
    if lag >= 0:
        return functional.pad(pictures[:, :, :kept], (frames - kept, 0))
    return functional.pad(pictures[:, :, frames - kept :], (0, frames - kept))


def nearest(clips: Tensor, train: Tensor, lags: Sequence[int] = (0,), *, leave_out: Tensor | None = None) -> Tensor:
    """Distance float64 `[n]` of each of the pictures `clips` to the nearest of `train`; infinite where there is none.

    `leave_out` int64 `[n]` numbers one of `train` that is not looked at, -1 for none.
    """
    found = [torch.empty(0, dtype=torch.float64)]
    for at in range(0, len(clips), _COLUMNS):
        rows = clips[at : at + _COLUMNS]
        own = None if leave_out is None else leave_out[at : at + _COLUMNS]
        to = partial(_some_distances, rows, train, lags)
        found.append(nearest_by(to, len(rows), len(train), _COLUMNS, own))
    return torch.cat(found)


def _some_distances(clips: Tensor, train: Tensor, lags: Sequence[int], begin: int, end: int) -> Tensor:
    return distances(clips, train[begin:end], lags)


def nearest_before(clips: Tensor) -> Tensor:
    """Distance `[n]` of each of the pictures `clips` to the nearest of those before it; 1 for the first."""
    best = torch.ones(len(clips))
    for at in range(0, len(clips), _COLUMNS):
        rows = clips[at : at + _COLUMNS]
        for begin in range(0, at + 1, _COLUMNS):
            found = distances(rows, clips[begin : begin + _COLUMNS])
            if begin == at:
                found.masked_fill_(torch.ones_like(found).triu().bool(), 1.0)
            best[at : at + _COLUMNS] = torch.minimum(best[at : at + _COLUMNS], found.amin(dim=1))
    return best
