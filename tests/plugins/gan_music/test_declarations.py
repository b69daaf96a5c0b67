"""What the plugin declares: it is found, costs nothing to list, and its presets leave playable music."""

from __future__ import annotations

import json

import mido
from PIL import Image
from support.fetching import fetch

from gan_music.data.tunes import Options, open_tunes
from gan_music.roll import to_notes
from gan_music.writers.midi import MidiOptions, MidiWriter
from gancore.plugins import Registry
from gancore.sampling.loading import load

SMALL = {"architecture.width": 8, "architecture.latent": 8}


def notes_by_track(path):
    """Notes that begin in each track of a MIDI file which has any, by its name."""
    counts = {}
    for track in mido.MidiFile(path).tracks:
        begun = sum(message.type == "note_on" and message.velocity > 0 for message in track)
        counts |= {track.name: begun} if begun else {}
    return counts


def test_the_plugin_is_found_by_name():
    info = Registry().load("music").info
    assert (info.demo_preset, info.data_preset) == ("demo", "two-track")


def test_declarations_import_neither_torch_nor_the_midi_library(fresh_python):
    printed = fresh_python(
        """
        import json, sys
        import gan_music as plugin
        hooks = (plugin.gan_datasets, plugin.gan_architectures, plugin.gan_features, plugin.gan_metrics, plugin.gan_writers)
        names = [record.name for hook in (*hooks, plugin.gan_presets) for record in hook()]
        print(json.dumps([names, sorted({"torch", "symusic", "PIL", "numpy"} & set(sys.modules))]))
        """
    )
    names, heavy = json.loads(printed)
    assert {"tunes", "midi", "musegan", "roll-transformer", "roll", "descriptors", "demo", "two-track", "band"} <= set(
        names
    )
    assert heavy == []


def test_the_demo_trains_on_tunes_and_leaves_rolls(gan_train):
    run = gan_train("music", options=SMALL | {"data.count": 64, "every.sample": 3})
    trained = load(run.folder)
    assert trained.settings.data.name == "tunes"
    assert trained.spec.classes[0] == "C major"
    sheets = sorted((run.folder / "samples").glob("*.png"))
    assert sheets
    with Image.open(sheets[-1]) as picture:
        assert min(picture.size) > 48


def test_a_generated_phrase_is_a_midi_file_with_its_notes(gan_train, tmp_path):
    run = gan_train("music", options=SMALL | {"data.count": 64})
    trained = load(run.folder)
    phrases = trained.sample(3, condition="D minor")
    files = sorted(trained.save(phrases, tmp_path / "out"))
    assert [f.suffix for f in files if f.suffix == ".mid"] == [".mid"] * 3
    for phrase, path in zip(phrases, (f for f in files if f.suffix == ".mid"), strict=True):
        tracks = to_notes(phrase.numpy(), trained.spec).track
        names = [track.name for track in trained.spec.tracks]
        assert len(tracks) > 0
        assert notes_by_track(path) == {n: int((tracks == i).sum()) for i, n in enumerate(names) if (tracks == i).any()}


def test_own_files_train_with_the_preset_for_data(gan_train, tmp_path):
    tunes = open_tunes(Options(count=8), lambda *_: None)
    own = tmp_path / "own"
    own.mkdir()
    phrases, _ = fetch(tunes)
    MidiWriter(MidiOptions(), tunes.spec).write(phrases, own, "tune")
    run = gan_train("music", data=own, options=SMALL)
    trained = load(run.folder)
    assert trained.settings.data.name == "midi"
    assert [track.name for track in trained.spec.tracks] == ["melody", "chords"]
    assert trained.sample(2).shape == (2, 2, *trained.spec.shape[1:])
