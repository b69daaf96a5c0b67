"""What the writers share: how samples are checked, levelled and rounded, how files are named, and the order of a sheet."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import soundfile
import torch
from PIL import Image
from pydantic import Field, field_validator
from torch import Tensor

from gan_audio.spec import AudioSpec
from gancore.errors import PluginError, UsageError
from gancore.options import Options
from gancore.run import RunFolder
from gancore.storage import replacing

Waves = npt.NDArray[np.float32]

SubFormat = Literal["pcm16", "pcm24", "float32"]
SILENT = 1e-5
"""A peak below this (-100 dB) is silence: it is not brought to any level."""
_BITS = {"pcm16": 16, "pcm24": 24}
_PEAK_TIME = 12
"""Where in libsndfile's chunk `PEAK` of a float WAV the time of day stands, after name, size and version."""


class WaveOptions(Options):
    """Options of whatever writes sound."""

    format: SubFormat = Field(
        "pcm16", description="How samples are stored: whole numbers of 16 or 24 bits, or 32-bit floating point."
    )
    gain: Literal["none", "peak"] = Field(
        "none", description="none: each sound as loud as it was made; peak: all brought to the same peak."
    )
    peak_db: float = Field(
        -1.0, ge=-60.0, le=0.0, description="The peak that gain=peak brings every sound to, in dB of full scale."
    )
    vocoder: Path | None = Field(
        None,
        description="Folder of a run whose generator makes the waveforms, out of the mel spectrograms of these samples.",
    )

    @field_validator("vocoder")
    @classmethod
    def _anywhere(cls, value: Path | None) -> Path | None:
        """A whole path, as that of data is kept, so that a run can be resumed and sampled in another folder."""
        return None if value is None or str(value) == "none" else value.expanduser().absolute()


# --- samples ----------------------------------------------------------------------------------------------------------


def waves_of(samples: Tensor, spec: AudioSpec) -> tuple[Waves, list[int]]:
    """Hard samples `[n, 1, length]` as an array `[n, length]`, and the numbers of those in which not every value is finite.

    The latter become silence, with one warning: a generator that has begun to diverge must not end a training by its sheet.
    Raises UsageError for samples of another form.
    """
    if not samples.dtype.is_floating_point or tuple(samples.shape[1:]) != (1, spec.length) or not len(samples):
        raise UsageError(
            f"sounds to write must be float32 of shape [n, 1, {spec.length}] with n at least 1, "
            f"not {samples.dtype} of shape {list(samples.shape)}"
        )
    waves: Waves = samples.detach().cpu().float().numpy()[:, 0]
    finite = np.isfinite(waves).all(axis=1).reshape(-1, 1)
    broken = np.flatnonzero(~finite).tolist()
    if broken:
        warnings.warn(
            f"{len(broken)} of {len(waves)} sounds have values that are not finite (the first: number {broken[0]}); "
            "they are written as silence. The generator that made them may have diverged: try an earlier checkpoint",
            stacklevel=3,
        )
        waves = np.where(finite, waves, np.float32(0.0))
    return waves, broken


class Voice:
    """What stands between samples and files: a vocoder where one was asked for, and the level.

    Raises RunFolderError where the vocoder's folder holds no run, UsageError where that run is not a vocoder for these sounds.
    """

    def __init__(self, options: WaveOptions, spec: AudioSpec) -> None:
        self.options = options
        self.spec = spec
        if options.vocoder is not None:
            RunFolder.open(options.vocoder)
            # No sounds at all: what is wrong with the vocoder is told before any are made.
            self._spoken(np.empty((0, spec.length), np.float32), options.vocoder)

    def waves(self, samples: Tensor) -> Waves:
        """Hard samples `[n, 1, length]` as they go into files: `[n, length]` within [-1, 1]."""
        waves, _ = waves_of(samples, self.spec)
        if self.options.vocoder is not None:
            waves = self._spoken(waves, self.options.vocoder)
        peak_db = self.options.peak_db if self.options.gain == "peak" else None
        return levelled(waves, peak_db)

    def _spoken(self, waves: Waves, run: Path) -> Waves:
        from gan_audio.vocoding import resynthesise  # a trained generator, with all that it takes to load one

        made = resynthesise(torch.from_numpy(waves)[:, None].clone(), self.spec, run)
        if tuple(made.shape) != (len(waves), 1, waves.shape[1]):
            raise PluginError(
                f"the vocoder in '{run}' made sounds of shape {list(made.shape)} out of {[len(waves), 1, waves.shape[1]]}"
            )
        return waves_of(made, self.spec)[0] if len(made) else waves


def levelled(waves: Waves, peak_db: float | None) -> Waves:
    """`waves` `[n, length]` with each one's peak at `peak_db`, or, where that is None, those above full scale brought to it.

    Never clipped: a sound is turned down as a whole. Silence stays silence.
    """
    peak = np.abs(waves).max(axis=1, keepdims=True)
    if peak_db is None:
        return waves / np.maximum(peak, np.float32(1.0))
    wanted = np.float32(10.0 ** (peak_db / 20.0))
    return np.where(peak < SILENT, waves, np.clip(waves * (wanted / np.maximum(peak, SILENT)), -1.0, 1.0))


def rounded(wave: Waves, bits: int) -> npt.NDArray[np.int32]:
    """`wave` in [-1, 1] as whole numbers of `bits`, by the factor `2 ** (bits - 1)` that readers divide by.

    Rounded to the nearest, without dither: what came out of a file of so many bits goes back unchanged, silence stays
    silent, and the same samples give the same file. Only 1 itself has no number of its own and becomes the next lower.
    """
    full = 2 ** (bits - 1)
    return np.clip(np.rint(wave.astype(np.float64) * full), -full, full - 1).astype(np.int32)


# --- files ------------------------------------------------------------------------------------------------------------


def save_wave(path: Path, wave: Waves, rate: int, form: SubFormat) -> Path:
    """Write `wave` `[length]` in [-1, 1] as a mono WAV file; the same wave always gives the same bytes."""
    buffer = io.BytesIO()
    if form == "float32":
        soundfile.write(buffer, wave.astype(np.float32), rate, subtype="FLOAT", format="WAV")
    elif form == "pcm24":
        soundfile.write(buffer, rounded(wave, 24) * 256, rate, subtype="PCM_24", format="WAV")
    else:
        soundfile.write(buffer, rounded(wave, 16).astype(np.int16), rate, subtype="PCM_16", format="WAV")
    whole = bytearray(buffer.getvalue())
    if form == "float32" and (at := whole.find(b"PEAK", 12, 128)) > 0:
        # libsndfile notes when the peak was found: two files of one sound would differ.
        whole[at + _PEAK_TIME : at + _PEAK_TIME + 4] = bytes(4)
    return replacing(path, lambda unfinished: unfinished.write_bytes(whole))


def save_picture(path: Path, image: Image.Image) -> Path:
    """Write a PNG file."""
    return replacing(path, lambda unfinished: image.save(unfinished, format="PNG", compress_level=6))


def class_name(number: int, labels: Sequence[int] | None, spec: AudioSpec) -> str:
    """The name of the class of sample `number`; its index where the spec has no name for it; empty without labels."""
    if labels is None:
        return ""
    label = int(labels[number])
    return spec.classes[label] if 0 <= label < len(spec.classes) else str(label)


# --- sheets -----------------------------------------------------------------------------------------------------------


def in_turn(count: int, labels: Sequence[int] | None) -> tuple[list[int], int]:
    """The order in which samples stand on a sheet and are played, and after how many of them classes begin again.

    With as many samples of each class as of any other, the first of each class come first, in the order of the classes, then
    the second of each, and so on. Otherwise samples keep their order and the second number is 0.
    """
    if labels is not None:
        classes, counts = np.unique(np.asarray(labels), return_counts=True)
        if len(classes) > 1 and len(set(counts.tolist())) == 1:
            by_class = np.argsort(np.asarray(labels), kind="stable").reshape(len(classes), -1)
            return by_class.T.ravel().tolist(), len(classes)
    return list(range(count)), 0
