"""Figures over the checkpoints of a run as a picture: a panel for each figure, with what real samples have of it."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image, ImageDraw

from gancore.drawing import FAINT, INK, PAPER, font, plain

WIDE, HIGH, COLUMNS = 340, 240, 3
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 34, 30
_TITLE, _TEXT = 14, 11
_SCALE = 2
"""Everything is drawn so many times as large, then shrunk, for smooth edges."""
_GRID, _OWN, _REAL = (230, 230, 234), (50, 80, 160), (200, 60, 40)
_OTHERS = ((30, 130, 90), (150, 90, 170), (170, 120, 30), (90, 110, 120))


@dataclass(frozen=True, slots=True)
class Curve:
    """A figure `name`: `values` by step of `own`, `beside` what real samples have, as `word` says, `others` of other generators."""

    name: str
    values: Mapping[int, float]
    beside: Mapping[int, float] = field(default_factory=dict)
    word: str = "floor"
    others: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    own: str = "generated"


def draw(curves: Sequence[Curve], over: str = "steps") -> bytes:
    """A PNG file with a panel for each of `curves`, at least one, up to three in a row, and a legend below.

    `over` says what the values are over.
    """
    columns = min(COLUMNS, len(curves))
    rows = math.ceil(len(curves) / columns)
    legend = {curves[0].own: _OWN}
    for curve in curves:
        legend |= {curve.word: _REAL} if curve.beside else {}
        legend |= {name: _OTHERS[number % len(_OTHERS)] for number, name in enumerate(curve.others)}
    size = columns * WIDE, rows * HIGH + 30
    image = Image.new("RGB", (_SCALE * size[0], _SCALE * size[1]), PAPER)
    pen = ImageDraw.Draw(image)
    for number, curve in enumerate(curves):
        _Panel(pen, number % columns * WIDE, number // columns * HIGH, curve).draw(legend)
    across = float(_LEFT)
    for name, colour in legend.items():
        dashed = name in {curve.word for curve in curves}
        _line(pen, [(across, size[1] - 18), (across + 24, size[1] - 18)], colour, dashed=dashed)
        _text(pen, (across + 30, size[1] - 18), name, "lm", _TITLE)
        across += 30 + font(_TITLE).getlength(plain(name)) + 24
    _text(pen, (across, size[1] - 18), f"over {over}", "lm", _TITLE, FAINT)
    file = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(file, "PNG", optimize=True)
    return file.getvalue()


class _Panel:
    """One figure; places are in pixels of the finished picture."""

    def __init__(self, pen: ImageDraw.ImageDraw, left: int, top: int, curve: Curve) -> None:
        self.pen, self.curve = pen, curve
        self.box = left + _LEFT, top + _TOP, left + WIDE - _RIGHT, top + HIGH - _BOTTOM
        lines = [curve.values, curve.beside, *curve.others.values()]
        values = [value for line in lines for value in line.values()]
        low, high = min(values), max(values)
        room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
        # Shares and distances are best seen from 0, unless they differ by little that far from it.
        near = low <= 0.7 * high or high - low <= 0.02 * high
        self.low = 0.0 if low >= 0.0 and near else low - room
        self.high = high + room
        steps = [*curve.values, *(step for line in curve.others.values() for step in line)]
        self.first, self.last = min(steps), max(steps)

    def draw(self, legend: Mapping[str, tuple[int, int, int]]) -> None:
        """Grid and axes, what is beside, other generators, and the figure itself on top."""
        left, top, right, bottom = self.box
        for value, words in ticks(self.low, self.high, 5):
            _line(self.pen, [(left, self.y(value)), (right, self.y(value))], _GRID, width=1)
            _text(self.pen, (left - 6, self.y(value)), words, "rm", _TEXT, FAINT)
        for step, words in ticks(self.first, self.last, 5, whole=True):
            _line(self.pen, [(self.x(step), bottom), (self.x(step), bottom + 4)], INK, width=1)
            _text(self.pen, (self.x(step), bottom + 7), words, "ma", _TEXT, FAINT)
        _line(self.pen, [(left, top), (left, bottom), (right, bottom)], INK, width=1)
        _text(self.pen, (left - _LEFT + 10, top - 12), self.curve.name, "ls", _TITLE)
        _line(self.pen, self._places(self.curve.beside), _REAL, dashed=True)
        for name, line in self.curve.others.items():
            _line(self.pen, self._places(line), legend[name])
        _line(self.pen, self._places(self.curve.values), _OWN, width=2)
        for x, y in self._places(self.curve.values):
            self.pen.ellipse([_SCALE * (x - 3), _SCALE * (y - 3), _SCALE * (x + 3), _SCALE * (y + 3)], fill=_OWN)

    def x(self, step: float) -> float:
        """Where a step stands; a single one in the middle."""
        share = (step - self.first) / (self.last - self.first) if self.last > self.first else 0.5
        return self.box[0] + 6 + share * (self.box[2] - self.box[0] - 12)

    def y(self, value: float) -> float:
        """Where a value stands."""
        return self.box[3] - (value - self.low) / (self.high - self.low) * (self.box[3] - self.box[1])

    def _places(self, line: Mapping[int, float]) -> list[tuple[float, float]]:
        return [(self.x(step), self.y(value)) for step, value in sorted(line.items())]


def ticks(low: float, high: float, most: int, *, whole: bool = False) -> list[tuple[float, str]]:
    """Round numbers from `low` to `high`, at most `most`, with how they are written; `whole` ones where steps are counted."""
    if not high > low:
        return [(low, f"{low:,.0f}" if whole else f"{low:.3g}")]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= rough * (1 - 1e-9))
    step = max(1.0, step) if whole else step
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    numbers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return [(number * step, f"{number * step:,.{decimals}f}") for number in numbers]


def _line(
    pen: ImageDraw.ImageDraw,
    places: Sequence[tuple[float, float]],
    colour: tuple[int, int, int],
    *,
    width: float = 1.5,
    dashed: bool = False,
) -> None:
    wide = round(_SCALE * width)
    scaled = [(_SCALE * x, _SCALE * y) for x, y in places]
    if not dashed:
        pen.line(scaled, fill=colour, width=wide, joint="curve")
        return
    for (x, y), (to_x, to_y) in itertools.pairwise(scaled):
        pieces = max(1, round(math.dist((x, y), (to_x, to_y)) / (5 * _SCALE)))
        for number in range(0, pieces, 2):
            here, there = number / pieces, min(1.0, (number + 1) / pieces)
            ends = [(x + share * (to_x - x), y + share * (to_y - y)) for share in (here, there)]
            pen.line(ends, fill=colour, width=wide)


def _text(
    pen: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    anchor: str,
    size: int,
    colour: tuple[int, int, int] = INK,
) -> None:
    pen.text((_SCALE * place[0], _SCALE * place[1]), plain(text), colour, font(_SCALE * size), anchor=anchor)
