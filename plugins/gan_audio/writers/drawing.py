"""Pictures of sounds: spectrograms on a chosen scale of frequencies, waveforms, ticks and text, by NumPy and Pillow alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw
from pydantic import Field

from gan_audio.spec import AudioSpec
from gan_audio.transforms import stft
from gan_audio.writers.colours import Floats, Pixels, coloured
from gan_audio.writers.common import Waves
from gancore.drawing import font
from gancore.options import Options

PAPER = (250, 250, 248)
INK = (40, 40, 44)
FAINT = (110, 110, 112)
WAVE = np.array([54, 62, 128], np.float64)
WAVE_PAPER = np.array([236, 236, 240], np.float64)
WAVE_ZERO = np.array([206, 206, 214], np.float64)

LEAST_TOP = -60.0
"""In dB: the loudest colour never stands for less, so that silence looks silent and not like its own noise."""
LOWEST_LOG = 50.0
"""In hertz: where a logarithmic axis begins, unless the first bin is higher."""
FRAME_SECONDS = 0.032
"""Length of the frames in which waveforms are analysed that have no transform of their own."""

Frequency = Literal["linear", "mel", "log"]


class PictureOptions(Options):
    """Options of whatever draws spectrograms."""

    frequency: Frequency = Field("linear", description="The axis of frequencies: in hertz, in mel, or logarithmic.")
    range_db: float = Field(
        80.0, ge=10.0, le=200.0, description="From the level of the lightest colour to that of the darkest, in dB."
    )
    top_db: float | None = Field(
        None,
        ge=-120.0,
        le=40.0,
        description="Level of the lightest colour, in dB, where 0 is a sine at full scale; the loudest point when not given.",
    )
    n_fft: int | None = Field(
        None, ge=16, le=16_384, multiple_of=2, description="Samples in a frame; chosen by the data when not given."
    )


# --- spectrograms -----------------------------------------------------------------------------------------------------


def frame_sizes(spec: AudioSpec, n_fft: int | None = None) -> tuple[int, int]:
    """Samples in a frame and from one to the next: those in which the generator works, where it makes spectrograms.

    Of a waveform, the power of two nearest to 32 ms, and a quarter of that.
    """
    if n_fft is None and spec.representation != "waveform":
        return spec.n_fft, spec.hop
    size = n_fft or max(16, 2 ** round(math.log2(FRAME_SECONDS * spec.sample_rate)))
    return size, max(1, size // 4)


def decibels(waves: Waves, spec: AudioSpec, n_fft: int | None = None) -> tuple[Floats, int]:
    """Levels `[n, n_fft // 2 + 1, frames]` of `waves` `[n, length]` in dB, where a sine at full scale is at 0; and the hop.

    Low frequencies come first; frame t stands at sample `t * hop`. Nothing is below -200 dB.
    """
    size, hop = frame_sizes(spec, n_fft)
    missing = -waves.shape[1] % hop
    found = stft(torch.from_numpy(np.pad(waves, ((0, 0), (0, missing)))), size, hop).abs().double()
    return (20.0 * found.clamp(min=1e-10).log10()).numpy(), hop


@dataclass(frozen=True, slots=True)
class Axis:
    """The frequencies of a picture, from `low` at its bottom to `high` at its top, in hertz."""

    kind: Frequency
    low: float
    high: float

    @classmethod
    def of(cls, kind: Frequency, spec: AudioSpec, n_fft: int) -> Axis:
        """All that the sample rate allows; a logarithmic axis begins at 50 Hz, or at the first bin where that is higher."""
        high = spec.sample_rate / 2.0
        return cls(kind, max(LOWEST_LOG, spec.sample_rate / n_fft) if kind == "log" else 0.0, high)

    def place(self, frequency: npt.ArrayLike) -> Floats:
        """Where frequencies stand: 0 at the bottom, 1 at the top."""
        low, high = self._warp(np.array([self.low, self.high]))
        return (self._warp(np.asarray(frequency, np.float64)) - low) / (high - low)

    def frequency(self, place: npt.ArrayLike) -> Floats:
        """The inverse of `place`."""
        low, high = self._warp(np.array([self.low, self.high]))
        warped = low + np.asarray(place, np.float64) * (high - low)
        if self.kind == "linear":
            return warped
        return np.exp2(warped) if self.kind == "log" else 700.0 * (10.0 ** (warped / 2595.0) - 1.0)

    def ticks(self, most: int) -> list[float]:
        """At most `most` round frequencies on the axis, spread over it."""
        if self.kind == "linear":
            return round_ticks(self.low, self.high, most)
        room = 0.75 / max(1, most)
        taken = [0.0] if self.kind == "mel" else []
        for exponent in range(1, 6):
            for first in (1.0, 2.0, 5.0):
                tick = first * 10.0**exponent
                crowded = taken and float(self.place(tick) - self.place(taken[-1])) < room
                if self.low <= tick <= self.high and not crowded:
                    taken.append(tick)
        if float(1.0 - self.place(taken[-1])) >= room:
            taken.append(self.high)
        return taken

    def _warp(self, frequency: Floats) -> Floats:
        if self.kind == "linear":
            return frequency
        if self.kind == "log":
            return np.log2(np.maximum(frequency, 1e-3))
        return 2595.0 * np.log10(1.0 + frequency / 700.0)  # O'Shaughnessy (1987)


def spectrogram(levels: Floats, hop: int, spec: AudioSpec, axis: Axis, width: int, height: int) -> Floats:
    """Levels `[n, bins, frames]` as pixels `[n, height, width]`: time to the right over the whole clip, high frequencies on top.

    A pixel in which frames or bins have their centres shows the loudest of them, so that no tone is lost; one between them
    what lies between.
    """
    per_hertz = 2 * (levels.shape[1] - 1) / spec.sample_rate
    rows = axis.frequency(np.linspace(1.0, 0.0, height + 1)) * per_hertz
    columns = np.linspace(0.0, spec.length / hop, width + 1)
    return _resampled(_resampled(levels, rows[::-1], 1)[:, ::-1], columns, 2)


def _resampled(values: Floats, edges: Floats, dim: int) -> Floats:
    """`values` along `dim`, which stand at 0, 1, 2 ..., in the cells between rising `edges` `[cells + 1]`."""
    last = values.shape[dim] - 1
    middle = ((edges[:-1] + edges[1:]) / 2.0).clip(0, last)
    below = np.minimum(middle.astype(np.intp), max(0, last - 1))
    shape = [1] * values.ndim
    shape[dim] = -1
    share = (middle - below).reshape(shape)
    between = values.take(below, dim) * (1.0 - share) + values.take(np.minimum(below + 1, last), dim) * share
    first, end = np.ceil(edges[:-1]).astype(np.intp), np.ceil(edges[1:]).astype(np.intp)
    first, end = np.minimum(first, last), np.minimum(end, last + 1)
    inside = np.maximum.reduceat(values, first, axis=dim)
    # reduceat takes all up to the next cell's first: where that is one value or none, the cell has at most its own.
    return np.where((end > first).reshape(shape), np.maximum(inside, between), between)


def top_of(levels: Floats, options: PictureOptions) -> float:
    """The level that the lightest colour stands for, in dB."""
    return max(LEAST_TOP, float(levels.max())) if options.top_db is None else options.top_db


def colours_of(levels: npt.NDArray[np.floating], top: Floats | float, options: PictureOptions) -> Pixels:
    """Levels in dB of any shape `[...]` as colours `[..., 3]`, the lightest for what is at `top` (broadcast) or above."""
    return coloured((levels - top) / options.range_db + 1.0)


# --- waveforms --------------------------------------------------------------------------------------------------------


def waveform(waves: Waves, width: int, height: int, full: float = 1.0) -> Pixels:
    """`waves` `[n, length]` as strips `[n, height, width, 3]` in which `full` reaches the upper and lower edge.

    Each column shows all values of its time, with smooth edges; a line is never thinner than a pixel.
    """
    length = waves.shape[1]
    starts = (np.arange(width) * length / width).astype(np.intp)
    high = np.maximum.reduceat(waves, starts, axis=1).astype(np.float64)
    low = np.minimum.reduceat(waves, starts, axis=1).astype(np.float64)
    # Up to where the column before ended, so that steep parts leave no gap.
    before = np.concatenate([waves[:, :1], waves[:, np.maximum(starts[1:] - 1, 0)]], axis=1)
    high, low = np.maximum(high, before), np.minimum(low, before)
    middle = height / 2.0
    upper, lower = (middle * (1.0 - np.clip(v / full, -1.0, 1.0)) for v in (high, low))
    thin = np.maximum(0.0, 1.0 - (lower - upper)) / 2.0
    upper = np.clip(upper - thin, 0.0, height - 1.0)
    lower = np.clip(lower + thin, upper + 1.0, height)
    row = np.arange(height)[:, None]
    cover = np.clip(np.minimum(row + 1.0, lower[:, None]) - np.maximum(row, upper[:, None]), 0.0, 1.0)[..., None]
    ground = np.where((row == height // 2)[..., None], WAVE_ZERO, WAVE_PAPER)
    strips: Pixels = (ground * (1.0 - cover) + WAVE * cover).round().astype(np.uint8)
    return strips


# --- ticks and text ---------------------------------------------------------------------------------------------------


def round_ticks(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten from `low` to `high`: at most `most`, and two at least."""
    rough = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    steps = [m * power for m in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)]
    number = next(n for n, step in enumerate(steps) if step >= rough * (1.0 - 1e-9))
    while True:
        step = steps[number]
        ticks = [n * step for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
        if len(ticks) > 1 or number == 0:
            return ticks
        number -= 1


def number_text(value: float, step: float) -> str:
    """A tick's number with as many decimals as its distance to the next needs, and commas in thousands."""
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    return f"{value:,.{decimals}f}"


def fitting(text: str, width: float, size: int) -> str:
    """`text`, cut with an ellipsis where it is wider than `width` pixels."""
    if font(size).getlength(text) <= width:
        return text
    while text and font(size).getlength(text + "...") > width:
        text = text[:-1]
    return text.rstrip() + "..." if text else ""


def wrapped(parts: Sequence[str], width: float, size: int) -> list[str]:
    """`parts` with commas between them, on as many lines as they need."""
    lines = [parts[0]]
    for part in parts[1:]:
        longer = f"{lines[-1]}, {part}"
        if font(size).getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(part)
    return [fitting(line, width, size) for line in lines]


def canvas(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """An empty picture and what draws on it."""
    image = Image.new("RGB", (width, height), PAPER)
    return image, ImageDraw.Draw(image)


def paste(image: Image.Image, pixels: Pixels, left: int, top: int) -> None:
    """Put `pixels` `[height, width, 3]` on a picture."""
    image.paste(Image.fromarray(np.ascontiguousarray(pixels)), (left, top))
