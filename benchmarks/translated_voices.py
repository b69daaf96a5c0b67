"""Whether spoken digits stay what they are when they are translated from one voice to another.

    python benchmarks/translated_voices.py make FOLDER --recordings recordings/ --speakers theo,jackson
    gan run --plugin audio --preset domains --data FOLDER/train --out RUN
    python benchmarks/translated_voices.py judge FOLDER RUN

`make` sorts recordings that are called `{digit}_{speaker}_{index}.wav`, as those of the Free Spoken Digit Dataset are, into
`train/SPEAKER` and `test/SPEAKER` of the two speakers, and those of all others into `others/train` and `others/test`; the indices 0
to 4 are kept aside. `judge` translates the recordings of `test` both ways, writes WAV files to `RUN/translated`, and reads these
again. A classifier of digits and one of speakers have learnt the parts `train` of all speakers: the recordings as they are, and
as Griffin-Lim makes them again out of the spectrogram that the first run works on, so that its artefacts decide nothing. They hear
waveforms at one level, and know nothing of the run. Each line says how many recordings are taken for the digit that was spoken, and
how many for the target's voice among all speakers: of what was translated, of the source as it is and as it is made again, and of the
target's own recordings.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

import gancore
from gan_audio.data.translated import sounds_at
from gan_audio.features.judge import Training, obtain
from gan_audio.metrics.levels import Bands
from gan_audio.spec import AudioSpec

ASIDE = 5
"""Recordings of each digit and speaker that are kept aside: those with the lowest indices."""
SECONDS = 1.024
"""How much of a recording the judges hear; silence follows what is shorter."""


def make(folder: Path, recordings: Path, speakers: list[str]) -> None:
    """Copy all recordings into `train`, `test` and `others` of `folder`."""
    files = sorted(recordings.glob("*_*_*.wav"))
    missing = set(speakers) - {file.stem.split("_")[1] for file in files}
    if len(speakers) != 2 or missing:
        raise SystemExit(
            f"'{recordings}': two speakers are wanted, and there is none called {', '.join(missing) or '?'}"
        )
    for file in files:
        _, speaker, index = file.stem.split("_")
        part = "test" if int(index) < ASIDE else "train"
        place = folder / (part if speaker in speakers else f"others/{part}") / speaker
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)


@dataclass(frozen=True)
class Recordings:
    """Waveforms `[n, 1, length]`, each with its highest peak at 0.95, the digits `[n]` and the numbers of the speakers `[n]`."""

    x: Tensor
    digits: Tensor
    speakers: Tensor


class Voices:
    """Reads folders of recordings of the same speakers, `names`, as the judges hear them; `spec` is of the samples of a run."""

    def __init__(self, folder: Path, spec: AudioSpec) -> None:
        self.folder = folder
        self.spec = spec
        length = max(1, round(SECONDS * spec.sample_rate / spec.hop)) * spec.hop
        self.heard = spec.changed(length=length, normalise="peak", full_scale=1.0)
        self.names = sorted(place.name for place in [*folder.glob("train/*"), *folder.glob("others/train/*")])

    def read(self, place: Path, speaker: str) -> Recordings:
        """The recordings in a folder, all of one speaker."""
        x, names = sounds_at(place, self.heard)
        digits = torch.tensor([int(name.split("_")[0]) for name in names])
        return Recordings(x, digits, torch.full_like(digits, self.names.index(speaker)))

    def all(self, part: str) -> Recordings:
        """Those of all speakers."""
        places = sorted([*self.folder.glob(f"{part}/*"), *self.folder.glob(f"others/{part}/*")])
        parts = [self.read(place, place.name) for place in places]
        return Recordings(*(torch.cat([getattr(p, name) for p in parts]) for name in ("x", "digits", "speakers")))

    def again(self, x: Tensor) -> Tensor:
        """Waveforms as Griffin-Lim makes them again out of what the run's networks see of them."""
        length = min(self.spec.length, x.shape[-1])
        cut = F.pad(x[..., :length], (0, self.spec.length - length))
        made = torch.cat([self.spec.harden(self.spec.relax(part)) for part in cut.split(64)])[..., :length]
        made = 0.95 * made / made.abs().amax(-1, keepdim=True).clamp(min=1e-6)
        return F.pad(made, (0, x.shape[-1] - length))


class Judges:
    """What digit is heard, and whose voice."""

    def __init__(self, voices: Voices) -> None:
        self.bands = Bands.of(voices.spec.sample_rate)
        known = voices.all("train")
        x = torch.cat([known.x, voices.again(known.x)])
        levels = self.bands.levels(x)
        digits, speakers = known.digits.repeat(2), known.speakers.repeat(2)
        self.digits = obtain(x, digits, levels, 10, self.bands, Training())
        self.speakers = obtain(x, speakers, levels, len(voices.names), self.bands, Training())

    @torch.no_grad()
    def shares(self, x: Tensor, digits: Tensor, speakers: Tensor) -> tuple[float, float]:
        """How many of the waveforms `[n, 1, length]` are taken for these digits `[n]`, and how many for these speakers `[n]`."""
        levels = self.bands.levels(x)
        right = self.digits(levels).argmax(1) == digits, self.speakers(levels).argmax(1) == speakers
        return float(right[0].float().mean()), float(right[1].float().mean())


def judge(folder: Path, runs: list[Path]) -> None:
    """Print a line for the judges, and some for each run and direction."""
    spec = gancore.load(runs[0], device="cpu").spec
    assert isinstance(spec, AudioSpec)
    voices = Voices(folder, spec)
    judges = Judges(voices)
    aside = voices.all("test")
    for name, x in {"as they are": aside.x, "made again": voices.again(aside.x)}.items():
        digits, speakers = judges.shares(x, aside.digits, aside.speakers)
        print(f"the judges on {len(x)} recordings kept aside, {name}: digits {digits:.1%}, speakers {speakers:.1%}")
    pair = sorted(place.name for place in (folder / "test").iterdir())
    for run in runs:
        generator = gancore.load(run, device="cpu")
        for source, target in (pair, pair[::-1]):
            given = generator.read_given(folder / "test" / source)
            place = run / "translated" / f"{source}-to-{target}"
            shutil.rmtree(place, ignore_errors=True)
            generator.save(generator.translate(given, to=target), place, given=given)
            real, own = (voices.read(folder / "test" / name, name) for name in (source, target))
            made = voices.read(place, target)
            rows = {
                "translated": made,
                "as it is": real,
                "as it is, made again": Recordings(voices.again(real.x), real.digits, real.speakers),
                "the target's own": own,
            }
            for name, one in rows.items():
                digits, speakers = judges.shares(one.x, one.digits, torch.full_like(one.digits, int(own.speakers[0])))
                print(
                    f"{run} {source} to {target}, {name} ({len(one.x)}): digit {digits:.1%}, target's voice {speakers:.1%}"
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("make")
    first.add_argument("folder", type=Path)
    first.add_argument("--recordings", type=Path, required=True)
    first.add_argument("--speakers", required=True, help="two, with a comma between")
    second = commands.add_parser("judge")
    second.add_argument("folder", type=Path)
    second.add_argument("runs", type=Path, nargs="+")
    arguments = parser.parse_args()
    if arguments.command == "make":
        make(arguments.folder, arguments.recordings, arguments.speakers.split(","))
    else:
        judge(arguments.folder, arguments.runs)


if __name__ == "__main__":
    main()
