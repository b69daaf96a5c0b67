"""The architecture `translator` for music: phrases of one domain to phrases of another, such as major to minor."""

from __future__ import annotations

from copy import deepcopy
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
from gancore.nets.translating import Translator

NEAR = 2
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
    sounding_bias: float = Field(
        -1.0,
        ge=-20.0,
        le=20.0,
        description="With edits=0, added to logits of sounding cells; below 0, phrases begin sparse, and at -3 mostly empty.",
    )
    harmony: bool = Field(
        True,
        description="Networks also see at each cell how much each pitch class sounds in the phrase, counted from the cell's own: its"
        " place in the key, in the same words for every key.",
    )


class Harmony(nn.Module):
    """Relaxed phrases `[batch, tracks * planes, time, pitch]`, and beside them how each cell's pitch stands to all that sounds.

    The twelve maps that join it have at a cell of pitch p how much the pitch class of p + n sounds, n = 0 to 11, in the whole phrase,
    drums aside: a share of all, times 7, as much as the classes of a scale have. They are the same for a phrase in another key, but
    for moving with it. So what a note is in its key, a third of a major triad, say, can be told where it stands.
    """

    melodic: Tensor
    classes: Tensor
    above: Tensor

    def __init__(self, spec: MusicSpec) -> None:
        super().__init__()
        self.planes = spec.planes
        self.channels = spec.shape[0] + OCTAVE
        melodic = [number for number, track in enumerate(spec.tracks) if not track.drums]
        classes = (torch.arange(spec.pitches) + spec.lowest) % OCTAVE
        self.register_buffer("melodic", torch.tensor(melodic, dtype=torch.int64), persistent=False)
        self.register_buffer("classes", classes, persistent=False)
        above = (classes + torch.arange(OCTAVE)[:, None]) % OCTAVE
        self.register_buffer("above", above, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """To `[batch, tracks * planes + 12, time, pitch]`."""
        sounding = x.unflatten(1, (-1, self.planes))[:, :, 1].index_select(1, self.melodic).sum(dim=(1, 2))
        chroma = x.new_zeros(len(x), OCTAVE).index_add(1, self.classes, sounding)
        shares = 7.0 * chroma / chroma.sum(dim=1, keepdim=True).clamp(min=1.0)
        maps = shares[:, self.above][:, :, None].expand(-1, -1, x.shape[2], -1)
        return torch.cat([x, maps], dim=1)


class Rolls(nn.Module):
    """What a translator ends in: `[batch, tracks * planes, time, pitch]` logits to a relaxed phrase, as `NoteNeurons` makes it.

    With `edits`, of zeros it makes what is given.
    """

    def __init__(self, options: Options, spec: MusicSpec) -> None:
        super().__init__()
        self.edits, self.velocities = options.edits, spec.velocities
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

        Of a cell that is silent, those of attack and velocity are of what is struck up to a tone away: where a note moves, it is
        struck when it was.
        """
        sounding = given[:, :, 1:2]
        near = F.max_pool2d(given.flatten(0, 2), (1, 2 * NEAR + 1), 1, (0, NEAR)).view_as(given)
        struck = torch.where(sounding >= 0.5, given, near)
        start = [self.edits * (2.0 * sounding - 1.0), self.edits * (2.0 * struck[:, :, :1] - 1.0)]
        if self.velocities > 1:
            place = (struck[:, :, 2:] * self.velocities - 1.0) / (self.velocities - 1)
            margin = 0.25 / (
                self.velocities - 1
            )  # of a bin, or the logits of the first and the last would have no bound
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
    networks = translator.build(options, spec, Rolls(options, spec), Harmony(spec) if options.harmony else None)
    # Each generator counts what it has made by itself: they share nothing.
    for network in networks["generator"].modules():
        if isinstance(network, Translator):
            network.end = deepcopy(network.end)
    return networks
