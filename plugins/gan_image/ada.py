"""ADA: differentiable augmentation of pictures that is as strong as it must be (Karras et al. 2020, appendix B).

Each transform is drawn for each sample by itself, and left out with probability 1 - strength. So long as the strength stays below 1,
no two distributions of pictures become the same, and a generator is not led to make pictures that look augmented.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from gan_image.spec import ImageSpec
from gancore.data.spec import SampleSpec, require
from gancore.losses.adversarial import at_least_float32
from gancore.nets.layout import in_layout
from gancore.options import StrengthOptions, each_once
from gancore.random import Draws

Group = Literal["blit", "geometric", "colour", "filter", "noise", "cutout"]
GROUPS: dict[Group, tuple[str, ...]] = {
    "blit": ("flip", "turn", "shift"),
    "geometric": ("scale", "rotate", "stretch", "rotate-again", "move"),
    "colour": ("brightness", "contrast", "invert", "hue", "saturation"),
    "filter": ("lowest-band", "low-band", "high-band", "highest-band"),
    "noise": ("noise",),
    "cutout": ("cutout",),
}
"""The 18 transforms of the paper by their groups; rotation is drawn before and after the anisotropic scale."""
TRANSFORMS = [name for names in GROUPS.values() for name in names]
_POWER = (10 / 13, 1 / 13, 1 / 13, 1 / 13)
"""Expected power of the bands of `filter`, lowest first; amplified bands are scaled so that it stays 1 in all."""


class AdaOptions(StrengthOptions):
    """Options of `ada`; the strength is the probability of each transform."""

    policy: Annotated[tuple[Group, ...], each_once("group")] = Field(
        ("blit", "geometric", "colour"), min_length=1, max_length=6, description="Which groups of transforms there are."
    )


class Ada:
    """Called `augment(x, draws)` on relaxed images `[batch, channels, height, width]` in [-1, 1], of any channel count and size.

    Returns the same shape and type; values may leave [-1, 1]. Affine in `x` for given draws, so gradient penalties pass through it.

    One inverse affine map gathers all that moves pixels. Between pixels the picture, reflected at its edges, is interpolated by
    cubics to twice its resolution and by lines from there (the paper: by wavelet sym6, and supersampled, at several times the cost);
    flips and the like are exact. The colours of three channels are changed as in the paper, and those of four likewise, of which the
    last is opacity; a single channel has brightness, contrast and inversion; of any other number each has brightness and contrast of
    its own.
    """

    def __init__(self, options: AdaOptions, spec: SampleSpec) -> None:
        require(spec, ImageSpec, "augmentation 'ada'")
        self.strength = options.strength
        self.policy = options.policy

    def __call__(self, x: Tensor, draws: Draws) -> Tensor:
        if not self.strength:
            return x
        y = at_least_float32(x).contiguous()
        picked = _Picked(draws, self.strength, y)
        if moving := [group for group in self.policy if group in ("blit", "geometric")]:
            y = _move(y, picked, moving)
        if "colour" in self.policy:
            y = _colour(y, picked)
        if "filter" in self.policy:
            y = _filter(y, picked)
        if "noise" in self.policy:
            y = y + _each(picked.normal("noise", 0.1).abs()) * draws.normal("grain", *y.shape[1:]).to(y)
        if "cutout" in self.policy:
            y = _cut_out(y, picked)
        # One wrong layout in a chain of convolutions costs more than all of the above.
        return in_layout(y.to(x.dtype), torch.channels_last if x.stride(1) == 1 else torch.contiguous_format)


class _Picked:
    """Which transforms each sample of a batch undergoes, and by how much: numbers `[batch]`, 0 where it does not."""

    def __init__(self, draws: Draws, strength: float, like: Tensor) -> None:
        count = len(TRANSFORMS)
        chances = torch.full((count,), strength)
        for name in ("rotate", "rotate-again"):
            chances[TRANSFORMS.index(name)] = 1.0 - math.sqrt(1.0 - strength)
        drawn = draws.uniform("picked", 3, count)
        self.draws = draws
        self.on = drawn[:, 0] < chances.to(drawn)
        on = self.on[:, None]
        self._uniform = torch.where(on, drawn[:, 1:], 0.0).to(like)
        self._signed = torch.where(on, drawn[:, 1:] * 2.0 - 1.0, 0.0).to(like)
        self._normal = torch.where(on, draws.normal("sizes", 2, count), 0.0).to(like)

    def on_any(self, *groups: Group) -> Tensor:
        """Which samples undergo any transform of `groups`, `[batch]` bool."""
        return self.on[:, [TRANSFORMS.index(name) for group in groups for name in GROUPS[group]]].any(1)

    def uniform(self, name: str, number: int = 0) -> Tensor:
        """In [-1, 1)."""
        return self._signed[:, number, TRANSFORMS.index(name)]

    def normal(self, name: str, deviation: float, number: int = 0) -> Tensor:
        """Of mean 0."""
        return self._normal[:, number, TRANSFORMS.index(name)] * deviation

    def chosen(self, name: str, count: int) -> Tensor:
        """A whole number below `count`."""
        return (self._uniform[:, 0, TRANSFORMS.index(name)] * count).floor()


# --- what moves pixels ------------------------------------------------------------------------------------------------


def _move(x: Tensor, picked: _Picked, groups: Sequence[Group]) -> Tensor:
    """Flips, turns, shifts, scales of `x`, in the order of `TRANSFORMS`, where there are any."""
    moved = picked.on_any(*groups)
    if x.device.type != "cpu":  # to look would make it wait
        return torch.where(moved[:, None, None, None], _sampled(x, _places(x, picked, groups)), x)
    rows = moved.nonzero()[:, 0]
    if not len(rows):
        return x
    places = _places(x, picked, groups)
    return _sampled(x, places) if len(rows) == len(x) else x.index_copy(0, rows, _sampled(x[rows], places[rows]))


def _places(x: Tensor, picked: _Picked, groups: Sequence[Group]) -> Tensor:
    """From where each pixel of the result comes, affine maps `[batch, 2, 3]` of half sides from the centre."""
    _, _, height, width = x.shape
    first = second = from_x = from_y = x.new_zeros(len(x))
    mirror = scale_x = scale_y = x.new_ones(len(x))
    if "blit" in groups:
        mirror = 1.0 - 2.0 * picked.chosen("flip", 2)
        first = picked.chosen("turn", 4) * (0.5 * math.pi)
        from_x = (picked.uniform("shift", 0) * (0.125 * width)).round()
        from_y = (picked.uniform("shift", 1) * (0.125 * height)).round()
    if "geometric" in groups:
        first = first + picked.uniform("rotate") * math.pi
        second = picked.uniform("rotate-again") * math.pi
        scale, stretch = picked.normal("scale", 0.2), picked.normal("stretch", 0.2)
        scale_x, scale_y = torch.exp2(-scale - stretch), torch.exp2(-scale + stretch)
    c, s, d, t = first.cos(), first.sin(), second.cos(), second.sin()
    xx, xy = mirror * (c * scale_x * d - s * scale_y * t), -mirror * (c * scale_x * t + s * scale_y * d)
    yx, yy = s * scale_x * d + c * scale_y * t, c * scale_y * d - s * scale_x * t
    if "geometric" in groups:
        move_x, move_y = picked.normal("move", 0.125 * width, 0), picked.normal("move", 0.125 * height, 1)
        from_x, from_y = from_x + xx * move_x + xy * move_y, from_y + yx * move_x + yy * move_y
    ratio = height / width
    entries = [xx, xy * ratio, from_x * (2.0 / width), yx / ratio, yy, from_y * (2.0 / height)]
    return torch.stack(entries, dim=1).unflatten(1, (2, 3))


def _sampled(x: Tensor, theta: Tensor) -> Tensor:
    height, width = x.shape[2:]
    across = torch.linspace(1.0 / width - 1.0, 1.0 - 1.0 / width, width, device=x.device, dtype=x.dtype)
    down = torch.linspace(1.0 / height - 1.0, 1.0 - 1.0 / height, height, device=x.device, dtype=x.dtype)[:, None]
    part = theta[..., None, None]
    grid = torch.stack([part[:, i, 0] * across + (part[:, i, 1] * down + part[:, i, 2]) for i in (0, 1)], dim=-1)
    finer = _halved(height).to(x) @ x @ _halved(width).to(x).mT
    sampled: Tensor = _Sample.apply(finer, grid)
    return sampled


@lru_cache(maxsize=8)
def _halved(size: int) -> Tensor:
    """A row of `size` values, reflected at both ends, with what is half-way between them: a matrix `[2 size + 1, size]`.

    The half-way ones are those of a cubic through four values, as the square of the wavelet sym2's low-pass has them.
    """
    finer = torch.zeros(2 * size + 1, size)
    finer[1::2] = torch.eye(size)
    between = torch.arange(size + 1)
    for offset, tap in ((-2, -1), (-1, 9), (0, 9), (1, -1)):
        finer.index_put_((2 * between, _reflected(between + offset, size)), torch.tensor(tap / 16.0), accumulate=True)
    return finer


def _reflected(places: Tensor, size: int) -> Tensor:
    """Where values lie that a row of `size` has beyond its ends when it is reflected there."""
    places = places % (2 * size)
    return torch.minimum(places, 2 * size - 1 - places)


_BILINEAR, _REFLECTION, _TO_THE_EDGES = 0, 2, True
"""As torch's own functions have them: the outermost of the finer values lie on the edges."""


class _Sample(torch.autograd.Function):
    """`grid_sample` of pictures `[batch, channels, height, width]`, which can be differentiated by them any number of times.

    That of torch can be only once, and gradient penalties need twice. It is linear, so its derivative is its adjoint, and so on.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.size = x.shape[2:]
        return torch.grid_sampler_2d(x, grid, _BILINEAR, _REFLECTION, _TO_THE_EDGES)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return _Spread.apply(grad, *ctx.saved_tensors, ctx.size), None


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, grid: Tensor, size: torch.Size) -> Tensor:
        ctx.save_for_backward(grid)
        x = y.new_empty(*y.shape[:2], *size)  # only its shape is looked at
        spread: Tensor = torch.ops.aten.grid_sampler_2d_backward(
            y.contiguous(), x, grid, _BILINEAR, _REFLECTION, _TO_THE_EDGES, [True, False]
        )[0]
        return spread

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return _Sample.apply(grad.contiguous(), *ctx.saved_tensors), None, None


# --- what changes values ----------------------------------------------------------------------------------------------


def _each(numbers: Tensor) -> Tensor:
    """`[batch]` as `[batch, 1, 1, 1]`."""
    return numbers[:, None, None, None]


def _colour(x: Tensor, picked: _Picked) -> Tensor:
    channels = x.shape[1]
    if channels not in (1, 3, 4):
        own = picked.draws.normal("channels", 2, channels, 1, 1).to(x)
        on = [_each(picked.on[:, TRANSFORMS.index(name)]) for name in ("brightness", "contrast")]
        bright, contrast = (torch.where(chosen, size, 0.0) for chosen, size in zip(on, own.unbind(1), strict=True))
        return (contrast * 0.5).exp2() * (x + bright * 0.2)
    bright, contrast = picked.normal("brightness", 0.2), torch.exp2(picked.normal("contrast", 0.5))
    luma = contrast * (1.0 - 2.0 * picked.chosen("invert", 2))
    if channels == 1:
        return _each(luma) * (x + _each(bright))
    # The grey axis (1, 1, 1), along which luma lies, and a turn about it by Rodrigues' formula.
    grey = x.new_full((3, 3), 1.0 / 3.0)
    across = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]).to(x) / math.sqrt(3.0)
    vivid, hue = contrast * torch.exp2(picked.normal("saturation", 1.0)), picked.uniform("hue") * math.pi
    sizes = torch.stack([luma, vivid * hue.cos(), vivid * hue.sin()], dim=1)
    matrix = torch.einsum("nk,kij->nij", sizes, torch.stack([grey, torch.eye(3).to(x) - grey, across]))
    shift = (luma * bright)[:, None, None].expand(-1, 3, 1)
    colours = torch.baddbmm(shift, matrix, x[:, :3].flatten(2)).unflatten(2, x.shape[2:])
    return colours if channels == 3 else torch.cat([colours, x[:, 3:]], dim=1)


def _filter(x: Tensor, picked: _Picked) -> Tensor:
    """Amplify or weaken octave bands, each by 2^N(0, 1), without changing the expected power of natural pictures."""
    power = x.new_tensor(_POWER)
    gains = x.new_ones(len(x), 4)
    for name, band in zip(GROUPS["filter"], torch.eye(4).to(x), strict=True):
        own = torch.exp2(picked.normal(name, 1.0)[:, None] * band)
        gains = gains * own / (own.square() * power).sum(1, keepdim=True).sqrt()
    down, across = (torch.einsum("nk,kij->nij", gains, _bands(size).to(x)) for size in x.shape[2:])
    return down[:, None] @ x @ across[:, None].mT


@lru_cache(maxsize=8)
def _bands(size: int) -> Tensor:
    """What is left of a row of `size` values in each of four octave bands, lowest first: matrices `[4, size, size]` that add up to 1.

    The filter is the square of the wavelet sym2's low-pass (Daubechies 1992, table 6.1), which has only five taps that are not 0; at
    the edges the row is reflected.
    """
    low = [torch.zeros(size, size) for _ in range(3)]
    places = torch.arange(size)
    for matrix, apart in zip(low, (1, 2, 4), strict=True):
        for offset, tap in ((-3, -1), (-1, 9), (0, 16), (1, 9), (3, -1)):
            matrix.index_put_(
                (places, _reflected(places + apart * offset, size)), torch.tensor(tap / 32.0), accumulate=True
            )
    one, two, four = low[0], low[0] @ low[1], low[0] @ low[1] @ low[2]
    return torch.stack([four, two - four, one - two, torch.eye(size) - one])


def _cut_out(x: Tensor, picked: _Picked) -> Tensor:
    """A box of half the sides becomes 0, mid-grey, its centre anywhere in the picture."""
    on = _each(picked.on[:, TRANSFORMS.index("cutout")])
    sides = []
    for number, size in enumerate(x.shape[2:]):
        places = (torch.arange(size, device=x.device) + 0.5) / size
        centre = _each(picked.uniform("cutout", number) + 1.0) / 2.0
        sides.append((places - centre).abs() < 0.25)
    box = sides[0].mT & sides[1]
    return torch.where(on & box, 0.0, x)
