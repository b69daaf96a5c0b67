"""A classifier learns the classes at hand, and what it makes of sounds tells classes apart, noisy and late ones too."""

from __future__ import annotations

import pytest
import torch
from toys.material import material
from toys.sounds import RATE, noise, tone

from gan_audio.features import judge
from gan_audio.features.judge import Classifier, Judge, Options, Training, augmented, obtain, train
from gan_audio.metrics.levels import Bands
from gan_audio.spec import AudioSpec
from gancore.evaluation.features import Computed
from gancore.evaluation.metrics.classes import ClassAccuracy
from gancore.evaluation.metrics.classes import Options as ClassOptions
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


# --- the classifier ---------------------------------------------------------------------------------------------------


def test_classifier_recognises_sounds_that_it_has_not_heard():
    x, labels = sounds(30)
    model = train(BANDS.levels(x), labels, 3, Training(steps=STEPS))
    other, truth = sounds(20, seed=7)
    assert torch.equal(model(BANDS.levels(other)).argmax(dim=1), truth)


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
    kept = obtain(x, labels, levels, 3, BANDS, Training(steps=3))

    def refuse(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(judge, "train", refuse)
    again = obtain(x, labels, levels, 3, BANDS, Training(steps=3))
    assert torch.equal(again(levels), kept(levels))
    changed = [
        (x * 0.5, labels, 3, Training(steps=3)),
        (x, labels.flip(0), 3, Training(steps=3)),
        (x, labels, 4, Training(steps=3)),
        (x, labels, 3, Training(steps=4)),
        (x, labels, 3, Training(steps=3, width=8)),
    ]
    for waves, classed, count, training in changed:
        with pytest.raises(AssertionError, match="trained again"):
            obtain(waves, classed, levels, count, BANDS, training)


def test_obtaining_a_classifier_leaves_global_random_numbers_alone():
    x, labels = sounds(4)
    before = torch.get_rng_state()
    for _ in range(2):
        obtain(x, labels, BANDS.levels(x), 3, BANDS, Training(steps=1))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("damage", ["cut in half", "flipped bit"])
def test_damaged_file_of_the_cache_is_replaced(tmp_path, damage):
    x, labels = sounds(8)
    levels = BANDS.levels(x)
    first = obtain(x, labels, levels, 3, BANDS, Training(steps=3))
    (file,) = (tmp_path / "cache" / "judges").glob("*.safetensors")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if damage == "cut in half" else whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.warns(UserWarning, match="damaged"):
        second = obtain(x, labels, levels, 3, BANDS, Training(steps=3))
    assert torch.equal(first.out.weight, second.out.weight)
    assert file.read_bytes() == whole


def test_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GAN_CACHE_DIR", str(tmp_path / "file"))
    x, labels = sounds(4)
    assert isinstance(obtain(x, labels, BANDS.levels(x), 3, BANDS, Training(steps=2)), Classifier)


def test_augmented_levels_stay_in_range_and_silence_stays_silent():
    draws = torch.Generator().manual_seed(0)
    levels = BANDS.levels(sounds(4)[0])
    changed = augmented(levels, draws)
    assert changed.shape == levels.shape
    assert not torch.equal(changed, levels)
    assert 0.0 <= float(changed.amin()) <= float(changed.amax()) <= 1.0
    assert float(augmented(torch.zeros(3, 64, 16), draws).abs().amax()) == 0.0


# --- its last layer but one as features -------------------------------------------------------------------------------


def accuracy(generated, asked, *, held_out=True):
    """Figures of the engine's metric, of features that are trained as far as sounds so unlike need it."""
    (x, learnt), (real, truth) = sounds(30), sounds(10, seed=1)
    real, truth = (real, truth) if held_out else (x[:30], learnt[:30])
    features = {"judge": Computed("judge", Judge(Options(steps=STEPS), SPEC), train=Samples(x, learnt))}
    compared = material(generated, real, x, labels=(asked, truth, learnt), held_out=held_out, features=features)
    measured = ClassAccuracy(ClassOptions(), SPEC)(compared)
    assert not faults(measured)
    return measured.figures


@pytest.mark.parametrize("held_out", [True, False])
def test_sounds_of_the_class_asked_for_are_accurate(held_out):
    figures = accuracy(*sounds(10, seed=3), held_out=held_out)
    assert figures["class-accuracy-judge"].value == figures["class-accuracy-judge"].real == 1.0
    assert figures["class-accuracy-judge/worst-class"].value == 1.0


def test_accuracy_falls_where_another_class_is_heard():
    x, asked = sounds(10, seed=3)
    # Where noise was asked for, low tones are heard.
    wrong = torch.where((asked == 2)[:, None, None], x[asked == 0].repeat(3, 1, 1), x)
    figures = accuracy(wrong, asked)
    assert figures["class-accuracy-judge"].value == pytest.approx(2 / 3)
    assert figures["class-accuracy-judge/worst-class"].value == 0.0
    by_class = {name: figures[f"class-accuracy-judge/{name}"].value for name in SPEC.classes}
    assert by_class == {"low": 1.0, "high": 1.0, "noise": 0.0}
    assert figures["class-accuracy-judge/noise"].real == 1.0


def test_sounds_without_labels_are_told_apart_by_clusters():
    (x, _), (other, kinds) = sounds(30), sounds(10, seed=3)
    features = Judge(Options(steps=STEPS, clusters=3), SPEC.changed(classes=()))
    features.fit(Samples(x))
    found = features(other)
    centres = torch.stack([found[kinds == kind].mean(dim=0) for kind in range(3)])
    assert torch.equal(torch.cdist(found, centres).argmin(dim=1), kinds)


def test_the_first_half_of_the_training_clips_is_not_learnt_from():
    x, labels = sounds(4)
    features, others = Judge(Options(steps=2), SPEC), Judge(Options(steps=2), SPEC)
    features.fit(Samples(x, labels))
    others.fit(Samples(torch.cat([noise(6, LENGTH, seed=9), x[6:]]), labels))
    assert features.fingerprint == others.fingerprint
    others.fit(Samples(torch.cat([x[:6], noise(6, LENGTH, seed=9)]), labels))
    assert features.fingerprint != others.fingerprint


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_clips_have_features(count):
    for spec, labels in ((SPEC, torch.arange(count)), (SPEC.changed(classes=()), None)):
        features = Judge(Options(steps=2), spec)
        features.fit(Samples(noise(count, LENGTH), labels))
        assert features(noise(3, LENGTH)).shape == (3, 128)
