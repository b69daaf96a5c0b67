"""Makes a page of sounds that a trained run of the audio plugin makes: spectrograms to look at, and files to play.

Run by hand, from the root of the repository:

    python docs/_scripts/audio_samples.py runs/audio-001 docs/assets/audio/demo > docs/reference/audio-samples.md

The sounds are the first ones of the seed, spread over the classes; none is chosen by ear.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import soundfile
import torch
from torch import Tensor

import gancore
from gan_audio.spec import AudioSpec
from gan_audio.writers.common import Voice
from gan_audio.writers.sequence import SequenceOptions, SequenceWriter
from gan_audio.writers.sheet import SheetOptions, SheetWriter
from gan_audio.writers.spectrogram import SpectrogramOptions, SpectrogramWriter
from gan_audio.writers.wav import WavOptions

TITLE, TRAINED_BY, NUMBER = "Audio samples", "gan run --plugin audio", 6
QUALITY = 0.3
"""Of MP3 and OGG, in soundfile's measure from 0, the best, to 1."""


def main() -> None:
    """Write the files, and print the page."""
    arguments = parse()
    generator = gancore.load(arguments.run, device="cpu")
    spec = generator.spec
    if not isinstance(spec, AudioSpec):
        raise SystemExit(f"'{arguments.run}' is no run of the audio plugin")
    if spec.given_shape is not None:
        raise SystemExit(f"'{arguments.run}' makes nothing of its own: a part of each sample must be given")
    labels = spread(arguments.number, spec.class_count)
    samples = generator.sample(arguments.number, seed=arguments.seed, condition=labels)
    # The vocoder has its say once, and pictures show what is heard.
    samples = torch.from_numpy(Voice(WavOptions(vocoder=arguments.vocoder), spec).waves(samples))[:, None]
    classes = None if labels is None else labels.tolist()
    names = [f"Sound {n + 1}" for n in range(arguments.number)]
    if classes is not None:
        names = [f"{n + 1}. {spec.classes[label]}" for n, label in enumerate(classes)]
    files = [
        write(samples[n : n + 1], spec, arguments, n + 1, classes and classes[n : n + 1])
        for n in range(arguments.number)
    ]
    together(samples, spec, arguments, classes)
    print(page(arguments, spec, generator.step, names, files, real(arguments)))


def parse() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("out", type=Path, help="folder for the files, below docs/assets")
    parser.add_argument("--title", default=TITLE, help="heading of the page")
    parser.add_argument("--trained-by", default=TRAINED_BY, help="the command that made the run")
    parser.add_argument("--number", type=int, default=NUMBER, help="how many sounds")
    parser.add_argument("--seed", type=int, default=0, help="decides the sounds")
    parser.add_argument("--format", choices=("wav", "mp3", "ogg"), default="wav", help="of the files of sound")
    parser.add_argument("--frequency", choices=("linear", "mel", "log"), default="linear", help="axis of spectrograms")
    parser.add_argument("--vocoder", type=Path, help="folder of a run that makes the waveforms")
    return parser.parse_args()


def spread(number: int, classes: int) -> Tensor | None:
    """Classes of the sounds `[number]`, spread over all where there are more classes than sounds; None without classes."""
    return torch.arange(number) * max(1, classes // number) % classes if classes else None


def write(sample: Tensor, spec: AudioSpec, arguments: Any, number: int, label: list[int] | None) -> tuple[Path, Path]:
    """The picture and the sound of one sample `[1, 1, length]`."""
    stem = f"{arguments.out.name}-{number}"
    (picture,) = SpectrogramWriter(SpectrogramOptions(frequency=arguments.frequency), spec).write(
        sample, arguments.out, stem, label
    )
    (sound,) = SequenceWriter(SequenceOptions(), spec).write(sample, arguments.out, stem)
    return picture.replace(arguments.out / f"{stem}.png"), packed(sound, arguments.format)


def together(samples: Tensor, spec: AudioSpec, arguments: Any, classes: list[int] | None) -> None:
    """The sheet of all samples, and all of them one after another."""
    SheetWriter(SheetOptions(frequency=arguments.frequency), spec).write(samples, arguments.out, "all", classes)
    (sound,) = SequenceWriter(SequenceOptions(), spec).write(samples, arguments.out, "all", classes)
    packed(sound, arguments.format)


def real(arguments: Any) -> bool:
    """Copy the run's sheet of real samples and its sound beside the others, where the run kept them."""
    folder = arguments.run / "samples" / "real"
    found = [folder / "real.png", folder / "real.wav"]
    if not all(path.is_file() for path in found):
        return False
    for path in found:
        shutil.copyfile(path, arguments.out / path.name)
    packed(arguments.out / "real.wav", arguments.format)
    return True


def packed(path: Path, form: str) -> Path:
    """The WAV file at `path` in another format, in its place."""
    if form == "wav":
        return path
    sound, rate = soundfile.read(path)
    target = path.with_suffix(f".{form}")
    soundfile.write(target, sound, rate, format=form.upper(), compression_level=QUALITY)
    path.unlink()
    return target


def page(
    arguments: Any, spec: AudioSpec, step: int, names: list[str], files: list[tuple[Path, Path]], compared: bool
) -> str:
    """The page as Markdown, with links from where the pages of the reference are."""

    def link(path: Path) -> str:
        return Path("..", *path.parts[1:]).as_posix()

    def shown(words: str, picture: Path, sound: Path) -> str:
        player = f'<audio controls preload="none" src="{link(sound)}"></audio>'
        return f"![{words}]({link(picture)})\n\n{player}\n[{sound.suffix[1:].upper()} file]({link(sound)})\n"

    def sheet(words: str, stem: str) -> str:
        return shown(words, arguments.out / f"{stem}.png", arguments.out / f"{stem}.{arguments.format}")

    more = "".join(
        f" --{name} '{value}'" if " " in str(value) else f" --{name} {value}"
        for name, value, usual in (
            ("title", arguments.title, TITLE),
            ("trained-by", arguments.trained_by, TRAINED_BY),
            ("number", arguments.number, NUMBER),
            ("seed", arguments.seed, 0),
            ("format", arguments.format, "wav"),
            ("frequency", arguments.frequency, "linear"),
            ("vocoder", arguments.vocoder, None),
        )
        if value != usual
    )
    made = "waveforms" if spec.representation == "waveform" else f"spectrograms (`{spec.representation}`)"
    spoken = "" if arguments.vocoder is None else " A vocoder made the waveforms out of them."
    classes = f" The headings are the classes that were asked for, out of {spec.class_count}." * bool(spec.classes)
    text = f"""# {arguments.title}

Sounds of {spec.seconds:.2f} s at {spec.sample_rate:,} Hz, made by a run of {step:,} steps:

```bash
{arguments.trained_by}
```

They are the first {len(files)} of seed {arguments.seed}; none was chosen by ear.{classes} The generator makes {made}.{spoken} In
each picture time runs to the right and frequency upwards, and lighter is louder; the waveform is below.

## All of them

{sheet(f"Spectrograms of all {len(files)} sounds", "all")}"""
    if compared:
        text += f"\n## Real sounds, to compare\n\n{sheet('Spectrograms of sounds of the data set', 'real')}"
    for number, (name, (picture, sound)) in enumerate(zip(names, files, strict=True), 1):
        text += f"\n## {name}\n\n{shown(f'Spectrogram of sound {number}', picture, sound)}"
    return f"""{text}
## How this page was made

```bash
python docs/_scripts/audio_samples.py RUN {arguments.out.as_posix()}{more}
```

`RUN` is the folder that the first command made."""


if __name__ == "__main__":
    main()
