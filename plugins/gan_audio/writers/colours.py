"""Colours of spectrograms: a scale whose lightness rises evenly, so that equal steps of level look equal."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

DARKEST, LIGHTEST = 0.13, 0.97
"""Lightness of both ends in OKLab, where 0 is black and 1 is white."""
FIRST_HUE, LAST_HUE = 275.0, 465.0
"""In degrees: indigo, and, past red and orange, yellow."""
MOST_CHROMA = 0.19
"""In the middle of the scale; both ends are nearly grey."""

_TO_CONES = np.array(
    [[1.0, 0.3963377774, 0.2158037573], [1.0, -0.1055613458, -0.0638541728], [1.0, -0.0894841775, -1.2914855480]]
)
_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


@lru_cache(maxsize=1)
def colour_scale() -> Pixels:
    """RGB `[256, 3]` from nearly black over violet, red and orange to light yellow.

    Lightness is that of OKLab (Ottosson 2020) and rises by the same amount from each colour to the next, so the scale also
    reads right in grey and for eyes that tell few hues apart. Where a colour would leave sRGB, its chroma is reduced.
    """
    place = np.linspace(0.0, 1.0, 256)
    lightness = DARKEST + (LIGHTEST - DARKEST) * place
    hue = np.deg2rad(FIRST_HUE + (LAST_HUE - FIRST_HUE) * place**0.85)
    chroma = MOST_CHROMA * np.minimum(1.0, 0.25 + 3.0 * place) * np.minimum(1.0, 0.35 + 2.2 * (1.0 - place))
    shares = np.linspace(1.0, 0.0, 201)[:, None]
    rgb = _linear_rgb(lightness, shares * chroma, hue)
    fits = ((rgb >= -1e-9) & (rgb <= 1.0 + 1e-9)).all(axis=-1)
    best = rgb[fits.argmax(axis=0), np.arange(256)].clip(0.0, 1.0)
    encoded = np.where(best <= 0.0031308, 12.92 * best, 1.055 * best ** (1.0 / 2.4) - 0.055)
    scale: Pixels = (encoded * 255.0).round().astype(np.uint8)
    return scale


def coloured(level: npt.NDArray[np.floating]) -> Pixels:
    """Levels in [0, 1] of any shape `[...]` as colours `[..., 3]`; beyond both ends the colour of that end."""
    return colour_scale()[(np.clip(level, 0.0, 1.0) * 255.0).round().astype(np.intp)]


def _linear_rgb(lightness: Floats, chroma: Floats, hue: Floats) -> Floats:
    """Linear sRGB `[..., 3]`, in [0, 1] where the colour exists there, of OKLCh."""
    colour = np.stack(np.broadcast_arrays(lightness, chroma * np.cos(hue), chroma * np.sin(hue)), axis=-1)
    cones: Floats = (colour @ _TO_CONES.T) ** 3
    return cones @ _TO_RGB.T
