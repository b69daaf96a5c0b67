"""Files that lie, and folders without music: each is named with a reason, and none takes much memory."""

from __future__ import annotations

import random

import pytest
from support.midi import chunk, midi_file, quantity

from gan_music.data.midi import Options, open_midi
from gan_music.data.reading import MAX_BYTES, read_tune
from gancore.errors import DataError, UsageError

TUNE = midi_file(
    [(n * 240, 240, 60 + n % 12) for n in range(64)],
    [(n * 1920, 1920, 48) for n in range(8)],
    meters=[(0, 4, 4)],
    tempos=[(0, 500_000)],
    names=(b"melody", b"chords"),
)


def open_(path, **options):
    return open_midi(Options(path=path, **({"tracks": "merged", "bars": 1} | options)), lambda *_: None)


def truncated(data, rng):
    return data[: rng.randrange(len(data))]


def rotten(data, rng):
    rotted = bytearray(data)
    for _ in range(rng.randint(1, 20)):
        rotted[rng.randrange(len(rotted))] = rng.randrange(256)
    return bytes(rotted)


def wrong_track_count(data, rng):
    return data[:10] + rng.choice([0, 1, 2, 4, 7, 300, 65535]).to_bytes(2, "big") + data[12:]


def no_resolution(data, rng):
    return data[:12] + b"\0\0" + data[14:]


def no_header(data, rng):
    return data[rng.randint(1, 30) :]


def lying_length(data, rng):
    at = data.index(b"MTrk", rng.choice([0, 60])) + 4
    return data[:at] + rng.choice([0, 1, 17, 2**16, 2**31 - 1, 2**32 - 1]).to_bytes(4, "big") + data[at + 4 :]


DAMAGES = (truncated, rotten, wrong_track_count, no_resolution, no_header, lying_length)


def test_six_hundred_corrupted_files_are_each_used_or_listed_with_a_reason(tmp_path):
    (tmp_path / "good.mid").write_bytes(TUNE)
    names = {"good.mid"}
    for damage in DAMAGES:
        for seed in range(100):
            name = f"{damage.__name__}-{seed:02}.mid"
            (tmp_path / name).write_bytes(damage(TUNE, random.Random(seed)))
            names.add(name)
    source = open_(tmp_path)
    skipped = {one.path: one.reason for one in source.report.skipped if not one.reason.startswith("in part")}
    assert source.report.found == len(names) == 601
    assert set(source.names) | set(skipped) == names
    assert not set(source.names) & set(skipped)
    assert "good.mid" in source.names
    assert all(skipped.values())
    # What cannot be meant as music is never taken for it.
    hopeless = {name for name in names if name.startswith(("no_resolution", "no_header"))}
    assert hopeless <= set(skipped)


def far_apart(count=20):
    """Notes with the longest wait that MIDI can write before each: the parser's ticks saturate."""
    wait = quantity(0x0FFFFFFF)
    body = b"".join(wait + bytes([0x90, 60, 90]) + b"\x60" + bytes([0x80, 60, 0]) for _ in range(count))
    body += b"\0\xff\x2f\0"
    return b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk" + len(body).to_bytes(4, "big") + body


def never_ended(count):
    """Notes one after the other that all end together after 9,000 quarter notes."""
    notes = [(n * 10, 9_000 * 480, n % 128) for n in range(count)]
    return midi_file(notes)


def too_many():
    body = b"\0\x90\x3c\x40\1\x80\x3c\0" * 1_000_001 + b"\0\xff\x2f\0"
    return b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk" + len(body).to_bytes(4, "big") + body


BOMBS = {
    "far": (far_apart(), "it lasts longer than 10,000 quarter notes"),
    "endless": (never_ended(2_000), "its notes sound so long that they were hardly meant to"),
    "many": (too_many(), "it holds 1,000,001 notes; at most 1,000,000 are read"),
    "nothing": (b"", "empty"),
    "text": (b"no music here", "not a MIDI file"),
    "silent": (midi_file([]), "it holds no notes"),
    "trackless": (b"MThd\0\0\0\6\0\1\0\0\1\xe0", "it holds no notes"),
    "smpte": (TUNE[:12] + b"\xe7\x28" + TUNE[14:], "its times are in seconds (SMPTE), not in quarter notes"),
    "unresolved": (TUNE[:12] + b"\0\0" + TUNE[14:], "it has 0 ticks in a quarter note"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_file_that_lies_is_listed_with_its_reason(tmp_path, name):
    data, reason = BOMBS[name]
    (tmp_path / "good.mid").write_bytes(TUNE)
    (tmp_path / "lie.mid").write_bytes(data)
    source = open_(tmp_path, stride=1)
    assert source.names == ("good.mid",)
    assert [(one.path, one.reason) for one in source.report.skipped] == [("lie.mid", reason)]


def test_bombs_take_little_memory(tmp_path, fresh_python):
    folder = tmp_path / "bombs"
    folder.mkdir()
    (folder / "good.mid").write_bytes(TUNE)
    for n in range(30):
        (folder / f"far-{n}.mid").write_bytes(far_apart())
        (folder / f"endless-{n}.mid").write_bytes(BOMBS["endless"][0])
    (folder / "many.mid").write_bytes(BOMBS["many"][0])
    with open(folder / "huge.mid", "wb") as file:
        file.write(TUNE)
        file.truncate(MAX_BYTES + 1)
    printed = fresh_python(f"""
        import resource
        from gan_music.data.midi import Options, open_midi
        peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        before = peak()
        source = open_midi(Options(path={str(folder)!r}, tracks="merged", bars=1), lambda *_: None)
        print(len(source.names), len(source.report.skipped), peak() - before)
    """)
    used, skipped, grown = map(int, printed.split())
    assert (used, skipped) == (1, 62)
    assert grown < 400, f"reading took {grown} MiB"


def test_payload_beyond_seven_bits_is_read_on_the_second_try(tmp_path):
    # A velocity of 200 instead of 90 in the first note.
    data = TUNE.replace(bytes([0x90, 60, 90]), bytes([0x90, 60, 200]), 1)
    assert data != TUNE
    assert read_tune(data).note_count == read_tune(TUNE).note_count == 72


def test_riff_wrapper_is_looked_through():
    wrapped = b"RIFF" + (len(TUNE) + 12).to_bytes(4, "little") + b"RMIDdata" + len(TUNE).to_bytes(4, "little") + TUNE
    assert read_tune(wrapped).note_count == 72


def test_other_chunks_may_stand_before_the_tune_in_a_riff_wrapper():
    listed = b"LIST" + (15).to_bytes(4, "little") + b"INFOINAM\3\0\0\0abc" + b"\0"
    body = b"RMID" + listed + b"data" + len(TUNE).to_bytes(4, "little") + TUNE
    assert read_tune(b"RIFF" + len(body).to_bytes(4, "little") + body).note_count == 72


def test_tracks_that_the_header_does_not_count_are_read():
    tracks = int.from_bytes(TUNE[10:12], "big")
    assert tracks > 1
    assert read_tune(TUNE[:10] + b"\0\1" + TUNE[12:]).note_count == 72


def test_tune_that_others_follow_in_one_file_is_used_in_part_and_said_to_be(tmp_path):
    (tmp_path / "a.mid").write_bytes(TUNE + TUNE)
    source = open_(tmp_path)
    assert source.names == ("a.mid",)
    reasons = [one.reason for one in source.report.skipped]
    assert reasons == ["in part: other MIDI files follow the first one in it"]


def test_types_beyond_2_are_refused_in_words():
    with pytest.raises(DataError, match=r"^it is of type 259; only types 0 and 1 are read$"):
        read_tune(TUNE[:8] + b"\1\3" + TUNE[10:])


def test_meter_and_tempo_of_nothing_do_no_harm(tmp_path):
    head = chunk([(0, b"\xff\x58\x04\0\xff\x18\x08"), (0, b"\xff\x51\x03\0\0\0")])
    notes = chunk([(0, bytes([0x90, 60, 90])), (480, bytes([0x80, 60, 0]))])
    (tmp_path / "a.mid").write_bytes(b"MThd\0\0\0\6\0\1\0\2\1\xe0" + head + notes)
    (tmp_path / "good.mid").write_bytes(TUNE)
    source = open_(tmp_path)
    assert source.names == ("good.mid",)
    assert "not 4/4" in source.report.skipped[0].reason


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "0 files examined; there are no files"),
        ({"a.txt": b"words"}, "1 file examined; first problem: a.txt: not a MIDI file"),
        ({"a.mid": TUNE[:40], "b.mid": b""}, "2 files examined; first problem: a.mid: damaged"),
    ],
)
def test_folder_without_music_is_an_error_that_names_it(tmp_path, content, words):
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=words) as error:
        open_(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_missing_path_is_a_usage_error_and_a_single_file_is_read(tmp_path):
    (tmp_path / "a.mid").write_bytes(TUNE)
    for name in ("nowhere", "nowhere.mid"):
        with pytest.raises(UsageError, match=name):
            open_(tmp_path / name)
    assert len(open_(tmp_path / "a.mid")) == len(open_(tmp_path))


def test_file_that_shrinks_or_vanishes_is_listed(tmp_path, monkeypatch):
    (tmp_path / "a.mid").write_bytes(TUNE)
    (tmp_path / "b.mid").write_bytes(TUNE)
    from gan_music.data import midi

    tree = midi.scan(tmp_path)
    (tmp_path / "b.mid").unlink()
    monkeypatch.setattr(midi, "scan", lambda *_, **__: tree)
    source = open_(tmp_path)
    assert [(one.path, one.reason) for one in source.report.skipped] == [("b.mid", "no longer there")]
