"""Every figure that Texygen published of the sentences that it published is found again."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from support.shared import SHARED, marks

ROOT = Path(__file__).parents[3]
SENTENCES = SHARED / "texygen"

pytestmark = marks(SENTENCES)

OWN = {
    "MLE": (0.998, (0.746, 0.516, 0.318, 0.195)),
    "SeqGAN": (0.997, (0.654, 0.435, 0.264, 0.162)),
    "MaliGAN": (0.994, (0.706, 0.452, 0.266, 0.161)),
    "RankGAN": (0.968, (0.633, 0.396, 0.230, 0.140)),
    "LeakGAN": (0.707, (0.673, 0.434, 0.261, 0.161)),
    "TextGAN": (0.032, (0.222, 0.111, 0.067, 0.048)),
}
"""Share of different sentences and backward BLEU-2 to BLEU-5, by another program for the same protocol."""
REAL = {
    "test": (0.740, 0.520, 0.337, 0.218),
    "self": (0.892, 0.747, 0.574, 0.416),
    "backward": (0.797, 0.582, 0.383, 0.246),
}
"""Of the training captions, by the same program."""


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("text_bleu", ROOT / "benchmarks" / "text_bleu.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def texts(bench):
    return bench.read(SENTENCES)


@pytest.fixture(scope="module")
def found(bench, texts):
    sentences = dict(zip(texts, bench.coded(*texts.values()), strict=True))
    train, test = (bench.References(sentences[name]) for name in (bench.TRAIN, bench.TEST))
    figures = {name: bench.scores(sentences[name], train, test) for name in bench.MODELS}
    return figures | {"real": bench.scores(sentences[bench.TRAIN], None, test)}


@pytest.mark.parametrize("model", OWN)
@pytest.mark.parametrize("column", ["test", "train", "self"])
def test_published_figures_are_found(bench, found, model, column):
    assert found[model][column] == pytest.approx(bench.PUBLISHED[model][column], abs=0.002)


@pytest.mark.parametrize("model", OWN)
def test_variety_and_coverage_are_those_of_another_program(texts, found, model):
    unique, backward = OWN[model]
    assert len(set(texts[model])) / len(texts[model]) == pytest.approx(unique, abs=0.002)
    assert found[model]["backward"] == pytest.approx(backward, abs=0.002)


def test_real_captions_have_the_figures_of_another_program(found):
    for column, wanted in REAL.items():
        assert found["real"][column] == pytest.approx(wanted, abs=0.002)
