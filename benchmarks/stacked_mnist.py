"""How many of 1,000 modes a generator has: three digits of MNIST as the channels of one picture (Metz et al. 2017).

    python benchmarks/stacked_mnist.py --data mnist.npz --seconds 1800 --recipes small dcgan --out modes.jsonl

128,000 triples of digits, drawn at random and padded to 32x32, are trained on without labels. A classifier of single digits names
those of 26,000 samples, channel by channel. At fractions of the time: triples that were found at least once, and the
Kullback-Leibler divergence, in nats, of the triples' shares from equal ones; beside both what as many real triples have, which
the classifier's own mistakes count in, too. Recipes, their times and their names are those of `time_to_quality.py`.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path

import numpy as np
import torch
from class_accuracy import Classifier, cnn_classifier
from time_to_quality import RECIPES, Data, note, read, train
from torch import Tensor
from torch.nn import functional as F

TRIPLES = 128_000


def stacked(digits: Tensor, count: int, seed: int) -> Tensor:
    """`count` pictures uint8 `[count, 3, 32, 32]` of three digits each, from `digits` `[n, 28, 28]`."""
    places = torch.randint(len(digits), (count, 3), generator=torch.Generator().manual_seed(seed))
    return F.pad(digits, (2, 2, 2, 2))[places]


def modes(images: Tensor, classifier: Classifier) -> tuple[int, float]:
    """The number of triples that `images` `[n, 3, 32, 32]` show, and the divergence of their shares from equal ones."""
    digits = classifier(images[:, :, 2:-2, 2:-2].reshape(-1, 1, 28, 28)).view(-1, 3)
    counts = torch.bincount(digits @ torch.tensor([100, 10, 1]), minlength=1000)
    shares = counts[counts > 0] / len(images)
    return len(shares), float((shares * shares.log()).sum()) + math.log(1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="an .npz in the form of keras' mnist.npz")
    parser.add_argument("--seconds", type=float, default=1800.0, help="of CPU time, for each training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--recipes", nargs="+", default=["small", *RECIPES])
    parser.add_argument("--width", type=int, default=32, help="of the textbooks' networks")
    parser.add_argument("--count", type=int, default=26_000, help="samples")
    parser.add_argument("--classifier-file", type=Path, help="where the trained classifier is kept")
    parser.add_argument("--out", type=Path, default=Path("stacked_mnist.jsonl"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    classifier, _ = cnn_classifier(args.data, args.classifier_file)
    with np.load(args.data, allow_pickle=False) as arrays:
        digits, others = (torch.from_numpy(arrays[key].copy()) for key in ("x_train", "x_test"))
    real, divergence = modes(stacked(others, args.count, 1), classifier)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "triples.npy"
        np.save(file, stacked(digits, TRIPLES, 0).numpy())
        pictures = read(str(file), None)
        data = Data(pictures.train, pictures.held_out[:1].expand(args.count, -1, -1, -1), pictures.settings)
        for seed in args.seeds:
            for name in args.recipes:
                for seconds, samples in train(name, data, args.seconds, seed, args.width):
                    found, distance = modes(samples, classifier)
                    row = {"recipe": name, "seed": seed, "seconds": round(seconds, 1), "modes": found}
                    row |= {
                        "divergence": round(distance, 4),
                        "real_modes": real,
                        "real_divergence": round(divergence, 4),
                    }
                    note(row, args.out)


if __name__ == "__main__":
    main()
