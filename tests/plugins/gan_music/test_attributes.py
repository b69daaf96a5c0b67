"""Attributes of phrases, worked out by hand and from MIDI files."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from toys.music import random_rolls, rolls_of, small

from gan_music import gan_attributes
from gan_music.attributes import levels
from gan_music.data.tunes import Options as TuneOptions
from gan_music.data.tunes import open_tunes
from gan_music.metrics import harmony, phrases, rhythm
from gan_music.metrics.figures import notes_of
from gan_music.spec import MusicSpec, Track
from gan_music.writers.midi import MidiOptions, MidiWriter
from gancore.errors import UsageError
from gancore.evaluation.attributes import fault
from gancore.random import Draws
from gancore.targets import build

MELODY, CHORDS, DRUMS = Track(name="melody"), Track(name="chords"), Track(name="drums", drums=True)
RECORDS = {record.name: record for record in gan_attributes()}
SPEC = MusicSpec.of((MELODY, CHORDS, DRUMS), bars=2)
"""Two bars of sixteen steps, four a beat."""
C, D, E, F_SHARP, G = 60, 62, 64, 66, 67


def lead(*notes):
    """A phrase in which only the melody plays: start, duration, pitch."""
    return [(0, *note) for note in notes]


def measured(name, x, spec=SPEC):
    """An attribute of hard phrases, one number each."""
    values = build(RECORDS[name], None, spec)(x)
    assert fault(values, len(x)) == ""
    return values.tolist()


def test_notes_of_all_tracks_are_counted_by_bars():
    assert measured("notes-per-bar", rolls_of(SPEC, [(0, 0, 4, C), (1, 0, 4, E), (2, 20, 1, 36)], [])) == [1.5, 0.0]


def test_pitches_are_those_of_notes_that_are_no_drums():
    x = rolls_of(SPEC, [(0, 0, 4, C), (1, 2, 20, G), (1, 3, 1, G), (2, 0, 1, 36)])
    assert measured("mean-pitch", x) == pytest.approx([(60 + 67 + 67) / 3])
    assert measured("pitch-range", x) == [7.0]
    assert measured("pitch-range", rolls_of(SPEC, lead((0, 1, C)))) == [0.0]


def test_length_and_polyphony_are_those_of_notes_that_are_no_drums():
    x = rolls_of(SPEC, [(0, 0, 4, C), (1, 2, 6, E), (2, 0, 1, 36)])
    assert measured("duration", x) == [(4 + 6) / 4 / 2]
    assert measured("polyphony", x) == [(4 + 6) / 8]  # eight steps at which one of them sounds


def test_scale_is_the_one_that_most_notes_are_in():
    assert measured("scale-consistency", rolls_of(SPEC, lead((0, 1, C), (1, 1, 61), (2, 1, D), (3, 1, E)))) == [0.75]


def test_groove_is_what_two_bars_have_in_common():
    same = [(track, start + bar, 1, C) for bar in (0, 16) for track, start in ((0, 0), (1, 6))]
    assert measured("groove-consistency", rolls_of(SPEC, same, lead((0, 1, C), (17, 1, C)))) == [1.0, 1 - 2 / 16]


def test_share_of_drums():
    assert measured("drum-share", rolls_of(SPEC, [(0, 0, 1, C), (2, 0, 1, 36), (2, 4, 1, 36), (2, 8, 1, 36)])) == [0.75]


def test_levels_are_those_of_the_metre():
    assert levels(MusicSpec.of((MELODY,), bars=2)).tolist() == 2 * [
        *(0, -4, -3, -4, -2, -4, -3, -4),
        *(-1, -4, -3, -4, -2, -4, -3, -4),
    ]
    six_eight = MusicSpec.of((MELODY,), bars=1, beats_per_bar=6, beat_unit=8, steps_per_beat=2)
    assert levels(six_eight).tolist() == [0, -3, -2, -3, -2, -3, -1, -3, -2, -3, -2, -3]
    assert levels(MusicSpec.of((MELODY,), bars=1, beats_per_bar=3, steps_per_beat=1)).tolist() == [0, -1, -1]


def test_notes_on_strong_places_are_not_syncopated():
    on_beats = lead(*((start, 4, C) for start in range(0, 32, 4)))
    eighths = lead(*((start, 2, C) for start in range(0, 32, 2)))
    assert measured("syncopation", rolls_of(SPEC, on_beats, eighths, lead((0, 1, C)))) == [0.0, 0.0, 0.0]


def test_note_is_syncopated_by_the_strongest_place_that_it_passes_over():
    # The eighth behind the second beat passes the middle of the bar, 3 - 1; the fourth beat the bar line, 2 - 0.
    passing = lead((6, 2, C), (12, 1, C))
    # The last note passes nothing stronger than the eighth behind it, 4 - 3, for the phrase ends there.
    ending = lead((0, 1, C), (29, 1, C))
    assert measured("syncopation", rolls_of(SPEC, passing, ending)) == [2.0, 0.5]


def test_every_track_is_syncopated_by_itself():
    lone = lead((6, 2, C), (12, 1, C))
    drums = [(2, start, 1, 36) for start in range(0, 32, 2)]
    assert measured("syncopation", rolls_of(SPEC, lone + drums)) == pytest.approx([4 / 18])


@pytest.mark.parametrize("name", ["mean-pitch", "pitch-range", "duration", "polyphony", "scale-consistency"])
def test_phrase_without_notes_that_are_no_drums_has_no_pitch(name):
    assert all(map(math.isnan, measured(name, rolls_of(SPEC, [], [(2, 0, 1, 36)]))))
    with pytest.raises(UsageError, match="all tracks are drums"):
        build(RECORDS[name], None, small(DRUMS))


def test_silence_has_neither_rhythm_nor_share():
    for name in ("syncopation", "groove-consistency", "drum-share"):
        assert math.isnan(*measured(name, rolls_of(SPEC, [])))


def test_what_phrases_cannot_have_is_refused():
    with pytest.raises(UsageError, match="have one"):
        build(RECORDS["groove-consistency"], None, small(bars=1))
    for tracks in ((MELODY, CHORDS), (DRUMS,)):
        with pytest.raises(UsageError, match="one kind"):
            build(RECORDS["drum-share"], None, small(*tracks))


def test_attributes_of_one_track_are_the_figures_of_its_phrases():
    spec = small(MELODY)
    x = random_rolls(spec, 40)
    table = notes_of(x, spec)
    figures = phrases.tracks(phrases.Options(), table) | rhythm.rhythm(rhythm.Options(), table)
    figures |= harmony.harmony(harmony.Options(), table)
    for name in ("notes-per-bar", "duration", "polyphony", "scale-consistency", "groove-consistency"):
        each = figures[f"{name}/melody"].each
        assert measured(name, x, spec) == pytest.approx(each, nan_ok=True)


def test_attributes_are_those_of_the_midi_files(tmp_path):
    symusic = pytest.importorskip("symusic")
    tunes, numbers = open_tunes(TuneOptions(count=6), lambda *_: None), torch.arange(6)
    x, spec = tunes.fetch(numbers, Draws(0, numbers))[0], tunes.spec
    found = {
        name: measured(name, x, spec)
        for name in ("notes-per-bar", "mean-pitch", "pitch-range", "duration", "drum-share")
    }
    for at, path in enumerate(MidiWriter(MidiOptions(), spec).write(x, tmp_path, "tune")):
        score = symusic.Score(path)
        notes = [note for track in score.tracks if not track.is_drum for note in track.notes]
        drums = sum(len(track.notes) for track in score.tracks if track.is_drum)
        pitches = [note.pitch for note in notes]
        assert found["notes-per-bar"][at] == (len(notes) + drums) / spec.bars
        assert found["mean-pitch"][at] == pytest.approx(np.mean(pitches))
        assert found["pitch-range"][at] == max(pitches) - min(pitches)
        assert found["duration"][at] == pytest.approx(np.mean([note.duration / score.tpq for note in notes]))
        assert found["drum-share"][at] == pytest.approx(drums / (drums + len(notes)))
