"""A melody from a MIDI file: every note on the grid, every bar kept, in the right track, and errors that say what to do."""

from __future__ import annotations

import random

import mido
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.midi import midi_file, played

from gan_music.data import given as module
from gan_music.data.given import MidiReader, rest_until
from gan_music.data.keys import KEYS
from gan_music.roll import to_notes
from gan_music.spec import HELD, ONSET, MusicSpec, Track
from gan_music.writers.midi import MidiOptions, MidiWriter
from gancore.configuration.configure import configure
from gancore.errors import ConfigError, DataError, GanError, UsageError
from gancore.plugins import Registry

MELODY, CHORDS, BASS, DRUMS = (
    Track(name="melody"),
    Track(name="chords"),
    Track(name="bass"),
    Track(name="drums", drums=True),
)
BAND = (MELODY, CHORDS, BASS, DRUMS)
QUARTER = 480


def band(*names, tracks=BAND, **more):
    """Phrases of one bar of 4/4 in eighths, C2 to B5."""
    how = {"bars": 1, "steps_per_beat": 2, "lowest": 36, "pitches": 48}
    return MusicSpec.of(tracks, **{**how, **more}, given=names)


@pytest.fixture
def read(tmp_path):
    """What a file with this content gives."""

    def reader(spec, content):
        path = tmp_path / "given.mid"
        path.write_bytes(content)
        return MidiReader(spec).read(path)

    return reader


def notes_of(rolls, track):
    """(phrase, start, duration, pitch) of every note of a track, each phrase for itself."""
    spec = band("melody", bars=rolls.shape[2] // 8)
    found = []
    for phrase, roll in enumerate(rolls.numpy()):
        notes = to_notes(roll, spec)
        rows = zip(notes.track, notes.start, notes.duration, notes.pitch, strict=True)
        found += [(phrase, int(s), int(d), int(p)) for t, s, d, p in rows if t == track]
    return found


# --- the spec ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("lead",), "'lead' is not the name of one track; tracks are melody, chords, bass, drums"),
        (("bass", "bass"), "named twice"),
        (("melody", "chords", "bass", "drums"), "none is left to make"),
    ],
)
def test_what_cannot_be_given_is_refused(names, words):
    with pytest.raises(ValidationError, match=words):
        band(*names)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("melody,melody", "data.given: must name each track once"),
        ("melody,chords,bass,drums", "data.given: must be a list of up to 3 of melody, chords, bass, drums, not"),
    ],
)
def test_what_the_built_in_tunes_cannot_give_is_a_mistake_in_words(names, words):
    with pytest.raises(ConfigError, match=words):
        configure(Registry(), plugin="music", layers=[{"data": {"name": "tunes", "given": names}}])


@pytest.mark.parametrize(("velocities", "planes"), [(1, 2), (4, 3)])
def test_planes_of_given_tracks_are_given_in_the_order_of_the_tracks(velocities, planes):
    spec = band("drums", "chords", velocities=velocities)
    relaxed = torch.arange(2 * 4 * planes * 8 * 48, dtype=torch.float32).view(2, 4 * planes, 8, 48)
    part = spec.given_part(relaxed)
    assert part.shape[1:] == spec.given_shape == (2 * planes, 8, 48)
    assert torch.equal(part, relaxed[:, [*range(planes, 2 * planes), *range(3 * planes, 4 * planes)]])


def test_nothing_is_given_unless_a_track_is_named():
    spec = band()
    assert spec.given_shape is None
    assert spec.given_part(torch.zeros(1, *spec.shape)) is None
    assert MusicSpec.model_validate({k: v for k, v in spec.model_dump().items() if k != "given"}) == spec


def test_a_spec_of_some_tracks_keeps_all_but_the_tracks():
    spec = band("melody", tempo=90.0, velocities=3, classes=("a", "b"))
    some = spec.only([0, 3])
    assert some.tracks == (MELODY, DRUMS)
    assert some.shape == (6, 8, 48)
    assert (some.tempo, some.velocities, some.classes, some.given) == (90.0, 3, ("a", "b"), ())


# --- time -------------------------------------------------------------------------------------------------------------


def test_notes_are_rounded_to_the_grid_and_the_other_tracks_are_silent(read):
    # Eighths are 240 ticks: 110 rounds to 0, 120 to 1 and 359 to 1; nothing is shorter than a step.
    known = read(band("melody"), midi_file([(110, 240, 60), (359, 10, 64), (600, 480, 67)]))
    assert known.x.dtype == torch.uint8
    assert known.x.shape == (1, 4, 8, 48)
    assert notes_of(known.x, 0) == [(0, 0, 1, 60), (0, 1, 1, 64), (0, 3, 2, 67)]
    assert not known.x[:, 1:].any()


def test_the_last_phrase_is_filled_up_with_silence(read):
    known = read(band("melody", bars=4), midi_file([(n * 1920, 480, 60 + n) for n in range(9)]))
    assert known.x.shape == (3, 4, 32, 48)
    assert notes_of(known.x, 0)[-1] == (2, 0, 2, 68)
    assert not known.x[2, :, 2:].any()


def test_a_note_across_a_border_goes_on_in_the_next_phrase_and_is_one_again_when_joined(read):
    spec = band("melody")
    known = read(spec, midi_file([(960, 1920, 60), (2880, 960, 62)]))
    assert known.x[:, 0, :, 60 - 36].tolist() == [[0] * 4 + [ONSET] + [HELD] * 3, [HELD] * 4 + [0] * 4]
    samples = spec.harden(spec.relax(known.x))  # as a generator returns them
    assert samples[1, 0, 0, 60 - 36] == ONSET
    long, whole = MidiReader(spec).join(samples, known)
    assert whole.shape == (1, 4, 16, 48)
    assert (long.bars, long.time) == (2, 16)
    assert notes_of_long(long, whole) == [(4, 8, 60), (12, 4, 62)]


def notes_of_long(spec, whole):
    notes = to_notes(whole[0].numpy(), spec)
    assert set(notes.track.tolist()) <= {0}
    return [(int(s), int(d), int(p)) for s, d, p in zip(notes.start, notes.duration, notes.pitch, strict=True)]


@settings(max_examples=40)
@given(
    steps=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 20), st.integers(36, 83)), min_size=1, max_size=30),
    bars=st.integers(1, 5),
    versions=st.integers(1, 3),
    tracks=st.sampled_from([("melody",), ("bass",)]),
)
def test_a_melody_comes_back_note_for_note_in_the_joined_file(tmp_path_factory, steps, bars, versions, tracks):
    folder = tmp_path_factory.mktemp("melody")
    spec, now, melody = band(*tracks, bars=bars), 0, []
    for rest, length, pitch in steps:
        now += rest
        melody.append((now * 240, length * 240, pitch))
        now += length
    (folder / "melody.mid").write_bytes(midi_file(melody))
    known = MidiReader(spec).read(folder / "melody.mid")
    assert len(known) == -(-now // (8 * bars))
    made = torch.zeros(versions * len(known), 4, 8 * bars, 48, dtype=torch.uint8)
    made[:, 3, ::2, 0] = ONSET
    long, whole = MidiReader(spec).join(made, known)
    files = MidiWriter(MidiOptions(), long).write(whole, folder, "joined")
    assert len(files) == versions
    for file in files:
        assert played(file, tracks[0]) == [(s / 480, d / 480, p) for s, d, p in sorted(melody)]
        assert len(played(file, "drums")) == 4 * bars * len(known)


def ending(tick, *notes):
    """A file whose track ends at `tick`."""
    track = mido.MidiTrack()
    for start, duration, pitch in notes:
        track += [mido.Message("note_on", note=pitch, time=start), mido.Message("note_off", note=pitch, time=duration)]
    track.append(mido.MetaMessage("end_of_track", time=tick - sum(s + d for s, d, _ in notes)))
    return mido.MidiFile(ticks_per_beat=480, tracks=[track])


@pytest.mark.parametrize(
    ("end", "phrases"), [(480, 1), (1920, 1), (1921, 1), (3839, 2), (3840, 2), (5000, 2), (5759, 3), (7680, 4)]
)
def test_whole_bars_of_rest_at_the_end_are_kept(tmp_path, end, phrases):
    ending(end, (0, 480, 60)).save(tmp_path / "rest.mid")
    assert len(MidiReader(band("melody")).read(tmp_path / "rest.mid")) == phrases


def test_the_end_of_a_file_is_that_of_its_longest_track_whatever_is_in_it(tmp_path):
    track = ending(9_000, (10, 500, 60)).tracks[0]
    track.insert(1, mido.Message("program_change", program=4, time=90))
    track.insert(2, mido.Message("sysex", data=[1, 2, 3], time=200))
    track.insert(3, mido.MetaMessage("lyrics", text="la " * 60, time=0))
    track.insert(4, mido.Message("pitchwheel", pitch=9, time=0))
    mido.MidiFile(ticks_per_beat=480, tracks=[ending(700, (0, 480, 60)).tracks[0], track]).save(tmp_path / "x.mid")
    assert rest_until((tmp_path / "x.mid").read_bytes()) == 9_000 + 290
    assert rest_until(midi_file([(0, 480, 60), (480, 960, 62)])) == 1440


@pytest.mark.parametrize("data", [b"", b"MThd", b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk\0\0\0\5\xff\xff\xff\xff", b"RIFF"])
def test_the_end_of_a_damaged_file_is_not_known(data):
    assert rest_until(data) == 0


def test_a_rest_that_nobody_meant_is_not_kept():
    far = b"MTrk\0\0\0\7" + b"\xff\xff\xff\x7f" + b"\xff\x2f\0"
    assert rest_until(b"MThd\0\0\0\6\0\1\0\1\1\xe0" + far) == 0


def test_the_tempo_is_the_files_and_the_rest_of_the_spec_the_runs(read):
    spec = band("melody", tempo=112.0, classes=("a",))
    known = read(spec, midi_file([(0, 480, 60)], tempos=[(0, 600_000)]))
    assert known.spec == spec.changed(tempo=100.0)
    assert MidiReader(spec).join(known.x, known)[0].tempo == 100.0


def test_another_meter_is_refused_and_that_of_the_data_taken(read):
    waltz = midi_file([(0, 480, 60)], meters=[(0, 3, 4)])
    with pytest.raises(UsageError, match=r"is in 3/4 at its beginning, and this generator makes music in 4/4"):
        read(band("melody"), waltz)
    known = read(band("melody", beats_per_bar=3), waltz)
    assert known.x.shape == (1, 4, 6, 48)
    with pytest.raises(UsageError, match=r"is in 4/4 at its beginning, .* in 3/4"):
        read(band("melody", beats_per_bar=3), midi_file([(0, 480, 60)]))


def test_a_meter_that_changes_is_refused_with_its_bar(read):
    notes = [(n * 480, 480, 60) for n in range(16)]
    with pytest.raises(UsageError, match=r"is in 3/4 from bar 3 on"):
        read(band("melody"), midi_file(notes, meters=[(0, 4, 4), (3840, 3, 4)]))
    with pytest.raises(UsageError, match=r"begins a bar within a bar \(from bar 1 on\)"):
        read(band("melody"), midi_file(notes, meters=[(0, 4, 4), (480, 4, 4)]))
    assert len(read(band("melody"), midi_file(notes, meters=[(0, 4, 4), (1920, 4, 4), (7680, 3, 4)]))) == 4


# --- tracks and pitches -----------------------------------------------------------------------------------------------

HIGH, LOW = [(0, 480, 72)], [(0, 480, 48)]


def test_the_only_part_of_a_file_is_taken_whatever_its_name(read):
    known = read(band("melody"), midi_file(LOW, names=[b"Bass"]))
    assert notes_of(known.x, 0) == [(0, 0, 2, 48)]


@pytest.mark.parametrize(
    ("names", "pitch"),
    [((b"Bass", b"The Melody"), 48), ((b"melody", b"chords"), 72), ((b"one", b"two"), 72), ((b"bass", b"lead"), 72)],
)
def test_of_several_parts_the_one_with_the_name_is_taken_else_the_first(read, names, pitch):
    known = read(band("melody"), midi_file(HIGH, LOW, names=names))
    assert notes_of(known.x, 0) == [(0, 0, 2, pitch)]


def test_several_given_tracks_are_filled_by_name_where_all_are_named_else_in_order(read):
    spec = band("melody", "bass")
    named = read(spec, midi_file(LOW, HIGH, names=[b"BASS", b"Melody"]))
    assert (notes_of(named.x, 0), notes_of(named.x, 2)) == ([(0, 0, 2, 72)], [(0, 0, 2, 48)])
    ordered = read(spec, midi_file(LOW, HIGH, names=[b"bass", b"lead"]))
    assert (notes_of(ordered.x, 0), notes_of(ordered.x, 2)) == ([(0, 0, 2, 48)], [(0, 0, 2, 72)])


def test_too_few_parts_are_refused_with_what_is_needed(read):
    with pytest.raises(UsageError, match=r"has 1 track with notes, where 2 are needed: .* given melody, bass"):
        read(band("melody", "bass"), midi_file(HIGH))
    with pytest.raises(UsageError, match=r"has 0 tracks with notes, drums apart, where 1 are needed"):
        read(band("melody"), midi_file(HIGH, channels=[9]))


def test_given_drums_are_those_of_the_drum_channel(read):
    beat = [(0, 10, 38), (480, 480, 42), (960, 10, 100)]
    known = read(band("drums"), midi_file(HIGH, beat, channels=[0, 9]))
    assert notes_of(known.x, 3) == [(0, 0, 1, 38), (0, 2, 1, 42)]
    assert not known.x[:, :3].any()
    with pytest.raises(UsageError, match=r"no drums, which are given on MIDI channel 10"):
        read(band("drums"), midi_file(HIGH))


def test_pitches_beyond_the_range_are_moved_by_octaves(read):
    known = read(band("melody"), midi_file([(0, 240, 84), (240, 240, 108), (480, 240, 35), (720, 240, 0)]))
    assert [p for *_, p in notes_of(known.x, 0)] == [72, 72, 47, 36]


def test_velocities_are_put_into_bins(read):
    spec = band("melody", velocities=4)
    known = read(spec, midi_file([(0, 240, 60, 1), (240, 240, 60, 64), (480, 240, 60, 127)]))
    assert known.x[0, 0, :3, 24].tolist() == [ONSET, ONSET + 2, ONSET + 3]


# --- classes ----------------------------------------------------------------------------------------------------------

SCALE_OF_D = [(n * 480, 480, p) for n, p in enumerate((62, 64, 66, 67, 69, 71, 73, 74, 66, 69, 74, 62))]


@pytest.mark.parametrize(
    ("classes", "wanted"),
    [(KEYS, "D major"), (("major", "minor"), "major"), (("A minor", "D major"), "D major"), (("C major",), None),
     (("folk", "jazz"), None), ((), None)],
)  # fmt: skip
def test_the_class_is_the_key_of_the_file_where_classes_are_keys(read, classes, wanted):
    known = read(band("melody", classes=classes), midi_file(SCALE_OF_D))
    expected = None if wanted is None else [classes.index(wanted)] * 3
    assert (None if known.condition is None else known.condition.tolist()) == expected


# --- files that cannot be used ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty; give a MIDI file with the notes of melody"),
        (b"no music", "not a MIDI file"),
        (midi_file([]), "it holds no notes"),
        (midi_file(HIGH)[:40], "damaged"),
        (midi_file(HIGH, tpq=0), "0 ticks in a quarter note"),
        (midi_file([(0, 10_001 * 480, 60)]), "lasts longer than 10,000 quarter notes"),
    ],
)
def test_a_damaged_file_is_one_sentence(read, content, words):
    with pytest.raises(DataError, match=words) as caught:
        read(band("melody"), content)
    assert "given.mid" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_path_that_is_no_file_is_a_usage_error(tmp_path):
    for path, words in ((tmp_path / "nowhere.mid", "does not exist"), (tmp_path, "cannot be read")):
        with pytest.raises(UsageError, match=words):
            MidiReader(band("melody")).read(path)


def test_a_file_for_a_generator_that_makes_every_track_is_refused(read):
    with pytest.raises(UsageError, match="no track is given"):
        read(band(), midi_file(HIGH))


def test_a_file_that_would_fill_the_memory_is_refused(read, monkeypatch):
    monkeypatch.setattr(module, "MAX_CELLS", 3 * 4 * 8 * 48)
    read(band("melody"), midi_file([(2 * 1920, 1920, 60)]))
    with pytest.raises(UsageError, match=r"has 4 bars; at most 3 can be given at once"):
        read(band("melody"), midi_file([(3 * 1920, 480, 60)]))


def test_corrupted_files_are_used_or_refused_in_words(read):
    rng = random.Random(0)
    good = midi_file(SCALE_OF_D, LOW, meters=[(0, 4, 4)], tempos=[(0, 500_000)], names=(b"melody", b"x"))
    used, errors = 0, []
    for _ in range(300):
        data = bytearray(good)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            known = read(band("melody"), bytes(data)[: rng.randint(len(data) // 2, 2 * len(data))])
        except GanError as error:
            errors.append(str(error))
        else:
            used += 1
            assert known.x.shape[1:] == (4, 8, 48)
            assert np.isin(known.x.numpy(), (0, HELD, ONSET)).all()
    assert all("given.mid" in error for error in errors)
    assert used > 30
    assert used + len(errors) == 300
