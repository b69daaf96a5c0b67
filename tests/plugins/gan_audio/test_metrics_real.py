"""Recordings of spoken digits are recognised, and have no faults that they have not."""

from __future__ import annotations

import pytest
import torch
from support.shared import SHARED, marks
from toys.material import material

from gan_audio.features.judge import Judge
from gan_audio.features.judge import Options as JudgeOptions
from gan_audio.features.mel import Mel
from gan_audio.features.mel import Options as MelOptions
from gan_audio.spec import AudioSpec
from gancore.evaluation.features import Computed
from gancore.evaluation.metrics.classes import ClassAccuracy
from gancore.evaluation.metrics.classes import Options as ClassOptions
from gancore.evaluation.metrics.nearest import NearestSamples
from gancore.evaluation.metrics.nearest import Options as NearestOptions
from gancore.evaluation.records import Samples

RECORDINGS = SHARED / "fsdd" / "recordings"
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPEC = AudioSpec.of(classes=DIGITS)

pytestmark = marks(RECORDINGS)


@pytest.fixture(scope="module")
def digits():
    """Training and test clips with their labels; the data's own split, recordings 0 to 4 of each speaker and digit, is the test."""
    soundfile = pytest.importorskip("soundfile")
    files = sorted(RECORDINGS.glob("*.wav"))
    x = torch.zeros(len(files), 1, SPEC.length)
    labels, test = torch.zeros(len(files), dtype=torch.int64), torch.zeros(len(files), dtype=torch.bool)
    for at, file in enumerate(files):
        digit, _, index = file.stem.split("_")
        wave = torch.from_numpy(soundfile.read(file, dtype="float32")[0])[: SPEC.length]
        x[at, 0, : len(wave)] = wave / wave.abs().max()
        labels[at], test[at] = int(digit), int(index) < 5
    return (x[~test], labels[~test]), (x[test], labels[test])


@pytest.mark.slow
def test_at_least_95_of_100_spoken_digits_are_recognised(digits):
    (train, learnt), (test, truth) = digits
    # Fewer steps than by default, which only makes it harder.
    features = Computed("judge", Judge(JudgeOptions(steps=500), SPEC), train=Samples(train, learnt))
    compared = material(test, test, train, labels=(truth, truth, learnt), features={"judge": features})
    figures = ClassAccuracy(ClassOptions(), SPEC)(compared).figures
    assert figures["class-accuracy-judge"].real >= 0.95
    assert figures["class-accuracy-judge/worst-class"].value >= 0.85


def test_digits_that_were_copied_are_nearer_than_those_that_were_not(digits):
    (train, _), (test, _) = digits
    features = {"mel": Computed("mel", Mel(MelOptions(), SPEC), train=Samples(train))}
    compared = material(0.7 * train[:200], test, train, features=features)
    figures = NearestSamples(NearestOptions(), SPEC)(compared).figures
    assert figures["nearest-mel/exact"].value == 1.0
    assert figures["nearest-mel/near"].real == 0.0
    assert figures["nearest-mel/nearer"].value == 1.0
