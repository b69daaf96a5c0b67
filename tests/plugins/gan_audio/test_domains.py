"""Sounds from domain to domain, as somebody with two folders of recordings does it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from toys.nets import one_thread  # noqa: F401
from typer.testing import CliRunner

import gancore
from gan_audio.data import sounds
from gan_audio.data.given import Reader
from gan_audio.nets.translator import Ending, Options, build
from gan_audio.spec import AudioSpec
from gan_cli.app import app
from gancore import api
from gancore.errors import DataError, UsageError
from gancore.nets.translating import Translator

RATE, LENGTH = 8000, 1024
OPTIONS = {
    "architecture": {"width": 4, "blocks": 2, "discriminator_width": 4}, "batch_size": 4, "held_out": 0.4, "samples": 2,
    "every": {"evaluate": 0, "sample": 2, "checkpoint": 2}, "schedules": "none",
    "data": {"length": LENGTH, "mels": 16, "iterations": 1, "cache": False},
}  # fmt: skip


def tone(file: Path, hertz: float, *, level: float = 0.5, rate: int = RATE, count: int = LENGTH) -> None:
    soundfile.write(file, level * np.sin(2.0 * np.pi * hertz * np.arange(count) / rate), rate)


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("voices")
    for name, hertz in (("low", 200.0), ("high", 1500.0)):
        (folder / name).mkdir()
        for number in range(8):
            tone(folder / name / f"{name}-{number}.wav", hertz + 20.0 * number)
    return folder


@pytest.fixture(scope="module")
def run(voices: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("runs") / "run"
    return str(api.train(plugin="audio", preset="domains", data=voices, steps=2, out=out, options=OPTIONS).folder)


def spec(**changes: object) -> AudioSpec:
    return AudioSpec.of(length=LENGTH).model_copy(update={"domains": ("a", "b"), "classes": ("a", "b"), **changes})


def test_sounds_are_translated_under_their_names(run: str, voices: Path, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    for number in (3, 5):
        (given / f"word-{number}.wav").write_bytes((voices / "low" / f"low-{number}.wav").read_bytes())
    done = CliRunner().invoke(
        app, ["translate", run, str(given), "--to", "high", "--out", str(tmp_path / "made"), "--json"]
    )
    assert done.exit_code == 0, done.output
    assert {"word-3.wav", "word-5.wav"} <= {Path(file).name for file in json.loads(done.stdout)["files"]}
    made, rate = soundfile.read(tmp_path / "made" / "word-3.wav")
    assert rate == RATE
    assert len(made) == LENGTH
    samples = gancore.load(run).translate(given, to="high")
    assert np.abs(samples[0, 0].numpy() - made).max() < 1e-3


def test_what_is_translated_is_a_sample_as_those_of_the_data(run: str, voices: Path) -> None:
    generator = gancore.load(run)
    assert generator.spec.given_shape == generator.spec.shape == (1, 16, 16)
    x = torch.rand(2, *generator.spec.shape)
    assert generator.spec.given_part(x) is x
    soft = voices / "low" / "low-0.wav"
    [clip] = generator.read_given(soft).x  # at the level of the preset, which normalises peaks
    assert clip.abs().max().item() == pytest.approx(0.95, abs=0.01)


def test_networks_see_the_very_sound_that_is_given(run: str, voices: Path) -> None:
    generator = gancore.load(run)
    given = generator.read_given(voices / "low")
    seen = []
    generator.module.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[2]))
    generator.translate(given, to="high")
    assert torch.equal(torch.cat(seen), generator.spec.relax(given.x))


def test_files_are_resampled_padded_and_cut_to_a_clip(tmp_path: Path) -> None:
    tone(tmp_path / "b.wav", 440.0, rate=2 * RATE, count=LENGTH)
    tone(tmp_path / "a.wav", 440.0, count=3 * LENGTH)
    with pytest.warns(UserWarning, match="1 of 2 sounds are longer than the 0.128 s of a clip"):
        given = Reader(spec()).read(tmp_path)
    assert given.names == ("a", "b")
    assert given.x.shape == (2, 1, LENGTH)
    expected = 0.5 * np.sin(2.0 * np.pi * 440.0 * np.arange(LENGTH) / RATE)
    assert np.abs(given.x[0, 0].numpy() - expected).max() < 1e-3
    assert not given.x[1, 0, LENGTH // 2 :].any()
    assert np.abs(given.x[1, 0, 100:400].numpy() - expected[100:400]).max() < 1e-2
    assert Reader(spec()).join(given.x, given) is None


def test_levels_follow_the_full_scale_of_the_data(tmp_path: Path) -> None:
    tone(tmp_path / "a.wav", 440.0)
    [clip] = Reader(spec(full_scale=2.0)).read(tmp_path / "a.wav").x
    assert clip.abs().max().item() == pytest.approx(0.25, abs=0.01)


def test_files_that_are_no_sounds_are_told(tmp_path: Path) -> None:
    (tmp_path / "b.wav").write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match="no sound could be read"):
        Reader(spec()).read(tmp_path)
    tone(tmp_path / "a.wav", 440.0)
    with pytest.warns(UserWarning, match=r"1 of 2 sounds cannot be read and is left out, b\.wav"):
        assert Reader(spec()).read(tmp_path).names == ("a",)


def test_what_is_said_may_stand_in_names(tmp_path: Path) -> None:
    for name in ("one_anna_0", "two_anna_1", "one_ben_0", "two_ben_1"):
        tone(tmp_path / f"{name}.wav", 440.0)
    options = sounds.Options(path=tmp_path, length=LENGTH, cache=False, pattern="{content}_{label}_{index}.wav")
    source = sounds.open_sounds(options, lambda *_: None)
    assert source.spec.classes == ("anna", "ben")
    assert source.content is not None
    assert source.content.names == ("one", "two")
    assert source.content.numbers.tolist() == [0, 0, 1, 1]
    plain = options.model_copy(update={"pattern": "{word}_{label}_{index}.wav"})
    assert sounds.open_sounds(plain, lambda *_: None).content is None


def test_waveforms_are_no_maps(voices: Path, tmp_path: Path) -> None:
    options = {**OPTIONS, "data": {"length": LENGTH, "representation": "waveform", "cache": False}}
    with pytest.raises(UsageError, match="works on maps"):
        api.train(plugin="audio", preset="domains", data=voices, steps=1, out=tmp_path / "run", options=options)


def translators(**options: object) -> list[Translator]:
    own = spec(representation="log-mel", mels=16, shape=(1, 16, 16))
    made = build(Options(width=4, blocks=2, discriminator_width=4, **options), own)["generator"]
    return [network for network in made.modules() if isinstance(network, Translator)]


def test_translators_of_sounds_reach_the_silence_of_real_ones() -> None:
    [network] = translators()
    silence = AudioSpec.of(length=LENGTH, representation="log-mel", mels=16).relax(torch.zeros(1, 1, LENGTH))
    made = network.end(torch.full((1, 1, 16, 16), -30.0), silence)
    assert (made - silence).abs().max().item() < 1e-5


@pytest.mark.parametrize(("representation", "planes"), [("log-mel", 1), ("log-stft", 1), ("stft-if", 2)])
def test_an_edit_of_nothing_leaves_a_sound_nearly_as_it_is(representation: str, planes: int) -> None:
    own = AudioSpec.of(length=LENGTH, representation=representation, mels=16, n_fft=256, hop=64)
    wave = 0.5 * torch.sin(2.0 * torch.pi * 440.0 / RATE * torch.arange(LENGTH))[None, None]
    given = own.relax(wave)
    assert given.shape[1] == planes
    nothing = torch.zeros_like(given)
    # What turns is masked where nothing is heard.
    edited, made = ((Ending(own, edits=edits)(nothing, given) - given)[:, 0].abs().max() for edits in (True, False))
    assert edited.item() < 0.02
    assert made.item() > 0.3


def test_separate_translators_of_sounds_share_nothing() -> None:
    one, other = translators(separate=True)
    assert isinstance(one.end, Ending)
    assert not {id(p) for p in one.parameters()} & {id(p) for p in other.parameters()}
