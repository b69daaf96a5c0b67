"""What a file holds, found by content: streams that were joined, MP3 whose length nobody tells, names that are wrong."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile
from support.fetching import fetch

from gan_audio.data import mpeg
from gan_audio.data.sounds import Options, open_sounds

RATE = 8000
NOISE = np.random.default_rng(0).integers(-16_384, 16_384, RATE, dtype=np.int16)
FLOATS = NOISE / np.float32(32768)


def encoded(x=NOISE, rate=RATE, **options):
    buffer = io.BytesIO()
    soundfile.write(buffer, x, rate, **options)
    return buffer.getvalue()


def bare(mp3):
    """An MP3 without the frame that tells how many there are."""
    return mp3[mpeg.runs(io.BytesIO(mp3), 0, len(mp3), 60.0)[0].start + first_frame(mp3) :]


def first_frame(mp3):
    return mpeg._frame(io.BytesIO(mp3), 0, len(mp3)).size


def opened(folder, **options):
    plain = {"length": 1024, "fade_ms": 0.0, "representation": "waveform", "long": "split", "silent_db": -200.0}
    return open_sounds(Options(path=folder, **(plain | options)), lambda *_: None)


def heard(folder, **options):
    """All samples of each file, in the order of their names."""
    source = opened(folder, long="crop-start", **options)
    assert source.report.skipped == ()
    ends = zip(source.clips.first.tolist(), source.clips.last.tolist(), strict=True)
    return [source.samples[first:last] / np.float32(32768) for first, last in ends]


WAV, FLAC, OGG, MP3 = (encoded(format=name) for name in ("WAV", "FLAC", "OGG", "MP3"))
OPUS = encoded(format="OGG", subtype="OPUS")


# --- joined streams ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["WAV", "WAVEX", "RF64", "W64", "AIFF", "SVX", "AU", "CAF", "NIST", "FLAC"])
@pytest.mark.parametrize("count", [RATE, 7001])
def test_files_that_were_joined_are_read_one_after_the_other(folder, format, count):
    one = encoded(NOISE[:count], format=format, subtype="PCM_U8" if format == "WAV" else "PCM_16")
    (folder / "a.wav").write_bytes(one * 3)
    [found] = heard(folder)
    assert np.abs(found - np.tile(FLOATS[:count], 3)).max() <= (1 / 128 if format == "WAV" else 0)


@pytest.mark.parametrize("content", [WAV, FLAC, encoded(format="AIFF")])
def test_zeros_between_files_that_were_joined_hide_none_of_them(folder, content):
    (folder / "a.wav").write_bytes(content + bytes(1000) + content)
    [found] = heard(folder)
    assert np.array_equal(found, np.tile(FLOATS, 2))


@pytest.mark.parametrize("content", [WAV, FLAC])
def test_tags_before_and_behind_the_samples_change_nothing(folder, content):
    tag = b"ID3\3\0\0\0\0\x08\0" + bytes(1024)
    (folder / "a.wav").write_bytes(tag + content)
    (folder / "b.wav").write_bytes(content + b"TAG" + b"\xffy" * 62 + b"z")
    for found in heard(folder):
        assert np.array_equal(found, FLOATS)


@pytest.mark.parametrize("content", [OGG, OPUS, MP3])
def test_chained_streams_are_as_long_as_all_of_their_links(folder, content):
    (folder / "a").write_bytes(content)
    (folder / "b").write_bytes(content + content)
    one, two = heard(folder)
    assert len(one) == RATE
    assert np.array_equal(two, np.tile(one, 2))


def test_links_of_other_rates_and_channels_are_resampled_by_themselves(folder):
    tone = 0.5 * np.sin(2 * np.pi * 500 * np.arange(2 * RATE) / 16_000)
    (folder / "a.wav").write_bytes(WAV + encoded(np.stack([tone, tone], axis=1), 16_000, format="WAV"))
    [found] = heard(folder)
    wanted = 0.5 * np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE)
    assert np.abs(found[RATE + 100 : 2 * RATE - 300] - wanted[100 : RATE - 300]).max() < 0.01


def test_recording_ends_before_a_stream_that_is_damaged_and_says_so(folder):
    (folder / "a.wav").write_bytes(WAV + WAV[:5000])
    (folder / "b.flac").write_bytes(FLAC + FLAC[:5000])
    source = opened(folder)
    assert source.groups.bincount().tolist() == [8, 8]
    reasons = {one.path: one.reason for one in source.report.skipped}
    assert reasons["a.wav"].startswith("used in part (stream 2 of 2 in it is truncated (its header promises 16,000")
    assert reasons["b.flac"].startswith("used in part (stream 2 of 2 in it is damaged (")


def test_seconds_are_counted_over_all_streams(folder):
    (folder / "a.flac").write_bytes(FLAC * 3)
    source = opened(folder, max_seconds=1.5, long="crop-start", length=16_384)
    x = fetch(source, 0)[0].flatten().numpy()
    assert np.flatnonzero(x).max() < 12_000
    assert source.report.skipped[0].reason == "used in part (its first 1.5 s, by max_seconds)"


def test_wav_from_a_pipe_ends_where_the_next_begins(folder):
    endless = bytearray(WAV)
    endless[4:8] = endless[40:44] = b"\xff\xff\xff\xff"
    (folder / "a.wav").write_bytes(bytes(endless) + WAV)
    [found] = heard(folder)
    assert np.array_equal(found, np.tile(FLOATS, 2))


# --- MP3 --------------------------------------------------------------------------------------------------------------

APE = b"APETAGEX" + struct.pack("<IIII8x", 2000, 60, 1, 1 << 31 | 1 << 29)
TAGS = {
    "id3v1": b"TAG" + bytes(125),
    "ape": APE + b"\xff\xe0" * 30 + APE,
    "lyrics": b"LYRICSBEGININD0000210LYR00011[00:00]\xff\xfb\x90la00000LYRICS200",
    "zeros": bytes(600),
}


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("told", [True, False])
def test_what_stands_behind_the_last_frame_of_an_mp3_changes_nothing(folder, tag, told):
    content = MP3 if told else bare(MP3)
    (folder / "a.mp3").write_bytes(content)
    (folder / "b.mp3").write_bytes(content + TAGS[tag])
    a, b = heard(folder)
    assert np.array_equal(a, b)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 22_050, 44_100])
def test_mp3_without_a_word_of_its_length_is_read_to_its_end(folder, rate, channels):
    # Loud, then quiet: later frames are smaller, and a decoder that estimates expects fewer of them.
    x = np.random.default_rng(1).uniform(-0.5, 0.5, (2 * rate, channels))
    x[rate:] *= 0.01
    whole = encoded(x, rate, format="MP3")
    frames = mpeg.runs(io.BytesIO(whole), 0, len(whole), 60.0)[0].count - 1
    (folder / "a.mp3").write_bytes(bare(whole))
    (folder / "b.mp3").write_bytes(whole)
    untold, told = heard(folder, sample_rate=rate)
    assert (len(told), len(untold)) == (2 * rate, frames * (1152 if rate > 32_000 else 576))
    # An encoder begins 1105 samples late, which only the frame that was taken away tells.
    assert np.abs(untold[1105 : 1105 + 2 * rate] - told).max() < 1e-4


def test_mp3_parts_with_tags_and_junk_between_them_are_all_read(folder):
    id3 = b"ID3\x04\0\0" + bytes([0, 0, 8, 0]) + b"\xff" * 1024
    part = bare(MP3)
    (folder / "a.mp3").write_bytes(part)
    (folder / "b.mp3").write_bytes(id3 + part + TAGS["id3v1"] + b"junk" * 50 + id3 + part)
    (folder / "c.mp3").write_bytes(MP3 + part)
    (folder / "d.mp3").write_bytes(b"<html>" * 50 + part)
    found = heard(folder)
    assert [len(x) for x in found] == [9216, 2 * 9216, RATE + 9216, 9216]
    assert np.array_equal(found[1], np.tile(found[0], 2))
    assert np.array_equal(found[2][RATE:], found[0])
    assert np.array_equal(found[3], found[0])


def test_truncated_mp3_is_told_where_its_header_says_how_long_it_was(folder):
    (folder / "a.mp3").write_bytes(MP3)
    (folder / "b.mp3").write_bytes(MP3[: len(MP3) // 2])
    [skipped] = opened(folder).report.skipped
    assert skipped.reason == "truncated (its header promises 16 frames, 6 are there)"


def mp3_in_wav(mp3):
    format = struct.pack("<HHIIHHHHIHHH", 0x55, 1, RATE, 4000, 1, 0, 12, 1, 2, 144, 1, 1393)
    body = b"WAVEfmt " + struct.pack("<I", len(format)) + format + b"data" + struct.pack("<I", len(mp3)) + mp3
    body += b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf58.29.100\0"
    return b"RIFF" + struct.pack("<I", len(body)) + body


def test_mp3_inside_a_wav_is_read_as_the_mp3_is(folder):
    part = bare(MP3)
    part += bytes(len(part) % 2)
    (folder / "a.mp3").write_bytes(part)
    (folder / "b.wav").write_bytes(mp3_in_wav(part))
    a, b = heard(folder)
    assert np.array_equal(a, b)


# --- names ------------------------------------------------------------------------------------------------------------


def test_the_name_of_a_file_does_not_say_what_is_in_it(folder):
    names = {"a.mp3": WAV, "b.wav": OGG, "c.flac": MP3, "d.ogg": FLAC, "e.m4a": WAV, "f": WAV, "g": MP3, "h": FLAC}
    for name, content in names.items():
        (folder / name).write_bytes(content)
    (folder / "README").write_text("These are sounds.")
    (folder / "LICENSE").write_bytes(b"\xff\xfb" * 200)
    found = dict(zip(names, heard(folder), strict=True))
    for name in "defh":
        same = next(key for key in names if key[0] == name)
        assert np.array_equal(found[same], found["a.mp3"]), same
    assert np.array_equal(found["c.flac"], found["g"])


def test_sound_that_only_ffmpeg_knows_is_found_by_content(folder, monkeypatch):
    import audioread

    monkeypatch.setattr(audioread, "BACKENDS", [])
    (folder / "a.wav").write_bytes(WAV)
    (folder / "b.mp3").write_bytes(b"\x00\x00\x00\x20ftypM4A " + bytes(500))
    (folder / "c.wav").write_bytes(b"\xff\xf1\x50\x80" + bytes(500))
    reasons = {one.path: one.reason for one in opened(folder).report.skipped}
    assert set(reasons) == {"b.mp3", "c.wav"}
    assert all("needs ffmpeg" in reason for reason in reasons.values())


@pytest.mark.parametrize("format", ["RF64", "W64", "SVX", "CAF", "NIST"])
def test_half_of_a_rarer_container_is_truncated_too(folder, format):
    (folder / "a.wav").write_bytes(WAV)
    whole = encoded(format=format)
    (folder / "b.wav").write_bytes(whole[: len(whole) // 2])
    [skipped] = opened(folder).report.skipped
    assert skipped.reason.startswith("truncated (its header promises 16,")


def test_flac_that_does_not_tell_its_length_is_read_whole(folder):
    content = bytearray(FLAC)
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    (folder / "a.flac").write_bytes(content)
    (folder / "b.flac").write_bytes(FLAC)
    a, b = heard(folder)
    assert np.array_equal(a, b)
