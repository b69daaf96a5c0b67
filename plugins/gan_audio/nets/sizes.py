"""How networks get from a small map to a spectrogram of any size and back, and to which shapes that applies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from gancore.errors import UsageError

if TYPE_CHECKING:
    from gancore.data.spec import SampleSpec

BASE = range(4, 9)
"""The sides that the smallest map has, where the spectrogram's are not smaller themselves."""
WAVE_BASE = 8
"""The least length of the smallest map of a waveform's networks."""
LARGEST = 4096
"""Most rows or frames of a spectrogram."""
_STEP = 8
"""Channels come in multiples of this, which vector units like."""

Stride = tuple[int, int]


class Plan(NamedTuple):
    """How the maps grow: `strides[0]` is the step next to the spectrogram, `strides[-1]` the one next to `base`.

    `padded` is the size that the steps come out at, the spectrogram's or a little more: `base` times all strides.
    """

    base: tuple[int, int]
    strides: tuple[Stride, ...]
    padded: tuple[int, int]

    def sizes(self) -> list[tuple[int, int]]:
        """Rows and columns of each map from the padded spectrogram down to `base`, one more than there are strides."""
        found = [self.padded]
        for rows, columns in self.strides:
            found.append((found[-1][0] // rows, found[-1][1] // columns))
        return found

    def channels(self, width: int, max_width: int) -> list[int]:
        """Channels of each map behind the first step down to the smallest: `width` there, as many as there are strides.

        A step that halves both sides doubles them and one that halves one side takes the square root of two, so that
        all steps cost about the same.
        """
        counts, area = [width], 1
        for rows, columns in self.strides[1:]:
            area *= rows * columns
            near = max(round(width * math.sqrt(area) / _STEP), 1) * _STEP
            counts.append(min(near if area > 1 else width, max_width))
        return counts


def plan(rows: int, columns: int, stem: int = 4) -> Plan:
    """Halve rows and columns, each as often as leaves it 4 to 8, with the least padding: 256x32 is 4x4 after 6 and 3.

    The longer side is halved alone first, next to the spectrogram, until both have equally many halvings to go. The steps
    next to the spectrogram are one as long as it makes the map at most `stem` times smaller: for 4, 128x128 begins with a
    stride of 2x2 and 256x32 with 4x1, and both go on with fewer numbers. There is at least one step, if only of stride 1.

    Raises:
        UsageError: there are more than 4096 rows or columns.
    """
    if max(rows, columns) > LARGEST:
        raise UsageError(
            f"spectrograms of {rows}x{columns} (rows x frames) are too large for these networks, which take up to "
            f"{LARGEST} of each; make data.length or data.n_fft smaller, or data.hop larger"
        )
    (high, base_rows), (wide, base_columns) = halvings(rows), halvings(columns)
    deep = max(high, wide)
    strides = tuple((2 if deep - i <= high else 1, 2 if deep - i <= wide else 1) for i in range(deep)) or ((1, 1),)
    while len(strides) > 1 and math.prod(strides[0]) * math.prod(strides[1]) <= stem:
        (a, b), (c, d), *rest = strides
        strides = ((a * c, b * d), *rest)
    return Plan((base_rows, base_columns), strides, (base_rows << high, base_columns << wide))


def halvings(size: int) -> tuple[int, int]:
    """How often a side is halved, and what is left of it; the result times two to the halvings is `size` or more.

    Of the numbers of halvings that leave 4 to 8, the one that pads least, and of equals the largest. 43 becomes 6 after 3,
    which is 48 again. A side below 8 is left as it is.
    """
    if size < 2 * BASE[0]:
        return 0, size
    ways = [(n, -(-size // 2**n)) for n in range(LARGEST.bit_length())]
    return min((w for w in ways if w[1] in BASE), key=lambda w: (w[1] << w[0], -w[0]))


def kernel_and_padding(stride: Stride) -> tuple[tuple[int, int], tuple[int, int]]:
    """Kernel and padding of a step: twice the stride, so that every place is reached equally often; 3 for a stride of 1."""
    rows, columns = stride
    kernel = 3 if rows == 1 else 2 * rows, 3 if columns == 1 else 2 * columns
    return kernel, (max(rows // 2, 1), max(columns // 2, 1))


def wave_plan(length: int) -> tuple[int, int]:
    """`(steps, base)`: quarter a waveform as often as leaves it 8 or more, at least once; 16384 becomes 16 after 5.

    `base * 4**steps` is the length or a little more.
    """
    steps = 1
    while -(-length // 4 ** (steps + 1)) >= WAVE_BASE:
        steps += 1
    return steps, -(-length // 4**steps)


def wave_shape(spec: SampleSpec, name: str) -> tuple[int, int]:
    """`(channels, length)` of a spec's samples; a `UsageError` where they are no waveforms. `name` is the architecture's."""
    if len(spec.shape) != 2:
        raise UsageError(
            f"{name} makes waveforms of shape (channels, length), and the samples are of shape {spec.shape}: choose "
            "waveforms with data.representation=waveform, or architecture=specgan for spectrograms"
        )
    channels, length = spec.shape
    return channels, length


def spectrogram_shape(spec: SampleSpec, name: str) -> tuple[int, int, int]:
    """`(channels, rows, frames)` of a spec's samples; a `UsageError` where they are no spectrograms or images.

    `name` is the architecture's, for the message.
    """
    if len(spec.shape) != 3:
        raise UsageError(
            f"{name} makes spectrograms of shape (channels, rows, frames), and the samples are of shape {spec.shape}: "
            "choose a spectrogram with data.representation=log-stft, or architecture=wavegan for waveforms"
        )
    channels, rows, frames = spec.shape
    return channels, rows, frames
