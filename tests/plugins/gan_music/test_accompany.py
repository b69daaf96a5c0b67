"""A generator that is given tracks: the networks, a run of them, and the command of a musician with a melody."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import mido
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support import forked
from support.fetching import fetch
from support.midi import midi_file, played
from torch import Tensor
from toys import music
from toys.music import latents, small
from toys.nets import one_thread  # noqa: F401

from gan_music.data import midi, tunes
from gan_music.nets import musegan
from gan_music.spec import MusicSpec, Track
from gancore.errors import UsageError
from gancore.latent.find import find_directions
from gancore.latent.steering import Steering
from gancore.plugins import Registry
from gancore.random import Draws
from gancore.sampling.loading import load
from gancore.testing.suite import check_plugin

BAND = (Track(name="melody"), Track(name="chords"), Track(name="drums", drums=True))
SMALL = {"architecture.width": 8, "architecture.latent": 8, "architecture.sounding_bias": -1, "data.count": 64}


def spec_of(*names: str, tracks: tuple[Track, ...] = BAND, **more: Any) -> MusicSpec:
    return small(*tracks, given=names, **{"steps_per_beat": 2, **more})


build = partial(music.build, musegan)


def phrases(spec: MusicSpec, count: int, seed: int = 1) -> Tensor:
    """Relaxed planes with about a fifth of all cells sounding."""
    cells = Draws(seed, torch.arange(count)).uniform("x", len(spec.tracks), *spec.shape[1:])
    return spec.relax((cells < 0.2).to(torch.uint8) * 2)


# --- networks ---------------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(
    drums=st.lists(st.booleans(), min_size=2, max_size=5),
    data=st.data(),
    bars=st.integers(1, 4),
    beats=st.integers(1, 5),
    steps=st.integers(1, 4),
    lowest=st.integers(0, 80),
    pitches=st.integers(1, 40),
    velocities=st.sampled_from([1, 3]),
    classes=st.sampled_from([0, 3]),
)
def test_given_tracks_are_in_the_phrase_as_they_are_for_any_grid(
    drums: list[bool], data: st.DataObject, bars: int, beats: int, steps: int, lowest: int, pitches: int, velocities: int,
    classes: int,
) -> None:  # fmt: skip
    tracks = tuple(Track(name=str(n), drums=d) for n, d in enumerate(drums))
    names = data.draw(st.sets(st.sampled_from([t.name for t in tracks]), min_size=1, max_size=len(tracks) - 1))
    spec = spec_of(
        *names, tracks=tracks, bars=bars, beats_per_bar=beats, steps_per_beat=steps, lowest=lowest, pitches=pitches,
        velocities=velocities, classes=tuple(f"class {n}" for n in range(classes)),
    )  # fmt: skip
    generator, discriminator = build(spec)
    condition = torch.tensor([0, 2, 1]) if classes else None
    part = spec.given_part(phrases(spec, 3))
    fake = generator(latents(generator, 3), condition, part)
    assert fake.shape == (3, *spec.shape)
    assert torch.equal(spec.given_part(fake), part)
    assert discriminator(fake, condition).shape == (3,)
    fake.sum().backward()
    assert all(p.grad is not None for p in generator.parameters())


def test_what_is_made_hangs_on_what_is_given_at_every_level() -> None:
    spec = spec_of("melody", bars=4)
    generator, _ = build(spec)
    generator.eval()
    z, part = latents(generator, 2), spec.given_part(phrases(spec, 2)).requires_grad_()
    heard = generator.given(part)
    assert {k: tuple(v.shape) for k, v in heard.items()} == {
        "phrase": (2, 8), "bars": (2, 16, 4), "beats": (2, 8, 12), "octaves": (2, 4, 12, 2)
    }  # fmt: skip
    (whole,) = torch.autograd.grad(generator.logits(z, None, part).square().sum(), part, retain_graph=True)
    assert (whole != 0).any(dim=3).any(dim=1).all()
    # Of the first step alone the features of its own beat, and those of the phrase, know.
    (near,) = torch.autograd.grad(heard["octaves"][:, :, 0].square().sum(), part, retain_graph=True)
    assert near[:, :, :2].any()
    assert not near[:, :, 2:].any()
    (far,) = torch.autograd.grad(heard["phrase"].square().sum(), part)
    assert (far != 0).any(dim=3).any(dim=1).all()


def test_other_latents_make_another_accompaniment() -> None:
    spec = spec_of("melody")
    generator, _ = build(spec)
    part = spec.given_part(phrases(spec, 1)).expand(6, -1, -1, -1)
    logits = generator.logits(latents(generator, 6), None, part)
    assert logits.std(dim=0).mean() > 0.1


@pytest.mark.parametrize(("names", "called"), [(("melody",), "nothing"), ((), r"planes \[batch, 2, 12, 19\]")])
def test_a_generator_says_what_it_should_have_been_given(names: tuple[str, ...], called: str) -> None:
    spec = spec_of(*names)
    generator, _ = build(spec)
    part = None if names else torch.zeros(2, 2, 12, 19)
    with pytest.raises(UsageError, match=rf"was called with {called}.*batch\.given"):
        generator(latents(generator, 2), None, part)


GIVEN = """
@hookimpl
def gan_presets():
    data = {"name": "music:tunes", "count": 64, "bars": 2, "steps_per_beat": 2, "given": "melody,drums"}
    yield Preset(name="demo", summary="Bass and chords", config={
        "data": data, "architecture": {"name": "music:musegan", "width": 8, "latent": 4, "neurons": "stochastic"}})
"""


@pytest.mark.parametrize("only", ["networks.*", "step.[sp]*", "run.*"])
def test_musegan_keeps_the_contract_where_tracks_are_given(
    plugin_module: Callable[[str], ModuleType], only: str
) -> None:
    registry = Registry()
    registry.register(plugin_module(GIVEN), "given")
    report = check_plugin("given", registry=registry, only=only)
    assert report.ok, [str(r) for r in report.results]
    passed = {r.check for r in report.of("passed")}
    assert passed >= ({"networks.given", "networks.condition"} if only == "networks.*" else set())
    assert passed


# --- data sets --------------------------------------------------------------------------------------------------------


def test_both_data_sets_give_the_tracks_that_are_named(tmp_path: Path) -> None:
    source = tunes.open_tunes(tunes.Options(count=4, given="melody,drums"), lambda *_: None)
    assert source.spec.given == ("melody", "drums")
    (tmp_path / "a.mid").write_bytes(midi_file([(0, 480, 60)], [(0, 7680, 48)]))
    own = midi.open_midi(midi.Options(path=tmp_path, given="chords"), lambda *_: None)
    assert (own.spec.given, own.spec.given_shape) == (("chords",), (2, 64, 84))
    assert midi.Options(path=tmp_path, given="none").given == ()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("lead", "no track 'lead'; tracks are melody, chords"),
        ("melody,melody", "each track once"),
        ("melody,chords", "leave one"),
    ],
)
def test_tracks_that_cannot_be_given_are_mistakes_in_the_options(tmp_path: Path, names: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        midi.Options(path=tmp_path, given=names)
    with pytest.raises(ValidationError):
        tunes.Options(given=names if names != "melody,chords" else "melody,chords,bass,drums")


# --- as a musician types it -------------------------------------------------------------------------------------------

SONG = [(n * 480, 480, 62 + (0, 4, 7, 5, 9, 7, 4, 2)[n % 8]) for n in range(22)]


@pytest.fixture(scope="module")
def accompanist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import gancore

    options = {"batch_size": 8, "samples": 4, "device": "cpu", "workers": 0, "listeners": [], "data.given": "melody"}
    folder = tmp_path_factory.mktemp("accompanist") / "run"
    gancore.train(plugin="music", steps=3, seed=0, out=folder, options=options | SMALL | {"every.sample": 3})
    return folder


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """Five and a half bars in D major, at 96 quarter notes a minute."""
    path = tmp_path / "melody.mid"
    path.write_bytes(midi_file(SONG, names=[b"Flute"], tempos=[(0, 625_000)]))
    return path


def test_a_melody_gets_an_accompaniment_for_all_of_its_bars(accompanist: Path, song: Path, tmp_path: Path) -> None:
    command = ["-m", "gan_cli", "sample", str(accompanist), "--given", str(song), "--out", "out", "--json"]
    process = forked.run(sys.executable, command, cwd=tmp_path, env=os.environ)
    assert process.returncode == 0, process.stderr
    names = [Path(f).name for f in json.loads(process.stdout)["files"]]
    assert names == ["sample-00000.mid", "sample-00001.mid", "joined-00000.mid", "sheet.png", "sheet.wav"]
    joined = tmp_path / "out" / "joined-00000.mid"
    assert played(joined, "melody") == [(s / 480, d / 480, p) for s, d, p in SONG]
    file = mido.MidiFile(joined)
    assert [m.tempo for track in file.tracks for m in track if m.type == "set_tempo"] == [625_000]
    # Two phrases of four bars: 32 beats of 0.625 s.
    assert file.length == pytest.approx(20.0, abs=0.01)
    others = [played(joined, name) for name in ("chords", "bass", "drums")]
    assert any(start >= 16 for notes in others for start, *_ in notes)


def test_several_versions_are_one_file_each_and_differ(accompanist: Path, song: Path, tmp_path: Path) -> None:
    generator = load(accompanist, device="cpu")
    known = generator.read_given(song)
    assert len(known) == 2
    labels = generator.labels(4, given=known)
    assert [generator.spec.classes[n] for n in labels.tolist()] == ["D major"] * 4
    files = generator.save(generator.sample(4, given=known), tmp_path / "out", labels, given=known)
    versions = [f for f in files if f.name.startswith("joined")]
    assert [f.name for f in versions] == ["joined-00000.mid", "joined-00001.mid"]
    assert played(versions[0], "melody") == played(versions[1], "melody")
    assert versions[0].read_bytes() != versions[1].read_bytes()


def test_sheets_of_the_run_keep_the_melodies_beside_them(accompanist: Path) -> None:
    generator = load(accompanist, device="cpu")
    real = tunes.open_tunes(tunes.Options(count=64, steps_per_beat=2), lambda *_: None)
    x, labels = fetch(real, *range(8))
    samples = generator.sample(8, given=x, condition=labels)
    assert torch.equal(samples[:, 0], x[:, 0])
    assert not torch.equal(samples[:, 1:], x[:, 1:])
    assert (accompanist / "samples" / "step-00000003.png").is_file()


def test_a_run_that_needs_a_melody_and_gets_none_says_what_to_add(accompanist: Path) -> None:
    with pytest.raises(UsageError, match="--given FILE"):
        load(accompanist, device="cpu").sample(2)
    with pytest.raises(UsageError, match="--given FILE"):
        Steering(load(accompanist, device="cpu")).check()
    with pytest.raises(UsageError, match="--given FILE"):
        find_directions(accompanist, device="cpu")
