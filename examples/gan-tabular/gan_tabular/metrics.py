"""How near generated rows are to real ones: to a classifier, column by column, and pair by pair.

Both compare two sets of hard rows `[n, columns]`, with one column more where the class of each row stands behind the others.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from gancore.errors import UsageError
from gancore.evaluation.records import Figure, Material, Samples
from gancore.options import Options
from pydantic import Field
from torch import Tensor

from gan_tabular.spec import MISSING, Category, TableSpec

MOST_TREE_CATEGORIES = 255
"""What boosted trees take as categories; columns with more are given to them as numbers."""


class TwoSampleOptions(Options):
    """Options of the metric `two-sample`."""

    folds: int = Field(5, ge=2, le=20, description="Parts of the cross-validation.")
    trees: int = Field(100, ge=1, le=10_000, description="Rounds of boosting.")
    seed: int = Field(0, ge=0, lt=2**32, description="Decides the parts and the classifier.")


class TwoSample:
    """A classifier two-sample test (Lopez-Paz and Oquab 2017) with gradient-boosted trees.

    The accuracy is that of telling generated from real rows, equally many of each, cross-validated: 0.5 where they cannot
    be told apart, 1 where they always can. With n rows of each its standard error is about 0.5 / sqrt(2 n).
    """

    def __init__(self, options: TwoSampleOptions, spec: TableSpec) -> None:
        self.options = options
        self.spec = spec

    def __call__(self, material: Material) -> Mapping[str, Figure]:
        """`accuracy` and `auc` of the generated rows, with those of training rows as floor where `real` are others."""
        return _with_floor(self.compare, material)

    def compare(self, generated: Tensor, real: Tensor) -> Mapping[str, float]:
        """Hard rows `[n, columns]` to `accuracy` and the area under the ROC curve `auc`; of unequal numbers the first."""
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.metrics import roc_auc_score
        from sklearn.model_selection import StratifiedKFold, cross_val_predict

        fake_rows, real_rows = _comparable(generated, real)
        n = min(len(fake_rows), len(real_rows))
        if n < 2 * self.options.folds:
            raise UsageError(
                f"metric 'two-sample' with {self.options.folds} folds needs at least {2 * self.options.folds} rows of each"
                f" kind, not {n}"
            )
        x = np.concatenate([fake_rows[:n], real_rows[:n]])
        y = np.repeat([0, 1], n)
        categorical = _columns(self.spec, x.shape[1])[1]
        taken = [i for i, c in enumerate(categorical) if c and len(np.unique(x[:, i])) <= MOST_TREE_CATEGORIES]
        for index in taken:  # trees want categories numbered without gaps
            codes = np.unique(x[:, index], return_inverse=True)[1]
            x[:, index] = np.where(np.isnan(x[:, index]), np.nan, codes)
        classifier = HistGradientBoostingClassifier(
            max_iter=self.options.trees,
            categorical_features=taken or None,
            early_stopping=False,
            random_state=self.options.seed,
        )
        folds = StratifiedKFold(self.options.folds, shuffle=True, random_state=self.options.seed)
        score = cross_val_predict(classifier, x, y, cv=folds, method="predict_proba")[:, 1]
        return {"accuracy": float(np.mean((score > 0.5) == y)), "auc": float(roc_auc_score(y, score))}


class Columns:
    """Distances between the distributions of single columns and of pairs.

    For a number, `column/NAME` is the Wasserstein-1 distance of its present cells over the standard deviation of the real
    ones; for a category, missing being one, the total variation distance. `missing/NAME` is the difference of the shares of
    missing cells. `numbers` and `categories` are means over columns, `association` the mean absolute difference, over all
    pairs of columns, of: Pearson's correlation between numbers, Cramer's V between categories, the correlation ratio between
    one and the other.
    """

    def __init__(self, spec: TableSpec) -> None:
        self.spec = spec

    def __call__(self, material: Material) -> Mapping[str, Figure]:
        """The distances of the generated rows, with those of training rows as floor where `real` are others."""
        return _with_floor(self.compare, material)

    def compare(self, generated: Tensor, real: Tensor) -> Mapping[str, float]:
        """Hard rows `[n, columns]`, in any numbers, to the distances by name."""
        fake_rows, real_rows = _comparable(generated, real)
        count = real_rows.shape[1]
        names, categorical = _columns(self.spec, count)
        result: dict[str, float] = {}
        for index, name in enumerate(names):
            fake, true = fake_rows[:, index], real_rows[:, index]
            if categorical[index]:
                result[f"column/{name}"] = total_variation(fake, true)
                continue
            gaps = np.isnan(fake).mean(), np.isnan(true).mean()
            if any(gaps):
                result[f"missing/{name}"] = float(abs(gaps[0] - gaps[1]))
            fake, true = fake[~np.isnan(fake)], true[~np.isnan(true)]
            if len(fake) and len(true):
                result[f"column/{name}"] = wasserstein(fake, true) / max(float(true.std()), 1e-12)
        for kind, wanted in (("numbers", False), ("categories", True)):
            kept = [
                v
                for i, n in enumerate(names)
                if categorical[i] == wanted and (v := result.get(f"column/{n}")) is not None
            ]
            if kept:
                result[kind] = float(np.mean(kept))
        pairs = list(itertools.combinations(range(count), 2))
        if pairs:
            gap = [
                abs(association(fake_rows, i, j, categorical) - association(real_rows, i, j, categorical))
                for i, j in pairs
            ]
            result["association"] = float(np.mean(gap))
        return result


def with_class(rows: Tensor, labels: Tensor | None) -> Tensor:
    """Rows with the class of each behind its other columns, where there are classes."""
    return rows if labels is None else torch.cat([rows, labels[:, None].to(rows.dtype)], dim=1)


def _with_floor(compare: Callable[[Tensor, Tensor], Mapping[str, float]], material: Material) -> dict[str, Figure]:
    """Figures of the generated rows beside those of as many training rows, which a perfect generator would have."""

    def against_real(samples: Samples) -> Mapping[str, float]:
        labels = [s.condition if material.real.condition is not None else None for s in (samples, material.real)]
        return compare(with_class(samples.x, labels[0]), with_class(material.real.x, labels[1]))

    count = min(len(material.generated), len(material.train))
    train = material.train
    own = Samples(train.x[:count], None if train.condition is None else train.condition[:count])
    floor = against_real(own) if material.held_out else {}
    return {
        name: Figure(value=value, floor=floor.get(name)) for name, value in against_real(material.generated).items()
    }


def _columns(spec: TableSpec, count: int) -> tuple[list[str], list[bool]]:
    """Names of `count` columns, and which are categories; one more than the spec has is the class."""
    names, categorical = list(spec.header), [isinstance(c, Category) for c in spec.columns]
    if spec.label and count == len(names) + 1:
        names, categorical = [*names, spec.label], [*categorical, True]
    if len(names) != count:
        raise UsageError(f"rows of {count} columns are to be compared, and the table has {len(names)}")
    return names, categorical


def _comparable(generated: Tensor, real: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 `[n, columns]` with NaN where a cell is missing."""
    if generated.dim() != 2 or real.dim() != 2 or generated.shape[1] != real.shape[1]:
        raise UsageError(
            f"rows to compare must have shapes [n, columns] of equally many columns, not {list(generated.shape)} and "
            f"{list(real.shape)}"
        )
    if not len(generated) or not len(real):
        raise UsageError(f"there is nothing to compare: {len(generated)} generated and {len(real)} real rows")

    def values(rows: Tensor) -> np.ndarray:
        array: Any = rows.cpu().numpy().astype(np.float64)
        return np.where(array == MISSING, np.nan, array)

    return values(generated), values(real)


def wasserstein(a: np.ndarray, b: np.ndarray) -> float:
    """The Wasserstein-1 distance of two samples on a line: the area between their distribution functions."""
    points = np.sort(np.concatenate([a, b]))
    below = [np.searchsorted(np.sort(x), points[:-1], side="right") / len(x) for x in (a, b)]
    return float(np.sum(np.abs(below[0] - below[1]) * np.diff(points)))


def total_variation(a: np.ndarray, b: np.ndarray) -> float:
    """Half the sum of the absolute differences of the shares; NaN is one category."""
    values, codes = np.unique(np.concatenate([a, b]), return_inverse=True)
    shares = [np.bincount(part, minlength=len(values)) / len(part) for part in (codes[: len(a)], codes[len(a) :])]
    return float(0.5 * np.abs(shares[0] - shares[1]).sum())


def association(rows: np.ndarray, i: int, j: int, categorical: list[bool]) -> float:
    """How strongly columns i and j of `rows` depend on each other, by the measure that fits their kinds; 0 if undefined.

    Rows in which a number is missing are left out.
    """
    x, y = rows[:, i], rows[:, j]
    kept = np.ones(len(rows), bool)
    for column, is_category in ((x, categorical[i]), (y, categorical[j])):
        if not is_category:
            kept &= ~np.isnan(column)
    x, y = x[kept], y[kept]
    if len(x) < 2:
        return 0.0
    if categorical[i] and categorical[j]:
        return cramers_v(x, y)
    if categorical[i] or categorical[j]:
        return correlation_ratio(*((x, y) if categorical[i] else (y, x)))
    if x.std() == 0 or y.std() == 0:
        return 0.0
    return float(np.corrcoef(x, y)[0, 1])


def cramers_v(x: np.ndarray, y: np.ndarray) -> float:
    """Cramer's V of two categories, in [0, 1]."""
    a, b = (np.unique(v, return_inverse=True)[1] for v in (x, y))
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), 1.0)
    smaller = min(table.shape) - 1
    if smaller == 0:
        return 0.0
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
    chi_square = ((table - expected) ** 2 / expected).sum()
    return float(np.sqrt(chi_square / (table.sum() * smaller)))


def correlation_ratio(category: np.ndarray, number: np.ndarray) -> float:
    """The square root of the share of a number's variance that lies between categories, in [0, 1]."""
    codes = np.unique(category, return_inverse=True)[1]
    counts = np.bincount(codes)
    means = np.bincount(codes, weights=number) / counts
    total = number.var() * len(number)
    if total == 0:
        return 0.0
    return float(np.sqrt(min(1.0, (counts * (means - number.mean()) ** 2).sum() / total)))
