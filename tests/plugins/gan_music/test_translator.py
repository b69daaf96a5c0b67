"""Phrases of one mode to phrases of the other: what networks make is a phrase, and can be trained."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from gan_cli.app import app
from gan_music.data.given import MidiReader
from gan_music.data.tunes import Options as Tunes
from gan_music.data.tunes import open_tunes
from gan_music.nets.translator import Context, Options, Rolls, build
from gan_music.spec import HELD, ONSET, MusicSpec, Track
from gan_music.writers.midi import MidiOptions, MidiWriter
from gancore.api import train
from gancore.data.domains import in_domains
from gancore.errors import DataError, UsageError
from gancore.random import Draws

SMALL = {"width": 4, "blocks": 2, "discriminator_width": 4}


def phrases(**more):
    """A phrase of each mode, the modes, and the spec in which modes are domains."""
    tunes = Tunes(labels="mode", count=16, bars=2, steps_per_beat=2, **more)
    source = in_domains(open_tunes(tunes, lambda *_: None), translating="cycle")
    two = torch.tensor([source.domains.tolist().index(domain) for domain in (0, 1)])
    x, domains = source.fetch(two, Draws(0, two))
    return x, domains, source.spec


@pytest.mark.parametrize("more", [{}, {"separate": True}, {"style": 4}, {"neurons": "none"}])
def test_what_is_made_of_a_phrase_is_one_and_has_gradients(more):
    x, domains, spec = phrases()
    networks = build(Options(**SMALL, sounding_bias=0.0, **more), spec)
    generator, given = networks["generator"], spec.given_part(spec.relax(x))
    torch.nn.init.normal_(next(p for n, p in generator.named_parameters() if n.endswith("last.weight")), std=0.3)
    made = generator(torch.randn(2, *generator.latent_shape), 1 - domains, given)
    assert made.shape == given.shape == (2, *spec.given_shape)
    assert made.min() >= 0.0
    assert made.max() <= 1.0
    assert made.any()
    if "neurons" not in more:
        assert torch.equal(spec.relax(spec.harden(made)), made)
    sum(logits.sum() for logits in networks["discriminator"](made, 1 - domains)).backward()
    assert all(
        g.grad is not None and g.grad.isfinite().all() for n, g in generator.named_parameters() if "reader" not in n
    )
    assert any(g.grad.any() for n, g in generator.named_parameters() if "stem" in n)


@pytest.mark.parametrize("velocities", [1, 4])
def test_translators_begin_by_passing_on_what_they_are_given(velocities):
    x, domains, spec = phrases()
    spec = spec.changed(velocities=velocities)
    x = torch.where(x >= ONSET, ONSET + torch.arange(x.shape[3]) % velocities, x)
    generator = build(Options(**SMALL), spec)["generator"]
    torch.nn.init.zeros_(generator.last.weight)
    given = spec.relax(x)
    made = generator(torch.zeros(2, 0), 1 - domains, given)
    assert torch.allclose(made, given)
    assert torch.equal(spec.harden(made), x)
    anew = build(Options(**SMALL, edits=0), spec)["generator"]
    torch.nn.init.zeros_(anew.last.weight)
    assert not anew(torch.zeros(2, 0), 1 - domains, given).any()


def test_a_note_that_moves_is_struck_when_it_was():
    spec = MusicSpec.of((Track(name="a"),), bars=1, steps_per_beat=2, lowest=60, pitches=12)
    x = torch.zeros(1, 1, spec.time, spec.pitches, dtype=torch.uint8)
    x[0, 0, :, 4] = torch.tensor([2, 1, 2, 2, 0, 0, 2, 1])
    given = spec.relax(x)
    logits = torch.zeros_like(given)
    logits[:, 0, :, 4], logits[:, 0, :, 3] = -10.0, 10.0  # of what sounds
    logits[:, 0, 4:6, 3] = 0.0
    end = Rolls(Options(), spec)
    # Logits are weights of patterns over the two steps of a beat: their sum and their difference.
    halves = logits.unflatten(2, (-1, 2))
    logits = torch.stack([halves.sum(3), halves[:, :, :, 0] - halves[:, :, :, 1]], dim=3).flatten(2, 3) / 2
    assert torch.equal(spec.harden(end(logits, given)), x.roll(-1, 3))


def test_notes_are_not_made_far_from_those_that_are_given():
    spec = MusicSpec.of((Track(name="a"),), bars=1, steps_per_beat=2, lowest=60, pitches=12)
    x = torch.zeros(1, 1, spec.time, spec.pitches, dtype=torch.uint8)
    x[0, 0, :3, 4] = torch.tensor([2, 1, 1])
    given = spec.relax(x)
    everything = torch.zeros_like(given)
    everything[:, :, :] = 10.0
    everything = (
        everything.unflatten(2, (-1, 2)) * torch.tensor([1.0, 0.0])[:, None]
    )  # the same for both steps of each beat
    made = spec.harden(Rolls(Options(beyond=30.0), spec)(everything.flatten(2, 3), given))
    assert (made >= ONSET)[0, 0].nonzero().tolist() == [[0, pitch] for pitch in range(2, 7)]
    assert (made > 0).sum() == 3 * 5
    assert spec.harden(Rolls(Options(), spec)(everything.flatten(2, 3), given)).all()


def test_cells_are_told_how_their_pitch_stands_to_all_that_sounds_and_what_is_struck():
    tracks = (Track(name="a"), Track(name="drums", drums=True))
    spec = MusicSpec.of(tracks, bars=1, steps_per_beat=2, lowest=59, pitches=24)
    x = torch.zeros(1, 2, spec.time, spec.pitches, dtype=torch.uint8)
    x[0, 0, :4, 1] = HELD  # C, with the E of the next octave for half as long
    x[0, 0, :2, 17] = HELD
    x[0, 1, ::2, 5] = ONSET
    sight = Context(spec)
    seen = sight(spec.relax(x))
    assert seen.shape == (1, sight.channels, spec.time, spec.pitches) == (1, 18, 8, 24)
    assert torch.equal(seen[:, :4], spec.relax(x))
    share = 7.0 * torch.tensor([4, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]) / 6.0
    for place in (1, 13):
        assert torch.allclose(seen[0, 4:16, 3, place], share)
    assert torch.allclose(seen[0, 4:16, 0, 5], share.roll(-4))
    assert seen[0, 16:].unique(dim=2)[:, :, 0].tolist() == [[0.0] * 8, [1.0, 0.0] * 4]
    moved = sight(spec.relax(torch.cat([x[:, :1].roll(3, 3), x[:, 1:]], dim=1)))
    assert torch.allclose(moved[:, 4:16, :, 3:], seen[:, 4:16, :, :-3])
    assert not sight(torch.zeros(1, *spec.shape)).any()


def test_phrases_are_as_unlike_as_what_sounds_in_them_and_silence_is_like_none():
    spec = MusicSpec.of((Track(name="a"),), bars=1, steps_per_beat=2, lowest=60, pitches=12)
    x = torch.zeros(4, 1, spec.time, spec.pitches, dtype=torch.uint8)
    x[0, 0, :4, 0] = torch.tensor([2, 1, 1, 1])  # a note of five cells in both planes,
    x[1, 0, :4, 1] = torch.tensor([2, 1, 1, 1])  # another pitch,
    x[2, 0, :2, 0] = torch.tensor([2, 1])  # half as long,
    relaxed = spec.relax(x)
    of_first = spec.distance(relaxed, relaxed[:1].expand(4, -1, -1, -1))
    assert torch.allclose(of_first, torch.tensor([0.0, 1.0, 2 / 8, 1.0]))
    assert torch.equal(of_first, spec.distance(relaxed[:1].expand(4, -1, -1, -1), relaxed))
    assert spec.distance(relaxed[3:], relaxed[3:]).item() == 0.0


def test_generators_that_are_separate_count_by_themselves():
    x, _, spec = phrases()
    networks = build(Options(**SMALL, separate=True), spec)
    generator = networks["generator"]
    generator(torch.zeros(2, 0), torch.tensor([1, 1]), spec.relax(x))
    assert [one.end.notes.neurons.seen.item() for one in generator.generators] == [0, 2]


def test_whole_phrases_are_given_where_there_are_domains_alone():
    x, _, spec = phrases()
    relaxed = spec.relax(x)
    assert spec.given_part(relaxed) is relaxed
    assert not spec.given_kept
    alone = spec.model_copy(update={"domains": ()})
    assert alone.given_shape is None
    assert alone.given_part(relaxed) is None
    assert alone.given_kept
    with pytest.raises(UsageError, match=r"leave data\.given out"):
        build(Options(**SMALL), phrases(given=("melody",))[2])
    with pytest.raises(UsageError, match="no domains"):
        build(Options(**SMALL), alone)


def test_files_are_given_with_all_their_tracks_and_keep_their_names(tmp_path):
    x, _, spec = phrases()
    first, second = MidiWriter(MidiOptions(), spec).write(x, tmp_path, "tune")
    given = MidiReader(spec).read(tmp_path)
    assert torch.equal(given.x, x)
    assert given.names == (first.stem, second.stem)
    assert given.condition is None
    assert torch.equal(MidiReader(spec).read(second).x, x[1:])
    half = MidiReader(spec.changed(bars=1)).read(first)
    assert half.names == (f"{first.stem}-001", f"{first.stem}-002")
    assert len(half.x) == 2

    first.write_bytes(b"no music")
    with pytest.warns(UserWarning, match="1 of 2 files cannot be translated"):
        assert MidiReader(spec).read(tmp_path).names == (second.stem,)
    first.unlink()
    second.unlink()
    with pytest.raises(UsageError, match="no MIDI files"):
        MidiReader(spec).read(tmp_path)


def test_an_archive_gives_what_its_folder_does_and_both_do_in_turn(tmp_path):
    x, _, spec = phrases()
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    first, second = MidiWriter(MidiOptions(), spec).write(x, tmp_path / "folder", "tune")
    second.rename(tmp_path / "folder" / "deep" / second.name)
    (tmp_path / "folder" / "broken.mid").write_bytes(b"no music")
    (tmp_path / "folder" / "notes.txt").write_text("no MIDI file")
    archive = Path(shutil.make_archive(str(tmp_path / "tunes"), "zip", tmp_path / "folder"))
    reader, told = MidiReader(spec), []
    for path in (tmp_path / "folder", archive):
        with pytest.warns(
            UserWarning, match=r"1 of 3 files cannot be translated; the first: '.*broken\.mid' cannot be used"
        ):
            given = reader.read(path)
        with pytest.warns(UserWarning, match="1 of 3 files cannot be translated"):
            bits = list(reader.stream(path, lambda *progress: told.append(progress)))
        assert given.names == (second.stem, first.stem)
        assert torch.equal(given.x, x.flip(0))
        assert torch.equal(torch.cat([bit.x for bit in bits]), given.x)
        assert tuple(name for bit in bits for name in bit.names) == given.names
        assert all(bit.spec is None for bit in bits)
    assert told == 2 * [("reading MIDI files", number, 3) for number in (1, 2, 3)]
    assert reader.stream(first, lambda *progress: None) is None
    with pytest.raises(DataError, match="cannot be used"):
        MidiReader(spec.model_copy(update={"domains": (), "given": ("melody",)})).read(archive)
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as empty:
        empty.writestr("notes.txt", "no MIDI file")
    with pytest.raises(UsageError, match=r"empty\.zip' has no MIDI files"):
        reader.read(tmp_path / "empty.zip")


def test_an_archive_is_translated_at_the_terminal(tmp_path):
    x, _, spec = phrases()
    MidiWriter(MidiOptions(), spec).write(x, tmp_path / "folder", "tune")
    archive = shutil.make_archive(str(tmp_path / "tunes"), "zip", tmp_path / "folder")
    options = {
        "architecture": SMALL, "batch_size": 4, "every": {"evaluate": 0, "sample": 0}, "held_out": 0.0, "samples": 2,
        "data": {"count": 16, "bars": 2}, "schedules": "none",
    }  # fmt: skip
    run = train(plugin="music", preset="modes", steps=1, out=tmp_path / "run", options=options).folder
    done = CliRunner().invoke(app, ["translate", str(run), archive, "--to", "minor", "--out", str(tmp_path / "made")])
    assert done.exit_code == 0, done.output
    assert {"tune-00000.mid", "tune-00001.mid"} <= {path.name for path in (tmp_path / "made").iterdir()}
