"""Sound fonts: what is heard is what the font's numbers say, and a broken font is an error in words and nothing worse."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.soundfont import LOOPED, Voice, sound_font

import gancore
from gan_music.roll import Notes, to_roll
from gan_music.spec import MusicSpec, Track
from gan_music.writers.sampler import Sampler
from gan_music.writers.soundfont import SoundFont
from gan_music.writers.wav import WavOptions, WavWriter
from gancore.errors import UsageError

RATE = 22050
ATTENUATION, COARSE_TUNE, FINE_TUNE, SCALE, ROOT = 48, 51, 52, 56, 58
FILTER, PAN, ATTACK, DECAY, SUSTAIN, RELEASE, KEYS = 8, 17, 34, 36, 37, 38, 43


def font(folder: Path, *voices: Voice, **more: Any) -> Path:
    path = folder / "sines.sf2"
    path.write_bytes(sound_font(voices or (Voice(0),), **more))
    return path


def note(folder: Path, pitch: int = 69, velocity: int = 127, held: float = 1.0, **generators: int) -> np.ndarray:
    """A note for a second of a voice with more generators, `g48=100`, with all of its release in two."""
    amounts = {LOOPED: 1} | {int(name[1:]): amount for name, amount in generators.items()}
    sampler = Sampler(SoundFont(font(folder, Voice(0, generators=amounts))), RATE)
    return sampler.note(0, pitch, velocity, int(held * RATE), 2 * RATE)


def frequency(sound: np.ndarray, rate: int = RATE) -> float:
    """The strongest frequency, to a tenth of a hertz."""
    return float(np.argmax(np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 10 * rate))) / 10.0)


def level(sound: np.ndarray) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(sound**2)))


def write(folder: Path, path: Path, tracks: tuple[Track, ...], *rows: tuple[int, ...], **options: Any) -> np.ndarray:
    """What the writer writes of one bar at 60 beats a minute, so that a step has a quarter of a second."""
    spec = MusicSpec.of(tracks, bars=1, tempo=60.0)
    phrase = to_roll(Notes(*np.array(rows, np.int64).reshape(-1, 5).T), spec)
    (file,) = WavWriter(WavOptions(soundfont=path, **options), spec).write(
        torch.from_numpy(phrase)[None], folder, "tune"
    )
    sound, rate = soundfile.read(file)
    assert rate == RATE
    return np.asarray(sound)


# --- what is heard ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("pitch", [33, 57, 69, 70, 90])
def test_a_written_note_has_its_pitch(tmp_path: Path, pitch: int, compressed: bool) -> None:
    path = font(tmp_path, compressed=compressed)
    sound = write(tmp_path, path, (Track(name="Solo"),), (0, 0, 8, pitch, 0))
    assert frequency(sound[: 2 * RATE]) == pytest.approx(440.0 * 2.0 ** ((pitch - 69) / 12.0), abs=0.15)


@pytest.mark.parametrize(
    ("generators", "expected"),
    [
        ({"g51": 12}, 880.0),  # an octave of coarse tuning
        ({"g52": 50}, 440.0 * 2.0 ** (50 / 1200)),
        ({"g58": 57}, 880.0),  # the recording is said to be an octave lower
        ({"g56": 0}, 440.0),  # keys do not change the pitch
    ],
)
def test_tuning_is_that_of_the_font(tmp_path: Path, generators: dict[str, int], expected: float) -> None:
    pitch = 76 if "g56" in generators else 69
    assert frequency(note(tmp_path, pitch, **generators)) == pytest.approx(expected, abs=0.15)


def test_a_loop_is_seamless(tmp_path: Path) -> None:
    """The recording has 40 periods; a note of a second has 440 and no other frequency."""
    sound = note(tmp_path)[:RATE]
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(RATE)))
    far = np.abs(np.arange(len(spectrum)) - 440) > 5
    assert spectrum[far].max() < 1e-3 * spectrum.max()
    assert level(sound[RATE // 10 :]) == pytest.approx(0.5 / np.sqrt(2.0), rel=0.01)


def test_without_a_loop_a_recording_ends(tmp_path: Path) -> None:
    sampler = Sampler(SoundFont(font(tmp_path, Voice(0, generators={}))), RATE)
    sound = sampler.note(0, 69, 127, RATE, 2 * RATE)
    assert len(sound) / RATE == pytest.approx(4000 / 44_000, abs=0.001)


def test_frequencies_that_the_rate_cannot_hold_are_left_out(tmp_path: Path) -> None:
    # 40 times 440 Hz is 17,600 Hz, which would come back at 22,050 - 17,600 = 4,450.
    sampler = Sampler(SoundFont(font(tmp_path, Voice(0, overtone=40))), RATE)
    assert level(sampler.note(0, 69, 127, RATE, RATE)) < 0.005
    assert level(sampler.note(0, 57, 127, RATE, RATE)) > 0.3


def test_velocity_and_attenuation_set_the_level(tmp_path: Path) -> None:
    whole = level(note(tmp_path))
    assert level(note(tmp_path, velocity=64)) / whole == pytest.approx((64 / 127) ** 2, rel=0.01)
    # 200 centibels, of which four tenths count: 8 dB.
    assert level(note(tmp_path, g48=200)) / whole == pytest.approx(10 ** (-8 / 20), rel=0.01)
    # Hard to one side: half of a pair that makes up the whole in the middle.
    assert level(note(tmp_path, g17=-500)) / whole == pytest.approx(np.sqrt(0.5), rel=0.01)


def test_envelope_takes_the_times_of_the_font(tmp_path: Path) -> None:
    def at(sound: np.ndarray, second: float) -> float:
        """Level of the two periods or so around a moment, of a wave of amplitude 1/2."""
        middle = int(second * RATE)
        return level(sound[middle - 50 : middle + 50]) * np.sqrt(2.0) / 0.5

    attack = note(tmp_path, g34=-1200)  # half a second
    assert at(attack, 0.25) == pytest.approx(0.5, abs=0.02)
    assert at(attack, 0.75) == pytest.approx(1.0, abs=0.02)
    decay = note(tmp_path, g36=1200, g37=200)  # 100 dB in two seconds, down to 20 dB
    assert 20.0 * np.log10(at(decay, 0.2)) == pytest.approx(-10.0, abs=0.5)
    assert 20.0 * np.log10(at(decay, 0.9)) == pytest.approx(-20.0, abs=0.5)
    release = note(tmp_path, g38=0)  # 100 dB in a second
    assert 20.0 * np.log10(at(release, 1.3)) == pytest.approx(-30.0, abs=0.7)
    short = note(tmp_path)
    assert len(short) / RATE < 1.01


def test_filter_takes_what_is_above_it(tmp_path: Path) -> None:
    # 8.176 Hz times 2 ** (6900 / 1200) is 440 Hz; a note three octaves up falls by 12 dB each.
    open_, closed = (level(note(tmp_path, 105, **more)) for more in ({}, {"g8": 6900}))
    assert 20.0 * np.log10(closed / open_) == pytest.approx(-36.0, abs=1.0)
    assert level(note(tmp_path, 45, g8=6900)) == pytest.approx(level(note(tmp_path, 45)), rel=0.1)


def test_second_envelope_opens_the_filter(tmp_path: Path) -> None:
    """It rises in a second (attack of 0 timecents), and lifts the filter by three octaves from 440 Hz."""
    sound = note(tmp_path, 105, g8=6900, g11=3600, g26=0)
    assert level(sound[: RATE // 20]) < 0.1 * level(sound[RATE - RATE // 20 : RATE])
    assert level(sound[RATE - RATE // 20 : RATE]) == pytest.approx(
        level(note(tmp_path, 105, g8=10500)[RATE - RATE // 20 : RATE]), rel=0.1
    )


# --- which voice plays ------------------------------------------------------------------------------------------------


def test_programs_choose_their_presets(tmp_path: Path) -> None:
    path = font(tmp_path, Voice(0), Voice(40, overtone=2), Voice(73, overtone=3))
    for program, overtone in ((0, 1), (73, 3), (72, 3), (41, 2), (100, 1)):
        sound = write(tmp_path, path, (Track(name="Solo", program=program),), (0, 0, 8, 57, 0))
        assert frequency(sound[: 2 * RATE]) == pytest.approx(220.0 * overtone, abs=0.2), program


def test_drums_take_the_kit_and_the_built_in_ones_without_it(tmp_path: Path) -> None:
    kit = Voice(0, bank=128, overtone=5)
    sound = write(tmp_path, font(tmp_path, Voice(0), kit), (Track(name="Kit", drums=True),), (0, 0, 1, 69, 0))
    assert frequency(sound[: RATE // 4]) == pytest.approx(2200.0, abs=1.0)
    without = write(tmp_path, font(tmp_path), (Track(name="Kit", drums=True),), (0, 0, 1, 36, 0))
    assert frequency(without[: RATE // 4]) < 160.0  # a bass drum


def test_keys_outside_of_every_range_are_silent(tmp_path: Path) -> None:
    keys = 60 | 72 << 8
    assert len(note(tmp_path, 72, g43=keys))
    assert not len(note(tmp_path, 73, g43=keys))


def test_the_loudest_sound_is_not_clipped_and_the_end_is_quiet(tmp_path: Path) -> None:
    path = font(tmp_path, Voice(0, generators={LOOPED: 1, RELEASE: 8000}))
    sound = write(tmp_path, path, (Track(name="Solo"),), *[(0, 0, 16, p, 0) for p in range(40, 90)], velocity=127)
    assert np.abs(sound).max() == pytest.approx(0.9, abs=0.001)
    assert np.abs(sound[-RATE // 1000 :]).max() < 0.01 * np.abs(sound[-RATE // 4 :]).max() + 0.01


# --- files that are no sound fonts ------------------------------------------------------------------------------------


def whole() -> bytes:
    return sound_font((Voice(0), Voice(12, generators={LOOPED: 1, KEYS: 127 << 8})))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is empty"),
        (b"no font at all", "does not begin as one does"),
        (b"RIFF\4\0\0\0WAVE", "does not begin as one does"),
        (whole()[:100], r"should have [\d,]+ bytes and has 100"),
        (whole()[:-1], r"should have [\d,]+ bytes and has [\d,]+"),
        (b"RIFF\4\0\0\0sfbk", "has no part 'smpl'"),
        (whole().replace(b"phdr", b"nope"), "has no part 'phdr'"),
    ],
)
def test_other_files_are_refused_in_words(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "broken.sf2"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=f"broken.sf2' is not a usable sound font: .*{words}"):
        WavWriter(WavOptions(soundfont=path), MusicSpec.of((Track(name="Solo"),)))


def test_a_missing_file_is_told_when_the_writer_is_made(tmp_path: Path) -> None:
    for path in (tmp_path / "none.sf2", tmp_path):  # the second is a folder
        with pytest.raises(UsageError, match=r"^sound font '.*' cannot be read"):
            WavWriter(WavOptions(soundfont=path), MusicSpec.of((Track(name="Solo"),)))


@settings(max_examples=150, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=6)), max_size=6),
    tail=st.integers(0, 1000),
    compressed=st.booleans(),
)
def test_damaged_fonts_play_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, bytes]], tail: int, compressed: bool
) -> None:
    """Bytes change in the tables, at the file's end, where all sizes and references are."""
    data = bytearray(sound_font((Voice(0), Voice(12)), compressed=compressed))
    for place, new in changes:
        at = len(data) - 1 - place % 800
        data[at : at + len(new)] = new[: len(data) - at]
    path = tmp_path_factory.getbasetemp() / "damaged.sf2"
    path.write_bytes(data[: len(data) - tail] if tail < 3 else data)
    with contextlib.suppress(UsageError):
        sampler = Sampler(SoundFont(path), RATE)
        for program in (0, 12):
            preset = sampler.font.preset(program, False)
            if preset is not None:
                sound = sampler.note(preset, 69, 100, 2000, 4000)
                assert len(sound) <= 4000
                assert np.isfinite(sound).all()


# --- the option -------------------------------------------------------------------------------------------------------


def test_a_relative_path_is_kept_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = WavOptions(soundfont=Path("fonts/sines.sf2"))
    assert options.soundfont == tmp_path / "fonts" / "sines.sf2"
    assert WavOptions.model_validate(options.model_dump(mode="json")) == options


def test_none_stands_for_the_built_in_instruments() -> None:
    assert WavOptions.model_validate({"soundfont": "none"}).soundfont is None
    with pytest.raises(ValidationError):
        WavOptions.model_validate({"soundfont": 3})


def test_a_run_whose_font_is_missing_ends_before_it_begins(tmp_path: Path) -> None:
    options = {"data.count": 8, "data.bars": 2, "writers.wav.soundfont": str(tmp_path / "gone.sf2"), "samples": 2}
    with pytest.raises(UsageError, match=r"gone.sf2' cannot be read: .*writers.wav.soundfont=FILE, or none"):
        gancore.train(plugin="music", options=options, steps=1, out=tmp_path / "run")
    assert not list((tmp_path / "run").glob("samples/*"))
