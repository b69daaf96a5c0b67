"""The audio plugin: what it brings. Declarations only; everything they name is imported when it is used."""

from __future__ import annotations

from collections.abc import Iterable

from gan_audio.presets import PRESETS
from gancore import hookimpl
from gancore.components import (
    Architecture,
    Attribute,
    Augmentation,
    Dataset,
    Features,
    Game,
    Metric,
    PluginInfo,
    Preset,
    Writer,
)

SPEC = "gan_audio.spec:AudioSpec"
GIVEN = "gan_audio.data.given:Reader"


@hookimpl
def gan_plugin_info() -> PluginInfo:
    return PluginInfo(
        summary="Sounds: folders of recordings as spectrograms or waveforms, and a built-in set of synthesised notes",
        api_version=1,
        demo_preset="demo",
        data_preset="spoken-digits",
    )


@hookimpl
def gan_datasets() -> Iterable[Dataset]:
    yield Dataset(
        name="notes",
        summary="Plucked, bowed, blown and struck notes, synthesised: the built-in demo",
        target="gan_audio.data.notes:open_notes",
        options="gan_audio.data.notes:Options",
        spec=SPEC,
        given=GIVEN,
    )
    yield Dataset(
        name="sounds",
        summary="A folder or zip of recordings in any format that libsndfile or ffmpeg reads",
        target="gan_audio.data.sounds:open_sounds",
        options="gan_audio.data.sounds:Options",
        spec=SPEC,
        given=GIVEN,
        suffixes=(".zip",),
        directories=True,
    )


@hookimpl
def gan_architectures() -> Iterable[Architecture]:
    yield Architecture(
        name="specgan",
        summary="Two-dimensional convolutions on spectrograms of any size (Donahue et al. 2019)",
        target="gan_audio.nets.specgan:build",
        options="gan_audio.nets.specgan:Options",
    )
    yield Architecture(
        name="resnet2d",
        summary="Residual blocks on spectrograms, class-conditional, with optional self-attention",
        target="gan_audio.nets.resnet2d:build",
        options="gan_audio.nets.resnet2d:Options",
    )
    yield Architecture(
        name="wavegan",
        summary="One-dimensional convolutions on waveforms, with phase shuffle (Donahue et al. 2019)",
        target="gan_audio.nets.wavegan:build",
        options="gan_audio.nets.wavegan:Options",
    )
    yield Architecture(
        name="hifigan",
        summary="Mel spectrograms to waveforms, for the game `vocoder` (Kong et al. 2020)",
        target="gan_audio.nets.hifigan:build",
        options="gan_audio.nets.hifigan:Options",
        spec=SPEC,
    )
    yield Architecture(
        name="translator",
        summary="From domain to domain: a translator of spectrograms and a discriminator of patches (CycleGAN, Zhu et al. 2017)",
        target="gan_audio.nets.translator:build",
        options="gan_audio.nets.translator:Options",
    )


@hookimpl
def gan_games() -> Iterable[Game]:
    yield Game(
        name="vocoder",
        summary="Mel spectrograms to waveforms against discriminators of periods and scales (Kong et al. 2020)",
        target="gan_audio.games.vocoder:Vocoder",
        options="gan_audio.games.vocoder:Options",
        players=("discriminator", "generator"),
        spec=SPEC,
    )


@hookimpl
def gan_augmentations() -> Iterable[Augmentation]:
    yield Augmentation(
        name="ada",
        summary="ADA for sounds: shifts in time, levels, bands and noise, as strong as the discriminator needs",
        target="gan_audio.augment:SoundAda",
        options="gan_audio.augment:SoundAdaOptions",
        spec=SPEC,
    )


@hookimpl
def gan_writers() -> Iterable[Writer]:
    yield Writer(
        name="wav",
        summary="A WAV file a sample",
        target="gan_audio.writers.wav:WavWriter",
        options="gan_audio.writers.wav:WavOptions",
        role="each",
        spec=SPEC,
    )
    yield Writer(
        name="spectrogram",
        summary="A PNG a sample: its spectrogram in seconds and Hz above its waveform",
        target="gan_audio.writers.spectrogram:SpectrogramWriter",
        options="gan_audio.writers.spectrogram:SpectrogramOptions",
        role="each",
        spec=SPEC,
    )
    yield Writer(
        name="sheet",
        summary="One PNG with the spectrograms and waveforms of all samples",
        target="gan_audio.writers.sheet:SheetWriter",
        options="gan_audio.writers.sheet:SheetOptions",
        role="sheet",
        spec=SPEC,
    )
    yield Writer(
        name="sequence",
        summary="One WAV file in which all samples sound one after another",
        target="gan_audio.writers.sequence:SequenceWriter",
        options="gan_audio.writers.sequence:SequenceOptions",
        role="sheet",
        spec=SPEC,
    )
    yield Writer(
        name="walk",
        summary="One WAV file in which each sample fades into the next",
        target="gan_audio.writers.walk:WalkWriter",
        options="gan_audio.writers.walk:WalkOptions",
        role="walk",
        spec=SPEC,
    )


@hookimpl
def gan_features() -> Iterable[Features]:
    yield Features(
        name="mel",
        summary="Levels in 64 mel bands and 16 frames, whatever the volume; no network at all",
        target="gan_audio.features.mel:Mel",
        options="gan_audio.features.mel:Options",
        spec=SPEC,
    )
    yield Features(
        name="judge",
        summary="The last layer but one of a classifier that is trained on the training clips, 128 numbers",
        target="gan_audio.features.judge:Judge",
        options="gan_audio.features.judge:Options",
        spec=SPEC,
    )


@hookimpl
def gan_attributes() -> Iterable[Attribute]:
    for name, unit, summary, less, more in (
        ("loudness", "dB", "Root mean square, 0 for full scale", "softer", "louder"),
        ("brightness", "octaves", "Mean frequency, weighted by power, above 1 kHz", "darker", "brighter"),
        ("noisiness", "dB", "Spectral flatness: -60 for a tone, 0 for white noise", "purer", "noisier"),
        ("attack", "log10 s", "How long the sound takes to rise", "sharper", "gentler"),
        ("duration", "s", "How long the sound is heard", "shorter", "longer"),
        ("pitch", "semitones", "MIDI pitch with its fraction; 60 is middle C", "lower", "higher"),
    ):
        target = f"gan_audio.attributes:{name}"
        yield Attribute(name=name, summary=summary, target=target, spec=SPEC, unit=unit, less=less, more=more)


@hookimpl
def gan_metrics() -> Iterable[Metric]:
    yield Metric(
        name="pitch",
        summary="Notes within a quarter tone of the pitch that was asked for",
        target="gan_audio.metrics.pitch:build",
        options="gan_audio.metrics.pitch:Options",
        spec=SPEC,
    )
    yield Metric(
        name="ndb",
        summary="Bins of real sounds that are filled otherwise (Richardson and Weiss 2018)",
        target="gan_audio.metrics.ndb:build",
        options="gan_audio.metrics.ndb:Options",
        spec=SPEC,
    )
    yield Metric(
        name="spectrum",
        summary="Long-term spectrum, loudness and brightness, as distributions",
        target="gan_audio.metrics.spectrum:build",
        options="gan_audio.metrics.spectrum:Options",
        spec=SPEC,
    )
    yield Metric(
        name="alarms",
        summary="Silent, clipped, noisy, humming and repeated samples",
        target="gan_audio.metrics.alarms:build",
        options="gan_audio.metrics.alarms:Options",
        spec=SPEC,
    )


@hookimpl
def gan_presets() -> Iterable[Preset]:
    yield from PRESETS
