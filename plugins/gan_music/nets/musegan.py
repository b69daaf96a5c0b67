"""MuseGAN (Dong et al. 2018): bars and harmony from a shared trunk, then a private pair of branches for each track.

Written for grids of any size: what is convolved is a map of beats by octaves, and the steps of a beat and the twelve pitch
classes of an octave are unfolded from it (or folded into it) by layers of their own for each track. The pitch axis is padded
so that its octaves begin at a C. Every note that is made has the form that `MusicSpec.relax` gives real ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gan_music.nets.cells import OCTAVE, Grid, PerTrack, PerTrackColumns, PerTrackPlanes, chroma, rhythm
from gan_music.nets.given import Weave, check_given, made_and_given
from gan_music.nets.notes import NoteNeurons, NoteOptions
from gan_music.spec import MusicSpec
from gancore.components import Prior
from gancore.data.spec import SampleSpec, require
from gancore.nets.conditioning import LatentWithClass, ProjectionHead
from gancore.nets.norm import BatchNorm

LEAK = 0.2


class Options(NoteOptions):
    """Options of MuseGAN."""

    latent: int = Field(128, ge=1, le=4096, description="Length of the latent vector.")
    width: int = Field(
        24, ge=8, le=512, description="Channels of the map of beats by octaves; all other layers grow with it."
    )
    depth: int = Field(1, ge=1, le=8, description="3x3 convolutions on that map, in both networks.")
    embedding: int = Field(32, ge=1, le=4096, description="Length of the class embedding that joins the latent vector.")


def build(options: Options, spec: SampleSpec) -> dict[str, nn.Module]:
    """Generator and discriminator for phrases; conditional where `spec` has classes. UsageError for other samples."""
    spec = require(spec, MusicSpec, "architecture 'musegan'")
    return {"generator": Generator(options, spec), "discriminator": Discriminator(options, spec)}


class TrackBranches(nn.Module):
    """A network that looks at each track by a pair of branches of its own: pitches first and then steps, and the other way round."""

    def __init__(self, options: Options, spec: MusicSpec) -> None:
        super().__init__()
        self.grid = grid = Grid(spec)
        half, quarter, eighth = (max(4, options.width // n) for n in (2, 4, 8))
        self.pitch_time = nn.ModuleList(
            [
                PerTrackPlanes(grid.tracks, grid.planes, OCTAVE, quarter),
                PerTrack(grid.tracks, grid.steps * quarter, half),
            ]
        )
        self.time_pitch = nn.ModuleList(
            [
                PerTrackColumns(grid.tracks, grid.planes * grid.steps, eighth),
                PerTrack(grid.tracks, eighth * OCTAVE, half),
            ]
        )
        self.private_channels = 2 * half * grid.tracks

    def private(self, cells: Tensor) -> Tensor:
        """`cells` as `Grid.cut` gives them to `[batch, private_channels, beats, octaves]`."""
        grid = self.grid
        first, second = self.pitch_time
        y = F.leaky_relu(first(cells.flatten(3, 5)), LEAK).unflatten(2, (grid.beats, grid.steps, grid.octaves))
        y = y.permute(1, 0, 2, 4, 3, 5).flatten(4)  # track, sample, beat, octave, channels of steps
        by_pitch = F.leaky_relu(second(y), LEAK)
        first, second = self.time_pitch
        y = F.leaky_relu(first(cells.permute(1, 2, 4, 0, 3, 5, 6).flatten(1, 2)), LEAK)
        by_time = F.leaky_relu(second(y.permute(0, 2, 3, 4, 1, 5).flatten(4)), LEAK)
        both = torch.stack([by_pitch, by_time]).permute(2, 1, 0, 5, 3, 4)
        return both.reshape(len(cells), -1, grid.beats, grid.octaves)


class GivenEncoder(TrackBranches):
    """Tracks that are given to features of the phrase, of its bars and beats, and of octaves in beats, for a generator to join.

    They are made as the discriminator makes its own, the chroma of each beat among them.
    """

    melodic: Tensor

    def __init__(self, options: Options, spec: MusicSpec) -> None:
        """`spec` is that of the given tracks alone."""
        super().__init__(options, spec)
        grid, wide = self.grid, options.width
        self.dims = {"phrase": wide, "bars": 2 * wide, "beats": wide, "octaves": max(4, wide // 2)}
        """Channels of the features."""
        melodic = [i for i, t in enumerate(spec.tracks) if not t.drums]
        self.register_buffer("melodic", torch.tensor(melodic, dtype=torch.int64), persistent=False)
        self.to_octaves = nn.Conv2d(self.private_channels, self.dims["octaves"], 1, bias=False)
        self.octaves = nn.Sequential(BatchNorm(self.dims["octaves"]), nn.ReLU())
        folded = self.dims["octaves"] * grid.octaves + len(melodic) * OCTAVE
        self.to_beats = nn.Conv1d(folded, wide, 3, padding=1, bias=False)
        self.beats = nn.Sequential(BatchNorm(wide), nn.ReLU())
        self.to_bars = nn.Conv1d(wide, 2 * wide, grid.beats_per_bar, grid.beats_per_bar, bias=False)
        self.bars = nn.Sequential(BatchNorm(2 * wide), nn.ReLU())
        self.to_phrase = nn.Linear(2 * wide * grid.bars, wide)

    def forward(self, given: Tensor) -> dict[str, Tensor]:
        """`given` `[batch, given tracks * planes, time, pitch]` to features `[batch, channels, ...]` under the names of `dims`."""
        cells = self.grid.cut(given)
        octaves = self.to_octaves(self.private(cells))
        folded = [self.octaves(octaves).transpose(2, 3).flatten(1, 2)]
        if len(self.melodic):
            folded.append(chroma(cells).index_select(1, self.melodic).transpose(2, 3).flatten(1, 2))
        beats = self.to_beats(torch.cat(folded, dim=1))
        bars = self.to_bars(self.beats(beats))
        phrase = self.to_phrase(self.bars(bars).flatten(1))
        return {"phrase": phrase, "bars": bars, "beats": beats, "octaves": octaves}


class Generator(nn.Module):
    """`z` `[batch, *latent_shape]` to phrases `[batch, tracks * planes, time, pitch]` in [0, 1].

    With stochastic neurons the latent is one number longer, from which their noise follows. Tracks that are given are heard
    on every level on which the others are made, and are in the phrase as they are.
    """

    takes_given = True

    def __init__(self, options: Options, spec: MusicSpec) -> None:
        super().__init__()
        self.spec = spec
        made, given = made_and_given(spec)
        self.grid = grid = Grid(made)
        self.notes = NoteNeurons(options, made)
        self.latent_shape = (options.latent + self.notes.keys,)
        self.prior = Prior(smooth=options.latent)
        self.latent = LatentWithClass(options.latent, spec.class_count, options.embedding)
        self.given = GivenEncoder(options, given) if given else None
        self.weave = Weave(spec) if given else None
        more = self.given.dims if self.given else dict.fromkeys(("phrase", "bars", "beats", "octaves"), 0)
        wide, half, quarter = options.width, max(4, options.width // 2), max(4, options.width // 4)

        # Shared in time: a vector for each bar, for each beat, then for each octave of a beat.
        self.to_bars = nn.Linear(self.latent.dim + more["phrase"], 4 * wide * grid.bars, bias=False)
        self.bars = nn.Sequential(
            BatchNorm(4 * wide + more["bars"]),
            nn.ReLU(),
            nn.Conv1d(4 * wide + more["bars"], 4 * wide, 3, padding=1, bias=False),
            BatchNorm(4 * wide),
            nn.ReLU(),
            nn.Conv1d(4 * wide, 2 * wide * grid.beats_per_bar, 1, bias=False),
        )
        self.beats = nn.Sequential(
            BatchNorm(2 * wide + more["beats"]),
            nn.ReLU(),
            nn.Conv1d(2 * wide + more["beats"], wide * grid.octaves, 3, padding=1, bias=False),
        )
        # Shared as well: all pitches of all tracks at once, step by step, for what moves in time (melodies).
        self.to_steps = nn.Sequential(
            BatchNorm(2 * wide + more["beats"]),
            nn.ReLU(),
            nn.Conv1d(2 * wide + more["beats"], 2 * wide * grid.steps, 3, padding=1, bias=False),
        )
        self.steps = nn.Sequential(
            BatchNorm(2 * wide),
            nn.ReLU(),
            nn.Conv1d(2 * wide, 2 * wide, 5, padding=2, bias=False),
            BatchNorm(2 * wide),
            nn.ReLU(),
            nn.Conv1d(2 * wide, grid.tracks * grid.planes * grid.pitches, 1),
        )
        octaves: list[nn.Module] = [BatchNorm(wide + more["octaves"]), nn.ReLU()]
        for n in range(options.depth):
            seen = wide + (more["octaves"] if n == 0 else 0)
            octaves += [nn.Conv2d(seen, wide, 3, padding=1, bias=False), BatchNorm(wide), nn.ReLU()]
        octaves += [nn.Conv2d(wide, half * grid.tracks, 1, bias=False), BatchNorm(half * grid.tracks)]
        self.octaves = nn.Sequential(*octaves, nn.ReLU())

        # Private: pitches first and then steps, and the other way round. The 1x1 convolution that merges both is linear, as
        # their last layers are, so it is part of these, and what is left of it is a sum.
        self.pitch_time = nn.ModuleList(
            [
                PerTrack(grid.tracks, half, quarter * OCTAVE),
                PerTrackColumns(grid.tracks, quarter, grid.planes * grid.steps),
            ]
        )
        self.time_pitch = nn.ModuleList(
            [PerTrack(grid.tracks, half, grid.steps * quarter), PerTrack(grid.tracks, quarter, grid.planes * OCTAVE)]
        )
        _initialise(self, 0.0)
        with torch.no_grad():
            self.steps[-1].weight.mul_(0.5)  # type: ignore[operator]  # or three branches would add up to dense chords

    def logits(self, z: Tensor, condition: Tensor | None = None, given: Tensor | None = None) -> Tensor:
        """Before the neurons: `[batch, made tracks, planes, time, pitch]`; planes are sounding, attack and velocity."""
        grid = self.grid
        heard = self.given(given) if self.given is not None else {}

        def joined(x: Tensor, level: str) -> Tensor:
            return torch.cat([x, heard[level]], dim=1) if heard else x

        x = self.to_bars(joined(self.latent(z, condition), "phrase")).view(len(z), -1, grid.bars)
        x = self.bars(joined(x, "bars")).view(len(z), -1, grid.beats_per_bar, grid.bars)
        x = joined(x.transpose(2, 3).reshape(len(z), -1, grid.beats), "beats")
        by_step = self.to_steps(x).view(len(z), -1, grid.steps, grid.beats).transpose(2, 3).flatten(2)
        by_step = self.steps(by_step).view(len(z), grid.tracks, grid.planes, grid.pitches, grid.time).transpose(3, 4)
        x = joined(self.beats(x).view(len(z), -1, grid.octaves, grid.beats).transpose(2, 3), "octaves")
        x = self.octaves(x).reshape(len(z), grid.tracks, -1, grid.beats, grid.octaves)
        x = x.permute(1, 0, 3, 4, 2)  # track, sample, beat, octave, channel

        first, second = self.pitch_time
        y = F.relu(first(x)).unflatten(-1, (-1, OCTAVE)).permute(0, 4, 1, 2, 3, 5)
        y = second(y).unflatten(1, (-1, grid.steps))  # track, plane, step, sample, beat, octave, pitch class
        by_pitch = y.permute(3, 0, 1, 4, 2, 5, 6)

        first, second = self.time_pitch
        y = F.relu(first(x)).unflatten(-1, (grid.steps, -1))
        y = second(y).unflatten(-1, (-1, OCTAVE))  # track, sample, beat, octave, step, plane, pitch class
        by_time = y.permute(1, 0, 5, 2, 4, 3, 6)

        both = by_pitch.contiguous() + by_time
        return grid.joined(both) + by_step

    def forward(self, z: Tensor, condition: Tensor | None = None, given: Tensor | None = None) -> Tensor:
        check_given(given, self.spec)
        z, key = self.notes.split(z)
        made: Tensor = self.notes(self.logits(z, condition, given), key)
        return made if self.weave is None else self.weave(made, given)


class Discriminator(TrackBranches):
    """Phrases `[batch, tracks * planes, time, pitch]` in [0, 1] to logits `[batch]`, by class projection where there are classes.

    Besides the two branches for each track it is shown what is hard to see in a roll: which pitch classes sound together in
    a beat (the chroma stream), where notes begin and end, whatever their pitch (the onset stream), and how all tracks move from
    step to step (the step stream).
    """

    melodic: Tensor

    def __init__(self, options: Options, spec: MusicSpec) -> None:
        super().__init__(options, spec)
        grid = self.grid
        melodic = [i for i, t in enumerate(spec.tracks) if not t.drums]
        self.register_buffer("melodic", torch.tensor(melodic, dtype=torch.int64), persistent=False)
        wide = options.width
        octaves: list[nn.Module] = [nn.Conv2d(self.private_channels, wide, 1), nn.LeakyReLU(LEAK)]
        for _ in range(options.depth):
            octaves += [nn.Conv2d(wide, wide, 3, padding=1), nn.LeakyReLU(LEAK)]
        self.octaves = nn.Sequential(*octaves)
        self.fold = nn.Sequential(nn.Conv1d(wide * grid.octaves, 2 * wide, 1), nn.LeakyReLU(LEAK))
        self.chroma = nn.Sequential(nn.Conv1d(len(melodic) * OCTAVE, wide, 1), nn.LeakyReLU(LEAK)) if melodic else None
        self.onsets = nn.Sequential(nn.Conv1d(2 * grid.tracks * grid.steps, wide, 1), nn.LeakyReLU(LEAK))
        self.steps = nn.Sequential(
            nn.Conv1d(grid.tracks * grid.planes * grid.pitches, 2 * wide, 5, padding=2),
            nn.LeakyReLU(LEAK),
            nn.Conv1d(2 * wide, 2 * wide, grid.steps, grid.steps),
            nn.LeakyReLU(LEAK),
        )
        joint = (5 + bool(melodic)) * wide
        self.beats = nn.Sequential(nn.Conv1d(joint, 2 * wide, 3, padding=1), nn.LeakyReLU(LEAK))
        self.bars = nn.Sequential(
            nn.Conv1d(2 * wide, 4 * wide, grid.beats_per_bar, grid.beats_per_bar),
            nn.LeakyReLU(LEAK),
            nn.Conv1d(4 * wide, 4 * wide, 3, padding=1),
            nn.LeakyReLU(LEAK),
        )
        self.phrase = nn.Sequential(nn.Linear(4 * wide * grid.bars, 4 * wide), nn.LeakyReLU(LEAK))
        self.head = ProjectionHead(4 * wide, spec.class_count)
        _initialise(self, LEAK)

    def features(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """What the logit is a linear function of: `[batch, 4 * width]`."""
        grid = self.grid
        cells = grid.cut(x)
        shared = self.octaves(self.private(cells))
        streams = [self.fold(shared.transpose(2, 3).reshape(len(x), -1, grid.beats))]
        if self.chroma is not None:
            harmony = chroma(cells).index_select(1, self.melodic)
            streams.append(self.chroma(harmony.permute(0, 1, 3, 2).reshape(len(x), -1, grid.beats)))
        onsets = rhythm(cells).unflatten(-1, (grid.beats, grid.steps)).transpose(-1, -2)
        streams.append(self.onsets(onsets.reshape(len(x), -1, grid.beats)))
        streams.append(self.steps(x.transpose(2, 3).flatten(1, 2)))
        return self.phrase(self.bars(self.beats(torch.cat(streams, dim=1))).flatten(1))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.head(self.features(x, condition), condition)


def _initialise(network: nn.Module, leak: float) -> None:
    """Weights N(0, 2 / ((1 + leak^2) fan_in)) (He et al. 2015), biases zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear) and module is not getattr(network, "head", None):
            nn.init.kaiming_normal_(module.weight, a=leak)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
