"""What the writers put on disk, read by other programs' libraries and looked at pixel by pixel, sample by sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
import soundfile
import symusic
import torch
from PIL import Image
from torch import Tensor

from gan_music.roll import Notes, to_roll
from gan_music.spec import MusicSpec, Track
from gan_music.writers import roll as rolls
from gan_music.writers.common import midi_velocity
from gan_music.writers.midi import MidiOptions, MidiWriter, ticks
from gan_music.writers.roll import RollOptions, RollWriter
from gan_music.writers.wav import TAIL, WavOptions, WavWriter, instrument, tone
from gancore.errors import UsageError

LEAD = Track(name="Lead", program=73)
BASS = Track(name="Bass", program=33)
DRUMS = Track(name="Kit", drums=True)
Row = tuple[int, int, int, int, int]
"""Track, start, duration, pitch, velocity bin."""


def music(*tracks: Track, **more: Any) -> MusicSpec:
    return MusicSpec.of(tracks or (LEAD, DRUMS, BASS), **{"bars": 2, "tempo": 97.0, **more})


def hard(spec: MusicSpec, *notes: Row) -> Tensor:
    """One phrase `[tracks, time, pitch]` of the given notes."""
    columns = np.array(notes, dtype=np.int64).reshape(-1, 5).T
    return torch.from_numpy(to_roll(Notes(*columns), spec))


NOTES: tuple[Row, ...] = (
    (0, 0, 4, 72, 0),
    (0, 4, 2, 72, 0),  # the same pitch again, without a rest
    (0, 4, 12, 76, 0),
    (1, 0, 1, 36, 0),
    (1, 8, 1, 42, 0),
    (2, 16, 16, 40, 0),  # to the end of the phrase
)


def read_mido(path: Path) -> tuple[list[tuple[int, int, int, int, int]], mido.MidiFile]:
    """`(track, start, duration, pitch, velocity)` in ticks of every note, sorted."""
    file = mido.MidiFile(path)
    notes = []
    for number, track in enumerate(file.tracks):
        now, open_notes = 0, {}
        for message in track:
            now += message.time
            if message.type == "note_on" and message.velocity:
                assert message.note not in open_notes
                open_notes[message.note] = (now, message.velocity)
            elif message.type in ("note_on", "note_off"):
                start, velocity = open_notes.pop(message.note)
                notes.append((number, start, now - start, message.note, velocity))
        assert not open_notes
    return sorted(notes), file


def read_symusic(path: Path) -> tuple[list[tuple[int, int, int, int, int]], Any]:
    score = symusic.Score(path)
    return sorted(
        (i, n.start, n.duration, n.pitch, n.velocity) for i, t in enumerate(score.tracks) for n in t.notes
    ), score


# --- MIDI -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [read_mido, read_symusic])
def test_other_libraries_read_the_same_notes(tmp_path: Path, read: Any) -> None:
    spec = music()
    (path,) = MidiWriter(MidiOptions(velocity=77), spec).write(hard(spec, *NOTES)[None], tmp_path, "tune")
    notes, _ = read(path)
    # Four steps a beat, 480 ticks a quarter: 120 ticks a step.
    assert notes == sorted((t, s * 120, d * 120, p, 77) for t, s, d, p, _ in NOTES)


@pytest.mark.parametrize(
    ("grid", "quarter", "step"),
    [
        ({"steps_per_beat": 4}, 480, 120),
        ({"steps_per_beat": 12}, 480, 40),
        ({"steps_per_beat": 2, "beats_per_bar": 6, "beat_unit": 8}, 480, 120),
        ({"steps_per_beat": 7}, 483, 69),
        ({"steps_per_beat": 96, "beat_unit": 16, "bars": 1}, 768, 2),
    ],
)
def test_a_step_is_a_whole_number_of_ticks(grid: dict[str, Any], quarter: int, step: int) -> None:
    assert ticks(music(**grid)) == (quarter, step)


def test_tempo_and_time_signature_are_written(tmp_path: Path) -> None:
    spec = music(beats_per_bar=6, beat_unit=8, steps_per_beat=2)
    (path,) = MidiWriter(MidiOptions(), spec).write(hard(spec, (0, 0, 3, 60, 0))[None], tmp_path, "tune")
    notes, file = read_mido(path)
    assert notes == [(0, 0, 360, 60, 90)]
    messages = {m.type: m for track in file.tracks for m in track if m.is_meta}
    assert mido.tempo2bpm(messages["set_tempo"].tempo) == pytest.approx(97.0, rel=1e-5)
    assert (messages["time_signature"].numerator, messages["time_signature"].denominator) == (6, 8)
    _, score = read_symusic(path)
    assert score.tempos[0].qpm == pytest.approx(97.0, rel=1e-5)
    assert (score.time_signatures[0].numerator, score.time_signatures[0].denominator) == (6, 8)


def test_tempo_can_be_chosen(tmp_path: Path) -> None:
    spec = music()
    (path,) = MidiWriter(MidiOptions(tempo=150.0), spec).write(hard(spec, *NOTES)[None], tmp_path, "tune")
    assert read_symusic(path)[1].tempos[0].qpm == pytest.approx(150.0)


def test_tracks_keep_name_program_and_channel(tmp_path: Path) -> None:
    spec = music()
    (path,) = MidiWriter(MidiOptions(), spec).write(hard(spec, *NOTES)[None], tmp_path, "tune")
    score = read_symusic(path)[1]
    assert [(t.name, t.program, t.is_drum) for t in score.tracks] == [
        ("Lead", 73, False),
        ("Kit", 0, True),
        ("Bass", 33, False),
    ]
    channels = [{m.channel for m in t if m.type == "note_on"} for t in mido.MidiFile(path).tracks]
    assert channels[1] == {9}
    assert 9 not in channels[0] | channels[2]
    assert not channels[0] & channels[2]


def test_silent_tracks_and_silent_ends_are_in_the_file(tmp_path: Path) -> None:
    spec = music()
    (path,) = MidiWriter(MidiOptions(), spec).write(hard(spec, (2, 0, 1, 40, 0))[None], tmp_path, "tune")
    file = mido.MidiFile(path)
    assert [t.name for t in file.tracks] == ["Lead", "Kit", "Bass"]
    # Two bars of 4/4 at 97 quarters a minute.
    assert file.length == pytest.approx(8 * 60 / 97, rel=1e-3)


@pytest.mark.parametrize("velocities", [2, 5, 32, 127])
def test_velocities_lie_in_their_own_bins(tmp_path: Path, velocities: int) -> None:
    spec = music(velocities=velocities)
    rows = [(0, v % 30, 1, 40 + v // 30, v) for v in range(velocities)]
    (path,) = MidiWriter(MidiOptions(), spec).write(hard(spec, *rows)[None], tmp_path, "tune")
    written = {(n[1] // 120, n[3]): n[4] for n in read_mido(path)[0]}
    bins = [written[start, pitch] * velocities // 128 for _, start, _, pitch, _ in rows]
    assert bins == list(range(velocities))


def test_one_velocity_is_the_chosen_one() -> None:
    assert midi_velocity(np.zeros(3, np.int64), music(), 64).tolist() == [64, 64, 64]


def test_each_phrase_has_its_own_numbered_file(tmp_path: Path) -> None:
    spec = music()
    samples = torch.stack([hard(spec, (0, 0, n + 1, 60, 0)) for n in range(3)])
    paths = MidiWriter(MidiOptions(), spec).write(samples, tmp_path / "new", "tune")
    assert [p.name for p in paths] == ["tune-00000.mid", "tune-00001.mid", "tune-00002.mid"]
    assert [read_mido(p)[0][0][2] for p in paths] == [120, 240, 360]
    assert sorted((tmp_path / "new").iterdir()) == paths


def test_other_shapes_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"\[n, 3, 32, 84\] with n at least 1, not torch.float32 of shape \[1, 3, 32, 84\]"
    ):
        MidiWriter(MidiOptions(), music()).write(torch.zeros(1, 3, 32, 84), tmp_path, "tune")


# --- piano rolls ------------------------------------------------------------------------------------------------------


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_picture_has_the_size_of_its_grid(tmp_path: Path) -> None:
    spec = music()
    phrase = hard(spec, (0, 0, 4, 60, 0), (0, 4, 1, 83, 0))  # 24 pitches are used
    (path,) = RollWriter(RollOptions(columns=3, step_pixels=5, pitch_pixels=2), spec).write(
        phrase.expand(5, -1, -1, -1), tmp_path, "sheet"
    )
    assert path == tmp_path / "sheet.png"
    gap = rolls.GAP
    assert picture(path).shape == (2 * (24 * 2 + gap) + gap, 3 * (32 * 5 + gap) + gap, 3)


def test_notes_are_where_they_should_be_in_the_colour_of_their_track(tmp_path: Path) -> None:
    spec = music()
    phrase = hard(spec, (0, 3, 4, 60, 0), (2, 9, 1, 70, 0))
    (path,) = RollWriter(RollOptions(step_pixels=4, pitch_pixels=4), spec).write(phrase[None], tmp_path, "sheet")
    pixels = picture(path)[rolls.GAP : -rolls.GAP, rolls.GAP : -rolls.GAP]
    low, high = rolls.used_pitches(phrase[None].numpy())
    assert (low + 24, high + 24) == (60, 72)  # 60 to 70, widened to an octave

    def cell(pitch: int, step: int) -> np.ndarray:
        top = (high - 1 - (pitch - spec.lowest)) * 4
        block = pixels[top : top + 4, step * 4 : step * 4 + 4].reshape(-1, 3)
        assert (block == block[0]).all()
        return block[0]

    lead, bass = np.array(rolls.COLOURS[0]), np.array(rolls.COLOURS[2])
    assert (cell(60, 3) == lead).all()
    assert (cell(70, 9) == bass).all()
    held = [cell(60, step) for step in (4, 5, 6)]
    assert all((h == held[0]).all() for h in held)
    assert (lead < held[0]).any()  # paler than the onset
    coloured = (np.ptp(pixels, axis=2) > 20).sum()
    assert coloured == 5 * 16  # the five cells that sound, and nothing else


def test_repeated_notes_look_different_from_held_ones() -> None:
    spec = music()
    held, repeated = hard(spec, (0, 0, 4, 60, 0)), hard(spec, (0, 0, 2, 60, 0), (0, 2, 2, 60, 0))
    options = RollOptions()
    one, two = (rolls.sheet(phrase[None].numpy(), spec, options) for phrase in (held, repeated))
    assert (one != two).any()


def test_bars_and_beats_are_ruled() -> None:
    spec = music(bars=2)
    pixels = rolls.phrases(hard(spec)[None].numpy(), spec, 4, 4)[0].astype(int)
    lines = [x for x in range(1, pixels.shape[1]) if (pixels[:, x] == pixels[0, x]).all()]
    assert lines == [step * 4 for step in range(4, 32, 4)]
    darkest = pixels[0].sum(axis=1)
    assert [x for x in range(1, pixels.shape[1]) if darkest[x] == darkest[64]] == [64]  # bar 2 begins at step 16


def test_pitches_shown_are_those_used_and_an_octave_at_least() -> None:
    spec = music()
    wide = torch.stack([hard(spec, (0, 0, 1, 30, 0)), hard(spec, (2, 0, 1, 90, 0))]).numpy()
    assert rolls.used_pitches(wide) == (6, 67)
    for pitch in (24, 60, 107):
        low, high = rolls.used_pitches(hard(spec, (0, 0, 1, pitch, 0))[None].numpy())
        assert high - low == 12
        assert low <= pitch - 24 < high
    assert rolls.used_pitches(hard(music(pitches=5), (0, 0, 1, 26, 0))[None].numpy()) == (0, 5)


def test_a_large_sheet_stays_within_its_bounds() -> None:
    spec = music(bars=16)
    phrases = hard(spec, (0, 0, 1, 24, 0), (0, 0, 1, 107, 0)).expand(64, -1, -1, -1).numpy()
    assert max(rolls.sheet(phrases, spec, RollOptions()).shape) <= rolls.LARGEST_SIDE


# --- sound ------------------------------------------------------------------------------------------------------------


def heard(folder: Path, spec: MusicSpec, samples: Tensor, **options: Any) -> tuple[np.ndarray, int]:
    (path,) = WavWriter(WavOptions(**options), spec).write(samples, folder, "tune")
    assert path == folder / "tune.wav"
    assert soundfile.info(path).subtype == "PCM_16"
    sound, rate = soundfile.read(path, dtype="float64")
    return sound, rate


def test_sound_is_as_long_as_its_phrases(tmp_path: Path) -> None:
    spec = music(tempo=120.0)  # two bars of 4/4 in four seconds
    samples = hard(spec, *NOTES).expand(5, -1, -1, -1)
    sound, rate = heard(tmp_path, spec, samples, phrases=3)
    assert len(sound) / rate == pytest.approx(3 * (4.0 + TAIL), abs=1e-3)
    assert len(heard(tmp_path, spec, samples, seconds=7.0)[0]) == 7 * rate
    assert len(heard(tmp_path, spec, samples, phrases=1, tempo=240.0)[0]) / rate == pytest.approx(2.0 + TAIL, abs=1e-3)


def test_a_silent_phrase_is_silence(tmp_path: Path) -> None:
    spec = music(tempo=120.0)
    samples = torch.stack([hard(spec, *NOTES), hard(spec)])
    sound, rate = heard(tmp_path, spec, samples)
    second = round((4.0 + TAIL) * rate)
    assert np.abs(sound[:second]).max() > 0.05
    assert not sound[second:].any()


def test_the_loudest_sound_is_not_clipped(tmp_path: Path) -> None:
    spec = music(bars=1)
    everything = hard(spec, *[(t, 0, 16, p, 0) for t in (0, 2) for p in range(24, 108)])
    sound, _ = heard(tmp_path, spec, everything[None], velocity=127)
    assert np.abs(sound).max() == pytest.approx(0.9, abs=0.001)


@pytest.mark.parametrize("program", [0, 13, 19, 33, 48, 56, 73, 88])
@pytest.mark.parametrize("pitch", [45, 69, 84])
def test_a_note_has_its_pitch(tmp_path: Path, program: int, pitch: int) -> None:
    spec = music(Track(name="Solo", program=program), bars=1, tempo=60.0)
    sound, rate = heard(tmp_path, spec, hard(spec, (0, 0, 8, pitch, 0))[None])
    part = sound[: 2 * rate] * np.hanning(2 * rate)
    spectrum = np.abs(np.fft.rfft(part))
    frequency = 440.0 * 2.0 ** ((pitch - 69) / 12.0)
    assert np.argmax(spectrum) / 2.0 == pytest.approx(frequency, abs=0.6)  # bins are half a hertz wide


def test_a_note_sounds_when_it_should(tmp_path: Path) -> None:
    spec = music(LEAD, bars=1, tempo=60.0)  # a step is a quarter of a second
    sound, rate = heard(tmp_path, spec, hard(spec, (0, 4, 4, 69, 0))[None])
    loud = np.flatnonzero(np.abs(sound) > 0.001) / rate
    assert 1.0 <= loud[0] < 1.02
    assert 2.0 <= loud[-1] < 2.1  # with its release


def test_harmonics_beyond_half_the_rate_are_left_out() -> None:
    sound = tone(instrument(56), 120, 4096, 22050)  # 8,372 Hz: its second harmonic would come back at 5,306
    spectrum = np.abs(np.fft.rfft(sound[:4096] * np.hanning(4096)))
    frequencies = np.arange(len(spectrum)) * 22050 / 4096
    near = np.abs(frequencies - 8372.0) < 100.0
    assert spectrum[~near].max() < 0.01 * spectrum.max()


def test_every_drum_sounds_and_ends(tmp_path: Path) -> None:
    spec = music(DRUMS, bars=1, tempo=60.0)
    for pitch in range(27, 88, 3):
        sound, rate = heard(tmp_path, spec, hard(spec, (0, 0, 1, pitch, 0))[None])
        assert np.abs(sound[: rate // 10]).max() > 0.02
        assert not sound[round(1.2 * rate) :].any()


def test_the_same_phrases_make_the_same_sound(tmp_path: Path) -> None:
    spec = music()
    first, _ = heard(tmp_path, spec, hard(spec, *NOTES)[None])
    again, _ = heard(tmp_path, spec, hard(spec, *NOTES)[None])
    assert np.array_equal(first, again)
