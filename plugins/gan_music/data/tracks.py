"""Which track of a phrase a part of a file belongs to: by its place, its program, its name, or all in one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from gan_music.data.phrases import Phrases
from gan_music.data.reading import Tune
from gan_music.spec import Track
from gancore.errors import DataError

Rule = Literal["order", "program", "name", "merged"]

DRUMS = "drums"
"""The track of this name takes the parts of MIDI channel 10, under any rule; no other track does."""

GROUPS = {"bass": 33, DRUMS: 0, "guitar": 25, "piano": 0, "strings": 48}
"""The five tracks of Dong et al. 2018, "MuseGAN", in their order, with the program that each is written with."""

DEFAULT_NAMES: dict[Rule, tuple[str, ...]] = {
    "order": ("melody", "chords"),
    "program": tuple(GROUPS),
    "name": ("melody", "chords"),
    "merged": ("music",),
}


def group_of(program: int) -> str:
    """The group of a General MIDI program, 0 to 127: what is no piano, guitar or bass counts among the strings."""
    if program < 8:
        return "piano"
    if 24 <= program < 32:
        return "guitar"
    return "bass" if 32 <= program < 40 else "strings"


def assign(tune: Tune, rule: Rule, names: Sequence[str]) -> list[int]:
    """For each part of `tune` the number of its track in `names`, or -1 where it is not used.

    Under `order` the pitched tracks take one part each, in the order of the file, and a file with fewer is refused.
    Under `name` a part goes to the first track whose name its own contains, in any case.
    Raises DataError whose message completes "the file is skipped: ...".
    """
    pitched = [number for number, name in enumerate(names) if name != DRUMS]
    drums = names.index(DRUMS) if DRUMS in names else -1
    places = [drums if part.drums else -1 for part in tune.parts]
    melodic = [number for number, part in enumerate(tune.parts) if not part.drums]
    if rule == "order":
        if len(melodic) < len(pitched):
            raise DataError(f"too few tracks ({len(melodic)} with notes apart from drums, {len(pitched)} needed)")
        for part, number in zip(melodic, pitched, strict=False):
            places[part] = number
    elif rule == "merged":
        for part in melodic:
            places[part] = pitched[0]
    else:
        for part in melodic:
            if rule == "program":
                group = group_of(tune.parts[part].program)
                places[part] = names.index(group) if group in names else -1
            else:
                own = tune.parts[part].name.casefold()
                places[part] = next((n for n in pitched if names[n].casefold() in own), -1)
    if all(place < 0 for place in places):
        how = f", by its {rule}," if rule in ("name", "program") else ""
        raise DataError(f"none of its tracks is{how} one of {', '.join(names)}")
    return places


MOST_TOGETHER = 0.01
"""Share of the steps with a note that may have more of them in a track of single notes."""


def singles(phrases: Phrases, tracks: int, time: int) -> list[bool]:
    """Which tracks are of single notes, as melodies are: two or more sound in at most `MOST_TOGETHER` of their steps.

    Some 500 phrases are looked at, spread over all.
    """
    chosen = np.unique(np.linspace(0, len(phrases) - 1, min(len(phrases), 500)).astype(np.int64))
    notes, place = phrases.gather(chosen)
    row = (place * tracks + notes.track) * (time + 1)
    change = np.bincount(row + notes.start, minlength=len(chosen) * tracks * (time + 1))
    change -= np.bincount(row + np.minimum(notes.start + notes.duration, time), minlength=len(change))
    sounding = change.reshape(-1, tracks, time + 1).cumsum(2)
    any_, more = (sounding > 0).sum((0, 2)), (sounding > 1).sum((0, 2))
    return [bool(some > 0 and many <= MOST_TOGETHER * some) for some, many in zip(any_, more, strict=True)]


def spec_tracks(
    rule: Rule, names: Sequence[str], programs: Sequence[Sequence[int]], single: Sequence[bool]
) -> tuple[Track, ...]:
    """The tracks of the spec; `programs` `[tracks][128]` counts how often files played a track with a program.

    Each is written with its group's program under `program`, else with the one that was most frequent. `single` `[tracks]`
    says which have single notes; drums never do.
    """
    return tuple(
        Track(
            name=name,
            program=GROUPS[name] if rule == "program" else max(range(128), key=counts.__getitem__),
            drums=name == DRUMS,
            single=alone and name != DRUMS,
        )
        for name, counts, alone in zip(names, programs, single, strict=True)
    )
