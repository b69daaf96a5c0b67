"""Sounds that are to be translated: whole files, each brought to one clip as those of the data set are."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from gan_audio.data.decode import SUPPORTED, Treatment, decode, is_sound, quiet
from gan_audio.data.source import as_float
from gan_audio.spec import AudioSpec
from gancore.components import ProgressReport
from gancore.data.files import is_lone, lone, scan
from gancore.data.reading import FileSet, Skips, read_in_bursts, warn_of
from gancore.data.report import silent


def sounds_at(path: Path, spec: AudioSpec) -> tuple[Tensor, tuple[str, ...]]:
    """The sounds at `path`, one or a folder or archive of them in the order of their names, and what they are called.

    They are float32 `[n, 1, spec.length]` in [-1, 1], resampled and at the level that they would have in the data. What is longer is
    cut to its beginning, with a warning, and silence follows what is shorter.

    Raises:
        UsageError: there is nothing.
        DataError: no sound can be read.
    """
    names, clips = zip(*each_sound(path, spec, silent), strict=True)
    return torch.stack(clips), names


def each_sound(path: Path, spec: AudioSpec, progress: ProgressReport) -> Iterator[tuple[str, Tensor]]:
    """What each sound at `path` is called, and the sound `[1, spec.length]`, in turn; see `sounds_at`."""
    single = is_lone(path)
    tree = lone(path) if single else scan(path, what="sounds")
    chosen = [entry for entry in tree.entries if single or is_sound(entry)]
    files, skips = FileSet.of(path, tree, chosen, part="all", labels=False), Skips()
    treatment = Treatment(
        sample_rate=spec.sample_rate,
        normalise=spec.normalise,
        loudness_db=spec.loudness_db,
        # Some more than a clip, so that whether something is left out is known.
        max_seconds=(spec.length + 1) / spec.sample_rate if spec.normalise == "none" else 1800.0,
    )
    used = longer = 0
    for number, sound in read_in_bursts(
        files.entries, lambda e: decode(e, treatment), skips, progress, "reading sounds", within=quiet
    ):
        wave = as_float(torch.from_numpy(sound.samples))
        if spec.normalise == "none":
            wave = (wave * (sound.scale / spec.full_scale)).clamp(-1.0, 1.0)
        longer += len(wave) > spec.length
        used += 1
        wave = wave[: spec.length]
        name = PurePosixPath(files.entries[number].name).stem
        yield name, torch.nn.functional.pad(wave, (0, spec.length - len(wave)))[None]
    if not used:
        raise files.nothing("sound", SUPPORTED, skips.listed, kind="sound file")
    warn_of(skips.listed, used, path, "sounds")
    if longer:
        warnings.warn(
            f"'{path}': {longer:,} of {used:,} sounds are longer than the {spec.seconds:.3g} s of a clip, and only"
            " their beginning is used",
            stacklevel=2,
        )
