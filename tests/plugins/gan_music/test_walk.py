"""A walk of phrases: one MIDI file as other libraries read it, and one sound."""

from __future__ import annotations

from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
import symusic
import torch
from torch import Tensor

from gan_music.roll import Notes, to_roll
from gan_music.spec import MusicSpec, Track
from gan_music.writers.walk import WalkOptions, WalkWriter
from gan_music.writers.wav import TAIL

SPEC = MusicSpec.of((Track(name="Lead", program=73), Track(name="Kit", drums=True)), bars=1, tempo=120.0)
"""A bar of 16 steps, of 120 ticks and an eighth of a second each."""
FIRST = ((0, 0, 4, 60, 0), (0, 12, 4, 67, 0), (1, 15, 1, 49, 0))
"""Track, start, duration, pitch and velocity of notes, the last two to the end of the phrase."""
SECOND = ((0, 0, 16, 67, 0), (1, 0, 1, 36, 0))


def phrases(*wanted: tuple[tuple[int, ...], ...]) -> Tensor:
    rolls = [to_roll(Notes(*np.array(notes, dtype=np.int64).reshape(-1, 5).T), SPEC) for notes in wanted]
    return torch.from_numpy(np.stack(rolls))


def walk(folder: Path, samples: Tensor, **options: object) -> tuple[Path, Path]:
    midi, wav = WalkWriter(WalkOptions.model_validate(options), SPEC).write(samples, folder, "walk")
    assert (midi.name, wav.name) == ("walk.mid", "walk.wav")
    return midi, wav


def wanted(*parts: tuple[tuple[int, ...], ...]) -> list[tuple[int, ...]]:
    """Track, start, duration and pitch in ticks of phrases one after another."""
    notes = [(t, 16 * n + start, length, pitch) for n, part in enumerate(parts) for t, start, length, pitch, _ in part]
    return sorted((t, 120 * start, 120 * length, pitch) for t, start, length, pitch in notes)


def test_symusic_reads_phrase_after_phrase(tmp_path: Path) -> None:
    midi, _ = walk(tmp_path, phrases(FIRST, SECOND, FIRST))
    score = symusic.Score(midi)
    found = [(number, n.start, n.duration, n.pitch) for number, t in enumerate(score.tracks) for n in t.notes]
    assert sorted(found) == wanted(FIRST, SECOND, FIRST)
    assert [(t.name, t.program, t.is_drum) for t in score.tracks] == [("Lead", 73, False), ("Kit", 0, True)]
    assert score.markers[0].time == 3 * 16 * 120


def test_every_note_ends_before_it_begins_again_and_settings_stand_once(tmp_path: Path) -> None:
    file = mido.MidiFile(walk(tmp_path, phrases(FIRST, SECOND, FIRST), tempo=90.0)[0])
    found, kinds = [], []
    for number, track in enumerate(file.tracks):
        now, held = 0, {}
        for message in track:
            now += message.time
            kinds.append(message.type)
            if message.type == "note_on" and message.velocity:
                assert message.note not in held
                held[message.note] = now
            elif message.type in ("note_on", "note_off"):
                begin = held.pop(message.note)
                found.append((number, begin, now - begin, message.note))
            elif message.type == "set_tempo":
                assert mido.tempo2bpm(message.tempo) == pytest.approx(90.0, rel=1e-5)
        assert not held
    assert sorted(found) == wanted(FIRST, SECOND, FIRST)
    assert kinds.count("set_tempo") == kinds.count("time_signature") == 1
    assert kinds.count("program_change") == len(SPEC.tracks)


def test_sound_keeps_time_across_phrases_and_has_no_gap(tmp_path: Path) -> None:
    sound, rate = soundfile.read(walk(tmp_path, phrases(FIRST, SECOND, SECOND))[1])
    assert len(sound) / rate == pytest.approx(3 * 2.0 + TAIL, abs=1e-3)
    alone, _ = soundfile.read(walk(tmp_path / "alone", phrases(SECOND))[1])
    # The last phrase sounds as alone, once what came before has faded.
    np.testing.assert_allclose(sound[5 * rate :], alone[rate : rate + len(sound) - 5 * rate], atol=2e-4)
    assert np.abs(sound[4 * rate : 4 * rate + rate // 10]).max() > 0.05


def test_no_sample_at_a_seam_is_further_from_the_next_than_within_a_phrase(tmp_path: Path) -> None:
    sound, rate = soundfile.read(walk(tmp_path, phrases(FIRST, SECOND, FIRST))[1])
    steps = np.abs(np.diff(sound))
    at = [number * rate * 2 + offset for number in (1, 2) for offset in (0, round(TAIL * rate))]
    inside = np.delete(steps, [place + near for place in at for near in range(-100, 100)])
    assert max(steps[place - 100 : place + 100].max() for place in at) <= inside.max()
    assert np.abs(sound[-rate // 10 : -rate // 20]).max() > 0.002  # the last stroke of the cymbal fades out
    assert abs(sound[-1]) < 0.0002


def test_sound_has_as_many_whole_phrases_as_fit(tmp_path: Path) -> None:
    samples = phrases(FIRST, SECOND, FIRST, SECOND)
    midi, wav = walk(tmp_path, samples, seconds=5.0)
    assert soundfile.info(wav).duration == pytest.approx(2 * 2.0 + TAIL, abs=1e-3)
    assert mido.MidiFile(midi).length == pytest.approx(4 * 2.0, abs=0.01)
    assert soundfile.info(walk(tmp_path / "first", samples, seconds=1.0)[1]).duration == pytest.approx(
        2.0 + TAIL, abs=1e-3
    )


def test_walk_carries_a_text_in_both_files_and_sounds_the_same(tmp_path: Path) -> None:
    midi, wav = walk(tmp_path, phrases(FIRST, SECOND))
    writer = WalkWriter(WalkOptions(), SPEC)
    before = symusic.Score(midi), soundfile.read(wav)[0]
    for path in (midi, wav):
        writer.attach(path, '{"seed": 1}')
        assert writer.text_of(path) == '{"seed": 1}'
    assert symusic.Score(midi).tracks == before[0].tracks
    assert np.array_equal(soundfile.read(wav)[0], before[1])
