"""The engine's metrics on sets whose figures are known, and each figure moves as what it stands for gets worse."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gancore.data.spec import SampleSpec
from gancore.evaluation.distances import frechet, kernel, mind
from gancore.evaluation.features import Computed
from gancore.evaluation.metrics.classes import ClassAccuracy
from gancore.evaluation.metrics.classes import Options as ClassOptions
from gancore.evaluation.metrics.frechet import Frechet
from gancore.evaluation.metrics.frechet import Options as FrechetOptions
from gancore.evaluation.metrics.kernel import Kernel
from gancore.evaluation.metrics.kernel import Options as KernelOptions
from gancore.evaluation.metrics.mind import Mind
from gancore.evaluation.metrics.mind import Options as MindOptions
from gancore.evaluation.metrics.nearest import NearestSamples
from gancore.evaluation.metrics.nearest import Options as NearestOptions
from gancore.evaluation.metrics.neighbours import Neighbours
from gancore.evaluation.metrics.neighbours import Options as NeighbourOptions
from gancore.evaluation.metrics.vendi import Vendi
from gancore.evaluation.records import Figure, Material, Samples, faults

CLASSES = ("left", "middle", "right")
SPEC = SampleSpec(shape=(6,), dtype="float32", value_range=(-100.0, 100.0), classes=CLASSES)
METRICS = {
    "mind": Mind(MindOptions(directions=100), SPEC),
    "frechet": Frechet(FrechetOptions(extrapolate=True), SPEC),
    "kernel": Kernel(KernelOptions(subsets=5, subset_size=100), SPEC),
    "neighbours": Neighbours(NeighbourOptions(), SPEC),
    "vendi": Vendi(SPEC),
    "nearest": NearestSamples(NearestOptions(), SPEC),
    "class-accuracy": ClassAccuracy(ClassOptions(), SPEC),
}


class Same:
    fingerprint = ""

    def __call__(self, x):
        return x


def points(count, seed, *, classes=(0, 1, 2), spread=1.0):
    """Three clouds in a row, one a class."""
    draws = torch.Generator().manual_seed(seed)
    condition = torch.tensor(classes)[torch.arange(count) % len(classes)]
    x = torch.randn(count, 6, generator=draws) * spread
    x[:, 0] += 6.0 * (condition - 1)
    return Samples(x, condition)


def material(generated, *, real=None, train=None, held_out=True, **more):
    train = train or points(300, 1)
    real = real or (points(120, 2) if held_out else train.part(slice(120)))
    return Material(
        generated=generated,
        real=real,
        train=train,
        held_out=held_out,
        features={"f": Computed("f", Same(), train=train)},
        **more,
    )


def figures(name, *args, **kwargs):
    answer = METRICS[name](material(*args, **kwargs))
    assert not faults(answer)
    return answer.figures


@pytest.mark.parametrize("held_out", [True, False])
@pytest.mark.parametrize("name", [name for name in METRICS if name != "kernel"])
def test_good_samples_have_the_figures_of_real_ones(name, held_out):
    for label, figure in figures(name, points(120, 5), held_out=held_out).items():
        if (beside := figure.floor if figure.floor is not None else figure.real) is not None:
            assert figure.value == pytest.approx(beside, rel=0.5, abs=0.35), label


@pytest.mark.parametrize("name", METRICS)
def test_other_generators_stand_beside(name):
    found = figures(name, points(120, 3), others={"rival": points(120, 4, spread=3.0)})
    for label, figure in found.items():
        if not label.endswith(("worst-class", "left", "middle", "right", "at-infinity")) and label != "classifier-f":
            assert set(figure.others) == {"rival"}, label


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_few_samples_are_no_fault(name, count):
    answer = METRICS[name](material(points(count, 3), real=points(count, 2), train=points(count, 1)))
    assert not faults(answer)


def test_distances_are_those_of_the_sets_where_there_are_spare_real_samples():
    generated, real, train = points(120, 3, spread=2.0), points(120, 2), points(300, 1)
    found = figures("mind", generated, real=real, train=train)["mind-f"]
    assert found.value == pytest.approx(mind(generated.x, real.x, directions=100))
    assert found.floor == pytest.approx(mind(train.x[:120], real.x, directions=100))
    found = figures("frechet", generated, real=real, train=train)["frechet-f"]
    assert found.value == pytest.approx(frechet(generated.x, real.x))
    assert found.floor == pytest.approx(frechet(train.x[:120], real.x))
    found = figures("kernel", generated, real=real, train=train)
    expected = kernel(generated.x, real.x, subsets=5, subset_size=100)
    assert (found["kernel-f"].value, found["kernel-deviation-f"].value) == (
        pytest.approx(expected[0]),
        pytest.approx(expected[1]),
    )


def test_without_spare_real_samples_halves_of_them_are_compared():
    generated, train = points(100, 3, spread=2.0), points(100, 1)
    found = figures("mind", generated, train=train, real=train.part(slice(100)), held_out=False)["mind-f"]
    g, r = generated.x, train.x
    assert found.floor == pytest.approx(mind(r[:50], r[50:], directions=100))
    assert found.value == pytest.approx(
        (mind(g[:50], r[:50], directions=100) + mind(g[50:], r[50:], directions=100)) / 2
    )


def test_where_nothing_was_held_out_the_floor_is_of_samples_that_are_not_the_real_ones():
    train = points(300, 1)
    found = figures("mind", points(120, 3), train=train, held_out=False)["mind-f"]
    assert found.floor == pytest.approx(mind(train.x[120:240], train.x[:120], directions=100))


def test_frechet_distance_is_of_principal_components_where_samples_are_few():
    answer = METRICS["frechet"](material(points(40, 3), real=points(40, 2)))
    assert [n for n in answer.figures if "infinity" not in n] == ["frechet-f-pca4"]
    assert answer.notes == ("frechet-f-pca4: of 40 samples in each set, too few for all 6 features",)
    all_of_them = Frechet(FrechetOptions(components=0), SPEC)(material(points(40, 3), real=points(40, 2)))
    assert list(all_of_them.figures) == ["frechet-f"]


def test_features_may_have_figures_of_other_names_but_not_for_principal_components():
    named = Same()
    named.figure_names = {"frechet": "fid", "kernel": "kid"}

    def names(metric, count):
        sets = material(points(count, 3), real=points(count, 2))
        features = {"f": Computed("f", named, train=sets.train)}
        return {*metric(replace(sets, features=features)).figures}

    assert names(METRICS["frechet"], 120) >= {"fid", "fid/at-infinity"}
    assert "frechet-f-pca4" in names(METRICS["frechet"], 40)
    assert names(METRICS["kernel"], 40) == {"kid", "kernel-deviation-f"}
    assert "mind-f" in names(METRICS["mind"], 40)


@pytest.mark.parametrize(
    ("name", "figure", "falls"),
    [
        ("mind", "mind-f", False),
        ("frechet", "frechet-f", False),
        ("neighbours", "precision-f", True),
        ("neighbours", "density-f", True),
        ("class-accuracy", "class-accuracy-f", True),
    ],
)
def test_figure_moves_with_every_step_of_more_noise(name, figure, falls):
    values = [figures(name, points(120, 3, spread=spread))[figure].value for spread in (1.4, 1.7, 2.1, 2.6, 3.2)]
    assert values == sorted(values, reverse=falls)
    assert len(set(values)) == 5


def test_kernel_distance_of_good_samples_is_nothing_beside_that_of_bad_ones():
    good, *bad = (
        figures("kernel", points(120, 3, spread=spread))["kernel-f"].value for spread in (1.0, 5.0, 7.0, 10.0)
    )
    assert all(value > 5 * abs(good) for value in bad)


@pytest.mark.parametrize(
    ("name", "figure"), [("neighbours", "recall-f"), ("neighbours", "coverage-f"), ("vendi", "vendi-f")]
)
def test_figure_falls_with_every_step_of_less_variety(name, figure):
    values = [figures(name, points(120, 3, spread=spread))[figure].value for spread in (0.5, 0.35, 0.2, 0.1, 0.05)]
    assert values == sorted(values, reverse=True)


def test_coverage_and_distance_show_a_missing_class_that_precision_does_not():
    whole, part = (points(120, 3, classes=classes) for classes in ((0, 1, 2), (0, 1)))
    before, after = figures("neighbours", whole), figures("neighbours", part)
    assert after["coverage-f"].value < before["coverage-f"].value - 0.2
    assert after["precision-f"].value > before["precision-f"].value - 0.1
    assert figures("mind", part)["mind-f"].value > 5 * figures("mind", whole)["mind-f"].value


def test_each_copy_of_a_training_sample_is_counted():
    train = points(300, 1)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        count = int(120 * share)
        mixed = Samples(torch.cat([train.x[:count], points(120, 3).x[count:]]), points(120, 3).condition)
        found = figures("nearest", mixed, train=train)
        assert found["nearest-f/exact"].value == pytest.approx(share)
        assert found["nearest-f/near"].value == pytest.approx(share, abs=0.05)
        assert found["authenticity-f"].value <= 1.0 - share
        assert found["nearest-f/nearer"].value >= 0.4 + share / 2


def test_training_samples_are_not_copies_of_themselves():
    train = points(300, 1)
    found = figures("nearest", points(120, 3), train=train, held_out=False)
    assert found["nearest-f/exact"].real == 0.0
    assert found["nearest-f/distance"].real > 0.1


def test_a_training_sample_that_is_there_twice_is_a_copy():
    train = points(300, 1)
    train = Samples(torch.cat([train.x[:150], train.x[:150]]), train.condition)
    found = figures("nearest", points(120, 3), train=train, held_out=False)
    assert found["nearest-f/distance"].real == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("repeats", [True, False])
def test_what_is_frequent_in_training_comes_again_by_right_where_samples_may(repeats):
    class Spec(SampleSpec):
        pass

    Spec.repeats = repeats
    once, twice = points(100, 1).x, points(50, 4).x
    train = Samples(torch.cat([once, twice, twice]), points(200, 0).condition)
    given = material(Samples(torch.cat([twice, points(50, 3).x])), real=points(100, 2), train=train)
    spec = Spec(shape=(6,), dtype="float32", value_range=(-100.0, 100.0))
    found = NearestSamples(NearestOptions(), spec)(given).figures
    assert found["nearest-f/exact"].value == 0.5
    assert found["nearest-f/exact"].real == 0.5 * repeats
    assert found["nearest-f/near"].real == pytest.approx(0.5 * repeats, abs=0.02)


def test_class_accuracy_counts_samples_of_another_class_than_asked_for():
    generated = points(120, 3)
    for wrong in (0, 30, 60, 90, 120):
        asked = generated.condition.clone()
        asked[:wrong] = (asked[:wrong] + 1) % 3
        found = figures("class-accuracy", Samples(generated.x, asked))
        assert found["class-accuracy-f"].value == pytest.approx(1 - wrong / 120, abs=0.03)
    assert found["class-accuracy-f"].real == pytest.approx(1.0, abs=0.03)
    assert {f"class-accuracy-f/{name}" for name in CLASSES} <= set(found)


def test_a_classifier_that_has_learnt_one_class_too_few_errs_on_real_samples():
    found = figures("class-accuracy", points(120, 3, classes=(0, 1)))
    assert found["classifier-f"].value == pytest.approx(2 / 3, abs=0.05)
    assert found["classifier-f"].real > 0.9


def test_samples_without_classes_have_no_figures_of_classes():
    plain = Samples(points(120, 3).x)
    assert METRICS["class-accuracy"](material(plain)).figures == {}
    assert list(METRICS["mind"](material(plain)).figures) == ["mind-f"]


def test_figures_of_a_class_are_those_of_its_samples_and_stand_beside_their_mean():
    generated, real, train = points(120, 3, spread=2.0), points(120, 2), points(300, 1)
    found = figures("mind", generated, real=real, train=train)
    for number, name in enumerate(CLASSES):
        ours, theirs, others = (one.x[one.condition == number] for one in (generated, real, train))
        assert found[f"mind-f/{name}"].value == pytest.approx(mind(ours, theirs, directions=100))
        assert found[f"mind-f/{name}"].floor == pytest.approx(mind(others[:40], theirs, directions=100))
    mean = sum(found[f"mind-f/{name}"].value for name in CLASSES) / 3
    assert found["mind-f/within-classes"].value == pytest.approx(mean)


def test_figures_of_single_classes_are_left_out_where_there_are_many():
    metric = Mind(MindOptions(directions=10, listed=2), SPEC)
    assert [*metric(material(points(120, 3))).figures] == ["mind-f", "mind-f/within-classes"]


def test_frechet_distance_of_classes_is_of_as_many_components_as_the_smallest_allows():
    found = figures("frechet", points(120, 3), real=points(120, 2))
    assert "frechet-f" in found
    within = [found[f"frechet-f-pca4/{name}"].value for name in CLASSES]  # 40 samples of each
    assert found["frechet-f-pca4/within-classes"].value == pytest.approx(sum(within) / 3)
    generated, real = points(120, 3), points(120, 2)
    whole = Frechet(FrechetOptions(components=0), SPEC)(material(generated, real=real)).figures
    expected = frechet(generated.x[generated.condition == 2], real.x[real.condition == 2])
    assert whole["frechet-f/right"].value == pytest.approx(expected)


def test_coverage_within_classes_shows_the_class_that_has_collapsed():
    generated = points(120, 3)
    generated.x[generated.condition == 1] = generated.x[1].clone()
    found = figures("neighbours", generated)
    assert found["coverage-f/middle"].value < 0.3
    assert found["coverage-f/left"].value > 0.8
    assert found["coverage-f/within-classes"].value < 0.8


def test_vendi_score_is_of_all_samples_where_only_one_set_has_classes():
    own, real = points(120, 3), points(120, 3)
    found = METRICS["vendi"](material(own, real=Samples(real.x))).figures["vendi-f"]
    assert found.value == pytest.approx(found.real)


def test_vendi_score_is_that_within_classes():
    one_of_each = Samples(torch.eye(6), torch.tensor([0, 0, 0, 1, 1, 1]))
    found = METRICS["vendi"](material(one_of_each, real=one_of_each)).figures
    assert found["vendi-f"].value == pytest.approx(3.0)
    assert found["distinct-f"] == Figure(value=1.0, real=1.0)
