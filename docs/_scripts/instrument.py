"""Makes the pictures and sounds of the tutorial "From a trained run to an instrument", with the commands that it shows.

Run by hand, from the root of the repository, with the demos as `gan run --plugin image`, `audio` and `music` leave them:

    python docs/_scripts/instrument.py runs/image-001 runs/audio-001 runs/music-001 docs/assets/instrument

The runs are copied, so that nothing is added to them. Copies of runs that have directions keep these; the others get theirs.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import soundfile
from PIL import Image, ImageDraw

import gancore
from gan_audio.attributes import attack, brightness, pitch
from gan_music.attributes import mean_pitch, notes_per_bar

PICTURES, SOUNDS, MUSIC = "runs/image-001", "runs/audio-001", "runs/music-001"
A4 = 69
"""As a MIDI number."""
COLOURS = 96
"""In the palettes of pictures, which makes a sheet a third as large."""


def main() -> None:
    """Repeat the tutorial in an empty folder, and take what the page shows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for run in ("image", "audio", "music"):
        parser.add_argument(run, type=Path, help=f"folder of a finished demo of the {run} plugin")
    parser.add_argument("out", type=Path, help="folder for the files, below docs/assets")
    asked = parser.parse_args()
    out = asked.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        for run, name in ((asked.image, PICTURES), (asked.audio, SOUNDS), (asked.music, MUSIC)):
            shutil.copytree(run, Path(place, name), ignore=shutil.ignore_patterns("generated", "walks", "projected"))
        os.chdir(place)
        pictures(out)
        sounds(out)
        music(out)


def gan(line: str, *more: str) -> None:
    """The command `gan` with the words of `line` and `more`, told with what it prints."""
    words = [*line.split(), *more]
    print("$ gan", *words, flush=True)
    subprocess.run([sys.executable, "-m", "gan_cli", *words], check=True)


def directions(run: str, *settings: str) -> None:
    """Find those of a run, unless it brought some."""
    if not Path(run, "directions").exists():
        gan(f"directions {run}", *settings)


def pictures(out: Path) -> None:
    """The part with blossoms."""
    directions(PICTURES)
    gan(f"sample {PICTURES} -n 12 --seed 5 --out plain")
    gan(f"walk {PICTURES} --between 5,5:2,5:10 --frames 24 --loop writers.walk.side=96 --out walk")
    gan(f"sample {PICTURES} -n 12 --seed 5 --edit petal-hue=-2 --edit eye-size=+1.5 --out edited")
    gan(f"sample {PICTURES} -n 12 --seed 5 --truncation 0.3 --out typical")
    gan(f"sample {PICTURES} -n 12 --seed 5 --out mixed --class", "0.5*3+0.5*8")
    flower().save("flower.png")
    gan(f"project {PICTURES} flower.png --class 5 --out mine")
    one = "mine/sample-00000-class5.png"
    gan(f"sample {PICTURES} --recipe {one} --edit petal-hue=-2 --out blue")
    gan(f"sample {PICTURES} --around {one} --spread 0.3 -n 12 --out like-it")
    gan(f"explain {PICTURES} --sample {one} --out why")
    gan(f"sample {PICTURES} --recipe blue --out again")
    assert Path("again/sample-00000-class5.png").read_bytes() == Path("blue/sample-00000-class5.png").read_bytes()
    for folder in ("plain", "edited", "typical", "mixed", "mine", "like-it"):
        keep(Path(folder, "sheet.png"), out / f"{folder}.png")
    keep(Path("blue/sample-00000-class5.png"), out / "blue.png", scale=4)
    keep(Path("why/false.png"), out / "false.png")
    keep(Path("why/nearest.png"), out / "nearest.png")
    for name in ("petal-hue", "eye-size"):
        keep(Path(PICTURES, "directions", f"{name}.png"), out / f"{name}.png")
    shutil.copyfile("walk/walk.gif", out / "walk.gif")


def flower() -> Image.Image:
    """A picture that the run has never seen: an orange flower with five petals, all of one colour."""
    image = Image.new("RGB", (300, 260), (30, 80, 50))
    pen = ImageDraw.Draw(image)
    for petal in range(5):
        angle = 2 * math.pi * petal / 5 - math.pi / 2
        x, y = 150 + 60 * math.cos(angle), 130 + 60 * math.sin(angle)
        pen.ellipse([x - 38, y - 38, x + 38, y + 38], fill=(230, 120, 40))
    pen.ellipse([128, 108, 172, 152], fill=(245, 215, 60))
    return image


def sounds(out: Path) -> None:
    """The part with notes."""
    directions(SOUNDS, "attributes=brightness,attack,loudness,duration")
    for name, less, more in (("brightness", "darker", "brighter"), ("attack", "sharper", "gentler")):
        edited(SOUNDS, name, {less: "-2", "note": "0", more: "+2"}, "A4", out, quality=0.3)
    keep(Path(SOUNDS, "directions/brightness.png"), out / "brightness.png", colours=48)
    gan(f"walk {SOUNDS} --between 0,1,2 --class A4 --frames 12 --out sound-walk")
    pack(Path("sound-walk/walk.wav"), out / "sound-walk.mp3", 0.3)


def music(out: Path) -> None:
    """The part with phrases."""
    directions(MUSIC)
    for name, less, more in (("notes-per-bar", "sparser", "denser"), ("mean-pitch", "lower", "higher")):
        edited(MUSIC, name, {less: "-1.5", "phrase": "0", more: "+1.5"}, "C major", out, quality=0.9)
    keep(Path(MUSIC, "directions/notes-per-bar.png"), out / "notes-per-bar.png", colours=32)


def edited(run: str, name: str, amounts: dict[str, str], label: str, out: Path, quality: float) -> None:
    """One sample at several edits, to be heard, and what its attribute then is; told for 64 samples as well."""
    for folder, amount in amounts.items():
        if Path(folder).exists():  # the sample without edits
            continue
        gan(f"sample {run} -n 1 --seed 3 --edit {name}={amount} --out {folder} --class", label)
        pack(Path(folder, "sheet.wav"), out / f"{folder}.mp3", quality)
    measure = {"brightness": brightness, "attack": attack, "mean-pitch": mean_pitch, "notes-per-bar": notes_per_bar}
    generator = gancore.load(run, device="cpu")
    own = measure[name](generator.spec)  # type: ignore[operator]
    from gancore.latent import directions as kept
    from gancore.latent.address import Address
    from gancore.latent.steering import Steering

    steering = Steering(generator, kept.load(Path(run)).steps)
    for amount in amounts.values():
        addresses = [
            Address(seed=3, position=number, classes={label: 1.0}, edits={name: float(amount)}) for number in range(64)
        ]
        samples = steering.sample(addresses)
        values = own(samples)
        print(f"{name} {amount}: {float(values[0]):.4g}, mean of 64 {float(values.nanmean()):.4g}")
        if run == SOUNDS:
            near = (pitch(generator.spec)(samples) - A4).abs() < 0.5  # type: ignore[arg-type]
            print(f"within a quarter tone of A4: {int(near.sum())} of 64")


def keep(source: Path, target: Path, *, colours: int = COLOURS, scale: int = 1) -> None:
    """A picture with few colours."""
    with Image.open(source) as image:
        large = image.convert("RGB").resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
        large.quantize(colours).save(target, optimize=True)


def pack(source: Path, target: Path, quality: float) -> None:
    """A sound as MP3, of `quality` from 0, the best, to 1."""
    sound, rate = soundfile.read(source)
    soundfile.write(target, sound, rate, format="MP3", compression_level=quality)


if __name__ == "__main__":
    main()
