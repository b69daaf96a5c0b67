"""Figures of phrases, worked out by hand."""

from __future__ import annotations

import math
from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.fetching import fetch
from toys.material import material
from toys.music import random_rolls, rolls_of, values

from gan_music import gan_metrics
from gan_music.data.theory import cadence_rate, in_key_rate
from gan_music.data.tunes import Options as TuneOptions
from gan_music.data.tunes import open_tunes
from gan_music.metrics import harmony, histograms, key, phrases, rhythm, similarity
from gan_music.metrics.table import table_of
from gan_music.roll import to_note_table
from gan_music.spec import MusicSpec, Track
from gancore.evaluation.records import Material, Samples, faults

MELODY, CHORDS, DRUMS = Track(name="melody"), Track(name="chords"), Track(name="drums", drums=True)
SPEC = MusicSpec.of((MELODY, CHORDS, DRUMS), bars=2)
"""Two bars of sixteen steps, four a beat."""
C, D, E, F, F_SHARP, G, A, B = 60, 62, 64, 65, 66, 67, 69, 71


def lead(*notes):
    """A phrase in which only the melody plays: start, duration, pitch."""
    return [(0, *note) for note in notes]


def found(metric, x, spec=SPEC, **options):
    return values(metric.build(metric.Options(**options), spec)(material(x)))


# --- notes ----------------------------------------------------------------------------------------------------------


def test_table_has_the_notes_that_the_roll_has():
    spec = MusicSpec.of((MELODY, DRUMS, CHORDS), bars=1, pitches=5, velocities=2)
    x = random_rolls(spec, 50, density=0.5).numpy()
    table = table_of(x, spec)
    notes, phrase = to_note_table(x, spec)

    def rows(one, number):
        return sorted(zip(number, one.track, one.start, one.duration, one.pitch, one.velocity, strict=True))

    assert len(table) > 1000
    assert rows(table.notes, table.phrase) == rows(notes, phrase)


# --- tracks ---------------------------------------------------------------------------------------------------------


def test_figures_of_a_track_by_hand():
    one = found(phrases, rolls_of(SPEC, lead((0, 4, C), (4, 1, E), (8, 4, G), (8, 4, C + 12))))
    assert one["empty-bars/melody"] == 0.5
    assert one["notes-per-bar/melody"] == 2.0
    assert one["pitch-classes/melody"] == 3.0
    assert one["qualified-notes/melody"] == 0.75
    assert one["one-step-notes/melody"] == 0.25
    assert one["duration/melody"] == (4 + 1 + 4 + 4) / 4 / 4
    assert one["polyphony/melody"] == pytest.approx(13 / 9)
    assert one["polyphony-rate/melody"] == pytest.approx(4 / 9)


def test_bar_into_which_a_note_is_held_is_not_empty():
    one = found(phrases, rolls_of(SPEC, lead((12, 8, C))))
    assert one["empty-bars/melody"] == 0.0
    assert one["notes-per-bar/melody"] == 0.5
    assert one["pitch-classes/melody"] == 1.0


def test_notes_weigh_alike_whatever_phrase_they_are_in():
    many = lead(*((start, 1, C) for start in range(0, 32, 4)))
    one = found(phrases, rolls_of(SPEC, many, lead((0, 4, C), (4, 4, D))))
    assert one["qualified-notes/melody"] == pytest.approx(2 / 10)


def test_drums_have_bars_and_notes_only():
    one = found(phrases, rolls_of(SPEC, [(2, 0, 1, 36), (2, 0, 1, 42), (2, 4, 1, 42)]))
    assert {name: value for name, value in one.items() if "drums" in name} == {
        "empty-bars/drums": 0.5,
        "notes-per-bar/drums": 1.5,
    }


@pytest.mark.parametrize(("per_beat", "steps"), [(1, 1), (2, 1), (3, 1), (4, 2), (6, 2), (8, 2), (12, 3), (24, 6)])
def test_qualified_note_is_a_sixteenth_and_on_fine_grids_more_than_a_step(per_beat, steps):
    spec = MusicSpec.of((MELODY,), steps_per_beat=per_beat)
    assert phrases.qualifying_steps(phrases.Options(), spec) == steps


def test_qualified_note_can_be_the_thirty_second_of_the_musegan_paper():
    spec = MusicSpec.of((MELODY,), steps_per_beat=24)
    assert phrases.qualifying_steps(phrases.Options(qualified=0.125), spec) == 3


# --- harmony --------------------------------------------------------------------------------------------------------


def together(*pitches):
    """A beat in which the first pitch is melody and the others are chords."""
    return [(0, 0, 4, pitches[0]), *((1, 0, 4, pitch) for pitch in pitches[1:])]


@pytest.mark.parametrize(
    ("chord", "distance"),
    [
        ((C,), 0.0),
        ((C + 24,), 0.0),
        # Opposite on the circles of fifths and minor thirds, the same on that of major thirds.
        ((F_SHARP,), math.sqrt(4 + 4)),
        # 30, 90 and 120 degrees apart on circles of radius 1, 1 and 1/2: squared chords 2 r^2 (1 - cos).
        ((G,), math.sqrt((2 - math.sqrt(3)) + 2 + 0.75)),
        # Half of C and half of F sharp lie half-way.
        ((C, F_SHARP), math.sqrt(2)),
    ],
)
def test_tonal_distance_by_hand(chord, distance):
    one = found(harmony, rolls_of(SPEC, together(C, *chord)))
    assert one["tonal-distance/melody-chords"] == pytest.approx(distance, abs=1e-12)


def test_tonal_distance_is_of_beats_in_which_both_tracks_sound():
    apart = [(0, 0, 8, C), (1, 0, 4, C), (1, 8, 4, F_SHARP)]
    assert found(harmony, rolls_of(SPEC, apart))["tonal-distance/melody-chords"] == 0.0


def test_shuffled_tonal_distance_is_that_of_other_phrases():
    one = found(harmony, rolls_of(SPEC, together(C, C), together(F_SHARP, F_SHARP)))
    assert one["tonal-distance/melody-chords"] == 0.0
    assert one["tonal-distance-shuffled/melody-chords"] == pytest.approx(math.sqrt(8))


def test_octaves_are_folded_and_neighbours_are_not_as_in_published_code():
    x = rolls_of(SPEC, together(C, C + 12))
    assert found(harmony, x)["tonal-distance/melody-chords"] == 0.0
    # What published code adds up: seven neighbouring semitones, not seven octaves.
    grouped = (x[0] > 0).numpy()[:, :4].sum(axis=1).reshape(3, 12, 7).sum(axis=2)
    first, second = harmony.centroids(grouped[:2])
    assert np.linalg.norm(first - second) > 1.0


def test_scale_consistency_and_entropy_by_hand():
    scale = [C, D, E, F, G, A, B, F_SHARP]
    one = found(harmony, rolls_of(SPEC, lead(*((at, 1, pitch) for at, pitch in enumerate(scale)))))
    # C major, and G major too, has seven of the eight; eight classes of one note each are three bits.
    assert one["scale-consistency"] == one["scale-consistency/melody"] == 7 / 8
    assert one["pitch-class-entropy/melody"] == pytest.approx(3.0)
    every = lead(*((at, 1, C + at) for at in range(12)))
    assert found(harmony, rolls_of(SPEC, every))["scale-consistency"] == pytest.approx(7 / 12)


@given(st.lists(st.tuples(st.integers(0, 31), st.integers(48, 72)), min_size=1), st.integers(-12, 12))
def test_harmony_does_not_change_with_transposition(notes, shift):
    here = rolls_of(SPEC, [(at % 2, start, 2, pitch) for at, (start, pitch) in enumerate(notes)])
    moved = torch.roll(here, shift, dims=3)
    assert found(harmony, moved) == pytest.approx(found(harmony, here), abs=1e-9)


def test_drums_are_no_harmony():
    plain = together(C, E, G)
    struck = [*plain, (2, 0, 1, 37), (2, 5, 1, 42)]
    assert found(harmony, rolls_of(SPEC, plain)) == found(harmony, rolls_of(SPEC, struck))


# --- rhythm ---------------------------------------------------------------------------------------------------------


def test_groove_consistency_by_hand():
    one = found(rhythm, rolls_of(SPEC, lead((0, 1, C), (4, 1, C), (16, 1, G), (24, 1, G))))
    assert one["groove-consistency/melody"] == one["groove-consistency"] == 1 - 2 / 16
    assert one["groove-consistency/chords"] == 0.0


def test_places_of_notes_by_hand():
    one = found(rhythm, rolls_of(SPEC, lead((0, 1, C), (2, 1, C), (3, 1, C), (4, 1, C), (9, 1, C))))
    assert one["on-beat/melody"] == pytest.approx(2 / 5)
    assert one["on-half-beat/melody"] == pytest.approx(3 / 5)


@pytest.mark.parametrize(
    ("per_beat", "steps", "share"),
    [(4, (0, 1, 2, 3), 2.2 / 4), (24, (0, 1, 2, 5, 6), 2.2 / 5), (12, (0, 1, 2, 3), 2.2 / 4), (6, (0, 3, 4), 2.1 / 3)],
)
def test_drum_pattern_is_of_sixteenths_or_else_eighths(per_beat, steps, share):
    spec = MusicSpec.of((DRUMS,), bars=1, steps_per_beat=per_beat)
    one = found(rhythm, rolls_of(spec, [(0, step, 1, 36) for step in steps]), spec)
    assert one["drum-pattern/drums"] == pytest.approx(share)


def test_grid_without_finer_steps_has_no_drum_pattern():
    spec = MusicSpec.of((DRUMS,), bars=1, steps_per_beat=2)
    assert "drum-pattern/drums" not in found(rhythm, rolls_of(spec, [(0, 0, 1, 36)]), spec)


# --- histograms and bars --------------------------------------------------------------------------------------------


def test_overlap_of_histograms_by_hand():
    generated = rolls_of(SPEC, lead((0, 4, C), (4, 4, C + 12), (8, 2, D)))
    real = rolls_of(SPEC, lead((0, 4, C), (4, 4, D)))
    one = values(histograms.build(histograms.Options(), SPEC)(material(generated, real)))
    assert one["pitches/melody"] == pytest.approx(1 / 3 + 1 / 3)
    assert one["pitch-classes-used/melody"] == pytest.approx(1 / 2 + 1 / 3)
    assert one["durations/melody"] == pytest.approx(2 / 3)
    assert one["onsets/melody"] == pytest.approx(2 / 3)
    # Up an octave and down ten semitones, against up a second.
    assert one["intervals/melody"] == 0.0


def test_intervals_follow_the_highest_notes_and_stay_in_their_phrase():
    x = rolls_of(SPEC, lead((0, 4, C), (0, 4, E), (4, 4, G)), lead((0, 4, G), (4, 4, A)))
    counts = histograms.histograms(table_of(x.numpy(), SPEC))["intervals/melody"]
    assert [np.flatnonzero(row).tolist() for row in counts] == [[127 + 3], [127 + 2]]


def test_floor_is_the_overlap_of_real_halves():
    real = rolls_of(SPEC, lead((0, 4, C)), lead((0, 4, D)), lead((0, 4, C)), lead((0, 4, C)))
    figures = histograms.build(histograms.Options(), SPEC)(material(real))
    assert figures["pitches/melody"].value == 1.0
    assert figures["pitches/melody"].floor == 0.5


def test_similarity_of_bars_by_hand():
    spec = MusicSpec.of((MELODY,), bars=3)
    bar = ((0, 4, C), (4, 4, D))
    other = ((0, 4, C), (4, 2, E))
    three = [(0, start + 16 * at, *rest) for at, one in enumerate((bar, other, bar)) for start, *rest in one]
    one = found(similarity, rolls_of(spec, three), spec)
    assert one["bar-similarity/melody/lag-1"] == pytest.approx(1 / 3)
    assert one["bar-similarity/melody/lag-2"] == 1.0
    assert one["repeated-bars/melody"] == pytest.approx(1 / 3)
    assert "bar-similarity/melody/lag-2" not in found(similarity, rolls_of(spec, three), spec, lags=1)


def test_empty_bars_are_not_similar():
    one = found(similarity, rolls_of(SPEC, lead((0, 4, C)), []))
    assert one["bar-similarity/melody/lag-1"] == 0.0
    assert one["repeated-bars/melody"] == 0.0


# --- keys -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tunes():
    source = open_tunes(TuneOptions(count=64), lambda *_: None)
    return source.spec, Samples(*fetch(source))


def keyed(spec, samples):
    return values(key.build(key.Options(), spec)(Material(generated=samples, real=samples, train=samples)))


def test_key_rates_are_those_that_theory_gives(tunes):
    spec, samples = tunes
    one = keyed(spec, samples)
    assert one["in-key"] == pytest.approx(in_key_rate(samples.x, spec, samples.condition))
    assert one["in-best-key"] == pytest.approx(in_key_rate(samples.x, spec))
    assert one["cadence-rate"] == pytest.approx(cadence_rate(samples.x, spec, samples.condition))
    assert one["in-key"] > 0.9


def test_wrong_keys_lower_the_rates(tunes):
    spec, samples = tunes
    condition = (samples.condition + 6) % 12 + samples.condition // 12 * 12
    one = keyed(spec, Samples(samples.x, condition))
    assert one["in-key"] < 0.6
    assert one["cadence-rate"] == 0.0


def test_without_keys_as_classes_only_the_best_fitting_key_counts(tunes):
    spec, samples = tunes
    one = keyed(spec, Samples(samples.x))
    assert set(one) == {"in-best-key", "cadence-rate"}


# --- all of them ----------------------------------------------------------------------------------------------------

METRICS = [record.name for record in gan_metrics()]
SPECS = {
    "three tracks": SPEC,
    "drums": MusicSpec.of((DRUMS,), bars=2),
    "one bar, one step a beat": MusicSpec.of((MELODY,), bars=1, steps_per_beat=1, beats_per_bar=3),
    "two tracks of one name": MusicSpec.of((MELODY, MELODY), bars=2, velocities=3, lowest=36, pitches=48),
    "keys": MusicSpec.of((MELODY, CHORDS), bars=2, classes=("C major", "A minor")),
}


def build(name, spec):
    module = import_module(f"gan_music.metrics.{name}")
    return module.build(module.Options(), spec)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_figures_are_finite_for_noise_silence_and_single_phrases(name, spec):
    metric = build(name, spec)
    noise = random_rolls(spec, 8)
    silence = torch.zeros_like(noise)
    for generated, real, train in (
        (noise, noise, noise),
        (silence, noise, noise),
        (noise, silence, noise),
        (noise, noise, silence),
        (silence, silence, silence),
        (noise[:1], noise[:1], noise[:1]),
    ):
        for held_out in (True, False):
            labels = torch.arange(8) % 2 if spec.classes else None
            sets = [Samples(x, None if labels is None else labels[: len(x)]) for x in (generated, real, train)]
            figures = metric(Material(generated=sets[0], real=sets[1], train=sets[2], held_out=held_out))
            assert faults(figures) == []


def test_silence_has_the_worst_values_that_there_are():
    silence = rolls_of(SPEC, [], [])
    tracks, tonal = found(phrases, silence), found(harmony, silence)
    assert tracks["empty-bars/melody"] == tracks["one-step-notes/melody"] == 1.0
    assert tracks["qualified-notes/melody"] == tracks["polyphony/melody"] == 0.0
    assert tonal["tonal-distance/melody-chords"] == harmony.FARTHEST
    assert tonal["scale-consistency"] == 0.0


@pytest.mark.parametrize("name", METRICS)
def test_order_of_the_samples_does_not_matter(name):
    x, other = random_rolls(SPEC, 40), random_rolls(SPEC, 30, seed=1)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(2))
    plain, mixed = (build(name, SPEC)(material(one, other)) for one in (x, x[order]))
    assert set(plain) == set(mixed)
    for figure in set(plain):
        # Pairs that were shuffled are other pairs in another order.
        if "shuffled" not in figure:
            assert mixed[figure].value == pytest.approx(plain[figure].value), figure
            assert mixed[figure].overlap == pytest.approx(plain[figure].overlap, abs=1e-6), figure


@pytest.mark.parametrize("name", METRICS)
def test_real_phrases_overlap_with_themselves(name):
    x = random_rolls(SPEC, 200)
    for figure, one in build(name, SPEC)(material(x)).items():
        if one.overlap is not None:
            assert one.overlap >= 0.97, figure
        if one.real is not None:
            assert one.value == one.real, figure
