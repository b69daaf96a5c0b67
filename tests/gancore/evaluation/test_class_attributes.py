"""Classes as attributes: the log-odds of a classifier that has learnt the training samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from gancore.configuration.configure import configure
from gancore.configuration.settings import Settings
from gancore.data.report import ScanReport, silent
from gancore.errors import UsageError
from gancore.evaluation.attributes import Attributes
from gancore.evaluation.class_attributes import class_attributes
from gancore.evaluation.classifier import LinearClassifier
from gancore.plugins import Registry
from gancore.testing.points_parts import Points

CIRCLES = "gancore.testing.points_parts.open_circles"


def halves(options: Any, progress: Any, classes: tuple[str, ...] = ("left", "right", "rare")) -> Points:
    """Points of two classes either side of a line, the half of them so near to it that they overlap, and 10 of a third."""
    del progress
    torch.manual_seed(0)
    labels = torch.arange(1000) % 2
    points = torch.stack([(0.3 * torch.randn(1000) + 0.5 * (2 * labels - 1)).clamp(-1, 1), torch.rand(1000)], dim=1)
    labels[:10] = 2
    report = ScanReport(source="halves", found=1000, used=1000)
    return Points(points, labels, classes, report) if options.labels else Points(points, None, (), report)


def settings(toy: str, labels: bool = True) -> Settings:
    return configure(Registry(), plugin=toy, layers=[{"data": {"labels": labels}}])


def attributes(toy: str, *classes: str, labels: bool = True) -> Attributes:
    of_run = settings(toy, labels)
    return class_attributes(Registry(), of_run, of_run.data.build(silent).spec, classes or ("all",))


@pytest.mark.parametrize("count", [2, 3])
def test_log_odds_are_those_of_scikit_learn_s_probabilities(count: int) -> None:
    torch.manual_seed(0)
    classes = torch.arange(90) % count + 4
    features = torch.randn(90, 5) + 0.3 * classes[:, None] * torch.randn(5)
    classifier = LinearClassifier(features, classes, 1.0)
    known = torch.from_numpy(classifier.model.predict_proba(classifier._scaled(features).numpy())).double()
    assert classifier.learnt == [4, 5, 6][:count]
    torch.testing.assert_close(
        classifier.log_odds(features).double(), (known / (1.0 - known)).log(), rtol=1e-3, atol=1e-3
    )


def test_a_class_has_the_log_odds_of_samples_and_words(toy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CIRCLES, halves)
    found = attributes(toy, "right")
    assert list(found.measures) == ["class:class-right"]
    record = found.records["class:class-right"]
    assert (record.less, record.more, record.unit) == ("less right", "more right", "log-odds")
    values = found.measure(torch.tensor([[-0.9, 0.5], [0.0, 0.5], [0.9, 0.5]]))["class:class-right"]
    assert values[0] < -3.0 < -1.0 < values[1] < 1.0 < 3.0 < values[2]


def test_a_run_without_labels_has_the_classes_of_its_data(toy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CIRCLES, halves)
    points = torch.rand(5, 2)
    wanted = attributes(toy, "right").measure(points)
    assert torch.equal(
        attributes(toy, "right", labels=False).measure(points)["class:class-right"], wanted["class:class-right"]
    )


def test_classes_that_cannot_be_told_are_left_out_with_a_reason(toy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # No line tells a circle from one around it.
    circles = attributes(toy)
    assert not circles.measures
    assert {name: why.rpartition(":")[0] for name, why in circles.left_out.items()} == dict.fromkeys(
        ("class-inner", "class-outer"), "the classifier hardly tells it from others"
    )
    monkeypatch.setattr(CIRCLES, halves)
    found = attributes(toy)
    assert list(found.measures) == ["class:class-left", "class:class-right"]
    assert found.left_out == {"class-rare": "only 10 of 1,000 training samples are of it"}


def test_data_that_are_gone_or_have_no_classes_are_told(toy: str, tmp_path: Path) -> None:
    file = tmp_path / "points.txt"
    file.write_text("0.5 0.5\n" * 30)
    of_run = configure(Registry(), plugin=toy, data=file)
    spec = of_run.data.build(silent).spec
    assert class_attributes(Registry(), of_run, spec, ["all"]).left_out == {
        "classes": "the training data have no classes"
    }
    file.unlink()
    told = class_attributes(Registry(), of_run, spec, ["all"]).left_out["classes"]
    assert told.startswith("the training data cannot be read: ")
    assert "points.txt" in told


def test_a_class_that_there_is_not_is_refused(toy: str) -> None:
    with pytest.raises(UsageError, match="no class 'middle' in the training data; there are inner, outer"):
        attributes(toy, "inner", "middle")
