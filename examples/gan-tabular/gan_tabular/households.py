"""The built-in demo: invented households, in which every dependence between columns is a rule that can be read below."""

from __future__ import annotations

import numpy as np
from gancore.components import ProgressReport
from pydantic import Field

from gan_tabular.data import TableOptions, TableSource
from gan_tabular.encoding import Kinds, fit_table
from gan_tabular.reading import Cells

REGIONS = ("coast", "hills", "plain", "city")
EDUCATION = ("school", "vocational", "degree")
WORK = ("employed", "self-employed", "retired", "seeking")
HEADER = ("region", "persons", "age", "education", "work", "income", "tenure", "rent", "area", "commute_km", "car")


class Options(TableOptions):
    """Options of the data set `households`."""

    count: int = Field(10_000, ge=2, le=1_000_000, description="How many households there are.")
    seed: int = Field(0, ge=0, lt=2**32, description="Another seed gives other households by the same rules.")


def open_households(options: Options, progress: ProgressReport) -> TableSource:
    """The table, fitted as a file would be."""
    return TableSource(fit_table(households(options.count, options.seed), Kinds(modes=options.modes), progress))


def households(count: int, seed: int) -> Cells:
    """`count` households as the cells of a table.

    Income depends on work, education and age; the area on persons, region and income; owners are old or well off; the rent
    is a price per region times the area, and is missing for owners; the commute is missing for who does not work; a car is
    likely where the commute is long and rare in the city.
    """
    draw = np.random.default_rng(seed)
    region = draw.choice(4, count, p=(0.2, 0.15, 0.25, 0.4))
    age = np.clip(np.where(draw.random(count) < 0.6, draw.normal(38, 9, count), draw.normal(66, 10, count)), 18, 95)
    age = age.astype(int)
    degree = 0.2 + 0.2 * (region == 3) - 0.1 * (age > 60)
    chance = draw.random(count)
    education = np.where(chance < degree, 2, np.where(chance < degree + 0.4, 1, 0))
    retired = draw.random(count) < 1 / (1 + np.exp(-(age - 64) / 1.5))
    work = np.where(retired, 2, draw.choice((0, 1, 3), count, p=(0.78, 0.14, 0.08)))
    persons = 1 + draw.poisson(np.where((age > 28) & (age < 52), 1.7, 0.5))
    persons = np.clip(persons, 1, 7)

    base = np.array((2100.0, 2500.0, 3600.0))[education] * (1 + 0.012 * (np.minimum(age, 58) - 18))
    factor = np.array((1.0, 1.05, 0.55, 0.3))[work]
    income = base * factor * np.exp(draw.normal(0, np.where(work == 1, 0.5, 0.2)))
    income = np.round(income / 10).astype(int) * 10

    area = (28 + 17 * persons + np.array((5, 12, 10, -8))[region] + income / 180) * np.exp(draw.normal(0, 0.15, count))
    owner = draw.random(count) < 1 / (1 + np.exp(-((age - 50) / 9 + (income - 4200) / 1500 - 1.5 * (region == 3))))
    price = np.array((11.5, 7.0, 8.2, 14.8))[region] * np.exp(draw.normal(0, 0.08, count))
    rent = price * area
    far = np.array((14.0, 22.0, 17.0, 6.0))[region]
    commute = np.exp(draw.normal(np.log(far), 0.5))
    works = work <= 1
    car = draw.random(count) < np.where(works, 0.25 + 0.7 * (commute > 9), 0.5) * np.where(region == 3, 0.6, 1.0)

    columns = (
        _names(REGIONS, region),
        [str(p) for p in persons.tolist()],
        [str(a) for a in age.tolist()],
        _names(EDUCATION, education),
        _names(WORK, work),
        [str(i) for i in income.tolist()],
        ["owner" if o else "tenant" for o in owner.tolist()],
        ["" if o else f"{r:.2f}" for o, r in zip(owner.tolist(), rent.tolist(), strict=True)],
        [f"{a:.0f}" for a in area.tolist()],
        [f"{c:.1f}" if w else "" for c, w in zip(commute.tolist(), works.tolist(), strict=True)],
        ["yes" if c else "no" for c in car.tolist()],
    )
    return Cells("households", HEADER, columns, range(2, count + 2))


def _names(names: tuple[str, ...], codes: np.ndarray) -> list[str]:
    return [names[code] for code in codes.tolist()]
