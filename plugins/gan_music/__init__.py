"""The music plugin: what it brings. Declarations only; everything they name is imported when it is used."""

from __future__ import annotations

from collections.abc import Iterable

from gan_music.presets import PRESETS
from gancore import hookimpl
from gancore.components import (
    Architecture,
    Attribute,
    Augmentation,
    Dataset,
    Features,
    Metric,
    PluginInfo,
    Preset,
    Writer,
)

SPEC = "gan_music.spec:MusicSpec"
GIVEN = "gan_music.data.given:MidiReader"


@hookimpl
def gan_plugin_info() -> PluginInfo:
    return PluginInfo(
        summary="Multi-track MIDI: phrases from your own files, and a built-in set composed by rules",
        api_version=1,
        demo_preset="demo",
        data_preset="two-track",
    )


@hookimpl
def gan_datasets() -> Iterable[Dataset]:
    yield Dataset(
        name="tunes",
        summary="Phrases for melody, chords, bass and drums in 24 keys, composed by rules: the built-in demo",
        target="gan_music.data.tunes:open_tunes",
        options="gan_music.data.tunes:Options",
        spec=SPEC,
        given=GIVEN,
    )
    yield Dataset(
        name="midi",
        summary="Phrases from a MIDI file, or a folder or zip of some, cut along their bar lines",
        target="gan_music.data.midi:open_midi",
        options="gan_music.data.midi:Options",
        spec=SPEC,
        given=GIVEN,
        suffixes=(".mid", ".midi", ".smf", ".kar", ".rmi", ".zip"),
        directories=True,
    )


@hookimpl
def gan_architectures() -> Iterable[Architecture]:
    yield Architecture(
        name="musegan",
        summary="Shared structure in time, private tracks, binary neurons (Dong et al. 2018; Dong and Yang 2018)",
        target="gan_music.nets.musegan:build",
        options="gan_music.nets.musegan:Options",
        spec=SPEC,
    )
    yield Architecture(
        name="roll-transformer",
        summary="Attention over time within tracks and across tracks at each time, binary neurons",
        target="gan_music.nets.roll_transformer:build",
        options="gan_music.nets.roll_transformer:Options",
        spec=SPEC,
    )
    yield Architecture(
        name="translator",
        summary="From domain to domain: a residual translator with binary neurons and a discriminator of patches (Zhu et al. 2017)",
        target="gan_music.nets.translator:build",
        options="gan_music.nets.translator:Options",
        spec=SPEC,
    )


@hookimpl
def gan_features() -> Iterable[Features]:
    yield Features(
        name="descriptors",
        summary="What can be counted in a phrase: pitches, intervals, lengths, places, harmony and repetition of each track",
        target="gan_music.features.descriptors:Descriptors",
        options="gan_music.features.descriptors:Options",
        spec=SPEC,
    )


@hookimpl
def gan_attributes() -> Iterable[Attribute]:
    for name, unit, summary, less, more in (
        ("notes-per-bar", "notes", "Notes that begin in a bar", "sparser", "denser"),
        ("mean-pitch", "semitones", "Mean MIDI pitch of the notes", "lower", "higher"),
        ("pitch-range", "semitones", "From the lowest to the highest note", "narrower", "wider"),
        ("duration", "beats", "Mean length of the notes", "shorter notes", "longer notes"),
        ("polyphony", "notes", "Notes that sound together", "thinner", "fuller"),
        ("syncopation", "levels", "How strong the places are that notes pass over", "straighter", "more syncopated"),
        (
            "groove-consistency",
            "",
            "How alike neighbouring bars are in where notes begin",
            "more varied",
            "more regular",
        ),
        ("drum-share", "", "Share of the notes that are drums", "fewer drums", "more drums"),
        ("scale-consistency", "", "Share of the notes in one diatonic scale", "more chromatic", "more diatonic"),
    ):
        target = f"gan_music.attributes:{name.replace('-', '_')}"
        yield Attribute(name=name, summary=summary, target=target, spec=SPEC, unit=unit, less=less, more=more)


@hookimpl
def gan_metrics() -> Iterable[Metric]:
    yield Metric(
        name="phrases",
        summary="Empty bars, notes, their lengths, polyphony and pitch classes of each track",
        target="gan_music.metrics.phrases:build",
        options="gan_music.metrics.phrases:Options",
        spec=SPEC,
    )
    yield Metric(
        name="harmony",
        summary="Tonal distance between tracks, scale consistency, pitch-class entropy",
        target="gan_music.metrics.harmony:build",
        options="gan_music.metrics.harmony:Options",
        spec=SPEC,
    )
    yield Metric(
        name="rhythm",
        summary="Groove consistency, notes on the beat, drum pattern",
        target="gan_music.metrics.rhythm:build",
        options="gan_music.metrics.rhythm:Options",
        spec=SPEC,
    )
    yield Metric(
        name="histograms",
        summary="Overlap with the real distributions of pitches, intervals, lengths and onsets",
        target="gan_music.metrics.histograms:build",
        options="gan_music.metrics.histograms:Options",
        spec=SPEC,
    )
    yield Metric(
        name="similarity",
        summary="How much of a bar comes again in later bars",
        target="gan_music.metrics.similarity:build",
        options="gan_music.metrics.similarity:Options",
        spec=SPEC,
    )
    yield Metric(
        name="key",
        summary="Notes in the key asked for, and phrases that end in a cadence",
        target="gan_music.metrics.key:build",
        options="gan_music.metrics.key:Options",
        spec=SPEC,
    )


@hookimpl
def gan_augmentations() -> Iterable[Augmentation]:
    yield Augmentation(
        name="ada",
        summary="ADA for music: transposition, shifts in time and velocities, as strong as the discriminator needs",
        target="gan_music.augment:MusicAda",
        options="gan_music.augment:MusicAdaOptions",
        spec=SPEC,
    )


@hookimpl
def gan_writers() -> Iterable[Writer]:
    yield Writer(
        name="roll",
        summary="One PNG with the piano rolls of all phrases",
        target="gan_music.writers.roll:RollWriter",
        options="gan_music.writers.roll:RollOptions",
        role="sheet",
        spec=SPEC,
    )
    yield Writer(
        name="midi",
        summary="A MIDI file a phrase",
        target="gan_music.writers.midi:MidiWriter",
        options="gan_music.writers.midi:MidiOptions",
        role="each",
        spec=SPEC,
    )
    yield Writer(
        name="wav",
        summary="One WAV of the first phrases, played by plain instruments or a sound font",
        target="gan_music.writers.wav:WavWriter",
        options="gan_music.writers.wav:WavOptions",
        role="sheet",
        spec=SPEC,
    )
    yield Writer(
        name="walk",
        summary="Phrases one after another, as one MIDI file and one WAV",
        target="gan_music.writers.walk:WalkWriter",
        options="gan_music.writers.walk:WalkOptions",
        role="walk",
        spec=SPEC,
    )


@hookimpl
def gan_presets() -> Iterable[Preset]:
    yield from PRESETS
