"""Figures of single tracks: empty bars, notes, their lengths, how many sound together, how many pitch classes a bar has.

After Dong et al. 2018 ("MuseGAN") and Dong, Chen, McAuley and Berg-Kirkpatrick 2020 ("MusPy").
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from pydantic import Field

from gan_music.metrics.figures import Counted, Quotient
from gan_music.metrics.table import Table
from gan_music.spec import MusicSpec
from gancore.options import Options as BaseOptions

_FINE = 4
"""Steps a beat from which on a single step is shorter than what is commonly written."""


class Options(BaseOptions):
    """Options of the metric `phrases`."""

    qualified: float = Field(
        0.25,
        gt=0.0,
        le=32.0,
        description="A qualified note lasts at least so many beats, and, with four or more steps a beat, at least two steps.",
    )


def build(options: Options, spec: MusicSpec) -> Counted[Options]:
    """The metric; see `tracks`."""
    return Counted(options, spec, tracks)


def qualifying_steps(options: Options, spec: MusicSpec) -> int:
    """From how many steps on a note is a qualified one."""
    # Not a step more where the product is whole but for rounding.
    steps = max(1, math.ceil(options.qualified * spec.steps_per_beat - 1e-9))
    return max(2, steps) if spec.steps_per_beat >= _FINE else steps


def tracks(options: Options, table: Table) -> dict[str, Quotient]:
    """What can be said of each track `t` for itself:

    - `empty-bars/t`: share of the bars in which nothing sounds.
    - `notes-per-bar/t`: notes that begin in a bar.

    and, where it is not drums:

    - `pitch-classes/t`: pitch classes that sound in a bar, of the bars that are not empty.
    - `qualified-notes/t`: share of the notes that are long enough; `one-step-notes/t`: share of those of a single step.
    - `duration/t`: length of a note in beats.
    - `polyphony/t`: notes that sound together, of the steps at which any does; `polyphony-rate/t`: share of these steps
      at which at least two do.
    """
    spec = table.spec
    voices = table.voices()
    by_bar = voices.reshape(table.count, table.tracks, spec.bars, spec.steps_per_bar)
    empty = by_bar.max(axis=3) == 0
    onsets = table.onsets()
    bars = np.full(table.count, spec.bars)
    found: dict[str, Quotient] = {}
    for at, track in enumerate(spec.tracks):
        name = table.names[at]
        found[f"empty-bars/{name}"] = Quotient(empty[:, at].sum(axis=1), bars, none=1.0)
        found[f"notes-per-bar/{name}"] = Quotient(onsets[:, at].sum(axis=1), bars)
        if track.drums:
            continue
        part = table.part(at)
        duration, notes = part.notes.duration, part.per_phrase()
        classes = (table.classes(at, spec.steps_per_bar) > 0).sum(axis=(1, 2))
        found[f"pitch-classes/{name}"] = Quotient(classes, (~empty[:, at]).sum(axis=1))
        long = part.per_phrase(duration >= qualifying_steps(options, spec))
        found[f"qualified-notes/{name}"] = Quotient(long, notes)
        found[f"one-step-notes/{name}"] = Quotient(part.per_phrase(duration == 1), notes, none=1.0)
        found[f"duration/{name}"] = Quotient(part.per_phrase(duration) / spec.steps_per_beat, notes)
        found[f"polyphony/{name}"] = together = polyphony(voices[:, at])
        found[f"polyphony-rate/{name}"] = Quotient((voices[:, at] > 1).sum(axis=1), together.bottom)
    return found


def polyphony(voices: npt.NDArray[np.integer]) -> Quotient:
    """Notes that sound together, from how many do at each step, `[phrases, time]`; silence has none."""
    return Quotient(voices.sum(axis=1), (voices > 0).sum(axis=1))
