"""Figures of time: where notes begin, and how alike neighbouring bars are in it."""

from __future__ import annotations

import numpy as np

from gan_music.metrics.figures import Counted, Quotient
from gan_music.metrics.table import Table
from gan_music.spec import MusicSpec
from gancore.options import Options as BaseOptions

_BESIDE = 0.1
"""What a drum counts for that is struck one step beside the pattern."""


class Options(BaseOptions):
    """The metric `rhythm` has no options."""


def build(options: Options, spec: MusicSpec) -> Counted[Options]:
    """The metric; see `rhythm`."""
    return Counted(options, spec, rhythm)


def pattern_step(spec: MusicSpec) -> int:
    """Steps between the places of the drum pattern: a quarter of a beat, or half of one, or 0 where the grid has nothing finer."""
    for parts in (4, 2):
        if spec.steps_per_beat % parts == 0 and spec.steps_per_beat > parts:
            return spec.steps_per_beat // parts
    return 0


def rhythm(options: Options, table: Table) -> dict[str, Quotient]:
    """Of all tracks together and of each track `t`:

    - `groove-consistency`, `groove-consistency/t`: 1 less the share of steps at which notes begin in one of two
      neighbouring bars and not in the other (MusPy). Left out where phrases have one bar.
    - `on-beat/t`: share of the notes that begin on a beat; `on-half-beat/t`: or half-way, where the grid is finer.
    - `drum-pattern/t`, for drums: share of the notes on the finest of quarter and half beats that is coarser than the grid;
      one step beside counts a tenth.
    """
    spec = table.spec
    begins = table.begins()
    found: dict[str, Quotient] = {}
    if spec.bars > 1:
        found["groove-consistency"] = groove(begins.max(axis=1), spec)
    for at, track in enumerate(spec.tracks):
        name, part = table.names[at], table.part(at)
        start, count = part.notes.start, part.per_phrase()
        if spec.bars > 1:
            found[f"groove-consistency/{name}"] = groove(begins[:, at], spec)
        on = part.per_phrase(start % spec.steps_per_beat == 0)
        found[f"on-beat/{name}"] = Quotient(on, count)
        if spec.steps_per_beat > 2 and spec.steps_per_beat % 2 == 0:
            on = part.per_phrase(start % (spec.steps_per_beat // 2) == 0)
            found[f"on-half-beat/{name}"] = Quotient(on, count)
        step = pattern_step(spec)
        if track.drums and step:
            beside = np.isin(start % step, (1, step - 1))
            weight = np.where(start % step == 0, 1.0, np.where(beside, _BESIDE, 0.0))
            found[f"drum-pattern/{name}"] = Quotient(part.per_phrase(weight), count)
    return found


def groove(begins: np.ndarray, spec: MusicSpec) -> Quotient:
    """Groove consistency of phrases of two bars or more from where notes begin, `[phrases, time]`; those without any have none."""
    bars = begins.reshape(len(begins), spec.bars, spec.steps_per_bar)
    same = (bars[:, 1:] == bars[:, :-1]).mean(axis=(1, 2))
    sounds = begins.max(axis=1)
    return Quotient(np.where(sounds, same, 0.0), sounds)
