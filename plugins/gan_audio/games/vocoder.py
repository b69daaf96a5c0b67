"""The game of a vocoder (HiFi-GAN, Kong, Kim & Bae 2020): be taken for real, and sound like the very clip that was given.

The discriminator's part is that of the game `gan`, on the logit of every place. To the generator's adversarial loss two terms
are added that compare each clip with the real one whose mel spectrogram it was made of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from pydantic import Field
from torch import Tensor

from gan_audio.spec import AudioSpec
from gancore.components import GameContext
from gancore.data.batch import Batch
from gancore.errors import UsageError
from gancore.games.calling import Heads, heads
from gancore.games.gan import GanGame, GanOptions, GeneratorPhase
from gancore.games.gan_model import GanModel
from gancore.random import Draws

Activations = Sequence[Sequence[Tensor]]
"""For each head of a discriminator what comes out of its layers, `[batch, ...]`; the last are its logits, one for each place."""


class Options(GanOptions):
    """Options of the game `vocoder`. The weights are those beside the adversarial loss of each head, added up over heads.

    They are the paper's, whose adversarial loss is twice that of `loss=least-squares`: with 1 and 22.5 they stand to it exactly
    as there.
    """

    matching: float = Field(
        2.0,
        ge=0.0,
        le=1e6,
        description="Weight of the L1 distance between what real and made clips give in each layer.",
    )
    mel: float = Field(
        45.0,
        ge=0.0,
        le=1e6,
        description="Weight of the L1 distance between log-mels, in natural logarithms of amplitude.",
    )


def feature_matching(real: Activations, fake: Activations) -> Tensor:
    """The mean absolute difference of what comes out of each layer, added up over layers and heads (Larsen et al. 2016).

    `real` and `fake` are activations of clips in the same order. What is on the real side is taken as it is.
    """
    parts = [
        (f.float() - r.detach().float()).abs().mean()
        for own, other in zip(fake, real, strict=True)
        for f, r in zip(own, other, strict=True)
    ]
    return torch.stack(parts).sum()


def mel_distance(spec: AudioSpec, real: Tensor, fake: Tensor) -> Tensor:
    """The mean absolute difference of the log-mels of waveforms `[batch, 1, length]`, in nepers (1 is 8.7 dB)."""
    with torch.no_grad():
        wanted = spec.mel_levels(real)
    return (spec.mel_levels(fake) - wanted).abs().mean()


@runtime_checkable
class ShowsLayers(Protocol):
    """A discriminator that shows what its layers make of waveforms."""

    def activations(self, x: Tensor, condition: Tensor | None) -> Activations:
        """Of relaxed samples `[batch, 1, length]`: for each head what its layers give, the logits last."""
        ...


class VocoderModel(GanModel):
    """The model of the game `gan`, with the discriminator's layers in sight."""

    def __init__(self, options: GanOptions, context: GameContext) -> None:
        super().__init__(options, context)
        assert isinstance(options, Options)
        assert isinstance(context.spec, AudioSpec)
        self.options = options
        self.spec = context.spec

    def activations(self, x: Tensor, condition: Tensor | None) -> Activations:
        """What the discriminator's layers make of relaxed samples."""
        assert isinstance(self.discriminator, ShowsLayers)  # as the game has made sure
        with self.autocast(x.device):
            return self.discriminator.activations(x, condition)

    def logits(self, x: Tensor, condition: Tensor | None) -> Heads:
        """Logits `[batch, places]` of each head."""
        return places(self.activations(x, condition))


def places(activations: Activations) -> Heads:
    """The logits `[batch, places]` of each head, float32."""
    return heads([head[-1].flatten(1) for head in activations])


class VocoderGenerator(GeneratorPhase):
    """Be taken for real at every place, and be like the clip that was given, to the discriminator's layers and in its mel."""

    model: VocoderModel
    _terms: tuple[Tensor, Tensor]

    def logits(self, batch: Batch, draws: Draws) -> tuple[Heads, Heads]:
        model = self.model
        fake = model.fake_for_generator(batch, draws)
        # Both sides are augmented in the same way, or layers would be matched that saw different things.
        judged = model.towards_discriminator(fake)
        seen = model.activations(model.augment(judged, draws.within("generator")), batch.condition)
        with torch.no_grad():
            known = model.activations(model.augment(batch.x, draws.within("generator")), batch.condition)
        self._terms = feature_matching(known, seen), mel_distance(model.spec, batch.x, fake)
        return places(known), places(seen)

    def backward(self, batch: Batch, real: Heads, fake: Heads, more: Tensor | None = None) -> Tensor:
        matching, mel = self._terms
        own = self.model.options.matching * matching + self.model.options.mel * mel
        return super().backward(batch, real, fake, own if more is None else own + more)

    def run(self, batch: Batch, draws: Draws) -> Mapping[str, Tensor]:
        """Adversarial loss and `pull` as in the game `gan`, and the two terms without their weights."""
        scalars = super().run(batch, draws)
        matching, mel = self._terms
        return {**scalars, "generator/matching": matching.detach(), "generator/mel": mel.detach()}


class Vocoder(GanGame):
    """Discriminator (with its penalties), then generator, on every batch of waveforms and their mel spectrograms.

    The discriminator needs a method `activations(x, condition)`, which gives what its layers make of waveforms, `Activations`;
    what it returns when called is the mean of each head's logits over places.

    Raises:
        UsageError: the data give no mel spectrogram, or the discriminator does not show its layers.
    """

    model_class = VocoderModel
    generator_phase_class = VocoderGenerator

    def __init__(self, options: Options, context: GameContext) -> None:
        super().__init__(options, context)
        if not isinstance(context.spec, AudioSpec) or context.spec.given != "mel":
            raise UsageError(
                "game 'vocoder' trains a generator that is given mel spectrograms, and is given none of these data; say "
                "data.representation=waveform data.given=mel, or choose another game"
            )
        discriminator = self.networks.get("discriminator")
        if discriminator is not None and not isinstance(discriminator, ShowsLayers):
            raise UsageError(
                "game 'vocoder' compares what the discriminator's layers make of real and made clips, and this "
                f"{type(discriminator).__name__} has no method activations(x, condition) that shows them; take architecture=hifigan, "
                "or another game"
            )
