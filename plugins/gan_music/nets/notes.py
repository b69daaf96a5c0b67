"""The output of every generator of music: from logits of what sounds and what is struck to the planes of a relaxed phrase."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gan_music.nets.binary import BinaryNeurons, Kind, level, noise_of
from gan_music.spec import MusicSpec
from gancore.options import ArchitectureOptions


class NoteOptions(ArchitectureOptions):
    """Options of every architecture that ends in `NoteNeurons`."""

    neurons: Kind = Field(
        "deterministic",
        description="What generated cells are in training: thresholded, drawn at random, or (none) probabilities.",
    )
    slope_max: float = Field(
        5.0, ge=1.0, le=100.0, description="Slope of binary neurons at the end of its growth from 1."
    )
    slope_samples: int = Field(
        200_000, ge=1, le=1_000_000_000, description="Generated samples over which the slope grows."
    )
    sounding_bias: float = Field(
        -3.0, ge=-20.0, le=20.0, description="Added to logits of sounding cells; below 0, phrases begin sparse."
    )
    attack_bias: float = Field(
        -1.0, ge=-20.0, le=20.0, description="Added to logits of notes that are struck anew; below 0, notes begin long."
    )
    metre: float = Field(
        2.0,
        ge=0.0,
        le=8.0,
        description="How much smaller fine divisions of a beat begin: patterns of beats divided by n are scaled by"
        " 2^(-metre * log2(n)^2). At 2 that is 1/4 for halves and 1/256 for quarters. More gives notes that hold, less faster ones.",
    )


class NoteNeurons(nn.Module):
    """Logits `[batch, tracks, planes, time, pitch]` of sounding, attack and velocity to what `MusicSpec.relax` gives real phrases.

    Along the steps of each beat logits are weights of `patterns`, from the whole beat to its finest division: neighbouring
    steps agree until training has them differ. Notes are struck anew on the beat more easily than off it (`accents`), and so
    are drums, which have no length. Of a track of single notes at most one cell sounds at a time.

    `keys` numbers at the end of the latent are not for the network: 1 with stochastic neurons, whose noise follows from it.
    """

    held: Tensor
    bias: Tensor
    patterns: Tensor

    def __init__(self, options: NoteOptions, spec: MusicSpec) -> None:
        super().__init__()
        self.velocities = spec.velocities
        self.keys = int(options.neurons == "stochastic")
        self.neurons = BinaryNeurons(options.neurons, options.slope_max, options.slope_samples)
        self.beat = spec.steps_per_beat
        self.singles = [number for number, track in enumerate(spec.tracks) if track.single]
        bias = torch.tensor([options.sounding_bias, options.attack_bias, 0.0])[: spec.planes].view(-1, 1, 1)
        self.register_buffer("bias", bias, persistent=False)
        along, struck = patterns(self.beat, options.metre), torch.diag(accents(self.beat, options.metre))
        beats = [(torch.stack([struck] * 3) if t.drums else torch.stack([along, struck, along])) for t in spec.tracks]
        self.register_buffer("patterns", torch.stack(beats)[:, : spec.planes], persistent=False)
        # 1 for tracks whose notes can be held, 0 for drums.
        held = torch.tensor([float(not t.drums) for t in spec.tracks]).view(-1, 1, 1)
        self.register_buffer("held", held, persistent=False)

    def split(self, z: Tensor) -> tuple[Tensor, Tensor | None]:
        """`z` `[batch, latent + keys]` as the latent `[batch, latent]` and the key `[batch]` of the noise, if there is one."""
        return (z[:, :-1], z[:, -1]) if self.keys else (z, None)

    def forward(self, logits: Tensor, key: Tensor | None, start: Tensor | None = None) -> Tensor:
        """To `[batch, tracks * planes, time, pitch]` in [0, 1]; `start`, of the shape of `logits`, is added to every cell's own."""
        logits = (
            torch.matmul(self.patterns[:, :, None], logits.float().unflatten(3, (-1, self.beat))).flatten(3, 4)
            + self.bias
        )
        logits = logits if start is None else logits + start
        sounding, attack = self._decided(logits[:, :, 0], logits[:, :, 1], key)
        # A note begins where it sounds and did not before, or is struck anew; drums are struck each time.
        before = F.pad(sounding, (0, 0, 1, 0))[:, :, :-1]
        onset = sounding - sounding * before * torch.addcmul(self.held, attack, self.held, value=-1.0)
        planes = [onset, sounding]
        if self.velocities > 1:
            # The lowest velocity is 1 / velocities, so that an onset is never 0.
            bins = level(torch.sigmoid(logits[:, :, 2]), self.velocities)
            planes.append(onset * ((1.0 + bins) / self.velocities))
        return torch.stack(planes, dim=2).flatten(1, 2)

    def _decided(self, sounding: Tensor, attack: Tensor, key: Tensor | None) -> tuple[Tensor, Tensor]:
        """Logits `[batch, tracks, time, pitch]` to values of the same shape; tracks of single notes choose among pitches."""
        drawn = key if self.training else None
        tracks = sounding.shape[1]
        chords = [n for n in range(tracks) if n not in self.singles]
        switches = torch.cat([attack, sounding[:, chords]], dim=1)
        noise = None if drawn is None else noise_of(drawn, *switches.shape[1:])
        attack, rest = self.neurons(switches, noise).split([tracks, len(chords)], dim=1)
        if not self.singles:
            return rest, attack
        chosen = sounding[:, self.singles]
        noise = None if drawn is None else noise_of(-drawn, *chosen.shape[1:-1], chosen.shape[-1] + 1)
        single = self.neurons.highest(chosen, noise)
        order = torch.tensor(chords + self.singles, device=single.device).argsort()
        return torch.cat([rest, single], dim=1)[:, order], attack


def patterns(steps: int, metre: float) -> Tensor:
    """Orthogonal patterns over the steps of a beat as columns `[steps, steps]`, like Haar's (1910) for any divisors.

    The first is the whole beat; then come, for each divisor n of `steps`, those that tell its n parts apart and nothing
    coarser. Columns have the norm `steps^(1/2)` times `weight(n)`, so a weight of the first has the same size at each step.
    """
    basis, scale = torch.zeros(steps, 0), []
    for parts in (n for n in range(1, steps + 1) if steps % n == 0):
        for part in torch.eye(parts).repeat_interleave(steps // parts, dim=1):
            rest = part - basis @ (basis.T @ part)
            if rest.norm() > 1e-3:
                basis = torch.cat([basis, (rest / rest.norm())[:, None]], dim=1)
                scale.append(steps**0.5 * weight(parts, metre))
    return basis * torch.tensor(scale)


def accents(steps: int, metre: float) -> Tensor:
    """How strong each step of a beat is, `[steps]`: `weight(n)` for the coarsest division into n that has a part begin there."""
    first = (
        next(n for n in range(1, steps + 1) if steps % n == 0 and step % (steps // n) == 0) for step in range(steps)
    )
    return torch.tensor([weight(n, metre) for n in first])


def weight(parts: int, metre: float) -> float:
    """Of a beat divided into so many parts: `2^(-metre * log2(parts)^2)`.

    Squared, for what makes a fragment of a note is how small sixteenths are beside eighths, not beside beats.
    """
    return 2.0 ** (-metre * math.log2(parts) ** 2)
