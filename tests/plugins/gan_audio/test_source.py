"""Sources over arrays of clips of one length."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from support.fetching import fetch

from gan_audio.data.source import WaveSource, open_mapped
from gan_audio.spec import AudioSpec
from gancore.data.report import ScanReport
from gancore.errors import DataError

SPEC = AudioSpec.of(length=256, representation="waveform", classes=("low", "high"))
REPORT = ScanReport("made", found=3, used=3)
WAVES = np.random.default_rng(0).integers(-32768, 32768, (3, 256)).astype(np.int16)
LABELS = torch.tensor([1, 0, 1])


@pytest.mark.parametrize("form", [torch.from_numpy, lambda x: x, lambda x: torch.from_numpy(x / np.float32(32768.0))])
def test_clips_are_floats_of_full_scale_one(form):
    x, labels = fetch(WaveSource(SPEC, form(WAVES), LABELS, REPORT), 2, 0)
    assert x.dtype is torch.float32
    assert x.shape == (2, 1, 256)
    assert np.array_equal(x[:, 0].numpy(), WAVES[[2, 0]].astype(np.float64) / 32768.0)
    assert labels.tolist() == [1, 1]


def test_what_is_fetched_may_be_changed_without_changing_the_source():
    source = WaveSource(SPEC, torch.from_numpy(WAVES / np.float32(32768.0)), LABELS, REPORT)
    before = fetch(source, 0)[0].clone()
    fetch(source, 0)[0].zero_()
    assert torch.equal(fetch(source, 0)[0], before)


def test_source_without_classes_gives_no_labels():
    assert fetch(WaveSource(SPEC.changed(classes=()), WAVES, LABELS, REPORT), 0)[1] is None


def test_mapped_file_is_mapped_again_in_another_process(tmp_path):
    many = np.tile(WAVES, (100, 1))
    np.save(tmp_path / "waves.npy", many)
    source = WaveSource(
        SPEC, open_mapped(tmp_path / "waves.npy"), None, REPORT, file=tmp_path / "waves.npy", groups=torch.arange(300)
    )
    sent = pickle.dumps(source)
    assert len(sent) < many.nbytes / 10
    assert torch.equal(fetch(pickle.loads(sent), 5, 299)[0], fetch(source, 5, 299)[0])


@pytest.mark.parametrize(
    ("waves", "labels", "problem"),
    [
        (WAVES[:, :100], None, r"int16 \[3, 100\]"),
        (WAVES.astype(np.int32), None, r"int32 \[3, 256\]"),
        (WAVES[:, None], None, r"\[3, 1, 256\]"),
        (WAVES, LABELS[:2], r"labels are int64 \[2\]"),
        (WAVES, LABELS.int(), r"labels are int32 \[3\]"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(waves, labels, problem):
    with pytest.raises(DataError, match=problem):
        WaveSource(SPEC, waves, labels, REPORT)
