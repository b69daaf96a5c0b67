"""The composed tunes: the measures of keys and cadences, the rules of harmony and melody, and the data set."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from support.fetching import fetch

from gan_music.data.harmony import choose, progressions, voicings
from gan_music.data.keys import KEYS
from gan_music.data.styles import codes
from gan_music.data.theory import CADENCES, best_keys, cadence_rate, cadences, chords_heard, in_key_rate, triads
from gan_music.data.tunes import TRACKS, Options, open_tunes
from gan_music.spec import MusicSpec, Track

MELODY, CHORDS, BASS, DRUMS = range(4)
TONIC, SUPERTONIC, SUBDOMINANT, DOMINANT, SUBMEDIANT = range(5)
SPEC = MusicSpec.of(TRACKS, bars=2, steps_per_beat=1, lowest=36, pitches=48)
"""Small enough to write phrases by hand: eight steps."""
NOTES = {"C": 60, "D": 62, "E": 64, "F": 65, "F#": 66, "G": 67, "G#": 68, "A": 69, "B": 71}


def everything(**options):
    """All phrases `[n, tracks, time, pitch]` of a set, their labels and the set."""
    source = open_tunes(Options(**{"count": 400, **options}), lambda *_: None)
    return *fetch(source), source


@pytest.fixture(scope="module")
def tunes():
    return everything()


def silence():
    return torch.zeros(1, 4, 8, 48, dtype=torch.uint8)


def played(*names, track=MELODY):
    """One note a step."""
    phrase = silence()
    for step, name in enumerate(names):
        phrase[0, track, step, NOTES[name] - 36] = 2
    return phrase


def ending(before, final):
    """A chord in the second half of the first bar, and one in the last bar."""
    phrase = silence()
    for chord, steps in ((before, slice(2, 4)), (final, slice(4, 8))):
        for name in chord:
            phrase[0, CHORDS, steps, NOTES[name] - 36] = 1
            phrase[0, CHORDS, steps.start, NOTES[name] - 36] = 2
    return phrase


def key(name):
    return torch.tensor([KEYS.index(name)])


def sung(phrase):
    """Pitches and steps of the notes of the melody, in order."""
    steps, places = np.nonzero(phrase[MELODY].numpy() >= 2)
    return places + 36, steps


def chord_classes(phrase, slot, steps):
    """Pitch classes that the chords sound in a half bar."""
    return set((np.nonzero(phrase[CHORDS, slot * steps : (slot + 1) * steps].numpy())[1] % 12).tolist())


# --- measures -------------------------------------------------------------------------------------------------------


def test_triads_are_those_of_the_textbook():
    chords = triads()
    assert chords[KEYS.index("C major")].tolist() == [[0, 4, 7], [2, 5, 9], [5, 9, 0], [7, 11, 2], [9, 0, 4]]
    # A minor: a, b diminished, d, E major by its raised seventh G#, F.
    assert chords[KEYS.index("A minor")].tolist() == [[9, 0, 4], [11, 2, 5], [2, 5, 9], [4, 8, 11], [5, 9, 0]]


def test_in_key_rate_is_the_share_of_notes_in_the_key():
    phrase = played("C", "E", "F#", "G")
    assert in_key_rate(phrase, SPEC, key("C major")) == 0.75
    assert in_key_rate(phrase, SPEC, key("G major")) == 1.0
    assert in_key_rate(phrase, SPEC) == 1.0


def test_in_key_rate_counts_notes_not_steps_and_no_drums():
    phrase = played("C", "C", "F#")
    phrase[0, MELODY, 3:8, NOTES["F#"] - 36] = 1  # held on
    phrase[0, DRUMS, :, NOTES["F#"] - 36] = 2
    assert in_key_rate(phrase, SPEC, key("C major")) == pytest.approx(2 / 3)


def test_in_key_rate_weighs_notes_of_all_phrases_alike():
    phrases = torch.cat([played("C"), played("F#", "C", "F#")])
    assert in_key_rate(phrases, SPEC, key("C major").repeat(2)) == 0.5


def test_in_key_rate_of_silence_is_not_a_number():
    assert math.isnan(in_key_rate(silence(), SPEC))


@pytest.mark.parametrize(
    ("notes", "expected"), [("C D E F G A B", "C major"), ("G A B C D E F#", "G major"), ("A B C D E F G#", "A minor")]
)
def test_the_best_key_is_the_one_that_has_all_notes(notes, expected):
    assert KEYS[int(best_keys(played(*notes.split()), SPEC))] == expected


@pytest.mark.parametrize(
    ("before", "final", "expected"),
    [
        ("G B D", "C E G", "authentic"),
        ("F A C", "C E G", "plagal"),
        ("F A C", "G B D", "half"),
        ("D F A", "G B D", "half"),
        ("G B D", "A C E", "deceptive"),
        ("D F A", "C E G", None),
        ("G B D", "G B D", None),
        ("C E G", "F A C", None),
    ],
)
def test_cadences_are_told_by_the_last_two_chords(before, final, expected):
    phrase = ending(before.split(), final.split())
    found = int(cadences(phrase, SPEC, key("C major")))
    assert (CADENCES[found] if found >= 0 else None) == expected
    assert cadence_rate(phrase, SPEC, key("C major")) == float(expected is not None)


def test_a_cadence_of_one_key_is_none_of_another():
    phrase = ending(["G", "B", "D"], ["C", "E", "G"])
    assert cadence_rate(phrase, SPEC, key("D major")) == 0.0


def test_the_raised_seventh_makes_a_minor_cadence():
    assert cadence_rate(ending(["E", "G#", "B"], ["A", "C", "E"]), SPEC, key("A minor"), ["authentic"]) == 1.0
    assert cadence_rate(ending(["E", "G", "B"], ["A", "C", "E"]), SPEC, key("A minor")) == 0.0


def test_a_chord_is_heard_only_where_it_is_whole_and_nearly_alone():
    def heard(*chord):
        return int(chords_heard(ending(chord, ["C"]), SPEC, key("C major"), 2, 4))

    assert heard("C", "E", "G") == TONIC
    assert heard("C", "E", "G", "A") == TONIC  # 3/4, as much as for a, c, e; the first of equals
    assert heard("C", "E", "G", "D", "F") == -1
    assert heard("C", "G") == -1
    assert heard() == -1


def test_chords_are_not_looked_for_where_there_is_no_such_track():
    spec = MusicSpec.of((Track(name="lead"),), bars=2, steps_per_beat=1)
    with pytest.raises(ValueError, match="no track 'chords' to hear chords in; there are lead"):
        cadences(torch.zeros(1, 1, 8, 84, dtype=torch.uint8), spec)


# --- rules ----------------------------------------------------------------------------------------------------------


def test_choices_follow_their_weights_and_never_take_a_zero():
    weights = np.array([[0.0, 1.0, 3.0, 0.0]], np.float32).repeat(4, axis=0)
    assert choose(weights, np.array([0.0, 0.24, 0.26, 1 - 2**-24], np.float32)).tolist() == [1, 1, 2, 2]


def test_progressions_move_by_function_and_end_in_their_cadence():
    cadence = np.arange(400) % 4
    uniform = torch.rand(400, 8, generator=torch.Generator().manual_seed(0)).numpy()
    chords = progressions(4, cadence, uniform)
    assert (chords[:, 0] == TONIC).all()
    assert (chords[:, 6] == chords[:, 7]).all()
    ends = [(DOMINANT, TONIC), (SUBDOMINANT, TONIC), None, (DOMINANT, SUBMEDIANT)]
    for kind, end in enumerate(ends):
        rows = chords[cadence == kind]
        if end is None:
            assert (rows[:, 6] == DOMINANT).all()
            assert (rows[:, 5] != DOMINANT).all()
        else:
            assert (rows[:, 5:7] == end).all()
    pairs = set(zip(chords[:, :-1].ravel().tolist(), chords[:, 1:].ravel().tolist(), strict=True))
    # The supertonic leads to the dominant; the dominant never back to what prepares it.
    assert {to for of, to in pairs if of == SUPERTONIC} == {SUPERTONIC, DOMINANT}
    assert {to for of, to in pairs if of == DOMINANT} == {TONIC, DOMINANT, SUBMEDIANT}
    # A bar line brings a new chord.
    assert (chords[:, 1:-1:2] != chords[:, 2::2]).all()


def test_voices_move_to_the_nearest_inversion():
    # G3 C4 E4 lies nearest the middle; G stays for G3 B3 D4; of A3 C4 F4 and F3 A3 C4, both six semitones away, the former
    # lies nearer the middle.
    chords = voicings(np.array([KEYS.index("C major")]), np.array([[TONIC, DOMINANT, SUBDOMINANT]]))
    assert chords.tolist() == [[[55, 60, 64], [55, 59, 62], [57, 60, 65]]]


def test_a_coarser_grid_keeps_the_beginnings_of_notes():
    assert codes(4, "x--x--x-").tolist() == [[2, 1, 1, 2, 1, 1, 2, 1]]
    assert codes(2, "x--x--x-").tolist() == [[2, 2, 1, 2]]


@pytest.mark.parametrize("steps_per_beat", [2, 4])
def test_melodies_keep_the_rules_of_counterpoint(steps_per_beat):
    phrases, _, source = everything(steps_per_beat=steps_per_beat)
    half_bar = 2 * steps_per_beat
    leaps = others = 0
    for phrase in phrases:
        pitches, steps = sung(phrase)
        assert len(set(steps)) == len(steps)  # one voice
        moves = np.diff(pitches)
        assert np.abs(moves).max() <= 8
        for i in range(len(pitches)):
            tone = pitches[i] % 12 in chord_classes(phrase, steps[i] // half_bar, half_bar)
            if steps[i] % half_bar == 0 or i == len(pitches) - 1:
                assert tone
            elif not tone:
                others += 1
                assert abs(moves[i - 1]) in (1, 2)
                assert abs(moves[i]) in (1, 2)
        for before, after in itertools.pairwise(moves):
            if abs(before) > 4:
                leaps += 1
                assert -np.sign(before) * after in (1, 2)
    assert leaps > 100
    assert others > 200
    sounding = phrases[:, MELODY].amax(dim=(0, 1)).nonzero().flatten() + source.spec.lowest
    assert (int(sounding.min()), int(sounding.max())) == (60, 79)


def test_melodies_close_on_the_tonic_where_the_harmony_does(tunes):
    phrases, keys, source = tunes
    kinds = cadences(phrases, source.spec, keys)
    closed = (kinds == CADENCES.index("authentic")) | (kinds == CADENCES.index("plagal"))
    finals = torch.tensor([int(sung(phrase)[0][-1]) % 12 for phrase in phrases])
    assert closed.sum() > 100
    assert torch.equal(finals[closed], keys[closed] % 12)


def test_the_bass_has_the_root_wherever_a_bar_begins(tunes):
    phrases, keys, source = tunes
    spec = source.spec
    for bar in range(spec.bars):
        start = bar * spec.steps_per_bar
        chord = chords_heard(phrases, spec, keys, start, start + spec.steps_per_bar // 2)
        assert (chord >= 0).all()
        onset, place = phrases[:, BASS, start].max(dim=1)
        assert (onset == 2).all()
        assert torch.equal((place + spec.lowest) % 12, triads()[keys, chord, 0])


# --- the data set ---------------------------------------------------------------------------------------------------


def test_every_note_is_in_key_and_every_phrase_ends_in_a_cadence(tunes):
    phrases, keys, source = tunes
    assert in_key_rate(phrases, source.spec, keys) == 1.0
    assert cadence_rate(phrases, source.spec, keys) == 1.0
    assert set(cadences(phrases, source.spec, keys).tolist()) == {0, 1, 2, 3}


def test_neither_measure_is_full_by_itself(tunes):
    phrases, keys, source = tunes
    spec = source.spec
    # A tritone away a scale keeps its fourth and seventh; of other bars few end a phrase.
    assert in_key_rate(phrases, spec, keys // 12 * 12 + (keys + 6) % 12) < 0.5
    assert cadence_rate(phrases.roll(spec.steps_per_bar, dims=2), spec, keys) < 0.7


def test_phrases_go_through_the_relaxed_form_unchanged(tunes):
    phrases, _, source = tunes
    spec = source.spec
    assert phrases.shape[1:] == (4, 64, 48)
    assert phrases.dtype == torch.uint8
    assert torch.equal(spec.harden(spec.relax(phrases)), phrases)
    assert torch.equal(phrases[:, DRUMS].unique(), torch.tensor([0, 2], dtype=torch.uint8))


def test_a_phrase_is_a_function_of_the_seed_and_its_number(tunes):
    phrases, keys, _ = tunes
    fewer, fewer_keys, _ = everything(count=30)
    assert torch.equal(fewer, phrases[:30])
    assert torch.equal(fewer_keys, keys[:30])
    others, _, _ = everything(count=30, seed=1)
    assert not any(torch.equal(a, b) for a in others for b in fewer)


def test_sets_of_more_phrases_than_are_composed_at_once_have_no_seam():
    many, _, _ = everything(count=1100, steps_per_beat=2)
    assert len(many) == 1100
    assert len(torch.unique(many.flatten(1), dim=0)) > 1095


@pytest.mark.parametrize("bars", [2, 3, 8])
def test_phrases_of_other_lengths_keep_the_rules(bars):
    phrases, keys, source = everything(count=60, bars=bars)
    assert phrases.shape[2] == 16 * bars
    assert in_key_rate(phrases, source.spec, keys) == 1.0
    assert cadence_rate(phrases, source.spec, keys) == 1.0


def test_labels_are_keys_modes_styles_or_nothing(tunes):
    phrases, keys, source = tunes
    assert source.spec.classes == KEYS
    assert set(keys.tolist()) == set(range(24))
    same, modes, by_mode = everything(labels="mode")
    assert torch.equal(same, phrases)
    assert by_mode.spec.classes == ("major", "minor")
    assert torch.equal(modes, keys // 12)
    _, styles, by_style = everything(labels="style")
    assert by_style.spec.classes == ("ballad", "march", "rock", "jazz")
    # Only in marches do chords wait for the beat.
    late = phrases[:, CHORDS, 0].amax(dim=1) == 0
    assert torch.equal(styles == 1, late)
    _, nothing, without = everything(labels="none")
    assert nothing is None
    assert without.spec.classes == ()
