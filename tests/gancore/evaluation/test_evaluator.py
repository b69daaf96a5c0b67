"""Evaluating a run: what is compared with what, which metrics are called, and what is kept."""

from __future__ import annotations

import json
import math
import re
import shutil
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.limits import no_file_above

import gancore
from gancore import checkpoint
from gancore.data.held_out import split
from gancore.data.report import ScanReport, silent
from gancore.errors import CheckpointError, ConfigError, DataError, MissingPackageError, RunFolderError, UsageError
from gancore.evaluation.evaluator import evaluate_steps
from gancore.evaluation.records import Figure
from gancore.evaluation.reference import SEEN
from gancore.testing.points_parts import CirclesOptions, Points, open_circles

TOY = Path(__file__).parents[2] / "toys" / "installed"
SPIES = """
import math
import torch
from gancore.evaluation.records import Figure

SEEN = []


@hookimpl
def gan_metrics():
    for name in ("spy", "raises", "refuses", "exits", "infinite", "nothing", "tensor", "endless", "random"):
        yield Metric(name=name, summary="For a test", target=f"fake_spies:{name}")


def spy(spec):
    return lambda material: SEEN.append(material) or {"spy": 1}


def raises(spec):
    raise ValueError("it broke")


def refuses(spec):
    from gancore.errors import UsageError

    def measure(material):
        raise UsageError("too few samples")

    return measure


def exits(spec):
    return lambda material: exit(3)


def infinite(spec):
    return lambda material: {"good": 1.5, "bad": Figure(value=2.0, real=math.inf)}


def nothing(spec):
    return lambda material: {}


def tensor(spec):
    return lambda material: {"good": 2.0, "bad": torch.ones(2)}


def endless(spec):
    return lambda material: {"good": 2.0, "bad": 10**400}


def random(spec):
    return lambda material: {"random": torch.rand(()).item()}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs of the toy plugin: as they come, with a part held out, without labels, and on a file."""
    folder = tmp_path_factory.mktemp("evaluated")
    write_points(folder / "train.txt", 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TOY))
        for name, options in {"usual": {}, "held": {"held_out": 0.25}, "plain": {"data.labels": False}}.items():
            gancore.train(plugin="toy", out=folder / name, seed=5, steps=4, options={"every.checkpoint": 2, **options})
        gancore.train(plugin="toy", out=folder / "file", steps=2, data=folder / "train.txt")
    return folder


@pytest.fixture
def run(runs, tmp_path, toy):
    """A copy of one of the runs, by name."""
    return lambda name="usual": Path(shutil.copytree(runs / name, tmp_path / name))


@pytest.fixture
def seen(toy, fake_dist):
    """What the metric `spies:spy` was given."""
    fake_dist("spies", SPIES)
    import fake_spies

    return fake_spies.SEEN


@pytest.fixture
def look(seen):
    """Evaluate with the spy alone: the evaluation, and what the metric was given."""

    def evaluate(folder, **how):
        found = gancore.evaluate(folder, metrics=["spies:spy"], **how)
        return found, seen[-1]

    return evaluate


def write_points(path, count, centre=0.0):
    path.write_text("".join(f"{(n / count - 0.5) + centre} {n % 7 / 10}\n" for n in range(count)))


def circles(labels=True):
    return open_circles(CirclesOptions(labels=labels), silent)


def rows(x):
    return {tuple(row) for row in x.tolist()}


# --- what metrics work on ----------------------------------------------------------------------------------------------


def test_metric_of_another_plugin_is_refused_before_anything_is_generated(run, toy, fake_dist, monkeypatch):
    refusing = SPIES.replace(
        'raise ValueError("it broke")', 'from gancore.errors import UsageError; raise UsageError("only for waves")'
    )
    fake_dist("spies", refusing)
    monkeypatch.setattr(gancore.Generator, "sample", lambda *_, **__: pytest.fail("it was sampled from"))
    with pytest.raises(ConfigError, match="metric 'text:bleu' is for texts, which these data are not"):
        gancore.evaluate(run(), metrics=["text:bleu", "gap"])
    with pytest.raises(UsageError, match="only for waves"):
        gancore.evaluate(run("held"), metrics=["spies:raises"])


# --- what is compared -------------------------------------------------------------------------------------------------


def test_without_other_data_real_samples_are_of_the_training_set_and_that_is_said(run, look):
    found, material = look(run(), samples=40)
    assert not material.held_out
    assert rows(material.train.x) == rows(circles().points)
    assert len(material.train) == 64
    assert len(rows(material.real.x)) == 40
    assert rows(material.real.x) < rows(material.train.x)
    assert (found.protocol.reference, found.protocol.reference_size) == ("training set", 64)
    assert any("training set, because nothing was held out" in note for note in found.notes)


def test_what_the_run_held_out_is_the_reference_and_is_not_among_the_training_samples(run, look):
    found, material = look(run("held"))
    parts = split(circles(), 0.25)
    assert material.held_out
    assert rows(material.real.x) == rows(circles().points[parts.held_out])
    assert rows(material.train.x) == rows(circles().points[parts.train])
    protocol = found.protocol
    assert (protocol.reference, protocol.held_out, protocol.reference_source) == ("held-out part", 0.25, "circles")
    assert (protocol.real, protocol.reference_size) == (len(parts.held_out),) * 2
    assert (protocol.train, protocol.train_size) == (len(parts.train),) * 2
    assert found.notes == ()


def test_other_data_are_the_reference_whole(run, look, tmp_path):
    other = tmp_path / "other.txt"
    write_points(other, 30, centre=0.2)
    found, material = look(run("file"), data=other)
    assert material.held_out
    assert len(material.real) == 30
    assert float(material.real.x[:, 0].min()) == pytest.approx(-0.3)
    assert len(material.train) == 40
    assert (found.protocol.reference, found.protocol.reference_source) == ("other data", str(other))


def test_samples_are_those_of_the_generator_with_the_classes_of_the_real_ones_in_turn(run, look):
    folder = run("held")
    found, material = look(folder, samples=50, seed=9)
    generated, real = material.generated, material.real
    assert len(real) < 50
    assert generated.condition.tolist() == [int(real.condition[n % len(real)]) for n in range(50)]
    expected = gancore.load(folder).sample(50, seed=9, condition=generated.condition)
    assert torch.equal(generated.x, expected)
    assert (found.protocol.generated, found.protocol.real) == (50, len(real))


def test_real_samples_keep_their_own_classes(run, look):
    _, material = look(run())
    inner = material.real.x.norm(dim=1) < 0.5
    assert torch.equal(material.real.condition == 0, inner)
    assert torch.equal(material.train.condition == 0, material.train.x.norm(dim=1) < 0.5)


def test_run_without_labels_is_compared_without_them(run, look):
    _, material = look(run("plain"))
    assert [s.condition for s in (material.generated, material.real, material.train)] == [None] * 3


def test_classes_of_other_data_are_matched_by_name(run, look, tmp_path, monkeypatch):
    import gan_toy_parts

    def opened(options, progress):
        points = torch.tensor([[0.1, 0.0], [0.0, 0.9], [0.9, 0.0]])
        return Points(points, torch.tensor([1, 0, 0]), ("outer", "inner"), ScanReport(str(options.path), 3, 3))

    monkeypatch.setattr(gan_toy_parts, "points", opened)
    (tmp_path / "other.txt").touch()
    _, material = look(run(), data=tmp_path / "other.txt", samples=4)
    assert (material.real.condition == 0).tolist() == (material.real.x.norm(dim=1) < 0.5).tolist()
    assert len(material.real) == 3


def test_other_data_are_read_by_the_range_that_was_measured_on_those_of_the_run(look, tmp_path):
    for name, high in (("own", 4000), ("other", 400)):
        (tmp_path / name).mkdir()
        for number in range(2):
            values = np.full((8, 8), number * high, dtype=np.uint16)
            Image.fromarray(values).save(tmp_path / name / f"{number}.png")
    options = {
        "data.size": 8,
        "architecture.width": 8,
        "batch_size": 2,
        "samples": 1,
        "listeners": [],
        "augmentations": {},
    }
    gancore.train(plugin="image", data=tmp_path / "own", out=tmp_path / "run", steps=1, options=options)
    _, material = look(tmp_path / "run", data=tmp_path / "other", samples=2)
    assert sorted(material.real.x.amax(dim=(1, 2, 3)).tolist()) == [0, 26]


def test_other_data_without_labels_leave_the_classes_to_the_training_samples(run, look, tmp_path):
    write_points(tmp_path / "other.txt", 10)
    _, material = look(run(), data=tmp_path / "other.txt", samples=64)
    assert material.real.condition is None
    assert material.generated.condition.bincount().tolist() == [32, 32]


def test_the_seed_decides_samples_on_both_sides_and_another_gives_others(run, look):
    folder = run()
    first, again, other = (look(folder, samples=20, seed=seed)[1] for seed in (1, 1, 2))
    for side in ("generated", "real", "train"):
        one, two, three = (getattr(material, side).x for material in (first, again, other))
        assert torch.equal(one, two)
        assert not torch.equal(one, three)


def test_checkpoint_of_a_step_is_taken(run, look):
    folder = run()
    assert [look(folder, step=step)[0].step for step in (2, 4, None)] == [2, 4, 4]
    with pytest.raises(CheckpointError, match="steps there: 2, 4"):
        gancore.evaluate(folder, step=3)


def test_every_step_that_is_kept_is_evaluated_also_where_only_the_best_folder_has_it(run, look):
    folder = run()
    checkpoint.keep_best(folder / "checkpoints", 2)
    shutil.rmtree(folder / "checkpoints" / "step-00000002")
    assert [found.step for found in evaluate_steps(folder, metrics=["gap"])] == [2, 4]
    assert look(folder, step=2)[0].step == 2


def test_training_samples_are_shown_up_to_a_bound_and_real_ones_are_drawn_from_those(run, look, monkeypatch):
    monkeypatch.setattr("gancore.evaluation.sets.MOST_TRAINED_ON", 10)
    found, material = look(run())
    assert (found.protocol.train, found.protocol.train_size) == (10, 64)
    assert rows(material.real.x) == rows(material.train.x)


def test_large_samples_are_shown_as_far_as_memory_goes(run, look, monkeypatch):
    monkeypatch.setattr("gancore.evaluation.sets.MOST_BYTES", 7 * 2 * 4 + 3)  # seven points of two float32
    assert look(run())[0].protocol.train == 7


# --- what cannot be compared ------------------------------------------------------------------------------------------


def test_training_data_that_are_gone_are_an_error_that_says_what_to_do(run, runs, tmp_path, toy):
    folder = run("file")
    config = folder / "config.toml"
    config.write_text(config.read_text().replace(str(runs / "train.txt"), str(tmp_path / "gone.txt")))
    with pytest.raises(DataError, match=r"training data .* cannot be opened: .*gone\.txt.*\[data\] of .*config\.toml"):
        gancore.evaluate(folder)
    assert not (folder / "evaluations").exists()


@pytest.mark.parametrize(
    ("lines", "words"), [(30, "40 samples then, 30 now"), (40, "the content of the samples differs")]
)
def test_other_training_data_than_those_of_the_run_are_noted(run, look, lines, words):
    folder = run("file")
    config = folder / "config.toml"
    other = folder / "other.txt"
    config.write_text(re.sub(r'path = ".*train\.txt"', f'path = "{other}"', config.read_text()))
    write_points(other, lines, centre=0.25 if lines == 40 else 0.0)
    found, _ = look(folder)
    assert any(f"the data have changed since the run was trained ({words})" in note for note in found.notes)


def test_training_data_that_have_changed_are_an_error(run):
    folder = run()
    config = folder / "config.toml"
    config.write_text(config.read_text().replace("labels = true", "labels = false"))
    with pytest.raises(DataError, match="changed since the run was saved, in classes"):
        gancore.evaluate(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shape": (3,)}, r"shape is \(3,\), the run's \(2,\)"),
        ({"dtype": "float64"}, "dtype is float64, the run's float32"),
        ({"value_range": (-2.0, 2.0)}, r"value_range is \(-2.0, 2.0\), the run's \(-1.0, 1.0\)"),
        ({"classes": ("inner", "middle")}, r"classes that the run does not know \(middle\)"),
    ],
)
def test_other_data_of_another_kind_are_refused_in_words(run, tmp_path, monkeypatch, change, words):
    import gan_toy_parts

    def opened(options, progress):
        source = circles()
        source.spec = source.spec.model_copy(update=change)
        return source

    folder = run()
    monkeypatch.setattr(gan_toy_parts, "points", opened)
    (tmp_path / "other.txt").touch()
    with pytest.raises(DataError, match=words) as caught:
        gancore.evaluate(folder, data=tmp_path / "other.txt")
    assert "other.txt" in str(caught.value)


def test_the_training_data_themselves_are_no_other_data(run, runs):
    with pytest.raises(UsageError, match="is what the run was trained on"):
        gancore.evaluate(run("file"), data=runs / "train.txt")


@pytest.mark.parametrize(
    ("lines", "known", "share"), [(range(20), True, "100%"), (range(36, 76), True, "10%"), (range(40, 60), False, "")]
)
def test_other_data_that_were_trained_on_are_recognised_wherever_they_lie(
    run, runs, look, tmp_path, lines, known, share
):
    """The points of a run: 40 lines. Those of each other file are 10% or more of the same, or others."""
    every = [*(runs / "train.txt").read_text().splitlines(), *(f"9.{n} 9.{n}" for n in range(40))]
    (tmp_path / "other.txt").write_text("\n".join(every[n] for n in lines))
    found, material = look(run("file"), data=tmp_path / "other.txt")
    assert material.held_out is not known
    assert found.notes == known * (
        f"real: {share} of the samples of {tmp_path / 'other.txt'} are equal to training samples; {SEEN}",
    )
    same = rows(material.real.x) & rows(material.train.x)
    assert same == (rows(material.train.x[: len(same)]) if known else set())
    assert len(material.train) == 40


@pytest.mark.parametrize(("held_out", "words"), [(0.0, "lies inside the training data"), (0.5, "")])
def test_a_folder_within_the_training_data_is_unseen_only_where_all_of_it_was_held_out(
    run, look, tmp_path, held_out, words
):
    data = tmp_path / "photos"
    for number in range(4):
        (data / str(number)).mkdir(parents=True)
        Image.fromarray(np.full((8, 8), 60 * number, dtype=np.uint8)).save(data / str(number) / "one.png")
    options = {
        "data.size": 8,
        "architecture.width": 8,
        "batch_size": 2,
        "samples": 1,
        "listeners": [],
        "augmentations": {},
    }
    options |= {"held_out": held_out, "data.labels": False}
    gancore.train(plugin="image", data=data, out=tmp_path / "run", steps=1, options=options)
    source = gancore.load(tmp_path / "run").settings.data.build(silent)
    parts = split(source, held_out)
    number = int((parts.held_out if held_out else parts.train)[0])
    found, material = look(tmp_path / "run", data=data / str(number), samples=2)
    assert material.held_out is not bool(words)
    assert any(words in note for note in found.notes) is bool(words)


def test_data_that_no_data_set_reads_and_what_is_no_run_are_errors(run, tmp_path):
    (tmp_path / "other.wav").touch()
    with pytest.raises(UsageError, match="plugin 'toy' reads no such file"):
        gancore.evaluate(run(), data=tmp_path / "other.wav")
    with pytest.raises(RunFolderError, match="is not a run"):
        gancore.evaluate(tmp_path)


@pytest.mark.parametrize("samples", [0, -1])
def test_fewer_than_one_sample_is_a_usage_error(run, samples):
    with pytest.raises(UsageError, match="at least 1"):
        gancore.evaluate(run(), samples=samples)


# --- metrics ----------------------------------------------------------------------------------------------------------


def test_all_metrics_of_the_runs_plugin_are_computed(run):
    folder = run()
    found = gancore.evaluate(folder, samples=64, seed=3)
    assert list(found.figures) == ["gap", "reach"]
    assert found.failures == {}
    # All 64 points are compared, so that both figures can be had by other means.
    x = gancore.load(folder).sample(64, seed=3, condition=real_labels(64, 3))
    points = circles().points
    assert found.figures["gap"]["gap"].value == pytest.approx(
        math.dist(x.mean(0).tolist(), points.mean(0).tolist()), abs=1e-6
    )
    share = sum(math.hypot(*p) > 0.5 for p in x.tolist()) / 64
    assert found.figures["reach"]["share"] == Figure(value=share, real=0.5, overlap=1 - abs(share - 0.5))


def test_metric_whose_package_is_not_installed_is_left_out_unless_it_is_named(run, monkeypatch):
    import gan_toy_parts

    def needy(options, spec):
        def measure(material):
            raise MissingPackageError("metric 'reach'", "arms", "limbs")

        return measure

    folder = run()
    monkeypatch.setattr(gan_toy_parts, "reach", needy)
    found = gancore.evaluate(folder, samples=8)
    assert list(found.figures) == ["gap"]
    assert found.failures == {}
    [note] = [n for n in found.notes if "reach" in n]
    assert note.startswith("left out: metric 'reach' needs arms, which is not installed; run: pip install arms")
    named = gancore.evaluate(folder, samples=8, metrics=["reach"])
    assert "pip install arms" in named.failures["reach"].cause


def real_labels(count, seed):
    """Classes of the real samples in the order in which they are drawn."""
    from gancore.data.sampler import Sampler
    from gancore.random import derive

    return (Sampler(count, derive(seed, "evaluate", "train")).indices(torch.arange(count)) % 2).tolist()


def test_metrics_that_are_named_are_computed_and_no_others(run, seen):
    folder = run()
    assert list(gancore.evaluate(folder, metrics=["reach"]).figures) == ["reach"]
    assert list(gancore.evaluate(folder, metrics=["toy:gap", "spies:spy"]).figures) == ["toy:gap", "spies:spy"]


def test_options_of_metrics_are_taken_and_recorded(run):
    folder = run()
    found = gancore.evaluate(folder, options={"metrics.reach.radius": 0.85})
    assert found.figures["reach"]["share"].real == 0.5
    assert found.protocol.metrics == {"gap": {}, "reach": {"radius": 0.85}}
    assert gancore.evaluate(folder, options={"metrics.reach.radius": 0.1}).figures["reach"]["share"].real == 1.0
    assert list(gancore.evaluate(folder, options={"metrics": {"gap": "none"}}).figures) == ["reach"]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"metrics": ["reech"]}, r"metrics.reech: unknown metric 'reech' \(did you mean 'reach'\?\)"),
        ({"metrics": ["nobody:gap"]}, "unknown plugin 'nobody'"),
        ({"options": {"metrics.reach.radios": 1}}, r"metrics.reach.radios: no such option \(did you mean 'radius'\?\)"),
        ({"options": {"metrics.reach.radius": 9}}, "metrics.reach.radius: must be a number, 0 to 2, not 9"),
        ({"options": {"metrics.gap.power": 2}}, "metrics.gap.power: metric 'gap' has no options"),
        ({"options": {"steps": 9}}, "steps: no such option of an evaluation"),
        ({"device": "gpu"}, "device"),
    ],
)
def test_what_cannot_be_understood_is_told_before_anything_is_read(run, how, words):
    folder = run()
    with pytest.raises(ConfigError, match=words):
        gancore.evaluate(folder, **how)
    assert not (folder / "evaluations").exists()


def test_a_run_cannot_be_configured_with_metrics(toy, tmp_path):
    with pytest.raises(ConfigError, match="metrics: no such option"):
        gancore.train(plugin="toy", out=tmp_path / "run", options={"metrics.reach.radius": 0.1})


def test_plugin_without_metrics_is_a_usage_error_that_says_what_can_be_done(tmp_path):
    from toys import pictures as toys

    run = gancore.train(plugin="toy", registry=toys.new_registry(), out=tmp_path / "run", steps=1, options=toys.SMALL)
    with pytest.raises(UsageError, match=r"plugin 'toy' has no metrics.*--metric PLUGIN:NAME.*samples"):
        gancore.evaluate(run.folder, registry=toys.new_registry())


def test_no_metric_at_all_is_a_usage_error(run):
    with pytest.raises(UsageError, match="no metric was left"):
        gancore.evaluate(run(), options={"metrics": "none"})


@pytest.mark.parametrize(
    ("name", "cause", "kept"),
    [
        ("raises", "ValueError: it broke, at fake_spies.py:{} in raises", None),
        ("refuses", "too few samples", None),
        ("exits", "SystemExit: 3, at fake_spies.py:{} in <lambda>", None),
        ("infinite", "real of 'bad' is inf", {"good", "bad"}),
        ("nothing", "it gave {}, not figures by name", set()),
        ("tensor", "'bad' is tensor([1., 1.]), not a number under a name", {"good"}),
        ("endless", "'bad' is too large a number", {"good"}),
    ],
)
def test_metric_that_fails_is_told_by_name_and_takes_no_other_down(run, seen, name, cause, kept):
    found = gancore.evaluate(run(), metrics=["gap", f"spies:{name}", "reach"])
    told = {n: re.sub(r"py:\d+", "py:{}", f.cause) for n, f in found.failures.items()}
    assert told == {f"spies:{name}": cause}
    assert {"gap", "reach"} <= set(found.figures)
    assert set(found.figures.get(f"spies:{name}", ())) == (kept or set())
    assert bool(found.failures[f"spies:{name}"].trace) == (kept is None)


def test_metric_that_draws_from_torch_gives_the_same_again_and_leaves_the_callers_numbers_alone(run, seen):
    folder = run()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, two, three = (gancore.evaluate(folder, metrics=["spies:random"], seed=seed) for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert one.figures == two.figures != three.figures


def test_progress_tells_of_every_stage(run):
    words = []
    gancore.evaluate(run("held"), progress=lambda said, done, total: words.append(said))
    stages = [
        "drawing circles",
        "reading training data",
        "reading real samples",
        "generating samples",
        "computing gap",
        "computing reach",
    ]
    assert list(dict.fromkeys(words)) == stages


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_an_evaluation_is_kept_in_the_run_and_none_is_overwritten(run):
    folder = run()
    paths = [gancore.evaluate(folder, step=step).path for step in (None, None, 2, None)]
    names = ["step-00000004.json", "step-00000004-2.json", "step-00000002.json", "step-00000004-3.json"]
    assert paths == [folder / "evaluations" / name for name in names]
    assert sorted(p.name for p in (folder / "evaluations").iterdir()) == sorted(names)


def test_what_is_kept_says_what_was_compared(run):
    folder = run("held")
    found = gancore.evaluate(folder, samples=30, seed=2)
    told = json.loads(found.path.read_text(encoding="utf-8"))
    assert told == found.dump()
    assert (told["run"], told["step"], told["plugin"]) == (str(folder), 4, "toy")
    assert told["figures"]["gap"]["gap"] == {"value": found.figures["gap"]["gap"].value}
    protocol = told["protocol"]
    assert (protocol["seed"], protocol["generated"], protocol["ema_half_life"]) == (2, 30, 5000.0)
    assert protocol["versions"]["gan-toy"] == "0.1.0"
    assert protocol["versions"]["torch"] == version("torch")
    assert protocol["versions"]["gancore"] == version("gancore")


def test_an_evaluation_that_cannot_be_kept_is_still_returned(run):
    folder = run()
    (folder / "evaluations").write_text("in the way")
    with pytest.warns(UserWarning, match=r"not kept.*evaluations"):
        found = gancore.evaluate(folder)
    assert found.path is None
    assert set(found.figures) == {"gap", "reach"}


@pytest.mark.parametrize("most", [0, 100])
def test_of_an_evaluation_that_a_full_disk_cuts_short_nothing_is_left(run, most):
    folder = run()
    with pytest.warns(UserWarning, match="not kept"), no_file_above(most):
        found = gancore.evaluate(folder)
    assert (found.path, found.pictures) == (None, ())
    assert [*(folder / "evaluations").iterdir()] == []


def test_importing_gancore_for_it_imports_no_torch(fresh_python):
    assert (
        fresh_python("import sys, gancore; print('evaluate' in gancore.__all__, 'torch' in sys.modules)")
        == "True False\n"
    )
    source = "import sys, gancore.evaluation; print('torch' in sys.modules)"
    assert fresh_python(source) == "False\n"
