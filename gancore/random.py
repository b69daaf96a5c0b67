"""Randomness that is counted, not carried: every number is a function of a seed, a name and a sample's position.

Nothing has to be saved to resume, nothing depends on the number of workers, ranks or micro-batches, and the same integers
come out on every device. The generator is SplitMix64 (Steele, Lea, Flood 2014), used as a hash of the counter.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15
_MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def derive(seed: int, *names: object) -> int:
    """A new seed, in [0, 2^63), for the purpose that `names` spell; equal names give equal seeds on every machine."""
    text = "\x1f".join([str(int(seed)), *map(str, names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def _signed(value: int) -> int:
    """The int64 with the bits of an unsigned 64-bit integer: torch has no unsigned arithmetic."""
    value &= _MASK
    return value - (1 << 64) if value >> 63 else value


def _shift_right(x: Tensor, bits: int) -> Tensor:
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def mix(x: Tensor) -> Tensor:
    """The finaliser of SplitMix64 on int64 `x` of any shape, as the bits of unsigned integers."""
    x = (x ^ _shift_right(x, 30)) * _signed(_MIX[0])
    x = (x ^ _shift_right(x, 27)) * _signed(_MIX[1])
    return x ^ _shift_right(x, 31)


def bits(seed: int, positions: Tensor, count: int) -> Tensor:
    """`count` random int64 for each of `positions` `[n]` int64: `[n, count]`, on the device of `positions`."""
    if positions.device.type == "cpu":
        return torch.from_numpy(_bits(seed, positions.numpy(), count).view(np.int64))
    rows = mix(positions * _signed(_GAMMA) + _signed(seed))
    steps = torch.arange(1, count + 1, device=positions.device, dtype=torch.int64) * _signed(_GAMMA)
    return mix(rows[:, None] + steps[None, :])


def _bits(seed: int, positions: NDArray[np.int64], count: int) -> NDArray[np.uint64]:
    """The same on a processor, where NumPy takes a tenth of PyTorch's time for the few numbers that most names draw."""

    def mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
        for shift, factor in ((30, _MIX[0]), (27, _MIX[1])):
            x ^= x >> np.uint64(shift)
            x *= np.uint64(factor)
        x ^= x >> np.uint64(31)
        return x

    rows = mixed(positions.view(np.uint64) * np.uint64(_GAMMA) + np.uint64(seed & _MASK))
    steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_GAMMA)
    return mixed(rows[:, None] + steps)


def uniform(seed: int, positions: Tensor, count: int) -> Tensor:
    """`count` float32 in [0, 1) for each position, `[n, count]`."""
    return _shift_right(bits(seed, positions, count), 40).to(torch.float32) * 2.0**-24


def normal(seed: int, positions: Tensor, count: int) -> Tensor:
    """`count` standard normal float32 for each position, `[n, count]`, by Box and Muller (1958)."""
    half = (count + 1) // 2
    raw = bits(seed, positions, half)
    # One integer gives both uniforms; the radius is drawn from (0, 1], since its logarithm is taken.
    radius = (_shift_right(raw, 32).to(torch.float32) + 1.0) * 2.0**-32
    angle = (raw & 0xFFFFFFFF).to(torch.float32) * (2.0**-32 * 2.0 * math.pi)
    length = torch.sqrt(-2.0 * torch.log(radius))
    both = torch.cat([length * torch.cos(angle), length * torch.sin(angle)], dim=1)
    return both[:, :count].contiguous()


class Draws:
    """The random numbers of one batch, by name: `draws.normal("z", 128)` is `[batch, 128]`.

    A name gives the same numbers each time it is asked for. `positions` `[batch]` int64 are the samples' places in the
    whole run, so a part of a batch draws what it would have drawn as part of the whole.
    """

    def __init__(self, seed: int, positions: Tensor) -> None:
        self.seed = seed
        self.positions = positions

    def __len__(self) -> int:
        return len(self.positions)

    def within(self, name: str) -> Draws:
        """The same positions under another name: independent numbers."""
        return Draws(derive(self.seed, name), self.positions)

    def at(self, rows: Tensor | slice) -> Draws:
        """Those of some of the positions: what the samples at `rows`, int64 `[n]` or a slice, draw as part of the batch."""
        return Draws(self.seed, self.positions[rows])

    def uniform(self, name: str, *shape: int) -> Tensor:
        """Float32 in [0, 1), `[batch, *shape]`."""
        return uniform(derive(self.seed, name), self.positions, math.prod(shape)).reshape(len(self.positions), *shape)

    def normal(self, name: str, *shape: int) -> Tensor:
        """Standard normal float32, `[batch, *shape]`."""
        return normal(derive(self.seed, name), self.positions, math.prod(shape)).reshape(len(self.positions), *shape)

    def integers(self, name: str, high: int, *shape: int) -> Tensor:
        """Int64 in [0, high), `[batch, *shape]`."""
        return (self.uniform(name, *shape) * high).to(torch.int64).clamp_(max=high - 1)
