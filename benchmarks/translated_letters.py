"""Whether letters of one typeface become those of another, by pairs.

    F=/usr/share/fonts/truetype/dejavu/DejaVu
    python benchmarks/translated_letters.py make FOLDER --sans ${F}Sans.ttf ${F}Sans-Bold.ttf --serif ${F}Serif.ttf ${F}Serif-Bold.ttf
    gan run --plugin image --preset pairs --data FOLDER/train data.source=folders data.size=64 --out RUN
    python benchmarks/translated_letters.py judge FOLDER RUN

`make` draws every letter and digit of Unicode that both typefaces have, each picture once, white on black. A tenth of the letters are
kept aside, in all styles. `judge` has these translated, and says how much of the strokes is where it should be (intersection over
union, a stroke being what is lighter than half), and for how many the nearest letter of the target typeface, by pixels, and the name
that a CNN gives are the right ones; of the translations, of the letters as they are, and of the partners of the nearest letters that
were trained on. The CNN has learnt all letters of the target typeface, a little moved, smeared and disturbed.
"""

from __future__ import annotations

import argparse
import unicodedata
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn
from torch.nn import functional as F

import gancore

SIDES = ("sans", "serif")
PASSES = 40


def make(folder: Path, fonts: dict[str, list[Path]], size: int) -> None:
    """Write pairs of all styles into `train/sans`, `train/serif`, `test/sans` and `test/serif` of `folder`."""
    letters: list[int] = []
    for style, (sans, serif) in enumerate(zip(*fonts.values(), strict=True)):
        faces = [ImageFont.truetype(str(file), round(0.62 * size)) for file in (sans, serif)]
        letters = letters if style else drawn_by(faces, size)
        aside = set(np.random.RandomState(0).permutation(letters)[: len(letters) // 10].tolist())
        for code in letters:
            for side, face in zip(SIDES, faces, strict=True):
                place = folder / ("test" if code in aside else "train") / side
                place.mkdir(parents=True, exist_ok=True)
                picture(face, code, size).save(place / f"{code:05x}-{style}.png")
    print(f"{len(letters)} letters, {len(aside)} of them kept aside, in {style + 1} styles")


def drawn_by(faces: list[ImageFont.FreeTypeFont], size: int) -> list[int]:
    """The letters and digits that all `faces` have, whole and unlike what stands for a missing one and unlike every other."""
    chosen: dict[bytes, int] = {}
    missing = [picture(face, 0x10FFFF, size).tobytes() for face in faces]
    for code in range(33, 0x3000):
        if unicodedata.category(chr(code)) not in ("Ll", "Lu", "Lo", "Nd"):
            continue
        boxes = [face.getbbox(chr(code), anchor="ms") for face in faces]
        if any(
            b[2] - b[0] > size - 2 or b[3] - b[1] < 2 or b[1] < 3 - 0.72 * size or b[3] > 0.28 * size - 3 for b in boxes
        ):
            continue
        pictures = [picture(face, code, size).tobytes() for face in faces]
        if not any(one == other for one, other in zip(pictures, missing, strict=True)):
            chosen.setdefault(pictures[1], code)
    return sorted(chosen.values())


def picture(face: ImageFont.FreeTypeFont, code: int, size: int) -> Image.Image:
    """A letter in the middle, its baseline always as high."""
    canvas = Image.new("L", (size, size))
    ImageDraw.Draw(canvas).text((size / 2, round(0.72 * size)), chr(code), font=face, fill=255, anchor="ms")
    return canvas


def read(folder: Path) -> tuple[Tensor, list[str]]:
    """Pictures uint8 `[n, 1, height, width]` and what they are called."""
    files = sorted(folder.glob("*.png"))
    return torch.stack([torch.from_numpy(np.array(Image.open(f).convert("L"))) for f in files])[:, None], [
        f.stem for f in files
    ]


def learn(x: Tensor, y: Tensor, count: int) -> nn.Module:
    """A CNN that names letters `[n, 1, height, width]` by numbers `y` below `count`."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for before, after in ((1, 32), (32, 64), (64, 128), (128, 128)):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
    judge = nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.3), nn.Linear(2048, count)
    ).train()
    optimizer = torch.optim.Adam(judge.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, PASSES)
    for _ in range(PASSES):
        for rows in torch.randperm(len(x)).split(64):
            moved = torch.roll(x[rows].float() / 127.5 - 1.0, torch.randint(-2, 3, (2,)).tolist(), (2, 3))
            if torch.rand(()) < 0.5:
                moved = F.avg_pool2d(moved, 3, 1, 1)
            moved = moved + 0.3 * torch.rand(()) * torch.randn_like(moved)
            loss = F.cross_entropy(judge(moved), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return judge.eval()


@torch.no_grad()
def judge(folder: Path, runs: list[Path]) -> None:
    """Print the lines of the reference, then those of each run."""
    (seen, names), (partners, _) = (read(folder / "train" / side) for side in SIDES)
    (source, asked), (wanted, _) = (read(folder / "test" / side) for side in SIDES)
    # What a letter may be taken for are all of its style.
    every, called = torch.cat([partners, wanted]), names + asked
    codes = sorted({name.partition("-")[0] for name in called})
    number = torch.tensor([codes.index(name.partition("-")[0]) for name in called])
    with torch.enable_grad():
        network = learn(every, number, len(codes))
    style, styles = (torch.tensor([int(name.partition("-")[2]) for name in of]) for of in (called, asked))
    own = torch.arange(len(asked)) + len(names)

    def lines(title: str, made: Tensor) -> None:
        ink, real = made > 127, wanted > 127
        overlap = (ink & real).flatten(1).sum(1) / (ink | real).flatten(1).sum(1).clamp(min=1)
        apart = torch.cdist(made.float().flatten(1), every.float().flatten(1))
        apart[styles[:, None] != style] = torch.inf
        nearest = (apart.argmin(1) == own).float().mean()
        among = (apart[:, len(names) :].argmin(1) + len(names) == own).float().mean()
        logits = torch.cat([network(part.float() / 127.5 - 1.0) for part in made.split(256)])
        right = (logits.argmax(1) == number[own]).float().mean()
        print(
            f"{title}: overlap {overlap.mean():.3f}; nearest to its own among all {nearest:.1%}, among those kept aside {among:.1%}; "
            f"named rightly {right:.1%}"
        )

    lines("real", wanted)
    lines("as they are", source)
    apart = torch.cdist(source.float().flatten(1), seen.float().flatten(1))
    lines("partner of the nearest", partners[apart.argmin(1)])
    for run in runs:
        generator = gancore.load(run, device="cpu")
        lines(str(run), generator.sample(len(source), given=folder / "test" / "sans", seed=0)[:, -1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("make")
    first.add_argument("folder", type=Path)
    for side in SIDES:
        first.add_argument(f"--{side}", type=Path, nargs="+", required=True)
    first.add_argument("--size", type=int, default=64)
    second = commands.add_parser("judge")
    second.add_argument("folder", type=Path)
    second.add_argument("runs", type=Path, nargs="+")
    arguments = parser.parse_args()
    if arguments.command == "make":
        make(arguments.folder, {side: getattr(arguments, side) for side in SIDES}, arguments.size)
    else:
        judge(arguments.folder, arguments.runs)


if __name__ == "__main__":
    main()
