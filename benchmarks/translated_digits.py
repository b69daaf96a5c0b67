"""Whether digits stay what they are when they are translated from one set of handwriting to another.

    python benchmarks/translated_digits.py make FOLDER --mnist mnist.npz
    gan run --plugin image --preset domains --data FOLDER/train data.size=32 data.mode=grey --out RUN
    python benchmarks/translated_digits.py judge FOLDER RUN

`make` writes scikit-learn's digits (8x8, enlarged to 20x20 in the middle of 32x32, as MNIST's are) and 10,000 of MNIST's (28x28, with a
border) as pictures, in folders that are called after what they show: no network is told. A fifth of the first and 1,000 of MNIST's test
set are kept aside. `judge` translates these both ways. For each a small CNN that was trained on the target domain alone, each picture
moved by up to 2 pixels, says how many it takes for the digit that the source shows, and gives the features for the Fréchet distance
to the target domain; of the translations, of the sources as they are, and between two sets of real ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

import gancore
from gancore.evaluation.distances import frechet

PASSES = {"mnist": 6, "digits": 25}


def make(folder: Path, mnist: Path) -> None:
    """Write both sets into `train` and `test` of `folder`."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pictures = (digits.images * (255.0 / 16.0)).round().astype(np.uint8)
    order = np.random.RandomState(0).permutation(len(pictures))
    for place, number in enumerate(order):
        large = Image.fromarray(pictures[number]).resize((20, 20), Image.Resampling.BICUBIC)
        part = "test" if place >= 0.8 * len(order) else "train"
        _save(np.pad(np.asarray(large), 6), folder / part / "digits", digits.target[number], place)
    with np.load(mnist) as file:
        for part, count in (("train", 10_000), ("test", 1000)):
            for number, (x, y) in enumerate(zip(file[f"x_{part}"][:count], file[f"y_{part}"][:count], strict=True)):
                _save(np.pad(x, 2), folder / part / "mnist", y, number)


def _save(picture: np.ndarray, folder: Path, label: int, number: int) -> None:
    (folder / str(label)).mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(folder / str(label) / f"{number:05d}.png")


def read(folder: Path) -> tuple[Tensor, Tensor]:
    """Pictures uint8 `[n, 1, 32, 32]` and what they show `[n]`."""
    files = sorted(folder.glob("*/*.png"))
    x = torch.stack([torch.from_numpy(np.array(Image.open(file).convert("L"))) for file in files])[:, None]
    return x, torch.tensor([int(file.parent.name) for file in files])


class Judge(nn.Module):
    """Three convolutions, 64 features, ten logits."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((1, 32), (32, 64), (64, 128)):
            layers += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
        self.features = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(2048, 64), nn.ReLU())
        self.logits = nn.Linear(64, 10)

    @torch.no_grad()
    def look(self, x: Tensor) -> Tensor:
        """Features `[n, 64]` of uint8 pictures."""
        found: Tensor = self.features(x.float() / 127.5 - 1.0)
        return found


def learn(x: Tensor, y: Tensor, passes: int) -> Judge:
    """A judge of pictures, always the same."""
    torch.manual_seed(0)
    judge = Judge().train()
    optimizer = torch.optim.Adam(judge.parameters(), 1e-3)
    for _ in range(passes):
        for rows in torch.randperm(len(x)).split(64):
            moved = torch.roll(x[rows].float() / 127.5 - 1.0, torch.randint(-2, 3, (2,)).tolist(), (2, 3))
            loss = F.cross_entropy(judge.logits(judge.features(moved)), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return judge.eval()


def judge(folder: Path, runs: list[Path]) -> None:
    """Print a line for each run and direction."""
    judges = {name: learn(*read(folder / "train" / name), passes) for name, passes in PASSES.items()}
    for run in runs:
        generator = gancore.load(run, device="cpu")
        for source, target in (("digits", "mnist"), ("mnist", "digits")):
            own = judges[target]
            x, y = read(folder / "test" / source)
            known, (seen, _) = read(folder / "test" / target), read(folder / "train" / target)
            real = own.look(known[0])
            sets = {"translated": generator.translate(x, to=target), "as they are": x}
            parts = []
            for name, pictures in sets.items():
                features = own.look(pictures)
                right = float((own.logits(features).argmax(1) == y).float().mean())
                parts.append(f"{name}: recognised {right:.1%}, Fréchet distance {frechet(features, real):.1f}")
            error = float((own.logits(real).argmax(1) != known[1]).float().mean())
            some = torch.randperm(len(seen), generator=torch.Generator().manual_seed(0))[: len(x)]
            floor = frechet(own.look(seen[some]), real)
            print(f"{run} {source} to {target}: {'; '.join(parts)}; real: {floor:.1f}; the judge's error: {error:.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("make")
    first.add_argument("folder", type=Path)
    first.add_argument("--mnist", type=Path, required=True)
    second = commands.add_parser("judge")
    second.add_argument("folder", type=Path)
    second.add_argument("runs", type=Path, nargs="+")
    arguments = parser.parse_args()
    if arguments.command == "make":
        make(arguments.folder, arguments.mnist)
    else:
        judge(arguments.folder, arguments.runs)


if __name__ == "__main__":
    main()
