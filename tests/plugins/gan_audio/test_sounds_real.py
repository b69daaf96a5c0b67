"""Real recordings: what the library of the format and the files' own names say of them is what clips are."""

from __future__ import annotations

import time

import numpy as np
import pytest
import soundfile
from support.fetching import fetch
from support.shared import SHARED, marks

from gan_audio.data.sounds import Options, open_sounds

DIGITS = SHARED / "fsdd" / "recordings"
PATTERN = "{label}_{speaker}_{index}.wav"

pytestmark = marks(DIGITS)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAN_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def names(cache):
    found = sorted(path.name for path in DIGITS.iterdir())
    assert len(found) == 3000
    return found


def open_(**options):
    return open_sounds(Options(path=DIGITS, pattern=PATTERN, **options), lambda *_: None)


def test_every_clip_holds_the_samples_of_its_file(names):
    x, _ = fetch(open_(representation="waveform", long="crop-start", fade_ms=0.0))
    for clip, name in zip(x[:, 0].numpy(), names, strict=True):
        wanted = soundfile.read(DIGITS / name, dtype="float32")[0][:8192]
        assert np.array_equal(clip[: len(wanted)], wanted), name
        assert not clip[len(wanted) :].any(), name


def test_every_label_is_the_digit_of_the_name(names):
    source = open_(representation="waveform")
    _, labels = fetch(source)
    assert source.spec.classes == tuple("0123456789")
    assert labels.tolist() == [int(name[0]) for name in names]
    assert source.report.skipped == ()


def test_the_test_split_is_left_out_by_name(names):
    source = open_(representation="waveform", include=("*_george_*",), exclude=("*_[0-4].wav",))
    parts = [name.removesuffix(".wav").split("_") for name in names]
    kept = [part for part in parts if part[1] == "george" and int(part[2]) >= 5]
    assert len(source) == len(kept) == 450
    assert fetch(source)[1].bincount().tolist() == [45] * 10


def test_peaks_are_all_at_one_level_and_no_clip_is_lost_by_trimming(names):
    source = open_(representation="waveform", include=("*_theo_*",), normalise="peak", trim_db=40.0, long="crop-start")
    x, _ = fetch(source)
    assert len(x) == 500
    # Of the few that are longer than a clip the peak may lie behind it.
    assert (x.abs().amax((1, 2)) > 0.94).float().mean() > 0.99
    assert float(x.abs().max()) <= 0.9501


def test_a_thousand_clips_a_second_are_read_from_the_cache(names):
    open_()
    # Of this process alone, for the machine may be busy with others.
    begun = time.process_time()
    fetch(open_(representation="waveform"))
    assert 3000 / (time.process_time() - begun) > 1000
