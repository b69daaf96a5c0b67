"""A contact sheet: many samples on one picture, each with its spectrogram, waveform, class and length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw
from pydantic import Field
from torch import Tensor

from gan_audio.spec import AudioSpec
from gan_audio.writers.colours import Pixels
from gan_audio.writers.common import Waves, class_name, in_turn, save_picture, waves_of
from gan_audio.writers.drawing import (
    FAINT,
    INK,
    Axis,
    PictureOptions,
    canvas,
    colours_of,
    decibels,
    fitting,
    frame_sizes,
    paste,
    spectrogram,
    top_of,
    waveform,
    wrapped,
)
from gancore.drawing import captioned, font, printable
from gancore.text_chunks import TextInFiles

TEXT = 12
GAP = 10
"""Pixels between cells, and around them."""
CAPTION = 18
"""Height of the line of text above each spectrogram."""
LINE = 16
"""Height of a line of text below all."""
LARGEST_SIDE = 4096
SMALLEST_CELL = (48, 24)
"""Width and height below which spectrograms are not made smaller, however large the sheet becomes."""
QUIET = np.float32(1e-3)
"""A peak below this (-60 dB) does not reach the edge of its waveform."""
CHUNK = 32
"""Samples whose spectrograms are computed at once, so that memory stays bounded."""


class SheetOptions(PictureOptions):
    """Options of the writer of sheets."""

    columns: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Samples in a row; when not given, chosen for a nearly square sheet, with few classes as columns.",
    )
    levels: Literal["shared", "own"] = Field(
        "shared",
        description="shared: one scale of levels for all, to compare them; own: each on its own, to see quiet ones.",
    )
    width: int = Field(144, ge=48, le=1024, description="Width of a sample, in pixels.")
    height: int = Field(96, ge=24, le=1024, description="Height of a spectrogram, in pixels.")


class SheetWriter(TextInFiles):
    """All samples on one picture: `<stem>.png`, each with its waveform below, and class and length above.

    With labels, and as many samples of each class as of any other, classes are columns where they are few enough; otherwise
    samples keep their order. All spectrograms share one scale of levels, whose ends the last line tells, and all waveforms one
    on which the loudest reaches the edge; with `levels=own`, each has its own. Samples become smaller where the sheet would
    have a side of more than 4,096 pixels.
    """

    def __init__(self, options: SheetOptions, spec: AudioSpec) -> None:
        self.options = options
        self.spec = spec

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        """Write `samples` float32 `[n, 1, length]`, n at least 1, as one picture."""
        waves, broken = waves_of(samples, self.spec)
        order, turn = in_turn(len(waves), labels)
        names = ["not finite" if n in broken else self._name(n, labels) for n in order]
        image = self.picture(waves[order], names, turn)
        return [save_picture(folder / f"{stem}.png", image)]

    def captioned(
        self, samples: Tensor, folder: Path, stem: str, captions: Sequence[str], columns: int, title: str
    ) -> list[Path]:
        """Write `samples` as `write` does, in their order, each below its caption."""
        waves, _ = waves_of(samples, self.spec)
        width, height = self.options.width, self.options.height
        spectrograms, notes = self._spectrograms(waves, width, height)
        strips = self._waveforms(waves, width, max(10, height // 4))
        gaps = np.full((len(waves), 1, width, 3), 255, np.uint8)
        tiles = [Image.fromarray(pixels) for pixels in np.concatenate([spectrograms, gaps, strips], axis=1)]
        title = f"{title.removesuffix('.')}. Each is {self.spec.seconds:.2f} s, {', '.join(notes)}."
        return [save_picture(folder / f"{stem}.png", captioned(tiles, captions, columns, title))]

    def _name(self, number: int, labels: Sequence[int] | None) -> str:
        if labels is None:
            return f"{number}"
        return printable(class_name(number, labels, self.spec), int(labels[number]))

    def picture(self, waves: Waves, names: Sequence[str], turn: int) -> Image.Image:
        """The sheet of `waves` `[n, length]` with a name each, row by row; classes begin again after `turn` of them."""
        columns, width, height, strip = layout(len(waves), turn, self.options)
        rows = math.ceil(len(waves) / columns)
        cell = CAPTION + height + 1 + strip
        spectrograms, notes = self._spectrograms(waves, width, height)
        lines = wrapped(notes, columns * (width + GAP) - GAP, TEXT)
        image, draw = canvas(columns * (width + GAP) + GAP, rows * (cell + GAP) + GAP + LINE * len(lines))
        strips = self._waveforms(waves, width, strip)
        for number, name in enumerate(names):
            left = GAP + number % columns * (width + GAP)
            top = GAP + number // columns * (cell + GAP)
            self._caption(draw, name, left, top + CAPTION - 5, width)
            paste(image, spectrograms[number], left, top + CAPTION)
            paste(image, strips[number], left, top + CAPTION + height + 1)
        for number, line in enumerate(reversed(lines)):
            draw.text((GAP, image.height - GAP - number * LINE), line, FAINT, font(TEXT), anchor="ls")
        return image

    def _waveforms(self, waves: Waves, width: int, height: int) -> Pixels:
        full = np.maximum(np.abs(waves).max(axis=1, keepdims=True), QUIET)
        return waveform(waves / (full.max() if self.options.levels == "shared" else full), width, height)

    def _spectrograms(self, waves: Waves, width: int, height: int) -> tuple[Pixels, list[str]]:
        """Pictures `[n, height, width, 3]`, and words that tell their scales."""
        options, spec = self.options, self.spec
        axis = Axis.of(options.frequency, spec, frame_sizes(spec, options.n_fft)[0])
        parts, tops = [], []
        for start in range(0, len(waves), CHUNK):
            levels, hop = decibels(waves[start : start + CHUNK], spec, options.n_fft)
            tops += [top_of(level, options) for level in levels]
            parts.append(spectrogram(levels, hop, spec, axis, width, height).astype(np.float32))
        notes = [
            f"{axis.low:,.0f} to {axis.high:,.0f} Hz" + {"mel": " in mel", "log": " in octaves"}.get(axis.kind, "")
        ]
        if options.levels == "shared":
            tops = [max(tops)]
            notes.append(f"{tops[0] - options.range_db:.0f} to {tops[0]:.0f} dB")
        else:
            notes.append(f"{options.range_db:.0f} dB down from each one's loudest")
        pixels = colours_of(np.concatenate(parts), np.array(tops)[:, None, None], options)
        return pixels, [*notes, f"{spec.sample_rate:,} Hz sample rate"]

    def _caption(self, draw: ImageDraw.ImageDraw, name: str, left: int, base: int, width: int) -> None:
        """Name on the left, seconds on the right where there is room for both."""
        seconds = f"{self.spec.seconds:.2f} s"
        room = width - font(TEXT).getlength(seconds) - 6
        if font(TEXT).getlength(name) <= room:
            draw.text((left + width, base), seconds, FAINT, font(TEXT), anchor="rs")
        draw.text((left, base), fitting(name, width, TEXT), INK, font(TEXT), anchor="ls")


def layout(count: int, turn: int, options: SheetOptions) -> tuple[int, int, int, int]:
    """Columns of a sheet, and the width of a cell, the height of its spectrogram and of its waveform, in pixels."""
    width, height = options.width, options.height
    while True:
        strip = max(10, height // 4)
        cell = CAPTION + height + 1 + strip
        columns = options.columns or columns_of(count, turn, (cell + GAP) / (width + GAP))
        columns = min(columns, count)
        size = (columns * (width + GAP) + GAP, math.ceil(count / columns) * (cell + GAP) + GAP + LINE)
        least = (min(width, SMALLEST_CELL[0]), min(height, SMALLEST_CELL[1]))
        if max(size) <= LARGEST_SIDE or (width, height) == least:
            return columns, width, height, strip
        width, height = max(least[0], int(width * 0.9)), max(least[1], int(height * 0.9))


def columns_of(count: int, turn: int, height_by_width: float) -> int:
    """Columns of a nearly square sheet: with `turn` classes that come in turn a multiple of these, or the other way round.

    A multiple makes each column one class. So many classes that a row of them is more than twice as wide as a square sheet
    are broken into rows of equal length, where they can be.
    """
    square = max(1, math.ceil(math.sqrt(count * height_by_width)))
    if turn and turn <= 2 * square:
        return min(count, turn * max(1, round(square / turn)))
    return next((n for n in range(square, min(count, square + square // 2) + 1) if (turn or count) % n == 0), square)
