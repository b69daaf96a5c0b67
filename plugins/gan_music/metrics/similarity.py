"""How much of a bar comes again in later bars of its phrase."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from gan_music.metrics.figures import Counted, Quotient
from gan_music.metrics.table import Table
from gan_music.roll import Ints
from gan_music.spec import MusicSpec
from gancore.options import Options as BaseOptions

_PITCHES = 128


class Options(BaseOptions):
    """Options of the metric `similarity`."""

    lags: int = Field(3, ge=1, le=63, description="Bars are compared with so many later ones of their phrase, at most.")


def build(options: Options, spec: MusicSpec) -> Counted[Options]:
    """The metric; see `similarity`."""
    return Counted(options, spec, similarity)


def similarity(options: Options, table: Table) -> dict[str, Quotient]:
    """Bars are compared by their onsets (step of the bar, pitch), for each track `t`:

    - `bar-similarity/t/lag-k`: Jaccard index of two bars that are k apart, 1 where they are the same, 0 where they share
      nothing, over the pairs of which one at least has notes.
    - `repeated-bars/t`: share of the bars with notes that are the same as an earlier one of their phrase.
    """
    spec, notes = table.spec, table.notes
    row = table.phrase * table.tracks + notes.track
    bar = row * spec.bars + table.bar
    onset = np.sort((row * spec.time + notes.start) * _PITCHES + notes.pitch)
    counts = table.onsets()
    repeated = _repeated(table, bar)
    found = {
        f"repeated-bars/{name}": Quotient(repeated[:, at], (counts[:, at] > 0).sum(axis=1))
        for at, name in enumerate(table.names)
    }
    for lag in range(1, min(options.lags, spec.bars - 1) + 1):
        later = (row * spec.time + notes.start + lag * spec.steps_per_bar) * _PITCHES + notes.pitch
        again = (table.bar + lag < spec.bars) & _within(later, onset)
        both = np.bincount(bar[again], minlength=counts.size).reshape(counts.shape)[:, :, :-lag]
        either = counts[:, :, :-lag] + counts[:, :, lag:] - both
        index = both / np.maximum(either, 1)
        for at, name in enumerate(table.names):
            found[f"bar-similarity/{name}/lag-{lag}"] = Quotient(
                index[:, at].sum(axis=1), (either[:, at] > 0).sum(axis=1)
            )
    return found


def _repeated(table: Table, bar: Ints) -> Ints:
    """How many bars of each phrase and track `[phrases, tracks]` are the same as an earlier one; `bar` `[notes]` numbers all."""
    spec, notes = table.spec, table.notes
    if not len(table):
        return np.zeros((table.count, table.tracks), np.int64)
    # Bars are the same where the sums of random numbers, one for each place, are; that two others meet is past belief.
    numbers = np.random.default_rng(0).integers(2**63, size=(spec.steps_per_bar, _PITCHES), dtype=np.uint64)
    order = np.argsort(bar, kind="stable")
    place = numbers[notes.start % spec.steps_per_bar, notes.pitch][order]
    numbered, first = np.unique(bar[order], return_index=True)
    digest = np.add.reduceat(place, first)
    row = numbered // spec.bars
    alike = np.lexsort((digest, row))
    row, digest = row[alike], digest[alike]
    again = (row[1:] == row[:-1]) & (digest[1:] == digest[:-1])
    return np.bincount(row[1:][again], minlength=table.count * table.tracks).reshape(table.count, table.tracks)


def _within(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Which `values` are `among` sorted ones."""
    if not len(among):
        return np.zeros(len(values), bool)
    return among[np.minimum(np.searchsorted(among, values), len(among) - 1)] == values
