"""From cells to hard rows: which columns are numbers and which categories, and what each cell's code is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import torch
from gancore.components import ProgressReport
from gancore.data.report import ScanReport, Skipped
from gancore.errors import DataError, UnknownNameError, UsageError
from torch import Tensor

from gan_tabular.modes import fit_modes
from gan_tabular.reading import NUMBER, Cells, quoted
from gan_tabular.spec import MISSING, Category, Mode, Number, TableSpec
from gan_tabular.wide import fit_wide

MOST_CODES = 2**31 - 2
"""Steps between the lowest and the highest number: what an int32 holds."""

MOSTLY = 0.95
"""Share of the cells that must be numbers for a column to count as one; the rows of the others are then skipped."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """How columns are told apart: what was said of them, and the rules for the rest."""

    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    label: str = ""
    distinct: int = 20
    categories: int = 200
    missing: tuple[str, ...] = ("",)
    modes: int = 10


@dataclass(frozen=True, slots=True)
class Table:
    """Hard rows `[n, columns]` int32, the classes `[n]` int64 where there is a label, and what they mean."""

    rows: Tensor
    labels: Tensor | None
    spec: TableSpec
    report: ScanReport
    clipped: int = 0
    """Numbers that lay outside the range of a spec that was given, and were moved to its nearest end."""


@dataclass(frozen=True, slots=True)
class _Texts:
    """A column by its distinct texts, so that each is looked at once: `texts[index[r]]` is the cell of row r."""

    name: str
    texts: list[str]
    index: np.ndarray
    missing: np.ndarray
    """`[texts]` bool."""


def _texts(name: str, cells: Sequence[str], missing: tuple[str, ...]) -> _Texts:
    places: dict[str, int] = {}
    index = np.fromiter((places.setdefault(cell, len(places)) for cell in cells), np.int64, len(cells))
    stripped = [text.strip() for text in places]
    merged: dict[str, int] = {}
    again = np.array([merged.setdefault(text, len(merged)) for text in stripped], np.int64)
    gone = set(missing) | {""}
    return _Texts(name, list(merged), again[index], np.array([text in gone for text in merged]))


# --- fitting ----------------------------------------------------------------------------------------------------------


def fit_table(cells: Cells, kinds: Kinds, progress: ProgressReport) -> Table:
    """The spec that fits `cells`, and the rows under it.

    Raises:
        UnknownNameError: a column is named that is not there.
        UsageError: a column is named for two things, or nothing is left.
        DataError: a column can be neither numbers nor categories, or hardly any row is usable.
    """
    _check_names(cells.header, kinds)
    names = [n for n in cells.header if n not in kinds.drop and n != kinds.label]
    columns = [_texts(n, cells.column(n), kinds.missing) for n in names]
    numeric = {c.name for c in columns if _is_numeric(c, kinds)}
    _check_categories([c for c in columns if c.name not in numeric], kinds, cells.source)
    skipped = list(cells.skipped)
    good = np.ones(len(cells.lines), bool)
    values = {c.name: _decimals(c) for c in columns if c.name in numeric}
    for column in columns:
        if column.name in numeric:
            broken = np.array([v is None for v in values[column.name]]) & ~column.missing
            good = _leave_out(
                column, broken, f"column '{_plain(column)}': '{{}}' is not a number", cells, skipped, good
            )
    label = _texts(kinds.label, cells.column(kinds.label), kinds.missing) if kinds.label else None
    if label is not None:
        good = _leave_out(label, label.missing, f"has no label in column '{_plain(label)}'", cells, skipped, good)
    if good.sum() < 2:
        raise DataError(
            f"data path '{cells.source}': {int(good.sum())} of {cells.found:,} rows can be used, and at least 2 are needed;"
            f" first problem: {skipped[0].path} {skipped[0].reason}"
        )
    classes, labels = _classes(label, good, cells.source, kinds.categories)
    fitted, codes = [], []
    for number, column in enumerate(columns):
        progress("fitting columns", number, len(columns))
        described, coded = (
            _fit_number(column, values[column.name], good, kinds.modes)
            if column.name in numeric
            else _fit_category(column, good)
        )
        fitted.append(described)
        codes.append(coded)
    progress("fitting columns", len(columns), len(columns))
    place = [n for n in cells.header if n not in kinds.drop].index(kinds.label) if kinds.label else 0
    spec = TableSpec.of(tuple(fitted), label=kinds.label, label_place=place, classes=classes)
    return Table(_stack(codes), labels, spec, _report(cells, int(good.sum()), skipped))


def _check_names(header: tuple[str, ...], kinds: Kinds) -> None:
    roles = {"drop": kinds.drop, "categorical": kinds.categorical, "numeric": kinds.numeric}
    if kinds.label:
        roles["label"] = (kinds.label,)
    used: dict[str, str] = {}
    for role, names in roles.items():
        for name in names:
            if name not in header:
                raise UnknownNameError(f"column in '{role}'", name, header)
            if name in used:
                raise UsageError(f"column '{name}' is named in '{used[name]}' and in '{role}'; choose one")
            used[name] = role
    if not set(header) - set(kinds.drop) - {kinds.label}:
        raise UsageError("no column is left to train on; drop fewer")


def _is_numeric(column: _Texts, kinds: Kinds) -> bool:
    if column.name in kinds.categorical or column.name in kinds.numeric:
        return column.name in kinds.numeric
    present = ~column.missing
    like = np.array([NUMBER.fullmatch(t) is not None for t in column.texts]) & present
    # A code such as 00713 would lose its zeros as a number.
    if like.sum() <= kinds.distinct or any(_is_code(t) for t, number in zip(column.texts, like, strict=True) if number):
        return False
    counts = np.bincount(column.index, minlength=len(column.texts))
    return bool(counts[like].sum() >= MOSTLY * counts[present].sum())


def _is_code(text: str) -> bool:
    digits = text.lstrip("+-")
    return len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()


def _check_categories(columns: list[_Texts], kinds: Kinds, source: str) -> None:
    many = [c for c in columns if len(c.texts) > kinds.categories]
    if many:
        found = ", ".join(f"'{c.name}' ({len(c.texts):,}, such as '{c.texts[0][:30]}')" for c in many)
        names = ",".join(c.name for c in many)
        raise DataError(
            f"data path '{source}': too many different texts for a category in {found}; leave such columns out with "
            f"data.drop={names}, or allow more with data.categories"
        )


def _decimals(column: _Texts) -> list[Decimal | None]:
    """The number that each text says; None for missing cells and for what is no number."""
    return [
        Decimal(text) if not gone and NUMBER.fullmatch(text) else None
        for text, gone in zip(column.texts, column.missing, strict=True)
    ]


def _plain(column: _Texts) -> str:
    """The column's name in a template of `str.format`."""
    return column.name.replace("{", "{{").replace("}", "}}")


def _unknown(column: _Texts) -> str:
    return f"column '{_plain(column)}': '{{}}' is unknown to the generator"


def _leave_out(
    column: _Texts, bad_texts: np.ndarray, reason: str, cells: Cells, skipped: list[Skipped], good: np.ndarray
) -> np.ndarray:
    """Which rows are good without those whose text is bad; these are listed, unless they were out already.

    `{}` in `reason` stands for the text.
    """
    bad = bad_texts[column.index] & good
    for row in np.flatnonzero(bad).tolist():
        text = column.texts[column.index[row]][:30]
        skipped.append(Skipped(f"line {cells.lines[row]}", reason.format(text)))
    return good & ~bad


def _classes(label: _Texts | None, good: np.ndarray, source: str, most: int) -> tuple[tuple[str, ...], Tensor | None]:
    """Class names in order and the class of each good row."""
    if label is None:
        return (), None
    used = np.unique(label.index[good])
    if len(used) > most:
        raise DataError(
            f"data path '{source}': the label '{label.name}' has {len(used):,} different values, and at most {most} are"
            " allowed; choose another label, or allow more with data.categories"
        )
    names = _in_order([label.texts[i] for i in used])
    place = {name: code for code, name in enumerate(names)}
    codes = np.array([place.get(text, -1) for text in label.texts], np.int64)
    return tuple(names), torch.from_numpy(codes[label.index[good]])


def _in_order(texts: list[str]) -> list[str]:
    """Numbers by size, texts by the alphabet."""
    if all(NUMBER.fullmatch(t) for t in texts):
        return sorted(texts, key=lambda t: (Decimal(t), t))
    return sorted(texts)


def _fit_category(column: _Texts, good: np.ndarray) -> tuple[Category, np.ndarray]:
    index = column.index[good]
    used = np.unique(index)
    names = _in_order([column.texts[i] for i in used if not column.missing[i]])
    missing = int(column.missing[index].sum())
    described = Category(name=column.name, values=tuple(names), missing=missing)
    return described, _category_codes(column, described)[index]


def _category_codes(column: _Texts, described: Category) -> np.ndarray:
    """The code of each text; -1 for missing ones, -2 for those that the description does not know."""
    place = {name: code for code, name in enumerate(described.values)}
    codes = np.array([place.get(text, -2) for text in column.texts], np.int64)
    return np.where(column.missing, MISSING, codes)


def _fit_number(column: _Texts, values: list[Decimal | None], good: np.ndarray, most: int) -> tuple[Number, np.ndarray]:
    index = column.index[good]
    used = [values[i] for i in np.unique(index)]
    present = [v for v in used if v is not None]
    if not present:
        raise DataError(f"column '{column.name}' has no number in any usable row; drop it")
    digits = max(0, *(-int(v.as_tuple().exponent) for v in present))
    units = [_units(v, digits) for v in present]
    lowest = min(units)
    common = max(1, math.gcd(*(u - lowest for u in units)))
    step = max(common, -(-(max(units) - lowest) // MOST_CODES))
    highest = (max(units) - lowest + step // 2) // step
    wide = fit_wide(present, MOST_CODES, Decimal(step).scaleb(-digits)) if step > common else None
    described = Number(
        name=column.name,
        digits=digits,
        lowest=lowest if wide is None else 0,
        step=step if wide is None else 1,
        highest=highest if wide is None else wide[1],
        wide=None if wide is None else wide[0],
        modes=(Mode(centre=0, spread=1.0, weight=1.0),),
    )
    codes = _number_codes(values, described)[index]
    modes = fit_modes(codes[codes != MISSING], most)
    return described.model_copy(update={"modes": modes, "missing": int((codes == MISSING).sum())}), codes


def _units(value: Decimal, digits: int) -> int:
    """`value` in units of the last of `digits`, whatever its size: decimal arithmetic alone would keep 28 digits."""
    sign, figures, exponent = value.as_tuple()
    whole = int("".join(map(str, figures)) or "0")
    shift = int(exponent) + digits
    scaled = whole * 10**shift if shift >= 0 else (2 * whole + 10**-shift) // (2 * 10**-shift)
    return -scaled if sign else scaled


def _number_codes(values: list[Decimal | None], described: Number) -> np.ndarray:
    """The code of each text, the nearest step where it lies between two; -1 for what is no number."""
    if described.wide is not None:
        return np.array([MISSING if v is None else described.wide.code(v) for v in values], np.int64)
    half = described.step // 2
    codes = [
        MISSING if v is None else (_units(v, described.digits) - described.lowest + half) // described.step
        for v in values
    ]
    return np.array(codes, np.int64)


def _stack(codes: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(codes, axis=1).astype(np.int32))


def _report(cells: Cells, used: int, skipped: list[Skipped]) -> ScanReport:
    ordered = sorted(skipped, key=lambda s: int(s.path.rpartition(" ")[2]))
    return ScanReport(source=cells.source, found=cells.found, used=used, skipped=tuple(ordered), notes=cells.notes)


# --- other rows under a spec that is given ----------------------------------------------------------------------------


def encode_table(cells: Cells, spec: TableSpec, missing: tuple[str, ...] = ("",)) -> Table:
    """`cells` as rows of `spec`, which was fitted to others: held-out data, or samples read back.

    Rows with a category, a class or a missing cell that the spec does not know are skipped; numbers outside of its range
    are moved to the nearest end and counted.

    Raises:
        DataError: a column is not there, or hardly a row fits.
    """
    wanted = [*spec.header, *([spec.label] if spec.label else [])]
    absent = [n for n in wanted if n not in cells.header]
    if absent:
        raise DataError(f"data path '{cells.source}': it lacks {quoted(absent)}, which the generator was trained on")
    good = np.ones(len(cells.lines), bool)
    skipped = list(cells.skipped)
    codes, clipped = [], 0
    for described in spec.columns:
        column = _texts(described.name, cells.column(described.name), missing)
        if isinstance(described, Category):
            of_text = _category_codes(column, described)
        else:
            values = _decimals(column)
            raw = _number_codes(values, described)
            inside = np.where(column.missing, MISSING, np.clip(raw, 0, described.highest))
            known = np.array([v is not None for v in values]) | column.missing
            clipped += int(((inside != raw) & known)[column.index].sum())
            of_text = np.where(known, inside, -2)
        if not described.missing:
            of_text = np.where(of_text == MISSING, -2, of_text)
        good = _leave_out(column, of_text == -2, _unknown(column), cells, skipped, good)
        codes.append(of_text[column.index])
    labels = None
    if spec.label:
        column = _texts(spec.label, cells.column(spec.label), missing)
        place = {name: code for code, name in enumerate(spec.classes)}
        of_text = np.array([place.get(text, -2) for text in column.texts], np.int64)
        good = _leave_out(column, of_text == -2, _unknown(column), cells, skipped, good)
        labels = torch.from_numpy(of_text[column.index][good])
    if good.sum() < 2:
        first = f"; first problem: {skipped[0].path} {skipped[0].reason}" if skipped else ""
        raise DataError(
            f"data path '{cells.source}': fewer than 2 of {cells.found:,} rows fit the generator's table{first}"
        )
    return Table(_stack([c[good] for c in codes]), labels, spec, _report(cells, int(good.sum()), skipped), clipped)
