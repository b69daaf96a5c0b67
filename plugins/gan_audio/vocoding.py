"""Waveforms by a trained vocoder: what it makes of the mel spectrograms of sounds of any length."""

from __future__ import annotations

import contextlib
from functools import lru_cache
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import gancore
from gan_audio.spec import AudioSpec
from gancore.errors import UsageError
from gancore.sampling.generator import Generator

MOST = 2**18
"""Samples that are made at once, so that memory stays bounded."""


def resynthesise(waves: Tensor, spec: AudioSpec, run: str | Path | Generator) -> Tensor:
    """`waves` `[n, 1, length]` in [-1, 1], any length at `spec.sample_rate`, made anew by the vocoder of a run, on their device.

    `run` is the folder of the run, or what `load_vocoder` made of it. The result has the same shape; that of one sound is the
    same in any batch.

    Raises:
        UsageError: the run is not a vocoder, or one for another sample rate.
        GanError: it cannot be loaded, see `gancore.load`.
    """
    generator = run if isinstance(run, Generator) else load_vocoder(run)
    own = vocoder_spec(generator, "it" if isinstance(run, Generator) else f"'{run}'")
    if own.sample_rate != spec.sample_rate:
        raise UsageError(
            f"the vocoder makes sounds at {own.sample_rate} Hz, and these are at {spec.sample_rate} Hz; take a vocoder that "
            f"was trained at {spec.sample_rate} Hz, or sounds at {own.sample_rate} Hz"
        )
    length = waves.shape[-1]
    if not len(waves) or not length:
        return waves.float()
    device = next(generator.module.parameters()).device
    # A multiple of hop, and no shorter than one frame of the transform.
    whole = max(own.n_fft, length)
    whole += -whole % own.hop
    per_batch = max(1, MOST // whole)
    made = []
    with torch.no_grad():
        for part in waves.float().split(per_batch):
            mel = own.given_part(F.pad(part.to(device), (0, whole - length)))
            assert mel is not None
            made.append(_in_pieces(generator.module, mel, own.hop)[..., :length].to(waves.device))
    return torch.cat(made)


def load_vocoder(run: str | Path) -> Generator:
    """The vocoder of the run in folder `run`; one that was loaded last is kept until its checkpoints change.

    Raises UsageError where it is not a vocoder, and what `gancore.load` raises.
    """
    folder = Path(run).expanduser().absolute()
    changed = 0
    with contextlib.suppress(OSError):  # told in words by gancore.load
        changed = max((p.stat().st_mtime_ns for p in (folder / "checkpoints").iterdir()), default=0)
    generator = _loaded(folder, changed)
    vocoder_spec(generator, f"'{run}'")
    return generator


@lru_cache(maxsize=1)
def _loaded(folder: Path, changed: int) -> Generator:
    del changed
    return gancore.load(folder)


def vocoder_spec(generator: Generator, name: str) -> AudioSpec:
    """The spec of a vocoder; UsageError for a generator of something else."""
    spec = generator.spec
    if not isinstance(spec, AudioSpec) or spec.given != "mel":
        raise UsageError(
            f"{name} is not a vocoder: its generator is not given mel spectrograms; name a run of game=vocoder, such as that of "
            "gan run --plugin audio --preset vocoder"
        )
    if spec.classes:
        raise UsageError(
            f"{name} was trained with classes, of which sounds tell nothing; train a vocoder without labels"
        )
    return spec


@runtime_checkable
class LooksAround(Protocol):
    """A generator that makes each frame of few around it, so that long inputs can be cut."""

    context: int
    """How many frames before and after one it looks at."""


def _in_pieces(module: nn.Module, mel: Tensor, hop: int) -> Tensor:
    """Log-mels `[batch, mels, frames]` to waveforms `[batch, 1, frames * hop]`, piece by piece where they are long.

    A generator that says how many frames of `context` it looks at, as that of hifigan does, makes of pieces with so much around
    them what it would make of the whole.
    """

    def made(part: Tensor) -> Tensor:
        waves: Tensor = module(torch.zeros(len(part), 1, device=part.device), None, part)
        return waves

    frames, piece = mel.shape[-1], max(1, MOST // hop)
    if frames <= piece or not isinstance(module, LooksAround):
        return made(mel)
    pieces, context = [], module.context
    for start in range(0, frames, piece):
        first, stop = max(0, start - context), min(frames, start + piece)
        waves = made(mel[..., first : min(frames, stop + context)])
        pieces.append(waves[..., (start - first) * hop : (stop - first) * hop])
    return torch.cat(pieces, dim=-1)
