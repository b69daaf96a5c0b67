"""From the bytes of a sound file to mono int16 samples at one rate, or to plain words for why that is impossible."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import IO, Literal

import numpy as np

from gan_audio.data.blocks import NEEDS_FFMPEG, UnknownFormatError, blocks_of, in_words, open_file
from gan_audio.data.resampling import Floats, resampled
from gan_audio.data.source import FULL_SCALE, Shorts
from gan_audio.data.streams import Stream, looks_like_sound, mpeg_streams, streams
from gancore.data.files import Entry
from gancore.data.reading import UnusableError, explained

SUFFIXES = (
    *(".wav", ".wave", ".w64", ".rf64", ".bwf", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2", ".mpga"),
    *(".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".voc", ".sph", ".nist", ".sf", ".ircam", ".svx", ".iff"),
    *NEEDS_FFMPEG,
)
"""Files with another suffix are not sounds, and not looked at. Raw samples are not among them: they tell no rate."""
SUPPORTED = "WAV, FLAC, OGG (Vorbis, Opus), MP3, AIFF, AU, CAF and the like; M4A, AAC, WMA where ffmpeg is installed"

MAX_CHANNELS = 64
RATES = (1000, 1_000_000)
"""Sample rates that are believed, in Hz."""
PEAK = 0.95
"""What normalisation brings the highest peak to, or leaves it below."""
ACTIVE_DB = 30.0
"""Frames within this of the loudest one count as active when loudness is measured."""
CANCELLED = 0.05
"""Channels cancel out where their mean has less than this part of the power that unrelated ones would leave."""
FRAME, MARGIN = 0.02, 0.005
"""Seconds of a frame in which loudness is measured, and what trimming keeps before and after the sound."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """What is done once to each recording: all that its samples depend on. `trim_db` 0 leaves its ends as they are.

    `full_scale` is what in a file becomes 1, where that was told: what is louder is clipped. None leaves it to who sees all files.
    """

    sample_rate: int
    normalise: Literal["none", "peak", "loudness"] = "none"
    full_scale: float | None = None
    loudness_db: float = -23.0
    trim_db: float = 0.0
    silent_db: float = -60.0
    max_seconds: float = 1800.0


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording: `samples` int16 `[n]`, n at least 1, of a file with `rate` Hz, and what is to be said about it.

    Where levels are kept as they are, the full scale of `samples` stands for `scale` in the file, a power of two that is 1 unless
    the file goes beyond; `peak` is its highest value. `cut` says whether its beginning and its end were trimmed, `longer`
    whether the file goes on after what was read, `alone` whether one channel was taken, since together they cancel out.
    """

    samples: Shorts
    rate: int
    cut: tuple[bool, bool] = (False, False)
    longer: bool = False
    scale: float = 1.0
    peak: float = 1.0
    alone: bool = False
    remark: str = ""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Within, remarks of decoders on odd files are not shown. Warning filters belong to the whole process: enter it in
    the main thread, around the threads that decode."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def is_sound(entry: Entry) -> bool:
    """Whether a file is one to look at: by its suffix, or by its first bytes where it has none."""
    suffix = PurePosixPath(entry.name).suffix.lower()
    if suffix or not entry.size:
        return suffix in SUFFIXES
    try:
        with entry.open() as file:
            return looks_like_sound(file, entry.size)
    except Exception:  # whatever it is, nothing says that it is a sound
        return False


def decode(entry: Entry, treatment: Treatment) -> Sound:
    """The recording in a file: channels averaged, resampled, trimmed, normalised, in this order. Raises UnusableError.

    Streams that a file holds one after the other become one recording; it ends before one that is damaged.
    """
    with explained(in_words):
        if not entry.size:
            raise UnusableError("empty")
        with open_file(entry) as file:
            parts, remark = _parts(entry, file, treatment)
        x = np.concatenate([part.samples for part in parts])
        if not len(x):
            raise UnusableError("without a single sample")
        sound = _treated(x, parts[0].rate, treatment)
        longer = parts[-1].longer
        if longer:
            remark = f"used in part (its first {treatment.max_seconds:,g} s, by max_seconds)"
        alone = any(part.alone for part in parts)
        return replace(sound, longer=longer, alone=alone, remark=remark or sound.remark)


# --- decoding ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """One stream: mono float samples at the rate wanted, and its own rate."""

    samples: Floats
    rate: int
    seconds: float
    longer: bool
    alone: bool


class _Taken:
    """The first `most` frames of blocks `[n, channels]`, mixed to mono, or of one channel where `channel` says which."""

    def __init__(self, blocks: Iterable[Floats], channels: int, most: int, channel: int | None = None) -> None:
        self.blocks, self.channels, self.most, self.channel = blocks, channels, most, channel
        self.count, self.longer = 0, False
        # Over all frames, sums of each channel and of the products of each two.
        self.sums, self.products = np.zeros(channels), np.zeros((channels, channels))

    def __iter__(self) -> Iterator[Floats]:
        for block in self.blocks:
            if not np.isfinite(block).all():
                raise UnusableError("without usable sound (it holds values that are not finite numbers)")
            self.longer = len(block) > self.most - self.count
            block = block[: self.most - self.count]
            self.count += len(block)
            if self.channels == 1:
                yield block[:, 0]
            elif self.channel is not None:
                yield np.ascontiguousarray(block[:, self.channel])
            else:
                self.sums += np.ones(len(block), np.float32) @ block
                self.products += block.T @ block
                yield block.mean(axis=1, dtype=np.float32)
            if self.longer:
                return

    def cancelled(self) -> int | None:
        """The loudest channel, where next to nothing is left of all of them when they are mixed; else None."""
        if self.channels == 1 or self.channel is not None or not self.count:
            return None
        mean = self.sums / self.count
        covariance = self.products / self.count - np.outer(mean, mean)
        power = covariance.diagonal()
        loudest = int(power.argmax())
        # Channels that have nothing to do with each other leave one part in so many of their power.
        unrelated, mixed = power.mean() / self.channels, covariance.sum() / self.channels**2
        return loudest if power[loudest] > 1e-12 and mixed < CANCELLED * unrelated else None


def _parts(entry: Entry, file: IO[bytes], treatment: Treatment) -> tuple[list[_Part], str]:
    """What is in each stream of a file, and what is to be said of those that are left out."""
    found = streams(file, entry.size, treatment.max_seconds)
    try:
        return _joined(entry, file, treatment, found)
    except UnknownFormatError:
        # What lies before the first frame of an MP3 may be anything.
        if not (found := mpeg_streams(file, 0, entry.size, treatment.max_seconds)):
            raise
        return _joined(entry, file, treatment, found)


def _joined(entry: Entry, file: IO[bytes], treatment: Treatment, found: Sequence[Stream]) -> tuple[list[_Part], str]:
    parts: list[_Part] = []
    left = treatment.max_seconds
    for number, stream in enumerate(found):
        try:
            with explained(in_words):
                part = _part(entry, file, stream, treatment, left)
        except UnusableError as error:
            if not number or error.passing:
                raise
            return parts, f"used in part (stream {number + 1:,} of {len(found):,} in it is {error})"
        parts.append(part)
        left -= part.seconds
        if part.longer:
            break
    return parts, ""


def _part(entry: Entry, file: IO[bytes], stream: Stream, treatment: Treatment, seconds: float) -> _Part:
    if stream.missing:
        raise UnusableError(f"truncated ({stream.missing})")
    channel: int | None = None
    while True:
        with blocks_of(entry, file, stream) as (rate, channels, blocks):
            if not RATES[0] <= rate <= RATES[1]:
                raise UnusableError(f"without a usable sample rate ({rate:,} Hz)")
            if not 1 <= channels <= MAX_CHANNELS:
                raise UnusableError(f"without usable sound ({channels:,} channels)")
            taken = _Taken(blocks, channels, max(1, round(seconds * rate)), channel)
            x = np.concatenate([*resampled(taken, rate, treatment.sample_rate), np.zeros(0, np.float32)])
        if channel is not None or (channel := taken.cancelled()) is None:
            return _Part(x, rate, taken.count / rate, taken.longer, channel is not None)


# --- level ------------------------------------------------------------------------------------------------------------


def amplitude(decibels: float) -> float:
    """The factor for a level in dB: 0 dB is 1."""
    return 10.0 ** (decibels / 20.0)


def _treated(x: Floats, rate: int, treatment: Treatment) -> Sound:
    scale, remark = 1.0, ""
    if treatment.normalise == "none" and treatment.full_scale is not None:
        x = x / np.float32(treatment.full_scale)
    size = np.abs(x)
    peak = float(size.max())
    if peak < amplitude(treatment.silent_db) or peak == 0.0:
        raise UnusableError(f"silent (nothing in it is louder than {treatment.silent_db:g} dB of full scale)")
    first, last = 0, len(x)
    if treatment.trim_db:
        loud = np.flatnonzero(size >= peak * amplitude(-treatment.trim_db))
        margin = round(MARGIN * treatment.sample_rate)
        first, last = max(0, int(loud[0]) - margin), min(len(x), int(loud[-1]) + 1 + margin)
    x = x[first:last]
    if treatment.normalise != "none":
        gain = _gain(x, peak, treatment)
    elif treatment.full_scale is None:
        scale = max(1.0, 2.0 ** math.ceil(math.log2(peak)))  # so that nothing is lost before all files are seen
        gain = 1.0 / scale
    else:
        gain = 1.0
        if peak > 1.0:
            remark = f"clipped (it reaches {peak:,.3g} times full scale)"
    samples = np.rint(x * np.float32(gain * FULL_SCALE)).clip(-FULL_SCALE, FULL_SCALE - 1.0).astype(np.int16)
    return Sound(samples, rate, (first > 0, last < len(size)), scale=scale, peak=peak, remark=remark)


def _gain(x: Floats, peak: float, treatment: Treatment) -> float:
    if treatment.normalise == "peak":
        return PEAK / peak
    return min(amplitude(treatment.loudness_db) / active_rms(x, treatment.sample_rate), PEAK / peak)


def active_rms(x: Floats, sample_rate: int) -> float:
    """Root mean square of the frames of 20 ms in `x` `[n]` that are within 30 dB of the loudest one."""
    frame = min(len(x), max(1, round(FRAME * sample_rate)))
    whole = np.square(x[: len(x) // frame * frame].reshape(-1, frame), dtype=np.float64).mean(axis=1)
    # What is left at the end counts as a frame of its own length.
    power = np.append(whole, np.square(x[len(whole) * frame :], dtype=np.float64).mean()) if len(x) % frame else whole
    return float(np.sqrt(power[power >= power.max() * 10.0 ** (-ACTIVE_DB / 10.0)].mean()))
