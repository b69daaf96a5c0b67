"""Notes to rolls and back: nothing that the grid can hold is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_music.roll import Notes, to_note_table, to_notes, to_roll, to_rolls
from gan_music.spec import HELD, ONSET, MusicSpec, Track

SPEC = MusicSpec.of(
    (Track(name="lead"), Track(name="drums", drums=True)), bars=1, steps_per_beat=2, lowest=60, pitches=3, velocities=2
)
"""Two tracks, eight steps, three pitches."""

a_note = st.tuples(st.integers(0, 1), st.integers(0, 7), st.integers(1, 12), st.integers(60, 62), st.integers(0, 1))
"""Track, start, duration (past the end too), pitch, velocity."""


def notes(*rows):
    return Notes(*np.array(rows, np.int64).reshape(-1, 5).T)


def rows_of(table):
    return list(zip(*(getattr(table, name).tolist() for name in Notes.__slots__), strict=True))


def drawn(rows, spec=SPEC):
    """The roll by the rules as they are written, a cell at a time."""
    roll = np.zeros((len(spec.tracks), spec.time, spec.pitches), np.uint8)
    for track, start, duration, pitch, velocity in sorted(rows, key=lambda r: (r[1], r[2], r[4])):
        place = pitch - spec.lowest
        for t in range(start, spec.time):
            if roll[track, t, place] != HELD:
                break
            roll[track, t, place] = 0
        length = 1 if spec.tracks[track].drums else duration
        for t in range(start + 1, min(start + length, spec.time)):
            roll[track, t, place] = HELD
        roll[track, start, place] = ONSET + velocity
    return roll


def test_held_and_repeated_notes_differ():
    held = to_roll(notes((0, 1, 4, 60, 0)), SPEC)[0, :, 0]
    repeated = to_roll(notes((0, 1, 2, 60, 0), (0, 3, 2, 60, 0)), SPEC)[0, :, 0]
    assert held.tolist() == [0, 2, 1, 1, 1, 0, 0, 0]
    assert repeated.tolist() == [0, 2, 1, 2, 1, 0, 0, 0]


def test_note_is_cut_at_the_end_of_the_phrase():
    assert rows_of(to_notes(to_roll(notes((0, 6, 9, 61, 1)), SPEC), SPEC)) == [(0, 6, 2, 61, 1)]


def test_later_note_cuts_an_earlier_one_short_even_if_it_is_shorter():
    roll = to_roll(notes((0, 0, 6, 60, 0), (0, 2, 1, 60, 0)), SPEC)
    assert roll[0, :, 0].tolist() == [2, 1, 2, 0, 0, 0, 0, 0]


def test_of_notes_that_begin_together_the_longer_stays_and_then_the_louder():
    roll = to_roll(notes((0, 0, 3, 60, 0), (0, 0, 1, 60, 1), (0, 4, 2, 60, 1), (0, 4, 2, 60, 0)), SPEC)
    assert roll[0, :, 0].tolist() == [2, 1, 1, 0, 3, 1, 0, 0]


def test_drum_takes_one_step_and_is_read_back_so():
    roll = to_roll(notes((1, 0, 5, 60, 0), (1, 1, 1, 60, 0)), SPEC)
    assert roll[1, :, 0].tolist() == [2, 2, 0, 0, 0, 0, 0, 0]
    assert rows_of(to_notes(roll, SPEC)) == [(1, 0, 1, 60, 0), (1, 1, 1, 60, 0)]


def test_held_cell_without_a_note_is_an_onset_but_not_of_a_drum():
    roll = np.zeros((2, 8, 3), np.uint8)
    roll[:, 0:3, 1] = HELD
    assert rows_of(to_notes(roll, SPEC)) == [(0, 0, 3, 61, 0)]


def test_no_notes_make_a_silent_roll_and_back():
    roll = to_roll(notes(), SPEC)
    assert roll.shape == (2, 8, 3)
    assert not roll.any()
    assert len(to_notes(roll, SPEC)) == 0


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ((2, 0, 1, 60, 0), "track is 2"),
        ((0, 8, 1, 60, 0), "start is 8"),
        ((0, -1, 1, 60, 0), "start is -1"),
        ((0, 0, 0, 60, 0), "duration is 0"),
        ((0, 0, 1, 63, 0), "place of the pitch in the range is 3"),
        ((0, 0, 1, 60, 2), "velocity is 2"),
    ],
)
def test_note_outside_of_the_roll_is_refused(row, words):
    with pytest.raises(ValueError, match=words):
        to_roll(notes((0, 0, 1, 60, 0), row), SPEC)


@given(st.lists(a_note, max_size=25))
def test_roll_follows_the_rules_cell_by_cell(rows):
    assert np.array_equal(to_roll(notes(*rows), SPEC), drawn(rows))


@given(st.lists(a_note, max_size=25), st.randoms(use_true_random=False))
def test_order_of_the_notes_does_not_matter(rows, random):
    shuffled = random.sample(rows, len(rows))
    assert np.array_equal(to_roll(notes(*rows), SPEC), to_roll(notes(*shuffled), SPEC))


@given(st.lists(a_note, max_size=25))
def test_roll_of_the_notes_of_a_roll_is_that_roll(rows):
    roll = drawn(rows)
    assert np.array_equal(to_roll(to_notes(roll, SPEC), SPEC), roll)


@given(st.lists(a_note, max_size=12))
def test_notes_that_do_not_meet_come_back_exactly(rows):
    """Of the drawn notes those are kept that leave room for each other; all of them survive, ends included."""
    free, kept = np.ones((2, 8, 3), bool), []
    for track, start, duration, pitch, velocity in rows:
        length = 1 if track == 1 else min(duration, 8 - start)
        cells = free[track, start : start + length, pitch - 60]
        if cells.all():
            cells[:] = False
            kept.append((track, start, length, pitch, velocity))
    back = rows_of(to_notes(to_roll(notes(*kept), SPEC), SPEC))
    assert back == sorted(kept, key=lambda r: (r[1], r[0], r[3]))


@given(st.lists(st.lists(a_note, max_size=8), min_size=1, max_size=5))
def test_batch_is_its_phrases_one_by_one(phrases):
    number = np.repeat(np.arange(len(phrases)), [len(rows) for rows in phrases])
    rolls = to_rolls(notes(*(row for rows in phrases for row in rows)), number, len(phrases), SPEC)
    assert np.array_equal(rolls, np.stack([to_roll(notes(*rows), SPEC) for rows in phrases]))
    table, phrase = to_note_table(rolls, SPEC)
    for n, roll in enumerate(rolls):
        assert rows_of(table[phrase == n]) == rows_of(to_notes(roll, SPEC))
