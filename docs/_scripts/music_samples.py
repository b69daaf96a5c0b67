"""Makes a page of phrases that a trained run of the music plugin composes: piano rolls, sound to play, and MIDI files.

Run by hand, from the root of the repository:

    python docs/_scripts/music_samples.py runs/music-001 docs/assets/music/demo > docs/reference/music-samples.md

The phrases are the first ones of the seed, spread over the classes; none is chosen by ear.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import soundfile
import torch
from torch import Tensor

import gancore
from gan_music.spec import MusicSpec
from gan_music.writers.midi import MidiOptions, MidiWriter
from gan_music.writers.roll import COLOURS, RollOptions, RollWriter
from gan_music.writers.wav import WavOptions, WavWriter

PAGES = Path("docs/reference")
QUALITY = 0.8
"""Of MP3, in soundfile's measure from 0, the best, to 1: about 30 kbit/s here, a twelfth of the WAV."""


def main() -> None:
    """Write the files, and print the page."""
    arguments = parse()
    generator = gancore.load(arguments.run, device="cpu")
    spec = generator.spec
    if not isinstance(spec, MusicSpec):
        raise SystemExit(f"'{arguments.run}' is no run of the music plugin")
    labels = generator.labels(arguments.number)
    if labels is not None:  # spread over all classes, where there are more than phrases
        labels = torch.arange(arguments.number) * max(1, spec.class_count // arguments.number) % spec.class_count
    samples = generator.sample(arguments.number, seed=arguments.seed, condition=labels)
    names = [f"phrase {n + 1}" for n in range(arguments.number)]
    if labels is not None:
        names = [spec.classes[label] for label in labels.tolist()]
    files = [
        write(samples[n : n + 1], spec, arguments.out, f"{arguments.out.name}-{n + 1}") for n in range(arguments.number)
    ]
    print(page(arguments, spec, generator.step, names, files))


def parse() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("out", type=Path, help="folder for the files, below docs/assets")
    parser.add_argument("--title", default="Music samples", help="heading of the page")
    parser.add_argument("--trained-by", default="gan run --plugin music", help="the command that made the run")
    parser.add_argument("--number", type=int, default=6, help="how many phrases")
    parser.add_argument("--seed", type=int, default=0, help="decides the phrases")
    return parser.parse_args()


def write(sample: Tensor, spec: MusicSpec, out: Path, stem: str) -> dict[str, Path]:
    """The files of one phrase `[1, tracks, time, pitch]`, by their kind."""
    (roll,) = RollWriter(RollOptions(step_pixels=16, pitch_pixels=8), spec).write(sample, out, stem)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (midi,) = MidiWriter(MidiOptions(), spec).write(sample, folder, stem)
        (wav,) = WavWriter(WavOptions(phrases=1), spec).write(sample, folder, stem)
        sound, rate = soundfile.read(wav)
        soundfile.write(out / f"{stem}.mp3", sound, rate, format="MP3", compression_level=QUALITY)
        midi.replace(out / f"{stem}.mid")
    return {"roll": roll, "sound": out / f"{stem}.mp3", "midi": out / f"{stem}.mid"}


def page(arguments: Any, spec: MusicSpec, step: int, names: list[str], files: list[dict[str, Path]]) -> str:
    """The page as Markdown, with links from where the pages of the reference are."""
    colours = " &ensp; ".join(
        f'<span style="color: rgb{colour}">&#9632;</span> {track.name}'
        for track, colour in zip(spec.tracks, COLOURS, strict=False)
    )
    more = "" if arguments.title == "Music samples" else f" --title '{arguments.title}'"
    more += "" if arguments.trained_by == "gan run --plugin music" else f" --trained-by '{arguments.trained_by}'"
    more += f" --number {arguments.number}" * (arguments.number != 6) + f" --seed {arguments.seed}" * (
        arguments.seed != 0
    )
    classes = f"The headings are the classes that were asked for, out of {spec.class_count}. " * bool(spec.classes)
    text = f"""# {arguments.title}

Phrases of {spec.bars} bars, composed by a run of {step:,} steps:

```bash
{arguments.trained_by}
```

They are the first {len(files)} of seed {arguments.seed}; none was chosen by ear. {classes}Each picture is a piano roll: time
runs to the right, pitch upwards, a note begins in the full colour and goes on in a paler one. The plugin's own plain
instruments play them; [with a sound font](../how-to/own-music.md#sound) they sound as that does.

{colours}
"""
    for number, (name, file) in enumerate(zip(names, files, strict=True), 1):
        roll, sound, midi = (Path("..", *file[kind].parts[1:]).as_posix() for kind in ("roll", "sound", "midi"))
        text += f"""
## {number}. {name}

![Piano roll of phrase {number}]({roll})

<audio controls preload="none" src="{sound}"></audio>
[{sound.rpartition(".")[2].upper()} file]({sound}), [MIDI file]({midi})
"""
    return f"""{text}
## How this page was made

```bash
python docs/_scripts/music_samples.py RUN {arguments.out.as_posix()}{more}
```

`RUN` is the folder that the first command made."""


if __name__ == "__main__":
    main()
