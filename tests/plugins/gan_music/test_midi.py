"""The data set `midi`: what becomes of files, tracks, meters, keys and labels."""

from __future__ import annotations

import pickle
import zipfile

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from support.fetching import fetch
from support.midi import midi_file

from gan_music import gan_datasets
from gan_music.data.midi import Options, open_midi
from gan_music.roll import to_notes
from gan_music.spec import Track
from gancore.errors import DataError, UsageError
from gancore.random import Draws

BEAT, BAR = 480, 4 * 480
SCALE = (60, 62, 64, 65, 67, 69, 71)


def quarters(pitches, first=0):
    """A note a beat."""
    return [(first + n * BEAT, BEAT, pitch) for n, pitch in enumerate(pitches)]


@pytest.fixture
def tunes(tmp_path):
    folder = tmp_path / "tunes"
    folder.mkdir()
    return folder


def open_(path, progress=lambda *_: None, **options):
    return open_midi(Options(path=path, **({"tracks": "merged", "bars": 1} | options)), progress)


def notes_of(source, index=0, seed=0):
    """(track, start, duration, pitch) of a phrase as it is fetched."""
    notes = to_notes(fetch(source, index, seed=seed)[0][0].numpy(), source.spec)
    return list(
        zip(notes.track.tolist(), notes.start.tolist(), notes.duration.tolist(), notes.pitch.tolist(), strict=True)
    )


def reasons(source):
    return {one.path: one.reason for one in source.report.skipped}


# --- the grid ---------------------------------------------------------------------------------------------------------


def test_tune_is_cut_into_phrases_at_bar_lines(tunes):
    (tunes / "a.mid").write_bytes(midi_file(quarters(SCALE + SCALE[:5])))
    source = open_(tunes)
    assert len(source) == 3
    assert source.spec.shape == (2, 16, 84)
    assert notes_of(source, 1) == [(0, 0, 4, 67), (0, 4, 4, 69), (0, 8, 4, 71), (0, 12, 4, 60)]


def test_a_file_of_each_suffix_that_is_declared_is_read_by_itself(tunes):
    declared = next(record for record in gan_datasets() if record.name == "midi").suffixes
    assert ".mid" in declared
    for suffix in set(declared) - {".zip"}:
        (path := tunes / f"a{suffix}").write_bytes(midi_file(quarters(SCALE + SCALE[:5])))
        source = open_(path)
        assert (len(source), source.names) == (3, (path.name,))
    (broken := tunes / "b.mid").write_bytes(b"MThd")
    with pytest.raises(DataError, match=r"b\.mid"):
        open_(broken)


def test_onsets_and_ends_are_rounded_to_the_nearest_step_and_halves_go_up(tunes):
    # A step is 120 ticks: 59 -> 0, 60 -> 1; 179 -> 1; and no note vanishes: 300..310 is 3..3, one step.
    ticks = [(59, 120, 60), (60, 480, 64), (300, 10, 67)]
    (tunes / "a.mid").write_bytes(midi_file(ticks))
    assert notes_of(open_(tunes)) == [(0, 0, 1, 60), (0, 1, 4, 64), (0, 3, 1, 67)]


@pytest.mark.parametrize("early", [1, 60])
def test_note_up_to_half_a_step_before_the_bar_line_belongs_to_the_next_phrase(tunes, early):
    (tunes / "a.mid").write_bytes(midi_file([(0, 480, 60), (BAR - early, 480 + early, 62)]))
    source = open_(tunes)
    assert notes_of(source, 0) == [(0, 0, 4, 60)]
    assert notes_of(source, 1) == [(0, 0, 4, 62)]


def test_note_across_a_border_ends_there_and_begins_anew_but_a_drum_does_not(tunes):
    data = midi_file([(3 * BEAT, BAR, 60)], [(3 * BEAT, BAR, 36), (0, 60, 38), (BAR, 60, 38)], channels=(0, 9))
    (tunes / "a.mid").write_bytes(data)
    source = open_(tunes, tracks="order", names=("lead", "drums"))
    assert notes_of(source, 0) == [(1, 0, 1, 38), (0, 12, 4, 60), (1, 12, 1, 36)]
    assert notes_of(source, 1) == [(0, 0, 12, 60), (1, 0, 1, 38)]


def test_note_across_three_phrases_sounds_through_the_middle_one(tunes):
    (tunes / "a.mid").write_bytes(midi_file([(BEAT, 2 * BAR, 60)]))
    source = open_(tunes)
    assert [notes_of(source, n) for n in range(3)] == [[(0, 4, 12, 60)], [(0, 0, 16, 60)], [(0, 0, 4, 60)]]


def test_repeated_notes_stay_apart(tunes):
    (tunes / "a.mid").write_bytes(midi_file(quarters([60, 60, 60, 60])))
    assert notes_of(open_(tunes)) == [(0, n, 4, 60) for n in (0, 4, 8, 12)]


def test_stride_smaller_than_the_phrase_makes_phrases_overlap(tunes):
    (tunes / "a.mid").write_bytes(midi_file(quarters(SCALE + SCALE[:5])))
    source = open_(tunes, bars=2, stride=1)
    assert len(source) == 2
    assert notes_of(source, 0)[4:] == [(t, start + 16, d, p) for t, start, d, p in notes_of(source, 1)[:4]]
    assert len(open_(tunes, bars=1, stride=2)) == 2


def test_last_bar_counts_even_if_its_end_is_silent(tunes):
    (tunes / "a.mid").write_bytes(midi_file(quarters(SCALE[:5])))
    assert notes_of(open_(tunes), 1) == [(0, 0, 4, 67)]


def test_bars_of_six_eighths_have_six_beats(tunes):
    eighths = [(n * 240, 240, 60 + n) for n in range(6)]
    (tunes / "a.mid").write_bytes(midi_file(eighths, meters=[(0, 6, 8)]))
    source = open_(tunes, meter="6/8", steps_per_beat=2)
    assert (source.spec.time, source.spec.beats_per_bar, source.spec.beat_unit) == (12, 6, 8)
    assert notes_of(source) == [(0, 2 * n, 2, 60 + n) for n in range(6)]


def test_resolution_that_the_grid_does_not_divide_is_rounded_without_drift(tunes):
    # Seven ticks in a quarter, so a step is 7/4 ticks: tick t is step floor(t * 4/7 + 1/2).
    (tunes / "a.mid").write_bytes(midi_file([(tick, 1, 60 + tick) for tick in range(28)], tpq=7))
    expected = [(0, (8 * t + 7) // 14, 60 + t) for t in range(28) if (8 * t + 7) // 14 < 16]
    assert [(track, start, pitch) for track, start, _, pitch in notes_of(open_(tunes))] == expected


# --- meters -----------------------------------------------------------------------------------------------------------


def test_file_in_another_meter_is_skipped_and_says_which(tunes):
    (tunes / "a.mid").write_bytes(midi_file(quarters(SCALE)))
    (tunes / "waltz.mid").write_bytes(midi_file(quarters(SCALE), meters=[(0, 3, 4)]))
    source = open_(tunes)
    assert source.names == ("a.mid",)
    assert reasons(source) == {"waltz.mid": "in another meter (3/4, not 4/4)"}


def test_passage_in_another_meter_is_left_out_and_counted(tunes):
    # A bar of 4/4, one of 2/4, and 4/4 again, whose bar lines begin anew.
    meters = [(0, 4, 4), (BAR, 2, 4), (BAR + 2 * BEAT, 4, 4)]
    (tunes / "a.mid").write_bytes(midi_file(quarters(range(60, 70)), meters=meters))
    source = open_(tunes)
    assert [[pitch for *_, pitch in notes_of(source, n)] for n in range(len(source))] == [
        [60, 61, 62, 63],
        [66, 67, 68, 69],
    ]
    assert reasons(source) == {"a.mid": "used in part (2 quarter notes are not in 4/4)"}


def test_no_phrase_reaches_across_a_passage_in_another_meter(tunes):
    meters = [(0, 4, 4), (BAR, 2, 4), (BAR + 2 * BEAT, 4, 4)]
    (tunes / "a.mid").write_bytes(midi_file(quarters(range(60, 70)), meters=meters))
    with pytest.raises(DataError, match="too short \\(at most 1 of 2 bars of 4/4 in a row\\)"):
        open_(tunes, bars=2)


def test_repeated_time_signature_on_a_bar_line_ends_nothing_and_off_it_starts_bars_anew(tunes):
    pitches = range(60, 72)
    (tunes / "a.mid").write_bytes(midi_file(quarters(pitches), meters=[(0, 4, 4), (BAR, 4, 4), (BAR, 4, 4)]))
    (tunes / "b.mid").write_bytes(midi_file(quarters(pitches), meters=[(0, 4, 4), (BAR + BEAT, 4, 4)]))
    source = open_(tunes, bars=2)
    assert source.phrases.tune.tolist() == [0, 1]
    assert [notes_of(source, n)[0][3] for n in range(2)] == [60, 65]


# --- tracks, pitches, velocities --------------------------------------------------------------------------------------


def test_tracks_by_order_take_the_names_given_and_the_most_frequent_program(tunes):
    for name, program in (("a", 73), ("b", 73), ("c", 40)):
        data = midi_file([], quarters(SCALE), [], quarters([48]), programs=(9, program, 9, 24))
        (tunes / f"{name}.mid").write_bytes(data)
    source = open_(tunes, tracks="order", bars=1)
    assert source.spec.tracks == (
        Track(name="melody", program=73, single=True),
        Track(name="chords", program=24, single=True),
    )
    assert notes_of(source)[:2] == [(0, 0, 4, 60), (1, 0, 4, 48)]


def test_file_with_too_few_tracks_is_skipped_by_order(tunes):
    (tunes / "a.mid").write_bytes(midi_file(quarters(SCALE), quarters(SCALE)))
    (tunes / "b.mid").write_bytes(midi_file(quarters(SCALE), quarters([36]), channels=(0, 9)))
    assert reasons(open_(tunes, tracks="order")) == {
        "b.mid": "too few tracks (1 with notes apart from drums, 2 needed)"
    }


def test_tracks_by_program_are_musegans_five_groups(tunes):
    # Violin and flute are both among the strings; one is 40, the other 73.
    parts = [quarters([pitch]) for pitch in (40, 50, 60, 70, 80, 36)]
    (tunes / "a.mid").write_bytes(midi_file(*parts, programs=(34, 30, 4, 40, 73, 0), channels=(0, 1, 2, 3, 4, 9)))
    source = open_(tunes, tracks="program")
    assert [track.name for track in source.spec.tracks] == ["bass", "drums", "guitar", "piano", "strings"]
    assert [track.drums for track in source.spec.tracks] == [False, True, False, False, False]
    assert [(track, pitch) for track, _, _, pitch in notes_of(source)] == [
        (0, 40),
        (1, 36),
        (2, 50),
        (3, 60),
        (4, 70),
        (4, 80),
    ]
    few = open_(tunes, tracks="program", names=("piano", "bass"))
    assert [(track, pitch) for track, _, _, pitch in notes_of(few)] == [(0, 60), (1, 40)]


def test_tracks_by_name_look_for_the_name_in_any_case(tunes):
    data = midi_file(quarters([60]), quarters([40]), quarters([90]), names=(b"Lead VOCAL", b"E-Bass 2", b"\xff\xfe"))
    (tunes / "a.mid").write_bytes(data)
    source = open_(tunes, tracks="name", names=("bass", "vocal"))
    assert [(track, pitch) for track, _, _, pitch in notes_of(source)] == [(0, 40), (1, 60)]


def test_merged_track_holds_all_but_drums(tunes):
    (tunes / "a.mid").write_bytes(midi_file(quarters([60]), quarters([64]), quarters([36]), channels=(0, 1, 9)))
    assert [pitch for *_, pitch in notes_of(open_(tunes))] == [60, 64]


def test_notes_out_of_range_are_folded_by_octaves_or_dropped_and_drums_never_move(tunes):
    data = midi_file(quarters([30, 60, 90, 108]), quarters([20, 50]), channels=(0, 9))
    (tunes / "a.mid").write_bytes(data)
    options = {"tracks": "order", "names": ("lead", "drums"), "lowest": 48, "highest": 71}
    folded = notes_of(open_(tunes, **options))
    assert [(track, pitch) for track, _, _, pitch in folded] == [(0, 54), (0, 60), (1, 50), (0, 66), (0, 60)]
    dropped = notes_of(open_(tunes, **options, outside="drop"))
    assert [(track, pitch) for track, _, _, pitch in dropped] == [(0, 60), (1, 50)]


def test_velocities_fall_into_equal_bins(tunes):
    (tunes / "a.mid").write_bytes(midi_file([(n * BEAT, BEAT, 60, v) for n, v in enumerate((1, 31, 64, 127))]))
    source = open_(tunes, velocities=4)
    assert source.spec.shape == (3, 16, 84)
    assert fetch(source)[0][0, 0, ::4, 36].tolist() == [2, 2, 4, 5]


def test_phrases_with_few_notes_or_tracks_are_left_out(tunes):
    # Bars of 4, 1 and 4 notes; the second track sounds in the third only.
    lead = quarters([60, 62, 64, 65, 67]) + quarters([60, 62, 64, 65], 2 * BAR)
    (tunes / "a.mid").write_bytes(midi_file(lead, quarters([48], 2 * BAR)))
    (tunes / "b.mid").write_bytes(midi_file(quarters([60]), quarters([60])))
    source = open_(tunes, tracks="order", min_notes=4)
    assert [notes_of(source, n)[-1][3] for n in range(len(source))] == [65, 65]
    assert reasons(source) == {"b.mid": "none of its phrases has 4 notes or more in 1 or more of the tracks"}
    assert len(open_(tunes, tracks="order", min_notes=4, min_tracks=2)) == 1


def test_tempo_is_the_median_of_the_files(tunes):
    for name, tempos in (("a", []), ("b", [(0, 1_000_000)]), ("c", [(0, 0), (BEAT, 300_000)]), ("d", [(0, 300_000)])):
        (tunes / f"{name}.mid").write_bytes(midi_file(quarters(SCALE), tempos=tempos))
    # 120 by default, 60, and 200 twice: a tempo of nothing does not count.
    assert open_(tunes).spec.tempo == 160.0


# --- keys and labels --------------------------------------------------------------------------------------------------


def scale_from(tonic, minor=False):
    """Two bars that stay at home: the tonic, third and fifth are long."""
    degrees = (0, 2, 3, 5, 7, 8, 10) if minor else (0, 2, 4, 5, 7, 9, 11)
    return quarters([tonic + degrees[d] for d in (0, 2, 4, 0, 0, 1, 2, 3, 4, 5, 4, 2, 0, 4, 2, 0)])


def test_common_key_is_c_major_or_a_minor(tunes):
    (tunes / "e-flat.mid").write_bytes(midi_file(scale_from(63)))
    (tunes / "b-minor.mid").write_bytes(midi_file(scale_from(71, minor=True)))
    source = open_(tunes, bars=4, transpose="common", labels="key")
    assert source.names == ("b-minor.mid", "e-flat.mid")
    assert [notes_of(source, n)[0][3] for n in range(2)] == [69, 60]
    assert source.spec.classes == ("C major", "A minor")
    assert fetch(source)[1].tolist() == [1, 0]


def test_augmentation_moves_each_sample_by_its_own_counted_interval(tunes):
    (tunes / "a.mid").write_bytes(midi_file(scale_from(60), quarters([36] * 16), channels=(0, 9)))
    source = open_(tunes, bars=4, tracks="order", names=("lead", "drums"), transpose="augment", labels="key")
    at = torch.arange(300)
    x, labels = source.fetch(torch.zeros(300, dtype=torch.int64), Draws(3, at))
    # The first step of the lead holds one note, which is the tonic.
    tonic = x[:, 0, 0].argmax(dim=1) + source.spec.lowest
    assert sorted(set(tonic.tolist())) == list(range(55, 67))
    assert [source.spec.classes[n].split()[1] for n in labels] == ["major"] * 300
    assert [source.spec.classes[n] for n in labels[tonic == 57]] == ["A major"] * int((tonic == 57).sum())
    assert set(x[:, 1, 0].argmax(dim=1).tolist()) == {36 - source.spec.lowest}
    again, _ = source.fetch(torch.zeros(5, dtype=torch.int64), Draws(3, at[100:105]))
    assert torch.equal(again, x[100:105])


def test_mode_labels_name_what_occurs(tunes):
    (tunes / "a.mid").write_bytes(midi_file(scale_from(62, minor=True)))
    (tunes / "b.mid").write_bytes(midi_file(scale_from(62)))
    source = open_(tunes, bars=4, labels="mode")
    assert source.spec.classes == ("major", "minor")
    assert fetch(source)[1].tolist() == [1, 0]


def test_folders_become_labels_in_a_folder_and_in_an_archive(tunes, tmp_path):
    for name in ("jigs/a.mid", "reels/deep/b.mid"):
        (tunes / name).parent.mkdir(parents=True)
        (tunes / name).write_bytes(midi_file(quarters(SCALE[:4])))
    with zipfile.ZipFile(tmp_path / "tunes.zip", "w") as archive:
        for file in sorted(tunes.rglob("*.mid")):
            archive.write(file, f"tunes/{file.relative_to(tunes)}")
    for path in (tunes, tmp_path / "tunes.zip"):
        source = open_(path, labels="folder")
        assert source.spec.classes == ("jigs", "reels")
        assert fetch(source)[1].tolist() == [0, 1]


def test_folder_labels_need_folders(tunes):
    (tunes / "a.mid").write_bytes(midi_file(quarters(SCALE[:4])))
    with pytest.raises(UsageError, match=r"at least two classes, but there is none"):
        open_(tunes, labels="folder")


def test_tune_beside_the_folders_of_classes_is_skipped(tunes):
    for name in ("jigs/a.mid", "reels/b.mid", "c.mid"):
        (tunes / name).parent.mkdir(exist_ok=True)
        (tunes / name).write_bytes(midi_file(quarters(SCALE[:4])))
    source = open_(tunes, labels="folder")
    assert fetch(source)[1].tolist() == [0, 1]
    assert [(s.path, s.reason) for s in source.report.skipped] == [
        ("c.mid", "beside the folders that name the classes")
    ]
    assert len(open_(tunes)) == 3


def test_tunes_of_the_test_part_are_left_out(tunes):
    for name in ("train/a.mid", "test/b.mid", "valid/c.mid"):
        (tunes / name).parent.mkdir()
        (tunes / name).write_bytes(midi_file(quarters(SCALE[:4])))
    source = open_(tunes)
    assert source.names == ("train/a.mid",)
    assert "train is used, test and valid left out (2 files" in source.report.summary()
    assert len(open_(tunes, part="all")) == 3


# --- the source -------------------------------------------------------------------------------------------------------


def test_fetch_gives_samples_in_the_order_asked_and_twice_if_asked_twice(tunes):
    (tunes / "a.mid").write_bytes(midi_file(quarters(SCALE + SCALE[:5])))
    source = open_(tunes)
    every, labels = fetch(source)
    assert (every.dtype, labels) == (torch.uint8, None)
    assert torch.equal(fetch(source, 2, 0, 2)[0], every[[2, 0, 2]])


def test_phrases_are_held_as_notes_of_seven_bytes(tunes):
    (tunes / "a.mid").write_bytes(midi_file(quarters(SCALE * 40)))
    phrases = open_(tunes).phrases
    columns = (phrases.track, phrases.start, phrases.duration, phrases.pitch, phrases.velocity)
    assert sum(column.nbytes for column in columns) == 7 * 280
    assert np.array_equal(phrases.offsets, np.arange(0, 281, 4))


def test_source_survives_the_way_into_a_worker(tunes):
    (tunes / "a.mid").write_bytes(midi_file(quarters(SCALE)))
    source = open_(tunes)
    assert torch.equal(fetch(pickle.loads(pickle.dumps(source)))[0], fetch(source)[0])


def test_many_small_files_are_one_data_set_however_they_are_read(tunes, monkeypatch):
    for n in range(20):
        (tunes / f"{n:02}.mid").write_bytes(midi_file(quarters([60 + n] * (4 + n))))
    whole = open_(tunes)
    monkeypatch.setattr("gan_music.data.midi._FILES_AT_ONCE", 3)
    monkeypatch.setattr("gan_music.data.phrases._MAX_PIECES", 7)
    parts = open_(tunes)
    assert (parts.names, parts.report, parts.spec) == (whole.names, whole.report, whole.spec)
    assert torch.equal(fetch(parts)[0], fetch(whole)[0])
    assert parts.phrases.tune.tolist() == whole.phrases.tune.tolist()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lowest": 70, "highest": 60}, "must not be above highest"),
        ({"bars": 64, "steps_per_beat": 96}, "at most 4,096"),
        ({"meter": "4/3"}, "meter"),
        ({"meter": "0/4"}, "meter"),
        ({"tracks": "program", "names": ("piano", "kazoo")}, "kazoo"),
        ({"tracks": "merged", "names": ("a", "b")}, "one name"),
        ({"names": ("a", "a")}, "must differ"),
        ({"min_tracks": 3}, "must not be above the number of tracks"),
    ],
)
def test_options_that_cannot_be_are_refused(options, words):
    with pytest.raises(ValidationError, match=words):
        Options(path="x", **options)
