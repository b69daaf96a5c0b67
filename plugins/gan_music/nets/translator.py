"""The architecture `translator` for music: phrases of one domain to phrases of another, such as major to minor."""

from __future__ import annotations

from copy import deepcopy
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from gan_music.nets.notes import NoteNeurons, NoteOptions
from gan_music.spec import MusicSpec
from gancore.errors import UsageError
from gancore.nets import translator
from gancore.nets.translating import Translator


class Options(translator.Options):
    """Options of translators of phrases and of their discriminator."""

    neurons: Literal["deterministic", "none"] = Field(
        "deterministic", description="What generated cells are in training: thresholded, or (none) probabilities."
    )
    sounding_bias: float = Field(
        -1.0,
        ge=-20.0,
        le=20.0,
        description="Added to logits of sounding cells; below 0, phrases begin sparse, and at -3 mostly empty.",
    )


class Rolls(nn.Module):
    """What a translator ends in: `[batch, tracks * planes, time, pitch]` logits to a relaxed phrase, as `NoteNeurons` makes it."""

    def __init__(self, options: Options, spec: MusicSpec) -> None:
        super().__init__()
        notes = NoteOptions(neurons=options.neurons, sounding_bias=options.sounding_bias, metre=0.0)
        self.notes = NoteNeurons(notes, spec)
        self.planes = spec.planes

    def forward(self, logits: Tensor) -> Tensor:
        made: Tensor = self.notes(logits.unflatten(1, (-1, self.planes)), None)
        return made


def build(options: Options, spec: MusicSpec) -> dict[str, nn.Module]:
    """Generator and discriminator between the domains of `spec`, both on planes `[batch, tracks * planes, time, pitch]`.

    Raises:
        UsageError: there are no domains, tracks are given, phrases are shorter or narrower than 8 cells, or options do not go
            together.
    """
    if spec.given:
        raise UsageError(
            f"architecture 'translator' is given whole phrases, and of these data only {', '.join(spec.given)}; leave data.given out"
        )
    networks = translator.build(options, spec, Rolls(options, spec))
    # Each generator counts what it has made by itself: they share nothing.
    for network in networks["generator"].modules():
        if isinstance(network, Translator):
            network.end = deepcopy(network.end)
    return networks
