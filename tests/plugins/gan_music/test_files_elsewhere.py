"""Written MIDI files say in two other libraries, mido and pretty_midi, what the rolls say: every note, track and heading.

pretty_midi leaves out tracks without notes; mido shows all.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import mido
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fetching import fetch

from gan_music.data.tunes import Options, open_tunes
from gan_music.spec import HELD, ONSET, MusicSpec, Track
from gan_music.writers.midi import MidiOptions, MidiWriter

Note = tuple[int, int, int]
"""Start and duration in ticks, and MIDI pitch."""


class Heard(NamedTuple):
    """What is said of one track."""

    name: str
    program: int
    drums: bool
    notes: list[Note]


class File(NamedTuple):
    """What is said of a file."""

    tempo: float
    meters: list[tuple[int, int]]
    tracks: list[Heard]


def by_mido(path: Path) -> File:
    file = mido.MidiFile(path)
    assert file.type == 1
    tempos, meters, tracks = [], [], []
    for track in file.tracks:
        now, begun, notes, program, channels = 0, {}, [], 0, set()
        for message in track:
            now += message.time
            if message.type == "set_tempo":
                tempos.append(mido.tempo2bpm(message.tempo))
            elif message.type == "time_signature":
                meters.append((message.numerator, message.denominator))
            elif message.type == "program_change":
                program = message.program
            elif message.type == "note_on" and message.velocity:
                assert message.note not in begun, "a note begins while the same one sounds"
                begun[message.note] = now
            elif message.type in ("note_on", "note_off"):
                start = begun.pop(message.note)
                notes.append((start, now - start, message.note))
            if hasattr(message, "channel"):
                channels.add(message.channel)
        assert not begun, "a note does not end"
        assert len(channels) <= 1
        tracks.append(Heard(track.name, program, channels == {9}, sorted(notes)))
    assert len(tempos) == 1
    return File(tempos[0], meters, tracks)


def by_pretty_midi(path: Path) -> File:
    pretty_midi = pytest.importorskip("pretty_midi", reason="pretty_midi is not installed: pip install pretty_midi")
    file = pretty_midi.PrettyMIDI(str(path))
    tracks = []
    for voice in file.instruments:
        starts, ends = ([file.time_to_tick(getattr(n, at)) for n in voice.notes] for at in ("start", "end"))
        notes = [(a, b - a, n.pitch) for a, b, n in zip(starts, ends, voice.notes, strict=True)]
        tracks.append(Heard(voice.name, 0 if voice.is_drum else voice.program, voice.is_drum, sorted(notes)))
    times, tempos = file.get_tempo_changes()
    assert times.tolist() == [0.0]
    return File(tempos[0], [(m.numerator, m.denominator) for m in file.time_signature_changes], tracks)


READERS = [pytest.param(by_mido, id="mido"), pytest.param(by_pretty_midi, id="pretty_midi")]


def expected(roll: np.ndarray, spec: MusicSpec, ticks: int) -> list[Heard]:
    """The tracks of a hard roll `[tracks, time, pitch]`, cell by cell, with `ticks` a step."""
    result = []
    for track, cells in zip(spec.tracks, roll, strict=True):
        notes: list[Note] = []
        for place in range(spec.pitches):
            start = None
            for step in range(spec.time + 1):
                cell = cells[step, place] if step < spec.time else 0
                if start is not None and cell != HELD:
                    notes.append((start * ticks, (step - start) * ticks, spec.lowest + place))
                    start = None
                if track.drums and cell >= ONSET:
                    notes.append((step * ticks, ticks, spec.lowest + place))
                elif not track.drums and (cell >= ONSET or (cell == HELD and start is None)):
                    start = step
        result.append(Heard(track.name, 0 if track.drums else track.program, track.drums, sorted(notes)))
    return result


def check(read: Callable[[Path], File], path: Path, roll: np.ndarray, spec: MusicSpec) -> int:
    """Compare a file with its roll; how many notes it has."""
    quarter = mido.MidiFile(path).ticks_per_beat
    step, rest = divmod(quarter * 4, spec.beat_unit * spec.steps_per_beat)
    assert rest == 0
    wanted = expected(roll, spec, step)
    if read is by_pretty_midi:
        wanted = [track for track in wanted if track.notes]
    found = read(path)
    assert found.tempo == pytest.approx(spec.tempo, rel=1e-4)  # whole microseconds a quarter note
    assert found.meters == [(spec.beats_per_bar, spec.beat_unit)]
    assert found.tracks == wanted
    return sum(len(track.notes) for track in wanted)


@st.composite
def phrases(draw: st.DrawFn) -> tuple[MusicSpec, np.ndarray]:
    """A spec, and a hard roll in which any value may stand beside any other."""
    tracks = tuple(
        Track(name=f"{name} {number}", program=draw(st.integers(0, 127)), drums=draw(st.booleans()))
        for number, name in enumerate(draw(st.lists(st.sampled_from(["Lead", "Bass", "x"]), min_size=1, max_size=4)))
    )
    pitches = draw(st.sampled_from([1, 12, 84, 128]))
    spec = MusicSpec.of(
        tracks,
        bars=draw(st.integers(1, 2)),
        beats_per_bar=draw(st.integers(1, 7)),
        beat_unit=draw(st.sampled_from([2, 4, 8, 16])),
        steps_per_beat=draw(st.sampled_from([1, 2, 3, 4, 7])),
        lowest=draw(st.integers(0, 128 - pitches)),
        pitches=pitches,
        tempo=draw(st.floats(20.0, 300.0)),
        velocities=draw(st.sampled_from([1, 3])),
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (len(tracks), spec.time, pitches)
    cells = rng.integers(HELD, ONSET + spec.velocities, shape) * (
        rng.random(shape) < draw(st.sampled_from([0.05, 0.6]))
    )
    return spec, cells.astype(np.uint8)


@pytest.mark.parametrize("read", READERS)
def test_any_phrase_has_the_same_notes_elsewhere(
    read: Callable[[Path], File], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("files")

    @settings(max_examples=60, deadline=None)
    @given(phrases())
    def compare(phrase: tuple[MusicSpec, np.ndarray]) -> None:
        spec, roll = phrase
        (path,) = MidiWriter(MidiOptions(), spec).write(torch.from_numpy(roll)[None], folder, "any")
        check(read, path, roll, spec)

    compare()


@pytest.mark.parametrize("read", READERS)
def test_phrases_of_the_demo_set_have_the_same_notes_elsewhere(read: Callable[[Path], File], tmp_path: Path) -> None:
    source: Any = open_tunes(Options(count=24, labels="style"), lambda *_: None)
    rolls, _ = fetch(source)
    files = MidiWriter(MidiOptions(), source.spec).write(rolls, tmp_path, "tune")
    assert len(files) == 24
    notes = [check(read, path, roll, source.spec) for path, roll in zip(files, rolls.numpy(), strict=True)]
    assert min(notes) > 10


@pytest.mark.parametrize("read", READERS)
def test_a_band_beyond_sixteen_channels_has_the_same_notes_elsewhere(
    read: Callable[[Path], File], tmp_path: Path
) -> None:
    """More tracks than channels: some share one, and no note is lost."""
    spec = MusicSpec.of(tuple(Track(name=f"Voice {n}") for n in range(20)), bars=1)
    roll = np.zeros((20, spec.time, spec.pitches), np.uint8)
    roll[:, 0::4, 40] = ONSET
    (path,) = MidiWriter(MidiOptions(), spec).write(torch.from_numpy(roll)[None], tmp_path, "band")
    assert check(read, path, roll, spec) == 80
