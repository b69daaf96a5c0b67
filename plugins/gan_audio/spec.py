"""What one sound is: a waveform on disk and in writers, and the representation of it that networks see."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from gan_audio import transforms
from gancore.data.spec import SampleSpec

Representation = Literal["waveform", "log-stft", "stft-if", "log-mel"]
GivenPart = Literal["none", "mel"]
Normalise = Literal["none", "peak", "loudness"]

_LEAST_SCALE = 1.0
"""In nepers: rows that hardly change are not blown up to full range."""
_FOLLOWS = frozenset({"shape", "dtype", "value_range"})


class AudioSpec(SampleSpec):
    """Mono sounds of one length and sample rate: hard `[batch, 1, length]` float32 in [-1, 1].

    Relaxed samples are that waveform, or a spectrogram `[batch, planes, rows, frames]` with low frequencies first: the log
    magnitude of each bin or mel band, less `mean` and divided by `scale`, cut to [-1, 1], and for `stft-if` the
    instantaneous frequency over pi as a second plane, 0 where the magnitude is at its floor. The Nyquist bin is left out.
    """

    called: ClassVar[str] = "sounds"

    measured: ClassVar[tuple[str, ...]] = ("mean", "scale", "full_scale")
    dtype: str = "float32"
    value_range: tuple[float, float] = (-1.0, 1.0)
    representation: Representation = Field("log-stft", description="What networks see of a sound.")
    sample_rate: int = Field(8000, ge=1000, le=384_000, description="Samples a second.")
    length: int = Field(8192, ge=16, le=2**24, description="Samples in a clip.")
    n_fft: int = Field(256, ge=16, le=16_384, description="Samples in a frame of the transform.")
    hop: int = Field(64, ge=1, le=8192, description="Samples from frame to frame.")
    mels: int = Field(64, ge=4, le=1024, description="Bands of log-mel.")
    floor_db: float = Field(-80.0, ge=-200.0, le=-20.0, description="Magnitudes below this count as this.")
    iterations: int = Field(32, ge=0, le=1000, description="Iterations of Griffin-Lim.")
    mean: tuple[float, ...] = Field(
        (), description="Mean log magnitude of each row; empty: in the middle of the range."
    )
    scale: tuple[float, ...] = Field((), description="How far from its mean each row reaches; empty: half the range.")
    given: GivenPart = Field("none", description="What a generator is given of a waveform: nothing, or its log-mel.")
    full_scale: float = Field(1.0, gt=0.0, description="The value in sound files that becomes 1 in samples.")
    normalise: Normalise = Field("none", description="What was done to the level of each file, before `full_scale`.")
    loudness_db: float = Field(-23.0, ge=-60.0, le=0.0, description="With normalise=loudness: that level.")

    @model_validator(mode="after")
    def _check_audio(self) -> AudioSpec:
        if self.n_fft % 2:
            raise ValueError(f"n_fft must be even, not {self.n_fft}")
        # With half, hardly any window covers the last samples, and the inverse blows them up. Waveforms need no inverse.
        parts, words = (2, "half") if self.representation == "waveform" else (3, "a third")
        if parts * self.hop > self.n_fft:
            near = max(1, self.n_fft // 4)
            raise ValueError(f"hop={self.hop} must be at most {words} of n_fft={self.n_fft}; take hop={near}")
        if self.length % self.hop or self.length < self.n_fft:
            near = max(self.hop, round(self.length / self.hop) * self.hop)
            raise ValueError(
                f"length={self.length} must be a multiple of hop={self.hop} and at least n_fft={self.n_fft}; "
                f"take length={max(near, math.ceil(self.n_fft / self.hop) * self.hop)}"
            )
        if self.shape != (wanted := self._shape()):
            raise ValueError(f"shape must be {wanted} for {self.representation} of this length, not {self.shape}")
        if self.dtype != "float32" or self.value_range != (-1.0, 1.0):
            raise ValueError("hard sounds are float32 in -1..1")
        for name in ("mean", "scale"):
            if len(getattr(self, name)) not in (0, self.rows):
                raise ValueError(f"{name} has {len(getattr(self, name))} numbers for {self.rows} rows of a spectrogram")
        if self.given != "none" and self.representation != "waveform":
            raise ValueError(f"given={self.given} goes with representation=waveform, not {self.representation}")
        if any(d <= 0 for d in self.scale) or not all(map(math.isfinite, self.mean + self.scale)):
            raise ValueError("mean and scale must be finite, and scale above 0")
        return self

    @classmethod
    def of(
        cls,
        *,
        sample_rate: int = 8000,
        length: int = 8192,
        representation: Representation = "log-stft",
        n_fft: int = 256,
        hop: int = 64,
        mels: int = 64,
        floor_db: float = -80.0,
        iterations: int = 32,
        classes: tuple[str, ...] = (),
        **fitted: Any,
    ) -> AudioSpec:
        """The spec with the shape that follows from the rest."""
        given: dict[str, Any] = {
            "sample_rate": sample_rate,
            "length": length,
            "representation": representation,
            "n_fft": n_fft,
            "hop": hop,
            "mels": mels,
            "floor_db": floor_db,
            "iterations": iterations,
            "classes": classes,
            **fitted,
        }
        # The shape needs positive sizes; where they are not, the fields themselves are refused.
        draft = cls.model_construct(**given)
        shape = draft._shape() if min(hop, length, n_fft, mels) > 0 and length >= hop else (1,)
        return cls(shape=shape, **given)

    def changed(self, **changes: Any) -> AudioSpec:
        """The same with some arguments of `of` changed; what was fitted is kept where its size still fits."""
        kept = {name: getattr(self, name) for name in type(self).model_fields if name not in _FOLLOWS} | changes
        rows = AudioSpec.of(**(kept | {"mean": (), "scale": ()})).rows
        for name in ("mean", "scale"):
            if len(kept[name]) != rows or ("representation" in changes and name not in changes):
                kept[name] = ()
        return AudioSpec.of(**kept)

    @property
    def reading(self) -> Mapping[str, Any]:
        """Other sounds are cut, resampled and scaled as these."""
        names = (
            "representation",
            "sample_rate",
            "length",
            "n_fft",
            "hop",
            "mels",
            "floor_db",
            "iterations",
            "full_scale",
        )
        return {name: getattr(self, name) for name in names}

    # --- sizes ------------------------------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """Length of a clip."""
        return self.length / self.sample_rate

    @property
    def bins(self) -> int:
        """Bins of the transform without the Nyquist bin."""
        return self.n_fft // 2

    @property
    def frames(self) -> int:
        """Frames of a spectrogram."""
        return self.length // self.hop

    @property
    def rows(self) -> int:
        """Rows of a spectrogram: bins, or mel bands."""
        return self.mels if self.representation == "log-mel" else self.bins

    @property
    def exact(self) -> bool:
        """True for waveforms alone: phases are guessed or a Nyquist bin is missing, so `harden` finds a waveform nearby."""
        return self.representation == "waveform"

    def _shape(self) -> tuple[int, ...]:
        if self.representation == "waveform":
            return (1, self.length)
        return (2 if self.representation == "stft-if" else 1, self.rows, self.frames)

    # --- other data -------------------------------------------------------------------------------------------------

    def adopt(self, hard: Tensor, other: SampleSpec) -> Tensor:
        """Waveforms of another data set at the levels that they would have in this one; what is louder is clipped."""
        scale = getattr(other, "full_scale", self.full_scale) / self.full_scale
        return hard if scale == 1.0 else (hard * scale).clamp(-1.0, 1.0)

    # --- there and back ---------------------------------------------------------------------------------------------

    def relax(self, hard: Tensor) -> Tensor:
        """Waveforms `[batch, 1, length]` to what networks see, float32 `[batch, *shape]`."""
        waves = hard.float()
        if self.representation == "waveform":
            return waves
        spectrum = transforms.stft(waves, self.n_fft, self.hop)
        level = self.log_magnitude(spectrum)
        planes = [self._normalised(level)]
        if self.representation == "stft-if":
            planes.append(transforms.instantaneous_frequency(spectrum[..., : self.bins, :], level > self._floor))
        return torch.cat(planes, dim=1)

    def harden(self, relaxed: Tensor) -> Tensor:
        """What a generator made to waveforms `[batch, 1, length]` in [-1, 1]; one that would clip is turned down."""
        relaxed = relaxed.float()
        if self.representation == "waveform":
            waves = relaxed
        else:
            level = self._level(relaxed[:, :1])
            # What is at the floor was at it or below: silence rather than a hiss of just that level.
            magnitude = torch.where(level > self._floor + 1e-3, level.exp(), 0.0)
            if self.representation == "log-mel":
                magnitude = transforms.invert_mel(magnitude, self._filters(relaxed))
            else:
                magnitude = torch.nn.functional.pad(magnitude, (0, 0, 0, 1))
            if self.representation == "stft-if":
                turn = torch.nn.functional.pad(relaxed[:, 1:2], (0, 0, 0, 1))
                waves = transforms.inverse_stft(magnitude * transforms.phases(turn), self.hop)
            else:
                waves = transforms.griffin_lim(magnitude, self.hop, self.iterations)
        return waves / waves.abs().amax(-1, keepdim=True).clamp(min=1.0)

    # --- what is given: the log-mel of a waveform, or a sample of another domain ------------------------------------------

    @property
    def given_shape(self) -> tuple[int, ...] | None:
        """`(mels, frames)` of a vocoder; of domains that of a sample; None where nothing is given."""
        return super().given_shape if self.given == "none" else (self.mels, self.frames)

    @property
    def given_kept(self) -> bool:
        """False where something is given: a waveform that is made of a log-mel has one near it, and a translation is another."""
        return False

    def given_part(self, relaxed: Tensor) -> Tensor | None:
        """The log-mel `[batch, mels, frames]` of waveforms `[batch, 1, length]`, from -1 at the floor to 1 at full scale.

        Of samples with domains, all of them is given, as they are.
        """
        if self.given == "none":
            return super().given_part(relaxed)
        return (self.mel_levels(relaxed) * (-2.0 / self._floor) + 1.0).clamp(max=1.0)

    def mel_levels(self, waves: Tensor) -> Tensor:
        """Natural logarithms `[batch, mels, frames]` of the mel bands of waveforms `[batch, 1, length]`, from the floor up.

        `length` is any multiple of hop above it. The floor is added to the bands and not a bound on them, or a sound that is
        softer would have no gradient, and a generator that begins with silence would never leave it.
        """
        size = transforms.stft(waves.float(), self.n_fft, self.hop).abs()
        return (self._filters(size) @ size + math.exp(self._floor)).log()[:, 0]

    def log_magnitude(self, spectrum: Tensor) -> Tensor:
        """Natural logarithms `[..., rows, frames]`, not below the floor, of `transforms.stft`'s complex `[..., bins + 1, frames]`."""
        size = spectrum.abs()
        if self.representation == "log-mel":
            size = self._filters(size) @ size
        else:
            size = size[..., : self.bins, :]
        return size.clamp(min=math.exp(self._floor)).log()

    def fitted(self, waves: Tensor) -> AudioSpec:
        """The same with the mean of each row over `waves` `[n, 1, length]`, and a scale by which none of it is cut off.

        SpecGAN cuts at three deviations; of tones, which sound in few rows at a time, that takes the peaks.
        """
        if self.representation == "waveform":
            return self
        total, highest = torch.zeros(self.rows, dtype=torch.float64), torch.full((self.rows,), self._floor)
        for part in waves.split(256):
            level = self.log_magnitude(transforms.stft(part.float(), self.n_fft, self.hop))[:, 0].cpu()
            total += level.double().sum((0, 2))
            highest = torch.maximum(highest, level.amax((0, 2)))
        mean = (total / (len(waves) * self.frames)).float()
        scale = torch.maximum(highest - mean, mean - self._floor).clamp(min=_LEAST_SCALE)
        # Six digits say it well enough, and what is written down stays readable.
        return self.changed(
            mean=tuple(round(v, 6) for v in mean.tolist()), scale=tuple(round(v, 6) for v in scale.tolist())
        )

    @property
    def _floor(self) -> float:
        return self.floor_db * math.log(10.0) / 20.0

    def level_range(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """What is taken from levels and what they are divided by, `[rows, 1]` each."""
        half = self._floor / 2.0
        rows = [self.mean or (half,) * self.rows, self.scale or (-half,) * self.rows]
        pair = torch.tensor(rows, dtype=torch.float32, device=like.device)[..., None]
        return pair[0], pair[1]

    def _normalised(self, level: Tensor) -> Tensor:
        mean, scale = self.level_range(level)
        return ((level - mean) / scale).clamp(-1.0, 1.0)

    def _level(self, normalised: Tensor) -> Tensor:
        mean, scale = self.level_range(normalised)
        return normalised.clamp(-1.0, 1.0) * scale + mean

    def _filters(self, like: Tensor) -> Tensor:
        return transforms.mel_filters(self.sample_rate, self.n_fft, self.mels, like.device).to(like.dtype)
