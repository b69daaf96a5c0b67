"""Files that lie, and folders without sound: each is named with a reason, and none takes much memory or time."""

from __future__ import annotations

import random
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
import soundfile
import torch
from support.fetching import fetch

from gan_audio.data.sounds import Options, open_sounds
from gancore.errors import DataError, UsageError

NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, 6000).astype(np.float32)


@pytest.fixture
def folder(folder):
    """With one good file in it."""
    soundfile.write(folder / "good.wav", NOISE, 8000)
    return folder


def open_(path, **options):
    return open_sounds(Options(path=path, **({"length": 1024} | options)), lambda *_: None)


def reasons(path, **options):
    """Why files beside the good one were skipped, by name; it must still be there, and finite."""
    source = open_(path, **options)
    assert bool(torch.isfinite(fetch(source)[0]).all())
    assert source.report.found == len([f for f in path.iterdir() if f.is_file()])
    return {one.path: one.reason for one in source.report.skipped}


def wav(data, *, channels=1, rate=8000, claimed=None, encoding=1, bits=16):
    """A WAV file of these bytes of samples, with a header that says what it likes."""
    block = max(1, channels * bits // 8)
    head = struct.pack("<HHIIHH", encoding, channels, rate, min(rate * block, 2**32 - 1), min(block, 65535), bits)
    length = len(data) if claimed is None else claimed
    body = b"WAVEfmt " + struct.pack("<I", 16) + head + b"data" + struct.pack("<I", length) + data
    return b"RIFF" + struct.pack("<I", min(len(body), 2**32 - 1)) + body


SAMPLES = (NOISE[:2000] * 32767).astype("<i2").tobytes()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.wav", b"", "empty"),
        ("a.wav", wav(b""), "without a single sample"),
        ("a.wav", b"To whom it may concern: this is a letter.", "not a sound file of a known format"),
        ("a.mp3", b"<html>404 not found</html>" * 50, "not a sound file of a known format"),
        ("a.flac", random.Random(1).randbytes(3000), "not a sound file of a known format"),
        ("a.wav", wav(SAMPLES)[:1000], "truncated (its header promises 4,000 bytes of sound, 956 are there)"),
        ("a.wav", wav(SAMPLES, claimed=2_000_000_000), "truncated (its header promises 2,000,000,000 bytes"),
        ("a.wav", wav(SAMPLES, channels=0), "damaged ("),
        ("a.wav", wav(SAMPLES, channels=100), "without usable sound (100 channels)"),
        ("a.wav", wav(SAMPLES, rate=7), "without a usable sample rate (7 Hz)"),
        ("a.wav", wav(SAMPLES, rate=2**31 - 1), "without a usable sample rate (2,147,483,647 Hz)"),
        ("a.wav", wav(bytes(4000)), "silent ("),
        ("a.wav", wav(b"\x01\x00" * 2000), "silent ("),
    ],
)
def test_unusable_file_is_listed_with_the_reason(folder, name, content, reason):
    (folder / name).write_bytes(content)
    assert reasons(folder)[name].startswith(reason)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channels", [1, 2])
def test_sound_with_a_value_that_is_no_number_is_listed(folder, value, channels):
    x = np.repeat(NOISE[:, None], channels, axis=1)
    x[3000, 0] = value
    soundfile.write(folder / "a.wav", x, 8000, subtype="FLOAT")
    assert reasons(folder) == {"a.wav": "without usable sound (it holds values that are not finite numbers)"}


def test_infinities_of_both_signs_do_not_hide_each_other(folder):
    x = np.stack([NOISE, NOISE], axis=1)
    x[10] = np.inf, -np.inf
    soundfile.write(folder / "a.wav", x, 8000, subtype="FLOAT")
    assert "not finite" in reasons(folder)["a.wav"]


@pytest.mark.parametrize("format", ["WAV", "AIFF", "FLAC", "OGG", "AU"])
def test_half_a_file_is_listed_as_truncated_or_damaged(folder, format):
    path = folder / f"a.{format.lower()}"
    soundfile.write(path, np.tile(NOISE, 20), 8000, format=format)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert reasons(folder)[path.name].startswith(("truncated (", "damaged ("))


@pytest.mark.parametrize("claimed", [2**32 - 1, 0x7FFFFFFF, 0x7FFFF000])
def test_file_written_into_a_pipe_is_used_for_what_it_holds(folder, claimed):
    (folder / "a.wav").write_bytes(wav(SAMPLES, claimed=claimed))
    source = open_(folder)
    assert (len(source), source.report.skipped) == (2, ())
    wanted = (NOISE[:1024] * 32767).astype("<i2") / np.float32(32768.0)
    first = fetch(open_(folder, long="crop-start", fade_ms=0.0), 0)[0]
    assert np.array_equal(first[0, 0].numpy(), wanted)


def test_missing_byte_of_padding_is_no_damage(folder):
    (folder / "a.wav").write_bytes(wav(b"\x80\x90\x70" * 401, bits=8)[:-1] + b"")
    soundfile.write(folder / "odd.wav", NOISE[:1001], 8000, subtype="PCM_U8")
    content = (folder / "odd.wav").read_bytes()
    (folder / "odd.wav").write_bytes(content[:-1])
    assert open_(folder).report.skipped == ()


def test_silence_is_kept_where_that_was_asked_for(folder):
    (folder / "a.wav").write_bytes(wav(b"\x01\x00" * 2000))
    assert reasons(folder, silent_db=-100.0) == {}


def test_header_that_claims_billions_of_samples_takes_no_memory(folder):
    soundfile.write(folder / "bomb.flac", NOISE, 8000)
    content = bytearray((folder / "bomb.flac").read_bytes())
    # The number of samples is the 36 bits from the middle of byte 21 of the file on.
    content[21] |= 0x0F
    content[22:26] = b"\xff\xff\xff\xff"
    (folder / "bomb.flac").write_bytes(content)
    assert soundfile.info(folder / "bomb.flac").frames == 2**36 - 1
    (folder / "pipe.wav").write_bytes(wav(SAMPLES, claimed=2**32 - 1))
    open_(folder, cache=False)
    tracemalloc.start()
    try:
        said = reasons(folder, cache=False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * 2**20
    assert list(said) == ["bomb.flac"]
    assert said["bomb.flac"].startswith(("truncated (", "damaged ("))


def test_bomb_in_an_archive_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("gan_audio.data.sounds.MAX_ENTRY_BYTES", 2**20)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.wav", wav(bytes(2**20)))
        archive.writestr("good.wav", wav(SAMPLES))
    report = open_(tmp_path / "a.zip").report
    assert [(one.path, one.reason) for one in report.skipped] == [("bomb.wav", "larger than 1 MiB")]


def test_hundreds_of_corrupted_files_are_each_used_or_listed(folder):
    rng = random.Random(7)
    for format in ("WAV", "FLAC", "OGG", "AIFF", "MP3"):
        soundfile.write(folder / f"x.{format.lower()}", NOISE[:3000], 8000, format=format)
        content = (folder / f"x.{format.lower()}").read_bytes()
        (folder / f"x.{format.lower()}").unlink()
        for number in range(40):
            rotten = bytearray(content)
            for _ in range(rng.randint(1, 12)):
                # Headers are short, and most of what can go wrong is there.
                rotten[rng.randrange(rng.choice([100, len(rotten)]))] = rng.randrange(256)
            (folder / f"{number}.{format.lower()}").write_bytes(rotten)
    source = open_(folder, long="split")
    listed = {one.path for one in source.report.skipped}
    used = {f.name for f in folder.iterdir()} - listed
    assert source.report.found == 201
    assert "good.wav" in used
    assert len(listed) > 10
    x, _ = fetch(source)
    assert bool(torch.isfinite(x).all())
    assert x.abs().max() <= 1.0


def test_file_for_ffmpeg_says_so_where_there_is_none(folder, monkeypatch):
    import audioread

    def deaf(path):
        raise audioread.DecodeError

    monkeypatch.setattr(audioread, "BACKENDS", [deaf])
    (folder / "a.m4a").write_bytes(b"\x00\x00\x00\x20ftypM4A " + bytes(500))
    assert reasons(folder)["a.m4a"] == "of a format that needs ffmpeg, which is not installed or cannot read it"


def test_file_that_cannot_be_read_now_is_looked_at_again(folder, monkeypatch):
    soundfile.write(folder / "late.wav", NOISE, 8000)
    (folder / "late.wav").rename(folder / "aside.bin")
    (folder / "late.wav").symlink_to(folder / "aside.bin")
    from gancore.data import files

    opened = files._Folder.open

    def refuse(self, key):
        if key == "late.wav":
            raise PermissionError(13, "Permission denied")
        return opened(self, key)

    with monkeypatch.context() as patch:
        patch.setattr(files._Folder, "open", refuse)
        report = open_(folder).report
        assert {one.path: one.reason for one in report.skipped} == {"late.wav": "unreadable (permission denied)"}
    assert open_(folder).report.used == 2


def test_folder_of_nothing_usable_is_an_error_that_says_what_was_looked_for(tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(DataError, match=r"no sound could be read.*none has the suffix of a sound.*WAV, FLAC"):
        open_(tmp_path / "data")
    (tmp_path / "data" / "b.wav").write_bytes(b"")
    (tmp_path / "data" / "c.wav").write_bytes(wav(bytes(100)))
    with pytest.raises(DataError, match=r"2 sound files examined; first problem: b\.wav: empty"):
        open_(tmp_path / "data")


def test_files_of_which_none_has_the_right_name_are_an_error(folder):
    with pytest.raises(DataError, match=r"first problem: good\.wav: mislabelled"):
        open_(folder, pattern="{label}_{index}")


def test_path_that_is_no_folder_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="recordings"):
        open_(tmp_path / "missing")
