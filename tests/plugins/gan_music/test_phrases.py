"""Cutting, against the same rules worked out note by note in fractions; and what phrases are held as."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.midi import phrases_of

from gan_music.data.phrases import Grid, cut, into_range, join, table_of
from gan_music.data.reading import Part, Tune

METERS = ((4, 4), (3, 4), (6, 8), (2, 2))


def tune_of(tpq, parts, meters):
    """A tune of parts of (start, duration, pitch); `meters` from tick to time signature."""
    marks = sorted(meters)
    return Tune(
        ticks_per_quarter=tpq,
        parts=tuple(
            Part(0, False, "", *np.array([(*note, 64) for note in part], np.int32).reshape(-1, 4).T) for part in parts
        ),
        meter_start=np.array(marks, np.int32),
        numerator=np.array([meters[mark][0] for mark in marks], np.uint8),
        denominator=np.array([meters[mark][1] for mark in marks], np.uint8),
        tempo=120.0,
    )


def rows_of(phrases, index):
    notes, _ = phrases.gather(np.array([index]))
    columns = (notes.track, notes.start, notes.start + notes.duration, notes.pitch)
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


@st.composite
def songs(draw):
    """Ticks a quarter, two parts (at least one note), time signatures; about 40 quarter notes long."""
    tpq = draw(st.sampled_from([1, 5, 24, 480, 1023]))
    tick = st.integers(0, 30 * tpq)
    note = st.tuples(tick, st.integers(0, 12 * tpq), st.integers(40, 44))
    parts = [draw(st.lists(note, min_size=1, max_size=10)), draw(st.lists(note, max_size=5))]
    beat = st.one_of(tick, st.integers(0, 30).map(lambda n: n * tpq), st.integers(0, 10).map(lambda n: 4 * n * tpq))
    return tpq, parts, draw(st.dictionaries(beat, st.sampled_from(METERS), max_size=4))


@given(
    st.lists(songs(), min_size=1, max_size=3),
    st.sampled_from(METERS),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from([1, 2, 3, 4]),
)
def test_phrases_are_what_fractions_make_of_the_notes(songs, meter, bars, stride, steps):
    tunes = [tune_of(*song) for song in songs]
    grid = Grid(bars, stride, *meter, steps)
    notes = table_of(tunes, [[0, 1]] * len(tunes))
    phrases, reasons = cut(tunes, notes, grid, drums=np.array([False, True]), min_notes=1, min_tracks=1)
    number = 0
    for n, (tpq, parts, meters) in enumerate(songs):
        ends = [[(start, start + duration, pitch) for start, duration, pitch in part] for part in parts]
        expected = phrases_of(tpq, ends, {0: (4, 4)} | meters, meter, bars, steps, stride, drums=[1])
        assert bool(expected) != bool(reasons[n])
        for rows in expected:
            assert phrases.tune[number] == n
            assert rows_of(phrases, number) == sorted(rows)
            number += 1
    assert number == len(phrases)


@given(st.integers(0, 127), st.integers(0, 127), st.integers(0, 127))
def test_folding_keeps_the_pitch_class_and_moves_no_further_than_needed(pitch, one, other):
    low, high = sorted((one, other))
    folded, inside = into_range(np.array([pitch]), low, high, True)
    possible = [p for p in range(pitch % 12, 128, 12) if low <= p <= high]
    assert bool(inside[0]) == bool(possible)
    if possible:
        assert folded[0] == min(possible, key=lambda p: abs(p - pitch))


def test_joined_phrases_are_the_parts_in_order():
    grid = Grid(1, 1, 4, 4, 4)
    parts = []
    for n in range(3):
        tunes = [tune_of(4, [[(16 * bar, 4, 60 + n + bar) for bar in range(n + 1)]], {})]
        table = table_of(tunes, [[0]])
        parts.append(cut(tunes, table, grid, drums=np.array([False]), min_notes=1, min_tracks=1)[0])
    whole = join(parts)
    assert [rows_of(whole, n)[0][3] for n in range(len(whole))] == [60, 61, 62, 62, 63, 64]


def test_too_many_tunes_at_once_are_refused():
    tunes = [tune_of(4, [[(0, 4, 60)]], {})] * 65_537
    with pytest.raises(ValueError, match="at most 65,536 tunes"):
        cut(tunes, table_of([], []), Grid(1, 1, 4, 4, 4), drums=np.array([False]), min_notes=1, min_tracks=1)
