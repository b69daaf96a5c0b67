"""The text plugin: what it brings. Declarations only; everything they name is imported when it is used."""

from __future__ import annotations

from collections.abc import Iterable

from gan_text.presets import PRESETS
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

SPEC = "gan_text.spec:TextSpec"


@hookimpl
def gan_plugin_info() -> PluginInfo:
    return PluginInfo(
        summary="Texts by Gumbel-softmax: lines of your own files in any script, and a built-in grammar with exact likelihood",
        api_version=1,
        demo_preset="demo",
        data_preset="captions",
    )


@hookimpl
def gan_datasets() -> Iterable[Dataset]:
    yield Dataset(
        name="grammar",
        summary="Sentences of a probabilistic grammar, whose likelihood is known exactly: the built-in demo",
        target="gan_text.data.grammar:open_grammar",
        options="gan_text.data.grammar:Options",
        spec=SPEC,
    )
    yield Dataset(
        name="lines",
        summary="Texts from text files, JSON lines or tables, as characters, words or byte pairs",
        target="gan_text.data.lines:open_lines",
        options="gan_text.data.lines:Options",
        spec=SPEC,
        suffixes=(".txt", ".jsonl", ".csv", ".tsv", ".zip"),
        directories=True,
    )


@hookimpl
def gan_architectures() -> Iterable[Architecture]:
    yield Architecture(
        name="lstm",
        summary="Long short-term memory (Hochreiter and Schmidhuber 1997), tied to its embedding",
        target="gan_text.nets.lstm:build",
        options="gan_text.nets.lstm:Options",
        spec=SPEC,
    )
    yield Architecture(
        name="relational-memory",
        summary="Memory slots that attend to each other (Santoro et al. 2018), as in RelGAN (Nie et al. 2019)",
        target="gan_text.nets.relational_memory:build",
        options="gan_text.nets.relational_memory:Options",
        spec=SPEC,
    )
    yield Architecture(
        name="gpt2",
        summary="GPT-2 of the library transformers (Radford et al. 2019), from a configuration or a folder on disk",
        target="gan_text.nets.gpt2:build",
        options="gan_text.nets.gpt2:Options",
        spec=SPEC,
    )


@hookimpl
def gan_games() -> Iterable[Game]:
    yield Game(
        name="sequence",
        summary="Maximum likelihood first, then the Gumbel-softmax against a discriminator",
        target="gan_text.games.sequence:SequenceGame",
        options="gan_text.games.sequence:Options",
        players=("discriminator", "generator"),
        spec=SPEC,
    )


@hookimpl
def gan_features() -> Iterable[Features]:
    yield Features(
        name="lsa",
        summary="Latent semantic analysis of words and pairs of them, or of characters (Deerwester et al. 1990)",
        target="gan_text.features.lsa:Latent",
        options="gan_text.features.lsa:Options",
        spec=SPEC,
    )
    yield Features(
        name="encoder",
        summary="An encoder of sentences from a folder on disk: what texts mean, as far as it can tell",
        target="gan_text.features.encoder:Encoder",
        options="gan_text.features.encoder:Options",
        spec=SPEC,
        default=False,
    )


@hookimpl
def gan_attributes() -> Iterable[Attribute]:
    for name, unit, summary, less, more in (
        ("length", "tokens", "Tokens before the end", "shorter", "longer"),
        ("variety", "", "Share of different words", "more repetitive", "more varied"),
        ("punctuation", "", "Share of the words that are punctuation marks", "less punctuated", "more punctuated"),
        ("word-length", "characters", "Mean length of the words", "shorter words", "longer words"),
    ):
        target = f"gan_text.attributes:{name.replace('-', '_')}"
        yield Attribute(name=name, summary=summary, target=target, spec=SPEC, unit=unit, less=less, more=more)


@hookimpl
def gan_metrics() -> Iterable[Metric]:
    yield Metric(
        name="grammar",
        summary="Sentences of the built-in grammar: how many parse, and their true likelihood",
        target="gan_text.metrics.grammar:build",
        options="gan_text.metrics.grammar:Options",
        spec=SPEC,
    )
    yield Metric(
        name="bleu",
        summary="BLEU, self-BLEU and backward BLEU by Texygen's protocol (Zhu et al. 2018), and quality against diversity",
        target="gan_text.metrics.quality:build",
        options="gan_text.metrics.quality:Options",
        spec=SPEC,
    )
    yield Metric(
        name="lengths",
        summary="How long texts are, beside the real ones",
        target="gan_text.metrics.lengths:build",
        options="gan_text.metrics.lengths:Options",
        spec=SPEC,
    )
    yield Metric(
        name="ngrams",
        summary="Distributions of words and of pairs of them, beside the real ones",
        target="gan_text.metrics.ngrams:build",
        options="gan_text.metrics.ngrams:Options",
        spec=SPEC,
    )
    yield Metric(
        name="likelihood",
        summary="Likelihood of held-out texts, of training texts and of the generator's own",
        target="gan_text.metrics.likelihood:build",
        options="gan_text.metrics.likelihood:Options",
        spec=SPEC,
    )


@hookimpl
def gan_augmentations() -> Iterable[Augmentation]:
    yield Augmentation(
        name="ada",
        summary="ADA for texts: tokens left out and spans exchanged, as strong as the discriminator needs",
        target="gan_text.augment:TextAda",
        options="gan_text.augment:TextAdaOptions",
        spec=SPEC,
    )


@hookimpl
def gan_writers() -> Iterable[Writer]:
    yield Writer(
        name="lines",
        summary="One text file with a line for each text",
        target="gan_text.writers.lines:LinesWriter",
        options="gan_text.writers.lines:LinesOptions",
        role="sheet",
        spec=SPEC,
    )
    yield Writer(
        name="txt",
        summary="A text file for each text",
        target="gan_text.writers.txt:TxtWriter",
        options="gan_text.writers.txt:TxtOptions",
        role="each",
        spec=SPEC,
    )


@hookimpl
def gan_presets() -> Iterable[Preset]:
    yield from PRESETS
