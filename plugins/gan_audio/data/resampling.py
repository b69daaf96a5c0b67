"""Samples at one rate made of samples at another, by a windowed-sinc filter, in blocks of any sizes.

The filter is that of `torchaudio.functional.resample` with its defaults (a Hann window over 6 zero crossings to both sides,
0.99 of the lower band), in a dozen lines of torch: torchaudio's is no faster, and fails to import beside many builds of torch.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

Floats = np.ndarray[Any, np.dtype[np.float32]]

CROSSINGS, ROLLOFF = 6, 0.99
"""Zero crossings of the sinc to both sides, and the part of the lower rate's band that is kept."""

_BLOCK = 1 << 18
_TERMS = 1000


def ratio(old: int, new: int) -> Fraction:
    """new / old, or the nearest with terms so small that the filter is: its pitch is off by less than a cent."""
    exact = Fraction(new, old)
    if max(exact.numerator, exact.denominator) <= _TERMS:
        return exact
    return exact.limit_denominator(_TERMS) if exact < 1 else 1 / (1 / exact).limit_denominator(_TERMS)


def resampled(blocks: Iterable[Floats], old: int, new: int) -> Iterator[Floats]:
    """Mono blocks at `old` Hz as blocks at `new` Hz, `ceil(n * ratio)` samples in all: the same as if done at once."""
    up, down = (terms := ratio(old, new)).numerator, terms.denominator
    if up == down:
        yield from blocks
        return
    reach = -(-_width(down, up) // down) * down
    pending, before, total, sent = np.zeros(0, np.float32), 0, 0, 0
    for block in blocks:
        total += len(block)
        pending = np.concatenate([pending, block])
        ready = (len(pending) - before - reach - down) // down * down
        if ready >= _BLOCK // down * down > 0:
            out = _filtered(pending[: before + ready + reach + down], down, up)
            yield out[before // down * up : (before + ready) // down * up]
            sent += ready // down * up
            keep = min(before + ready, reach)
            pending, before = pending[before + ready - keep :].copy(), keep
    if total:
        yield _filtered(pending, down, up)[before // down * up :][: -(-total * up // down) - sent]


def _width(down: int, up: int) -> int:
    """Samples that the filter reaches to both sides: zero crossings are as far apart as the lower rate needs."""
    return math.ceil(CROSSINGS * down / (min(down, up) * ROLLOFF))


@functools.cache
def _kernel(down: int, up: int) -> Tensor:
    """`[up, 1, 2 * width + down]`: `up` filters, each for one of the places that new samples have among `down` old ones."""
    width, base = _width(down, up), min(down, up) * ROLLOFF
    old = torch.arange(-width, width + down, dtype=torch.float64) / down
    new = torch.arange(up)[:, None] / up  # in single precision, as in torchaudio
    t = ((old - new) * base).clamp(-CROSSINGS, CROSSINGS)
    hann = torch.cos(t * (math.pi / (2 * CROSSINGS))).square()
    return (torch.sinc(t) * hann * (base / down)).float()[:, None]


def _filtered(x: Floats, down: int, up: int) -> Floats:
    """`x` `[n]` as `ceil(n * up / down)` samples, with silence before and after it."""
    width = _width(down, up)
    with torch.inference_mode():
        padded = torch.nn.functional.pad(torch.from_numpy(np.ascontiguousarray(x)), (width, width + down))
        y = torch.nn.functional.conv1d(padded[None, None], _kernel(down, up), stride=down)
        return y[0].T.reshape(-1)[: -(-len(x) * up // down)].numpy()
