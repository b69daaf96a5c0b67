"""Planes of points with error bars, drawn by Pillow: axes with ticks, names at the points of a curve, and a legend."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

from gan_text.metrics.curve import Spot
from gancore.drawing import INK, PAPER, font

Shape = Literal["star", "diamond", "curve"]

GRID = (228, 228, 232)
COLOURS: dict[Shape, tuple[int, int, int]] = {"star": (200, 60, 40), "diamond": (30, 130, 90), "curve": (50, 80, 160)}
WIDTH, HEIGHT = 620, 560
LEFT, RIGHT, TOP, BOTTOM = 86, 24, 54, 74
SIZE, SMALL = 17, 14
SCALE = 3
"""Everything is drawn so many times as large, then shrunk, for smooth edges."""
BARS = 2.0
"""Error bars reach so many standard errors to either side."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What the legend calls `name`: one point, or the points of a curve in their order, with a label for each."""

    name: str
    shape: Shape
    spots: tuple[Spot, ...]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """One plane: the words at its axes, and what is in it; all panels of a picture have the same legend."""

    across: str
    up: str
    marks: tuple[Mark, ...]


def draw(panels: Sequence[Panel]) -> bytes:
    """A PNG file with the panels side by side, each 620 by 560 pixels.

    Raises:
        ValueError: there is nothing to draw.
    """
    if not any(mark.spots for panel in panels for mark in panel.marks):
        raise ValueError("a plane needs at least one point")
    image = Image.new("RGB", (SCALE * WIDTH * len(panels), SCALE * HEIGHT), PAPER)
    for number, panel in enumerate(panels):
        _Drawing(image, SCALE * WIDTH * number, panel).draw()
    image = image.resize((WIDTH * len(panels), HEIGHT), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


class _Drawing:
    """Draws one panel; places and sizes are in pixels of the finished picture, from the panel's left and top."""

    def __init__(self, image: Image.Image, left: int, panel: Panel) -> None:
        self.image = image
        self.pen = ImageDraw.Draw(image)
        self.left = left
        self.panel = panel
        spots = [spot for mark in panel.marks for spot in mark.spots]
        self.x = _Axis.of([(s.x, s.x_error) for s in spots], LEFT, WIDTH - RIGHT)
        self.y = _Axis.of([(s.y, s.y_error) for s in spots], HEIGHT - BOTTOM, TOP)
        self.taken: list[tuple[float, float, float, float]] = []

    def draw(self) -> None:
        """Grid, axes, legend, curves below points, and their labels."""
        for tick, text in self.x.ticks():
            self.line([(tick, TOP), (tick, HEIGHT - BOTTOM)], GRID, 1)
            self.text((tick, HEIGHT - BOTTOM + 8), text, "ma", SMALL)
        for tick, text in self.y.ticks():
            self.line([(LEFT, tick), (WIDTH - RIGHT, tick)], GRID, 1)
            self.text((LEFT - 8, tick), text, "rm", SMALL)
        self.line([(LEFT, TOP), (LEFT, HEIGHT - BOTTOM), (WIDTH - RIGHT, HEIGHT - BOTTOM)], INK, 1.5)
        self.text(((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16), self.panel.across, "ms", SIZE)
        self.upright(self.panel.up)
        self.legend()
        marks = sorted(self.panel.marks, key=lambda mark: mark.shape != "curve")
        for mark in marks:
            colour = COLOURS[mark.shape]
            places = [self.at(spot) for spot in mark.spots]
            if len(places) > 1:
                self.line(places, colour, 2)
                self.taken += [box for pair in itertools.pairwise(places) for box in _along(*pair)]
            for spot, place in zip(mark.spots, places, strict=True):
                self.bars(spot, colour)
                self.point(place, mark.shape, colour)
                self.taken.append((place[0] - 8, place[1] - 8, place[0] + 8, place[1] + 8))
        for mark in marks:
            for spot, label in zip(mark.spots, mark.labels, strict=False):
                self.label(self.at(spot), label, COLOURS[mark.shape])

    def at(self, spot: Spot) -> tuple[float, float]:
        """Where a point stands."""
        return self.x.place(spot.x), self.y.place(spot.y)

    def bars(self, spot: Spot, colour: tuple[int, int, int]) -> None:
        """Bars of two standard errors, with ends where they are longer than the point is wide."""
        x, y = self.at(spot)
        left, right = (self.x.place(spot.x + side * BARS * spot.x_error) for side in (-1.0, 1.0))
        low, high = (self.y.place(spot.y + side * BARS * spot.y_error) for side in (-1.0, 1.0))
        self.line([(left, y), (right, y)], colour, 1.5)
        self.line([(x, low), (x, high)], colour, 1.5)
        for end in (left, right):
            self.line([(end, y - 4), (end, y + 4)], colour, 1.5)
        for end in (low, high):
            self.line([(x - 4, end), (x + 4, end)], colour, 1.5)

    def point(self, place: tuple[float, float], shape: Shape, colour: tuple[int, int, int]) -> None:
        """The sign of a mark."""
        x, y = place
        if shape == "curve":
            corners = [_round(x, y, 4.5, turn / 24) for turn in range(24)]
        elif shape == "diamond":
            corners = [_round(x, y, 8.0, turn / 4) for turn in range(4)]
        else:
            corners = [_round(x, y, 10.0 if turn % 2 == 0 else 4.2, turn / 10) for turn in range(10)]
        self.pen.polygon([self._scaled(corner) for corner in corners], fill=colour)

    def legend(self) -> None:
        """The signs and their names, in one line above the plane."""
        x = float(LEFT)
        for mark in self.panel.marks:
            colour = COLOURS[mark.shape]
            if mark.shape == "curve":
                self.line([(x, 28), (x + 26, 28)], colour, 2)
            self.point((x + 13, 28), mark.shape, colour)
            self.text((x + 32, 28), mark.name, "lm", SIZE)
            x += 32 + self._wide(mark.name, SIZE) + 26

    def label(self, place: tuple[float, float], text: str, colour: tuple[int, int, int]) -> None:
        """A name beside a point, where nothing else is if there is such a place."""
        x, y = place
        wide = self._wide(text, SMALL)
        spots: list[tuple[float, float, str]] = [
            (x + 11, y - 9, "ls"),
            (x - 11, y - 9, "rs"),
            (x + 11, y + 20, "ls"),
            (x - 11, y + 20, "rs"),
        ]
        boxes = []
        for left, base, anchor in spots:
            start = left if anchor == "ls" else left - wide
            boxes.append((start, base - SMALL, start + wide, base + 3))
        free = [i for i, box in enumerate(boxes) if self._inside(box) and not any(_meet(box, t) for t in self.taken)]
        chosen = free[0] if free else next((i for i, box in enumerate(boxes) if self._inside(box)), 0)
        self.taken.append(boxes[chosen])
        left, base, anchor = spots[chosen]
        self.text((left, base), text, anchor, SMALL, colour)

    def line(self, places: Sequence[tuple[float, float]], colour: tuple[int, int, int], width: float) -> None:
        """A line through places."""
        self.pen.line([self._scaled(p) for p in places], fill=colour, width=round(SCALE * width), joint="curve")

    def text(
        self,
        place: tuple[float, float],
        text: str,
        anchor: str,
        size: int,
        colour: tuple[int, int, int] = INK,
    ) -> None:
        """Words at a place, by Pillow's names of anchors."""
        if _scalable():
            self.pen.text(self._scaled(place), text, fill=colour, font=font(SCALE * size), anchor=anchor)
            return
        stamp = _stamp(text, colour, PAPER)
        x, y = self._scaled(place)
        across = {"l": 0.0, "m": 0.5, "r": 1.0}[anchor[0]]
        down = {"a": 0.0, "m": 0.5, "s": 1.0}[anchor[1]]
        self.image.paste(stamp, (round(x - across * stamp.width), round(y - down * stamp.height)))

    def upright(self, text: str) -> None:
        """Words along the axis on the left, read from below."""
        if _scalable():
            letters = font(SCALE * SIZE)
            box = letters.getbbox(text)
            stamp = Image.new("RGB", (math.ceil(box[2]), math.ceil(box[3]) + SCALE), PAPER)
            ImageDraw.Draw(stamp).text((0, 0), text, fill=INK, font=letters)
        else:
            stamp = _stamp(text, INK, PAPER)
        stamp = stamp.transpose(Image.Transpose.ROTATE_90)
        x, y = self._scaled((14.0, (TOP + HEIGHT - BOTTOM) / 2))
        self.image.paste(stamp, (round(x), round(y - stamp.height / 2)))

    def _scaled(self, place: tuple[float, float]) -> tuple[float, float]:
        return self.left + SCALE * place[0], SCALE * place[1]

    def _wide(self, text: str, size: int) -> float:
        if _scalable():
            return float(font(SCALE * size).getlength(text)) / SCALE
        return _stamp(text, INK, PAPER).width / SCALE

    @staticmethod
    def _inside(box: tuple[float, float, float, float]) -> bool:
        return box[0] >= LEFT and box[2] <= WIDTH - 2 and box[1] >= TOP - 12 and box[3] <= HEIGHT - BOTTOM


@dataclass(frozen=True, slots=True)
class _Axis:
    """Values from `low` to `high` over pixels from `begin` to `end`."""

    low: float
    high: float
    begin: float
    end: float

    @classmethod
    def of(cls, values: Sequence[tuple[float, float]], begin: float, end: float) -> _Axis:
        """All values with their errors, and some room on both sides."""
        low = min(value - BARS * error for value, error in values)
        high = max(value + BARS * error for value, error in values)
        room = 0.08 * (high - low) or 0.05
        return cls(low - room, high + room, begin, end)

    def place(self, value: float) -> float:
        """The pixel of a value."""
        return self.begin + (value - self.low) / (self.high - self.low) * (self.end - self.begin)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Pixels and numbers of 3 to 9 round values."""
        rough = (self.high - self.low) / 8
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= rough * (1 - 1e-9))
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        for number in range(math.ceil(self.low / step), math.floor(self.high / step) + 1):
            yield self.place(number * step), f"{number * step:.{decimals}f}"


def _round(x: float, y: float, radius: float, turn: float) -> tuple[float, float]:
    """A place on a circle, `turn` 0 to 1 from its top."""
    angle = 2 * math.pi * turn
    return x + radius * math.sin(angle), y - radius * math.cos(angle)


def _along(begin: tuple[float, float], end: tuple[float, float]) -> list[tuple[float, float, float, float]]:
    """Small boxes along a line."""
    steps = max(1, round(math.dist(begin, end) / 6))
    places = [[b + (e - b) * n / steps for b, e in zip(begin, end, strict=True)] for n in range(steps + 1)]
    return [(x - 1, y - 1, x + 1, y + 1) for x, y in places]


def _meet(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _scalable() -> bool:
    """Whether Pillow was built with FreeType; its small fixed font is enlarged where not."""
    return isinstance(font(SIZE), ImageFont.FreeTypeFont)


def _stamp(text: str, colour: tuple[int, int, int], paper: tuple[int, int, int]) -> Image.Image:
    """`text` in the fixed font, as large as everything else is drawn."""
    fixed = ImageFont.load_default_imagefont()
    _, _, right, bottom = fixed.getbbox(text)
    small = Image.new("RGB", (math.ceil(right), math.ceil(bottom)), paper)
    ImageDraw.Draw(small).text((0, 0), text, fill=colour, font=fixed)
    return small.resize((small.width * SCALE, small.height * SCALE), Image.Resampling.NEAREST)
