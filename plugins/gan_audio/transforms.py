"""Waveforms to spectrograms and back, batched on the device where the samples are.

Frames are centred (frame t stands at sample t * hop) and a clip of `length` samples has `length / hop` of them: its very last
sample is left out of the analysis, so that no frame stands behind the end.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from gancore.errors import UsageError

MOMENTUM = 0.99
"""Of Griffin-Lim: the value that Perraudin et al. (2013) found best."""

_MEL_HERTZ, _BEND, _STEP = 200.0 / 3.0, 15.0, math.log(6.4) / 27.0
"""Slaney's mel scale: so many Hz a mel up to the mel where it bends, 1 kHz; from there so many nepers a mel."""


def window(n_fft: int, device: torch.device | None = None) -> Tensor:
    """The Hann window of all transforms here, `[n_fft]`."""
    return torch.hann_window(n_fft, device=device)


def stft(x: Tensor, n_fft: int, hop: int) -> Tensor:
    """Waveforms `[..., length]`, `length` a multiple of `hop`, to complex `[..., n_fft // 2 + 1, length // hop]`.

    Scaled so that a sine of amplitude 1 has about the magnitude 1 in its bin.
    """
    rows = x.reshape(-1, x.shape[-1])[:, :-1]
    found = torch.stft(
        rows, n_fft, hop, window=window(n_fft, x.device), center=True, pad_mode="constant", return_complex=True
    )
    return (found * (4.0 / n_fft)).reshape(*x.shape[:-1], *found.shape[-2:])


def inverse_stft(spectrum: Tensor, hop: int) -> Tensor:
    """Complex `[..., bins, frames]`, all `n_fft // 2 + 1` bins, to the waveforms `[..., frames * hop]` nearest to them.

    The least-squares inverse of Griffin & Lim (1984); of what `stft` gave it is the waveform itself.
    """
    n_fft = 2 * (spectrum.shape[-2] - 1)
    length = spectrum.shape[-1] * hop
    rows = spectrum.reshape(-1, *spectrum.shape[-2:]) * (n_fft / 4.0)
    found = torch.istft(rows, n_fft, hop, window=window(n_fft, spectrum.device), center=True, length=length)
    return found.reshape(*spectrum.shape[:-2], length)


def griffin_lim(magnitude: Tensor, hop: int, iterations: int, momentum: float = MOMENTUM) -> Tensor:
    """Magnitudes `[..., bins, frames]` to waveforms `[..., frames * hop]` whose magnitudes are near them.

    The fast algorithm of Perraudin, Balazs & Sondergaard (2013); 0 for `momentum` is that of Griffin & Lim (1984). Phases
    begin at those of steady tones in the middle of each bin, so the result follows from the magnitudes alone.
    """
    bins, frames = magnitude.shape[-2:]
    n_fft = 2 * (bins - 1)
    turns = torch.arange(bins, device=magnitude.device)[:, None] * torch.arange(frames, device=magnitude.device) * hop
    phase = torch.polar(torch.ones(bins, frames, device=magnitude.device), (turns % n_fft) * (2.0 * torch.pi / n_fft))
    before = torch.zeros_like(magnitude, dtype=phase.dtype)
    for _ in range(iterations):
        again = stft(inverse_stft(magnitude * phase, hop), n_fft, hop)
        aim = again - before * (momentum / (1.0 + momentum))
        before = again
        phase = aim / aim.abs().clamp(min=1e-16)
    return inverse_stft(magnitude * phase, hop)


def instantaneous_frequency(spectrum: Tensor, heard: Tensor) -> Tensor:
    """How far the phase goes on from frame to frame, over pi (Engel et al. 2019): complex `[..., bins, frames]` to [-1, 1].

    Where `heard`, a mask of the same shape, is false it is 0: phases of silence are noise. After such a gap the next frame
    goes on from the last one before it, so `phases` gives all phases that are heard. A bin's first frame has its phase itself.
    """
    frames = torch.arange(spectrum.shape[-1], device=spectrum.device).expand(spectrum.shape)
    last = torch.where(heard, frames, -1).cummax(-1).values
    last = torch.nn.functional.pad(last, (1, 0), value=-1)[..., :-1]
    before = torch.where(last >= 0, spectrum.gather(-1, last.clamp(min=0)), 1.0)
    return (spectrum * before.conj()).angle() * heard / torch.pi


def phases(frequency: Tensor) -> Tensor:
    """The inverse of `instantaneous_frequency`: `[..., bins, frames]` to complex numbers of magnitude 1."""
    # Turns are added in double precision: over hundreds of frames single precision would lose the phase.
    angle = frequency.double().cumsum(-1).mul(torch.pi).float()
    return torch.polar(torch.ones_like(angle), angle)


def mel_filters(sample_rate: int, n_fft: int, mels: int, device: torch.device | None = None) -> Tensor:
    """Triangular bands, evenly spaced in mel (Slaney's scale), `[mels, n_fft // 2 + 1]`; every row adds up to 1.

    Raises:
        UsageError: a band would be so narrow that no bin lies in it.
    """
    return _mel_filters(sample_rate, n_fft, mels).to(device)


def invert_mel(bands: Tensor, filters: Tensor, iterations: int = 60) -> Tensor:
    """Magnitudes in bands `[..., mels, frames]` to magnitudes `[..., bins, frames]`, none below 0, that have these bands.

    Multiplicative updates of Lee & Seung (2000), from a spectrum that is flat within each band.
    """
    again = filters.T @ filters
    aim = filters.T @ bands
    found = (filters / filters.sum(0).clamp(min=1e-8)).T @ bands
    for _ in range(iterations):
        found = found * aim / (again @ found).clamp(min=1e-12)
    return found


@lru_cache(maxsize=16)
def _mel_filters(sample_rate: int, n_fft: int, mels: int) -> Tensor:
    # The whole Hz of half the rate is torchaudio's, whose bands these are (`melscale_fbanks` with mel_scale="slaney").
    bins = torch.linspace(0.0, sample_rate // 2, n_fft // 2 + 1)
    edges = _mel_to_hertz(torch.linspace(0.0, _hertz_to_mel(sample_rate / 2), mels + 2))
    widths = edges.diff()
    rise = (bins - edges[:-2, None]) / widths[:-1, None]
    fall = (edges[2:, None] - bins) / widths[1:, None]
    bank = torch.minimum(rise, fall).clamp(min=0.0)
    total = bank.sum(1, keepdim=True)
    if not bool((total > 0).all()):
        raise UsageError(
            f"mels={mels} are too many for n_fft={n_fft} at {sample_rate} Hz: the lowest bands are narrower than a bin of "
            f"{sample_rate / n_fft:.3g} Hz. Take fewer mels or a larger n_fft"
        )
    return (bank / total).contiguous()


def _hertz_to_mel(hertz: float) -> float:
    bend = _BEND * _MEL_HERTZ
    return hertz / _MEL_HERTZ if hertz < bend else _BEND + math.log(hertz / bend) / _STEP


def _mel_to_hertz(mel: Tensor) -> Tensor:
    above = _BEND * _MEL_HERTZ * torch.exp(_STEP * (mel - _BEND))
    return torch.where(mel < _BEND, _MEL_HERTZ * mel, above)
