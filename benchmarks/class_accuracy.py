"""How well a classifier trained on real images recognises what a run generates.

    python benchmarks/class_accuracy.py digits RUN -n 1000
    python benchmarks/class_accuracy.py mnist RUN -n 2000 --data mnist.npz --classifier-file classifier.pt

`digits`: a support vector classifier on scikit-learn's digits. `mnist`: a small CNN on the training images of an .npz in the
form of keras' mnist.npz. The classifier's own error on held-out real images is printed beside the accuracy, which is worth
no more than the classifier. Conditional runs: share of samples recognised as the class asked for. Every run: share of each class.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import gancore

Classifier = Callable[[Tensor], Tensor]
"""uint8 images [n, 1, height, width] to classes [n]."""


def svc_classifier() -> tuple[Classifier, float]:
    """A classifier of 8x8 digits and its error on a quarter of them that it has not seen."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.svm import SVC

    x, y = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(x, y, test_size=0.25, random_state=0, stratify=y)
    error = 1.0 - SVC(gamma=0.001).fit(train_x, train_y).score(test_x, test_y)
    final = SVC(gamma=0.001).fit(x, y)

    def classifier(images: Tensor) -> Tensor:
        return torch.from_numpy(final.predict(images.flatten(1).numpy() * (16.0 / 255.0)))

    return classifier, error


class SmallCnn(nn.Sequential):
    """Two convolutions and two linear layers."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
            nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10),
        )  # fmt: skip


def cnn_classifier(data: Path, file: Path | None, epochs: int = 4) -> tuple[Classifier, float]:
    """A classifier of 28x28 digits and its error on the real test images; kept in `file`."""
    with np.load(data, allow_pickle=False) as arrays:
        x, y, tx, ty = (torch.from_numpy(arrays[k].copy()) for k in ("x_train", "y_train", "x_test", "y_test"))
    torch.manual_seed(0)
    model = SmallCnn().to(memory_format=torch.channels_last)

    def logits(images: Tensor) -> Tensor:
        return torch.cat([model(part.float().div(127.5).sub(1.0)) for part in images.reshape(-1, 1, 28, 28).split(500)])

    if file is not None and file.exists():
        model.load_state_dict(torch.load(file, weights_only=True))
    else:
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs * (len(x) // 128 + 1))
        for _ in range(epochs):
            for rows in torch.randperm(len(x)).split(128):
                optimizer.zero_grad()
                F.cross_entropy(logits(x[rows]), y[rows].long()).backward()
                optimizer.step()
                schedule.step()
        if file is not None:
            torch.save(model.state_dict(), file)
    model.eval()

    @torch.no_grad()
    def classifier(images: Tensor) -> Tensor:
        return logits(images).argmax(1)

    return classifier, float((classifier(tx) != ty).float().mean())


def verdict(run: Path, classifier: Classifier, error: float, count: int, seed: int) -> dict[str, object]:
    """What `classifier` says of `count` samples of `run`."""
    generator = gancore.load(run)
    samples = generator.sample(count, seed=seed)
    found = classifier(samples)
    labels = generator.labels(count)
    result: dict[str, object] = {"run": str(run), "samples": count, "classifier_error_on_real": round(error, 4)}
    if labels is not None:
        names = torch.tensor([int(c) for c in generator.spec.classes])
        right = found == names[labels]
        result["recognised"] = round(float(right.float().mean()), 4)
        result["worst_class"] = round(min(float(right[labels == c].float().mean()) for c in labels.unique()), 4)
    shares = torch.bincount(found.long(), minlength=10) / count
    result["share_of_each_class"] = [round(s, 4) for s in shares.tolist()]
    unique = len(torch.unique(samples.flatten(1), dim=0))
    result["distinct"] = round(unique / count, 4)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("classifier", choices=["digits", "mnist"])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("-n", type=int, default=1000, help="samples per run")
    parser.add_argument("--seed", type=int, default=0, help="seed of the samples")
    parser.add_argument("--data", type=Path, help="mnist.npz, for the classifier `mnist`")
    parser.add_argument("--classifier-file", type=Path, help="where the trained classifier is kept")
    args = parser.parse_args()
    if args.classifier == "mnist" and args.data is None:
        parser.error("the classifier `mnist` needs --data")
    classifier, error = (
        svc_classifier() if args.classifier == "digits" else cnn_classifier(args.data, args.classifier_file)
    )
    for run in args.runs:
        print(json.dumps(verdict(run, classifier, error, args.n, args.seed)))


if __name__ == "__main__":
    main()
