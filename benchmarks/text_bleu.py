"""BLEU of the sentences that Texygen published, beside the figures that it printed; and how long nltk takes for the same.

    python benchmarks/text_bleu.py ../shared/data/texygen

The folder holds `image_coco.txt` (training captions), `test_coco.txt` and `instances/MODEL.txt`, from `data` and `docs/instances` of
github.com/geek-ai/Texygen. For each model there is a line of what was published (Zhu et al. 2018, its `docs/evaluation.md`) and
one of what is found here, of BLEU against the test and the training captions and of self-BLEU. Backward BLEU and the share of
different sentences were not published; backward hypotheses are the first 2,000 test captions.

The line `real` has training captions in the place of samples. Times are of one process, after the sentences have been split into
words. Those of nltk are of a few sentences against as many references as there are, since all of them would take hours.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gan_text.metrics.bleu import Floats, References, Sentences
from gan_text.metrics.words import Words, coded, split

TRAIN, TEST = "image_coco.txt", "test_coco.txt"
MODELS = {
    "MLE": "mle",
    "SeqGAN": "seq",
    "MaliGAN": "maligan",
    "RankGAN": "rank",
    "LeakGAN": "leakgan",
    "TextGAN": "textgan",
}
"""Names in the table, and of their files."""
COLUMNS = ("test", "train", "self")
PUBLISHED: dict[str, dict[str, tuple[float, float, float, float]]] = {
    "MLE": {
        "test": (0.731, 0.497, 0.305, 0.189),
        "train": (0.921, 0.768, 0.570, 0.392),
        "self": (0.916, 0.769, 0.583, 0.408),
    },
    "SeqGAN": {
        "test": (0.745, 0.498, 0.294, 0.180),
        "train": (0.917, 0.747, 0.530, 0.348),
        "self": (0.950, 0.840, 0.670, 0.489),
    },
    "MaliGAN": {
        "test": (0.673, 0.432, 0.257, 0.159),
        "train": (0.887, 0.697, 0.482, 0.312),
        "self": (0.918, 0.781, 0.606, 0.437),
    },
    "RankGAN": {
        "test": (0.743, 0.467, 0.264, 0.156),
        "train": (0.937, 0.799, 0.601, 0.414),
        "self": (0.959, 0.882, 0.762, 0.618),
    },
    "LeakGAN": {
        "test": (0.746, 0.528, 0.355, 0.230),
        "train": (0.926, 0.816, 0.660, 0.470),
        "self": (0.966, 0.913, 0.848, 0.780),
    },
    "TextGAN": {
        "test": (0.593, 0.463, 0.277, 0.207),
        "train": (0.650, 0.645, 0.596, 0.523),
        "self": (0.942, 0.931, 0.804, 0.746),
    },
}
"""BLEU-2 to BLEU-5."""
BACKWARD = 2000
ORDER = 5


def main() -> None:
    """The table, and the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="with image_coco.txt, test_coco.txt and instances/")
    parser.add_argument("--nltk", type=int, default=20, help="sentences that nltk scores, to be compared with; 0: none")
    args = parser.parse_args()
    begin = time.perf_counter()
    texts = read(args.folder)
    sentences = dict(zip(texts, coded(*texts.values()), strict=True))
    print(f"{sum(map(len, texts.values())):,} sentences read and split in {time.perf_counter() - begin:.1f} s\n")
    print(
        "| model | | BLEU-2..5, test | BLEU-2..5, training | self-BLEU-2..5 | backward BLEU-2..5 | unique | seconds |"
    )
    print("|---|---|---|---|---|---|---|---|")
    train, test = (References(sentences[name], ORDER) for name in (TRAIN, TEST))
    farthest = 0.0
    for name in MODELS:
        begin = time.perf_counter()
        found = scores(sentences[name], train, test)
        seconds = time.perf_counter() - begin
        unique = len(set(texts[name])) / len(texts[name])
        printed = PUBLISHED[name]
        print(f"| {name} | published | " + " | ".join(row(printed[column]) for column in COLUMNS) + " | | | |")
        print(f"| | here | {' | '.join(map(row, found.values()))} | {unique:.3f} | {seconds:.2f} |")
        farthest = max(farthest, *(float(np.abs(found[c] - printed[c]).max()) for c in COLUMNS))
    real = scores(sentences[TRAIN], None, test)
    print(
        f"| real | here | {' | '.join(map(row, real.values()))} | {len(set(texts[TRAIN])) / len(texts[TRAIN]):.3f} | |"
    )
    print(f"\nlargest difference from a published figure: {farthest:.4f}")
    if args.nltk:
        print(json.dumps(against_nltk(texts["MLE"], texts[TEST], args.nltk)))


def read(folder: Path) -> dict[str, list[Words]]:
    """The sentences of each file in words: of both sets of captions under their file's name, of models under theirs."""
    files = {TRAIN: TRAIN, TEST: TEST} | {name: f"instances/{stem}.txt" for name, stem in MODELS.items()}
    return {
        name: [split(line) for line in (folder / file).read_text(encoding="utf-8").splitlines()]
        for name, file in files.items()
    }


def scores(samples: Sentences, train: References | None, test: References) -> dict[str, Floats]:
    """The mean BLEU-2 to BLEU-5 of each kind; against the training captions it is 1 for themselves, where `train` is None."""
    own = References(samples, ORDER)
    found = {
        "test": test.score(samples),
        "train": np.ones((1, ORDER)) if train is None else train.score(samples),
        "self": own.score_selves(),
        "backward": own.score(test.sentences.head(BACKWARD)),
    }
    return {name: values.mean(axis=0)[1:] for name, values in found.items()}


def row(values: Sequence[float] | Floats) -> str:
    """Figures in a cell."""
    return " ".join(f"{value:.3f}" for value in values)


def against_nltk(hypotheses: list[Words], references: list[Words], count: int) -> dict[str, float]:
    """Seconds a sentence of nltk and here, and the largest difference between their scores."""
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    weights = [(1 / n,) * n for n in range(2, ORDER + 1)]
    begin = time.perf_counter()
    theirs = [sentence_bleu(references, one, weights, SmoothingFunction().method1) for one in hypotheses[:count]]
    nltk = (time.perf_counter() - begin) / count
    begin = time.perf_counter()
    own, table = coded(hypotheses, references)
    ours = References(table, ORDER).score(own)
    here = (time.perf_counter() - begin) / len(hypotheses)
    return {
        "references": len(references),
        "nltk_seconds_a_sentence": round(nltk, 4),
        "seconds_a_sentence": round(here, 7),
        "ratio": round(nltk / here),
        "largest_difference": float(np.abs(ours[:count, 1:] - np.array(theirs)).max()),
    }


if __name__ == "__main__":
    main()
