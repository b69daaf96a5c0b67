"""Recordings from folders and archives: formats, rates, levels, cutting, labels, the cache."""

from __future__ import annotations

import io
import pickle
import zipfile

import numpy as np
import pytest
import soundfile
import torch
from pydantic import ValidationError
from support.fetching import fetch

from gan_audio.data import blocks
from gan_audio.data.decode import active_rms
from gan_audio.data.sounds import Options, open_sounds
from gancore.data.held_out import split
from gancore.errors import DataError, UsageError
from gancore.random import Draws

RATE, LENGTH = 8000, 1024
PLAIN = {"length": LENGTH, "fade_ms": 0.0, "representation": "waveform"}
"""Clips that hold what files do, bit for bit."""


def open_(path, progress=lambda *_: None, **options):
    return open_sounds(Options(path=path, **(PLAIN | options)), progress)


def waves(source, *indices, seed=0):
    return fetch(source, *indices, seed=seed)[0][:, 0].numpy()


def sine(hz=440.0, count=LENGTH, rate=RATE, level=0.5):
    return (level * np.sin(2 * np.pi * hz * np.arange(count) / rate)).astype(np.float32)


def noise(seed, count=LENGTH, level=0.5):
    return np.random.default_rng(seed).uniform(-level, level, count).astype(np.float32)


def sixteen_bits(x):
    """What a 16-bit file holds of samples."""
    return (np.rint(np.asarray(x) * 32768.0) / 32768.0).astype(np.float32)


def save(path, x, rate=RATE, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, x, rate, **options)


# --- formats ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff", "au", "caf", "w64", "WAV"])
def test_lossless_formats_are_read_to_the_bit(folder, suffix):
    x = sixteen_bits(noise(1))
    save(folder / f"a.{suffix}", x, subtype="PCM_16")
    assert np.array_equal(waves(open_(folder)), x[None])


@pytest.mark.parametrize(
    ("suffix", "options"), [("ogg", {}), ("mp3", {}), ("opus", {"format": "OGG", "subtype": "OPUS"})]
)
def test_lossy_formats_are_read(folder, suffix, options):
    # libsndfile gives MP3 and Opus back a little shifted, so spectra are compared.
    x = sine(1000.0, 8192)
    save(folder / f"a.{suffix}", x, **options)
    found = waves(open_(folder, length=8192, long="crop-start"))[0]
    spectrum = np.abs(np.fft.rfft(found * np.hanning(8192)))
    assert abs(int(spectrum.argmax()) - 1024) <= 1
    assert abs(np.sqrt(np.mean(found[1000:7000] ** 2)) - 0.5 / np.sqrt(2)) < 0.03


def test_format_that_only_ffmpeg_knows_is_read_by_it(folder, tmp_path, monkeypatch):
    # What stands in for ffmpeg speaks as it does: what it found on stderr, samples on stdout.
    tool = tmp_path / "bin" / "ffmpeg"
    tool.parent.mkdir()
    x = np.rint(noise(2, 3000) * 32767).astype("<i2")
    stereo = np.stack([x, np.zeros_like(x)], axis=1)
    (tmp_path / "samples").write_bytes(stereo.tobytes())
    tool.write_text(
        "#!/bin/sh\n"
        'case "$*" in *-version*) echo "ffmpeg version 6"; exit 0;; esac\n'
        'echo "  Duration: 00:00:00.37, start: 0.0" >&2\n'
        'echo "    Stream #0:0: Audio: aac (LC), 8000 Hz, stereo, fltp, 64 kb/s" >&2\n'
        f'cat "{tmp_path / "samples"}"\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent), prepend=":")
    import audioread
    import audioread.ffdec

    monkeypatch.setattr(audioread, "BACKENDS", [audioread.ffdec.FFmpegAudioFile])
    (folder / "a.m4a").write_bytes(b"\x00\x00\x00\x20ftypM4A " + bytes(500))
    found = waves(open_(folder, length=3008))[0]
    assert np.abs(found[:3000] - x / 65536.0).max() <= 1 / 32768


def test_channels_are_averaged(folder):
    left, right = sixteen_bits(noise(1)), sixteen_bits(noise(2))
    save(folder / "a.wav", np.stack([left, right], axis=1))
    assert np.abs(waves(open_(folder))[0] - (left + right) / 2).max() <= 0.5 / 32768 + 1e-7


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "IMA_ADPCM"])
def test_every_usual_encoding_of_wav_is_read(folder, subtype):
    x = sine(300.0)
    save(folder / "a.wav", x, subtype=subtype)
    # ADPCM needs some samples to find its step.
    assert np.abs(waves(open_(folder, long="crop-start"))[0] - x)[32:].max() < 0.03


def test_files_of_other_kinds_are_passed_over_in_silence(folder):
    save(folder / "a.wav", noise(1))
    (folder / "notes.txt").write_text("not a sound")
    (folder / "cover.jpg").write_bytes(b"neither")
    report = open_(folder).report
    assert (report.found, report.used, report.skipped) == (1, 1, ())


def test_archive_gives_what_the_folder_does(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("yes/1.wav", "no/deep/2.flac", "no/3.wav"):
            save(folder / name, noise(len(name), 700))
            archive.write(folder / name, f"all/{name}")
    one, other = open_(folder), open_(tmp_path / "all.zip")
    assert np.array_equal(waves(one), waves(other))
    assert one.spec.classes == other.spec.classes == ("no", "yes")
    assert fetch(one)[1].tolist() == fetch(other)[1].tolist() == [0, 0, 1]


# --- rate -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [4000, 11_025, 16_000, 44_100, 48_000, 96_000, 192_000])
def test_sine_keeps_pitch_and_level_at_every_rate(folder, rate):
    save(folder / "a.wav", sine(500.0, round(rate * 0.25), rate), rate)
    found = waves(open_(folder, length=2000, hop=16))[0]
    # Not the ends, where the filter sees the silence outside of the file.
    assert np.abs(found[100:1900] - sine(500.0, 2000)[100:1900]).max() < 0.01


def test_report_notes_that_most_files_have_a_lower_rate(folder):
    for number, rate in enumerate((8000, 8000, 16_000)):
        save(folder / f"{number}.wav", noise(1, rate // 4), rate)
    [note] = open_(folder, sample_rate=16_000).report.notes
    assert note.startswith("2 of 3 files have a sample rate below 16,000 Hz, most often 8,000 Hz")
    assert open_(folder, sample_rate=8000).report.notes == ()


# --- level and trimming -----------------------------------------------------------------------------------------------


def test_peaks_are_brought_to_one_level(folder):
    save(folder / "a.wav", noise(1, level=0.05), subtype="FLOAT")
    save(folder / "b.wav", noise(2, level=0.9), subtype="FLOAT")
    assert np.abs(waves(open_(folder, normalise="peak"))).max(axis=1) == pytest.approx([0.95, 0.95], abs=1e-4)


def test_sound_beyond_full_scale_is_turned_down_not_clipped(folder):
    x = sine(300.0, level=3.0)
    save(folder / "a.wav", x, subtype="FLOAT")
    assert np.abs(waves(open_(folder))[0] - x / np.abs(x).max()).max() <= 1 / 32768


def test_loudness_is_that_of_the_active_part(folder):
    # A fifth of a second of a sine in a second of silence: its level alone counts.
    x = np.concatenate([np.zeros(4000), sine(500.0, 1600, level=0.02), np.zeros(2400)])
    save(folder / "a.wav", x, subtype="FLOAT")
    found = waves(open_(folder, length=8000, hop=50, normalise="loudness", loudness_db=-23.0))[0]
    assert np.abs(found).max() == pytest.approx(10 ** (-23 / 20) * np.sqrt(2), rel=1e-2)


def test_loudness_never_brings_a_peak_beyond_the_highest_level(folder):
    x = noise(1, level=0.001)
    x[500] = 0.5
    save(folder / "a.wav", x, subtype="FLOAT")
    found = waves(open_(folder, normalise="loudness", loudness_db=-3.0))
    assert np.abs(found).max() == pytest.approx(0.95, abs=1e-4)


def test_active_part_leaves_frames_out_that_are_thirty_decibels_down():
    loud, quiet = np.full(160, 0.5, np.float32), np.full(160, 0.5 * 10 ** (-31 / 20), np.float32)
    assert active_rms(np.concatenate([quiet, loud, quiet]), RATE) == pytest.approx(0.5)
    nearer = np.full(160, 0.5 * 10 ** (-29 / 20), np.float32)
    expected = np.sqrt((0.25 + 2 * 0.25 * 10**-2.9) / 3)
    assert active_rms(np.concatenate([nearer, loud, nearer]), RATE) == pytest.approx(expected)


def test_quiet_ends_are_trimmed_but_for_five_milliseconds(folder):
    x = np.zeros(3000, np.float32)
    x[:1000] = x[1500:] = 0.0005  # 60 dB below the peak
    x[1000:1500] = 0.5
    save(folder / "a.wav", x, subtype="FLOAT")
    found = waves(open_(folder, trim_db=40.0))[0]
    # 5 ms are 40 samples before and after 500.
    assert np.flatnonzero(found > 0.4).tolist() == list(range(40, 540))
    assert found[0] > 0
    assert np.flatnonzero(found).max() == 579
    assert np.flatnonzero(waves(open_(folder, trim_db=70.0, length=3008))[0]).size == 3000


# --- cutting and placing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("long", "at"), [("crop-start", 0), ("crop-center", 988)])
def test_long_sounds_are_cut(folder, long, at):
    x = sixteen_bits(noise(1, 3000))
    save(folder / "a.wav", x)
    assert np.array_equal(waves(open_(folder, long=long))[0], x[at : at + LENGTH])


def test_random_part_is_drawn_at_each_fetch(folder):
    x = sixteen_bits(noise(1, LENGTH + 3))
    save(folder / "a.wav", x)
    source = open_(folder, long="crop-random")
    parts = [x[at : at + LENGTH] for at in range(4)]
    found = [next(n for n, part in enumerate(parts) if np.array_equal(w, part)) for w in waves(source, *([0] * 1))]
    positions = torch.arange(4000)
    drawn = source.fetch(torch.zeros(4000, dtype=torch.int64), Draws(5, positions))[0][:, 0, 0].numpy()
    counts = [int((drawn == part[0]).sum()) for part in parts]
    assert found[0] in range(4)
    # Each of four places with probability 1/4: four standard deviations of a binomial.
    assert all(abs(count - 1000) < 4 * np.sqrt(4000 * 0.25 * 0.75) for count in counts)
    again = source.fetch(torch.zeros(4000, dtype=torch.int64), Draws(5, positions))[0][:, 0, 0].numpy()
    assert np.array_equal(drawn, again)


@pytest.mark.parametrize(("rest", "clips"), [(511, 2), (512, 3)])
def test_long_sounds_are_split_and_half_a_clip_at_the_end_is_kept(folder, rest, clips):
    x = sixteen_bits(noise(1, 2 * LENGTH + rest))
    save(folder / "a.wav", x)
    found = waves(open_(folder, long="split"))
    assert len(found) == clips
    padded = np.concatenate([x, np.zeros(LENGTH, np.float32)])
    assert np.array_equal(found, padded[: clips * LENGTH].reshape(clips, LENGTH))


def test_short_sounds_are_not_lost_by_splitting(folder):
    save(folder / "a.wav", noise(1, 100))
    assert len(open_(folder, long="split")) == 1


def test_silent_parts_of_a_split_file_are_left_out_and_told(folder):
    x = noise(1, 4 * LENGTH)
    x[LENGTH : 2 * LENGTH] = 0.0
    save(folder / "a.wav", x)
    source = open_(folder, long="split")
    assert len(source) == 3
    [skipped] = source.report.skipped
    assert skipped.reason == "in part silent (1 of 4 parts, which are left out)"


def test_long_sounds_are_skipped_where_that_was_asked_for(folder):
    save(folder / "a.wav", noise(1, LENGTH))
    save(folder / "b.wav", noise(1, LENGTH + 1))
    source = open_(folder, long="skip")
    assert len(source) == 1
    assert [s.path for s in source.report.skipped] == ["b.wav"]
    assert "too long" in source.report.skipped[0].reason


@pytest.mark.parametrize(("place", "at"), [("start", 0), ("center", 362)])
def test_short_sounds_are_placed(folder, place, at):
    x = sixteen_bits(noise(1, 300))
    save(folder / "a.wav", x)
    found = waves(open_(folder, place=place))[0]
    assert np.array_equal(found[at : at + 300], x)
    assert not found[:at].any()
    assert not found[at + 300 :].any()


def test_random_places_reach_both_ends(folder):
    save(folder / "a.wav", np.full(LENGTH - 2, 0.5, np.float32))
    source = open_(folder, place="random")
    positions = torch.arange(300)
    found = source.fetch(torch.zeros(300, dtype=torch.int64), Draws(1, positions))[0][:, 0]
    assert sorted((found > 0).float().argmax(1).unique().tolist()) == [0, 1, 2]
    assert bool(((found > 0).sum(1) == LENGTH - 2).all())


def test_cuts_fade_and_the_files_own_beginning_does_not(folder):
    save(folder / "a.wav", np.full(3000, 0.5, np.float32))
    found = waves(open_(folder, long="crop-start", fade_ms=5.0))[0]
    assert (found[: LENGTH - 40] == 0.5).all()
    ramp = np.cos(np.pi / 2 * (np.arange(40) + 0.5) / 40) ** 2
    assert found[LENGTH - 40 :] == pytest.approx(0.5 * ramp, abs=1e-6)
    both = waves(open_(folder, long="crop-center", fade_ms=5.0))[0]
    assert both[:40] == pytest.approx(0.5 * ramp[::-1], abs=1e-6)


def test_sound_fades_into_the_silence_that_follows_it(folder):
    save(folder / "a.wav", np.full(500, 0.5, np.float32))
    found = waves(open_(folder, fade_ms=5.0))[0]
    assert (found[:460] == 0.5).all()
    assert found[499] < 0.001


# --- labels -----------------------------------------------------------------------------------------------------------


def test_top_folders_are_classes(folder):
    for name in ("snare/1.wav", "kick/a/2.wav", "kick/3.wav"):
        save(folder / name, noise(1))
    source = open_(folder)
    assert source.spec.classes == ("kick", "snare")
    assert fetch(source)[1].tolist() == [0, 0, 1]


def test_the_label_field_of_a_pattern_is_the_class(folder):
    for name in ("7_b_1.wav", "3_a_1.wav", "x/7_a_2.wav"):
        save(folder / name, noise(1))
    source = open_(folder, pattern="{label}_{speaker}_{index}.wav")
    assert source.spec.classes == ("3", "7")
    assert fetch(source)[1].tolist() == [0, 1, 1]


def test_file_of_another_name_is_listed_as_mislabelled(folder):
    for name in ("7_a_1.wav", "3_a_1.wav", "three.wav"):
        save(folder / name, noise(1))
    source = open_(folder, pattern="{label}_{speaker}_{index}")
    assert len(source) == 2
    skipped = {one.path: one.reason for one in source.report.skipped}
    assert skipped["three.wav"] == "mislabelled (its name is not of the form '{label}_{speaker}_{index}')"


def test_labels_that_were_asked_for_and_are_not_there_are_an_error(folder):
    save(folder / "a.wav", noise(1))
    assert open_(folder).spec.classes == ()
    with pytest.raises(UsageError, match="at least two classes, but there is none; sort the recordings"):
        open_(folder, labels=True)


def test_sound_beside_the_folders_of_classes_is_skipped_before_it_is_read(folder):
    for name in ("snare/1.wav", "kick/2.wav", "demo.wav"):
        save(folder / name, noise(1))
    source = open_(folder)
    assert fetch(source)[1].tolist() == [0, 1]
    assert ("demo.wav", "beside the folders that name the classes") in [
        (s.path, s.reason) for s in source.report.skipped
    ]


def test_sounds_of_the_test_part_are_left_out(folder):
    for name in ("train/snare/1.wav", "train/kick/2.wav", "test/kick/3.wav"):
        save(folder / name, noise(1))
    source = open_(folder)
    assert source.spec.classes == ("kick", "snare")
    assert len(source) == 2
    assert "train is used, test left out (1 file" in source.report.summary()
    assert len(open_(folder, part="all")) == 3


def test_labels_can_be_left_out(folder):
    for name in ("a/1.wav", "b/1.wav"):
        save(folder / name, noise(1))
    source = open_(folder, labels=False)
    assert source.spec.classes == ()
    assert fetch(source)[1] is None


def test_pattern_that_means_nothing_is_a_mistake_in_the_options(folder):
    with pytest.raises(ValidationError, match="nothing between them"):
        Options(path=folder, pattern="{label}{index}")


def test_excluded_files_are_neither_used_nor_listed(folder):
    for number in range(8):
        save(folder / f"x_{number}.wav", noise(number))
    report = open_(folder, exclude=("*_[0-4].wav",)).report
    assert (report.found, report.used, report.skipped) == (3, 3, ())


def test_globs_that_leave_nothing_are_an_error_that_repeats_them(folder):
    save(folder / "a.wav", noise(1))
    with pytest.raises(DataError, match=r"include=\*\.flac"):
        open_(folder, include=("*.flac",))


# --- spec and groups --------------------------------------------------------------------------------------------------


def test_clips_of_one_file_are_held_out_together(folder):
    for number in range(6):
        save(folder / f"{number}.wav", noise(number, 5 * LENGTH))
    source = open_(folder, long="split")
    parts = split(source, 0.3)
    files = [set((rows // 5).tolist()) for rows in (parts.train, parts.held_out)]
    assert files[0] | files[1] == set(range(6))
    assert not files[0] & files[1]


def test_spectrograms_are_normalised_by_the_statistics_of_the_clips(folder):
    for number in range(4):
        save(folder / f"{number}.wav", noise(number))
    source = open_(folder, representation="log-stft", n_fft=256, hop=64)
    assert source.spec.shape == (1, 128, 16)
    x, _ = fetch(source)
    assert source.spec == Options(path=folder, length=LENGTH).spec().fitted(x)
    assert source.spec.relax(x).mean((0, 1, 3)).abs().max() < 1e-4


# --- the cache --------------------------------------------------------------------------------------------------------


def test_second_opening_decodes_nothing(folder, monkeypatch):
    for number in range(3):
        save(folder / f"{number}.wav", noise(number, 700))
    (folder / "empty.wav").touch()
    first = open_(folder)
    monkeypatch.setattr("gan_audio.data.sounds.decode", lambda *_: pytest.fail("decoded again"))
    second = open_(folder)
    assert np.array_equal(waves(first), waves(second))
    assert first.report == second.report
    assert open_(folder, length=512, long="split", labels=False).spec.length == 512


@pytest.mark.parametrize(
    "change", [{"normalise": "peak"}, {"sample_rate": 4000}, {"trim_db": 6.0}, {"max_seconds": 0.05}]
)
def test_options_that_change_the_samples_are_decoded_anew(folder, change):
    save(folder / "a.wav", np.linspace(0, 0.5, 700, dtype=np.float32))
    assert not np.array_equal(waves(open_(folder)), waves(open_(folder, **change)))


def test_changed_file_is_decoded_anew(folder):
    save(folder / "a.wav", noise(1))
    open_(folder)
    save(folder / "a.wav", sixteen_bits(noise(2, 900)))
    assert np.array_equal(waves(open_(folder))[0, :900], sixteen_bits(noise(2, 900)))


@pytest.mark.filterwarnings("ignore:.*in the cache is damaged")
@pytest.mark.parametrize("damage", ["shorter", "gone", "nonsense", "flipped bit"])
def test_damaged_cache_is_replaced(folder, cache, damage):
    save(folder / "a.wav", sixteen_bits(noise(1)))
    open_(folder)
    [samples], [notes] = cache.glob("*.i16"), cache.glob("*.json")
    if damage == "shorter":
        samples.write_bytes(samples.read_bytes()[:-2])
    elif damage == "gone":
        samples.unlink()
    elif damage == "flipped bit":
        content = bytearray(samples.read_bytes())
        content[100] ^= 1
        samples.write_bytes(content)
    else:
        notes.write_text('{"used": [99]}')
    assert np.array_equal(waves(open_(folder))[0], sixteen_bits(noise(1)))
    assert len(samples.read_bytes()) == 2 * LENGTH


def test_cache_that_cannot_be_written_is_no_error(folder, tmp_path, monkeypatch):
    save(folder / "a.wav", sixteen_bits(noise(1)))
    (tmp_path / "file").touch()
    monkeypatch.setenv("GAN_CACHE_DIR", str(tmp_path / "file" / "below"))
    assert np.array_equal(waves(open_(folder))[0], sixteen_bits(noise(1)))


def test_without_a_home_sounds_are_read_all_the_same(folder, monkeypatch):
    save(folder / "a.wav", sixteen_bits(noise(1)))
    for name in ("GAN_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GAN_CACHE_DIR", "~nobody-has-this-name/cache")
    assert np.array_equal(waves(open_(folder))[0], sixteen_bits(noise(1)))


def test_cache_that_becomes_full_is_taken_back_into_memory(folder, cache, monkeypatch):
    for number in range(4):
        save(folder / f"{number}.wav", sixteen_bits(noise(number)))
    room = [5000]

    def write(file, data):
        room[0] -= len(data)
        file.write(data[: max(0, room[0] + len(data))])
        if room[0] < 0:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("gan_audio.data.cache._write_all", write)
    found = waves(open_(folder))
    assert np.array_equal(found, np.stack([sixteen_bits(noise(number)) for number in range(4)]))
    assert not list(cache.iterdir())


def test_sound_that_fits_neither_disk_nor_memory_is_an_error_in_words(folder):
    save(folder / "a.wav", noise(1, 600_000))
    with pytest.raises(DataError, match=r"more than 1 MiB.*memory_limit_mb"):
        open_(folder, cache=False, memory_limit_mb=1)


def test_source_that_is_sent_to_another_process_maps_its_file_again(folder):
    for number in range(20):
        save(folder / f"{number}.wav", noise(number, 5000))
    source = open_(folder)
    sent = pickle.dumps(source)
    assert len(sent) < 20_000  # its samples are 200,000 bytes
    assert np.array_equal(waves(pickle.loads(sent), seed=3), waves(source, seed=3))


def test_progress_is_told(folder):
    for number in range(3):
        save(folder / f"{number}.wav", noise(number))
    told = []
    open_(folder, progress=lambda *words: told.append(words))
    assert told == [("reading sounds", done, 3) for done in (1, 2, 3)]


def test_large_file_is_decoded_in_place(folder, monkeypatch):
    x = sixteen_bits(noise(1, 5000))
    save(folder / "a.wav", x)
    monkeypatch.setattr(blocks, "_WHOLE", 100)
    monkeypatch.setattr(blocks, "_BLOCK", 600)
    with zipfile.ZipFile(folder / "b.zip", "w") as archive:
        archive.write(folder / "a.wav", "a.wav")
    assert np.array_equal(waves(open_(folder, long="crop-start"))[0], x[:LENGTH])
    assert np.array_equal(waves(open_(folder / "b.zip", long="crop-start"))[0], x[:LENGTH])


def test_only_the_first_seconds_of_very_long_files_are_read(folder):
    x = sixteen_bits(noise(1, 900))
    save(folder / "a.wav", x)
    source = open_(folder, max_seconds=0.1)
    assert np.array_equal(waves(source)[0, :800], x[:800])
    assert not waves(source)[0, 800:].any()
    assert source.report.skipped[0].reason == "used in part (its first 0.1 s, by max_seconds)"


def test_bytes_of_a_file_in_memory_are_what_soundfile_reads(folder):
    buffer = io.BytesIO()
    soundfile.write(buffer, noise(6), RATE, format="FLAC", subtype="PCM_24")
    (folder / "a.flac").write_bytes(buffer.getvalue())
    wanted = soundfile.read(folder / "a.flac", dtype="float32")[0]
    assert np.abs(waves(open_(folder))[0] - wanted).max() <= 0.5 / 32768 + 1e-7
