"""Scales, chords and cadences of the 24 keys of `gan_music.data.keys`, and exact measures of them on hard phrases."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gan_music.data.keys import KEYS
from gan_music.spec import HELD, ONSET, MusicSpec

SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 11))
"""Semitones of the degrees above the tonic: major, and harmonic minor, whose raised seventh makes the dominant a major chord."""
DEGREES = (0, 1, 3, 4, 5)
"""Scale degrees, from 0, of the roots of the chords in use: tonic, supertonic, subdominant, dominant, submediant."""
TONIC, SUPERTONIC, SUBDOMINANT, DOMINANT, SUBMEDIANT = range(5)
"""Places in `DEGREES`."""
CADENCES = ("authentic", "plagal", "half", "deceptive")

_PURITY = 0.75
"""Share of what sounds that must belong to a chord for it to be heard as that chord."""


def key_members() -> Tensor:
    """Which pitch classes belong to which key: bool `[24, 12]`."""
    members = torch.zeros(len(KEYS), 12, dtype=torch.bool)
    for key in range(len(KEYS)):
        mode, tonic = divmod(key, 12)
        members[key, [(tonic + step) % 12 for step in SCALES[mode]]] = True
    return members


def triads() -> Tensor:
    """Pitch classes of the triads of every key, root, third, fifth: int64 `[24, 5, 3]`, chords as in `DEGREES`."""
    keys = []
    for key in range(len(KEYS)):
        mode, tonic = divmod(key, 12)
        chords = [[(tonic + SCALES[mode][(root + third) % 7]) % 12 for third in (0, 2, 4)] for root in DEGREES]
        keys.append(chords)
    return torch.tensor(keys)


def _fold(counts: Tensor, spec: MusicSpec) -> Tensor:
    """Counts by pitch `[n, pitch]` to counts by pitch class `[n, 12]`: octaves are folded onto each other."""
    classes = (torch.arange(spec.pitches, device=counts.device) + spec.lowest) % 12
    return torch.zeros(len(counts), 12, device=counts.device).index_add_(1, classes, counts.float())


def note_classes(phrases: Tensor, spec: MusicSpec) -> Tensor:
    """How many notes of each pitch class begin in each phrase, drums aside: float32 `[n, 12]`.

    `phrases` is `[n, tracks, time, pitch]` uint8. A held cell after silence counts as a beginning.
    """
    pitched = phrases[:, [not track.drums for track in spec.tracks]]
    before = torch.nn.functional.pad(pitched, (0, 0, 1, 0))[:, :, :-1]
    begins = (pitched >= ONSET) | ((pitched == HELD) & (before == 0))
    return _fold(begins.sum(dim=(1, 2)), spec)


def best_keys(phrases: Tensor, spec: MusicSpec) -> Tensor:
    """The key `[n]` int64, as an index of `KEYS`, that most notes of each phrase belong to; the first of several."""
    members = key_members().to(phrases.device)
    return (note_classes(phrases, spec) @ members.T.float()).argmax(dim=1)


def in_key_rate(phrases: Tensor, spec: MusicSpec, keys: Tensor | None = None) -> float:
    """Share, in [0, 1], of the notes of `phrases` `[n, tracks, time, pitch]`, drums aside, that belong to the key.

    `keys` `[n]` are indices of `KEYS`; without, each phrase is held against its best-fitting key, which even notes drawn at
    random fit better than the 7/12 that they reach in a given one. NaN where not a single note sounds.
    """
    counts = note_classes(phrases, spec)
    keys = best_keys(phrases, spec) if keys is None else keys.to(phrases.device)
    inside = (counts * key_members().to(phrases.device)[keys]).sum()
    return (inside / counts.sum()).item()


def chords_heard(
    phrases: Tensor, spec: MusicSpec, keys: Tensor, start: int, stop: int, track: str = "chords"
) -> Tensor:
    """The chord, a place in `DEGREES` or -1, that each phrase's `track` sounds from step `start` to before `stop`: `[n]`.

    A chord is heard where all three of its notes sound and at least three quarters of what sounds belong to it.
    Raises ValueError where the spec has no such track.
    """
    names = [t.name for t in spec.tracks]
    if track not in names:
        raise ValueError(f"there is no track '{track}' to hear chords in; there are {', '.join(names)}")
    counts = _fold((phrases[:, names.index(track), start:stop] > 0).sum(dim=1), spec)
    tones = triads().to(phrases.device)[keys]  # [n, 5, 3]
    sounding = counts[:, None, :].expand(-1, len(DEGREES), -1).gather(2, tones)
    share = sounding.sum(dim=2) / counts.sum(dim=1, keepdim=True).clamp(min=1.0)
    share = torch.where((sounding > 0).all(dim=2), share, 0.0)
    best, chord = share.max(dim=1)
    return torch.where(best >= _PURITY, chord, -1)


def cadences(phrases: Tensor, spec: MusicSpec, keys: Tensor | None = None) -> Tensor:
    """How each phrase ends, as an index of `CADENCES` or -1 for none of them: int64 `[n]`.

    The chord of the last bar and that of the half bar before decide: V-I is authentic, IV-I plagal, V-vi deceptive, and any
    other chord before a closing V makes a half cadence. `keys` as for `in_key_rate`.
    """
    keys = best_keys(phrases, spec) if keys is None else keys.to(phrases.device)
    last = spec.time - spec.steps_per_bar
    before = chords_heard(phrases, spec, keys, last - spec.steps_per_bar // 2, last)
    final = chords_heard(phrases, spec, keys, last, spec.time)
    found = torch.full_like(final, -1)
    found[(before == DOMINANT) & (final == TONIC)] = CADENCES.index("authentic")
    found[(before == SUBDOMINANT) & (final == TONIC)] = CADENCES.index("plagal")
    found[(before >= 0) & (before != DOMINANT) & (final == DOMINANT)] = CADENCES.index("half")
    found[(before == DOMINANT) & (final == SUBMEDIANT)] = CADENCES.index("deceptive")
    return found


def cadence_rate(
    phrases: Tensor, spec: MusicSpec, keys: Tensor | None = None, kinds: Sequence[str] = CADENCES
) -> float:
    """Share, in [0, 1], of `phrases` that end in one of the cadences `kinds`; NaN for no phrases."""
    wanted = torch.tensor([CADENCES.index(kind) for kind in kinds], device=phrases.device)
    return torch.isin(cadences(phrases, spec, keys), wanted).float().mean().item()
