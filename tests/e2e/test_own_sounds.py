"""A folder of recordings as people have them: formats, rates and lengths mixed, some files broken; from there to new WAV files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from support.terminal import TINY, Terminal

SMALL = (*TINY, "data.length=2048", "data.iterations=4", "architecture.max_width=32")


def recordings(folder: Path) -> int:
    """Tones in two folders; how many can be used."""
    chance = np.random.default_rng(0)
    kinds = [("wav", "PCM_16"), ("wav", "FLOAT"), ("flac", "PCM_24"), ("ogg", "VORBIS"), ("aiff", "PCM_16")]
    made = 0
    for label, pitch in (("low", 200.0), ("high", 900.0)):
        (folder / label).mkdir(parents=True)
        for suffix, subtype in kinds:
            for rate, channels in ((8000, 1), (44_100, 2), (192_000, 1)):
                if (suffix, rate) == ("ogg", 192_000):
                    continue
                t = np.arange(int(rate * chance.uniform(0.05, 0.6))) / rate
                wave = 0.5 * np.sin(2 * np.pi * pitch * chance.uniform(0.9, 1.1) * t)
                path = folder / label / f"{made}.{suffix}"
                soundfile.write(path, np.tile(wave[:, None], channels), rate, subtype=subtype)
                made += 1
    good = (folder / "low" / "0.wav").read_bytes()
    (folder / "low" / "cut.wav").write_bytes(good[: len(good) // 2])
    (folder / "low" / "empty.wav").write_bytes(b"")
    (folder / "low" / "letter.wav").write_text("no sound at all")
    soundfile.write(folder / "high" / "nan.wav", np.full(4000, np.nan, np.float32), 8000, subtype="FLOAT")
    soundfile.write(folder / "high" / "still.wav", np.zeros(4000), 8000)
    (folder / "notes.txt").write_text("to do")
    return made


@pytest.fixture
def folder(terminal: Terminal) -> tuple[Path, int]:
    path = terminal.folder / "my sounds"
    return path, recordings(path)


def test_a_mixed_folder_trains_and_makes_sounds_that_other_programs_read(
    terminal: Terminal, folder: tuple[Path, int]
) -> None:
    done = terminal.gan("run", "--plugin", "audio", "--data", "my sounds", "--steps", 3, "--json", *SMALL)
    run = terminal.folder / json.loads(done.stdout)["folder"]
    report = json.loads((run / "data.json").read_text())
    assert report["used"] == folder[1]
    reasons = {s["path"]: s["reason"] for s in report["skipped"]}
    broken = {"low/cut.wav", "low/empty.wav", "low/letter.wav", "high/nan.wav", "high/still.wav"}
    assert broken <= set(reasons)
    assert "truncated" in reasons["low/cut.wav"]
    assert "silent" in reasons["high/still.wav"]
    with Image.open(run / "samples" / "step-00000003.png") as sheet:
        assert min(sheet.size) > 50

    terminal.gan("sample", run, "-n", 4, "--out", "new")
    waves = sorted((terminal.folder / "new").glob("sample-*.wav"))
    assert len(waves) == 4
    assert {"low", "high"} == {w.stem.rpartition("-")[2] for w in waves}
    for path in waves:
        samples, rate = soundfile.read(path)
        assert (rate, samples.shape) == (8000, (2048,))
        assert np.abs(samples).max() < 1.0
    assert len(list((terminal.folder / "new").glob("sample-*.png"))) == 4

    again = terminal.gan("run", "--plugin", "audio", "--data", "my sounds", "--steps", 1, *SMALL)
    assert "reading sounds" not in again.stderr  # from the cache


def test_classes_come_from_a_pattern_in_the_name(terminal: Terminal) -> None:
    rate = 8000
    (terminal.folder / "words").mkdir()
    for number in range(12):
        wave = 0.5 * np.sin(2 * np.pi * (300 + 300 * (number % 2)) * np.arange(1500) / rate)
        soundfile.write(terminal.folder / "words" / f"{'no' if number % 2 else 'yes'}_anna_{number}.wav", wave, rate)
    soundfile.write(terminal.folder / "words" / "perhaps.wav", wave, rate)
    pattern = "data.pattern={label}_{speaker}_{index}.wav"
    done = terminal.gan("run", "-p", "audio", "--data", "words", "--steps", 2, "--json", pattern, *SMALL)
    run = terminal.folder / json.loads(done.stdout)["folder"]
    report = json.loads((run / "data.json").read_text())
    assert report["used"] == 12
    assert "mislabelled" in {s["path"]: s["reason"] for s in report["skipped"]}["perhaps.wav"]
    refused = terminal.gan("sample", run, "--class", "maybe", code=2)
    assert "no, yes" in refused.stderr


def test_a_folder_without_sounds_is_an_error_that_says_what_was_looked_for(terminal: Terminal) -> None:
    (terminal.folder / "texts").mkdir()
    (terminal.folder / "texts" / "a.txt").write_text("a")
    failed = terminal.gan("run", "--plugin", "audio", "--data", "texts", *SMALL, code=1)
    assert "no sound could be read" in failed.stderr
    assert "FLAC" in failed.stderr


def test_sizes_that_do_not_fit_are_a_usage_error_with_both_values(terminal: Terminal) -> None:
    (terminal.folder / "texts").mkdir()
    failed = terminal.gan("run", "-p", "audio", "--data", "texts", "data.length=5000", code=2)
    assert "length=5000 must be a multiple of hop=64" in failed.stderr
