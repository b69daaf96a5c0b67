"""The architecture `translator` for music: phrases of one domain to phrases of another, such as major to minor."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gan_music.nets.cells import OCTAVE
from gan_music.nets.notes import NoteNeurons, NoteOptions
from gan_music.spec import MusicSpec
from gancore.errors import UsageError
from gancore.nets import translator
from gancore.nets.translating import LEAK

REACH = 2
"""Semitones by which a note that moves is taken to be the same."""


class Options(translator.Options):
    """Options of translators of phrases and of their discriminator."""

    neurons: Literal["deterministic", "none"] = Field(
        "deterministic", description="What generated cells are in training: thresholded, or (none) probabilities."
    )
    edits: float = Field(
        3.0,
        ge=0.0,
        le=20.0,
        description="Logits are those of what is given, so large or so small, and what the network adds: it begins by passing on what"
        " it is given. 0: phrases are made anew.",
    )
    beyond: float = Field(
        3.0,
        ge=0.0,
        le=100.0,
        description="By how much less logits of what sounds, and of what is struck, are where the track has nothing of the kind up to a"
        " tone away: notes are sooner moved than made. At 30 they only move and fall silent, and the rhythm is kept.",
    )
    sounding_bias: float = Field(
        -1.0,
        ge=-20.0,
        le=20.0,
        description="With edits=0, added to logits of sounding cells; below 0, phrases begin sparse, and at -3 mostly empty.",
    )
    context: bool = Field(
        True,
        description="Networks also see at each cell how much each pitch class sounds in the phrase, counted from the cell's own, and"
        " how many notes each track strikes at this step: what a note is in its key, in the same words for every key, and whether it"
        " is one too many.",
    )
    discriminator_norm: Literal["none", "instance"] = Field(
        "none",
        description="Normalisation in the discriminator, of each phrase by itself; it takes from it how much of something a phrase has,"
        " and so what key it is in.",
    )


class Context(nn.Module):
    """Relaxed phrases `[batch, tracks * planes, time, pitch]`, and beside them what each cell has around it, however far away.

    Twelve maps have at a cell of pitch p how much the pitch class of p + n sounds, n = 0 to 11, in the whole phrase, drums aside: a
    share of all, times 7, as many as a scale has. A phrase in another key has the same ones, which have only moved with it: that a note
    is the third of the key, say, can be told where it stands. One map for each track has how many notes are struck at a cell's step.
    """

    melodic: Tensor
    classes: Tensor
    above: Tensor

    def __init__(self, spec: MusicSpec) -> None:
        super().__init__()
        self.planes = spec.planes
        self.channels = spec.shape[0] + OCTAVE + len(spec.tracks)
        melodic = [number for number, track in enumerate(spec.tracks) if not track.drums]
        classes = (torch.arange(spec.pitches) + spec.lowest) % OCTAVE
        self.register_buffer("melodic", torch.tensor(melodic, dtype=torch.int64), persistent=False)
        self.register_buffer("classes", classes, persistent=False)
        above = (classes + torch.arange(OCTAVE)[:, None]) % OCTAVE
        self.register_buffer("above", above, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """To `[batch, tracks * planes + 12 + tracks, time, pitch]`."""
        onsets, sounding = x.unflatten(1, (-1, self.planes))[:, :, :2].unbind(2)
        sounding = sounding.index_select(1, self.melodic).sum(dim=(1, 2))
        chroma = x.new_zeros(len(x), OCTAVE).index_add(1, self.classes, sounding)
        shares = 7.0 * chroma / chroma.sum(dim=1, keepdim=True).clamp(min=1.0)
        maps = shares[:, self.above][:, :, None].expand(-1, -1, x.shape[2], -1)
        struck = onsets.sum(dim=3, keepdim=True).expand_as(onsets)
        return torch.cat([x, maps, struck], dim=1)


class Rolls(nn.Module):
    """What a translator ends in: `[batch, tracks * planes, time, pitch]` logits to a relaxed phrase, as `NoteNeurons` makes it.

    With `edits`, of zeros it makes what is given.
    """

    def __init__(self, options: Options, spec: MusicSpec) -> None:
        super().__init__()
        self.edits, self.beyond, self.velocities = options.edits, options.beyond, spec.velocities
        neurons = {"neurons": options.neurons, "metre": 0.0}
        if options.edits:  # from the beginning most logits are far from 0, where steeper neurons would hardly learn
            neurons |= {"sounding_bias": 0.0, "attack_bias": 0.0, "slope_max": 1.0}
        else:
            neurons |= {"sounding_bias": options.sounding_bias}
        self.notes = NoteNeurons(NoteOptions.model_validate(neurons), spec)
        self.planes = spec.planes

    def forward(self, logits: Tensor, given: Tensor) -> Tensor:
        """`given` is a relaxed phrase of the shape of `logits`."""
        start = self._start(given.float().unflatten(1, (-1, self.planes))) if self.edits else None
        made: Tensor = self.notes(logits.unflatten(1, (-1, self.planes)), None, start)
        return made

    def _start(self, given: Tensor) -> Tensor:
        """Logits `[batch, tracks, planes, time, pitch]` of what is given, of the same shape.

        Silence is surer where nothing sounds up to a tone away. Of a cell that is silent, attack and velocity are those of what is
        struck so near: where a note moves, it is struck when it was.
        """
        sounding = given[:, :, 1:2]
        near = F.max_pool2d(given.flatten(0, 2), (1, 2 * REACH + 1), 1, (0, REACH)).view_as(given)
        struck = torch.where(sounding >= 0.5, given, near)
        attack = struck[:, :, :1]
        start = [
            self.edits * (2.0 * sounding - 1.0) - self.beyond * (1.0 - near[:, :, 1:2]),
            self.edits * (2.0 * attack - 1.0) - self.beyond * (1.0 - attack),
        ]
        if self.velocities > 1:
            place = (struck[:, :, 2:] * self.velocities - 1.0) / (self.velocities - 1)
            # Of a bin, or the logits of the first and the last would have no bound.
            margin = 0.25 / (self.velocities - 1)
            start.append(torch.logit(place.clamp(margin, 1.0 - margin)))
        return torch.cat(start, dim=2)


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
    # Each generator counts what it has made by itself.
    networks = translator.build(options, spec, lambda: Rolls(options, spec), Context(spec) if options.context else None)
    if options.discriminator_norm == "none":
        attentive(networks["discriminator"])
    return networks


def attentive(discriminator: nn.Module) -> None:
    """Weights N(0, 2 / ((1 + leak^2) fan_in)) (He et al. 2015), so that a discriminator without normalisation sees its domains.

    With those of N(0, 0.02) that are made for normalised maps, what it sees fades from layer to layer.
    """
    for module in discriminator.modules():
        if isinstance(module, nn.Conv2d) and module.out_channels > 1:
            nn.init.kaiming_normal_(module.weight, a=LEAK)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)
