"""From the bytes of a sound file to mono int16 samples at one rate, or to plain words for why that is impossible.

Files are decoded in blocks, so what is in memory is what a file holds, never what its header claims.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any, Literal

import numpy as np
import soundfile

from gan_audio.data.headers import what_is_missing
from gan_audio.data.resampling import Floats, resampled
from gan_audio.data.source import FULL_SCALE, Shorts
from gancore.data.files import Entry, why_unreadable
from gancore.errors import DataError

NEEDS_FFMPEG = (".m4a", ".aac", ".wma", ".mka", ".weba", ".amr", ".ac3", ".3gp")
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
FRAME, MARGIN = 0.02, 0.005
"""Seconds of a frame in which loudness is measured, and what trimming keeps before and after the sound."""

_BLOCK = 1 << 18
_WHOLE = 32 * 1024 * 1024


class UnusableError(DataError):
    """A file without usable sound; the message completes "the file is ...".

    `passing` is true where the cause may lie outside of the file (access, memory) and be gone the next time.
    """

    def __init__(self, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.passing = passing


@dataclass(frozen=True, slots=True)
class Treatment:
    """What is done once to each recording: all that its samples depend on. `trim_db` 0 leaves its ends as they are."""

    sample_rate: int
    normalise: Literal["none", "peak", "loudness"] = "none"
    loudness_db: float = -23.0
    trim_db: float = 0.0
    silent_db: float = -60.0
    max_seconds: float = 1800.0


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording: `samples` int16 `[n]`, n at least 1, of a file with `rate` Hz.

    `cut` says whether its beginning and its end were trimmed, `longer` whether the file goes on after what was read.
    """

    samples: Shorts
    rate: int
    cut: tuple[bool, bool] = (False, False)
    longer: bool = False


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Within, remarks of decoders on odd files are not shown. Warning filters belong to the whole process: enter it in
    the main thread, around the threads that decode."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def is_sound(name: str) -> bool:
    """Whether a file is one to look at, by its suffix."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def decode(entry: Entry, treatment: Treatment) -> Sound:
    """The recording in a file: channels averaged, resampled, trimmed, normalised, in this order. Raises UnusableError."""
    with _explained():
        if not entry.size:
            raise UnusableError("empty")
        with _blocks(entry) as (rate, blocks):
            if not RATES[0] <= rate <= RATES[1]:
                raise UnusableError(f"without a usable sample rate ({rate:,} Hz)")
            most = max(1, round(treatment.max_seconds * rate))
            taken = _Taken(blocks, most)
            x = np.concatenate([*resampled(taken, rate, treatment.sample_rate), np.zeros(0, np.float32)])
        if not taken.count:
            raise UnusableError("without a single sample")
        return _treated(x, rate, treatment, longer=taken.longer)


# --- decoding ---------------------------------------------------------------------------------------------------------


class _Taken:
    """The first `most` samples of mono blocks; `count` of them there were, and `longer` says if there were more."""

    def __init__(self, blocks: Iterable[Floats], most: int) -> None:
        self.blocks, self.most = blocks, most
        self.count, self.longer = 0, False

    def __iter__(self) -> Iterator[Floats]:
        for block in self.blocks:
            if not np.isfinite(block).all():
                raise UnusableError("without usable sound (it holds values that are not finite numbers)")
            self.longer = len(block) > self.most - self.count
            block = block[: self.most - self.count]
            self.count += len(block)
            yield block
            if self.longer:
                return


@contextlib.contextmanager
def _blocks(entry: Entry) -> Iterator[tuple[int, Iterator[Floats]]]:
    """The sample rate of a file and its mono blocks, by libsndfile, or by audioread for what only that knows."""
    with _open(entry) as file:
        if missing := what_is_missing(file, entry.size):
            raise UnusableError(f"truncated ({missing})")
        file.seek(0)
        steady = _Steady(file)
        try:
            opened = soundfile.SoundFile(steady)
        except soundfile.LibsndfileError as error:
            if error.code != 1:
                raise
            if not entry.name.lower().endswith(NEEDS_FFMPEG):
                raise UnusableError("not a sound file of a known format") from error
            file.seek(0)
            with _by_audioread(file, PurePosixPath(entry.name).suffix) as found:
                yield found
            return
        with opened:
            if not 1 <= opened.channels <= MAX_CHANNELS:
                raise UnusableError(f"without usable sound ({opened.channels:,} channels)")
            yield opened.samplerate, _by_soundfile(opened)
        if steady.error is not None:
            raise steady.error


class _Steady:
    """A file as libsndfile is given it, which calls from C, where no exception can pass.

    An impossible seek moves nothing, and what cannot be read is an end; `error` says why.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.error: OSError | None = None

    def seek(self, offset: int, whence: int = 0) -> int:
        with contextlib.suppress(ValueError, OverflowError, OSError):
            self.file.seek(offset, whence)
        return self.tell()

    def tell(self) -> int:
        return self.file.tell()

    def read(self, count: int = -1) -> bytes:
        try:
            return self.file.read(count)
        except OSError as error:
            self.error = self.error or error
            return b""


def _open(entry: Entry) -> IO[bytes]:
    """A file that can be sought in. A large one in a folder is read as it is decoded; seeking in an archive would be slow."""
    file = entry.open()
    if entry.size > _WHOLE and isinstance(file, io.BufferedReader):
        return file
    with file:
        try:
            # Not more than was seen when it was listed: an archive may lie, and memory is taken before it is filled.
            return io.BytesIO(file.read(entry.size))
        except Exception as error:
            raise DataError(why_unreadable(error)) from error


def _by_soundfile(opened: Any) -> Iterator[Floats]:
    frames = max(1, _BLOCK // opened.channels)
    count = 0
    while True:
        block = opened.read(frames, dtype="float32", always_2d=True)
        count += len(block)
        if len(block):
            yield block[:, 0] if opened.channels == 1 else block.mean(axis=1, dtype=np.float32)
        if len(block) < frames:
            break
    if count < opened.frames and opened.frames < 2**62:
        raise UnusableError(f"truncated (its header promises {opened.frames:,} frames, {count:,} could be read)")


@contextlib.contextmanager
def _by_audioread(file: IO[bytes], suffix: str) -> Iterator[tuple[int, Iterator[Floats]]]:
    """What ffmpeg or a decoder of the system makes of the file: 16 bit, interleaved, in bytes."""
    try:
        import audioread  # type: ignore[import-untyped]
    except ImportError as error:
        raise UnusableError("of a format that needs audioread and ffmpeg") from error
    with tempfile.TemporaryDirectory(prefix="gan-audio-") as folder:
        path = os.path.join(folder, f"sound{suffix}")
        with open(path, "wb") as copy:
            while part := file.read(1 << 20):
                copy.write(part)
        try:
            opened = audioread.audio_open(path)
        except audioread.NoBackendError as error:
            raise UnusableError("of a format that needs ffmpeg, which is not installed or cannot read it") from error
        with opened:
            if not 1 <= opened.channels <= MAX_CHANNELS:
                raise UnusableError(f"without usable sound ({opened.channels:,} channels)")
            yield opened.samplerate, _from_bytes(opened, opened.channels)


def _from_bytes(buffers: Iterable[bytes], channels: int) -> Iterator[Floats]:
    rest = b""
    for buffer in buffers:
        data = rest + bytes(buffer)
        whole = len(data) // (2 * channels) * 2 * channels
        rest = data[whole:]
        frames = np.frombuffer(data[:whole], dtype="<i2").reshape(-1, channels)
        yield frames.mean(axis=1, dtype=np.float32) / np.float32(FULL_SCALE)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Decoders raise nearly anything on damaged data: all of it becomes UnusableError in plain words."""
    try:
        yield
    except UnusableError:
        raise
    except DataError as error:
        raise UnusableError(str(error), passing=isinstance(error.__cause__, OSError)) from error
    except MemoryError as error:
        raise UnusableError("too large for this machine's memory", passing=True) from error
    except soundfile.LibsndfileError as error:
        words = error.error_string.rstrip(".").lower().removeprefix("error : ")
        raise UnusableError(f"damaged ({words})") from error
    except OSError as error:
        raise UnusableError(why_unreadable(error), passing=True) from error
    except Exception as error:
        raise UnusableError(f"damaged ({error or type(error).__name__})") from error


# --- level ------------------------------------------------------------------------------------------------------------


def amplitude(decibels: float) -> float:
    """The factor for a level in dB: 0 dB is 1."""
    return 10.0 ** (decibels / 20.0)


def _treated(x: Floats, rate: int, treatment: Treatment, *, longer: bool) -> Sound:
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
    gain = _gain(x, peak, treatment)
    samples = np.rint(x * np.float32(gain * FULL_SCALE)).clip(-FULL_SCALE, FULL_SCALE - 1.0).astype(np.int16)
    return Sound(samples, rate, (first > 0, last < len(size)), longer)


def _gain(x: Floats, peak: float, treatment: Treatment) -> float:
    if treatment.normalise == "none":
        return 1.0 / max(1.0, peak)  # louder than full scale is turned down, not clipped
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
