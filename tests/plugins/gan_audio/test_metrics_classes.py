"""A classifier learns the classes at hand, and what it hears becomes figures that other libraries have too."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from toys.material import material
from toys.sounds import RATE, noise, tone

from gan_audio.metrics import classes, classifier
from gan_audio.metrics.classifier import Classifier, Training, augmented, hear, obtain, train
from gan_audio.metrics.levels import Bands
from gan_audio.spec import AudioSpec
from gancore.evaluation.records import Samples, faults

BANDS = Bands.of(RATE)
LENGTH = 2048
STEPS = 80
"""Enough for sounds as unlike as these."""
SPEC = AudioSpec.of(length=LENGTH, classes=("low", "high", "noise"))


def sounds(each, seed=0):
    """So many low tones, high tones and bursts of noise, and their classes."""
    draws = torch.Generator().manual_seed(seed)
    spread = torch.rand(each, generator=draws).tolist()
    low = [tone(300.0 + 100.0 * s, LENGTH, amplitude=0.5, phase=s) for s in spread]
    high = [tone(1500.0 + 500.0 * s, LENGTH, amplitude=0.5, phase=s) for s in spread]
    x = torch.cat([torch.stack(low), torch.stack(high), noise(each, LENGTH, seed=seed)])
    order = torch.randperm(len(x), generator=draws)
    return x[order], torch.arange(3).repeat_interleave(each)[order]


def found(generated, asked, *, real=None, train=None, held_out=True, spec=SPEC, **options):
    real, train = real or sounds(10, seed=1), train or sounds(30)
    labels = (asked, real[1], train[1])
    compared = material(generated, real[0], train[0], labels=labels, held_out=held_out)
    figures = classes.build(classes.Options(**{"steps": STEPS, **options}), spec)(compared)
    assert not faults(figures)
    return figures


# --- the classifier ---------------------------------------------------------------------------------------------------


def test_classifier_recognises_sounds_that_it_has_not_heard():
    x, labels = sounds(30)
    model = train(BANDS.levels(x), labels, 3, Training(steps=STEPS))
    other, truth = sounds(20, seed=7)
    assert torch.equal(hear(model, BANDS.levels(other)).classes, truth)


def test_same_clips_give_the_same_classifier_and_another_seed_another():
    x, labels = sounds(8)
    levels = BANDS.levels(x)
    first = train(levels, labels, 3, Training(steps=5)).state_dict()
    torch.rand(3)
    second = train(levels, labels, 3, Training(steps=5)).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = train(levels, labels, 3, Training(steps=5, seed=1)).state_dict()
    assert not torch.equal(first["out.weight"], other["out.weight"])


def test_kept_classifier_is_read_instead_of_trained_again(monkeypatch):
    x, labels = sounds(8)
    levels = BANDS.levels(x)
    kept = obtain(x, labels, levels, 3, BANDS, Training(steps=3), keep=True)

    def refuse(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(classifier, "train", refuse)
    again = obtain(x, labels, levels, 3, BANDS, Training(steps=3), keep=True)
    assert torch.equal(hear(again, levels).probabilities, hear(kept, levels).probabilities)
    changed = [
        (x * 0.5, labels, 3, Training(steps=3)),
        (x, labels.flip(0), 3, Training(steps=3)),
        (x, labels, 4, Training(steps=3)),
        (x, labels, 3, Training(steps=4)),
        (x, labels, 3, Training(steps=3, width=8)),
    ]
    for waves, classed, count, training in changed:
        with pytest.raises(AssertionError, match="trained again"):
            obtain(waves, classed, levels, count, BANDS, training, keep=True)
    with pytest.raises(AssertionError, match="trained again"):
        obtain(x, labels, levels, 3, BANDS, Training(steps=3), keep=False)


@pytest.mark.parametrize("keep", [True, False])
def test_obtaining_a_classifier_leaves_global_random_numbers_alone(keep):
    x, labels = sounds(4)
    before = torch.get_rng_state()
    for _ in range(2):
        obtain(x, labels, BANDS.levels(x), 3, BANDS, Training(steps=1), keep=keep)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("damage", ["cut in half", "flipped bit"])
def test_damaged_file_of_the_cache_is_replaced(tmp_path, damage):
    x, labels = sounds(8)
    levels = BANDS.levels(x)
    first = obtain(x, labels, levels, 3, BANDS, Training(steps=3), keep=True)
    (file,) = (tmp_path / "cache" / "classifiers").glob("*.safetensors")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if damage == "cut in half" else whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.warns(UserWarning, match="damaged"):
        second = obtain(x, labels, levels, 3, BANDS, Training(steps=3), keep=True)
    assert torch.equal(first.out.weight, second.out.weight)
    assert file.read_bytes() == whole


def test_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GAN_CACHE_DIR", str(tmp_path / "file"))
    x, labels = sounds(4)
    assert isinstance(obtain(x, labels, BANDS.levels(x), 3, BANDS, Training(steps=2), keep=True), Classifier)


def test_augmented_levels_stay_in_range_and_silence_stays_silent():
    draws = torch.Generator().manual_seed(0)
    levels = BANDS.levels(sounds(4)[0])
    changed = augmented(levels, draws)
    assert changed.shape == levels.shape
    assert not torch.equal(changed, levels)
    assert 0.0 <= float(changed.amin()) <= float(changed.amax()) <= 1.0
    assert float(augmented(torch.zeros(3, 64, 16), draws).abs().amax()) == 0.0


# --- figures of what it hears -----------------------------------------------------------------------------------------


def test_inception_score_is_the_number_of_classes_that_are_told_apart():
    assert classes.inception_score(torch.eye(5).repeat(4, 1)) == pytest.approx(5.0)
    assert classes.inception_score(torch.eye(5)[[0] * 8]) == pytest.approx(1.0)
    assert classes.inception_score(torch.full((8, 5), 0.2)) == pytest.approx(1.0)


def test_inception_score_is_the_exponential_of_the_mean_divergence():
    stats = pytest.importorskip("scipy.stats")
    p = torch.rand(50, 7, generator=torch.Generator().manual_seed(0)).double()
    p /= p.sum(dim=1, keepdim=True)
    wanted = math.exp(np.mean([stats.entropy(row, p.mean(dim=0)) for row in p]))
    assert classes.inception_score(p) == pytest.approx(wanted)


def test_sounds_of_the_class_asked_for_are_accurate():
    x, asked = sounds(10, seed=3)
    figures = found(x, asked)
    assert {figures[name].value for name in ("accuracy", "worst-class", "classifier-accuracy")} == {1.0}
    assert figures["accuracy"].real == 1.0
    assert figures["inception-score"].value == pytest.approx(3.0, abs=0.3)


def test_accuracy_falls_where_another_class_is_heard():
    x, asked = sounds(10, seed=3)
    # Where noise was asked for, low tones are heard.
    wrong = torch.where((asked == 2)[:, None, None], x[asked == 0].repeat(3, 1, 1), x)
    figures = found(wrong, asked)
    assert figures["accuracy"].value == pytest.approx(2 / 3)
    assert figures["worst-class"].value == 0.0
    by_class = {name: figures[f"accuracy/{name}"].value for name in SPEC.classes}
    assert by_class == {"low": 1.0, "high": 1.0, "noise": 0.0}
    assert figures["accuracy/noise"].real == 1.0


def test_collapsed_generator_has_a_low_inception_score_and_a_large_distance():
    x, asked = sounds(10, seed=3)
    figures = found(x[asked == 0][:1].repeat(30, 1, 1), asked)
    assert figures["inception-score"].value == pytest.approx(1.0, abs=1e-6)
    assert figures["inception-score"].real > 2.5
    assert figures["frechet-distance"].value > 5.0 * figures["frechet-distance"].floor


def test_sounds_without_labels_are_told_apart_by_clusters():
    (x, _), (real, _), (train, _) = sounds(10, seed=3), sounds(10, seed=1), sounds(30)
    spec = SPEC.changed(classes=())
    figures = found(x, None, real=(real, None), train=(train, None), spec=spec, clusters=3)
    assert set(figures) == {"classifier-accuracy", "inception-score", "frechet-distance"}
    assert figures["classifier-accuracy"].value > 0.9
    assert figures["inception-score"].value == pytest.approx(3.0, abs=0.5)


def test_many_classes_have_no_line_of_their_own():
    x, asked = sounds(4)
    spec = SPEC.changed(classes=tuple(f"class {n}" for n in range(21)))
    assert not [name for name in found(x, asked, spec=spec, steps=2) if name.startswith("accuracy/")]


def test_few_clips_have_figures():
    one = (noise(1, LENGTH), torch.tensor([2]))
    for held_out in (True, False):
        found(*one, real=one, train=one, held_out=held_out, steps=2)


def test_sets_of_equal_size_are_compared_with_halves():
    heard = [
        classifier.Heard(
            torch.randn(count, 4, generator=torch.Generator().manual_seed(count)).double(), torch.ones(count, 1)
        )
        for count in (500, 40)
    ]
    value, floor = classes.against_halves(*heard)
    again, _ = classes.against_halves(heard[1], heard[1])
    assert value == pytest.approx(floor, rel=1.5)
    assert again == pytest.approx(0.0, abs=1e-6)


def test_training_clips_kept_back_are_not_learnt_from():
    x, labels = sounds(10)
    compared = material(x, x, x, labels=(labels,) * 3, held_out=False)
    learnt, unseen = classes._parts(compared, True)
    assert (len(learnt), len(unseen)) == (24, 6)
    assert sorted(float(one.sum()) for one in torch.cat([learnt.x, unseen.x])) == sorted(float(one.sum()) for one in x)
    assert isinstance(unseen, Samples)
    assert unseen.condition is not None


def test_held_out_clips_are_heard_and_all_training_clips_learnt_from():
    x, labels = sounds(4)
    compared = material(x[:3], x[3:6], x[6:], labels=(labels[:3], labels[3:6], labels[6:]))
    learnt, unseen = classes._parts(compared, True)
    assert torch.equal(learnt.x, x[6:])
    assert torch.equal(unseen.x, x[3:6])


def test_held_out_clips_without_labels_do_not_measure_the_classifier():
    x, labels = sounds(10)
    compared = material(x, x, x, labels=(labels, None, labels))
    learnt, unseen = classes._parts(compared, True)
    assert (len(learnt), len(unseen)) == (24, 6)
