"""Levels of recordings beside each other, and channels that cancel out."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch
from pydantic import ValidationError
from support.fetching import fetch

from gan_audio.data.given import SoundReader
from gan_audio.data.sounds import Options, open_sounds
from gancore.errors import DataError

RATE = 8000
RNG = np.random.default_rng(0)
NOISE, OTHER = (RNG.uniform(-0.5, 0.5, 1024).astype(np.float32) for _ in range(2))
for wave in (NOISE, OTHER):
    wave[7] = 0.5


def save(folder, subtype="FLOAT", **files):
    for name, x in files.items():
        soundfile.write(folder / f"{name}.wav", x, RATE, subtype=subtype)


def opened(folder, **options):
    plain = {"length": 1024, "fade_ms": 0.0, "representation": "waveform"}
    return open_sounds(Options(path=folder, **(plain | options)), lambda *_: None)


def waves(source):
    return fetch(source)[0][:, 0].numpy()


# --- one scale for all ------------------------------------------------------------------------------------------------


def test_one_sound_beyond_full_scale_turns_all_of_them_down(folder):
    save(folder, a=NOISE, b=4.0 * OTHER)
    save(folder, "PCM_16", c=NOISE)
    for _ in ("decoded", "from the cache"):
        source = opened(folder)
        assert np.abs(waves(source) - np.stack([NOISE / 2, OTHER * 2, NOISE / 2])).max() < 2 / 32768
        assert source.spec.full_scale == pytest.approx(2.0)
        assert source.report.notes == (
            "levels: b.wav reaches 2 times full scale, so everything is 6.0 dB lower (full_scale=auto)",
        )
        assert source.report.notes[0] in source.report.summary()


def test_bits_of_a_sample_do_not_change_its_level(folder):
    for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"):
        save(folder, subtype, **{subtype: NOISE})
    source = opened(folder)
    assert np.abs(waves(source) - NOISE).max() <= 1 / 128
    assert (source.spec.full_scale, source.report.notes) == (1.0, ())


def test_floats_in_the_units_of_integers_keep_their_levels_to_each_other(folder):
    save(folder, a=NOISE * 65_534, b=OTHER * 16_000)
    source = opened(folder)
    assert source.spec.full_scale == pytest.approx(32_767)
    assert np.abs(waves(source) - np.stack([NOISE * 2, OTHER * 16_000 / 32_767])).max() < 2 / 32768


@pytest.mark.parametrize("value", [32_767.0, 1e30])
def test_one_file_in_other_units_silences_no_others(folder, value):
    save(folder, a=NOISE * value, b=NOISE, c=OTHER)
    source = opened(folder)
    assert np.abs(waves(source) - np.stack([NOISE, OTHER])).max() < 1 / 32768
    [skipped] = source.report.skipped
    assert skipped.path == "a.wav"
    assert skipped.reason.startswith("in other units than most files (it reaches ")


def test_file_that_is_silent_beside_the_others_is_listed(folder):
    save(folder, a=NOISE * 65_534, b=OTHER * 65_534, c=NOISE)
    source = opened(folder)
    assert len(source) == 2
    [skipped] = source.report.skipped
    assert (skipped.path, skipped.reason[:40]) == ("c.wav", "silent beside a.wav, which reaches 3.277")


def test_full_scale_that_is_given_is_that_of_every_file(folder):
    save(folder, a=NOISE, b=OTHER * 0.01)
    source = opened(folder, full_scale=0.25)
    assert np.abs(waves(source) - np.stack([NOISE * 4, OTHER * 0.04]).clip(-1, 1)).max() < 1 / 32768 + 1e-6
    assert [(one.path, one.reason) for one in source.report.skipped] == [
        ("a.wav", "clipped (it reaches 2 times full scale)")
    ]
    assert source.report.notes == ("levels: 0.25 in the files is full scale (full_scale=0.25)",)


def test_data_that_use_little_of_full_scale_are_noted_with_what_to_do(folder):
    save(folder, "PCM_24", a=NOISE * 0.05, b=OTHER * 0.01)
    source = opened(folder)
    assert np.abs(waves(source)[0] - NOISE * 0.05).max() < 1 / 32768
    assert source.report.notes == (
        "levels: nothing is louder than 0.025 of full scale (in a.wav); full_scale=0.025 would turn all files up to it",
    )
    assert np.abs(waves(opened(folder, full_scale=0.025))[1] - OTHER * 0.4).max() < 1 / 32768


def test_silent_parts_are_those_below_the_scale_of_all(folder):
    x = np.concatenate([NOISE * 4, NOISE * 0.003])
    save(folder, a=x, b=NOISE)
    [skipped] = opened(folder, long="split", silent_db=-56.0).report.skipped
    assert skipped.reason == "in part silent (1 of 2 parts, which are left out)"
    assert opened(folder, long="split", silent_db=-65.0).report.skipped == ()


@pytest.mark.parametrize(("normalise", "words"), [("peak", "highest peak is brought to 0.95"), ("loudness", "-23 dB")])
def test_report_says_that_each_file_was_brought_to_one_level(folder, normalise, words):
    save(folder, a=NOISE)
    assert words in opened(folder, normalise=normalise).report.summary()


def test_full_scale_without_levels_to_keep_is_refused(folder):
    with pytest.raises(ValidationError, match="full_scale=2 goes with normalise=none, not peak"):
        Options(path=folder, full_scale=2.0, normalise="peak")


def test_other_data_are_seen_at_the_levels_of_the_runs(folder, tmp_path):
    save(folder, a=NOISE * 4)
    (tmp_path / "other").mkdir()
    save(tmp_path / "other", a=OTHER)
    spec, other = opened(folder).spec, opened(tmp_path / "other")
    assert spec.adopts(other.spec)
    assert np.abs(spec.adopt(torch.from_numpy(waves(other)), other.spec).numpy() - OTHER / 2).max() < 1 / 32768
    back = other.spec.adopt(torch.from_numpy(waves(opened(folder))), spec)
    assert np.abs(back.numpy() - (NOISE * 4).clip(-1, 1)[None]).max() < 3 / 32768


def test_file_that_is_given_has_the_level_that_it_would_have_in_the_data(folder):
    save(folder, a=NOISE * 4, b=NOISE, c=NOISE * 8)
    sizes = {"n_fft": 256, "hop": 64, "mels": 16, "given": "mel"}
    spec = opened(folder, include=("a.wav",), **sizes).spec
    for name, factor in (("b", 0.5), ("c", 2.0)):
        samples = SoundReader(spec).read(folder / f"{name}.wav").x[0, 0].numpy()
        assert np.abs(samples - NOISE * factor).max() < 2 / 32768


def test_file_that_is_given_must_be_whole(folder):
    save(folder, "PCM_16", a=NOISE)
    sizes = {"n_fft": 256, "hop": 64, "mels": 16, "given": "mel"}
    spec = opened(folder, **sizes).spec
    content = (folder / "a.wav").read_bytes()
    (folder / "b.wav").write_bytes(content + content[:500])
    with pytest.raises(DataError, match=r"b\.wav' could only be used in part \(stream 2 of 2 in it is truncated"):
        SoundReader(spec).read(folder / "b.wav")


# --- channels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("second", [-1.0, -0.9])
def test_channels_that_cancel_out_are_not_silence(folder, second):
    save(folder, "PCM_16", a=np.stack([second * NOISE, NOISE], axis=1), b=NOISE)
    for _ in ("decoded", "from the cache"):
        source = opened(folder)
        assert np.abs(np.abs(waves(source)[0]) - np.abs(NOISE)).max() < 2 / 32768
        assert (len(source), source.report.skipped) == (2, ())
        assert source.report.notes == (
            "channels of 1 file cancel out when mixed, so only the loudest one is used (a.wav)",
        )


@pytest.mark.parametrize("silence", [1, 7])
def test_channels_that_do_not_cancel_out_are_mixed(folder, silence):
    save(folder, "PCM_16", a=np.stack([NOISE, OTHER], axis=1), b=np.stack([NOISE] + [0 * NOISE] * silence, axis=1))
    source = opened(folder)
    assert np.abs(waves(source) - np.stack([(NOISE + OTHER) / 2, NOISE / (1 + silence)])).max() < 2 / 32768
    assert source.report.notes == ()


def test_offsets_of_channels_do_not_hide_that_they_cancel_out(folder):
    save(folder, "PCM_16", a=np.stack([NOISE / 2 + 0.1, 0.1 - NOISE / 2], axis=1))
    assert np.abs(np.abs(waves(opened(folder))[0] - 0.1) - np.abs(NOISE / 2)).max() < 2 / 32768


def test_silence_in_every_channel_is_silence(folder):
    save(folder, "PCM_16", a=NOISE, b=np.zeros((1024, 2)))
    assert [one.path for one in opened(folder).report.skipped] == ["b.wav"]
