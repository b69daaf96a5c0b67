"""What spectrograms need and images do not: rows that are told apart, and an output that knows silence and turning phases.

A picture moved up is the same picture; a sound moved up is another pitch. Convolutions alone cannot tell, so every map may
have a bias for each channel and row.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_audio.spec import AudioSpec
from gancore.data.spec import SampleSpec
from gancore.nets.norm import BatchNorm

Norm = Literal["none", "batch"]

_AUDIBLE = 0.02
"""How far above silence, as a share of the range, the instantaneous frequency has come to 63 % of its value."""
_HIGHEST_FLOOR = 0.5
_LEAST_SHARE = 0.003
"""Of the range, as far as what is given comes near to its ends."""


class RowBias(nn.Module):
    """A learned bias for each channel and row, zero at first: `[batch, channels, rows, frames]` to the same shape."""

    def __init__(self, channels: int, rows: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, rows, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias.to(x.dtype)


class Modulation(nn.Module):
    """Normalisation, then a gain and a bias that follow from a vector, and a bias by row: `(1 + g(e)) norm(x) + b(e) + r`.

    With class embeddings as vectors this is conditional batch normalisation (Dumoulin et al. 2017; de Vries et al. 2017).
    `inputs` is the length of the vectors, 0 for none; `rows` the rows of the maps, 0 for no bias by row.
    """

    def __init__(self, channels: int, *, rows: int = 0, inputs: int = 0, norm: Norm = "batch") -> None:
        super().__init__()
        self.norm = BatchNorm(channels, affine=not inputs) if norm == "batch" else nn.Identity()
        self.affine = nn.Linear(inputs, 2 * channels) if inputs else None
        self.rows = RowBias(channels, rows) if rows else None
        if self.affine is not None:
            # Small and not zero: classes differ from the first step on, and spectral normalisation divides by the norm.
            nn.init.normal_(self.affine.weight, std=0.02)
            nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, vector: Tensor | None) -> Tensor:
        """`x` `[batch, channels, rows, frames]` and `vector` `[batch, inputs]` or None to the shape of `x`.

        Without bias by row, whatever comes behind the channels of `x` may have any dimensions.
        """
        x = self.norm(x)
        if self.affine is None:
            return x if self.rows is None else self.rows(x)
        assert vector is not None
        both = self.affine(vector).to(x.dtype)
        gain, bias = both.view(*both.shape, *[1] * (x.dim() - 2)).chunk(2, dim=1)
        # Both biases are small, so adding them first saves a pass over the map.
        return torch.addcmul(bias if self.rows is None else self.rows(bias), x, 1.0 + gain)


class SpectrogramOutput(nn.Module):
    """The last thing that a generator does: numbers without bounds `[batch, channels, >= rows, >= frames]` to samples.

    A magnitude is a hyperbolic tangent that reaches from 1 down to what silence is in that row, so that silence, which is
    one exact value in real data, is where the function saturates. Samples that are no sound reach from 1 to -1.

    An instantaneous frequency turns: 1 and -1 are the same. It is linear and wrapped into [-1, 1], with slope 1 everywhere,
    so a network may go on through the seam, where a hyperbolic tangent would have to come back through 0 and would have no
    gradient left just where a quarter of the bins have their centre. It fades to 0 with the magnitude, as it is masked in
    real data. Each row starts at the frequency of its bin.
    """

    floor: Tensor

    def __init__(self, spec: SampleSpec) -> None:
        super().__init__()
        channels, self.rows, self.frames = spec.shape
        self.turns = isinstance(spec, AudioSpec) and spec.representation == "stft-if"
        floor, start = torch.full((self.rows,), -1.0), torch.zeros(channels, self.rows)
        if isinstance(spec, AudioSpec) and spec.representation != "waveform":
            floor = spec.relax(torch.zeros(1, 1, spec.length))[0, 0, :, 0].clamp(max=_HIGHEST_FLOOR)
            # The mean of each row is 0 by its normalisation; there, or near silence where a row hardly has more, it begins.
            share = (-floor / (1.0 - floor)).clamp(0.05, 0.95)
            start[0] = torch.atanh(2.0 * share - 1.0)
            if self.turns:
                start[1] = _wrapped(torch.arange(self.rows) * (2.0 * spec.hop / spec.n_fft))
        self.register_buffer("floor", floor[:, None], persistent=False)
        self.bias = nn.Parameter(start[None, :, :, None])

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, : self.rows, : self.frames] + self.bias.to(x.dtype)
        share = torch.sigmoid(2.0 * (x[:, :1] if self.turns else x))
        magnitude = torch.lerp(self.floor.to(x.dtype), torch.ones_like(share), share)
        if not self.turns:
            return magnitude
        return torch.cat([magnitude, _wrapped(x[:, 1:]) * -torch.expm1(share / -_AUDIBLE)], dim=1)

    def before(self, relaxed: Tensor) -> Tensor:
        """What this makes `relaxed` of, `[batch, planes, rows, frames]` as it is, but that silence and full scale are never reached."""
        floor = self.floor.to(relaxed.dtype)
        magnitude = relaxed[:, :1] if self.turns else relaxed
        share = ((magnitude - floor) / (1.0 - floor)).clamp(_LEAST_SHARE, 1.0 - _LEAST_SHARE)
        x = torch.atanh(2.0 * share - 1.0)
        x = torch.cat([x, relaxed[:, 1:]], dim=1) if self.turns else x
        return x - self.bias.to(x.dtype)


def _wrapped(turns: Tensor) -> Tensor:
    """Half turns into [-1, 1], by whole turns."""
    return turns - 2.0 * torch.round(turns * 0.5)


def pad_to(x: Tensor, size: tuple[int, int]) -> Tensor:
    """`x` `[batch, channels, rows, frames]` with zeros after its last row and frame, up to `size`."""
    more = (size[0] - x.shape[2], size[1] - x.shape[3])
    return F.pad(x, (0, more[1], 0, more[0])) if any(more) else x
