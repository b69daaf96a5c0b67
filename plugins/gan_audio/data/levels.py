"""How loud the recordings of a data set are beside each other: full scale is one value for all of them, measured or given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gan_audio.data.cache import Reading
from gan_audio.data.decode import PEAK, Treatment, amplitude
from gan_audio.data.resampling import Floats
from gan_audio.data.source import Longs
from gancore.data.report import Skipped

OTHER_UNIT = 100.0
"""A file that goes this far beyond full scale counts in other units: no recording is 40 dB too loud."""
QUIET = 0.1
"""Data that use less than this part of full scale are noted."""


@dataclass(frozen=True, slots=True)
class Levels:
    """How loud recordings are beside each other: `full_scale` is what becomes 1, one value for the whole data set.

    `gains` `[recordings]` is what the samples of each are to be multiplied by for that, `peaks` what they then reach.
    """

    treatment: Treatment
    full_scale: float
    gains: Floats
    peaks: np.ndarray[Any, np.dtype[np.float64]]
    loudest: str = ""

    @classmethod
    def of(cls, reading: Reading, usable: Longs, names: Sequence[str], treatment: Treatment) -> Levels:
        """What follows for the recordings with the numbers `usable`.

        A few files in other units than most do not decide: a damaged one would silence all others.
        """
        peaks, same = np.array(reading.peaks), np.ones(len(reading.peaks), np.float32)
        if treatment.normalise != "none":
            return cls(treatment, 1.0, same, np.ones_like(peaks))
        if treatment.full_scale is not None:
            return cls(treatment, treatment.full_scale, same, peaks)
        strange = peaks[usable] > OTHER_UNIT
        deciding = usable if 2 * strange.sum() > len(usable) else usable[~strange]
        full = max(1.0, float(peaks[deciding].max(initial=0.0)))
        loudest = names[int(deciding[peaks[deciding].argmax()])] if len(deciding) else ""
        return cls(treatment, full, (np.array(reading.scales) / full).astype(np.float32), peaks / full, loudest)

    def heard(self, usable: Longs, names: Sequence[str]) -> tuple[Longs, list[Skipped]]:
        """The numbers of the recordings whose level goes with the others, and those whose does not."""
        peaks = self.peaks[usable]
        low = peaks < amplitude(self.treatment.silent_db)
        high = np.zeros_like(low) if self.treatment.full_scale is not None else peaks > 1.0
        beside = f"silent beside {self.loudest}, which reaches {self.full_scale:,.4g} times full scale"
        skipped = [Skipped(names[number], beside) for number in usable[low].tolist()]
        for number, peak in zip(usable[high].tolist(), (peaks[high] * self.full_scale).tolist(), strict=True):
            why = f"in other units than most files (it reaches {peak:,.4g} times full scale); convert it, or set full_scale"
            skipped.append(Skipped(names[number], why))
        return usable[~(low | high)], skipped

    def notes(self) -> list[str]:
        """What was done to all levels, for the report."""
        treatment = self.treatment
        if treatment.normalise == "peak":
            return [f"levels: each file's highest peak is brought to {PEAK:g} (normalise=peak)"]
        if treatment.normalise == "loudness":
            return [f"levels: each file is brought to {treatment.loudness_db:g} dB (normalise=loudness)"]
        if treatment.full_scale is not None:
            return [
                f"levels: {treatment.full_scale:g} in the files is full scale (full_scale={treatment.full_scale:g})"
            ]
        highest = float(self.peaks.max(initial=0.0))
        if highest < QUIET:
            return [
                f"levels: nothing is louder than {highest:.2g} of full scale (in {self.loudest}); full_scale={highest:.2g} would "
                "turn all files up to it"
            ]
        lower = 20.0 * math.log10(self.full_scale)
        if lower < 0.05:
            return []
        return [
            f"levels: {self.loudest} reaches {self.full_scale:,.4g} times full scale, so everything is {lower:,.1f} dB lower "
            "(full_scale=auto)"
        ]
