"""Tables of figures: of one evaluation, and of several side by side."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.style import Style
from rich.table import Table
from rich.text import Text

from gan_cli.errors import say
from gan_cli.pages import Page, pages_of
from gan_cli.terminal import Terminal
from gancore.errors import UnknownNameError
from gancore.evaluation.records import called
from gancore.evaluation.summary import ERROR_OF, FEW, headlines, telling, worst
from gancore.text import shown

if TYPE_CHECKING:
    from gancore.evaluation.records import Evaluation, Figure

WORST_FROM = 8
"""Rows of a table, from which on the worst ones are marked."""
LEGEND = {
    "generated": "of the samples that were generated",
    "real": "of real ones",
    "overlap": "how far both are spread alike, from 0 to 1",
    "floor": "between two sets of real ones, as good as a generator can be expected to get",
}
ALIKE = ("generated", "real", "reference", "reference_source", "reference_size", "seed", "metrics", "features")
"""What must be the same in two evaluations for their figures to be compared."""


def show(found: Evaluation, *, quiet: bool) -> None:
    """The table of one evaluation; with `quiet` without what explains it."""
    places = [(metric, name) for metric, figures in found.figures.items() for name in figures]
    rows = dict(zip(places, found.rows(), strict=True))
    told = {place: row for place, row in rows.items() if telling(found.figures[place[0]][place[1]])}
    kept = {(metric, name): row for (metric, name), row in told.items() if not name.startswith(ERROR_OF)}
    columns = [
        n
        for n in ("generated", *found.others, "real", "overlap", "floor")
        if any(r[n] is not None for r in kept.values())
    ]
    bad = worst(found.figures) if len(kept) > WORST_FROM and found.protocol.compared >= FEW else set()
    # Beside those of other generators, there is room for them in the first column alone.
    beside = ("generated",) if found.others else ("generated", "real")
    doubt = False
    pages = pages_of(found)
    view = Table(box=None, pad_edge=False, header_style="bold")
    view.add_column("figure", overflow="fold")
    for name in columns:
        view.add_column(name, justify="right", no_wrap=True)
    for place, row in kept.items():
        error = rows.get((place[0], f"{ERROR_OF}{place[1]}"), {})
        values = [share(row[name]) if name == "overlap" else digits(row[name]) for name in columns]
        for at, name in enumerate(columns):
            if values[at] and name in beside and error.get(name):
                values[at] += f" ±{error[name]:.1g}"
                doubt = True
        view.add_row(linked(str(row["figure"]), " *" * (place in bad), pages.get(place[0])), *values)
    if kept:
        _print(view)
    if quiet:
        return
    if bad:
        say("* farthest from what real samples have")
    if len(told) < len(rows):
        count = len(rows) - len(told)
        what = "1 figure that is" if count == 1 else f"{count} figures that are"
        say(f"not shown: {what} the same for all samples, or 0 everywhere; --json has them")
    words = [f"{name}: {LEGEND[name]}" for name in columns if name in LEGEND]
    if found.others:
        words.insert(1, f"{', '.join(found.others)}: of other generators that the run keeps")
    if doubt:
        words.append("±: standard error")
    if kept:
        say("; ".join(words))
    tell_pages(pages.values())


def tell_pages(pages: Any) -> None:
    """Where figures are explained, on one line."""
    if places := list(dict.fromkeys(page.place for page in pages)):
        say(f"what figures mean: {', '.join(places)}")


def linked(name: str, mark: str, page: Page | None) -> Text:
    """The name of a figure, which leads to the page that explains it where the terminal can follow links."""
    link = None if page is None else page.url
    return Text(shown(name), style=Style(link=link) if link else "") + Text(mark)


# --- several ----------------------------------------------------------------------------------------------------------


def show_several(found: Sequence[Evaluation], *, by_step: bool, sort: str | None, quiet: bool) -> None:
    """A table for each lot of evaluations that have the same headlines, a line each: the best first, or by step.

    Figures of different features cannot be compared, so what has other headlines stands in a table of its own.
    """
    lots: dict[Any, list[Evaluation]] = {}
    for one in found:
        lots.setdefault((one.plugin, tuple(headlines(one))), []).append(one)
    for number, lot in enumerate(lots.values()):
        if number:
            print()
        _show_lot(lot, by_step=by_step, sort=sort)
        if unlike := unlike_in(lot):
            say(
                f"note: these evaluations differ in {', '.join(unlike)}; where one of them matters, figures cannot be compared"
            )
    if len(lots) > 1:
        say("runs of different plugins, or with different features, share no figure that could be compared")
    if not quiet:
        tell_pages(page for one in found for page in pages_of(one).values())


def _show_lot(lot: Sequence[Evaluation], *, by_step: bool, sort: str | None) -> None:
    places = headlines(lot[0])
    names = {called(metric, name): (metric, name) for metric, named in lot[0].figures.items() for name in named}
    if sort in names and names[sort] not in places:
        places = [*places, names[sort]]
    order = list(lot)
    first = names.get(sort or "") or next((place for place in places if place[0] == "mind"), None)
    if first is not None and (sort in names or not by_step):
        order.sort(key=lambda one: _distance(figure_at(one, first)))
    pages = pages_of(lot[0])
    view = Table(box=None, pad_edge=False, header_style="bold")
    view.add_column("run", overflow="fold")
    view.add_column("step", justify="right")
    for metric, name in places:
        view.add_column(linked(name, "", pages.get(metric)), justify="right")
    for one in order:
        view.add_row(shown(one.run), f"{one.step:,}", *(_value(figure_at(one, place)) for place in places))
    beside = [{_beside(figure_at(one, place)) for one in lot} for place in places]
    if any(len(known) == 1 and None not in known for known in beside):
        values = (digits(next(iter(known))) if len(known) == 1 else "" for known in beside)
        view.add_row("real samples", "", *values, style="dim")
    _print(view)


def figure_at(found: Evaluation, place: tuple[str, str]) -> Figure | None:
    """The figure of a metric by its name, if there is one."""
    return found.figures.get(place[0], {}).get(place[1])


def check_sort(sort: str | None, found: Sequence[Evaluation]) -> None:
    """Refuse to sort by what none of the evaluations has."""
    known = [str(row["figure"]) for one in found for row in one.rows()]
    if sort is not None and sort not in known:
        raise UnknownNameError("figure", sort, known)


def unlike_in(lot: Sequence[Evaluation]) -> list[str]:
    """Parts of the protocols of evaluations that are not the same in all of them, and that figures depend on."""
    first = lot[0].protocol
    return [
        name.replace("_", " ")
        for name in ALIKE
        if any(getattr(one.protocol, name) != getattr(first, name) for one in lot)
    ]


def _beside(figure: Figure | None) -> float | None:
    """What real samples have of it."""
    return None if figure is None else figure.floor if figure.floor is not None else figure.real


def _distance(figure: Figure | None) -> float:
    """How far it is from what real samples have; the figure itself where that is not known, and last where there is none."""
    if figure is None or not math.isfinite(figure.value):
        return math.inf
    beside = _beside(figure)
    return figure.value if beside is None else abs(figure.value - beside)


def _value(figure: Figure | None) -> str:
    return "" if figure is None else digits(figure.value)


def _print(view: Table) -> None:
    Terminal(width=None if sys.stdout.isatty() else 200, markup=False, emoji=False, highlight=False).print(view)


def share(value: Any) -> str:
    """A number from 0 to 1 to three places."""
    return f"{value:.3f}" if value is not None and math.isfinite(value) else digits(value)


def digits(value: Any) -> str:
    """A figure to three digits after the zeros, whole numbers and those from 1,000 up without a fraction."""
    if value is None:
        return ""
    if not math.isfinite(value):
        return str(float(value))
    if (value == int(value) or abs(value) >= 1000) and abs(value) < 1e12:
        return f"{value:,.0f}"
    return f"{value:.3g}"
