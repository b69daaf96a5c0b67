"""A judge learns the classes of the training images, once, and sees what they depend on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gan_image.features.judge import Judge, Options, _moved
from gan_image.spec import ImageSpec
from gancore.errors import UsageError
from gancore.evaluation.features import Computed
from gancore.evaluation.files import evaluate_files
from gancore.evaluation.records import Samples
from gancore.nets import kept

SPEC = ImageSpec(shape=(1, 12, 12), classes=("flat", "upright"))


def bars(count, seed=0):
    """A white bar on noise, across or upright: the class."""
    draws = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 128, (count, 1, 12, 12), generator=draws).to(torch.uint8)
    labels = torch.arange(count) % 2
    for image, label in zip(x, labels, strict=True):
        at = int(torch.randint(2, 9, (), generator=draws))
        image[0, at : at + 2] = 255
        if label:
            image[0] = image[0].T.clone()
    return Samples(x, labels)


@pytest.fixture(scope="module")
def judge():
    found = Judge(Options(passes=6), SPEC)
    found.fit(bars(200))
    return found


def test_judge_tells_classes_apart_that_it_was_not_shown(judge):
    new = bars(100, seed=1)
    with torch.no_grad():
        found = judge(new.x)
        right = judge.network.out(found).argmax(dim=1) == new.condition
    assert found.shape == (100, 128)
    assert right.double().mean() > 0.9


def test_the_same_training_images_are_learnt_once(monkeypatch):
    train, new = bars(32), bars(10, seed=1)
    first, again = (Judge(Options(passes=1), SPEC) for _ in range(2))
    first.fit(train)
    monkeypatch.setattr(Judge, "_learn", lambda *_: pytest.fail("it is learnt again"))
    again.fit(train)
    assert again.fingerprint == first.fingerprint
    with torch.no_grad():
        assert torch.equal(again(new.x), first(new.x))


def test_other_images_labels_or_options_make_another_judge(judge):
    some = bars(32)
    prints = {judge.fingerprint}
    for options, samples in (
        (Options(passes=1), some),
        (Options(passes=1, seed=1), some),
        (Options(passes=1), Samples(some.x, 1 - some.condition)),
        (Options(passes=1), bars(32, seed=1)),
    ):
        other = Judge(options, SPEC)
        other.fit(samples)
        prints.add(other.fingerprint)
    assert len(prints) == 5


def test_damaged_weights_are_learnt_again(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_CACHE_DIR", str(tmp_path))
    model, taught = torch.nn.Linear(1, 1), []
    for _ in range(2):
        kept.filled(model, "some", "key", lambda: taught.append(1))
    assert len(taught) == 1
    file = next(tmp_path.rglob("key.safetensors"))
    file.write_bytes(bytes(len(file.read_bytes())))
    with pytest.warns(UserWarning, match="is damaged"):
        kept.filled(model, "some", "key", lambda: taught.append(1))
    assert len(taught) == 2


def test_labels_of_real_files_serve_where_generated_ones_have_none(tmp_path):
    real, generated = bars(40), bars(40, seed=1)
    np.savez(tmp_path / "real.npz", images=real.x.numpy(), labels=real.condition.numpy())
    np.savez(tmp_path / "generated.npz", images=generated.x.numpy())
    found = evaluate_files(
        tmp_path / "generated.npz",
        tmp_path / "real.npz",
        plugin="image",
        metrics=["mind"],
        options={"features": ["judge"], "features.judge.passes": 1},
    )
    assert not found.failures
    assert [*found.figures["mind"]] == ["mind-judge"]


def test_progress_of_learning_is_told(monkeypatch):
    told = []
    train = bars(16)
    features = Computed(
        "judge", Judge(Options(passes=2, seed=7), SPEC), train=train, progress=lambda *words: told.append(words)
    )
    features.of(train)
    assert [word for word in told if word[0] == "training the judge"] == [
        ("training the judge", step, 4) for step in (1, 2, 3, 4)
    ]


def test_images_without_classes_are_refused_with_what_to_do():
    with pytest.raises(UsageError, match="these images have none; sort them into a folder for each class"):
        Judge(Options(), ImageSpec(shape=(1, 12, 12)))
    judge = Judge(Options(), SPEC)
    for condition in (None, torch.zeros(8, dtype=torch.int64)):
        with pytest.raises(UsageError, match="the training images are of one class or none"):
            judge.fit(Samples(bars(8).x, condition))


def test_images_are_moved_by_an_eighth_at_most_and_none_is_bent():
    x = torch.arange(16.0 * 16).view(1, 1, 16, 16).expand(50, -1, -1, -1)
    found = _moved(x, torch.Generator().manual_seed(0))
    middle = found[:, 0, 4:12, 4:12]
    shifts = middle[:, 0, 0] - x[0, 0, 4, 4]
    assert (middle - shifts[:, None, None] == x[:, 0, 4:12, 4:12]).all()
    rows, columns = (shifts / 16).round(), shifts - 16 * (shifts / 16).round()
    assert {*rows.tolist()} == {*columns.tolist()} == {-2.0, -1.0, 0.0, 1.0, 2.0}
