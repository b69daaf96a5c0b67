"""Samples of one stream of a sound file in blocks, whatever decodes it, and plain words for why that is impossible.

Files are decoded in blocks, so what is in memory is what a file holds, never what its header claims.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import IO, Any

import numpy as np
import soundfile

from gan_audio.data.resampling import Floats
from gan_audio.data.source import FULL_SCALE
from gan_audio.data.streams import Stream, is_for_ffmpeg
from gancore.data.files import Entry, why_unreadable
from gancore.data.reading import UnusableError
from gancore.errors import DataError

NEEDS_FFMPEG = (".m4a", ".aac", ".wma", ".mka", ".weba", ".amr", ".ac3", ".3gp")

_BLOCK = 1 << 18
_WHOLE = 32 * 1024 * 1024


class UnknownFormatError(UnusableError):
    """A file that no decoder knows."""

    def __init__(self) -> None:
        super().__init__("not a sound file of a known format")


@contextlib.contextmanager
def blocks_of(entry: Entry, file: IO[bytes], stream: Stream) -> Iterator[tuple[int, int, Iterator[Floats]]]:
    """Rate, channels and blocks `[n, channels]` of a stream, by libsndfile, or by audioread for what only that knows."""
    file.seek(stream.start)
    if is_for_ffmpeg(file.read(16)):
        with _by_audioread(file, PurePosixPath(entry.name).suffix) as found:
            yield found
        return
    steady = _Steady(file, stream)
    try:
        opened = _Forward(steady)
    except soundfile.LibsndfileError as error:
        if error.code != 1:
            raise
        if not entry.name.lower().endswith(NEEDS_FFMPEG):
            raise UnknownFormatError from error
        with _by_audioread(file, PurePosixPath(entry.name).suffix) as found:
            yield found
        return
    with opened:
        yield opened.samplerate, opened.channels, _by_soundfile(opened, exact=stream.exact)
    if steady.error is not None:
        raise steady.error


class _Forward(soundfile.SoundFile):
    """A sound file that is read from its beginning to its end.

    Another one seeks to where it is after each read, which fails at the end of a FLAC file that does not tell its length.
    """

    def seekable(self) -> bool:
        return False


class _Steady:
    """A stream of a file as libsndfile is given it, which calls from C, where no exception can pass.

    An impossible seek moves nothing, and what cannot be read is an end; `error` says why.
    """

    def __init__(self, file: IO[bytes], stream: Stream) -> None:
        self.file, self.stream = file, stream
        self.at, self.end = 0, len(stream.head) + stream.stop - stream.start
        self.error: OSError | None = None

    def seek(self, offset: int, whence: int = 0) -> int:
        place = (0, self.at, self.end)[whence] + offset
        self.at = place if 0 <= place < 2**62 else self.at
        return self.at

    def tell(self) -> int:
        return self.at

    def read(self, count: int = -1) -> bytes:
        head = self.stream.head
        left = max(0, self.end - self.at)
        count = left if count < 0 else min(count, left)
        data = head[self.at : self.at + count]
        try:
            if len(data) < count:
                self.file.seek(self.stream.start + self.at + len(data) - len(head))
                data += self.file.read(count - len(data))
        except OSError as error:
            self.error = self.error or error
            data = b""
        self.at += len(data)
        return data


def open_file(entry: Entry) -> IO[bytes]:
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


def _by_soundfile(opened: Any, *, exact: bool) -> Iterator[Floats]:
    frames = max(1, _BLOCK // opened.channels)
    count = 0
    # A FLAC decoder takes for damage what stands behind the last frame, such as a tag.
    told = opened.frames if opened.format == "FLAC" and 0 < opened.frames < 2**62 else 2**62
    while count < told:
        block = opened.read(min(frames, told - count), dtype="float32", always_2d=True)
        count += len(block)
        if len(block):
            yield block
        if len(block) < frames:
            break
    if exact and count < opened.frames < 2**62:
        raise UnusableError(f"truncated (its header promises {opened.frames:,} frames, {count:,} could be read)")


@contextlib.contextmanager
def _by_audioread(file: IO[bytes], suffix: str) -> Iterator[tuple[int, int, Iterator[Floats]]]:
    """What ffmpeg or a decoder of the system makes of the whole file: 16 bit, interleaved, in bytes."""
    try:
        import audioread  # type: ignore[import-untyped]
    except ImportError as error:
        raise UnusableError("of a format that needs audioread and ffmpeg") from error
    with tempfile.TemporaryDirectory(prefix="gan-audio-") as folder:
        path = os.path.join(folder, f"sound{suffix}")
        file.seek(0)
        with open(path, "wb") as copy:
            while part := file.read(1 << 20):
                copy.write(part)
        try:
            opened = audioread.audio_open(path)
        except audioread.NoBackendError as error:
            raise UnusableError("of a format that needs ffmpeg, which is not installed or cannot read it") from error
        with opened:
            yield opened.samplerate, opened.channels, _from_bytes(opened, max(1, opened.channels))


def _from_bytes(buffers: Iterable[bytes], channels: int) -> Iterator[Floats]:
    rest = b""
    for buffer in buffers:
        data = rest + bytes(buffer)
        whole = len(data) // (2 * channels) * 2 * channels
        rest = data[whole:]
        frames = np.frombuffer(data[:whole], dtype="<i2").reshape(-1, channels)
        yield frames.astype(np.float32) / np.float32(FULL_SCALE)


def in_words(error: Exception) -> str:
    """What libsndfile means."""
    if not isinstance(error, soundfile.LibsndfileError):
        return ""
    return f"damaged ({error.error_string.rstrip('.').lower().removeprefix('error : ')})"
