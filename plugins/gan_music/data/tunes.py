"""The built-in demonstration set: phrases for melody, chords, bass and drums, composed by rules.

Since the rules are known, what a network has learnt of them can be measured: `gan_music.data.theory` has the measures.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, field_validator
from torch import Tensor

from gan_music.data.harmony import CADENCE_SHARES, Floats, Ints, choose, progressions, voicings
from gan_music.data.keys import KEYS, MODES
from gan_music.data.melody import melodies
from gan_music.data.styles import CRASH, ENDINGS, FILL, FINEST, STYLES, codes, drum_bar
from gan_music.data.theory import CADENCES, DEGREES, SCALES, triads
from gan_music.spec import HELD, ONSET, MusicSpec, Track
from gancore.components import ProgressReport
from gancore.data.report import ScanReport
from gancore.options import Options as BaseOptions
from gancore.random import Draws, derive

TRACKS = (
    Track(name="melody", program=73, single=True),
    Track(name="chords", program=0),
    Track(name="bass", program=32, single=True),
    Track(name="drums", drums=True),
)
LOWEST, PITCHES = 36, 48
"""Four octaves from the lowest note of the bass, which is also the bass drum; the melody ends below their top."""
_PART = 1024
"""Phrases composed at once, to bound memory."""

Roll = npt.NDArray[np.uint8]


class Options(BaseOptions):
    """Options of the data set `tunes`."""

    labels: Literal["key", "mode", "style", "none"] = Field(
        "key", description="What a phrase's class is: one of 24 keys, major or minor, one of 4 styles, or nothing."
    )
    count: int = Field(4096, ge=1, le=100_000, description="How many phrases are composed.")
    bars: int = Field(4, ge=2, le=16, description="Bars in a phrase; the last two have the cadence.")
    steps_per_beat: Literal[2, 4] = Field(
        4, description="Steps of the grid in a beat: 4 has sixteenth notes; 2 has eighths, and trains in half the time."
    )
    given: tuple[Literal["melody", "chords", "bass", "drums"], ...] = Field(
        (),
        max_length=3,
        description="Tracks that the generator is given, to make the others: melody, or several with commas.",
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Decides the phrases; another gives phrases to hold out.")

    @field_validator("given")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("must name each track once")
        return value


class TuneSource:
    """Composed phrases, held as bits: one for where notes begin, one for where they sound."""

    in_memory = True

    def __init__(self, bits: Roll, labels: Tensor | None, spec: MusicSpec, report: ScanReport) -> None:
        """`bits` is `[n, 2, bytes]`: packed `[tracks, time, pitch]`; `labels` `[n]` int64 or None."""
        self.bits = bits
        self.labels = labels
        self.spec = spec
        self.report = report

    def __len__(self) -> int:
        return len(self.bits)

    def fetch(self, indices: Tensor, draws: Draws) -> tuple[Tensor, Tensor | None]:
        """Hard phrases `[batch, tracks, time, pitch]` uint8 and class indices, or None, at `indices` `[batch]`."""
        size = len(TRACKS) * self.spec.time * self.spec.pitches
        planes = np.unpackbits(self.bits[indices.numpy()], axis=2, count=size)
        rolls = planes.sum(axis=1, dtype=np.uint8).reshape(len(indices), len(TRACKS), self.spec.time, self.spec.pitches)
        return torch.from_numpy(rolls), None if self.labels is None else self.labels[indices]


def open_tunes(options: Options, progress: ProgressReport) -> TuneSource:
    """Phrases that are a function of the seed and their number: with a larger `count` the first stay the same."""
    names = {"key": KEYS, "mode": MODES, "style": tuple(style.name for style in STYLES), "none": ()}[options.labels]
    spec = MusicSpec.of(
        TRACKS,
        bars=options.bars,
        steps_per_beat=options.steps_per_beat,
        lowest=LOWEST,
        pitches=PITCHES,
        tempo=112.0,
        classes=names,
        given=options.given,
    )
    bits, labels = [], []
    for start in range(0, options.count, _PART):
        progress("composing tunes", start, options.count)
        # Always whole parts: how many are computed together can change the last bits of sums, and so a choice.
        positions = torch.arange(start, start + _PART)
        rolls, keys, styles = compose(spec, Draws(derive(options.seed, "tunes"), positions))
        planes = np.stack([rolls >= ONSET, rolls >= HELD], axis=1).reshape(len(rolls), 2, -1)
        bits.append(np.packbits(planes, axis=2))
        labels.append({"key": keys, "mode": keys // 12, "style": styles, "none": keys}[options.labels])
    progress("composing tunes", options.count, options.count)
    return TuneSource(
        np.concatenate(bits)[: options.count],
        torch.from_numpy(np.concatenate(labels)[: options.count]) if names else None,
        spec,
        ScanReport(source="tunes", found=options.count, used=options.count),
    )


def compose(spec: MusicSpec, draws: Draws) -> tuple[Roll, Ints, Ints]:
    """As many phrases as `draws` has positions: hard rolls `[n, tracks, time, pitch]`, keys `[n]` and styles `[n]`."""

    def uniform(name: str, *shape: int) -> Floats:
        return draws.uniform(name, *shape).numpy()

    count, slots = len(draws), 2 * spec.bars
    keys = draws.integers("key", len(KEYS)).numpy()
    styles = draws.integers("style", len(STYLES)).numpy()
    cadence = choose(np.tile(CADENCE_SHARES, (count, 1)), uniform("cadence"))
    chords = progressions(spec.bars, cadence, uniform("chords", slots))
    variant = draws.integers("variant", 2).numpy()
    fill, crash = uniform("fill") < 0.5, uniform("crash") < 0.5

    rolls = np.zeros((count, len(spec.tracks), spec.time, spec.pitches), np.uint8)
    # The melody closes on the tonic where the harmony does.
    closed = np.isin(cadence, [CADENCES.index("authentic"), CADENCES.index("plagal")])
    rhythm = _melody_rhythm(styles, uniform("rhythm", slots - 1), spec)
    noise = uniform("melody", FINEST * spec.bars * spec.beats_per_bar + 2)
    _write(rolls[:, 0], rhythm, _melody(rhythm, keys, chords, closed, noise, spec), spec)
    rhythm = _chord_rhythm(styles, variant, spec)
    for voice in np.moveaxis(voicings(keys, chords), 2, 0):
        _write(rolls[:, 1], rhythm, np.repeat(voice, spec.steps_per_bar // 2, axis=1), spec)
    rhythm, pitches = _bass(keys, styles, chords, uniform("bass", slots), spec)
    _write(rolls[:, 2], rhythm, pitches, spec)
    rolls[:, 3] = _drums(styles, variant, fill, crash, spec)
    return rolls, keys, styles


def _write(roll: Roll, rhythm: Roll, pitches: Ints, spec: MusicSpec) -> None:
    """Put one voice into `roll` `[n, time, pitch]`: codes and MIDI pitches `[n, time]`."""
    row, step = np.nonzero(rhythm)
    roll[row, step, pitches[row, step] - spec.lowest] = np.minimum(rhythm[row, step], ONSET)


def _melody_rhythm(styles: Ints, uniform: Floats, spec: MusicSpec) -> Roll:
    """Codes `[n, time]`; `uniform` is `[n, half bars - 1]`: the last bar has one rhythm."""
    # Styles have different numbers of rhythms: all are repeated up to a common number.
    table = np.stack([codes(spec.steps_per_beat, *(style.melody * 20)[:20]) for style in STYLES])
    inner = table[styles[:, None], (uniform[:, :-1] * 20).astype(np.int64)]
    endings = codes(spec.steps_per_beat, *ENDINGS)[(uniform[:, -1] * len(ENDINGS)).astype(np.int64)]
    return np.concatenate([inner.reshape(len(styles), -1), endings], axis=1)


def _melody(
    rhythm: Roll, keys: Ints, chords: Ints, closed: npt.NDArray[np.bool_], uniform: Floats, spec: MusicSpec
) -> Ints:
    """MIDI pitches `[n, time]` of the notes that begin in `rhythm` and go on."""
    begins = rhythm >= ONSET
    number = begins.sum(axis=1)
    notes = int(number.max())
    # Steps at which notes begin come first, in order; what follows in short rows is not active.
    steps = np.argsort(~begins, axis=1, kind="stable")[:, :notes]
    active = np.arange(notes) < number[:, None]
    under = np.take_along_axis(chords, steps // (spec.steps_per_bar // 2), axis=1)
    pitches = melodies(
        keys, under, steps % (spec.steps_per_bar // 2) == 0, active, closed, np.c_[uniform[:, :notes], uniform[:, -2:]]
    )
    return np.take_along_axis(pitches, np.maximum(np.cumsum(begins, axis=1) - 1, 0), axis=1)


def _chord_rhythm(styles: Ints, variant: Ints, spec: MusicSpec) -> Roll:
    """Codes `[n, time]`: one rhythm throughout, and a long chord in the last bar."""
    table = np.stack([codes(spec.steps_per_beat, *style.chords) for style in STYLES])
    rhythm = np.tile(table[styles, variant], (1, 2 * spec.bars))
    rhythm[:, -spec.steps_per_bar :] = codes(spec.steps_per_beat, "x" + "-" * 15)
    return rhythm


def _bass(keys: Ints, styles: Ints, chords: Ints, uniform: Floats, spec: MusicSpec) -> tuple[Roll, Ints]:
    """Codes and MIDI pitches `[n, time]`: roots within an octave, fifths above, and steps of the scale that lead on."""
    count, slots = chords.shape
    first = codes(spec.steps_per_beat, *(style.bass for style in STYLES))[styles]
    again = codes(spec.steps_per_beat, *(style.bass_again for style in STYLES))[styles]
    stays = np.zeros((count, slots), bool)
    stays[:, 1::2] = chords[:, 1::2] == chords[:, ::2]
    rhythm = np.where(stays[:, :, None], again[:, None], first[:, None]).reshape(count, -1)
    rhythm[:, -spec.steps_per_bar :] = codes(spec.steps_per_beat, "r" + "-" * 15)

    tones = triads().numpy()[keys[:, None], chords]
    root = LOWEST + (tones[..., 0] - LOWEST) % 12
    fifth = root + (tones[..., 2] - tones[..., 0]) % 12
    scale = np.array(SCALES)[keys // 12]  # [n, 7]
    following = np.roll(chords, -1, axis=1)
    degree = np.array(DEGREES)[following]

    def interval(lower: Ints) -> Ints:
        """Semitones from a degree of the scale up to the next."""
        return (np.take_along_axis(scale, (lower + 1) % 7, axis=1) - np.take_along_axis(scale, lower % 7, axis=1)) % 12

    goal, above, below = np.roll(root, -1, axis=1), interval(degree), interval(degree - 1)
    # Not by the augmented second of harmonic minor, and not below the lowest note.
    downward = (above == 3) | ((uniform < 0.5) & (below != 3))
    downward &= goal - below >= LOWEST
    approach = np.where(downward, goal - below, goal + above)
    third = root + (tones[..., 1] - tones[..., 0]) % 12
    approach = np.where(following == chords, third, approach)

    kinds = np.stack([root, root, root, fifth, approach], axis=2)  # by code
    # A held step sounds what began before it.
    begun = np.maximum.accumulate(np.where(rhythm >= ONSET, np.arange(rhythm.shape[1]), 0), axis=1)
    kind = np.take_along_axis(rhythm, begun, axis=1)
    row = np.arange(count)[:, None]
    return rhythm, kinds[row, begun // (spec.steps_per_bar // 2), kind]


def _drums(
    styles: Ints, variant: Ints, fill: npt.NDArray[np.bool_], crash: npt.NDArray[np.bool_], spec: MusicSpec
) -> Roll:
    """Hard rolls `[n, time, pitch]`: a pattern in every bar, in some phrases a fill in the last and a cymbal in the first."""
    table = np.stack([[drum_bar(pattern, spec) for pattern in style.drums] for style in STYLES])
    roll = np.tile(table[styles, variant], (1, spec.bars, 1))
    roll[fill, -spec.steps_per_bar :] = drum_bar(FILL, spec)
    roll[crash, 0, CRASH - spec.lowest] = ONSET
    return roll
