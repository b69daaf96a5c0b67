"""Making sounds anew by a trained vocoder: any length, any batch, a whole file, and runs that are none or do not fit."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch
from pydantic import ValidationError
from toys.vocoder import CONFIG, DATA, new_registry, tones

import gancore
from gan_audio import vocoding
from gan_audio.data.given import SoundReader, cut, join, overlap
from gan_audio.spec import AudioSpec
from gan_audio.transforms import stft
from gan_audio.vocoding import load_vocoder, resynthesise
from gancore.data.spec import Given
from gancore.errors import DataError, RunFolderError, UsageError

SPEC = AudioSpec.of(**DATA)
OTHER = AudioSpec.of(n_fft=128, hop=32, length=1024)
"""Spectrograms at the same sample rate, of another kind: what somebody wants to hear through the vocoder."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A vocoder that has seen little."""
    folder = tmp_path_factory.mktemp("vocoder") / "run"
    torch.set_num_threads(1)
    gancore.train(plugin="tones", config=CONFIG, options={"preset": "none"}, out=folder, registry=new_registry())
    return folder


@pytest.fixture(scope="module")
def vocoder(run):
    return gancore.load(run, registry=new_registry(), device="cpu")


@pytest.fixture
def installed_tones(fake_dist, monkeypatch):
    """The plugin of the run, found as anyone's is."""
    fake_dist("tones", "from toys.vocoder import *")
    monkeypatch.setattr(vocoding, "_loaded", vocoding._loaded.__wrapped__)


# --- resynthesis ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 15, 512, 777, 2000])
def test_sounds_of_any_length_keep_it(vocoder, length):
    made = resynthesise(tones(3, length), OTHER, vocoder)
    assert made.shape == (3, 1, length)
    assert made.dtype == torch.float32
    assert torch.isfinite(made).all()
    assert made.abs().max() <= 1


def test_a_sound_of_the_vocoders_own_length_is_what_its_generator_makes_of_the_mel(vocoder):
    waves = tones(3, 512, seed=5)
    expected = vocoder.module(None, None, SPEC.given_part(waves))
    assert torch.equal(resynthesise(waves, SPEC, vocoder), expected)
    assert not torch.equal(expected[0], expected[1])


def test_a_sound_is_the_same_in_any_batch_and_in_any_pieces(vocoder, monkeypatch):
    waves = tones(4, 6000, seed=6)
    whole = resynthesise(waves, OTHER, vocoder)
    monkeypatch.setattr(vocoding, "MOST", 1000)  # now each is made by itself, and in seven pieces
    torch.testing.assert_close(resynthesise(waves, OTHER, vocoder), whole, rtol=0, atol=1e-6)


def test_no_sounds_become_no_sounds(vocoder):
    assert resynthesise(torch.zeros(0, 1, 100), OTHER, vocoder).shape == (0, 1, 100)


def test_another_sample_rate_is_refused_with_both_values(vocoder):
    spec = AudioSpec.of(sample_rate=16000)
    with pytest.raises(UsageError, match="makes sounds at 8000 Hz, and these are at 16000 Hz"):
        resynthesise(tones(1, 512), spec, vocoder)


def test_a_run_is_loaded_from_its_folder(run, vocoder, installed_tones):
    waves = tones(2, 600)
    expected = resynthesise(waves, OTHER, vocoder)
    made = resynthesise(waves, OTHER, run)
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-4)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match=str(tmp_path)):
        resynthesise(tones(1, 100), OTHER, tmp_path)


def test_a_run_that_is_no_vocoder_is_refused(tmp_path, installed_tones):
    data = {"name": "tones", **DATA, "given": "none"}
    config = CONFIG | {"data": data, "architecture": {"name": "flat"}, "game": {"name": "gan"}}
    gancore.train(plugin="tones", config=config, options={"preset": "none"}, out=tmp_path / "run")
    with pytest.raises(UsageError, match="is not a vocoder: its generator is not given mel spectrograms"):
        load_vocoder(tmp_path / "run")


# --- what is given ----------------------------------------------------------------------------------------------------


def test_a_waveform_gives_its_log_mel_between_the_floor_and_full_scale():
    waves = torch.cat([torch.zeros(1, 1, 512), tones(1, 512)])
    given = SPEC.given_part(waves)
    assert given.shape == (2, *SPEC.given_shape) == (2, 8, 32)
    torch.testing.assert_close(given[0], torch.full((8, 32), -1.0))
    assert given.max() <= 1
    # A level in nepers, from the floor of -80 dB to 0 dB, is a number from -1 to 1.
    levels = SPEC.mel_levels(waves)
    decibels = levels * (20 / np.log(10))
    torch.testing.assert_close(given[1], decibels[1] / 40 + 1, rtol=0, atol=1e-4)


def test_the_mel_that_is_given_is_that_of_the_representation_log_mel_with_the_floor_added():
    waves = tones(2, 512)
    pictures = AudioSpec.of(**(DATA | {"representation": "log-mel", "given": "none"}))
    bands = pictures.log_magnitude(stft(waves, 64, 16))[:, 0].exp()  # 1e-4 at the floor of -80 dB
    heard = bands > 1.001e-4
    assert heard.any()
    torch.testing.assert_close(SPEC.mel_levels(waves).exp()[heard], bands[heard] + 1e-4, rtol=1e-4, atol=0)
    assert float(SPEC.mel_levels(waves)[~heard].exp().max()) <= 2.01e-4


def test_a_mel_goes_with_waveforms_alone():
    with pytest.raises(ValidationError, match="given=mel goes with representation=waveform, not log-stft"):
        AudioSpec.of(given="mel")


def test_clips_of_a_sound_that_overlap_are_joined_to_the_sound():
    shared = overlap(SPEC)
    assert shared == 64
    sound = torch.randn(3000, generator=torch.Generator().manual_seed(0))
    clips = cut(sound, SPEC)
    assert clips.shape == (7, 1, 512)
    assert torch.equal(clips[1, 0, :shared], clips[0, 0, -shared:])
    spec, whole = join(SPEC, clips, len(clips))
    assert spec.length == whole.shape[-1] == 6 * 448 + 512
    assert whole.shape[:2] == (1, 1)
    torch.testing.assert_close(whole[0, 0, :3000], sound, rtol=0, atol=1e-6)
    assert not whole[0, 0, 3000:].any()


def test_several_sounds_are_joined_each_for_itself_and_a_part_of_one_is_left_out():
    clips = torch.stack([torch.full((1, 512), float(n)) for n in (1, 1, 2, 2, 3)])
    spec, whole = join(SPEC, clips, 2)
    assert whole.shape == (2, 1, spec.length)
    torch.testing.assert_close(whole, torch.tensor([1.0, 2.0])[:, None, None].expand_as(whole))
    assert join(SPEC, clips[:1], 2) is None


def test_a_file_is_given_in_clips_at_the_vocoders_sample_rate(vocoder, tmp_path):
    sound = tones(1, 16000, rate=16000)[0, 0].numpy()
    soundfile.write(tmp_path / "tone.wav", np.stack([sound, sound], axis=1), 16000)
    given = vocoder.read_given(tmp_path / "tone.wav")
    assert isinstance(given, Given)
    assert given.x.shape == (18, 1, 512)
    _, whole = SoundReader(SPEC).join(given.x, given)
    direct = torch.from_numpy(sound[::2].copy())
    assert float((whole[0, 0, 100:7900] - direct[100:7900]).abs().max()) < 0.01


def test_copy_synthesis_of_a_file_is_as_long_as_the_file(vocoder, tmp_path):
    soundfile.write(tmp_path / "tone.wav", tones(1, 2000)[0, 0].numpy(), 8000)
    given = vocoder.read_given(tmp_path / "tone.wav")
    samples = vocoder.sample(given=given)
    spec, whole = SoundReader(SPEC).join(samples, given)
    assert 2000 <= whole.shape[-1] == spec.length < 2000 + 512
    assert torch.equal(samples, vocoder.sample(given=given, seed=9)), "nothing is left to chance"


def test_a_file_that_is_no_sound_is_told_of(vocoder, tmp_path):
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(DataError, match=r"text\.wav.* cannot be used: it is "):
        vocoder.read_given(tmp_path / "text.wav")
    with pytest.raises(UsageError, match=r"absent\.wav' does not exist"):
        vocoder.read_given(tmp_path / "absent.wav")
    with pytest.raises(UsageError, match="is not a file"):
        vocoder.read_given(tmp_path)
