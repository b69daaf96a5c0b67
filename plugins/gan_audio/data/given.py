"""What is given out of files of sound. Of a vocoder's, clips of one file, one after another, and how what it makes of them is joined.

Neighbouring clips share an eighth of their length, over which one is faded into the other: a clip's ends are made without
knowing what comes before and after.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gan_audio.data.decode import SUPPORTED, Treatment, decode, quiet
from gan_audio.data.source import as_float
from gan_audio.data.translated import each_sound, sounds_at
from gan_audio.spec import AudioSpec
from gancore.components import ProgressReport
from gancore.data.files import is_lone, single, why_unreadable
from gancore.data.reading import UnusableError
from gancore.data.spec import Given
from gancore.errors import DataError, UsageError

MOST = 2**24
"""Samples of a sound that can be given at once: those of the longest clip that a spec allows."""
SHARED = 8
"""A clip shares one part of so many with the next."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads what is given: sound files in clips for a vocoder, and what is to be translated as whole samples, one of each file."""

    spec: AudioSpec

    def read(self, path: Path) -> Given:
        """What is at `path`: of runs between domains see `sounds_at`, of others `SoundReader`."""
        if not self.spec.domains:
            return SoundReader(self.spec).read(path)
        x, names = sounds_at(path, self.spec)
        return Given(x, names=names)

    def stream(self, path: Path, progress: ProgressReport) -> Iterator[Given] | None:
        """The sounds of a folder or archive in turn, of runs between domains; None for a single one, and of others."""
        if not self.spec.domains or is_lone(path):
            return None
        return (Given(clip[None], names=(name,)) for name, clip in each_sound(path, self.spec, progress))

    def join(self, samples: Tensor, given: Given) -> tuple[AudioSpec, Tensor] | None:
        """Clips of a file put together to whole sounds; None of translations, each of which is whole."""
        return None if self.spec.domains else SoundReader(self.spec).join(samples, given)


@dataclass(frozen=True, slots=True)
class SoundReader:
    """Sound files in clips, each for its log-mel."""

    spec: AudioSpec

    def read(self, path: Path) -> Given:
        """The whole file at `path`, mono and resampled, in clips `[count, 1, spec.length]`; silence fills up the last one.

        Raises:
            UsageError: nothing is given to this generator, there is no such file, or it is too long.
            DataError: it holds no usable sound.
        """
        spec = self.spec
        if spec.given_shape is None:
            raise UsageError(f"'{path}': nothing is given to this generator; it makes sounds out of nothing")
        try:
            [entry] = single(path, max_bytes=1 << 62).entries
        except FileNotFoundError:
            raise UsageError(f"'{path}' does not exist; name a file of sound ({SUPPORTED})") from None
        except OSError as error:
            raise UsageError(f"'{path}' is {why_unreadable(error)}; name a file of sound ({SUPPORTED})") from None
        if not path.is_file():
            raise UsageError(f"'{path}' is not a file; give a sound file ({SUPPORTED})")
        seconds = (MOST - spec.length) / spec.sample_rate
        try:
            with quiet():
                sound = decode(entry, Treatment(sample_rate=spec.sample_rate, max_seconds=seconds))
        except UnusableError as error:
            raise DataError(f"'{path}' cannot be used: it is {error}; give a file of sound ({SUPPORTED})") from None
        if sound.longer:
            raise UsageError(
                f"'{path}' is longer than {seconds:,.0f} s, which is all that can be given at once; cut it"
            )
        if sound.remark:
            raise DataError(f"'{path}' could only be {sound.remark}; give a file that is whole")
        # At the level that it would have in the data; what is louder than anything there is turned down.
        wave = as_float(torch.from_numpy(sound.samples)) * (sound.scale / max(sound.peak, spec.full_scale))
        return Given(cut(wave, spec))

    def join(self, samples: Tensor, given: Given) -> tuple[AudioSpec, Tensor] | None:
        """Clips that were made of those of a file, put together to whole sounds `[count, 1, samples]`."""
        return join(self.spec, samples, len(given))


def overlap(spec: AudioSpec) -> int:
    """Samples that two neighbouring clips share, a multiple of hop; 0 where clips are too short for that."""
    return spec.length // SHARED // spec.hop * spec.hop


def cut(wave: Tensor, spec: AudioSpec) -> Tensor:
    """A sound `[samples]` in clips `[count, 1, length]` that overlap; silence fills up the last one."""
    step = spec.length - overlap(spec)
    count = max(1, -(-(len(wave) - overlap(spec)) // step))
    whole = torch.nn.functional.pad(wave, (0, (count - 1) * step + spec.length - len(wave)))
    return whole.unfold(0, spec.length, step)[:, None].contiguous()


def join(spec: AudioSpec, samples: Tensor, parts: int) -> tuple[AudioSpec, Tensor] | None:
    """Clips `[n, 1, length]`, `parts` of them in a row to a sound, to whole sounds `[n // parts, 1, samples]` and their spec.

    None where there is no whole one, or it would be longer than a spec allows.
    """
    shared, count = overlap(spec), len(samples) // parts
    step = spec.length - shared
    total = step * (parts - 1) + spec.length
    if not count or total > MOST:
        return None
    clips = samples[: count * parts].float().reshape(count, parts, spec.length)
    rise = torch.arange(1, shared + 1, device=samples.device) / (shared + 1)
    ramp = torch.cat([rise, torch.ones(step - shared, device=samples.device), 1.0 - rise])
    gains = ramp.repeat(parts, 1)
    gains[0, :shared], gains[-1, step:] = 1.0, 1.0
    whole = torch.zeros(count, total, device=samples.device)
    for number in range(parts):
        whole[:, number * step : number * step + spec.length] += clips[:, number] * gains[number]
    return spec.changed(length=total), whole[:, None]
