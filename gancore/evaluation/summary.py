"""Figures in words: a few sentences that a person understands who has never heard of a Fréchet distance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gancore.evaluation.records import Evaluation, Figure

Figures = Mapping[str, Mapping[str, Figure]]
"""By metric and by the figure's own name."""

_HEADLINES = (
    ("mind", "mind-", ""),
    ("neighbours", "precision-", ""),
    ("neighbours", "recall-", ""),
    ("neighbours", "coverage-", ""),
    ("nearest", "nearest-", "/near"),
    ("class-accuracy", "class-accuracy-", ""),
)
"""Metric, beginning and end of the names of figures to compare by."""
_WORDS = ((0.95, "yes"), (0.8, "nearly"), (0.5, "partly"), (-1.0, "hardly"))
"""How good a share is beside the best that can be expected, from so much of it up."""
_COPIES = 0.05
"""Share of near copies above that of real samples, from which on samples are called copies."""
FEW = 30
"""Fewer samples than this in a set, and its neighbourhoods are so large that they say nothing."""
_TELLS_CLASSES = 0.3
"""How far from chance to certainty classifiers must get on real samples for their answers to mean something."""
_NARROW = 0.2
"""Share of the coverage that can be expected, below which samples may all be alike: averages lie among real ones too."""
_GOOD = tuple(f"Do they seem real? {word}" for word in ("Yes", "Nearly"))
_ALIKE = 1.3
"""Two distances whose quotient is below this differ by no more than chance may bring."""

ERROR_OF = "standard-error/"
"""How the name of a figure begins that is the standard error of another, whose name follows."""
_NOTHING = 1e-12
"""Below this is what rounding leaves of 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Basis:
    """What sentences rest on, beside figures: how many samples are in each set that is compared, and more."""

    compared: int = 1000
    halved: int = 0
    """Real samples, where it is so few because there are no others to hold them against for a floor."""
    looked_through: int = 1
    """Samples among which copies were looked for ..."""
    trained_on: int = 1
    """... of so many ..."""
    place: str = ""
    """... of this place; empty for the generator's training set."""
    chance: float = 0.0
    """Share of samples whose class is guessed right by always naming the most frequent one."""


def summary(figures: Figures, basis: Basis) -> list[str]:
    """Answers to: do samples seem real, cover what is real, copy, belong to their class, and how far are they from real ones?

    Each is of the first features that have its figure, and left out where there are none; it says so where others differ. None says
    what the figures cannot: of a few samples, whether any are equal to training samples is all that they tell.
    """
    if basis.compared < FEW:
        copied = _copied(figures, basis)
        known = [sentence for sentence in (copied,) if sentence]
        if not (known or figures.get("mind") or figures.get("neighbours")):
            return []
        sets, least = f"{basis.compared:,} samples in each set", FEW
        if basis.halved:
            sets, least = f"{sets}, halves of the {basis.halved:,} real ones", 2 * FEW
        return [*known, f"More cannot be told from {sets}: give {least} at least, better some hundreds."]
    found = [
        _real(figures),
        _covered(figures),
        _copied(figures, basis),
        _obeying(figures, basis.chance),
        _distance(figures),
    ]
    return [sentence for sentence in found if sentence]


def _first(figures: Figures, metric: str, start: str, end: str = "") -> Figure | None:
    return next(iter(_each(figures, metric, start, end).values()), None)


def _each(figures: Figures, metric: str, start: str, end: str = "") -> dict[str, Figure]:
    """The figure of a metric by each kind of features, by the name of the kind."""
    named = figures.get(metric, {})
    names = [n for n in named if n.startswith(start) and n.endswith(end) and (end or "/" not in n)]
    return {n.removeprefix(start).removesuffix(end): named[n] for n in names}


def _shared(question: str, found: Mapping[str, Figure], words: str, beside: str) -> str:
    """A share beside what real samples have of it, by the first features, and by others where these say something else."""
    told = {
        kind: (_word(figure.value, figure.floor), figure) for kind, figure in found.items() if figure.floor is not None
    }
    if not told:
        return ""
    (kind, (word, first)), *rest = told.items()
    other = [f"{theirs.lower()} by {name}" for name, (theirs, _) in rest if theirs != word]
    end = f" (by {kind}; {', '.join(other)})" if other else ""
    return f"{question} {word}: {_percent(first.value)} {words}, as {_percent(first.floor or 0.0)} {beside}{end}."


def _real(figures: Figures) -> str:
    found, covered = (_each(figures, "neighbours", start) for start in ("precision-", "coverage-"))
    told = _shared("Do they seem real?", found, "of the samples lie among real ones", "of other real ones do")
    near = next((covered[kind] for kind, figure in found.items() if figure.floor is not None and kind in covered), None)
    if near is None or near.value >= _NARROW * (near.floor or 0.0) or not told.startswith(_GOOD):
        return told
    return (
        f"Do they seem real? Unclear:{told.partition(':')[2].rstrip('.')}, but near {_percent(near.value)} of them alone, "
        "as averages of real ones would be."
    )


def _covered(figures: Figures) -> str:
    found = _each(figures, "neighbours", "coverage-")
    words = "of the real samples have one of them near"
    return _shared("Do they cover what is real?", found, words, "have another real one")


def _copied(figures: Figures, basis: Basis) -> str:
    exact, near, nearer = (_first(figures, "nearest", "nearest-", end) for end in ("/exact", "/near", "/nearer"))
    if exact is None:
        return ""
    few = basis.compared < FEW
    copies = exact.value - (exact.real or 0.0)
    parts = [
        f"{_percent(exact.value)} equal a {of_place('sample', basis.place)}"
        + (f", of real ones {_percent(exact.real)}" if exact.real else "")
    ]
    if near is not None and near.real is not None and not few:
        copies = max(copies, near.value - near.real)
        parts.append(f"{_percent(near.value)} lie very near one, of real ones {_percent(near.real)}")
    if copies >= _COPIES:
        word = "Many" if copies >= 0.5 else "Some"
    elif basis.looked_through < basis.trained_on:
        word = "No more were found than among real ones" if exact.value else "None was found"
        many = of_place("samples", basis.place)
        parts.append(f"but only {basis.looked_through:,} of {basis.trained_on:,} {many} were looked through")
    else:
        word = ("Hardly more are equal than of real ones" if exact.value else "None is equal") if few else "No"
        if nearer is not None and nearer.value >= 0.75 and not few:
            parts.append(f"but they lie closer to {basis.place or 'the training set'} than real ones do")
    return f"Are they copies? {word}: {', '.join(parts)}."


def _obeying(figures: Figures, chance: float) -> str:
    found = _each(figures, "class-accuracy", "class-accuracy-")
    known = {figure.real: figure.value for figure in found.values() if figure.real is not None}
    if not known:
        return ""
    best = max(known)  # by the features that tell real samples apart best
    value = known[best]
    question = "Are they of their class?"
    if best - chance < _TELLS_CLASSES * (1.0 - chance):
        return (
            f"{question} That cannot be told: of real samples {_percent(best)} are recognised as their class, and "
            f"{_percent(chance)} would be by chance."
        )
    return (
        f"{question} {_word(value - chance, best - chance)}: {_percent(value)} are recognised as the "
        f"class that was asked for, {_percent(best)} of real ones as theirs."
    )


def _distance(figures: Figures) -> str:
    for kind, distance in _each(figures, "mind", "mind-").items():
        if distance.floor is not None:
            return (
                f"How far are they from real ones? MIND by {kind} {distance.value:.3g}, where two sets of real ones have "
                f"{distance.floor:.3g}{_times(distance.value, distance.floor)}."
            )
    return ""


def _times(value: float, floor: float) -> str:
    if not floor > 0.0:
        return ""
    times = value / floor
    if times < _ALIKE:
        return " (about the same)" if times > 1.0 / _ALIKE else " (no more)"
    return f" ({times:,.0f} times as much)" if times >= 9.5 else f" ({times:.2g} times as much)"


def _word(value: float, best: float) -> str:
    share = value / best if best > 0 else 1.0
    return next((word for least, word in _WORDS if share >= least), _WORDS[-1][1]).capitalize()


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%" if share >= 0.0995 or share == 0 else f"{100 * share:.1f}%"


def headlines(found: Evaluation) -> list[tuple[str, str]]:
    """Metric and name of the figures by which evaluations are best compared: a few of the first features, and a distance by each other.

    Without features, the first eight figures.
    """
    kinds = list(found.protocol.features)
    wanted = [(metric, f"{start}{kinds[0]}{end}") for metric, start, end in _HEADLINES] if kinds else []
    wanted += [("mind", f"mind-{kind}") for kind in kinds[1:]]
    there = [(metric, n) for metric, named in found.figures.items() for n in named if not n.startswith(ERROR_OF)]
    return [place for place in wanted if place in there] or there[:8]


def telling(figure: Figure) -> bool:
    """Whether it says anything of these samples: not where it is 0 everywhere, or has one value in every sample of both sets."""
    numbers = [v for name, v in figure.parts().items() if v is not None and name != "overlap"]
    if all(abs(number) < _NOTHING for number in numbers):
        return False
    return not (figure.overlap == 1.0 and all(number == figure.value for number in numbers))


def of_place(word: str, place: str) -> str:
    """What samples that copies are looked for among are called: `samples of PLACE`, or `training samples` without."""
    return f"{word} of {place}" if place else f"training {word}"


def worst(figures: Figures, count: int = 5) -> set[tuple[str, str]]:
    """Metric and name of the figures that are farthest from their real row, or their floor, in proportion: at most `count`.

    Those that are within a tenth of it are none of them, and neither are distances and shares of copies that are lower, or
    standard errors.
    """
    gaps = {}
    for metric, named in figures.items():
        for name, figure in named.items():
            beside = figure.real if figure.real is not None else figure.floor
            lower = metric in ("mind", "frechet", "kernel") or name.endswith(("/exact", "/near", "/nearer"))
            if beside is None or not telling(figure) or (lower and figure.value <= beside) or name.startswith(ERROR_OF):
                continue
            scale = max(abs(beside), abs(figure.value), 1e-9)
            gaps[metric, name] = abs(figure.value - beside) / scale
    ordered = sorted(gaps, key=lambda place: -gaps[place])
    return {place for place in ordered[:count] if gaps[place] > 0.1}
