"""From quotients that are counted in each phrase to the lines of a table: a value, the real row, and the overlap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from gan_music.metrics.table import Floats, Table, table_of
from gan_music.spec import MusicSpec
from gancore.evaluation.distributions import overlap
from gancore.evaluation.records import Figure, Material
from gancore.options import Options as BaseOptions

OptionsT = TypeVar("OptionsT", bound=BaseOptions)


@dataclass(frozen=True, slots=True)
class Quotient:
    """`top` over `bottom`, both `[phrases]`: notes of a sort over all notes, classes over bars that have any.

    The value of a set of phrases is the sum of the ones over the sum of the others, so each note, or bar, weighs the same.
    A phrase whose `bottom` is 0 has no value of its own; a set in which all are has the value `none`, the worst there is.
    """

    top: npt.NDArray[np.generic]
    bottom: npt.NDArray[np.generic]
    none: float = 0.0

    @property
    def value(self) -> float:
        """That of all phrases together."""
        bottom = float(self.bottom.sum())
        return float(self.top.sum()) / bottom if bottom > 0 else self.none

    @property
    def each(self) -> Floats:
        """That of each phrase `[phrases]`, NaN where it has none."""
        bottom = self.bottom.astype(np.float64)
        return np.divide(self.top, bottom, out=np.full(len(bottom), np.nan), where=bottom > 0)


def compare(generated: Mapping[str, Quotient], real: Mapping[str, Quotient]) -> dict[str, Figure]:
    """The figures of two sets of phrases, which have the same names."""
    return {
        name: Figure(value=ours.value, real=real[name].value, overlap=overlap(ours.each, real[name].each))
        for name, ours in generated.items()
    }


def notes_of(x: Tensor, spec: MusicSpec) -> Table:
    """The notes of hard samples `[count, tracks, time, pitch]`."""
    return table_of(x.numpy(), spec)


class Counted(Generic[OptionsT]):
    """A metric that counts the same quotients in generated and in real phrases, and compares them."""

    def __init__(
        self, options: OptionsT, spec: MusicSpec, count: Callable[[OptionsT, Table], Mapping[str, Quotient]]
    ) -> None:
        self.options = options
        self.spec = spec
        self.count = count

    def __call__(self, material: Material) -> dict[str, Figure]:
        """The figures by their names."""
        sets = (material.generated, material.real)
        return compare(*(self.count(self.options, notes_of(one.x, self.spec)) for one in sets))
