"""Transformers on piano rolls: a token for each track and half bar, and attention over time and across tracks.

Attention is written out as two products, because fused attention has no second derivative, and normalisation is within a
token (Ba et al. 2016), so that samples of a batch never touch each other.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gan_music.nets.cells import Grid, PerTrack, chroma, rhythm
from gan_music.nets.given import Weave, check_given, made_and_given
from gan_music.nets.notes import NoteNeurons, NoteOptions
from gan_music.spec import MusicSpec
from gancore.components import Prior
from gancore.data.spec import SampleSpec, require
from gancore.errors import UsageError
from gancore.nets.conditioning import LatentWithClass, ProjectionHead

OCTAVE = 12
LEAK = 0.2
EXPANSION = 2
"""Width of the hidden layer between attentions, in widths of a token."""
JOINT_TOKENS = 512
"""Up to so many tokens, `auto` lets each look at all others: weights grow with the square of their number."""
MAX_HALF = 16
"""Steps of the longest half bar that is one token where nothing else is asked for."""


class Options(NoteOptions):
    """Options of the roll transformer."""

    latent: int = Field(128, ge=1, le=4096, description="Length of the latent vector.")
    width: int = Field(64, ge=8, le=2048, description="Length of a token, in both networks; a multiple of `heads`.")
    depth: int = Field(2, ge=1, le=32, description="Blocks of attention and layers, in both networks.")
    heads: int = Field(2, ge=1, le=64, description="Heads of each attention.")
    attention: Literal["auto", "joint", "factorised"] = Field(
        "auto",
        description="Every token looks at all (joint), or first at its track and then at its time (factorised, for long"
        f" phrases of many tracks); auto: joint up to {JOINT_TOKENS} tokens.",
    )
    embedding: int = Field(32, ge=1, le=4096, description="Length of the class embedding that joins the latent vector.")
    steps_per_token: int = Field(
        0,
        ge=0,
        le=3072,
        description="Steps of the grid in a token, a divisor of those in a bar; 0: half a bar, or a beat where a bar has no"
        f" two halves of whole beats or half of it is more than {MAX_HALF} steps.",
    )


def build(options: Options, spec: SampleSpec) -> dict[str, nn.Module]:
    """Generator and discriminator for phrases; conditional where `spec` has classes.

    UsageError for other samples, for tokens that do not fill a bar, and for a width that its heads do not divide.
    """
    spec = require(spec, MusicSpec, "architecture 'roll-transformer'")
    if options.width % options.heads:
        raise UsageError(
            f"tokens of width {options.width} cannot be shared by {options.heads} heads: "
            "set architecture.width to a multiple of architecture.heads"
        )
    return {"generator": Generator(options, spec), "discriminator": Discriminator(options, spec)}


class TokenGrid(Grid):
    """A grid whose columns are tokens in place of beats: its `beats` are tokens, its `steps` those of a token."""

    def __init__(self, spec: MusicSpec, steps_per_token: int) -> None:
        super().__init__(spec)
        bar = spec.steps_per_bar
        half = bar // 2 if spec.beats_per_bar % 2 == 0 and bar // 2 <= MAX_HALF else 0
        self.steps = steps_per_token or half or spec.steps_per_beat
        if bar % self.steps:
            fitting = ", ".join(str(n) for n in range(1, bar + 1) if bar % n == 0)
            raise UsageError(
                f"tokens of {self.steps} steps do not fill a bar of {bar} steps: "
                f"set architecture.steps_per_token to one of {fitting}, or to 0 for a choice by the meter"
            )
        self.tokens_per_bar = bar // self.steps
        self.tokens = self.beats = spec.bars * self.tokens_per_bar
        self.cells = self.steps * self.octaves * OCTAVE
        """Places of a token in one plane: steps times pitches."""


class Attention(nn.Module):
    """Self-attention of several heads (Vaswani et al. 2017) on tokens `[batch, track, time, width]`.

    `along` is `time` where each track looks at itself alone, `tracks` where each time does, and `both` where every token
    looks at all others.
    """

    def __init__(self, width: int, heads: int, along: str) -> None:
        super().__init__()
        self.heads = heads
        self.along = along
        self.inward = nn.Linear(width, 3 * width, bias=False)
        self.outward = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        if self.along == "tracks":
            x = x.transpose(1, 2)
        rows = x.flatten(1, 2)[:, None] if self.along == "both" else x
        # Batch, row, head, place, channel.
        query, key, value = self.inward(rows).unflatten(-1, (3, self.heads, -1)).transpose(2, 4).unbind(3)
        query = query * query.shape[-1] ** -0.5
        weights = torch.softmax(query @ key.transpose(-1, -2), dim=-1)
        seen: Tensor = self.outward((weights @ value).transpose(2, 3).reshape(x.shape))
        return seen.transpose(1, 2) if self.along == "tracks" else seen


class Norm(nn.Module):
    """Layer normalisation, its scale and shift learned, or computed from a style `[batch, style]` (Perez et al. 2018)."""

    def __init__(self, width: int, style: int = 0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=not style)
        self.style = nn.Linear(style, 2 * width) if style else None

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        y: Tensor = self.norm(x)
        if self.style is None:
            return y
        scale, shift = self.style(style)[:, None, None].chunk(2, dim=-1)
        return torch.addcmul(y + shift, y, scale)


class Block(nn.Module):
    """Attention, or one after the other along each of `axes`, then two layers on each token; each added to what it is computed from."""

    def __init__(self, width: int, heads: int, axes: tuple[str, ...], style: int = 0) -> None:
        super().__init__()
        hidden = EXPANSION * width
        parts: list[nn.Module] = [Attention(width, heads, along) for along in axes]
        parts.append(nn.Sequential(nn.Linear(width, hidden), nn.LeakyReLU(LEAK), nn.Linear(hidden, width)))
        self.parts = nn.ModuleList(parts)
        self.norms = nn.ModuleList(Norm(width, style) for _ in parts)

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        """Tokens `[batch, track, time, width]` to the same shape."""
        for norm, part in zip(self.norms, self.parts, strict=True):
            x = x + part(norm(x, style))
        return x


class Positions(nn.Module):
    """What tells tokens apart: learned vectors for the bar, for the place in the bar, and for the track (or other row)."""

    def __init__(self, grid: TokenGrid, rows: int, width: int) -> None:
        super().__init__()
        self.bars = nn.Parameter(torch.randn(grid.bars, width) * 0.5)
        self.places = nn.Parameter(torch.randn(grid.tokens_per_bar, width) * 0.5)
        self.rows = nn.Parameter(torch.randn(rows, width) * 0.5)

    def forward(self) -> Tensor:
        """`[rows, tokens, width]`."""
        return spread(self.bars, self.places, self.rows)


def spread(bars: Tensor, places: Tensor, rows: Tensor) -> Tensor:
    """Sums of vectors for bars, places in a bar and rows, each `[..., n, width]`: `[..., rows, tokens, width]`."""
    time = (bars[..., :, None, :] + places[..., None, :, :]).flatten(-3, -2)
    return time[..., None, :, :] + rows[..., :, None, :]


def blocks(options: Options, grid: TokenGrid, rows: int, style: int = 0) -> nn.ModuleList:
    """`depth` blocks for tokens `[batch, rows, tokens, width]`."""
    joint = options.attention == "joint" or (options.attention == "auto" and rows * grid.tokens <= JOINT_TOKENS)
    axes = ("both",) if joint else ("time", "tracks")
    return nn.ModuleList(Block(options.width, options.heads, axes, style) for _ in range(options.depth))


class Patches(nn.Module):
    """Phrases `[batch, tracks * planes, time, pitch]` to tokens `[batch, tracks + 1, tokens, width]`.

    The last row is for what is hard to see in rolls, and is made by all tracks together: which pitch classes sound in each,
    and how many notes begin and end at each step.
    """

    melodic: Tensor

    def __init__(self, options: Options, spec: MusicSpec) -> None:
        super().__init__()
        self.grid = grid = TokenGrid(spec, options.steps_per_token)
        melodic = [i for i, t in enumerate(spec.tracks) if not t.drums]
        self.register_buffer("melodic", torch.tensor(melodic, dtype=torch.int64), persistent=False)
        self.rows = grid.tracks + 1
        width = options.width
        self.private = nn.ModuleList(
            [PerTrack(grid.tracks, grid.planes * grid.cells, 2 * width), PerTrack(grid.tracks, 2 * width, width)]
        )
        together = len(melodic) * OCTAVE + 2 * grid.tracks * grid.steps
        self.together = nn.Sequential(nn.Linear(together, 2 * width), nn.LeakyReLU(LEAK), nn.Linear(2 * width, width))
        self.positions = Positions(grid, self.rows, width)

    def forward(self, x: Tensor) -> Tensor:
        cells = self.grid.cut(x)  # batch, track, plane, token, step, octave, pitch class
        first, second = self.private
        rows = second(F.leaky_relu(first(cells.permute(1, 0, 3, 2, 4, 5, 6).flatten(3)), LEAK)).transpose(0, 1)
        struck = rhythm(cells).unflatten(-1, (self.grid.tokens, self.grid.steps)).permute(0, 3, 1, 2, 4)
        harmony = chroma(cells).index_select(1, self.melodic).transpose(1, 2)
        last = self.together(torch.cat([harmony.flatten(2), struck.flatten(2)], dim=-1))
        return torch.cat([rows, last[:, None]], dim=1) + self.positions()


class Generator(nn.Module):
    """`z` `[batch, *latent_shape]` to phrases `[batch, tracks * planes, time, pitch]` in [0, 1].

    The latent, with the class, comes in twice: as sums of a vector for each bar, place in a bar and track, from which tokens
    start, and as the style by which every normalisation scales and shifts. With stochastic neurons the latent is one number
    longer, from which their noise follows. Tracks that are given are tokens beside those of the tracks that are made, and
    are in the phrase as they are.
    """

    takes_given = True

    def __init__(self, options: Options, spec: MusicSpec) -> None:
        super().__init__()
        self.spec = spec
        made, given = made_and_given(spec)
        self.grid = grid = TokenGrid(made, options.steps_per_token)
        self.notes = NoteNeurons(options, made)
        self.latent_shape = (options.latent + self.notes.keys,)
        self.prior = Prior(smooth=options.latent)
        self.given = Patches(options, given) if given else None
        self.weave = Weave(spec) if given else None
        self.latent = LatentWithClass(options.latent, spec.class_count, options.embedding)
        width = options.width
        self.counts = (grid.bars, grid.tokens_per_bar, grid.tracks)
        self.seeds = nn.Linear(self.latent.dim, sum(self.counts) * width, bias=False)
        self.style = nn.Sequential(nn.Linear(self.latent.dim, 2 * width), nn.LeakyReLU(LEAK))
        self.positions = Positions(grid, grid.tracks, width)
        rows = grid.tracks + (self.given.rows if self.given else 0)
        self.blocks = blocks(options, grid, rows, 2 * width)
        self.norm = Norm(width, 2 * width)
        # A logit is what a token says of the cell, and of its pitch class in whatever octave and step.
        self.to_cells = PerTrack(grid.tracks, width, grid.planes * grid.cells)
        self.to_chroma = PerTrack(grid.tracks, width, grid.planes * OCTAVE)
        _initialise(self)
        with torch.no_grad():
            self.to_cells.weight.mul_(0.5**0.5)
            self.to_chroma.weight.mul_(0.5**0.5)

    def tokens(self, latent: Tensor, given: Tensor | None = None) -> Tensor:
        """What the blocks start from: `[batch, tracks, tokens, width]`, those that are made before what is given."""
        seeds = self.seeds(latent).view(len(latent), sum(self.counts), -1)
        made = spread(*seeds.split(self.counts, dim=1)) + self.positions()
        return made if self.given is None else torch.cat([made, self.given(given)], dim=1)

    def logits(self, z: Tensor, condition: Tensor | None = None, given: Tensor | None = None) -> Tensor:
        """Before the neurons: `[batch, made tracks, planes, time, pitch]`; planes are sounding, attack and velocity."""
        grid = self.grid
        latent = self.latent(z, condition)
        x, style = self.tokens(latent, given), self.style(latent)
        for block in self.blocks:
            x = block(x, style)
        x = self.norm(x[:, : grid.tracks], style).transpose(0, 1)  # track, sample, token, channel
        cells = self.to_cells(x).unflatten(-1, (grid.planes, grid.steps, grid.octaves, OCTAVE))
        classes = self.to_chroma(x).unflatten(-1, (grid.planes, 1, 1, OCTAVE))
        return grid.joined((cells + classes).permute(1, 0, 3, 2, 4, 5, 6))

    def forward(self, z: Tensor, condition: Tensor | None = None, given: Tensor | None = None) -> Tensor:
        check_given(given, self.spec)
        z, key = self.notes.split(z)
        made: Tensor = self.notes(self.logits(z, condition, given), key)
        return made if self.weave is None or given is None else self.weave(made, given)


class Discriminator(nn.Module):
    """Phrases `[batch, tracks * planes, time, pitch]` in [0, 1] to logits `[batch]`, by class projection where there are classes."""

    def __init__(self, options: Options, spec: MusicSpec) -> None:
        super().__init__()
        width, heads = options.width, options.heads
        self.patches = Patches(options, spec)
        self.blocks = blocks(options, self.patches.grid, self.patches.rows)
        self.norm = Norm(width)
        self.look = nn.Linear(width, heads)
        self.phrase = nn.Sequential(nn.Linear((heads + 1) * width, 4 * width), nn.LeakyReLU(LEAK))
        self.head = ProjectionHead(4 * width, spec.class_count)
        _initialise(self)

    def features(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """What the logit is a linear function of: `[batch, 4 * width]`."""
        y = self.patches(x)
        for block in self.blocks:
            y = block(y)
        y = self.norm(y).flatten(1, 2)
        weights = torch.softmax(self.look(y), dim=1)
        seen = weights.transpose(1, 2) @ y
        return self.phrase(torch.cat([y.mean(dim=1), seen.flatten(1)], dim=1))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.head(self.features(x, condition), condition)


def _initialise(network: nn.Module) -> None:
    """Weights N(0, 1 / fan_in), biases zero; what a block adds, and the scales and shifts of a style, begin small."""
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Linear):
            nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    depth = sum(isinstance(module, Block) for module in network.modules())
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, Block):
                for part in module.parts:
                    last = part.outward if isinstance(part, Attention) else part[-1]  # type: ignore[index]
                    last.weight.mul_((len(module.parts) * depth) ** -0.5)
            elif isinstance(module, Norm) and module.style is not None:
                module.style.weight.mul_(0.5)
