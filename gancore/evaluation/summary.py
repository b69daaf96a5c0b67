"""Figures in words: a few sentences that a person understands who has never heard of a Fréchet distance."""

from __future__ import annotations

from collections.abc import Mapping

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
_WORDS = ((0.95, "yes"), (0.8, "nearly"), (0.5, "partly"), (0.0, "hardly"))
"""How good a share is beside the best that can be expected, from so much of it up."""
_COPIES = 0.05
"""Share of near copies above that of real samples, from which on samples are called copies."""


def summary(figures: Figures) -> list[str]:
    """Answers to: do samples seem real, are they varied, are they copies, are they of their class, how far are they from real ones?

    Each is of the first features that have its figure, and left out where there are none.
    """
    found = [_real(figures), _varied(figures), _copied(figures), _obeying(figures), _distance(figures)]
    return [sentence for sentence in found if sentence]


def _first(figures: Figures, metric: str, start: str, end: str = "") -> Figure | None:
    names = figures.get(metric, {})
    return next((names[n] for n in names if n.startswith(start) and n.endswith(end) and (end or "/" not in n)), None)


def _real(figures: Figures) -> str:
    precision = _first(figures, "neighbours", "precision-")
    if precision is None or precision.floor is None:
        return ""
    return (
        f"Do they seem real? {_word(precision.value, precision.floor)}: {_percent(precision.value)} of the samples lie among "
        f"real ones, as {_percent(precision.floor)} of other real ones do."
    )


def _varied(figures: Figures) -> str:
    coverage = _first(figures, "neighbours", "coverage-")
    if coverage is None or coverage.floor is None:
        return ""
    return (
        f"Are they varied? {_word(coverage.value, coverage.floor)}: {_percent(coverage.value)} of the real samples have one "
        f"of them near, as {_percent(coverage.floor)} have another real one."
    )


def _copied(figures: Figures) -> str:
    exact, near, nearer = (_first(figures, "nearest", "nearest-", end) for end in ("/exact", "/near", "/nearer"))
    if exact is None:
        return ""
    copies = max(exact.value - (exact.real or 0.0), 0.0 if near is None else near.value - (near.real or 0.0))
    word = "Many" if copies >= 0.5 else "Some" if copies >= _COPIES else "No"
    parts = [f"{_percent(exact.value)} equal a training sample"]
    if near is not None and near.real is not None:
        parts.append(f"{_percent(near.value)} lie very near one, of real ones {_percent(near.real)}")
    if word == "No" and nearer is not None and nearer.value >= 0.75:
        parts.append("but they lie closer to the training set than real ones do")
    return f"Are they copies? {word}: {', '.join(parts)}."


def _obeying(figures: Figures) -> str:
    accuracy = _first(figures, "class-accuracy", "class-accuracy-")
    if accuracy is None or accuracy.real is None:
        return ""
    return (
        f"Are they of their class? {_word(accuracy.value, accuracy.real)}: {_percent(accuracy.value)} are recognised as the "
        f"class that was asked for, {_percent(accuracy.real)} of real ones as theirs."
    )


def _distance(figures: Figures) -> str:
    distance = _first(figures, "mind", "mind-")
    if distance is None or distance.floor is None:
        return ""
    times = distance.value / distance.floor if distance.floor > 0 else float("inf")
    return (
        f"How far are they from real ones? MIND {distance.value:.3g}, where two sets of real ones have {distance.floor:.3g} "
        f"({'the same' if times < 1.05 else f'{times:.2g} times as much'})."
    )


def _word(value: float, best: float) -> str:
    share = value / best if best > 0 else 1.0
    return next(word for least, word in _WORDS if share >= least).capitalize()


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%" if share >= 0.0995 or share == 0 else f"{100 * share:.1f}%"


def headlines(found: Evaluation) -> list[tuple[str, str]]:
    """Metric and name of the figures by which evaluations are best compared: a few of the first features, and a distance by each other.

    Without features, the first eight figures.
    """
    kinds = list(found.protocol.features)
    wanted = [(metric, f"{start}{kinds[0]}{end}") for metric, start, end in _HEADLINES] if kinds else []
    wanted += [("mind", f"mind-{kind}") for kind in kinds[1:]]
    there = [(metric, name) for metric, named in found.figures.items() for name in named]
    return [place for place in wanted if place in there] or there[:8]


def worst(figures: Figures, count: int = 5) -> set[tuple[str, str]]:
    """Metric and name of the figures that are farthest from their real row, or their floor, in proportion: at most `count`.

    Those that are within a tenth of it are none of them.
    """
    gaps = {}
    for metric, named in figures.items():
        for name, figure in named.items():
            beside = figure.real if figure.real is not None else figure.floor
            if beside is None:
                continue
            scale = max(abs(beside), abs(figure.value), 1e-9)
            gaps[metric, name] = abs(figure.value - beside) / scale
    ordered = sorted(gaps, key=lambda place: -gaps[place])
    return {place for place in ordered[:count] if gaps[place] > 0.1}
