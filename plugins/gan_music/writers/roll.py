"""Phrases as a picture: piano rolls in a grid, each track in its own colour, with bars and beats ruled in."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import Field
from torch import Tensor

from gan_music.spec import ONSET, MusicSpec
from gan_music.writers.common import Rolls, rolls_of
from gancore.drawing import captioned
from gancore.options import Options
from gancore.storage import replacing
from gancore.text_chunks import TextInFiles

GAP = 6
"""Pixels between phrases, and around them."""
FEWEST_PITCHES = 12
PAPER = np.array([250, 250, 248], np.uint8)
DARK = np.array([236, 236, 232], np.uint8)
"""Rows of the black keys."""
BEAT_LINE = np.array([222, 222, 218], np.uint8)
BAR_LINE = np.array([168, 168, 164], np.uint8)
GAP_COLOUR = np.array([120, 120, 118], np.uint8)
COLOURS = ((31, 101, 178), (214, 96, 18), (34, 136, 68), (176, 42, 60), (122, 80, 170), (130, 96, 60), (200, 80, 160))
BLACK_KEYS = (1, 3, 6, 8, 10)
FADED = 0.55
"""How much of a track's colour a held cell has; an onset has all of it."""
LARGEST_SIDE = 4096
CAPTIONED_WIDTH = 256
"""With captions a phrase has so many pixels at most, as far as a step has one."""

Pixels = npt.NDArray[np.uint8]


class RollOptions(Options):
    """Options of the writer of piano rolls."""

    columns: int | None = Field(
        None, ge=1, le=1000, description="Phrases in a row; chosen for a nearly square picture when not given."
    )
    step_pixels: int = Field(4, ge=1, le=32, description="Width of a step of the grid, in pixels.")
    pitch_pixels: int = Field(4, ge=1, le=32, description="Height of a pitch, in pixels.")


class RollWriter(TextInFiles):
    """All phrases on one picture: `<stem>.png`. Time runs to the right and pitch upwards.

    Onsets are in the full colour of their track, what is held is paler; where tracks meet in one cell, the earlier track
    in the spec is on top. Only the pitches that any of the phrases uses are shown, an octave at least.
    """

    def __init__(self, options: RollOptions, spec: MusicSpec) -> None:
        self.options = options
        self.spec = spec

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        """Write `samples` uint8 `[n, tracks, time, pitch]`, n at least 1, as one picture, in their order."""
        del labels
        image = Image.fromarray(sheet(rolls_of(samples, self.spec), self.spec, self.options))
        return [replacing(folder / f"{stem}.png", lambda path: image.save(path, format="PNG", optimize=True))]

    def captioned(
        self, samples: Tensor, folder: Path, stem: str, captions: Sequence[str], columns: int, title: str
    ) -> list[Path]:
        """Write `samples` as `write` does, each below its caption."""
        rolls = rolls_of(samples, self.spec)
        step_pixels = max(1, min(self.options.step_pixels, CAPTIONED_WIDTH // self.spec.time))
        pictures = phrases(rolls, self.spec, step_pixels, min(self.options.pitch_pixels, step_pixels))
        image = captioned([Image.fromarray(pixels) for pixels in pictures], captions, columns, title)
        return [replacing(folder / f"{stem}.png", lambda path: image.save(path, format="PNG", optimize=True))]


def used_pitches(rolls: Rolls) -> tuple[int, int]:
    """The places `[low, high)` on the pitch axis that anything in `rolls` `[n, tracks, time, pitch]` uses, widened to 12."""
    places = np.flatnonzero(rolls.any(axis=(0, 1, 2)))
    most = rolls.shape[3]
    low, high = (int(places[0]), int(places[-1]) + 1) if len(places) else (most // 2, most // 2)
    wanted = min(most, FEWEST_PITCHES)
    low = max(0, low - max(0, wanted - (high - low)) // 2)
    high = min(most, max(high, low + wanted))
    return min(low, max(0, high - wanted)), high


def colours(count: int) -> npt.NDArray[np.float64]:
    """RGB `[count, 3]` in 0..255: a fixed set first, then hues around the circle."""
    more = [
        [255.0 * part for part in colorsys.hsv_to_rgb((0.11 + 0.618 * n) % 1.0, 0.75, 0.7)]
        for n in range(max(0, count - len(COLOURS)))
    ]
    return np.array([*map(list, COLOURS), *more], dtype=np.float64)[:count]


def phrases(rolls: Rolls, spec: MusicSpec, step_pixels: int, pitch_pixels: int) -> Pixels:
    """`rolls` `[n, tracks, time, pitch]` as pictures `[n, height, width, 3]`, of the pitches that are used."""
    low, high = used_pitches(rolls)
    cells = rolls[:, :, :, low:high].transpose(0, 1, 3, 2)[:, :, ::-1]  # high pitches on top
    count, tracks, rows, time = cells.shape
    classes = (spec.lowest + np.arange(low, high)[::-1]) % 12
    canvas = np.empty((count, rows, pitch_pixels, time, step_pixels, 3), np.uint8)
    canvas[:] = np.where(np.isin(classes, BLACK_KEYS)[:, None], DARK, PAPER)[:, None, None, None]
    # A line is the first column of pixels of its step. Where that is the whole step, every step would be covered.
    for every, colour in ((spec.steps_per_beat, BEAT_LINE), (spec.steps_per_bar, BAR_LINE)):
        if step_pixels > 1 or every > 1:
            canvas[:, :, :, ::every, 0] = colour
    palette = colours(tracks)
    faded = (palette * FADED + PAPER * (1.0 - FADED)).round().astype(np.uint8)
    for track in reversed(range(tracks)):
        part = cells[:, track]
        for where, colour in ((part > 0, faded[track]), (part >= ONSET, palette[track].astype(np.uint8))):
            n, row, step = np.nonzero(where)
            canvas[n, row, :, step] = colour
    return canvas.reshape(count, rows * pitch_pixels, time * step_pixels, 3)


def sheet(rolls: Rolls, spec: MusicSpec, options: RollOptions) -> Pixels:
    """One picture `[height, width, 3]` uint8 of phrases row by row, with gaps between and around them.

    Steps and pitches get fewer pixels where the picture would have a side of more than 4,096.
    """
    step_pixels, pitch_pixels = options.step_pixels, options.pitch_pixels
    low, high = used_pitches(rolls)
    while True:
        height, width = (high - low) * pitch_pixels, spec.time * step_pixels
        columns = min(len(rolls), options.columns or max(1, round(math.sqrt(len(rolls) * height / width))))
        rows = math.ceil(len(rolls) / columns)
        size = (rows * (height + GAP) + GAP, columns * (width + GAP) + GAP)
        if max(size) <= LARGEST_SIDE or (step_pixels == 1 and pitch_pixels == 1):
            break
        step_pixels, pitch_pixels = max(1, step_pixels - 1), max(1, pitch_pixels - 1)
    canvas = np.empty((*size, 3), np.uint8)
    canvas[:] = GAP_COLOUR
    for number, picture in enumerate(phrases(rolls, spec, step_pixels, pitch_pixels)):
        top = GAP + number // columns * (height + GAP)
        left = GAP + number % columns * (width + GAP)
        canvas[top : top + height, left : left + width] = picture
    return canvas
