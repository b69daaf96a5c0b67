"""The tracks of a file stay whole: instruments that change, names in any encoding, and types of files."""

from __future__ import annotations

import io
import random
from collections import Counter, defaultdict

import mido
import pytest
from support.midi import chunk, midi_file, quantity

from gan_music.data.chunks import whole_tracks
from gan_music.data.given import rest_until
from gan_music.data.midi import Options, open_midi
from gan_music.data.reading import read_tune
from gancore.errors import DataError

BEAT = 480
PICCOLO, VIOLIN, ORGAN = 72, 40, 19


def file(*chunks, kind=1):
    return b"MThd\0\0\0\6" + kind.to_bytes(2, "big") + len(chunks).to_bytes(2, "big") + b"\1\xe0" + b"".join(chunks)


def raw(body):
    body += b"\0\xff\x2f\0"
    return b"MTrk" + len(body).to_bytes(4, "big") + body


def note(tick, pitch, channel=0, duration=BEAT):
    return [(tick, bytes([0x90 | channel, pitch, 90])), (tick + duration, bytes([0x80 | channel, pitch, 0]))]


def notes(count, pitch=60, channel=0, first=0):
    return [event for n in range(count) for event in note(first + n * BEAT, pitch + n % 12, channel)]


def program(tick, number, channel=0):
    return [(tick, bytes([0xC0 | channel, number]))]


def parts_of(data, **options):
    return [(part.program, len(part)) for part in read_tune(data, **options).parts]


# --- programs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [16 * BEAT, 1 * BEAT])
def test_track_whose_instrument_changes_is_one_track_of_its_phrases(tmp_path, change):
    melody = chunk(program(0, VIOLIN) + program(change, PICCOLO) + notes(32, 60))
    chords = chunk(program(0, ORGAN, 1) + notes(32, 40, 1))
    (tmp_path / "a.mid").write_bytes(file(melody, chords))
    source = open_midi(Options(path=tmp_path, bars=4), lambda *_: None)
    assert [track.program for track in source.spec.tracks] == [VIOLIN if change > 15 * BEAT else PICCOLO, ORGAN]
    for phrase in range(2):
        held, _ = source.phrases.gather(source.phrases.tune[:1] * 0 + phrase)
        assert {(t, p >= 60) for t, p in zip(held.track.tolist(), held.pitch.tolist(), strict=True)} == {
            (0, True),
            (1, False),
        }
        assert Counter(held.track.tolist()) == {0: 16, 1: 16}


def test_first_note_before_any_program_belongs_to_its_track():
    data = file(chunk(note(0, 60) + program(BEAT, PICCOLO) + notes(15, 61, first=BEAT)))
    assert parts_of(data) == [(PICCOLO, 16)]


def test_program_of_a_track_is_that_of_most_of_its_notes():
    data = file(
        chunk(
            program(0, VIOLIN) + notes(3) + program(3 * BEAT, ORGAN) + notes(9, first=3 * BEAT) + program(12 * BEAT, 5)
        )
    )
    assert parts_of(data) == [(ORGAN, 12)]


def test_tracks_by_program_take_each_note_by_the_program_it_is_played_with(tmp_path):
    data = file(chunk(program(0, 0) + notes(8) + program(8 * BEAT, 33) + notes(8, 40, first=8 * BEAT)))
    assert parts_of(data, by_program=True) == [(0, 8), (33, 8)]
    (tmp_path / "a.mid").write_bytes(data)
    source = open_midi(Options(path=tmp_path, tracks="program", names=("bass", "piano")), lambda *_: None)
    assert Counter(source.phrases.track.tolist()) == {0: 8, 1: 8}


def test_note_that_ends_after_the_instrument_has_changed_keeps_its_length():
    data = file(chunk(program(0, 1) + note(0, 60, duration=3 * BEAT) + program(BEAT, 2) + note(2 * BEAT, 64)))
    [part] = read_tune(data).parts
    assert list(zip(part.start.tolist(), part.duration.tolist(), strict=True)) == [(0, 3 * BEAT), (2 * BEAT, BEAT)]


def test_bank_sysex_and_running_status_around_a_change_lose_no_note():
    body = (
        b"\0\xb0\x00\x01\0\x20\x02\0\xc0\x05"  # bank select, its second part without a status, and a program
        b"\0\x90\x3c\x40\x60\x3c\0"  # a note that ends by velocity 0
        b"\0\xf0\x05\xc0\x07\x90\x40\xf7"  # bytes in it look like programs and notes
        b"\0\xff\x01\x04\xc1\x09\x91\x3c"
        b"\0\xc0\x07\0\x09"  # two programs, the second without a status
        b"\0\x90\x3e\x40\x83\x60\x3e\0\0\xff\x06\x01A\x10\x40\x40\x20\x40\0"  # a marker between the note's events
    )
    tune = read_tune(file(raw(body)))
    [part] = tune.parts
    assert part.pitch.tolist() == [0x3C, 0x3E, 0x40]
    assert part.program == 9


def test_wait_that_looks_like_a_program_is_left_alone():
    body = b"\0\xc0\x05\0\x90\x3c\x40\xc5\x20\x80\x3c\0"
    data = file(raw(body))
    assert whole_tracks(data) is data
    assert read_tune(data).parts[0].duration.tolist() == [(0x45 << 7) + 0x20]


def test_drums_that_change_their_kit_are_one_track():
    data = file(chunk(notes(4, 36, 9) + program(4 * BEAT, 25, 9) + notes(4, 36, 9, 4 * BEAT)))
    [part] = read_tune(data).parts
    assert (part.drums, len(part)) == (True, 8)


def test_channels_are_the_tracks_of_a_file_of_type_0_and_of_one_track_with_several():
    events = program(0, 3, 4) + notes(8, 60, 4) + notes(8, 40, 2) + program(4 * BEAT, 7, 4) + program(5 * BEAT, 8, 2)
    for kind in (0, 1):
        assert [(len(part), int(part.pitch.min())) for part in read_tune(file(chunk(events), kind=kind)).parts] == [
            (8, 40),
            (8, 60),
        ]


def test_two_tracks_on_one_channel_stay_two():
    data = file(chunk(notes(4) + program(BEAT, 9)), chunk(notes(5, 40)))
    assert [count for _, count in parts_of(data)] == [4, 5]


def random_events(rng):
    """Notes on several channels that overlap, programs at any time, and other events between them."""
    events = []
    for channel in rng.sample(range(16), rng.randint(1, 3)):
        for _ in range(rng.randint(1, 20)):
            events += note(rng.randrange(5000), rng.randrange(128), channel, rng.randint(1, 20_000))
        for _ in range(rng.randint(0, 3)):
            events += program(rng.randrange(5000), rng.randrange(128), channel)
    for _ in range(rng.randint(0, 5)):
        other = (
            b"\xb0\x07\x40",
            b"\xe1\x00\x40",
            b"\xd2\x11",
            b"\xf0\x03\x10\x40\xf7",
            b"\xff\x01\x03\xc0\x90\x3c",
            b"\xff\x03\x01x",
        )
        events.append((rng.randrange(5000), rng.choice(other)))
    return events


def written(events, running):
    body, now, status = b"", 0, None
    for tick, message in sorted(events, key=lambda event: (event[0], event[1][0] >> 4 != 8)):
        shown = message[1:] if running and message[0] == status else message
        body += quantity(tick - now) + shown
        status = message[0] if message[0] < 0xF0 else None
        now = tick
    return raw(body)


@pytest.mark.parametrize("running", [False, True])
def test_notes_of_random_files_are_those_that_another_library_finds_by_track_and_channel(running):
    rng = random.Random(4)
    for _ in range(150):
        data = file(*(written(random_events(rng), running) for _ in range(rng.randint(1, 3))))
        expected = []
        for track in mido.MidiFile(file=io.BytesIO(data)).tracks:
            now, begun, own = 0, defaultdict(list), defaultdict(list)
            for message in track:
                now += message.time
                if message.type == "note_on" and message.velocity:
                    begun[message.channel, message.note].append(now)
                elif message.type in ("note_on", "note_off") and begun[message.channel, message.note]:
                    start = begun[message.channel, message.note].pop(0)
                    own[message.channel].append((start, now - start, message.note))
            expected += [sorted(own[channel]) for channel in sorted(own)]
        found = [
            sorted(zip(part.start.tolist(), part.duration.tolist(), part.pitch.tolist(), strict=True))
            for part in read_tune(data).parts
        ]
        assert found == expected


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("Mélodie à deux", "latin-1"),
        ("Gitarre (Höhe)", "cp1252"),
        ("メロディ", "cp932"),
        ("Мелодия", "cp1251"),
        ("Melody", "utf-16"),
        ("Melody", "utf-16-le"),
        ("Melody", "utf-16-be"),
        ("Мелодия", "utf-16"),
        ("Mélodie", "utf-8"),
        ("Melody", "utf-8-sig"),
        ("主旋律", "gb18030"),
        ("멜로디", "cp949"),
    ],
)
def test_name_in_another_encoding_is_read(tmp_path, name, encoding):
    data = midi_file(
        [(n * BEAT, BEAT, 60) for n in range(16)],
        [(n * BEAT, BEAT, 40) for n in range(16)],
        names=(b"other", name.encode(encoding)),
    )
    assert [part.name for part in read_tune(data).parts] == ["other", name]
    (tmp_path / "a.mid").write_bytes(data)
    source = open_midi(Options(path=tmp_path, tracks="name", names=(name.upper(),)), lambda *_: None)
    assert set(source.phrases.pitch.tolist()) == {40}


def test_name_of_bytes_that_are_no_text_is_kept_in_part():
    data = midi_file([(0, BEAT, 60)], names=(b"lead \x81\x8d\xff 2",))
    [part] = read_tune(data).parts
    assert part.name.startswith("lead ")
    assert part.name.endswith(" 2")


def test_name_beside_a_change_of_program_is_read_too():
    events = [(0, b"\xff\x03\x04\xd1\xee\xeb\xee"), *notes(4), *program(BEAT, 3)]
    assert [(part.name, len(part)) for part in read_tune(file(chunk(events))).parts] == [("Соло", 4)]


# --- types and tempos -------------------------------------------------------------------------------------------------


def test_type_2_is_refused_in_words(tmp_path):
    data = file(chunk(notes(16)), chunk(notes(16, 40)), kind=2)
    with pytest.raises(DataError, match="type 2, a set of independent patterns; only types 0 and 1 are read"):
        read_tune(data)
    (tmp_path / "a.mid").write_bytes(data)
    with pytest.raises(DataError, match=r"a\.mid: it is of type 2"):
        open_midi(Options(path=tmp_path), lambda *_: None)


@pytest.mark.parametrize("later", [0, 100])
def test_of_two_tempos_at_one_tick_the_last_holds(later):
    tempos = [(0, 500_000), (0, 1_000_000), (0, 600_000), *((n * BEAT, 300_000 + n) for n in range(1, later))]
    assert read_tune(midi_file([(0, BEAT, 60)], tempos=tempos)).tempo == 100.0
    assert read_tune(midi_file([(0, BEAT, 60)], tempos=[(0, 600_000), (0, 0), (BEAT, 500_000)])).tempo == 100.0


def test_rest_after_a_text_between_events_of_one_status_is_found():
    body = b"\0\x90\x3c\x40\0\xff\x01\x02hi\x60\x3c\0\x83\x60\xff\x2f\0"
    assert rest_until(file(b"MTrk" + len(body).to_bytes(4, "big") + body)) == 0x60 + 480
