"""A small table as text, with every kind of column."""

from __future__ import annotations

import numpy as np

HEADER = "place,price,weight,tier,grade"


def silent(words: str, done: int, total: int) -> None:
    """A progress report that nobody reads."""


def rows(count: int = 200, seed: int = 0) -> list[str]:
    """Rows of a text, a decimal that may be missing, a whole number, a number of few values and a class."""
    draw = np.random.default_rng(seed)
    found = []
    for number in range(count):
        place = ("north", "south, far", "östlich")[number % 3]
        price = "" if number % 10 == 3 else f"{draw.normal(50, 9):.2f}"
        found.append(f'"{place}",{price},{draw.integers(-40, 900)},{draw.integers(1, 5)},{"ab"[number % 2]}')
    return found
