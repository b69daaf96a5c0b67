"""Rows on disk: one CSV file with a header, which the data set `csv` reads back."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from gancore.errors import UsageError
from torch import Tensor

from gan_tabular.spec import TableSpec


class CsvSheet:
    """All rows in `<stem>.csv`: texts of categories, numbers with the digits of the data, nothing where a cell is missing.

    The label stands where it stood in the training data.
    """

    def __init__(self, spec: TableSpec) -> None:
        self.spec = spec

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        """Write `samples` int32 `[n, columns]`."""
        if samples.dim() != 2 or samples.shape[1] != len(self.spec.columns):
            raise UsageError(f"rows to write must have shape [n, {len(self.spec.columns)}], not {list(samples.shape)}")
        header, columns = table_texts(self.spec, samples, labels)
        path = folder / f"{stem}.csv"
        unfinished = path.with_name(f".{path.name}.tmp")
        folder.mkdir(parents=True, exist_ok=True)
        with open(unfinished, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(zip(*columns, strict=True))
        os.replace(unfinished, path)
        return [path]


def table_texts(spec: TableSpec, samples: Tensor, labels: Sequence[int] | None) -> tuple[list[str], list[list[str]]]:
    """Header and columns of hard rows `[n, columns]` as texts; with the label where there are `labels`."""
    header, columns = list(spec.header), []
    for described, codes in zip(spec.columns, samples.T.tolist(), strict=True):
        texts = {code: described.text(code) for code in set(codes)}
        columns.append([texts[code] for code in codes])
    if spec.label and labels is not None:
        header.insert(spec.label_place, spec.label)
        columns.insert(spec.label_place, [spec.classes[label] for label in labels])
    return header, columns
