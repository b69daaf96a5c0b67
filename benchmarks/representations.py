"""What each representation of sound loses on the way to a spectrogram and back: the ceiling of what a model can reach.

Run by hand, from the root of the repository:

    python benchmarks/representations.py                              # the built-in notes
    python benchmarks/representations.py sounds/ data.normalise=peak  # recordings of your own

Waveforms are compared by their signal-to-noise ratio in dB, and by two distances between magnitudes `S` (clip) and `T` (what came
back) of an STFT of 1,024 samples, which none of the representations uses. Spectral convergence is `|S - T| / |S|` in
Frobenius norms, in dB. Log-spectral distance is the root mean square over bins of the difference of levels in dB, averaged over
the frames that are not silent; levels more than 60 dB below the clip's loudest bin count as that.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_audio.data.notes import Options as NoteOptions
from gan_audio.data.notes import open_notes
from gan_audio.data.sounds import Options as SoundOptions
from gan_audio.data.sounds import open_sounds
from gan_audio.spec import AudioSpec
from gan_audio.transforms import stft
from gancore.data.report import silent
from gancore.random import Draws

FRAME, HOP = 1024, 256
RANGE_DB = 60.0


def main() -> None:
    """One row for each representation, and for Griffin-Lim with more iterations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", type=Path, help="folder or zip of recordings; without, the built-in notes")
    parser.add_argument("options", nargs="*", metavar="data.OPTION=VALUE", help="options of the data set")
    parser.add_argument("-n", type=int, default=200, help="clips to look at, spread over the data set")
    args = parser.parse_args()
    given: dict[str, Any] = dict(o.removeprefix("data.").split("=", 1) for o in args.options)
    source = (
        open_sounds(SoundOptions(path=args.path, **given), silent)
        if args.path
        else open_notes(NoteOptions(**given), silent)
    )
    indices = torch.linspace(0, len(source) - 1, min(args.n, len(source)), dtype=torch.float64).long()
    clips, _ = source.fetch(indices, Draws(0, indices))
    assert isinstance(source.spec, AudioSpec)
    spec = source.spec
    print(f"{len(clips)} clips of {spec.seconds:.3g} s at {spec.sample_rate} Hz, n_fft={spec.n_fft}, hop={spec.hop}\n")
    print(
        "| representation | signal-to-noise, dB | spectral convergence, dB | log-spectral distance, dB |\n|---|---|---|---|"
    )
    rows: list[tuple[str, dict[str, Any]]] = [
        ("`stft-if`", {"representation": "stft-if"}),
        *((f"`log-stft`, {n} iterations", {"representation": "log-stft", "iterations": n}) for n in (16, 32, 128)),
        (f"`log-mel`, {spec.mels} bands, 32 iterations", {"representation": "log-mel", "iterations": 32}),
    ]
    for name, changes in rows:
        own = spec.changed(**changes).fitted(clips)
        print(f"| {name} | " + " | ".join(f"{v:.1f}" for v in compared(clips, own.harden(own.relax(clips)))) + " |")


def compared(clips: Tensor, again: Tensor) -> tuple[float, float, float]:
    """Signal-to-noise ratio, spectral convergence and log-spectral distance of `again` `[n, 1, length]` against `clips`."""
    ratio = 10 * torch.log10(clips.square().sum(-1) / (again - clips).square().sum(-1)).mean()
    length = clips.shape[-1] // HOP * HOP
    wanted, found = (stft(x[..., :length], FRAME, HOP).abs() for x in (clips, again))
    convergence = 20 * torch.log10((found - wanted).flatten(1).norm(dim=1) / wanted.flatten(1).norm(dim=1)).mean()
    floor = wanted.amax((-2, -1), keepdim=True) * 10 ** (-RANGE_DB / 20)
    gap = 20 * torch.log10(found.maximum(floor) / wanted.maximum(floor))
    heard = (wanted > floor).any(-2)
    return float(ratio), float(convergence), float(gap.square().mean(-2).sqrt()[heard].mean())


if __name__ == "__main__":
    main()
