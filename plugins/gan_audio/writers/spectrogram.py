"""Each sample as a picture: its spectrogram with axes in hertz and seconds, and its waveform below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from pydantic import Field
from torch import Tensor

from gan_audio.spec import AudioSpec
from gan_audio.writers.colours import coloured
from gan_audio.writers.common import SILENT, Waves, class_name, save_picture, waves_of
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
    number_text,
    paste,
    round_ticks,
    spectrogram,
    top_of,
    waveform,
)
from gancore.drawing import font, printable
from gancore.sampling.names import sample_name
from gancore.text_chunks import TextInFiles

TEXT = 13
TICK = 5
"""Length of a tick, in pixels."""
LEFT, RIGHT, TOP, BOTTOM = 64, 86, 34, 40
"""Margins of the spectrogram's plot, in pixels; the waveform is between its lower edge and the lower margin."""
STRIP, BETWEEN = 56, 8
"""Height of the waveform, and the gap above it."""
BAR = 12
"""Width of the scale of colours."""
TICK_ROOM = 34
"""Pixels of an upright axis for each tick."""
TIME_ROOM = 70
"""Pixels of the axis of time for each tick."""


class SpectrogramOptions(PictureOptions):
    """Options of the writer of spectrograms."""

    width: int = Field(640, ge=120, le=8192, description="Width of the plot, in pixels.")
    height: int = Field(256, ge=64, le=4096, description="Height of the spectrogram, in pixels.")


class SpectrogramWriter(TextInFiles):
    """A PNG a sample: `<stem>-00012.png`, or `<stem>-00012-drum.png` with labels.

    The log magnitude of a short-time Fourier transform, of the sizes in which the generator works; colours are levels in dB,
    where a sine at full scale is at 0. The waveform below reaches its edges at full scale. A sample that is not finite is drawn
    as silence and says so.
    """

    def __init__(self, options: SpectrogramOptions, spec: AudioSpec) -> None:
        self.options = options
        self.spec = spec

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        """Write `samples` float32 `[n, 1, length]`, n at least 1, numbered from 0."""
        waves, broken = waves_of(samples, self.spec)
        written = []
        for number, wave in enumerate(waves):
            name = class_name(number, labels, self.spec)
            title = printable(name, int(labels[number])) if labels is not None else f"sample {number}"
            image = self.picture(wave, title + ", not finite" * (number in broken))
            path = folder / sample_name(stem, number, ".png", labels, self.spec.classes)
            written.append(save_picture(path, image))
        return written

    def picture(self, wave: Waves, title: str) -> Image.Image:
        """The picture of one `wave` `[length]`."""
        options, spec = self.options, self.spec
        width, height = options.width, options.height
        image, draw = canvas(LEFT + width + RIGHT, TOP + height + BETWEEN + STRIP + BOTTOM)
        axis = Axis.of(options.frequency, spec, frame_sizes(spec, options.n_fft)[0])
        levels, hop = decibels(wave[None], spec, options.n_fft)
        top = top_of(levels, options)
        pixels = spectrogram(levels, hop, spec, axis, width, height)
        paste(image, colours_of(pixels, top, options)[0], LEFT, TOP)
        peak = float(np.abs(wave).max())
        paste(image, waveform(wave[None], width, STRIP, max(1.0, peak))[0], LEFT, TOP + height + BETWEEN)
        self._headings(draw, title, peak)
        self._frequencies(draw, axis)
        self._times(draw, TOP + height + BETWEEN + STRIP)
        self._levels(image, draw, top)
        return image

    def _headings(self, draw: ImageDraw.ImageDraw, title: str, peak: float) -> None:
        """What stands above the plot: the title on the left, what the sound is on the right."""
        right = LEFT + self.options.width
        loud = f"peak {round(20.0 * math.log10(peak), 1) + 0.0:.1f} dB" if peak > SILENT else "silence"
        facts = f"{self.spec.seconds:.2f} s, {self.spec.sample_rate:,} Hz, {loud}"
        room = self.options.width - font(TEXT).getlength(facts) - 12
        draw.text((LEFT, TOP - 8), fitting(title, room, TEXT + 2), INK, font(TEXT + 2), anchor="ls")
        draw.text((right, TOP - 8), facts, FAINT, font(TEXT), anchor="rs")

    def _frequencies(self, draw: ImageDraw.ImageDraw, axis: Axis) -> None:
        """The axis on the left of the spectrogram, and full scale beside the waveform."""
        height = self.options.height
        draw.text((LEFT - TICK - 4, TOP - 8), "Hz", FAINT, font(TEXT), anchor="rs")
        for frequency in axis.ticks(max(2, height // TICK_ROOM)):
            y = TOP + min(height - 1, int(height * (1.0 - float(axis.place(frequency)))))
            draw.line([(LEFT - TICK, y), (LEFT - 1, y)], INK)
            draw.text((LEFT - TICK - 4, y), f"{frequency:,.0f}", INK, font(TEXT), anchor="rm")
        strip = TOP + height + BETWEEN
        draw.text((LEFT - TICK - 4, strip), "1", FAINT, font(TEXT - 2), anchor="rt")
        draw.text((LEFT - TICK - 4, strip + STRIP - 1), "-1", FAINT, font(TEXT - 2), anchor="rb")

    def _times(self, draw: ImageDraw.ImageDraw, top: int) -> None:
        """The axis under the waveform."""
        width, seconds = self.options.width, self.spec.seconds
        times = round_ticks(0.0, seconds, max(2, width // TIME_ROOM))
        for time in times:
            x = LEFT + min(width - 1, int(width * time / seconds))
            draw.line([(x, top), (x, top + TICK - 1)], INK)
            draw.text((x, top + TICK + 3), number_text(time, times[1] - times[0]), INK, font(TEXT), anchor="mt")
        draw.text((LEFT + width + 20, top + TICK + 3), "s", FAINT, font(TEXT), anchor="lt")

    def _levels(self, image: Image.Image, draw: ImageDraw.ImageDraw, top: float) -> None:
        """The scale of colours on the right."""
        height, low = self.options.height, top - self.options.range_db
        left = LEFT + self.options.width + 20
        right = left + BAR
        paste(image, coloured(np.linspace(1.0, 0.0, height)[:, None].repeat(BAR, axis=1)), left, TOP)
        draw.text((right + TICK + 4, TOP - 8), "dB", FAINT, font(TEXT), anchor="ls")
        for level in round_ticks(low, top, max(2, height // TICK_ROOM)):
            y = TOP + min(height - 1, int(height * (top - level) / self.options.range_db))
            draw.line([(right, y), (right + TICK - 1, y)], INK)
            draw.text((right + TICK + 4, y), f"{level:.0f}", INK, font(TEXT), anchor="lm")
