"""What the writers of sound put on disk, read back with soundfile."""

from __future__ import annotations

import struct
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from gan_audio.spec import AudioSpec
from gan_audio.writers.common import in_turn
from gan_audio.writers.sequence import SequenceOptions, SequenceWriter
from gan_audio.writers.wav import WavOptions, WavWriter
from gancore.errors import PluginError, RunFolderError, UsageError

LENGTH = 512


def sounds(classes: tuple[str, ...] = (), rate: int = 8000) -> AudioSpec:
    return AudioSpec.of(sample_rate=rate, length=LENGTH, representation="waveform", classes=classes)


def noise(count: int = 3, peak: float = 0.9) -> Tensor:
    wave = torch.rand(count, 1, LENGTH, generator=torch.Generator().manual_seed(5)) * 2 - 1
    return wave * (peak / wave.abs().amax(-1, keepdim=True))


def wav(folder: Path, samples: Tensor, labels: list[int] | None = None, spec: AudioSpec | None = None, **options):
    return WavWriter(WavOptions(**options), spec or sounds()).write(samples, folder, "sample", labels)


def read(path: Path) -> np.ndarray:
    wave, rate = soundfile.read(path, dtype="float64")
    assert rate == 8000
    assert wave.ndim == 1
    return wave


def test_each_sample_is_a_mono_file_at_the_rate_of_the_data(tmp_path):
    paths = wav(tmp_path / "new", noise(), spec=sounds(rate=22_050))
    assert [p.name for p in paths] == ["sample-00000.wav", "sample-00001.wav", "sample-00002.wav"]
    assert sorted((tmp_path / "new").iterdir()) == paths
    info = soundfile.info(paths[0])
    assert (info.samplerate, info.channels, info.frames, info.subtype) == (22_050, 1, LENGTH, "PCM_16")


@pytest.mark.parametrize(
    ("form", "subtype", "step"), [("pcm16", "PCM_16", 2**-15), ("pcm24", "PCM_24", 2**-23), ("float32", "FLOAT", 0.0)]
)
def test_a_file_read_back_is_the_sample_to_half_a_step(tmp_path, form, subtype, step):
    samples = noise(1)
    (path,) = wav(tmp_path, samples, format=form)
    assert soundfile.info(path).subtype == subtype
    assert np.abs(read(path) - samples[0, 0].double().numpy()).max() <= step / 2


def test_full_scale_is_a_step_off_at_most(tmp_path):
    samples = torch.zeros(1, 1, LENGTH)
    samples[0, 0, :2] = torch.tensor([1.0, -1.0])
    for form, step in (("pcm16", 2**-15), ("pcm24", 2**-23), ("float32", 0.0)):
        assert read(*wav(tmp_path, samples, format=form))[:2].tolist() == [1.0 - step, -1.0]


def test_what_came_out_of_a_16_bit_file_goes_back_unchanged(tmp_path):
    values = np.random.default_rng(1).integers(-32768, 32768, LENGTH).astype(np.int16)
    soundfile.write(tmp_path / "original.wav", values, 8000, subtype="PCM_16")
    samples = torch.from_numpy(soundfile.read(tmp_path / "original.wav", dtype="float32")[0])[None, None]
    again, _ = soundfile.read(*wav(tmp_path, samples), dtype="int16")
    assert np.array_equal(again, values)


@pytest.mark.parametrize("form", ["pcm16", "pcm24", "float32"])
def test_a_sample_above_full_scale_is_turned_down_and_keeps_its_form(tmp_path, form):
    samples = noise(2, peak=1.7)
    samples[1] = noise(1, peak=0.5)
    loud, quiet = (read(p) for p in wav(tmp_path, samples, format=form))
    assert 0.9999 < np.abs(loud).max() <= 1.0
    assert np.abs(loud - samples[0, 0].numpy() / 1.7).max() <= 2**-15
    assert np.abs(quiet - samples[1, 0].numpy()).max() <= 2**-16


def test_gain_brings_every_sound_to_the_same_peak_and_leaves_silence_silent(tmp_path):
    samples = torch.cat([noise(1, peak=0.01), noise(1, peak=1.7), torch.zeros(1, 1, LENGTH)])
    faint, loud, silent = (read(p) for p in wav(tmp_path, samples, format="float32", gain="peak", peak_db=-6.0))
    assert np.abs(faint).max() == pytest.approx(0.501187, rel=1e-5)  # 10 ** (-6 / 20)
    assert np.abs(loud).max() == pytest.approx(0.501187, rel=1e-5)
    assert not silent.any()


def test_a_sample_that_is_not_finite_is_silence_with_one_warning(tmp_path):
    samples = noise(4)
    samples[1, 0, 7], samples[3, 0, 0] = float("nan"), float("inf")
    with pytest.warns(UserWarning, match="2 of 4 sounds .* number 1") as told:
        waves = [read(p) for p in wav(tmp_path, samples)]
    assert len(told) == 1
    assert [bool(w.any()) for w in waves] == [True, False, True, False]


def test_samples_are_left_as_they_are(tmp_path):
    samples = noise(3, peak=1.7)
    samples[1, 0, 0] = float("nan")
    before = samples.clone()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wav(tmp_path, samples)
    assert torch.equal(samples.nan_to_num(), before.nan_to_num())


@pytest.mark.parametrize("form", ["pcm16", "pcm24", "float32"])
def test_the_same_sample_gives_the_same_bytes(tmp_path, form):
    """The chunk PEAK, which libsndfile adds to floating point, would hold the time of day."""
    (first,) = wav(tmp_path / "a", noise(1), format=form)
    (second,) = wav(tmp_path / "b", noise(1), format=form)
    assert first.read_bytes() == second.read_bytes()
    whole = first.read_bytes()
    at = whole.find(b"PEAK")
    assert (at > 0) == (form == "float32")
    if at > 0:
        _, version, time, value, place = struct.unpack("<IIIfI", whole[at + 4 : at + 24])
        assert (version, time) == (1, 0)
        assert (value, place) == (pytest.approx(0.9), int(noise(1).abs().argmax()))


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("drum", "-drum"),
        ("a/b", "-a_b"),
        ("..\\up", "-up"),
        ("3", "-class3"),
        ("鼓", "-鼓"),
        ("Flöte", "-Flöte"),
        ("x" * 99, "-" + "x" * 80),
    ],
)
def test_file_names_are_safe_whatever_a_class_is_called(tmp_path, name, part):
    (path,) = wav(tmp_path, noise(1), [0], sounds((name, "other")))
    assert path == tmp_path / f"sample-00000{part}.wav"
    assert path.is_file()


@pytest.mark.parametrize(
    "samples",
    [
        torch.zeros(0, 1, LENGTH),
        torch.zeros(2, LENGTH),
        torch.zeros(2, 1, LENGTH - 1),
        torch.zeros(2, 1, LENGTH).short(),
    ],
)
def test_samples_of_another_form_are_refused(tmp_path, samples):
    with pytest.raises(UsageError, match=r"float32 of shape \[n, 1, 512\]"):
        wav(tmp_path, samples)


# --- vocoder ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def vocoder(tmp_path: Path) -> Path:
    (tmp_path / "voice").mkdir()
    (tmp_path / "voice" / "config.toml").touch()
    return tmp_path / "voice"


def test_without_a_vocoder_none_is_imported(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gan_audio.vocoding", None)  # importing it would fail
    wav(tmp_path, noise())


def test_a_vocoder_makes_the_waveforms(tmp_path, monkeypatch, vocoder):
    calls = []

    def resynthesise(waves, spec, run):
        calls.append((tuple(waves.shape), spec, run))
        return -2.0 * waves

    monkeypatch.setitem(sys.modules, "gan_audio.vocoding", SimpleNamespace(resynthesise=resynthesise))
    spec, samples = sounds(), noise(2, peak=0.8)
    waves = [read(p) for p in wav(tmp_path, samples, spec=spec, vocoder=vocoder)]
    # No sounds at first, when the writer is made, to have the vocoder checked.
    assert calls == [((0, 1, LENGTH), spec, vocoder), ((2, 1, LENGTH), spec, vocoder)]
    # -2 * 0.8 is above full scale, and turned down to it.
    assert np.abs(waves[1] + samples[1, 0].numpy() / 0.8).max() <= 2**-15
    assert samples.abs().max() == pytest.approx(0.8)


def test_a_vocoder_that_makes_another_length_is_told_of(tmp_path, monkeypatch, vocoder):
    module = SimpleNamespace(resynthesise=lambda waves, spec, run: waves[:, :, 1:] if len(waves) else waves)
    monkeypatch.setitem(sys.modules, "gan_audio.vocoding", module)
    with pytest.raises(PluginError, match=r"\[2, 1, 511\] out of \[2, 1, 512\]"):
        wav(tmp_path, noise(2), vocoder=vocoder)


def test_a_vocoder_that_is_no_run_is_refused_before_any_sample_is_made(tmp_path):
    for maker, options in ((WavWriter, WavOptions), (SequenceWriter, SequenceOptions)):
        with pytest.raises(RunFolderError, match="does not exist"):
            maker(options(vocoder=tmp_path / "nothing"), sounds())


def test_a_run_that_is_no_vocoder_is_refused_before_any_sample_is_made(monkeypatch, vocoder):
    def resynthesise(waves, spec, run):
        raise UsageError(f"'{run}' is not a vocoder")

    monkeypatch.setitem(sys.modules, "gan_audio.vocoding", SimpleNamespace(resynthesise=resynthesise))
    with pytest.raises(UsageError, match="voice' is not a vocoder"):
        WavWriter(WavOptions(vocoder=vocoder), sounds())


def test_the_folder_of_a_vocoder_is_kept_as_a_whole_path(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert WavOptions(vocoder=Path("runs/voice")).vocoder == tmp_path / "runs" / "voice"
    assert WavOptions(vocoder="none").vocoder is None


# --- sequences --------------------------------------------------------------------------------------------------------


def sequence(folder: Path, samples: Tensor, labels: list[int] | None = None, **options) -> np.ndarray:
    (path,) = SequenceWriter(SequenceOptions(**options), sounds(("a", "b", "c"))).write(samples, folder, "step", labels)
    assert path == folder / "step.wav"
    return read(path)


def test_a_sequence_is_the_samples_with_silence_between(tmp_path):
    samples = noise(3)
    wave = sequence(tmp_path, samples, gap=0.1)  # 800 samples
    assert len(wave) == 3 * LENGTH + 2 * 800
    for number in range(3):
        start = number * (LENGTH + 800)
        assert np.abs(wave[start : start + LENGTH] - samples[number, 0].numpy()).max() <= 2**-16
        assert not wave[start + LENGTH : start + LENGTH + 800].any()


def test_a_sequence_may_have_no_gaps(tmp_path):
    samples = noise(2)
    assert np.abs(sequence(tmp_path, samples, gap=0.0) - samples.flatten().numpy()).max() <= 2**-16


def test_a_sequence_ends_in_time_with_whole_samples(tmp_path):
    # 10 samples and 9 gaps are 5,120 + 9 * 320 = 8,000 values: one second exactly.
    assert len(sequence(tmp_path, noise(12), gap=0.04, seconds=1.0)) == 8000
    assert len(sequence(tmp_path, noise(12), gap=0.041, seconds=1.0)) == 9 * LENGTH + 8 * 328


def test_a_sequence_has_one_sample_at_least(tmp_path):
    spec = AudioSpec.of(length=8192 * 2, representation="waveform")
    (path,) = SequenceWriter(SequenceOptions(seconds=1.0), spec).write(torch.zeros(3, 1, spec.length), tmp_path, "s")
    assert soundfile.info(path).frames == spec.length


def test_a_sequence_plays_classes_in_turn(tmp_path):
    samples = torch.arange(1, 5)[:, None, None].expand(4, 1, LENGTH) * 0.1
    wave = sequence(tmp_path, samples, [2, 2, 0, 0], gap=0.0)
    assert wave[::LENGTH].round(2).tolist() == [0.3, 0.1, 0.4, 0.2]


@pytest.mark.parametrize(
    ("labels", "order", "turn"),
    [
        (None, [0, 1, 2, 3], 0),
        ([0, 1, 0, 1], [0, 1, 2, 3], 2),
        ([1, 1, 0, 0], [2, 0, 3, 1], 2),
        ([7, 5, 3, 1], [3, 2, 1, 0], 4),
        ([0, 0, 0, 1], [0, 1, 2, 3], 0),
        ([4, 4, 4, 4], [0, 1, 2, 3], 0),
    ],
)
def test_classes_take_turns_where_all_have_as_many_samples(labels, order, turn):
    assert in_turn(4, labels) == (order, turn)
